-- The $n_sessions sessions with the smallest draw (null: all); a bigger sample contains the smaller with the same ids.
select
    row_number() over (order by draw, session_key, piece) as session_id,
    session_key,
    piece,
    n_plays,
    n_skips,
    draw
from drawn
qualify $n_sessions is null or session_id <= $n_sessions
