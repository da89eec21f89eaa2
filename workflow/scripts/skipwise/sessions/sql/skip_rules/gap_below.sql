-- Skipped if the next play of the session starts within $seconds; null for the last play, which has
-- no next one.
-- $seconds (above 0): seconds between two starts.
select * exclude (gap) replace (gap < $seconds as skipped)
from sessionised
