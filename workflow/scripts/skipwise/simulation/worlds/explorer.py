"""A platform that strays into genres at random, and listeners who filter what it plays."""

VERDICT = "Labels gain: of what is played they say which part is wanted."
# 70 % was tried before (with 12,000 sessions and 3,000 tracks), as a share that leaves the listener
# most of the filtering.
LISTENERS = {"stray_share": 0.7}
