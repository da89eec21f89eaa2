-- What every step before the sample left.
select
    (select count(*) from sessionised) as plays_sessionised,
    (select count(distinct session_key) from sessionised) as sessions_formed,
    (select count(*) from (from sessionised select session_key group by session_key having count(*) > 5))
        as sessions_longer_than_5,
    (select count(*) from sessionised where skipped is null) as plays_without_given_label,
    (select count(*) filter (skipped) from labelled) as plays_skipped,
    (select count(*) from (from pieces select distinct session_key, piece)) as pieces_cut,
    (select count(*) from eligible) as sessions_eligible
