-- Sessions in order of time: the last $test_share is test, the $valid_share before it validation.  A test or validation
-- session predicts its last listened track from everything up to the one before, and none of its plays is trained on.
with cut as (
    select *, listened[-2] as t1, listened[-1] as t2, percent_rank() over (order by time, session_id) as age
    from listed
    where len(listened) >= 3 and listened[-3] >= 2
)
select 'train' as part, session_id, tracks[:t2] as tracks, skipped[:t2] as skipped, null as target, [] as unseen_skips
from cut
where age < 1 - $test_share - $valid_share
union all
select
    if(age < 1 - $test_share, 'valid', 'test'),
    session_id,
    tracks[:t1],
    skipped[:t1],
    tracks[t2],
    if(
        age < 1 - $test_share,
        [],
        list_transform(list_filter(range(t1 + 1, len(tracks) + 1), lambda i: skipped[i]), lambda i: tracks[i])
    )
from cut
where age >= 1 - $test_share - $valid_share
