-- A track's length is the median in-session gap after it, where at least $min_support plays have one, else
-- $default_length.  Skipped where the next play starts $margin seconds or more before that length is over; the last
-- play of a session is unknown, hence listened.  All in seconds.
with lengths as (
    select track_key, median(gap) as length
    from sessionised
    where gap is not null
    group by track_key
    having count(*) >= $min_support
)
select
    sessionised.* exclude (gap) replace (
        coalesce(gap < coalesce(lengths.length, $default_length) - $margin, false) as skipped
    )
from sessionised
left join lengths using (track_key)
