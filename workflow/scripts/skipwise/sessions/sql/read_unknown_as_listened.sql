-- The authors' reading: a play whose label is unknown was listened to.
select * replace (coalesce(skipped, false) as skipped)
from labelled
