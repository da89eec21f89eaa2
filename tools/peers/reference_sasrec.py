"""A plain SASRec in torch, written from the literature alone: a witness that shares no code with
skipwise or with a library.

Embeddings are scaled by the root of d, positions are learned and counted from the end of the
sequence, the layers are causal with their norm before (``pre``, with a last norm) or after each
part (``post``), the output is tied to the embeddings without a head.  The loss is the
cross-entropy over the complete catalogue for the next track of every position; no skip label is
used.  Adam; the epoch with the best validation NDCG@10 counts.
"""

import itertools
import time

import numpy as np
import torch
from quality import Contexts, EarlyStop, Job, Run, answer, best, job, joined
from torch import Tensor, nn

LENGTH = 20
BATCH = 128
DEFAULTS = {
    "layers": 2,
    "heads": 2,
    "dropout": 0.2,
    "learning_rate": 1e-3,
    "norm": "pre",
}


class Layer(nn.Module):
    """Causal self-attention and a feed-forward part, each with dropout and a residual."""

    def __init__(self, dimension: int, heads: int, dropout: float, pre: bool):
        super().__init__()
        self.pre = pre
        self.attention = nn.MultiheadAttention(dimension, heads, dropout, batch_first=True)
        self.forward_part = nn.Sequential(
            nn.Linear(dimension, dimension),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dimension, dimension),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dimension) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor, closed: Tensor) -> Tensor:
        return self.attention(x, x, x, attn_mask=closed, need_weights=False)[0]

    def forward(self, x: Tensor, closed: Tensor) -> Tensor:
        first, second = self.norms
        if self.pre:
            x = x + self.dropout(self.attend(first(x), closed))
            return x + self.dropout(self.forward_part(second(x)))
        x = first(x + self.dropout(self.attend(x, closed)))
        return second(x + self.dropout(self.forward_part(x)))


class SASRec(nn.Module):
    """Sequences, padded on the left with 0, to the vectors that rank what follows each position."""

    def __init__(self, n_tracks: int, dimension: int, settings: dict):
        super().__init__()
        pre, self.heads = settings["norm"] == "pre", settings["heads"]
        self.tracks = nn.Embedding(n_tracks + 1, dimension, padding_idx=0)
        self.positions = nn.Embedding(LENGTH, dimension)
        for table in (self.tracks, self.positions):
            nn.init.normal_(table.weight, std=dimension**-0.5)
        self.dropout = nn.Dropout(settings["dropout"])
        self.layers = nn.ModuleList(
            Layer(dimension, self.heads, settings["dropout"], pre)
            for _ in range(settings["layers"])
        )
        self.last_norm = nn.LayerNorm(dimension) if pre else nn.Identity()

    def forward(self, sequences: Tensor) -> Tensor:
        length = sequences.shape[1]
        from_end = torch.arange(length - 1, -1, -1)
        x = self.tracks(sequences) * self.tracks.embedding_dim**0.5 + self.positions(from_end)
        x = self.dropout(x)
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        closed = later | (sequences == 0)[:, None, :]
        # A padded position sees itself, because attention to nothing is not a number.
        closed = closed & ~torch.eye(length, dtype=torch.bool)
        closed = closed.repeat_interleave(self.heads, dim=0)
        for layer in self.layers:
            x = layer(x, closed)
        return self.last_norm(x)

    def scores(self, vectors: Tensor) -> Tensor:
        """Of the tracks 1..N."""
        return vectors @ self.tracks.weight[1:].T


def padded(sequences: list[list[int]]) -> Tensor:
    """A matrix of the last LENGTH tracks of each, padded on the left."""
    recent = [one[-LENGTH:] for one in sequences]
    longest = max(map(len, recent))
    return torch.tensor([[0] * (longest - len(one)) + one for one in recent])


def train_epoch(
    model: SASRec, optimiser: torch.optim.Optimizer, sequences: list[list[int]], order: np.ndarray
) -> None:
    """One pass over the sequences in this order."""
    model.train()
    for start in range(0, len(order), BATCH):
        batch = padded([sequences[i] for i in order[start : start + BATCH]])
        inputs, nexts = batch[:, :-1], batch[:, 1:]
        asked = inputs > 0
        scores = model.scores(model(inputs)[asked])
        loss = nn.functional.cross_entropy(scores, nexts[asked] - 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.inference_mode()
def predict(model: SASRec, contexts: Contexts) -> Run:
    """The best tracks after each context."""
    model.eval()
    runs, tracks = [], np.arange(1, model.tracks.num_embeddings)
    for start in range(0, len(contexts), 512):
        vectors = model(padded(contexts.tracks[start : start + 512]))[:, -1]
        sessions = contexts.sessions[start : start + 512]
        runs.append(best(sessions, model.scores(vectors).numpy(), tracks))
    return joined(runs)


def fitted(given: Job) -> EarlyStop:
    """The best look of the training that the job asks for."""
    settings = DEFAULTS | given.settings
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    model = SASRec(given.n_tracks, given.dimension, settings)
    optimiser = torch.optim.Adam(model.parameters(), settings["learning_rate"])
    sequences = given.train().tracks
    looks = EarlyStop(given, lambda contexts: predict(model, contexts))
    for epoch in itertools.count(1):
        train_epoch(model, optimiser, sequences, rng.permutation(len(sequences)))
        if looks.look(epoch):
            break
    return looks


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    torch.set_num_threads(given.threads)
    looks = fitted(given)
    answer(given, "torch", looks.run, started, **looks.found())


if __name__ == "__main__":
    main()
