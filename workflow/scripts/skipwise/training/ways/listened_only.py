"""Listened only: skipped plays leave the input, in training and at prediction.

    context of the encoder = the plays of x_1..x_i that were not skipped

A play of unknown label stays.  It is the baseline without negative feedback of Ivanova et al.,
"Benefiting from Negative yet Informative Feedback by Contrasting Opposing Sequential Patterns",
RecSys 2025, arXiv 2508.14786.
"""

import numpy as np

from skipwise.sessions.sequences import Sequences

SETTINGS = ()


def enters(sessions: Sequences) -> np.ndarray:
    """(E,) plays that were not skipped."""
    return ~sessions.skipped.values
