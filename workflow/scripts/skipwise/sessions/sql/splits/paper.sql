-- Listened positions l_1 < … < l_m, m >= 3 and l_{m-2} >= 2: train on x_1..x_{t0}, validate x_{t1} after it, test x_{t2}
-- after x_1..x_{t1}, with t0 = l_{m-2}, t1 = l_{m-1}, t2 = l_m.  Unseen skips are the skipped tracks after t1.
with cut as (
    select *, listened[-3] as t0, listened[-2] as t1, listened[-1] as t2
    from listed
    where len(listened) >= 3 and listened[-3] >= 2
)
select 'train' as part, session_id, tracks[:t0] as tracks, skipped[:t0] as skipped, null as target, [] as unseen_skips
from cut
union all
select 'valid', session_id, tracks[:t0], skipped[:t0], tracks[t1], []
from cut
union all
select
    'test',
    session_id,
    tracks[:t1],
    skipped[:t1],
    tracks[t2],
    list_transform(list_filter(range(t1 + 1, len(tracks) + 1), lambda i: skipped[i]), lambda i: tracks[i])
from cut
