-- Sessions as the raw data has them, in order of time where there is one; positions are counted anew from 1.
select
    * replace (row_number() over session as position),
    epoch(lead(started_at) over session) - epoch(started_at) as gap
from plays
window session as (partition by session_key order by started_at, position, track_key)
