"""A radio that knows the listener's group of genres but not the one they are in the mood for."""

VERDICT = "Labels in the input gain most: only they say which genre of the group is wanted."
# Ten groups of two genres.  The platform picks all tracks, since a track that the listener picks
# shows the mood, and listeners are surer of their skips than elsewhere: with groups of four and
# skips as elsewhere the truth gains too little from labels to be told (docs/protocol.md).
LISTENERS = {
    "platform_genres": 2,
    "platform_share": 1.0,
    "collection_share": 1.0,
    "skip_steepness": 8.0,
}
