"""Listeners who skip by flipping a coin and never follow what they liked."""

VERDICT = "Nothing can gain: a label depends on nothing and nothing depends on it."
LISTENERS = {"skip_informativeness": 0.0, "follows_likes": False}
