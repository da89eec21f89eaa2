-- A play of one user or session that two files have: the same track at the same time.
select session_key, track_key, started_at::varchar as started, min(filename) as one, max(filename) as other
from shards
where started_at is not null
group by session_key, track_key, started_at
having min(filename) <> max(filename)
order by all
limit 1
