-- Skips that a rule sees among the gaps of at most $session_gap: those shorter than $seconds, or for $seconds null those
-- that end $margin seconds or more before the track's length, $default_length where it is not known, is over.
select coalesce(sum(n), 0)::bigint as skips
from gaps
left join lengths using (track_key)
where gap <= $session_gap and gap < coalesce($seconds, coalesce(lengths.length, $default_length) - $margin)
