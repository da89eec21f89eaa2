"""A radio that knows the listener's group of genres but not the one they are in the mood for."""

VERDICT = "Labels in the input gain most: only they say which genre of the group is wanted."
# Ten groups of two genres.  The platform picks all tracks, since a track that the listener picks
# shows the mood, and listeners are surer of their skips: the truth gains .05 in HR@10 from labels in
# the input.  With groups of four and skips as in the other worlds it is .01, too little to be told.
LISTENERS = {
    "platform_genres": 2,
    "platform_share": 1.0,
    "collection_share": 1.0,
    "skip_steepness": 8.0,
}
