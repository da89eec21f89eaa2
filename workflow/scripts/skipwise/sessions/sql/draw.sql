-- The seeded hash that decides which sessions are sampled.  It sees only the key, so the sample
-- depends on neither files, shards nor cores.  sessions/draw.py has the same numbers.
select *, md5_number_lower(concat_ws(chr(31), $seed, session_key, piece)) as draw
from eligible
