-- length_margin with the length that the data gives for a play's track; the derived one only where it gives none.
-- $default_length (above 0): seconds of a track whose length is not known.
select
    sessionised.* exclude (gap) replace (
        gap < coalesce(track_length, lengths.length, $default_length) - $margin as skipped
    )
from sessionised
left join lengths using (track_key)
