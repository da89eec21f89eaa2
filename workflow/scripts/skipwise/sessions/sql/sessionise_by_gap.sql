-- A new session starts where a user's next play starts more than $session_gap seconds after the last.
-- gap is the time to the next play of the session in seconds, null for its last play.  All windows
-- have the same order, so the plays are sorted once.
with paused as (
    select
        *,
        coalesce(epoch(started_at) - epoch(lag(started_at) over listener) > $session_gap, true) as starts_session,
        epoch(lead(started_at) over listener) - epoch(started_at) as pause,
        row_number() over listener as number
    from plays
    window listener as (partition by session_key order by started_at, position, track_key)
),
begun as (
    select
        * exclude (starts_session),
        max(case when starts_session then started_at end) over so_far as session_start,
        max(case when starts_session then number end) over so_far as first_number
    from paused
    window so_far as (
        partition by session_key order by started_at, position, track_key rows unbounded preceding
    )
)
select
    * exclude (pause, number, session_start, first_number) replace (
        concat(session_key, '@', strftime(session_start, '%Y-%m-%dT%H:%M:%S')) as session_key,
        number - first_number + 1 as position
    ),
    case when pause <= $session_gap then pause end as gap
from begun
