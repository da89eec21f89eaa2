-- Skipped if the next play of the session starts within $seconds; the last play is unknown, hence
-- listened.
-- $seconds (above 0): seconds between two starts.
select * exclude (gap) replace (coalesce(gap < $seconds, false) as skipped)
from sessionised
