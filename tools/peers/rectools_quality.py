"""RecTools on the sessions of a split: its SASRecModel, EASEModel and ImplicitItemKNNWrapperModel.

Users are the sessions, fitted on the train sequences; `recommend` then gets a dataset of the
contexts, of the tracks that were fitted.  A callback of SASRec's Trainer recommends after each
epoch, and the epoch with the best validation NDCG@10 counts (`fit_partial` would start the
optimiser anew); its defaults are RecTools' own but for the number of factors and of epochs.
"""

import time

import pandas as pd
import torch
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from pytorch_lightning import Callback, Trainer, seed_everything
from quality import MOST_EPOCHS, TOP, Contexts, EarlyStop, Job, Run, answer, job
from rectools import Columns
from rectools.dataset import Dataset, IdMap, Interactions
from rectools.models import EASEModel, ImplicitItemKNNWrapperModel, SASRecModel
from rectools.models.base import ModelBase

LENGTH = 20
NEIGHBOURS = {"cosine": CosineRecommender, "tf-idf": TFIDFRecommender, "bm25": BM25Recommender}


def plays(sequences: list[list[int]]) -> pd.DataFrame:
    """RecTools' interactions of sessions that are numbered from 0, one row per play."""
    rows = pd.DataFrame({Columns.User: range(len(sequences)), Columns.Item: sequences}).explode(
        Columns.Item, ignore_index=True
    )
    rows = rows.dropna()
    rows[Columns.Item] = rows[Columns.Item].astype("int64")
    rows[Columns.Weight] = 1.0
    rows[Columns.Datetime] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rows.index, unit="s")
    return rows


def predict(model: ModelBase, fitted: Dataset, contexts: Contexts) -> Run:
    """The recommendations for a dataset of the contexts."""
    known = set(fitted.item_id_map.external_ids.tolist())
    rows = plays(contexts.known(known))
    users = IdMap.from_values(rows[Columns.User].to_numpy())
    interactions = Interactions.from_raw(rows, users, fitted.item_id_map)
    asked = Dataset(users, fitted.item_id_map, interactions)
    found = model.recommend(users.external_ids, asked, k=TOP, filter_viewed=False)
    return Run(
        contexts.sessions[found[Columns.User].to_numpy().astype(int)],
        found[Columns.Item].to_numpy().astype(int),
        found[Columns.Score].to_numpy(),
    )


class Looks(Callback):
    """Looks at the validation data after each epoch, and stops the Trainer when it is time."""

    def __init__(self, model: SASRecModel, looks: EarlyStop):
        self.model, self.looks = model, looks

    def __deepcopy__(self, memo: dict) -> "Looks":
        # RecTools fits with a deep copy of the Trainer.
        return self

    def on_train_epoch_end(self, trainer: Trainer, module: torch.nn.Module) -> None:
        self.model.is_fitted = True  # else it does not recommend
        trainer.should_stop = self.looks.look(trainer.current_epoch + 1)
        module.train()


def sasrec(given: Job, train: Dataset) -> tuple[Run | None, dict]:
    """The run of the best epoch."""
    seed_everything(given.seed)

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=MOST_EPOCHS,
            callbacks=callbacks,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    callbacks: list[Callback] = []
    model = SASRecModel(
        n_factors=given.dimension,
        session_max_len=LENGTH,
        get_trainer_func=trainer,
        recommend_torch_device="cpu",
        **given.settings,
    )
    looks = EarlyStop(given, lambda contexts: predict(model, train, contexts))
    callbacks.append(Looks(model, looks))
    model._init_trainer()
    model.fit(train)
    return looks.run, looks.found()


def of_counts(given: Job, train: Dataset) -> tuple[Run | None, dict]:
    """The run of a model without training by epochs."""
    settings = dict(given.settings)
    model: ModelBase
    if given.model == "EASE":
        model = EASEModel(recommend_n_threads=given.threads, **settings)
    else:
        kind = NEIGHBOURS[settings.pop("weighting")]
        model = ImplicitItemKNNWrapperModel(kind(num_threads=given.threads, **settings))
    model.fit(train)
    return predict(model, train, given.contexts()), {}


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    torch.set_num_threads(given.threads)
    train = Dataset.construct(plays(given.train().tracks))
    run, more = (sasrec if given.model == "SASRec" else of_counts)(given, train)
    answer(given, "rectools", run, started, **more)


if __name__ == "__main__":
    main()
