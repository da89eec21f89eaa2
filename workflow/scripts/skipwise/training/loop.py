"""Training of all neural models: candidates, losses, lazy row-wise Adam, early stopping on
validation NDCG@10.

A step touches the rows of the batch's tracks and candidates only; nothing in it grows with the
catalogue.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from signal import Signals
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from skipwise.core.errors import DivergedError, StoppedError, UserError
from skipwise.core.log import logger
from skipwise.core.registry import reads_labels
from skipwise.ranking.base import Ranker
from skipwise.ranking.candidates import draw_distinct
from skipwise.ranking.gains import validation_metrics
from skipwise.ranking.ranker import validation_ranks, validation_sample
from skipwise.recommender import Savepoint
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import Batch, Batches, seen_labels
from skipwise.training.checkpoints import StopSignal
from skipwise.training.hooks import Reference, Second, Step, entering, way_named
from skipwise.training.optim import DenseAdam, RowAdam


class Trainable(Protocol):
    """What a training needs of a model."""

    n_tracks: int
    settings: dict
    causal: bool
    candidates: str  # that validation ranks among
    floor: float | None  # the validation NDCG@10 above which something is learned
    watch: Callable[[dict], None] | None
    table: Tensor  # (N + 1, D) embeddings of the tracks
    generator: torch.Generator

    @property
    def network(self) -> nn.Module:
        """Encoder and head: embedded (B, L, D), real (B, L), masked (B, L) or None, and labels
        (B, L), 1 listened and 2 skipped, to (B, L, D).
        """

    def state(self) -> dict[str, Tensor]:
        """All weights by name."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over all weights."""


def train_network(
    model: Trainable,
    ranker: Ranker,
    train: Sequences,
    valid: Sequences,
    *,
    seed: int,
    checkpoint: Savepoint | None = None,
) -> list[dict]:
    """Train ``model`` in place and leave it at its best epoch; returns the rows of ``history``.

    The best epoch has the highest NDCG@10 on the validation sessions among the model's
    ``candidates``; training stops when it has not risen for ``patience`` epochs, not before
    ``min_epochs``, and not while it is at most the model's ``floor``: a model may stay near the
    order by popularity for many epochs before it begins to learn.  Epochs that train a frozen
    reference count for neither: the best of them is the reference, and the way begins there.
    Raises DivergedError when the loss is no longer finite.

    With a ``checkpoint`` everything is saved after every epoch, and the training goes on from what
    is there: the weights are those of a training without a break.  SIGTERM and SIGINT then save
    after the current step and raise StoppedError.
    """
    training = Training(model, ranker, train, valid, seed)
    if checkpoint is None:
        while not training.is_over:
            for _ in training.steps():
                pass
            training.evaluate()
        return training.finish()
    with StopSignal() as stop:
        if saved := checkpoint.load():
            training.restore(*saved)
            del saved  # a second table
            training.watch(training.history)
            at = training.epoch, training.done
            logger.info("continues from %s: epoch %d, batch %d", checkpoint.path, *at)
        while not training.is_over:
            for _ in training.steps():
                if stop.received:
                    checkpoint.save(*training.snapshot())
                    raise _stopped(stop.received, training, checkpoint)
            training.evaluate()
            if not training.is_over:
                checkpoint.save(*training.snapshot())
                if stop.received:
                    raise _stopped(stop.received, training, checkpoint)
    return training.finish()


def _stopped(received: Signals, training: "Training", checkpoint: Savepoint) -> StoppedError:
    kept = "nothing of it is kept"
    if checkpoint.path.exists():
        kept = f"the next run continues from {checkpoint.path}"
    return StoppedError(received, f"stopped by {received.name} in epoch {training.epoch}; {kept}")


class Training:
    """The state of a training between two steps: epochs count from 1, ``done`` batches of the
    current one are behind it.
    """

    def __init__(
        self, model: Trainable, ranker: Ranker, train: Sequences, valid: Sequences, seed: int
    ):
        self.model, self.settings = model, model.settings
        self.rng = np.random.default_rng(seed)
        self.n_sessions = len(train)
        way = way_named(self.settings["way"])
        seen = seen_labels(train, model.settings.get("labels", "right"), stays="first")
        targets = self.settings["targets"]
        self.batches = Batches(
            # Where no way reads labels, they say what a target is, and nothing else.
            train if reads_labels(self.settings["way"]) and targets != "labelled" else seen,
            self.settings["batch_size"],
            targets,
            seen,
            entering(way, seen),
            way.second(seen) if way.second else None,
        )
        if way.enters and not self.batches.predict(causal=model.causal):
            raise UserError(
                f"the way {self.settings['way']} leaves nothing to predict in the train sequences; "
                "leave the variant out with null"
            )
        self.step = TrainStep(
            model, steps=self.settings["max_epochs"] * len(self.batches), rng=self.rng
        )
        if way.INCLUSION:
            self.step.target_shares = self.batches.target_shares(model.n_tracks)
        self.valid = validation_sample(valid, self.settings["validation_sessions"])
        self.ranker = ranker
        # The epochs before the way begins, the best of which is the frozen reference.
        self.reference_epochs = self.settings.get("reference_epochs") or 0
        self.history: list[dict] = []
        self.best = 0
        self.best_state: dict[str, Tensor] = {}
        self.epoch, self.done, self.seconds = 1, 0, 0.0
        self.sums = torch.zeros(3, dtype=torch.float64, device=model.table.device)
        self.order_drawn_from = self.rng.bit_generator.state

    @property
    def is_over(self) -> bool:
        """Whether the last epoch is behind it, by number or by patience."""
        last = self.epoch - 1
        waited = (
            last - self.reference_epochs >= self.settings["min_epochs"]
            and last - self.best >= self.settings["patience"]
        )
        return last >= self.settings["max_epochs"] or (waited and self._has_learned)

    @property
    def _has_learned(self) -> bool:
        """Whether the best epoch is above the floor; where nothing can be validated, too."""
        best = self.history[self.best - 1]["valid_ndcg_10"]
        return self.model.floor is None or not best <= self.model.floor

    def steps(self) -> Iterator[None]:
        """Take the steps that are left of the epoch; yields after each."""
        self.model.network.train()
        self.step.epoch = self.epoch
        now = self.rng.bit_generator.state
        self.rng.bit_generator.state = self.order_drawn_from
        order = self.batches.epoch(self.rng)
        for _ in range(self.done):
            next(order)
        if self.done:
            self.rng.bit_generator.state = now
        started = time.perf_counter()
        for batch in order:
            self.sums += self.step(batch)
            self.done += 1
            self.seconds += time.perf_counter() - started
            yield
            started = time.perf_counter()

    def evaluate(self) -> None:
        """End the epoch: a row of the history, and the state if it is the best."""
        started = time.perf_counter()
        self.step.rows.catch_up_all()
        seconds = self.seconds + time.perf_counter() - started
        loss, base, skip = (self.sums / len(self.batches)).tolist()
        if not np.isfinite(loss):
            raise DivergedError(
                f"the loss is not finite in epoch {self.epoch}: training diverged; lower "
                f"neural.learning_rate (now {self.settings['learning_rate']}) and run again"
            )
        ranks = validation_ranks(
            self.ranker, self.valid, cutoff=10, candidates=self.model.candidates
        )
        self.history.append(
            {
                "epoch": self.epoch,
                "loss": loss,
                "loss_base": base,
                "loss_skip": skip if self.step.way.loss else None,
                **validation_metrics(ranks),
                "seconds": seconds,
                "sessions_per_second": self.n_sessions / seconds,
                "best": False,
            }
        )
        if (
            not self.best
            or self.history[-1]["valid_ndcg_10"] > self.history[self.best - 1]["valid_ndcg_10"]
        ):
            self.best = self.epoch
            self.best_state = {
                name: tensor.to("cpu", copy=True) for name, tensor in self.model.state().items()
            }
        _log_epoch(
            self.history[-1],
            self.best if self.epoch > self.reference_epochs else 0,
            self.settings["max_epochs"],
            self.seconds + time.perf_counter() - started,
        )
        if self.epoch == self.reference_epochs:
            self._begin_way()
        self.epoch, self.done, self.seconds = self.epoch + 1, 0, 0.0
        self.sums.zero_()
        self.order_drawn_from = self.rng.bit_generator.state
        self.watch(self.history[-1:])

    def _begin_way(self) -> None:
        """Go back to the best epoch so far: its copy is the reference, and the optimiser is new."""
        device = self.model.table.device
        self.step.reference = {name: tensor.to(device) for name, tensor in self.best_state.items()}
        for name, tensor in self._tensors().items():
            best = self.best_state.get(name.removeprefix("model."))
            tensor.zero_() if best is None else tensor.copy_(best)
        self.step.rows.step = 0
        self.best, self.best_state = 0, {}

    def watch(self, rows: list[dict]) -> None:
        """Show rows of the history to the one who watches the training, who may end it."""
        if self.model.watch:
            for row in rows:
                self.model.watch(row)

    def finish(self) -> list[dict]:
        """Leave the model at its best epoch; returns the history."""
        self.history[self.best - 1]["best"] = True
        if not self._has_learned:
            logger.warning(
                "nothing is learned: the best epoch has a validation NDCG@10 of %.4f, and the "
                "order by popularity, with two standard errors, %.4f; change "
                "neural.learning_rate, or set a larger neural.max_epochs",
                self.history[self.best - 1]["valid_ndcg_10"],
                self.model.floor,
            )
        self.model.load_state(self.best_state)
        return self.history

    def _tensors(self) -> dict[str, Tensor]:
        """What changes in place during training, without the best state."""
        of_adam = {
            f"adam.{i}.{name}": tensor
            for name in ("mean", "square", "steps")
            for i, tensor in enumerate(getattr(self.step.adam, name))
        }
        of_rows = {
            f"rows.{name}": getattr(self.step.rows, name) for name in ("mean", "square", "last")
        }
        return (
            {f"model.{name}": tensor for name, tensor in self.model.state().items()}
            | of_adam
            | of_rows
            | {"sums": self.sums}
        )

    def snapshot(self) -> tuple[dict[str, Tensor], dict]:
        """Everything that :meth:`restore` needs, as tensors and as plain values."""
        tensors = self._tensors()
        for state, kept in (("best", self.best_state), ("reference", self.step.reference)):
            tensors |= {f"{state}.{name}": tensor for name, tensor in kept.items()}
        tensors["generator"] = self.model.generator.get_state()
        values = {
            name: getattr(self, name)
            for name in ("history", "best", "epoch", "done", "seconds", "order_drawn_from")
        }
        return tensors, values | {
            "rng": self.rng.bit_generator.state,
            "rows_step": self.step.rows.step,
        }

    def restore(self, tensors: dict[str, Tensor], values: dict) -> None:
        """Go to the state of a snapshot of the same training."""
        for name, tensor in self._tensors().items():
            tensor.copy_(tensors[name])
        # Copies: a tensor of the file would keep all of it in memory.
        kept: dict[str, dict[str, Tensor]] = {"best": {}, "reference": {}}
        for name, tensor in tensors.items():
            state, _, its = name.partition(".")
            if state in kept:
                kept[state][its] = tensor.clone()
        self.best_state = kept["best"]
        device = self.model.table.device
        self.step.reference = {name: t.to(device) for name, t in kept["reference"].items()}
        self.model.generator.set_state(tensors["generator"])
        for name in ("history", "best", "epoch", "done", "seconds", "order_drawn_from"):
            setattr(self, name, values[name])
        self.rng.bit_generator.state = values["rng"]
        self.step.rows.step = values["rows_step"]


class TrainStep:
    """One optimisation step on a batch: loss = α · skip loss + β · base loss, or the base loss
    alone for a variant whose way to use skips has no skip loss.

    Each is a mean over the batch, times the weight of the batch.
    """

    def __init__(self, model: Trainable, *, steps: int, rng: np.random.Generator):
        self.model, self.rng = model, rng
        rate = model.settings["learning_rate"]
        self.rows = RowAdam(model.table, lr=rate, steps=steps)
        self.adam = DenseAdam(model.network.parameters(), lr=rate)
        self.device = model.table.device
        self.autocast = torch.autocast(
            self.device.type,
            torch.bfloat16,
            enabled=model.settings.get("precision", "float32") == "bfloat16",
        )
        self.way = way_named(model.settings["way"])
        self.epoch = 1
        self.reference: dict[str, Tensor] = {}  # all weights of the frozen copy, if there is one
        # (N + 1,) share of the sessions that have a track as a target; with INCLUSION one track of
        # each session where nothing else is said.
        known = model.n_tracks + 1 if self.way.INCLUSION else 0
        self.target_shares = np.full(known, 1 / model.n_tracks)

    def __call__(self, batch: Batch) -> Tensor:
        """Take the step; returns loss, base loss and skip loss (3,)."""
        settings = self.model.settings

        # Positions to predict: all with a target or, for a bidirectional model, the masked ones.
        if self.model.causal:
            masked, predicted, targets = None, batch.predicted, batch.targets
        else:
            masked = predicted = batch.mask(settings["mask_share"], self.rng)
            targets = batch.tracks[masked]
        if not len(targets):  # of a few sessions, of which hardly a play entered
            return torch.zeros(3, device=self.device)

        # Those of a second pass over other plays (B, L2) with an encoder of its own: the next of
        # them.
        second = batch.tracks[:, :0] if batch.second is None else batch.second
        follows = (second[:, 1:] > 0) & self.way.OWN_ENCODER

        # Candidates (C,): the distinct targets and tracks drawn among the others.
        distinct, target = np.unique(
            np.concatenate([targets, second[:, 1:][follows]]), return_inverse=True
        )
        target, second_target = target[: len(targets)], target[len(targets) :]
        size = settings["sampled_candidates"]
        drawn = draw_distinct(self.rng, self.model.n_tracks, size, distinct[None])[0]
        candidates = np.concatenate([distinct, drawn[drawn > 0]])
        inclusion = None
        if self.way.INCLUSION:  # as a target of the batch, or else as a drawn track
            as_target = 1 - (1 - self.target_shares[candidates]) ** len(batch.tracks)
            others = max(self.model.n_tracks - len(distinct), 1)
            as_drawn = (1 - as_target) * min(len(drawn[drawn > 0]) / others, 1)
            inclusion = self._there((as_target + as_drawn).astype(np.float32))

        # The rows (R,) of the table that the step touches; from here on tracks (B, L), those of the
        # second pass (B, L2) and candidates (C,) are rows of that block.
        parts = batch.tracks, second, candidates
        rows, where = np.unique(
            np.concatenate([part.ravel() for part in parts]), return_inverse=True
        )
        ends = np.cumsum([part.size for part in parts])
        tracks, again, candidates = (
            found.reshape(part.shape)
            for found, part in zip(np.split(where, ends[:-1]), parts, strict=True)
        )
        among = np.full(len(rows), -1)
        among[candidates] = np.arange(len(candidates))
        block = self.rows.read(self._there(rows.astype(np.int64))).detach().requires_grad_()

        # The losses: the base loss at the predicted positions (P,), and the skip loss.
        with self.autocast:
            numbers = self._there(tracks)
            embedded = functional.embedding(numbers, block)
            real = self._there(batch.tracks > 0)
            hidden = None if masked is None else self._there(masked)
            labels = self._there(batch.labels)
            step = Step(
                predictions=self.model.network(embedded, real, hidden, labels),
                embedded=embedded,
                candidates=functional.embedding(self._there(candidates), block),
                positions=self._there(np.flatnonzero(predicted)),
                targets=self._there(target),
                tracks=numbers,
                among=self._there(among[tracks]),
                next_listened=self._there(batch.next_listened),
                queries=self._there(batch.queries),
                skipped=self._there(batch.skipped),
                listened=self._there(batch.listened),
                rejected=self._there(batch.rejected),
                n_tracks=self.model.n_tracks,
                settings=settings,
                epoch=self.epoch,
                weights=self.model.network.get_submodule("weights") if self.way.weights else None,
                inclusion=inclusion,
            )
            if batch.second is not None:
                embedded = functional.embedding(self._there(again), block)
                real = self._there(second > 0)
                network = self.model.network
                encoder = network.get_submodule("second") if self.way.OWN_ENCODER else network
                passed = Second(
                    predictions=encoder(embedded, real),
                    positions=self._there(np.flatnonzero(np.pad(follows, ((0, 0), (0, 1))))),
                    targets=self._there(second_target),
                    embedded=embedded,
                    real=real,
                )
                step = step._replace(second=passed)
            if self.reference:
                embedded = functional.embedding(self._there(batch.tracks), self.reference["table"])
                inputs = embedded, self._there(batch.tracks > 0), hidden, labels
                step = step._replace(reference=self._of_reference(*inputs))
            loss = base = self.way.base(step)
            skip = torch.zeros((), device=self.device)
            if self.way.loss:
                skip = self.way.loss(step)
                loss = settings.get("alpha", 1.0) * skip + settings.get("beta", 1.0) * base
        loss, base, skip = (batch.weight * term for term in (loss, base, skip))

        # Gradients of the block (R, D) and of the network, and one step of each optimiser.
        loss.backward()
        torch.nn.utils.clip_grad_norm_([block, *self.adam.weights], settings["gradient_clip"])
        assert block.grad is not None
        self.rows.update(block.grad)
        self.adam.step()
        return torch.stack([loss, base, skip]).detach()

    @torch.no_grad()
    def _of_reference(self, embedded: Tensor, *inputs: Tensor | None) -> Reference:
        """What the frozen copy makes of a batch."""
        prefix, network = "network.", self.model.network
        weights = {
            name.removeprefix(prefix): tensor
            for name, tensor in self.reference.items()
            if name.startswith(prefix)
        }
        network.eval()
        predictions = functional_call(network, weights, (embedded, *inputs))
        network.train()
        return Reference(predictions, embedded)

    def _there(self, array: np.ndarray) -> Tensor:
        """The array on the device of the model.

        Nothing comes back in a step, so a GPU never waits for the host.
        """
        return torch.from_numpy(array).to(self.device, non_blocking=True)


def _log_epoch(row: dict, best: int, max_epochs: int, seconds: float) -> None:
    """``seconds`` is what the epoch took with its validation."""
    skip = "" if row["loss_skip"] is None else f" + skip loss {row['loss_skip']:.4f}"
    logger.info(
        "epoch %d of at most %d: loss %.4f (cross-entropy %.4f%s), validation NDCG@10 %.4f "
        "(%s), %.0f sessions/s, at most %s left",
        row["epoch"],
        max_epochs,
        row["loss"],
        row["loss_base"],
        skip,
        row["valid_ndcg_10"],
        f"best in epoch {best}" if best else "for the reference",
        row["sessions_per_second"],
        timedelta(seconds=round((max_epochs - row["epoch"]) * seconds)),
    )
