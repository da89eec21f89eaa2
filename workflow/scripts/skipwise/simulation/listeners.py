"""Simulated listeners: genres, tracks, tastes, and which plays are skipped.

No parameter of this model of a listener was chosen by looking at which recommender wins.  A named
world (``simulation/worlds``) changes some of them:

- Tracks have a latent vector (their genre's centre plus noise) and a Zipf popularity.  Users have
  favourite genres.
- A session has a taste (a favourite genre with noise) and a context: in some contexts a partly
  right platform picks most tracks, in others the listener picks tracks near the last one that was
  liked.  Some plays repeat a liked track.
- A pick is one of eight tracks that are drawn by popularity from one genre: mostly the genre of the
  taste or of the liked track, sometimes one at random (it strays).
- The probability of a skip falls with the match of track and taste and differs by track.
  ``skip_informativeness`` mixes it with a coin flip of the same rate: at 0 a skip says nothing
  about taste.
- Popularity may change from one era to the next: by ``fashion`` each track has its time, and by
  ``feedback`` a track is drawn more often the more it was played before.
- On Last.fm a play is scrobbled after half the track or four minutes, so an early skip leaves no
  row, only lost time.
"""

from dataclasses import dataclass

import numpy as np

from skipwise.core import registry
from skipwise.core.errors import UserError

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
# Share of sessions in these contexts.
LISTENER_PICKS = sum(_CONTEXT_SHARES[context] for context in _LISTENER_PICKS)
OWN_STRAYS = 0.15  # share of the listener's picks that are from a genre at random
DRAWN = 8  # tracks that a pick is chosen from
SHARPNESS = 6.0  # how much closeness to the anchor decides among them


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
    platform_share: float = 0.8
    collection_share: float = 0.2
    stray_share: float = 0.15
    platform_genres: int = 1
    follows_likes: bool = True
    eras: int = 1
    fashion: float = 0.0
    feedback: float = 0.0
    repeat_share: float = 0.08
    early_skip_share: float = 0.4
    batch_scrobble_share: float = 0.003
    logs: int = 3
    seed: int = 1

    @property
    def platform_picks(self) -> np.ndarray:
        """(2,) share of the platform's picks, elsewhere and where the listener picks most."""
        return np.array([self.platform_share, self.collection_share])


def listeners_of(simulation: dict) -> Listeners:
    """The listeners of a registry entry: those of its world, ``near`` if it names none, with the
    entry's own parameters in place of the world's.

    Raises UserError where the platform cannot tell genres apart in groups of equal size.
    """
    world = registry.declared("world", simulation.get("world", "near"))
    own = {name: value for name, value in simulation.items() if name != "world"}
    listeners = Listeners(**(world.get("LISTENERS", {}) | own))
    if listeners.genres % listeners.platform_genres:
        raise UserError("simulation: genres is not a multiple of platform_genres")
    return listeners


@dataclass(frozen=True)
class Plays:
    """Simulated plays as (S, L) arrays; positions past ``length`` are meaningless.

    Sessions are in the order of time, in eras of equal size.
    """

    user: np.ndarray  # (S,)
    length: np.ndarray  # (S,)
    context: np.ndarray  # (S,) index into CONTEXT_TYPES
    track: np.ndarray  # (S, L) from 0
    skipped: np.ndarray  # (S, L)
    by_recommender: np.ndarray  # (S, L)
    era: np.ndarray  # (S,) from 0
    shift: np.ndarray  # (eras, L) makes the skip share of a step what it is, in log-odds
    world: "World"

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
    """Let ``len(length)`` sessions listen; all sessions of an era take a step together."""
    world = World(listeners, rng)
    n, steps = len(length), int(length.max())
    user = np.sort(rng.integers(0, listeners.users, n))
    genre = world.favourites[user, rng.integers(0, world.favourites.shape[1], n)]
    taste = world.taste(genre, rng.standard_normal((n, listeners.dimensions)))
    context = rng.choice(len(CONTEXT_TYPES), n, p=_CONTEXT_SHARES)
    platform_picks = listeners.platform_picks[np.isin(context, _LISTENER_PICKS).astype(int)]
    guess = world.guess(genre, taste, rng.standard_normal(taste.shape))

    era = np.arange(n) * listeners.eras // n
    shift = np.zeros((listeners.eras, steps))
    track = np.zeros((n, steps), np.int64)
    skipped = np.zeros((n, steps), bool)
    by_recommender = np.zeros((n, steps), bool)
    played = np.arange(steps) < length[:, None]
    for now in np.unique(era):
        at = slice(*np.searchsorted(era, [now, now + 1]))
        before = track[: at.start][played[: at.start]]
        world.begin(now, np.bincount(before, minlength=listeners.tracks))
        last_liked = world.pick(rng, now, genre[at], taste[at])
        for step in range(steps):
            recommends = rng.random(len(user[at])) < platform_picks[at]
            chosen = world.play(
                rng, now, recommends, genre[at], guess[at], last_liked, track[at, :step]
            )
            dislike = world.dislike(chosen, taste[at])
            shift[now, step] = _shift_to_mean(dislike, listeners.skip_share)
            skip = rng.random(len(chosen)) < world.skip_probability(dislike, shift[now, step])
            track[at, step], skipped[at, step], by_recommender[at, step] = chosen, skip, recommends
            if listeners.follows_likes:
                last_liked = np.where(skip, last_liked, chosen)
    return Plays(user, length, context, track, skipped, by_recommender, era, shift, world)


class World:
    """Genres, tracks with vector and popularity, and the users' favourite genres.

    G genres, N tracks, D dimensions; S stands for sessions that are asked about together.
    """

    def __init__(self, listeners: Listeners, rng: np.random.Generator):
        self.listeners = listeners
        self.centres = unit(rng.standard_normal((listeners.genres, listeners.dimensions)))
        self.genre = np.sort(rng.integers(0, listeners.genres, listeners.tracks))
        noise = listeners.genre_spread * rng.standard_normal(
            (listeners.tracks, listeners.dimensions)
        )
        self.vectors = unit(self.centres[self.genre] + noise)
        self.bias = listeners.track_bias * rng.standard_normal(listeners.tracks)
        self._zipf = (rng.permutation(listeners.tracks) + 1.0) ** -listeners.zipf
        # Tracks are ordered by genre, so a genre is a range of the cumulated popularity.
        self.first = np.searchsorted(self.genre, np.arange(listeners.genres + 1))
        self.favourites = rng.integers(0, listeners.genres, (listeners.users, 3))
        self._peak = rng.random(listeners.tracks) if listeners.fashion else 0.0
        self.popularity = np.zeros((listeners.eras, listeners.tracks))
        self._cumulated = np.zeros((listeners.eras, listeners.tracks + 1))

    def begin(self, era: int, plays: np.ndarray) -> None:
        """Set the popularity of an era, before which each track had ``plays`` (N,)."""
        away = np.abs(era / self.listeners.eras - self._peak)
        liking = self._zipf * np.exp(-self.listeners.fashion * away)
        self.popularity[era] = liking * (1.0 + plays) ** self.listeners.feedback
        self._cumulated[era, 1:] = np.cumsum(self.popularity[era])

    def taste(self, genre: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """(S, D) tastes of sessions around their genres; ``noise`` (S, D) is standard normal."""
        return unit(self.centres[genre] + self.listeners.taste_spread * noise)

    def guess(self, genre: np.ndarray, taste: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """(S, D) what the platform takes for the taste; of genres that it does not tell apart it
        knows the mean.
        """
        size = self.listeners.platform_genres
        if size > 1:
            groups = self.centres.reshape(-1, size, self.listeners.dimensions)
            taste = unit(groups.mean(1))[genre // size]
        return unit(taste + self.listeners.recommender_error * noise)

    def play(
        self,
        rng: np.random.Generator,
        era: int,
        recommends: np.ndarray,
        genre: np.ndarray,
        guess: np.ndarray,
        last_liked: np.ndarray,
        heard: np.ndarray,
    ) -> np.ndarray:
        """(S,) the next track of sessions: the platform ``recommends`` it or the listener goes on
        from ``last_liked``, or it repeats one of ``heard`` (S, L).
        """
        n, size = len(genre), self.listeners.platform_genres
        if size > 1:
            genre = genre // size * size + rng.integers(0, size, n)
        near = np.where(recommends, genre, self.genre[last_liked])
        strays = rng.random(n) < np.where(recommends, self.listeners.stray_share, OWN_STRAYS)
        near = np.where(strays, rng.integers(0, self.listeners.genres, n), near)
        anchor = np.where(recommends[:, None], guess, self.vectors[last_liked])
        chosen = self.pick(rng, era, near, anchor, heard)
        if steps := heard.shape[1]:
            earlier = heard[np.arange(n), (rng.random(n) * steps).astype(np.int64)]
            chosen = np.where(rng.random(n) < self.listeners.repeat_share, earlier, chosen)
        return chosen

    def draw(self, rng: np.random.Generator, era: int, genre: np.ndarray, size: int) -> np.ndarray:
        """(S, size) tracks drawn by popularity, each row from its genre."""
        start, stop = (self._cumulated[era, self.first[genre + more]] for more in (0, 1))
        at = start[:, None] + rng.random((len(genre), size)) * (stop - start)[:, None]
        found = np.searchsorted(self._cumulated[era], at, side="right") - 1
        return np.clip(found, 0, len(self.genre) - 1)

    def pick(
        self,
        rng: np.random.Generator,
        era: int,
        genre: np.ndarray,
        anchor: np.ndarray,
        heard: np.ndarray | None = None,
    ) -> np.ndarray:
        """One track for each session: of 8 drawn by popularity from its genre, one near the anchor
        and not yet heard.
        """
        drawn = self.draw(rng, era, genre, DRAWN)
        closeness = SHARPNESS * np.einsum("skd,sd->sk", self.vectors[drawn], anchor)
        closeness += rng.gumbel(size=drawn.shape)
        if heard is not None:
            closeness -= 100.0 * (drawn[:, :, None] == heard[:, None, :]).any(2)
        return drawn[np.arange(len(genre)), closeness.argmax(1)]

    def dislike(self, track: np.ndarray, taste: np.ndarray) -> np.ndarray:
        """(S,) log-odds of a skip but for the shift of the step."""
        match = np.einsum("sd,sd->s", self.vectors[track], taste)
        return -self.listeners.skip_steepness * match + self.bias[track]

    def skip_probability(self, dislike: np.ndarray, shift: float) -> np.ndarray:
        """Probability of a skip, of the shape of ``dislike``."""
        weight = self.listeners.skip_informativeness
        return weight * _sigmoid(dislike + shift) + (1 - weight) * self.listeners.skip_share


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (…, D) with length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def _shift_to_mean(logit: np.ndarray, mean: float) -> float:
    """The shift of logits that gives the probabilities this mean (bisection)."""
    low, high = -30.0, 30.0
    for _ in range(50):
        shift = (low + high) / 2
        low, high = (shift, high) if _sigmoid(logit + shift).mean() < mean else (low, shift)
    return shift
