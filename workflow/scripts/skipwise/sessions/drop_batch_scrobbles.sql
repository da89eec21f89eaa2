-- Plays of one user at the same second are one batch scrobble: keep the first.
select * exclude (occurrence)
from (
    select *, row_number() over (partition by session_key, started_at order by position, track_key) as occurrence
    from plays
)
where occurrence = 1
