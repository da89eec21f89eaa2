-- One row per session of the labelled plays.
select session_key, piece, n_plays, n_skips, draw
from pieces
where position = 1
