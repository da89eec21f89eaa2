-- Skipped and listened exchanged: the audit's inverted labels.
select * replace (not skipped as skipped)
from labelled
