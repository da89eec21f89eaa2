-- A track's length is the median gap after it within a session (gaps of at most $session_gap; null: all), where at least
-- $min_support plays have one.  In seconds.
with upto as (
    select
        track_key,
        gap,
        sum(n) over (partition by track_key order by gap) as reached,
        sum(n) over (partition by track_key) as support
    from (
        select track_key, gap, sum(n) as n
        from gaps
        where $session_gap is null or gap <= $session_gap
        group by track_key, gap
    )
)
-- The mean of the two gaps in the middle, which are the same one where the number of gaps is odd.
select
    track_key,
    (
        min(gap) filter (reached >= (support + 1) // 2)
        + min(gap) filter (reached >= support // 2 + 1)
    ) / 2 as length
from upto
where support >= $min_support
group by track_key
