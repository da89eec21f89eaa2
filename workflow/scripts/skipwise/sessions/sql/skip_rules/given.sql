-- The label that the raw data has; unknown counts as listened.
select * exclude (gap) replace (coalesce(skipped, false) as skipped)
from sessionised
