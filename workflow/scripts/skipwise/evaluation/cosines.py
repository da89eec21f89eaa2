"""Where skips stand in the space that a neural model learned: cosines of a session's query with
tracks.

The contrastive term pulls a query towards the next-positive and away from the session's skips
(docs/protocol.md, models). These are the two cosines it works on, after the test context and for
both kinds of query, whether a model had the term or not.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from skipwise.core.artifacts import write_artifact
from skipwise.core.log import logger
from skipwise.core.schemas import ARTIFACTS, PADDING, QUERIES
from skipwise.core.torch_setup import use_threads
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Sequences
from skipwise.training.saved import load_model

BATCH = 512


def measure_cosines(model_folder: str | Path, test: str, cosines: str, *, threads: int) -> None:
    """Measure the test sessions with a saved model and write a ``cosines`` artifact, which has no
    rows for a model that is not neural.
    """
    use_threads(threads)
    sessions = Sequences.read("test", test)
    model = load_model(model_folder)
    if model.family == "neural":
        assert isinstance(model, VectorRecommender)
        table = session_cosines(model, sessions)
    else:
        table = ARTIFACTS["cosines"].schema.empty_table()
    write_artifact(table, "cosines", cosines)
    logger.info(
        "%s: %d of %d sessions have a skip in their context",
        model_folder,
        table.num_rows,
        len(sessions),
    )


def session_cosines(model: VectorRecommender, sessions: Sequences) -> pa.Table:
    """The rows of a ``cosines`` artifact: sessions with at least one skip in their context, in
    their order.

    The query is ŷ after the context (``hidden``) or the embedding of its last listened track
    (``item``).  ``target`` is the cosine with the target, ``skips`` and ``unseen_skips`` are means
    over the skipped plays of the context and over the unseen skips.  NaN becomes null: no unseen
    skip, or no listened track in the context.
    """
    rows_with_skips = np.unique(sessions.skipped.row_of_value()[sessions.skipped.values])
    parts = [
        _batch_cosines(model, sessions.take(rows_with_skips[start : start + BATCH]))
        for start in range(0, len(rows_with_skips), BATCH)
    ]
    names = [f"{query}_{to}" for query in QUERIES for to in ("target", "skips", "unseen_skips")]
    columns = {
        name: np.concatenate([np.empty(0), *(part[name] for part in parts)]) for name in names
    }
    return pa.table(
        {"session_id": sessions.session_id[rows_with_skips]}
        | {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    )


@torch.inference_mode()
def _batch_cosines(model: VectorRecommender, batch: Sequences) -> dict[str, np.ndarray]:
    """(B,) cosines by column, NaN if a session has none."""
    tracks, skipped, listened = batch.tracks, batch.skipped.values, batch.listened.values
    rows = tracks.row_of_value()
    last_listened = np.full(len(batch), PADDING)
    # Plays are in order: the last one stays.
    last_listened[rows[listened]] = tracks.values[listened]
    queries = {"hidden": model.queries(batch), "item": model.vectors[last_listened]}
    of_unseen = batch.unseen_skips
    found = {}
    for name, query in queries.items():
        exists = last_listened != PADDING if name == "item" else np.ones(len(batch), bool)
        for to, of_row, items in (
            ("target", np.arange(len(batch)), batch.target),
            ("skips", rows[skipped], tracks.values[skipped]),
            ("unseen_skips", of_unseen.row_of_value(), of_unseen.values),
        ):
            cosine = functional.cosine_similarity(
                query[of_row], model.vectors[items], dim=1
            ).numpy()
            with np.errstate(invalid="ignore"):
                mean = np.bincount(of_row, cosine, minlength=len(batch)) / np.bincount(
                    of_row, minlength=len(batch)
                )
            found[f"{name}_{to}"] = np.where(exists, mean, np.nan)
    return found
