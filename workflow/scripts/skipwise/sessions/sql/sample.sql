-- The $n_sessions sessions with the smallest draw (null: all); a bigger sample contains the smaller with the same ids.
-- Where $keys_hold_user the key of a session is user@start or user@session.
select
    row_number() over (order by draw, session_key, piece) as session_id,
    session_key,
    piece,
    if($keys_hold_user, regexp_replace(session_key, '@[^@]*$', ''), session_key) as cluster_key,
    n_plays,
    n_skips,
    draw
from drawn
qualify $n_sessions is null or session_id <= $n_sessions
