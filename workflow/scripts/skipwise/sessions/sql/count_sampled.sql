-- What the sample holds.
select
    count(*) as sessions,
    coalesce(sum(n_plays), 0)::bigint as plays,
    sum(n_skips) / sum(n_plays) as skip_share,
    avg(n_plays) as length_mean,
    quantile_disc(n_plays, [0.05, 0.25, 0.5, 0.75, 0.95]) as length_quantiles
from sampled
