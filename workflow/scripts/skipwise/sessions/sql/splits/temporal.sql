-- Sessions in order of time: the last $test_share is test, the $valid_share before it validation.  A test or validation
-- session predicts its last listened track from everything up to the one before, and none of its plays is trained on.
-- Pieces of one session of the raw data are in the part of the first of them.
with aged as (
    select
        *,
        listened[-2] as t1,
        listened[-1] as t2,
        count(*) over () - row_number() over (order by time, session_id) as later,
        round($test_share * count(*) over ()) as n_test,
        round(($test_share + $valid_share) * count(*) over ()) as n_held_out
    from listed
    where len(listened) >= 3 and listened[-3] >= 2
),
cut as (
    select *, case when first < n_test then 'test' when first < n_held_out then 'valid' else 'train' end as part
    from (select *, max(later) over (partition by session_key) as first from aged)
)
select part, session_id, tracks[:t2] as tracks, skipped[:t2] as skipped, null as target, [] as unseen_skips
from cut
where part = 'train'
union all
select
    part,
    session_id,
    tracks[:t1],
    skipped[:t1],
    tracks[t2],
    if(
        part = 'test',
        list_transform(list_filter(range(t1 + 1, len(tracks) + 1), lambda i: skipped[i]), lambda i: tracks[i]),
        []
    )
from cut
where part != 'train'
