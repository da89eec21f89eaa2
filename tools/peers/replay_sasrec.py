"""RePlay's SASRec: its ParquetModule, transforms, sampled cross-entropy, LightningModule and
Trainer, as its examples use them.

A callback of the Trainer reads the clock after each batch, so reading, collating and the Trainer's
own work count, as they do for a user.  1,000 negatives, shared by the batch of 128, from its
UniformNegativeSamplingTransform; its Adam.
"""

import lightning
from measure import (
    AT_ONCE,
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
    peak_gib,
)
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import TorchTopItemsCallback
from replay.nn.loss import CESampled
from replay.nn.sequential import SasRec
from replay.nn.transform import UniformNegativeSamplingTransform
from replay.nn.transform.template import make_default_sasrec_transforms

BATCH = 128


class Timer(lightning.Callback):
    """Ticks after every batch and stops the Trainer when the windows are full."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        trainer.should_stop = self.clock.tick(
            len(batch["padding_mask"]), int(batch["target_padding_mask"].sum())
        )

    def on_predict_batch_end(self, trainer, module, outputs, batch, batch_idx, dataloader_idx=0):
        if self.clock.tick(len(batch["padding_mask"])):
            raise StopIteration  # ends the loop over the batches


def main() -> None:
    given = case(__doc__)
    # Its tracks are 0..N − 1 and padding is N; ours are 1..N, so our track N is also
    # its padding.  Only the time matters here.
    name, padding = "tracks", given.tracks
    info = TensorFeatureInfo(
        name,
        is_seq=True,
        feature_type=FeatureType.CATEGORICAL,
        embedding_dim=DIMENSION,
        padding_value=padding,
        cardinality=given.tracks,
        feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, name)],
    )
    schema = TensorSchema([info])
    transforms = make_default_sasrec_transforms(schema)
    transforms["train"].insert(0, UniformNegativeSamplingTransform(given.tracks, NEGATIVES))
    columns = {name: {"shape": LENGTH, "padding": padding}, "session_id": {}}
    data = ParquetModule(
        batch_size={"train": BATCH, "predict": AT_ONCE},
        metadata={"train": columns, "predict": columns},
        transforms=transforms,
        train_path=str(given.data / "sessions.parquet"),
        predict_path=str(given.data / "contexts.parquet"),
    )
    body = SasRec.from_params(
        schema,
        DIMENSION,
        num_heads=HEADS,
        num_blocks=LAYERS,
        max_sequence_length=LENGTH,
        dropout=DROPOUT,
    ).body
    module = LightningModule(SasRec(body, CESampled(ignore_index=padding)))
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    train = Clock(given.seconds)
    lightning.Trainer(max_epochs=1000, limit_val_batches=0, callbacks=[Timer(train)], **quiet).fit(
        module, datamodule=data
    )
    sessions, targets = train.rates()
    trained_gib = peak_gib()

    rank = Clock(given.seconds)
    top = TorchTopItemsCallback(TOP, "session_id")
    trainer = lightning.Trainer(callbacks=[top, Timer(rank)], **quiet)
    while not rank.is_over:
        try:
            trainer.predict(module, datamodule=data, return_predictions=False)
        except StopIteration:
            break
    answer(
        given,
        "replay-rec",
        step_ms=train.step_ms,
        sessions_per_s=sessions,
        targets_per_s=targets,
        ranked_per_s=rank.rates()[0],
        train_gib=trained_gib,
        peak_gib=peak_gib(),
    )


if __name__ == "__main__":
    main()
