"""A radio that knows the listener's group of genres but not the one they are in the mood for."""

VERDICT = "Labels in the input gain most: only they say which genre of the group is wanted."
# Five groups of four genres.  The platform picks all tracks, since a track that the listener picks
# shows the mood.
LISTENERS = {"platform_genres": 4, "platform_share": 1.0, "collection_share": 1.0}
