-- One row per session from $first to $last: its tracks, skips and listened positions as lists, and its time in days: that
-- of its first play, since 1970, or the number of the day where the data has only that.
with listed as (
    select
        session_id,
        list(track_id order by position) as tracks,
        list(skipped order by position) as skipped,
        list(position order by position) filter (not skipped) as listened,
        min(coalesce(day, epoch(started_at) / 86400)) as time
    from plays
    where session_id between $first and $last
    group by session_id
)
select listed.*, session_key, cluster
from listed
join clustered using (session_id)
