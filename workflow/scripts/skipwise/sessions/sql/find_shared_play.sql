-- A play of one user or session that two files have: the same track at the same time.  Hashes first,
-- because most logs have none, and the names of files cost most.
with twice as (
    select hash(session_key, track_key, started_at) as play from plays group by play having count(*) > 1
)
select session_key, track_key, started_at::varchar as started, min(filename) as one, max(filename) as other
from shards
where started_at is not null and hash(session_key, track_key, started_at) in (from twice)
group by session_key, track_key, started_at
having min(filename) <> max(filename)
order by all
limit 1
