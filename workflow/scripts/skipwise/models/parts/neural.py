"""What all neural models share: embeddings tied with the output, an encoder, a head
(docs/protocol.md, models).
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.core.registry import declared
from skipwise.core.torch_setup import find_device, use_threads
from skipwise.models.parts.layers import check_choice, linear
from skipwise.models.popularity import Popularity
from skipwise.ranking.gains import ndcg
from skipwise.ranking.ranker import ranker, validation_ranks, validation_sample
from skipwise.recommender import Savepoint, VectorRecommender
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import seen_labels
from skipwise.training.hooks import deviation, entering, way_named
from skipwise.training.loop import train_network

HEADS = ("linear-gelu", "none")


class Network(nn.Module):
    """Encoder and head: embedded tracks (B, L, D) to predictions ŷ (B, L, D).

    The setting ``head`` is ``linear-gelu``, GELU(Linear(D, D)) as P2 has it, or ``none``: ŷ is what
    the encoder gives, as in Kang & McAuley 2018 and in the field's libraries.  With ``scale`` the
    encoder gets the embeddings times √D (Vaswani et al. 2017; SASRec's own code).  Where ``masked``
    (B, L) is true it gets a learned mask instead of the track.  The hook ``added`` of a way to use
    skips makes vectors of the ``labels`` (B, L), which are added to the embeddings.
    """

    def __init__(
        self, encoder: nn.Module, settings: dict, generator: torch.Generator, *, masks: bool
    ):
        super().__init__()
        dimension = settings["dimension"]
        check_choice("head", settings["head"], HEADS)
        self.encoder = encoder
        self.scale = dimension**0.5 if settings["scale"] else 1.0
        self.head = (
            linear(dimension, dimension, generator) if settings["head"] == "linear-gelu" else None
        )
        if masks:
            self.mask = nn.Parameter(
                torch.empty(dimension).normal_(0, deviation(settings), generator=generator)
            )
        added = way_named(settings["way"]).added
        self.added = added(settings, generator) if added else None

    def forward(
        self,
        embedded: Tensor,
        real: Tensor,
        masked: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        if masked is not None:
            embedded = torch.where(masked.unsqueeze(2), self.mask, embedded)
        if self.added is not None:
            assert labels is not None
            embedded = embedded + self.added(
                labels if masked is None else labels.masked_fill(masked, 0)
            )
        if self.scale != 1:
            embedded = embedded * self.scale
        encoded = self.encoder(embedded, real)
        return encoded if self.head is None else functional.gelu(self.head(encoded))


class NeuralRecommender(VectorRecommender):
    """Score of a track = ŷ · e.

    A model file subclasses this and gives :meth:`build_encoder`; ``causal`` says that position i of
    its output depends on positions up to i only.  A causal model learns to predict the next
    listened track at every position, and ŷ is read at the last position of a context.  Another one
    learns to fill in masked tracks, of which it needs the setting ``mask_share``, and ŷ is read at
    a mask that is appended to the context.
    """

    family = "neural"
    causal: bool
    SETTINGS = frozenset(
        {
            "dimension",
            "dropout",
            "head",
            "scale",
            "initialization",
            "learning_rate",
            "batch_size",
            "sampled_candidates",
            "gradient_clip",
            "min_epochs",
            "max_epochs",
            "patience",
            "validation_sessions",
            "max_length",
            "targets",
            "way",
        }
    )
    OPTIONAL = frozenset({"alpha", "beta", "device", "precision"})
    network: Network
    table: Tensor  # (N + 1, D)

    def __init__(self, n_tracks: int, settings: dict):
        """Raises UserError if a setting of the model or of its way is missing or unknown."""
        if name := settings.get("way"):
            way = declared("way", name)
            if way.get("CAUSAL") and not self.causal:
                raise UserError(
                    f"the way {name} needs a prediction at every position, which a bidirectional "
                    "model does not make; leave the variant out with null"
                )
            self.SETTINGS = self.SETTINGS | set(way["SETTINGS"])
        super().__init__(n_tracks, settings)
        self.products = way_named(settings["way"]).score is None
        # Of the CPU on every device: the same seed draws the same weights.
        self.generator = torch.Generator()

    @abstractmethod
    def build_encoder(self, generator: torch.Generator) -> nn.Module:
        """A module that takes embedded tracks (B, L, D) and ``real`` (B, L), false at padding, and
        returns (B, L, D).
        """

    def initialise(self, seed: int) -> None:
        """Draw all weights from ``seed``, on the CPU, and put them on the device of the settings.

        The table (N + 1, D) is normal with the standard deviation of :func:`deviation`; padding
        is 0.
        """
        self._build_network(seed)
        self.table = torch.empty(self.n_tracks + 1, self.settings["dimension"]).normal_(
            0, deviation(self.settings), generator=self.generator
        )
        self.table[0] = 0
        self.use_device()

    def use_device(self) -> None:
        """Go from the CPU to the device of the settings.  Raises UserError if there is none."""
        device = find_device(self.settings.get("device", "cpu"))
        self.network.to(device)
        self.table = self.table.to(device)

    def _build_network(self, seed: int) -> None:
        self.generator.manual_seed(seed)
        encoder = self.build_encoder(self.generator)
        self.network = Network(encoder, self.settings, self.generator, masks=not self.causal)
        way = way_named(self.settings["way"])
        if way.OWN_ENCODER:
            encoder = self.build_encoder(self.generator)
            self.network.second = Network(encoder, self.settings, self.generator, masks=False)
        if way.weights:
            self.network.weights = way.weights(self.settings, self.generator)

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        use_threads(threads)
        self.initialise(seed)
        # A model that has learned nothing but what is popular is at times a little above it.
        popularity = Popularity(self.n_tracks, {})
        popularity.fit(train, valid, seed=seed, threads=threads)
        counts = train.counts(self.n_tracks)
        sessions = validation_sample(valid, self.settings["validation_sessions"])
        gains = ndcg(
            validation_ranks(
                ranker(popularity, counts), sessions, cutoff=10, candidates=self.candidates
            ),
            10,
        )
        self.floor = float(gains.mean() + 2 * gains.std() / max(len(gains), 1) ** 0.5)
        ranking = ranker(self, counts)
        return train_network(self, ranking, train, valid, seed=seed, checkpoint=checkpoint)

    @property
    def vectors(self) -> Tensor:
        return self.table

    @torch.inference_mode()
    def queries(self, contexts: Sequences) -> Tensor:
        """ŷ (B, D) after each context."""
        self.network.eval()
        device = self.table.device
        contexts = seen_labels(contexts, self.labels, stays="last")
        contexts = contexts.with_plays(entering(way_named(self.settings["way"]), contexts))
        tracks = torch.from_numpy(contexts.tracks.padded().astype("int64")).to(device)
        labels = torch.from_numpy(contexts.labels.padded()).to(device)
        rows, at = (
            torch.arange(len(tracks), device=device),
            torch.from_numpy(contexts.tracks.lengths - 1).to(device),
        )
        real, masked = tracks > 0, None
        if not self.causal:
            at = at + 1
            tracks, labels = functional.pad(tracks, (0, 1)), functional.pad(labels, (0, 1))
            masked = torch.zeros_like(tracks, dtype=torch.bool)
            masked[rows, at] = True
            real = (tracks > 0) | masked
        embedded = functional.embedding(tracks, self.table)
        return self.network(embedded, real, masked, labels)[rows, at]

    def score(self, contexts: Sequences) -> Tensor:
        way = way_named(self.settings["way"])
        if way.score is None:
            return super().score(contexts)
        head = self.network.get_submodule("weights")
        with torch.inference_mode():
            return way.score(head, self.settings, self.queries(contexts), self.table).cpu()

    def skip_logits(self, contexts: Sequences) -> Tensor | None:
        """Logits (B, N + 1) that each track is skipped after the contexts, None if the way predicts
        no skips.
        """
        way = way_named(self.settings["way"])
        if way.skip_logits is None:
            return None
        head = self.network.get_submodule("weights")
        with torch.inference_mode():
            return way.skip_logits(head, self.queries(contexts), self.table).cpu()

    def state(self) -> dict[str, Tensor]:
        weights = {
            f"network.{name}": tensor.contiguous()
            for name, tensor in self.network.state_dict().items()
        }
        return {"table": self.table, **weights}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the state of a fitted model, on the CPU whatever the device of the settings."""
        self._build_network(
            0
        )  # and no table: to draw a large one takes longer than to map the file into memory
        prefix = "network."
        self.network.load_state_dict(
            {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
        )
        self.table = state["table"]
