"""The trainer against a plain one: dense Adam over the whole table, autograd through it, padded
batches in random order.

What makes training fast (rows of Adam that catch up, batches of one length, 16-bit dropout masks,
products in bfloat16 where the configuration asks for them) must not show in the metrics.  On
simulated data (`-m slow`) and on the ratings of MovieLens 100K (`-m realdata`).
"""

import numpy as np
import pytest
import torch
from examples import default_config, label_and_sample_sessions, movielens_ratings, settings_of
from skipwise.core.registry import find_model
from skipwise.models.parts import neural
from skipwise.ranking import metrics
from skipwise.ranking.candidates import draw_distinct
from skipwise.ranking.ranker import ranker, validation_ranks
from skipwise.raw.extract import extract_events
from skipwise.sessions.recipe import Machine
from skipwise.sessions.sequences import Sequences
from skipwise.sessions.split import PARTS, split_sessions
from skipwise.simulation.writers import simulate_raw
from skipwise.training import loop as training
from skipwise.training.ways.contrastive import skip_contrastive
from torch.nn import functional

SEEDS = {"simulated": range(1, 16), "ml100k": range(1, 11)}
CHANGES = {
    "simulated": {
        "dimension": 32,
        "heads": 4,
        "feed_forward": 64,
        "min_epochs": 12,
        "max_epochs": 12,
        "sampled_candidates": 200,
    },
    "ml100k": {
        "dimension": 64,
        "heads": 8,
        "layers": 2,
        "feed_forward": 128,
        "dropout": 0.2,
        "batch_size": 64,
        "min_epochs": 25,
        "max_epochs": 25,
        "sampled_candidates": 1000,
        "validation_sessions": 10_000,
    },
}


class PlainBatches(training.Batches):
    """Shuffled batches, all padded to the longest sequence."""

    def epoch(self, rng):
        order = rng.permutation(len(self._lengths))
        for start in range(0, len(order), self._size):
            rows = order[start : start + self._size]
            at = np.arange(self._lengths.max())
            at = np.where(at < self._lengths[rows, None], self._offsets[rows, None] + at, -1)
            yield training.Batch(**{name: values[at] for name, values in self._values.items()})


class PlainStep:
    """A step as it stands in the papers: the gradient of the whole table, and one Adam for
    everything.
    """

    def __init__(self, model, *, steps, rng):
        self.model, self.rng = model, rng
        self.parameters = [model.table.requires_grad_(), *model.network.parameters()]
        self.adam = torch.optim.Adam(self.parameters, lr=model.settings["learning_rate"])
        self.rows = self

    def catch_up_all(self):
        """Nothing lags behind."""

    def __call__(self, batch):
        model, settings = self.model, self.model.settings
        masked = None if model.causal else batch.mask(settings["mask_share"], self.rng)
        predicted, targets = (
            (batch.predicted, batch.targets) if masked is None else (masked, batch.tracks[masked])
        )
        distinct, target = np.unique(targets, return_inverse=True)
        drawn = draw_distinct(
            self.rng, model.n_tracks, settings["sampled_candidates"], distinct[None]
        )[0]
        candidates = np.concatenate([distinct, drawn[drawn > 0]]).astype(np.int64)
        tracks = torch.from_numpy(batch.tracks.astype(np.int64))
        embedded = functional.embedding(tracks, model.table)
        predictions = model.network(
            embedded, tracks > 0, None if masked is None else torch.from_numpy(masked)
        )
        scores = (
            predictions[torch.from_numpy(predicted)] @ model.table[torch.from_numpy(candidates)].T
        )
        loss = nll = functional.cross_entropy(scores, torch.from_numpy(target))
        nce = torch.zeros(())
        if settings["way"]:
            nce = skip_contrastive(
                predictions if settings["query"] == "hidden" else embedded,
                embedded,
                *(
                    torch.from_numpy(part)
                    for part in (batch.next_listened, batch.queries, batch.skipped)
                ),
                settings["tau"],
            )
            loss = settings["alpha"] * nce + settings["beta"] * nll
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, settings["gradient_clip"])
        self.adam.step()
        return torch.stack([loss, nll, nce]).detach()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("simulated", marks=pytest.mark.slow),
        pytest.param("ml100k", marks=pytest.mark.realdata),
    ],
)
def data(request, tmp_path_factory):
    """Name, number of tracks, train, validation and test sessions.  Skips of the simulated
    listeners mean something.
    """
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "simulated":
        raw, entry, n_sessions = (
            folder / "training_set_0.tar.gz",
            {"form": "mssd", "session_gap": None},
            1500,
        )
        simulation = {
            "sessions": 2500,
            "tracks": 1000,
            "skip_share": 0.45,
            "skip_informativeness": 1.0,
            "logs": 1,
            "seed": 1,
        }
        simulate_raw(raw, form="mssd", simulation=simulation)
    else:
        raw, entry, n_sessions = (
            movielens_ratings(folder),
            default_config()["registry"]["ml100k"],
            None,
        )
    extract_events(
        raw,
        folder / "events.parquet",
        folder / "source.json",
        folder / "rejected.parquet",
        entry=entry,
    )
    label_and_sample_sessions(
        [str(folder / "events.parquet")],
        [str(folder / "source.json")],
        **{f"out_{name}": str(folder / name) for name in ("sessions", "tracks", "keys", "stats")},
        dataset=request.param,
        skip_rule={"name": "given"},
        session_gap=entry["session_gap"],
        sessions={
            "n_sessions": n_sessions,
            "min_length": 6,
            "max_length": 20,
            "sampling_seed": 1,
            "skip_polarity": "right",
        },
    )
    parts = {part: str(folder / f"{part}.parquet") for part in PARTS}
    split_sessions(
        str(folder / "sessions"),
        str(folder / "keys"),
        Machine(),
        split="paper",
        parameters={},
        headline="full",
        outputs=parts,
        out_stats=str(folder / "split.json"),
    )
    sequences = [Sequences.read(part, parts[part]) for part in ("train", "valid", "test")]
    return request.param, max(int(part.tracks.values.max()) for part in sequences) + 5, *sequences


def scores(data, variant: str, **changes) -> np.ndarray:
    """HR@10 and NDCG@10 of the test sessions, (seeds, 2), after trainings with what stands in
    ``training`` now.
    """
    name, n_tracks, train, valid, test = data
    found = []
    for seed in SEEDS[name]:
        model = find_model("sasrec")(
            n_tracks, settings_of("sasrec", variant) | CHANGES[name] | changes
        )
        torch.manual_seed(seed)  # of the plain trainer's dropout
        model.fit(train, valid, seed=seed, threads=1)
        ranks = validation_ranks(ranker(model, np.zeros(n_tracks + 1)), test, cutoff=10)
        found.append((metrics.hit_rate(ranks, 10).mean(), metrics.ndcg(ranks, 10).mean()))
    return np.array(found)


@pytest.fixture(scope="module", params=["orig", "contrastive-hidden"])
def fast(request, data):
    """A variant, and the scores of the trainer as it is."""
    return request.param, scores(data, request.param)


def assert_same_quality(data, variant: str, **trainers: np.ndarray) -> None:
    """The means of two trainers differ by less than their seeds can tell."""
    for name, found in trainers.items():
        print(
            f"\n{data[0]}, {variant}, {name}: HR@10, NDCG@10 {found.mean(0)} ± "
            f"{found.std(0, ddof=1)}"
        )
    # Both have learned: popularity has an HR@10 of about 0.03 on each data set.
    assert min(found[:, 0].mean() for found in trainers.values()) > 0.06
    one, other = trainers.values()
    noise = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / len(one))
    assert (np.abs(one.mean(0) - other.mean(0)) < 3 * noise + 1e-9).all()


def test_bfloat16_costs_no_quality(data, fast):
    variant, found = fast
    assert_same_quality(
        data, variant, float32=found, bfloat16=scores(data, variant, precision="bfloat16")
    )


def test_speed_costs_no_quality(monkeypatch, data, fast):
    variant, found = fast
    monkeypatch.setattr(training, "TrainStep", PlainStep)
    monkeypatch.setattr(training, "Batches", PlainBatches)
    monkeypatch.setattr(
        neural.Dropout,
        "forward",
        lambda self, x: functional.dropout(x, self.dropped / 2**16, self.training),
    )
    assert_same_quality(data, variant, fast=found, plain=scores(data, variant))
