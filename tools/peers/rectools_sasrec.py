"""RecTools' SASRecModel: its data preparation, loss, Lightning module and Trainer, as ``fit`` runs
them.

The Trainer is the one that RecTools builds, with a callback that reads the clock after each batch,
so collating and the Trainer's own work count.  Batch 128, its default.  ``sampled-1000``: its
sampled softmax with 1,000 negatives for each position; ``sampled-1``: the same with its default of
one negative; ``softmax``: its default loss, the complete catalogue.  Ranking is ``recommend`` for
many sessions minus ``recommend`` for one, which removes the preparation of the catalogue.
"""

import statistics
import time

import pandas as pd
from measure import (
    DIMENSION,
    DROPOUT,
    HEADS,
    LAYERS,
    LENGTH,
    NEGATIVES,
    TOP,
    Clock,
    answer,
    case,
    lists,
    peak_gib,
)
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

MODELS = {
    "sampled-1000": {"loss": "sampled_softmax", "n_negatives": NEGATIVES},
    "sampled-1": {"loss": "sampled_softmax"},
    "softmax": {},
}


class Timer(Callback):
    """Ticks after every batch and stops the Trainer when the windows are full."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def __deepcopy__(self, memo):
        # RecTools fits with a deep copy of the Trainer.
        return self

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        trainer.should_stop = self.clock.tick(len(batch["y"]), int((batch["y"] != 0).sum()))


def plays(sessions: list[list[int]]) -> pd.DataFrame:
    """RecTools' interactions: one row per play."""
    rows = pd.DataFrame({Columns.User: range(len(sessions)), Columns.Item: sessions}).explode(
        Columns.Item, ignore_index=True
    )
    rows[Columns.Item] = rows[Columns.Item].astype("int64")
    rows[Columns.Weight] = 1.0
    rows[Columns.Datetime] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rows.index, unit="s")
    return rows


def main() -> None:
    given = case(__doc__)
    train = Clock(given.seconds)

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=1000,
            callbacks=[Timer(train)],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    model = SASRecModel(
        n_blocks=LAYERS,
        n_heads=HEADS,
        n_factors=DIMENSION,
        dropout_rate=DROPOUT,
        session_max_len=LENGTH,
        get_trainer_func=trainer,
        **MODELS[given.model],
    )
    model.fit(
        Dataset.construct(
            plays(lists(given.data / "sessions.parquet") + lists(given.data / "catalogue.parquet"))
        )
    )
    sessions, targets = train.rates()
    trained_gib = peak_gib()

    contexts = lists(given.data / "contexts.parquet")
    tested = Dataset.construct(plays(contexts))

    def seconds(users: int) -> float:
        started = time.perf_counter()
        model.recommend(range(users), tested, k=TOP, filter_viewed=False)
        return time.perf_counter() - started

    # So many that their ranking takes longer than the preparation, whose time varies.
    users = min(len(contexts), 1 + int(2048e6 // given.tracks))
    short, long = (statistics.median(seconds(n) for _ in range(3)) for n in (1, users))
    ranked = (users - 1) / (long - short)
    answer(
        given,
        "rectools",
        step_ms=train.step_ms,
        sessions_per_s=sessions,
        targets_per_s=targets,
        ranked_per_s=ranked,
        train_gib=trained_gib,
        peak_gib=peak_gib(),
    )


if __name__ == "__main__":
    main()
