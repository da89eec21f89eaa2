-- The label that the raw data has; null where it has none.
select * exclude (gap)
from sessionised
