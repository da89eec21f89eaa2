-- Consecutive pieces of at most $max_length plays; piece counts from 0.
select
    * replace (((position - 1) % $max_length + 1)::smallint as position),
    ((position - 1) // $max_length)::int as piece
from labelled
