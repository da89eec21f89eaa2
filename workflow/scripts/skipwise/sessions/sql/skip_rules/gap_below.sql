-- Skipped where the next play of the session starts within $seconds; the last play is unknown, hence listened.
select * exclude (gap) replace (coalesce(gap < $seconds, false) as skipped)
from sessionised
