"""Not to recommend, where the encoder sees the labels, too.

    L and p of not-to-recommend, with input_i = e_{x_i} + f_{y_i} of feedback-input

A loss alone cannot make a model respond to a skip that it does not see.  Wang et al. (RecSys 2023,
arXiv 2308.12256) measure how much more a model responds by the loss, which is this way against
feedback-input.
"""

from skipwise.training.ways.feedback_input import added
from skipwise.training.ways.not_to_recommend import loss

__all__ = ["added", "loss"]

SETTINGS = ()
# p is small, and so is the term: only a large weight makes it as large as the main loss.
SEARCH = {"alpha": {"low": 0.1, "high": 1000.0, "log": True}}
CAUSAL = True
