-- The cluster of each session.  Sessions that are not independent have one: those of a user, or the pieces of a session of
-- the raw data; of a single user the pieces.
select
    session_id,
    session_key,
    dense_rank()
        over (order by if((select count(distinct cluster_key) = 1 from keys), session_key, cluster_key))::int as cluster
from keys
