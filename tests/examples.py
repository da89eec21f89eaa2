"""Small sessions and settings that several tests use."""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import yaml
from skipwise.core import paths
from skipwise.core.artifacts import write_artifact, write_json
from skipwise.core.config import run_settings
from skipwise.core.registry import reads_lengths
from skipwise.core.schemas import ARTIFACTS
from skipwise.recommender import Recommender
from skipwise.report.write import Given
from skipwise.sessions.label import label_sessions
from skipwise.sessions.lengths import count_gaps, measure_tracks
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.sample import sample_sessions
from skipwise.sessions.sequences import Ragged, Sequences
from snakemake.utils import update_config

ROOT = Path(__file__).parents[1]

# Sizes at which a model is trained in a second.
SMALL = {
    "neural": {
        "dimension": 32,
        "dropout": 0.1,
        "learning_rate": 0.005,
        "batch_size": 16,
        "sampled_candidates": 30,
        "min_epochs": 1,
        "max_epochs": 12,
        "patience": 4,
        "validation_sessions": 100,
    },
    "model_registry": {
        "wrmf": {"settings": {"factors": 8, "iterations": 5, "regularization": 0.01}},
        "bpr": {"settings": {"factors": 8, "iterations": 5}},
        "sasrec": {"settings": {"heads": 2, "feed_forward": 32, "layers": 1}},
        "bert4rec": {"settings": {"heads": 2, "feed_forward": 32, "layers": 1}},
        "session-knn": {"settings": {"neighbours": 20}},
    },
}


def default_config(*overlays: dict) -> dict:
    """The default configuration with its data sets, and overlays merged in as --configfile
    does it.
    """
    config: dict = {}
    for name in ("config.yaml", "datasets.yaml"):
        update_config(config, deepcopy(_parsed(ROOT / "config" / name)))
    for overlay in overlays:
        update_config(config, overlay)
    return config


def with_those_below(overlay: str) -> list[str]:
    """The overlay of config/, after the ones that its comment says it stands on top of."""
    text = (ROOT / "config" / overlay).read_text(encoding="utf-8").replace("\n# ", " ")
    below = re.findall(r"[Oo]n top of config/([\w.]+\.yaml)", text)
    return [f"config/{name}" for name in (*below, overlay)]


@cache
def _parsed(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def settings_of(model: str, variant: str, split: str | None = None) -> dict:
    """The settings of a run of the default configuration at a small size."""
    return run_settings(default_config(SMALL), model, variant, split)


def sequences(
    tracks: list[list[int]],
    skipped: list[list[bool | None]] | None = None,
    targets=None,
    unseen=None,
) -> Sequences:
    """Sequences from lists, with session ids from 1; a label that is None is unknown."""
    skipped = skipped or [[False] * len(session) for session in tracks]
    unknown = [[label is None for label in session] for session in skipped]
    return Sequences(
        np.arange(1, len(tracks) + 1, dtype=np.int32),
        _ragged(tracks, np.int32),
        _ragged([[bool(label) for label in session] for session in skipped], bool),
        np.array(targets if targets is not None else [0] * len(tracks), np.int32),
        _ragged(unseen if unseen is not None else [[]] * len(tracks), np.int32),
        _ragged(unknown, bool) if any(map(any, unknown)) else None,
    )


def _ragged(rows: list[list], kind) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Ragged(np.array([value for row in rows for value in row], kind), offsets)


def random_sessions(
    n: int, n_tracks: int, *, seed: int, lengths: tuple[int, int] = (3, 15)
) -> Sequences:
    """Sessions of random tracks of which 40 % are skipped, the last never."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(lengths[0], lengths[1] + 1, n)
    tracks = [rng.integers(1, n_tracks + 1, size).tolist() for size in sizes]
    skipped = [[*(rng.random(size - 1) < 0.4).tolist(), False] for size in sizes]
    unseen = [rng.integers(1, n_tracks + 1, rng.integers(0, 4)).tolist() for _ in range(n)]
    return sequences(tracks, skipped, rng.integers(1, n_tracks + 1, n), unseen)


def write_part(sessions: Sequences, part: str, path: str | Path) -> None:
    """Sessions as the file of a part of a split."""

    def lists(rows: Ragged, unknown: Ragged | None = None) -> pa.ListArray:
        values = pa.array(rows.values, mask=None if unknown is None else unknown.values)
        return pa.ListArray.from_arrays(pa.array(rows.offsets, pa.int32()), values)

    columns = {
        "session_id": sessions.session_id,
        "tracks": lists(sessions.tracks),
        "skipped": lists(sessions.skipped, sessions.unknown),
        "target": pa.array(sessions.target, pa.int32(), mask=sessions.target == 0),
        "unseen_skips": lists(sessions.unseen_skips),
        "time": pa.array(sessions.time, pa.float64())
        if sessions.time is not None
        else pa.nulls(len(sessions), pa.float64()),
        "cluster": sessions.session_id if sessions.cluster is None else sessions.cluster,
    }
    write_artifact(pa.table(columns), part, path)


def relabelled(sessions: Sequences, seed: int) -> Sequences:
    """The same plays with other labels: a third of them unknown, a third skipped."""
    label = np.random.default_rng(seed).integers(0, 3, len(sessions.skipped.values))
    offsets = sessions.skipped.offsets
    return replace(
        sessions, skipped=Ragged(label == 1, offsets), unknown=Ragged(label == 2, offsets)
    )


def cyclic_sessions(
    n: int, n_tracks: int, *, seed: int, lengths: tuple[int, int] = (5, 12)
) -> Sequences:
    """Sessions that walk round a circle of tracks, 1 → 2 → … → N → 1; the target is the next one.
    Nothing is skipped.
    """
    rng = np.random.default_rng(seed)
    tracks = [
        ((start + np.arange(size)) % n_tracks + 1).tolist()
        for start, size in zip(
            rng.integers(0, n_tracks, n), rng.integers(lengths[0], lengths[1] + 1, n), strict=True
        )
    ]
    return sequences(tracks, targets=[session[-1] % n_tracks + 1 for session in tracks])


def outranking(ranks, skip_ranks) -> list[list[bool]]:
    """The column ``skip_outranks`` of these ranks; where both are past the cut-off the target is
    the higher one.
    """
    rows = zip(ranks, skip_ranks, strict=True)
    return [[(skip or 2**31) <= (rank or 2**31 - 1) for skip in skips] for rank, skips in rows]


def ranks_table(
    full,
    *,
    skips=None,
    sampled=None,
    repeat=None,
    new=None,
    skips_new=None,
    share=None,
    n_candidates=1064,
    cluster=None,
    popularity=None,
) -> pa.Table:
    """A ``ranks`` artifact of sessions from id 1.  Ranks among new candidates are those in the
    catalogue where nothing else is said, and a target that repeats has none.  Sessions are
    independent where no ``cluster`` is given.
    """
    n = len(full)
    repeat = [False] * n if repeat is None else repeat
    skips = [[]] * n if skips is None else skips
    if new is None:
        new = [None if again else rank for rank, again in zip(full, repeat, strict=True)]
    columns = {
        "session_id": range(1, n + 1),
        "cluster": range(1, n + 1) if cluster is None else cluster,
        "rank_full": full,
        "rank_new": new,
        "rank_sampled": full if sampled is None else sampled,
        "n_candidates": [n_candidates] * n,
        "skip_share": [0.5] * n if share is None else share,
        "is_repeat": repeat,
        "target_popularity": [3] * n if popularity is None else popularity,
        "skip_ranks_full": skips,
        "skip_ranks_new": skips if skips_new is None else skips_new,
        "skip_outranks": outranking(full, skips),
    }
    return pa.table(columns, ARTIFACTS["ranks"].schema)


def splits_of(files: list[str], headline: str = "full") -> list[str]:
    """The split.json of the data sets and splits that files of the workflow belong to, written
    where it puts them.
    """
    found = list(dict.fromkeys(str(paths.beside(path, "split")) for path in files))
    for path in found:
        write_json({"headline": headline}, path)
    return found


class FixedScores(Recommender):
    """Scores of a session are row ``session_id`` of a table (S + 1, N + 1); column 0 is NaN, which
    nobody may read.
    """

    family = "baseline"

    def __init__(self, table: np.ndarray):
        super().__init__(table.shape[1] - 1, {})
        self.table = table.copy()
        self.table[:, 0] = np.nan
        self.seen: list[list[int]] = []

    def score(self, contexts):
        self.seen.append(contexts.session_id.tolist())
        return torch.from_numpy(self.table[contexts.session_id])

    def fit(self, train, valid, *, seed, threads, checkpoint=None):
        raise NotImplementedError

    state = load_state = None


def movielens_ratings(folder: Path) -> Path:
    """The ratings of MovieLens 100K, which may not be redistributed and are not part of the
    project.

    They travel inside the package recbole, which pip downloads without its dependencies;
    SKIPWISE_ML100K may name a local copy.
    """
    if path := os.environ.get("SKIPWISE_ML100K"):
        return Path(path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        "recbole==1.2.1",
    ]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return Path(wheel.extract("recbole/dataset_example/ml-100k/ml-100k.inter", folder))


def label_and_sample_sessions(
    events: list[str],
    sources: list[str],
    *,
    threads: int = 1,
    memory: int | None = None,
    **given,
) -> None:
    """The rules from ``events`` of a single part to the sample, in one call.

    ``given`` has the fields of the recipe, and the outputs of ``sample_sessions``.
    """
    outputs = {name: given.pop(name) for name in list(given) if name.startswith("out_")}
    recipe, machine = Recipe(**given), Machine(threads, memory)
    names = ("gaps", "gap_sessions", "lengths", "labelled", "counts")
    with tempfile.TemporaryDirectory() as folder:
        out = {f"out_{name}": str(Path(folder, name)) for name in names}
        gaps = {name: out[name] for name in ("out_gaps", "out_gap_sessions")}
        labelled = {name: out[name] for name in ("out_labelled", "out_counts")}
        lengths = None
        if reads_lengths(recipe.rule):
            lengths = out["out_lengths"]
            count_gaps(events, recipe, machine, part=0, session_gaps=[0], **gaps)
            measure_tracks([out["out_gaps"]], recipe, machine, out_lengths=lengths)
        label_sessions(events, lengths, recipe, machine, part=0, **labelled)
        parts = [out["out_labelled"]], [out["out_counts"]]
        sample_sessions(*parts, sources, recipe, machine, **outputs)


def given_for(needs: dict, outputs: dict[str, str], settings: dict) -> Given:
    """What a table or figure is given; a need may be a single path."""
    paths = {name: [path] if isinstance(path, str) else path for name, path in needs.items()}
    return Given(paths, settings, outputs=outputs)
