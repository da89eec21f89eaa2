"""skipwise from a notebook or another program: what ``import skipwise`` offers.

Tables go in as polars, pandas or Arrow tables, or as the path of a file; polars frames come out.  A
mistake in what is given raises :class:`UserError`, with one sentence.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn import functional

from skipwise.commands.label import label_file
from skipwise.commands.recommend import TrainedModel, read_session, top
from skipwise.core.artifacts import write_artifact
from skipwise.core.errors import UserError
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import CANDIDATES
from skipwise.evaluation.comparisons import Intervals, Ranked, compared, mean_measure, same_seeds
from skipwise.evaluation.run_files import measure, ranks_of_run
from skipwise.ranking.metrics import METRICS
from skipwise.ranking.ranker import ranker
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.tabular import PER_SECOND
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Ragged

Table = Any  # polars, pandas, Arrow, or a path
SESSION_IDS = ("per_file", "global")


class Model:
    """A trained model of the workflow, ready to answer; :func:`load` makes it."""

    def __init__(self, folder: str | Path, tracks: str | Path | None = None):
        self._trained = TrainedModel(folder, tracks)

    def __repr__(self) -> str:
        model = self._trained.model
        return f"<{type(model).__name__} of {model.n_tracks:,} tracks>"

    @property
    def tracks(self) -> pl.Series:
        """The keys of all tracks that the model knows."""
        return pl.Series("track", self._trained.catalogue.keys)

    def recommend(
        self, session: Table | list[str], k: int = 20, *, new_only: bool | None = None
    ) -> pl.DataFrame:
        """The ``k`` best tracks after each session: columns session, rank, track, score.

        ``session`` is a list of track keys in the order of the plays, or a table with the column
        ``track`` and, if known, ``skipped`` and ``session``.  ``new_only`` leaves out the tracks of
        the session itself, False does not, None does what the model was selected for.

        >>> model.recommend([a, b], k=3).columns
        ['session', 'rank', 'track', 'score']
        """
        candidates = None if new_only is None else "new" if new_only else "full"
        return self._trained.recommend(_plays(session), k=_number(k), candidates=candidates)

    def rank(self, sessions: Table) -> pl.DataFrame:
        """The rank of the last track of each session after the plays before it: columns session,
        track, rank (among all tracks) and rank_new (among those that the session does not have
        yet; null where it has the track).

        ``sessions`` is a table as in :meth:`recommend`.  Raises UserError for a session with one
        play, and for a last track that the model does not know.

        >>> model.rank({"track": [a, b, c]})["rank"].dtype
        Int32
        """
        plays = _plays(sessions)
        last = plays.group_by("session", maintain_order=True).tail(1)
        before = plays.filter(pl.int_range(pl.len()).reverse().over("session") > 0)
        alone = last.join(before, on="session", how="anti")
        if alone.height:
            raise UserError(f"session '{alone['session'][0]}' has one play, nothing is before it")
        contexts, names = self._trained.contexts(before)
        target = self._trained.catalogue.ids(last["track"])
        if (target == 0).any():
            unknown = last["track"][int(np.flatnonzero(target == 0)[0])]
            raise UserError(f"the model does not know the track '{unknown}'")
        found = ranker(self._trained.model, np.zeros(self._trained.model.n_tracks + 1)).rank(
            contexts, Ragged(target, np.arange(len(target) + 1))
        )
        return pl.DataFrame(
            {
                "session": names,
                "track": last["track"],
                "rank": pl.Series(found.full, dtype=pl.Int32),
                "rank_new": pl.Series(found.new, dtype=pl.Int32).replace(0, None),
            }
        )

    def similar(self, track: str, k: int = 20) -> pl.DataFrame:
        """The ``k`` tracks whose vectors have the largest cosine with that of ``track``: columns
        track and cosine.

        Raises UserError for an unknown track, and for a model without vectors of tracks.

        >>> model.similar(a, k=2).columns
        ['track', 'cosine']
        """
        model = self._trained.model
        if not isinstance(model, VectorRecommender):
            raise UserError(f"{type(model).__name__} has no vectors of tracks to compare")
        [place] = self._trained.catalogue.ids(_plays([track])["track"])
        if not place:
            raise UserError(f"the model does not know the track '{track}'")
        with torch.inference_mode():
            cosine = functional.cosine_similarity(model.vectors[place], model.vectors, dim=1)
            cosine[[0, int(place)]] = -torch.inf
        best = top(cosine, _number(k))
        return pl.DataFrame(
            {"track": self.tracks[best - 1], "cosine": cosine[torch.from_numpy(best)].numpy()}
        )


def load(folder: str | Path, tracks: str | Path | None = None) -> Model:
    """The model in a folder ``results/models/dataset=…/split=…/model=…/variant=…/seed=…``.

    ``tracks`` is the ``tracks.parquet`` of its data set, where it is not beside the models.
    """
    return Model(folder, tracks)


def read(
    plays: Table,
    *,
    track: str = "track",
    user: str | None = None,
    time: str | None = None,
    session: str | None = None,
    session_ids: str | None = None,
    skipped_when: str | None = None,
    session_gap: float = 1200,
    time_unit: str = "s",
) -> pl.DataFrame:
    """A listening log with the columns session, position and skipped, by the function that the
    workflow labels with.

    The names are those of columns.  Without ``session`` a pause of ``session_gap`` seconds between
    two starts of a user begins a new one; with it ``session_ids`` says of an archive whether each
    file numbers its own (``per_file``) or they go on (``global``).  ``skipped_when`` is a boolean
    column or a rule like ``seconds_played < 30``; without it a skip is derived from ``time``: the
    next play begins more than 30 seconds before the track's length is over.

    >>> read({"u": ["x", "x"], "t": [0, 300], "track": ["a", "b"]}, user="u", time="t",
    ...      skipped_when=None)["position"].to_list()
    [1, 2]
    """
    if session and not skipped_when:
        raise UserError("with session say what a skip is, skipped_when")
    if time_unit not in [*PER_SECOND]:
        raise UserError(f"time_unit is one of {', '.join(PER_SECOND)}, not {time_unit!r}")
    if session_ids not in (None, *SESSION_IDS):
        raise UserError(f"session_ids is {' or '.join(SESSION_IDS)}, not {session_ids!r}")
    if not session and not (isinstance(session_gap, Real) and session_gap >= 1):
        raise UserError(f"session_gap is a number of seconds from 1 on, not {session_gap!r}")
    named = {"user": user or (None if session else "user"), "session": session}
    named["time"] = time or (None if session else "time")
    entry = {
        "columns": {"track": track} | {key: value for key, value in named.items() if value},
        "time_unit": time_unit,
        "session_gap": None if session else float(session_gap),
        "skip_rule": {"name": "given"}
        if skipped_when
        else {"name": "length_margin", "margin": 30, "min_support": 3, "default_length": 180},
    }
    if skipped_when:
        entry["skipped_when"] = skipped_when
    if session_ids:
        entry["session_ids"] = session_ids
    with _file(plays) as path:
        return label_file(path, entry=entry)


def evaluate(
    run: Table,
    test: str | Path,
    *,
    session: str = "session",
    item: str = "item",
    score: str | None = "score",
    rank: str | None = None,
    track_keys: bool = False,
    write: str | Path | None = None,
) -> pl.DataFrame:
    """All metrics of what another system ranked, against the ``test.parquet`` of a split: one row
    per candidates, subset, metric and k.

    ``run`` has one row per session and item, with a score or, with ``rank``, a rank from 1; items
    are track ids of the split or, with ``track_keys``, the keys of tracks.  ``write`` is where to
    leave a ``ranks.parquet``, which :func:`compare` takes.
    """
    with _file(run) as path:
        ranks = ranks_of_run(
            path,
            test,
            session=session,
            item=item,
            score=None if rank else score,
            rank=rank,
            track_keys=track_keys,
        )
        if write:
            write_artifact(ranks, "ranks", write)
        return measure({path: ranks}).drop("file")


def compare(
    ours: str | Path | Iterable[str | Path],
    reference: str | Path | Iterable[str | Path],
    *,
    metric: str = "hr_10",
    candidates: str = "full",
    level: float = 0.95,
) -> pl.DataFrame:
    """One row: what ``ours`` gains over ``reference`` on the same test sessions, with the interval
    over clusters of sessions and over seeds, its p-value, and the smallest difference that could
    have been shown.

    Each is one ``ranks.parquet`` or several, one a seed of the same model and variant; of a folder,
    all in it.
    """
    name, _, k = metric.rpartition("_")
    if name not in METRICS or not k.isdigit() or not int(k):
        raise UserError(f"unknown metric '{metric}'; take {', '.join(METRICS)} and a number: hr_10")
    if candidates not in CANDIDATES:
        raise UserError(f"candidates is one of {', '.join(CANDIDATES)}, not {candidates!r}")
    if not 0 < level < 1:
        raise UserError(f"level is between 0 and 1, such as 0.95, not {level!r}")
    one, other = (Ranked.read(_ranks(paths)) for paths in (ours, reference))
    if not one.is_of_the_sessions_of(other):
        raise UserError(f"{ours} and {reference} did not rank the same sessions")
    if candidates == "sampled" and not (one.n_candidates.any() and other.n_candidates.any()):
        raise UserError("a run of another tool has no ranks among sampled candidates; take full")
    intervals = Intervals(level=level, equivalence=0.0, least_deciding=20, seed=1)
    row = compared(mean_measure(name, int(k), candidates), *same_seeds(one, other), intervals)
    return pl.DataFrame([{"metric": metric, "candidates": candidates} | row])


def _ranks(paths: str | Path | Iterable[str | Path]) -> list[str]:
    """The files of ranks that one path or several name, one a seed."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found = [
        str(file)
        for path in map(Path, given)
        for file in (sorted(path.rglob("ranks.parquet")) if path.is_dir() else [path])
    ]
    if not found:
        raise UserError(f"{paths}: no ranks.parquet in it")
    seeds: dict[str, str] = {}
    variant: dict[str, str] | None = None
    for file in found:
        keys = hive_keys(file)
        seed = keys.pop("seed", file)
        variant = keys if variant is None else variant
        if keys != variant or seed in seeds:
            other = seeds.get(seed, found[0])
            raise UserError(
                f"{other} and {file} are not two seeds of one variant; name the folder above seed=…"
            )
        seeds[seed] = file
    return found


def _number(k: object) -> int:
    """How many tracks are asked for."""
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise UserError(f"k is a whole number from 1 on, not {k!r}")
    return int(k)


def _plays(session: Table | list[str]) -> pl.DataFrame:
    """Columns session, track and skipped of a table or a list of track keys."""
    if isinstance(session, list):
        session = {"track": session}
    with _file(session) as path:
        file = Glimpse(path)
        names = file.head.columns
        if file.error:
            raise file.error
        return read_session(
            path,
            track="track",
            session="session" if "session" in names else None,
            skipped_when="skipped" if "skipped" in names else None,
        )


def _writable(table: Table) -> Table:
    """A dictionary or pandas table with UUIDs, which polars cannot write, as text, and with the
    named levels of an index as columns; others as they are.
    """
    if hasattr(table, "reset_index") and any(name is not None for name in table.index.names):
        table = table.reset_index()
    texts = {}
    for name in table.keys() if hasattr(table, "keys") else ():
        values = table[name]
        if hasattr(values, "__len__") and not isinstance(values, str):
            first = next((value for value in values if value is not None), None)
            if isinstance(first, UUID):
                texts[name] = [None if value is None else str(value) for value in values]
    if texts:
        table = table.copy()
        for name, values in texts.items():
            table[name] = values
    return table


@contextlib.contextmanager
def _file(table: Table) -> Iterator[Path]:
    """The path of a table: readers stream from files, also what is in memory."""
    if isinstance(table, str | Path):
        yield Path(table)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.parquet")
        try:
            if isinstance(table, pa.Table | pa.RecordBatch):
                pq.write_table(pa.table(table), path)  # polars would read UUIDs as bytes
            else:
                pl.DataFrame(_writable(table)).write_parquet(path)
        except (TypeError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"the table cannot be read ({said}); give columns of equal length whose values are "
                "of one kind, such as ids as text"
            ) from error
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), "the table")) from error
