"""Recommendations of a trained model: tracks and skips of a session in, ranked tracks out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError

from skipwise.core.artifacts import read_json, sha256
from skipwise.core.conditions import parse_rule
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.paths import tracks_beside
from skipwise.raw.conditions import judged_labels
from skipwise.raw.identities import ids
from skipwise.raw.tables import read_columns
from skipwise.raw.tabular import MISSING
from skipwise.recommender import Recommender
from skipwise.sessions.catalogue import Catalogue
from skipwise.sessions.sequences import Ragged, Sequences
from skipwise.training.saved import RUN, WEIGHTS, load_model

# Scores of a batch of sessions against the whole catalogue stay below this many bytes.
SCORE_BYTES = 256 * 2**20


class TrainedModel:
    """A model folder of the workflow, ready to answer."""

    def __init__(self, folder: str | Path, tracks: str | Path | None = None):
        """``tracks`` is the ``tracks.parquet`` of its data set, by default the one beside the
        models.

        Raises UserError where the folder holds no model, or the tracks are not those that it was
        trained on.
        """
        folder = Path(folder)
        if not (folder / RUN).is_file():
            raise UserError(
                f"{folder} is no folder of a trained model: it has no {RUN}; the workflow leaves "
                "them in "
                "results/models/dataset=…/split=…/model=…/variant=…/seed=…"
            )
        tracks = Path(tracks) if tracks else tracks_beside(folder)
        run = read_json(folder / RUN)
        if sha256(tracks) != run["data"]["tracks"]:
            raise UserError(
                f"{tracks} is not the file that the model in {folder} was trained with; name "
                "that one with --tracks"
            )
        self.catalogue = Catalogue(tracks)
        try:
            self.model: Recommender = load_model(folder)
        except SafetensorError as error:
            raise UserError(
                f"{folder / WEIGHTS} cannot be read ({error}); delete it and run snakemake again"
            ) from error

    def contexts(self, plays: pl.DataFrame) -> tuple[Sequences, list[str]]:
        """The sessions of ``plays`` (columns session, track, skipped; rows in order) as contexts,
        and their names, in the order in which they begin.

        A track that the model does not know is left out with a warning.  A context is what the
        model could see in training: at most the last ``max_length`` − 1 plays, where it has that
        setting.  Raises UserError where a session has no track that the model knows.
        """
        ids = self.catalogue.ids(plays["track"])
        known = plays.with_columns(id=pl.Series(ids, dtype=pl.Int32))
        unknown = known.filter(pl.col("id") == 0)["track"].unique(maintain_order=True)
        if len(unknown):
            named = ", ".join(unknown.head(3)) + (", …" if len(unknown) > 3 else "")
            logger.warning(
                "tracks left out that are not in %s: %d (%s)",
                self.catalogue.path,
                len(unknown),
                named,
            )
        names = known["session"].unique(maintain_order=True)
        known = known.filter(pl.col("id") > 0)
        if "max_length" in self.model.settings:
            known = known.filter(
                pl.int_range(pl.len()).reverse().over("session")
                < self.model.settings["max_length"] - 1
            )
        # In the order in which they begin, whatever was left out.
        sessions = names.to_frame().join(
            known.group_by("session", maintain_order=True).agg("id", "skipped"),
            on="session",
            how="left",
            maintain_order="left",
        )
        empty = sessions.filter(pl.col("id").is_null())["session"].to_list()
        if empty:
            which = f"session '{empty[0]}'" if empty[0] else "the session"
            raise UserError(
                f"{which} has no track that is in {self.catalogue.path}; tracks are named by "
                "their track_key there"
            )
        offsets = np.concatenate([[0], sessions["id"].list.len().to_numpy().cumsum()]).astype(
            np.int64
        )
        labels = sessions["skipped"].explode()
        none = np.zeros(len(sessions), np.int32)  # sessions of the split count from 1
        contexts = Sequences(
            none,
            Ragged(sessions["id"].explode().to_numpy(), offsets),
            Ragged(labels.fill_null(False).to_numpy(), offsets),
            none,
            Ragged(none[:0], np.zeros(len(sessions) + 1, np.int64)),
            Ragged(labels.is_null().to_numpy(), offsets),
        )
        return contexts, sessions["session"].to_list()

    def recommend(
        self, plays: pl.DataFrame, *, k: int, candidates: str | None = None
    ) -> pl.DataFrame:
        """The ``k`` best tracks after each session: columns session, rank, track, score.

        ``plays`` is what :func:`read_session` gives.  Equal scores are ordered by track_id, the
        more played track first.  ``candidates`` is ``full``, or ``new`` to leave out the tracks of
        the session itself; by default the set that the model was selected on.
        """
        contexts, names = self.contexts(plays)
        rows = []
        for session, scores in enumerate(self.scores(contexts, candidates)):
            best = top(scores, k)
            rows.append(
                pl.DataFrame(
                    {
                        "session": [names[session]] * len(best),
                        "rank": np.arange(1, len(best) + 1),
                        "track": self.catalogue.at(pl.Series(best - 1)),
                        "score": scores[torch.from_numpy(best)].numpy(),
                    },
                    schema={
                        "session": pl.String,
                        "rank": pl.Int32,
                        "track": pl.String,
                        "score": pl.Float32,
                    },
                )
            )
        return pl.concat(rows)

    def scores(self, contexts: Sequences, candidates: str | None) -> Iterator[torch.Tensor]:
        """For each session its scores (N + 1,), −∞ for what is no candidate; ``candidates`` as in
        :meth:`recommend`.
        """
        new_only = (candidates or self.model.candidates) == "new"
        size = max(1, SCORE_BYTES // (4 * (self.model.n_tracks + 1)))
        for start in range(0, len(contexts), size):
            batch = contexts.take(np.arange(start, min(start + size, len(contexts))))
            with torch.inference_mode():
                scores = self.model.score(batch)
            if not torch.isfinite(scores[:, 1:]).all():
                raise UserError(
                    "the model gives a score that is not finite: its training diverged; train it "
                    "anew"
                )
            scores = scores.clone()
            scores[:, 0] = -torch.inf
            if new_only:
                row = torch.from_numpy(batch.tracks.row_of_value())
                scores[row, torch.from_numpy(batch.tracks.values.astype(np.int64))] = -torch.inf
            yield from scores


def top(scores: torch.Tensor, k: int) -> np.ndarray:
    """The places of the ``k`` highest values above −∞, highest first, equal ones in order of their
    places.
    """
    least = scores.topk(min(k, len(scores))).values[-1]
    places = ((scores >= least) & (scores > -torch.inf)).nonzero()[:, 0]
    return places[torch.argsort(-scores[places], stable=True)][:k].numpy()


def read_session(
    path: str | Path, *, track: str, session: str | None, skipped_when: str | None
) -> pl.DataFrame:
    """The plays of one or several sessions from a csv, tsv or parquet file: columns session, track
    and skipped.

    Rows are in the order of the plays.  ``track`` and ``session`` are names of columns; without
    ``session`` all rows are one session.  ``skipped_when`` is a boolean column or a rule like
    ``seconds_played < 30``; an unknown label is null. Raises UserError that names what is
    wrong in the file.
    """

    def judged(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.Series]]:
        found = {"track": ids(rows[track], track)}
        if session:
            found["session"] = ids(rows[session], session)
        if skipped_when:
            found["skipped"] = judged_labels(rows[parse_rule(skipped_when)[0]], skipped_when)
        plays = rows.select(**{name: made for name, (made, _) in found.items()})
        absent = {"session": pl.lit(""), "skipped": pl.lit(False)}
        plays = plays.with_columns(**{key: absent[key] for key in absent if key not in found})
        return plays.select("session", "track", "skipped"), [reason for _, reason in found.values()]

    wanted = [track, session, parse_rule(skipped_when)[0] if skipped_when else None]
    plays = read_columns(Path(path), [column for column in wanted if column], judged)
    if plays.is_empty():
        raise UserError(f"{path} holds no plays")
    return plays


def read_names(path: str | Path, *, track: str, name: str, keys: pl.Series) -> pl.DataFrame:
    """What the tracks ``keys`` are called, from a csv, tsv or parquet file with one row per track:
    columns track and name.
    """

    def judged(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.Series]]:
        found, reasons = ids(rows[track], track)
        named = rows.select(track=found, name=pl.col(name).cast(pl.String))
        # A name of no track does no harm.
        none = found.is_in(MISSING).fill_null(True)
        return named, [reasons.set(none, None)]

    names = read_columns(Path(path), [track, name], judged)
    return names.filter(pl.col("track").is_in(keys.implode())).unique(
        "track", keep="first", maintain_order=True
    )
