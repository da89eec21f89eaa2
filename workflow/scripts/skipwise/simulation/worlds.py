"""Simulated listeners: genres, tracks, tastes, and which plays are skipped.

No parameter of this model of a listener was chosen by looking at which recommender wins:

- Tracks have a latent vector (their genre's centre plus noise) and a Zipf popularity.  Users have
  favourite genres.
- A session has a taste (a favourite genre with noise) and a context: in some contexts a partly
  right recommender picks most tracks, in others the listener picks tracks near the last one that
  was liked.  Some plays repeat a liked track.
- The probability of a skip falls with the match of track and taste and differs by track.
  ``skip_informativeness`` mixes it with a coin flip of the same rate: at 0 a skip says nothing
  about taste.
- On Last.fm a play is scrobbled after half the track or four minutes, so an early skip leaves no
  row, only lost time.
"""

from dataclasses import dataclass

import numpy as np

CONTEXT_TYPES = (
    "editorial_playlist",
    "user_collection",
    "catalog",
    "radio",
    "charts",
    "personalized_playlist",
)
_CONTEXT_SHARES = (0.24, 0.36, 0.18, 0.14, 0.02, 0.06)
_LISTENER_PICKS = (1, 2)  # user_collection and catalog


@dataclass(frozen=True)
class Listeners:
    """Parameters of the simulation; shares are in [0, 1]."""

    sessions: int
    tracks: int
    users: int = 1000
    genres: int = 20
    dimensions: int = 16
    genre_spread: float = 0.2
    taste_spread: float = 0.1
    zipf: float = 0.8
    skip_share: float = 0.46
    skip_informativeness: float = 1.0
    skip_steepness: float = 4.0
    track_bias: float = 0.5
    recommender_error: float = 0.15
    repeat_share: float = 0.08
    early_skip_share: float = 0.4
    batch_scrobble_share: float = 0.003
    logs: int = 3
    seed: int = 1


@dataclass(frozen=True)
class Plays:
    """Simulated plays as (S, L) arrays; positions past ``length`` are meaningless."""

    user: np.ndarray  # (S,)
    length: np.ndarray  # (S,)
    context: np.ndarray  # (S,) index into CONTEXT_TYPES
    track: np.ndarray  # (S, L) from 0
    skipped: np.ndarray  # (S, L)
    by_recommender: np.ndarray  # (S, L)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Session and position, both from 0, of every play."""
        session, position = np.nonzero(np.arange(self.track.shape[1]) < self.length[:, None])
        return session, position


def mssd_lengths(rng: np.random.Generator, n: int) -> np.ndarray:
    """10 to 20 tracks a session, 45 % of them 20, as published."""
    return np.where(rng.random(n) < 0.45, 20, rng.integers(10, 20, n))


def lastfm_lengths(rng: np.random.Generator, n: int) -> np.ndarray:
    """A long tail; about 18 scrobbles a session once the early skips are gone."""
    return np.clip(np.rint(rng.lognormal(2.65, 0.95, n)), 1, 100).astype(np.int64)


def simulate_plays(listeners: Listeners, length: np.ndarray, rng: np.random.Generator) -> Plays:
    """Let ``len(length)`` sessions listen; all sessions take a step together."""
    world = _World(listeners, rng)
    n, steps = len(length), int(length.max())
    user = np.sort(rng.integers(0, listeners.users, n))
    genre = world.favourites[user, rng.integers(0, world.favourites.shape[1], n)]
    taste = _unit(
        world.centres[genre]
        + listeners.taste_spread * rng.standard_normal((n, listeners.dimensions))
    )
    context = rng.choice(len(CONTEXT_TYPES), n, p=_CONTEXT_SHARES)
    picks_self = np.isin(context, _LISTENER_PICKS)
    guess = _unit(taste + listeners.recommender_error * rng.standard_normal(taste.shape))

    track = np.zeros((n, steps), np.int64)
    skipped = np.zeros((n, steps), bool)
    by_recommender = np.zeros((n, steps), bool)
    last_liked = world.pick(rng, genre, taste)
    for step in range(steps):
        recommends = rng.random(n) < np.where(picks_self, 0.2, 0.8)
        anchor = np.where(recommends[:, None], guess, world.vectors[last_liked])
        near = np.where(recommends, genre, world.genre[last_liked])
        strays = rng.random(n) < 0.15
        near = np.where(strays, rng.integers(0, listeners.genres, n), near)
        chosen = world.pick(rng, near, anchor, heard=track[:, :step])
        if step:
            earlier = track[np.arange(n), (rng.random(n) * step).astype(np.int64)]
            chosen = np.where(rng.random(n) < listeners.repeat_share, earlier, chosen)
        match = np.einsum("sd,sd->s", world.vectors[chosen], taste)
        dislike = -listeners.skip_steepness * match + world.bias[chosen]
        informed = _with_mean(dislike, listeners.skip_share)
        weight = listeners.skip_informativeness
        skip = rng.random(n) < weight * informed + (1 - weight) * listeners.skip_share
        track[:, step], skipped[:, step], by_recommender[:, step] = chosen, skip, recommends
        last_liked = np.where(skip, last_liked, chosen)
    return Plays(user, length, context, track, skipped, by_recommender)


class _World:
    """Genres, tracks with vector and popularity, and the users' favourite genres."""

    def __init__(self, listeners: Listeners, rng: np.random.Generator):
        self.centres = _unit(rng.standard_normal((listeners.genres, listeners.dimensions)))
        self.genre = np.sort(rng.integers(0, listeners.genres, listeners.tracks))
        noise = listeners.genre_spread * rng.standard_normal(
            (listeners.tracks, listeners.dimensions)
        )
        self.vectors = _unit(self.centres[self.genre] + noise)
        self.bias = listeners.track_bias * rng.standard_normal(listeners.tracks)
        popularity = (rng.permutation(listeners.tracks) + 1.0) ** -listeners.zipf
        # Tracks are ordered by genre, so a genre is a range of the cumulated popularity.
        self._cumulated = np.concatenate([[0.0], np.cumsum(popularity)])
        self._start = self._cumulated[np.searchsorted(self.genre, np.arange(listeners.genres))]
        self._stop = self._cumulated[
            np.searchsorted(self.genre, np.arange(listeners.genres), side="right")
        ]
        self.favourites = rng.integers(0, listeners.genres, (listeners.users, 3))

    def pick(
        self,
        rng: np.random.Generator,
        genre: np.ndarray,
        anchor: np.ndarray,
        heard: np.ndarray | None = None,
    ):
        """One track for each session: of 8 drawn by popularity from its genre, one near the anchor
        and not yet heard.
        """
        at = (
            self._start[genre][:, None]
            + rng.random((len(genre), 8)) * (self._stop - self._start)[genre][:, None]
        )
        drawn = np.clip(
            np.searchsorted(self._cumulated, at, side="right") - 1, 0, len(self.genre) - 1
        )
        closeness = 6.0 * np.einsum("skd,sd->sk", self.vectors[drawn], anchor) + rng.gumbel(
            size=drawn.shape
        )
        if heard is not None:
            closeness -= 100.0 * (drawn[:, :, None] == heard[:, None, :]).any(2)
        return drawn[np.arange(len(genre)), closeness.argmax(1)]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _with_mean(logit: np.ndarray, mean: float) -> np.ndarray:
    """Shift logits by a constant so that the probabilities have the given mean (bisection)."""
    low, high = -30.0, 30.0
    for _ in range(50):
        shift = (low + high) / 2
        low, high = (
            (shift, high) if (1 / (1 + np.exp(-(logit + shift)))).mean() < mean else (low, shift)
        )
    return 1 / (1 + np.exp(-(logit + shift)))
