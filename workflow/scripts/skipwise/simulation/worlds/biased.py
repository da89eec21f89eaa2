"""A platform whose own past decides what is played: a track is drawn by its popularity times one
more than its plays before.
"""

VERDICT = "Popularity does better than in near, and no listener likes its tracks more."
# The 66 days of MSSD in eras of six.
LISTENERS = {"eras": 11, "feedback": 1.0}
