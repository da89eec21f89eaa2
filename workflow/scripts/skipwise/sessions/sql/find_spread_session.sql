-- A session, as given, that two files have.
select session_key, min(filename) as one, max(filename) as other
from shards
group by session_key
having min(filename) <> max(filename)
order by all
limit 1
