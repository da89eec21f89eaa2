-- A new session starts where a user's next play starts more than $session_gap seconds after the last.
-- gap is the time to the next play of the session in seconds, null for its last play.
with paused as (
    select
        *,
        epoch(started_at) - epoch(lag(started_at) over listener) > $session_gap as starts_session
    from plays
    window listener as (partition by session_key order by started_at, position, track_key)
),
numbered as (
    select
        * exclude (starts_session),
        sum(coalesce(starts_session, true)::int) over (
            partition by session_key order by started_at, position, track_key
        ) as number
    from paused
)
select
    * exclude (number) replace (
        concat(session_key, '@', strftime(min(started_at) over (partition by session_key, number), '%Y-%m-%dT%H:%M:%S'))
            as session_key,
        row_number() over session as position
    ),
    epoch(lead(started_at) over session) - epoch(started_at) as gap
from numbered
window session as (partition by session_key, number order by started_at, position, track_key)
