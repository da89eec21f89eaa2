"""Named worlds: each file says what its world stands for and which verdict is right in it.

``LISTENERS`` are the parameters of :class:`skipwise.simulation.listeners.Listeners` that the world
changes (without it none), ``VERDICT`` is what a study of it should find.  Both follow from how the
world is made and what the truth gains there, not from which recommender wins.
"""
