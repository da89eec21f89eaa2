-- How often the next play of a listener started so many seconds after a track did; gaps longer than $longest (null: none)
-- are left out.
select track_key, gap, count(*) as n
from (
    select
        track_key,
        epoch(lead(started_at) over (partition by session_key order by started_at, position, track_key)) - epoch(started_at)
            as gap
    from plays
)
where gap is not null and ($longest is null or gap <= $longest)
group by track_key, gap
