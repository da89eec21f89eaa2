-- The plays of the sampled sessions under their ids.
select
    session_id,
    position,
    track_id,
    pieces.skipped,
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
join tracks using (track_key)
order by session_id, position
