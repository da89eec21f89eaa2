-- Each gap of at most $session_gap seconds, with its number, as the play before it.
select track_key, gap, n, null::boolean as skipped
from gaps
where gap <= $session_gap
