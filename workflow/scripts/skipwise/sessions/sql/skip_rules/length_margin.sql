-- Skipped where the next play starts $margin seconds or more before the track's length is over, which is $default_length
-- where it is not known; the last play of a session is unknown, hence listened.  All in seconds.
select
    sessionised.* exclude (gap) replace (
        coalesce(gap < coalesce(lengths.length, $default_length) - $margin, false) as skipped
    )
from sessionised
left join lengths using (track_key)
