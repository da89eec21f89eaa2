-- For each gap of $session_gaps: the sessions that it makes, those of more than 5 plays, and the plays at the second of the
-- one before, which are counted in none of them.
with paused as (
    select
        session_key,
        started_at,
        position,
        track_key,
        epoch(started_at) - epoch(lag(started_at) over listener) as pause
    from plays
    window listener as (partition by session_key order by started_at, position, track_key)
),
numbered as (
    select
        gaps.session_gap,
        session_key,
        sum((pause is null or pause > gaps.session_gap)::int) over (
            partition by gaps.session_gap, session_key order by started_at, position, track_key
        ) as number
    from paused
    cross join (select unnest($session_gaps::double[]) as session_gap) as gaps
),
sessions as (
    select session_gap, session_key, number, count(*) as n_plays
    from numbered
    group by all
)
select
    session_gap,
    sum(n_plays)::bigint as plays,
    $zero_gaps::bigint as zero_gaps,
    count(*) as sessions,
    count_if(n_plays > 5) as sessions_longer_than_5
from sessions
group by session_gap
