"""The contract of ways to use skips, on plain tensors.

A file in ``training/ways`` is a way, and a variant of the configuration names it:
``{way: contrastive, query: item}``.  Its literal ``SETTINGS`` has the names of the settings that it
reads; the functions that it may define are the fields of :class:`Way`.

Shapes: B batch, L length, D dimension, C candidates, P predicted positions of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from torch import Generator, Tensor, nn

from skipwise.core.registry import find
from skipwise.sessions.sequences import Sequences
from skipwise.training.losses import candidate_cross_entropy


class Second(NamedTuple):
    """A second pass over other plays of the same sessions; padding is at the end of each row."""

    predictions: Tensor  # (B, L2, D)
    # With an encoder of its own: the positions (P2,) that another play of the pass follows, as
    # indices into B · L2, and that play as an index into the candidates (P2,).  Else empty.
    positions: Tensor
    targets: Tensor
    embedded: Tensor  # (B, L2, D) embeddings of the plays
    real: Tensor  # (B, L2) false at padding


class Reference(NamedTuple):
    """What a frozen copy of the model makes of the same batch, without dropout."""

    predictions: Tensor  # (B, L, D)
    embedded: Tensor  # (B, L, D)


class Step(NamedTuple):
    """What a way may use of one step; padding is at the end of each row."""

    predictions: Tensor  # (B, L, D) ŷ at each position
    embedded: Tensor  # (B, L, D) embeddings of the session's tracks
    candidates: Tensor  # (C, D) embeddings of the candidates of the cross-entropy, all distinct
    positions: Tensor  # (P,) predicted positions, as indices into the B · L positions
    targets: Tensor  # (P,) their targets, as indices into the candidates
    tracks: Tensor  # (B, L) a number for each distinct track of the step
    among: Tensor  # (B, L) the session's tracks as indices into the candidates, −1 if not in them
    next_listened: Tensor  # (B, L) position of the next listened track, −1 if there is none
    queries: Tensor  # (B, L) listened positions that a later listened track follows
    skipped: Tensor  # (B, L) skipped plays, false at padding
    listened: Tensor  # (B, L) listened plays, false at padding; an unknown label is neither
    rejected: Tensor  # (K,) skipped plays but the first of a session, as indices into B · L
    n_tracks: int  # N, the size of the catalogue
    settings: dict  # merged settings of the variant
    epoch: int = 1  # counted from 1
    weights: nn.Module | None = None  # of the hook `weights`
    second: Second | None = None  # with the hook `second`
    reference: Reference | None = None  # after epoch `reference_epochs`, where that is set
    inclusion: Tensor | None = None  # (C,) with INCLUSION: how probably each is a candidate


def cross_entropy(step: Step) -> Tensor:
    """The main loss of docs/protocol.md: mean cross-entropy among the candidates."""
    predictions = step.predictions.flatten(0, 1).index_select(0, step.positions)
    return candidate_cross_entropy(predictions, step.candidates, step.targets)


@dataclass(frozen=True)
class Way:
    """The functions of a file in ``training/ways``, by name.  One that the file does not define
    has the default, which does nothing.
    """

    # Which plays (E,) of the sessions enter the encoder, in training and at prediction.
    enters: Callable[[Sequences], np.ndarray] | None = None
    # Which plays (E,) a second pass of training sees: through the same encoder or, with
    # OWN_ENCODER, through one with weights of its own, which predicts the next one of them.
    second: Callable[[Sequences], np.ndarray] | None = None
    OWN_ENCODER: bool = False
    # Whether the losses read how probably a track is a candidate of a step.
    INCLUSION: bool = False
    # From settings and generator a module with weights of its own, for the losses.
    weights: Callable[[dict, Generator], nn.Module] | None = None
    # From settings and generator a module with weights of its own.  It makes of the labels (B, L)
    # of the plays (0 for padding, masked and unknown ones, 1 listened, 2 skipped) vectors (B, L, D)
    # that are added to the embedded plays, in training and at prediction.
    added: Callable[[dict, Generator], nn.Module] | None = None
    # A scalar that is added with the weight alpha, the mean over the batch; 0 if nothing in the
    # batch was skipped.
    loss: Callable[[Step], Tensor] | None = None
    # Scores (B, N + 1) from the module of `weights`, settings, ŷ (B, D) after each context and the
    # table (N + 1, D); without it they are the products of the last two.
    score: Callable[[nn.Module, dict, Tensor, Tensor], Tensor] | None = None
    # Logits (B, N + 1) of a skip of each track, from the module of `weights`, ŷ (B, D) and the
    # table (N + 1, D), for the table responsiveness.
    skip_logits: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None
    # What is trained in any case, with the weight beta.
    base: Callable[[Step], Tensor] = cross_entropy


def deviation(settings: dict) -> float:
    """The standard deviation that vectors of tracks, masks and labels are drawn with: the setting
    ``initialization`` or, without one, 1/√D.
    """
    return settings["initialization"] or settings["dimension"] ** -0.5


def entering(way: Way, sessions: Sequences) -> np.ndarray | slice:
    """The plays (E,) that enter the encoder: of a session of which none would, the last one."""
    if way.enters is None:
        return slice(None)
    chosen = way.enters(sessions).copy()
    rows = sessions.tracks.row_of_value()
    empty = np.bincount(rows, chosen, minlength=len(sessions)) == 0
    chosen[sessions.tracks.offsets[1:][empty] - 1] = True
    return chosen


def way_named(name: str | None) -> Way:
    """The way of a file; without a name the one that does nothing."""
    if name is None:
        return Way()
    module = find("way", name)
    hooks = (field.name for field in fields(Way))
    return Way(**{hook: getattr(module, hook) for hook in hooks if hasattr(module, hook)})
