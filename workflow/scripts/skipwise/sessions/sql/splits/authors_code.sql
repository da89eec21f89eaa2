-- targets: next
-- The released code: train on x_1..x_{n-3}, validation target x_{n-1}, test target x_n, whether or not it was skipped.
with cut as (select *, len(tracks) as n from listed where len(tracks) >= 5)
select 'train' as part, session_id, tracks[:n - 3] as tracks, skipped[:n - 3] as skipped, null as target, [] as unseen_skips
from cut
union all
select 'valid', session_id, tracks[:n - 2], skipped[:n - 2], tracks[n - 1], []
from cut
union all
select 'test', session_id, tracks[:n - 1], skipped[:n - 1], tracks[n], []
from cut
