"""A long tail: so many tracks that each has few plays, in as many genres as of one size."""

VERDICT = "A term that shapes embeddings gains: few plays of a track are all that training has."
# With 100,000 tracks a genre has as many as in the other worlds, 150 on average.
LISTENERS = {"genres": 660}
