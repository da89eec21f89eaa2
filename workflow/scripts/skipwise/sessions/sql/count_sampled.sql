-- What the sample holds.
select
    count(*) as sessions,
    coalesce(sum(n_plays), 0)::bigint as plays,
    (select count(*) from pieces semi join sampled using (session_key, piece) where skipped is null)
        as plays_unknown,
    sum(n_skips) / sum(n_plays) as skip_share,
    avg(n_plays) as length_mean,
    quantile_disc(n_plays, [0.05, 0.25, 0.5, 0.75, 0.95]) as length_quantiles
from sampled
