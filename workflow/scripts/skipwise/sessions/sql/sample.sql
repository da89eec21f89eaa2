-- The $n_sessions sessions with the smallest draw (null: all); a bigger sample contains the smaller with the same ids.
-- A session made by gaps in time has the key user@start.
select
    row_number() over (order by draw, session_key, piece) as session_id,
    session_key,
    piece,
    if($made_by_gap, regexp_replace(session_key, '@[^@]*$', ''), session_key) as cluster_key,
    n_plays,
    n_skips,
    draw
from drawn
qualify $n_sessions is null or session_id <= $n_sessions
