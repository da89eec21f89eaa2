"""Where and how precisely a neural model trains.

The tests marked `gpu` need a GPU and a torch that is built for it: `pytest -m gpu tests/unit`.
"""

import warnings

import numpy as np
import pytest
import torch
from examples import cyclic_sessions, random_sessions, settings_of
from skipwise.core.errors import StoppedError, UserError
from skipwise.core.registry import find_model
from skipwise.ranking import metrics
from skipwise.ranking.ranker import ranker, validation_ranks
from skipwise.training.batches import Batches
from skipwise.training.checkpoints import Checkpoint
from skipwise.training.loop import TrainStep

NEURAL = ["sasrec", "bert4rec", "gru4rec", "caser"]
VARIANTS = ["orig", "contrastive-item", "contrastive-hidden"]
N_TRACKS = 60


def losses(model: str, variant: str, steps: int = 12, **settings) -> np.ndarray:
    """(steps, 3) losses of the first steps of a training."""
    recommender = find_model(model)(N_TRACKS, settings_of(model, variant) | settings)
    recommender.initialise(1)
    recommender.network.train()
    rng = np.random.default_rng(1)
    step = TrainStep(recommender, steps=steps, rng=rng)
    batches = Batches(random_sessions(16 * steps, N_TRACKS, seed=1), 16).epoch(rng)
    return np.stack([step(batch).float().cpu().numpy() for batch in batches])


def hit_rate(model: str, variant: str, **settings) -> float:
    """HR@1 after training on a circle of tracks."""
    train, valid = (cyclic_sessions(400, N_TRACKS, seed=seed) for seed in (1, 2))
    recommender = find_model(model)(N_TRACKS, settings_of(model, variant) | settings)
    recommender.fit(train, valid, seed=1, threads=1)
    return float(
        metrics.hit_rate(
            validation_ranks(ranker(recommender, train.counts(N_TRACKS)), valid, cutoff=10), 1
        ).mean()
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("model", NEURAL)
def test_bfloat16_products_are_near_those_of_float32_and_not_the_same(model, variant):
    low, high = (
        losses(model, variant, precision=precision) for precision in ("bfloat16", "float32")
    )
    assert (low != high).any()
    np.testing.assert_allclose(low, high, rtol=0.05, atol=0.05)


def test_a_model_learns_in_bfloat16():
    assert hit_rate("sasrec", "orig", precision="bfloat16") > 0.9


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_an_error_that_names_the_key():
    with pytest.raises(UserError, match=r"neural\.device: torch finds no GPU here; set it to cpu"):
        hit_rate("sasrec", "orig", device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("model", NEURAL)
def test_a_gpu_takes_the_steps_of_the_cpu(model, variant):
    """Without dropout, whose masks a GPU draws by itself."""
    there, here = (losses(model, variant, device=device, dropout=0.0) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("model", NEURAL)
def test_a_step_never_waits_for_the_gpu(model):
    recommender = find_model(model)(
        N_TRACKS, settings_of(model, "contrastive-hidden") | {"device": "cuda"}
    )
    recommender.initialise(1)
    recommender.network.train()
    rng = np.random.default_rng(1)
    step = TrainStep(recommender, steps=3, rng=rng)
    first, *others = Batches(random_sessions(48, N_TRACKS, seed=1), 16).epoch(rng)
    step(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls this mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in others:
            step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_model_learns_on_a_gpu(precision):
    assert hit_rate("sasrec", "orig", device="cuda", precision=precision) > 0.9


@pytest.mark.gpu
def test_a_gpu_ranks_a_trained_model_as_the_cpu_does():
    """The vectors are the same; queries differ in their last bits."""
    model = find_model("sasrec")(N_TRACKS, settings_of("sasrec", "orig") | {"device": "cuda"})
    train, valid = (cyclic_sessions(400, N_TRACKS, seed=seed) for seed in (1, 2))
    model.fit(train, valid, seed=1, threads=1)
    model.use_device()
    assert model.vectors.is_cuda
    there = validation_ranks(ranker(model, train.counts(N_TRACKS)), valid, cutoff=None)
    here = find_model("sasrec")(N_TRACKS, model.settings)
    here.load_state({name: tensor.cpu() for name, tensor in model.state().items()})
    assert not here.vectors.is_cuda
    assert (
        there == validation_ranks(ranker(here, train.counts(N_TRACKS)), valid, cutoff=None)
    ).mean() > 0.99


@pytest.mark.gpu
def test_a_training_on_a_gpu_goes_on_where_it_stopped(tmp_path, monkeypatch):
    train, valid = random_sessions(200, N_TRACKS, seed=1), random_sessions(50, N_TRACKS, seed=2)

    def model():
        return find_model("sasrec")(
            N_TRACKS, settings_of("sasrec", "orig") | {"device": "cuda", "max_epochs": 4}
        )

    whole = model()
    whole.fit(train, valid, seed=1, threads=1)
    parts = model()
    parts.checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", "same")
    taken = 0
    step = TrainStep.__call__

    def stopped(self, batch):
        nonlocal taken
        taken += 1
        if taken == 20:
            raise StoppedError(15, "stopped by the test")
        return step(self, batch)

    monkeypatch.setattr(TrainStep, "__call__", stopped)
    with pytest.raises(StoppedError):
        parts.fit(train, valid, seed=1, threads=1)
    monkeypatch.undo()
    parts.fit(train, valid, seed=1, threads=1)
    for name, tensor in whole.state().items():
        torch.testing.assert_close(parts.state()[name], tensor, rtol=1e-3, atol=1e-4)
