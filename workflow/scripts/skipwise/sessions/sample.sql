-- The $n_sessions sessions with the smallest seeded hash of their key (null: all).  The hash sees the key alone, so the
-- sample depends on neither files, shards nor cores, and a bigger sample contains the smaller with the same ids.
select
    row_number() over (order by draw, session_key, piece) as session_id,
    session_key,
    piece,
    n_plays,
    n_skips
from (
    select *, md5_number_lower(concat_ws(chr(31), $seed, session_key, piece)) as draw
    from eligible
)
qualify $n_sessions is null or session_id <= $n_sessions
