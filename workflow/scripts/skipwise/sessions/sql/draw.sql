-- The seeded hash that decides who is sampled.  It sees the key alone, so the sample depends on neither files, shards nor
-- cores.  skipwise/draws.py has the same numbers.
select *, md5_number_lower(concat_ws(chr(31), $seed, session_key, piece)) as draw
from eligible
