"""RecBole's SASRec and GRU4Rec with full cross-entropy: its Dataset, data loaders and Trainer.

``Trainer._train_epoch`` gets RecBole's own loader, wrapped so that the clock ticks between batches;
in ``Trainer.evaluate`` it ticks when the best tracks of a batch have been collected.  RecBole makes
one training case of every position (its data augmentation), so a case is a target, and a session
counts as many cases as it has targets.  Batch 2,048, its default, or fewer if the scores of a batch
with the catalogue would take more than 2 GiB.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from measure import (
    AT_ONCE,
    DIMENSION,
    DROPOUT,
    HEADS,
    LAYERS,
    LENGTH,
    TOP,
    Clock,
    answer,
    case,
    counted,
    lists,
    peak_gib,
)

given = case(__doc__)
sys.argv = sys.argv[:1]  # RecBole reads them as its configuration.

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402

SCORES = 2**29
OF_MODEL = {
    "SASRec": {
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_size": DIMENSION,
        "inner_size": DIMENSION,
        "hidden_dropout_prob": DROPOUT,
        "attn_dropout_prob": DROPOUT,
    },
    "GRU4Rec": {"embedding_size": DIMENSION, "hidden_size": DIMENSION, "dropout_prob": DROPOUT},
}


class Counted:
    """A loader of RecBole that makes the clock tick."""

    def __init__(self, loader, clock: Clock, counts):
        self.loader, self.clock, self.counts = loader, clock, counts

    def __iter__(self) -> Iterator:
        return counted(lambda: iter(self.loader), self.clock, self.counts)

    def __getattr__(self, name):
        return getattr(self.loader, name)


def main() -> None:
    os.chdir(tempfile.mkdtemp())  # RecBole writes logs where it runs.
    folder = Path("simulated")
    folder.mkdir()
    sessions = lists(given.data / "sessions.parquet")[:4096]
    plays = pd.DataFrame({"user_id:token": range(len(sessions)), "item_id:token": sessions})
    plays = plays.explode("item_id:token", ignore_index=True)
    plays["timestamp:float"] = range(len(plays))
    plays.to_csv(folder / "simulated.inter", sep="\t", index=False)
    pd.DataFrame({"item_id:token": range(1, given.tracks + 1)}).to_csv(
        folder / "simulated.item", sep="\t", index=False
    )
    config = Config(
        model=given.model,
        dataset="simulated",
        config_dict=OF_MODEL[given.model]
        | {
            "data_path": ".",
            "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "TIME_FIELD": "timestamp",
            "MAX_ITEM_LIST_LENGTH": LENGTH,
            "eval_args": {
                "split": {"LS": "valid_and_test"},
                "order": "TO",
                "mode": "full",
                "group_by": "user",
            },
            "train_neg_sample_args": None,
            "train_batch_size": min(2048, SCORES // given.tracks),
            "eval_batch_size": AT_ONCE,
            "topk": [TOP],
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        },
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    trained, _, tested = data_preparation(config, dataset)
    model = get_model(config["model"])(config, trained._dataset).to(config["device"])
    assert model.n_items == given.tracks + 1, f"RecBole sees {model.n_items - 1} tracks"
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)

    train = Clock(given.seconds)
    trainer._train_epoch(Counted(trained, train, lambda batch: (len(batch),)), 0)
    (targets,) = train.rates()
    trained_gib = peak_gib()
    rank = Clock(given.seconds)
    collect = trainer.eval_collector.eval_batch_collect

    def collect_and_tick(scores, interaction, *positive):
        collect(scores, interaction, *positive)
        if rank.tick(len(interaction)):
            raise StopIteration

    trainer.eval_collector.eval_batch_collect = collect_and_tick
    while not rank.is_over:
        with contextlib.suppress(StopIteration):
            trainer.evaluate(tested, load_best_model=False)
    # A session has one case fewer than tracks.
    of_session = sum(len(tracks) - 1 for tracks in sessions) / len(sessions)
    answer(
        given,
        "recbole",
        step_ms=train.step_ms,
        sessions_per_s=targets / of_session,
        targets_per_s=targets,
        ranked_per_s=rank.rates()[0],
        train_gib=trained_gib,
        peak_gib=peak_gib(),
    )


if __name__ == "__main__":
    main()
