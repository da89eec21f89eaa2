-- Skipped if the next play starts more than $margin seconds before the end of the track; null for the
-- last play of a session, which has no next one.
-- $default_length (above 0): seconds of a track whose length is not known.
select
    sessionised.* exclude (gap) replace (
        gap < coalesce(lengths.length, $default_length) - $margin as skipped
    )
from sessionised
left join lengths using (track_key)
