-- Dense ids from 1 by descending frequency, ties by key; 0 is padding.
select
    row_number() over (order by n_plays desc, track_key) as track_id,
    track_key,
    n_plays,
    n_skips
from (
    select track_key, count(*) as n_plays, count(*) filter (skipped) as n_skips
    from pieces
    semi join sampled using (session_key, piece)
    group by track_key
)
