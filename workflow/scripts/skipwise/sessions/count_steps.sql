-- What every step of the way left.
select
    (select count(*) from sessionised) as plays_sessionised,
    (select count(distinct session_key) from sessionised) as sessions_formed,
    (select count(*) from (from sessionised select session_key group by session_key having count(*) > 5))
        as sessions_longer_than_5,
    (select count(*) from sessionised where skipped is null) as plays_without_given_label,
    (select avg(skipped::int) from labelled) as skip_share_before_filter,
    (select count(*) from (from pieces select distinct session_key, piece)) as pieces_cut,
    (select count(*) from eligible) as sessions_eligible,
    (select count(*) from sampled) as sessions,
    (select coalesce(sum(n_plays), 0)::bigint from sampled) as plays,
    (select sum(n_skips) / sum(n_plays) from sampled) as skip_share,
    (select avg(n_plays) from sampled) as length_mean,
    (select quantile_disc(n_plays, [0.05, 0.25, 0.5, 0.75, 0.95]) from sampled) as length_quantiles
