-- Skipped if the next play starts $margin seconds or more before the end of the track; the last play
-- of a session is unknown, hence listened.
-- $default_length (above 0): seconds of a track whose length is not known.
select
    sessionised.* exclude (gap) replace (
        coalesce(gap < coalesce(lengths.length, $default_length) - $margin, false) as skipped
    )
from sessionised
left join lengths using (track_key)
