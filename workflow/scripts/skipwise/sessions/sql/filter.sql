-- Keep pieces with at least $min_length plays and at least one skip.
select
    session_key,
    piece,
    count(*) as n_plays,
    count(*) filter (skipped) as n_skips
from pieces
group by session_key, piece
having n_plays >= $min_length and n_skips >= 1
