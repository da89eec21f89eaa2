-- Plays of one user at the same second are one batch scrobble: keep the first.
select * exclude (occurrence)
from (
    select *, row_number() over (partition by session_key, date_trunc('second', started_at) order by started_at, position, track_key) as occurrence
    from plays
)
where occurrence = 1
