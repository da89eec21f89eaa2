"""No context is read at a weight that training never moved, whatever its length."""

import numpy as np
import pytest
import torch
from examples import default_config, sequences, settings_of
from skipwise.core.config import model_file
from skipwise.core.registry import find_model

N_TRACKS, LONGEST = 60, 20
CONFIG = default_config()
NEURAL = [name for name in CONFIG["models"] if CONFIG["model_registry"][name]["family"] == "neural"]
TRANSFORMERS = [name for name in NEURAL if "bert4rec" in name or "sasrec" in name]


def listened(lengths: list[int], seed: int):
    """Sessions of these lengths in which nothing is skipped, and any target."""
    rng = np.random.default_rng(seed)
    tracks = [rng.integers(1, N_TRACKS + 1, length).tolist() for length in lengths]
    return sequences(tracks, targets=rng.integers(1, N_TRACKS + 1, len(lengths)))


def unmoved_that_are_read(model: str, **settings) -> dict[str, list[int]]:
    """By weight of the network the rows that a prediction depends on and training left as drawn.

    Train sequences have at most 15 plays, contexts of validation and test up to 19, as where
    sessions are cut at 20.
    """
    settings = settings_of(model, "orig") | {"max_epochs": 2, "max_length": LONGEST} | settings
    recommender = find_model(model_file(CONFIG, model))(N_TRACKS, settings)
    train = listened([*range(4, 16)] * 6, seed=1)
    recommender.initialise(1)
    drawn = {name: p.detach().clone() for name, p in recommender.network.named_parameters()}
    recommender.fit(train, listened([17, 18], seed=2), seed=1, threads=1)
    read: dict[str, torch.Tensor] = {}
    # One context at a time, so that none hides behind another.
    for length in range(1, LONGEST):
        context = listened([length], seed=length)
        with torch.inference_mode(False), torch.enable_grad():
            recommender.network.eval()
            query = type(recommender).queries.__wrapped__(recommender, context)
            names, weights = zip(*recommender.network.named_parameters(), strict=True)
            grads = torch.autograd.grad(query.square().sum(), weights, allow_unused=True)
        for name, grad in zip(names, grads, strict=True):
            if grad is not None:
                rows = grad.reshape(len(grad), -1).abs().sum(1) > 0
                read[name] = read.get(name, torch.zeros_like(rows)) | rows
    found = {}
    for name, weight in recommender.network.named_parameters():
        moved = (weight.detach() != drawn[name]).reshape(len(weight), -1).any(1)
        if name in read and (read[name] & ~moved).any():
            found[name] = (read[name] & ~moved).nonzero()[:, 0].tolist()
    return found


@pytest.mark.parametrize("model", NEURAL)
def test_a_prediction_depends_on_trained_weights_only(model):
    assert unmoved_that_are_read(model) == {}


@pytest.mark.parametrize("model", TRANSFORMERS)
def test_positions_from_the_start_were_not_all_trained(model):
    """The test above can fail: with the switch of the audit contexts are read at positions past
    those of training.  A causal model does not predict at the last track of a train sequence;
    BERT4Rec does, and its mask is one place further in a context.
    """
    first, past = (15, LONGEST) if "bert4rec" in model else (14, LONGEST - 1)
    read = unmoved_that_are_read(model, positions="start")
    assert read == {"encoder.positions": list(range(first, past))}
