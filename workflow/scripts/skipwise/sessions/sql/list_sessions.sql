-- One row per session: its tracks, skips and listened positions as lists, and its time in days: that of its first play,
-- since 1970, or the number of the day where the data has only that.  Sessions that are not independent have one cluster:
-- those of a user, or the pieces of a session of the raw data; of a single user the pieces.
with listed as (
    select
        session_id,
        list(track_id order by position) as tracks,
        list(skipped order by position) as skipped,
        list(position order by position) filter (not skipped) as listened,
        min(coalesce(day, epoch(started_at) / 86400)) as time
    from plays
    group by session_id
),
clustered as (
    select *, if(count(distinct cluster_key) over () = 1, session_key, cluster_key) as not_independent from keys
)
select listed.*, session_key, dense_rank() over (order by not_independent)::int as cluster
from listed
join clustered using (session_id)
