"""RePlay's SASRec on the sessions of a split: its ParquetModule, transforms, losses, Adam and
LightningModule, as its examples use them.

A callback of the Trainer ranks after each epoch by the model's `forward_inference`, and the epoch
with the best validation NDCG@10 counts.  Defaults are those of `SasRec.from_params` and of
OptimizerFactory but for the embedding; the batch, which has no default, has 128 sessions.
"""

import tempfile
import time
from pathlib import Path

import lightning
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from quality import MOST_EPOCHS, Contexts, EarlyStop, Job, Run, answer, best, job, joined
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms

NAME = "tracks"
LENGTH = 20
DEFAULTS = {
    "num_heads": 4,
    "num_blocks": 2,
    "dropout": 0.3,
    "learning_rate": 1e-3,
    "batch_size": 128,
}


class Looks(lightning.Callback):
    """Looks at the validation data after each epoch, and stops the Trainer when it is time."""

    def __init__(self, looks: EarlyStop):
        self.looks = looks

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: torch.nn.Module) -> None:
        trainer.should_stop = self.looks.look(trainer.current_epoch + 1)
        module.train()


def schema(n_tracks: int, dimension: int) -> TensorSchema:
    """Its tracks are 0..N − 1 and padding is N."""
    info = TensorFeatureInfo(
        NAME,
        is_seq=True,
        feature_type=FeatureType.CATEGORICAL,
        embedding_dim=dimension,
        padding_value=n_tracks,
        cardinality=n_tracks,
        feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, NAME)],
    )
    return TensorSchema([info])


def data(given: Job, features: TensorSchema, batch: int, folder: Path) -> ParquetModule:
    """The train sequences, by way of a file with tracks from 0."""
    train = given.train()
    sequences = [[track - 1 for track in tracks] for tracks in train.tracks]
    path = folder / "train.parquet"
    pq.write_table(
        pa.table({"session_id": train.sessions, NAME: pa.array(sequences, pa.list_(pa.int64()))}),
        path,
    )
    # One more than the model sees, for the next track.
    columns = {NAME: {"shape": LENGTH + 1, "padding": given.n_tracks}, "session_id": {}}
    return ParquetModule(
        batch_size={"train": batch},
        metadata={"train": columns},
        transforms={"train": make_default_sasrec_transforms(features)["train"]},
        train_path=str(path),
    )


@torch.inference_mode()
def predict(model: SasRec, n_tracks: int, contexts: Contexts) -> Run:
    """The best tracks after each context, padded on the left as ParquetModule does."""
    model.eval()
    runs = []
    for start in range(0, len(contexts), 512):
        recent = [tracks[-LENGTH:] for tracks in contexts.tracks[start : start + 512]]
        rows = [[n_tracks + 1] * (LENGTH - len(tracks)) + tracks for tracks in recent]
        inputs = torch.tensor(rows) - 1
        found = model(feature_tensors={NAME: inputs}, padding_mask=inputs < n_tracks)
        scores = found["logits"].numpy()
        sessions = contexts.sessions[start : start + 512]
        runs.append(best(sessions, scores, np.arange(1, n_tracks + 1)))
    return joined(runs)


def fitted(given: Job) -> EarlyStop:
    """The best look of the training that the job asks for."""
    settings = DEFAULTS | given.settings
    rate, batch = settings.pop("learning_rate"), settings.pop("batch_size")
    lightning.seed_everything(given.seed, verbose=False)
    features = schema(given.n_tracks, given.dimension)
    model = SasRec.from_params(features, given.dimension, max_sequence_length=LENGTH, **settings)
    looks = EarlyStop(given, lambda contexts: predict(model, given.n_tracks, contexts))
    trainer = lightning.Trainer(
        max_epochs=MOST_EPOCHS,
        limit_val_batches=0,
        callbacks=[Looks(looks)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = LightningModule(model, OptimizerFactory(learning_rate=rate))
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(module, datamodule=data(given, features, batch, Path(folder)))
    return looks


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    torch.set_num_threads(given.threads)
    looks = fitted(given)
    answer(given, "replay-rec", looks.run, started, **looks.found())


if __name__ == "__main__":
    main()
