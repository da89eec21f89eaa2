"""What a saved model is asked besides its ranks; nothing is trained again."""

from pathlib import Path

import pyarrow as pa

from skipwise.core.artifacts import write_artifact
from skipwise.core.log import logger
from skipwise.core.schemas import ARTIFACTS
from skipwise.core.torch_setup import use_threads
from skipwise.evaluation.released import released_metrics
from skipwise.evaluation.responses import responses
from skipwise.sessions.sequences import Sequences
from skipwise.training.saved import load_model

# Sizes of a batch of the released metric; the papers have 64.
BATCHES = (16, 64, 256)


def probe_model(
    folder: str | Path,
    train: str,
    test: str,
    out_released: str,
    out_responses: str,
    *,
    candidates: int,
    seed: int,
    threads: int,
) -> None:
    """Write what the released metric would print for a saved model (``released``), and how it
    responds to a skip (``responses``).
    """
    use_threads(threads)
    model = load_model(folder)
    model.use_device()
    sessions = Sequences.read("test", test)
    rows = [
        {"batch": batch} | row
        for batch in BATCHES
        for row in released_metrics(model, sessions, batch=batch, candidates=candidates, seed=seed)
    ]
    schema = ARTIFACTS["released"].schema
    write_artifact(pa.Table.from_pylist(rows, schema=schema), "released", out_released)
    found = responses(model, sessions, Sequences.read("train", train))
    write_artifact(found, "responses", out_responses)
    logger.info("%s: probed on %d sessions", folder, len(sessions))
