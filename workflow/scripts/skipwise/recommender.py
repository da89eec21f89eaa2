"""The contract that every model keeps: what the workflow needs of it."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch import Tensor

from skipwise.core.errors import UserError
from skipwise.core.mistakes import setting_mistakes
from skipwise.core.registry import uses_labels
from skipwise.sessions.sequences import Sequences


class Savepoint(Protocol):
    """A place where a long training saves itself and from where it continues."""

    path: Path

    def save(self, tensors: dict[str, Tensor], values: dict) -> None:
        """Replace what was saved before."""

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """What was saved, None if there is nothing to continue from."""


class Recommender(ABC):
    """A model of the next listened track.

    ``n_tracks`` is N, the size of the catalogue; tracks are 1..N.  ``settings`` are the merged
    settings of model and variant from the configuration.
    """

    family: str
    # Names of the settings that the model reads; a setting it would ignore is an error, not a
    # surprise.  A model whose settings use labels of skips may have ``labels``, too.  With ``skips:
    # rejected`` none is optional.  Their values are held to the ``LIMITS`` of the model's file.
    SETTINGS: frozenset[str] = frozenset()
    OPTIONAL: frozenset[str] = frozenset()
    # The candidates that validation ranks among, and that recommendations are taken from: ``full``,
    # or ``new``, which leaves out the tracks of the context.
    candidates: str = "full"
    # The validation NDCG@10 above which something is learned, of a model that knows it once fitted.
    floor: float | None = None
    # Called after each epoch with its row of ``history``, by models with epochs and validation; an
    # exception from it ends the training.
    watch: Callable[[dict], None] | None = None

    def __init__(self, n_tracks: int, settings: dict):
        """Raises UserError when a setting is missing or unknown, or its value is not allowed."""
        model = type(self).__module__.rsplit(".", 1)[-1].replace("_", "-")
        optional = self.OPTIONAL | ({"labels"} if uses_labels(settings) else set())
        needed = self.SETTINGS
        if settings.get("skips") == "rejected":
            needed |= self.OPTIONAL
        for wrong, what in (
            (needed - settings.keys(), "needs the setting"),
            (settings.keys() - self.SETTINGS - optional, "has no setting"),
        ):
            if wrong:
                known = ", ".join(sorted(needed))
                raise UserError(
                    f"model_registry.{model}: the model {what} '{min(wrong)}'; it reads {known}"
                )
        limits = getattr(sys.modules[type(self).__module__], "LIMITS", {})
        for name, value in settings.items():
            for said in setting_mistakes(value, limits.get(name, {})):
                raise UserError(f"model_registry.{model}: {name}: {said}")
        self.n_tracks = n_tracks
        self.settings = settings
        self.labels: str = settings.get("labels", "right")  # that a use of skips sees

    @abstractmethod
    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        """Learn from ``train``; ``valid`` may choose when to stop.

        Returns the rows of ``history``, [] if there are no epochs.  All randomness comes from
        ``seed``: the same seed and number of threads give the same model.  A model that trains for
        long may save itself in ``checkpoint`` and continue from there.
        """

    @abstractmethod
    def score(self, contexts: Sequences) -> Tensor:
        """Scores (B, N + 1) float32 of all tracks after each context; column 0 means nothing.  Only
        contexts may be read.
        """

    def use_device(self) -> None:
        """Go from the CPU to the device of the settings; a model without one stays."""
        return

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What :meth:`load_state` needs to score again, as contiguous tensors."""

    @abstractmethod
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the state of a fitted model."""


class VectorRecommender(Recommender):
    """A model whose score is the product of a vector of the context with one of the track: ranked
    block by block.
    """

    # Whether the scores are these products; a subclass may add to them and is ranked by its scores.
    products = True

    @property
    @abstractmethod
    def vectors(self) -> Tensor:
        """(N + 1, D) float32 vectors of the tracks, on any device; row 0 means nothing."""

    @abstractmethod
    def queries(self, contexts: Sequences) -> Tensor:
        """(B, D) float32 vectors of the contexts, on the device of :attr:`vectors`.  Only contexts
        may be read.
        """

    def score(self, contexts: Sequences) -> Tensor:
        return self.queries(contexts) @ self.vectors.T
