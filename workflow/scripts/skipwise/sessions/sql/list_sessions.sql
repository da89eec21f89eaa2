-- One row per session: its tracks, skips and listened positions as lists, and the time that orders sessions.
select
    session_id,
    list(track_id order by position) as tracks,
    list(skipped order by position) as skipped,
    list(position order by position) filter (not skipped) as listened,
    min(coalesce(day, epoch(started_at))) as time
from plays
group by session_id
