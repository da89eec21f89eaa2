-- The plays of the sessions of one part that may be in the sample: their draw is at most $bound (null: any).
select
    draw,
    session_key,
    piece,
    position,
    track_key,
    skipped,
    n_plays,
    n_skips,
    started_at,
    day,
    hour,
    premium,
    shuffle,
    context_type,
    is_organic,
    is_random
from pieces
join sampled using (session_key, piece)
where $bound is null or draw <= $bound
order by draw, session_key, piece, position
