"""The ranking by the truth: how much a skip can be worth in a simulated data set.

The simulator is known, so the probability that a track is next can be computed from a context, and
the ranking by it is the best there is.  It is computed for three states of knowledge:

- ``blind``: the next *play*, given the plays; what a model without any label can learn.
- ``plays``: the next *listened* track, given the plays; what a model can learn whose targets are
  the next listened tracks, but whose input has no label.
- ``labels``: the next listened track, given the plays and their labels.

The world itself (tracks, popularity, parameters) is known, and the session hidden: its genre, its
taste, the platform's guess, who picks most of its tracks, and which play was liked last.  The first
three are sampled by a particle filter with resample-move steps (Gilks & Berzuini, JRSS B 2001); the
last two are summed out, as in a hidden Markov model.  The probability that a track is the chosen
one of eight is 8·p·E[w / (w + W)] with its share p of the popularity, its weight w =
exp(6·closeness) and the sum W of seven others, which are drawn.  Plays that are skipped before the
next listened one are simulated.  So the error of a ranking shrinks with the number of particles; it
is shown by ranking with half of them, too.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from skipwise.core.artifacts import read_artifact, write_artifact
from skipwise.core.log import logger
from skipwise.sessions.sequences import Sequences
from skipwise.simulation.listeners import (
    DRAWN,
    LISTENER_PICKS,
    OWN_STRAYS,
    SHARPNESS,
    World,
)
from skipwise.simulation.writers import simulate_mssd

KNOWLEDGE = ("blind", "plays", "labels")
UNKNOWN, LISTENED, SKIPPED = 0, 1, 2  # as in Sequences.labels
# Sets of seven other tracks for each play of a context, and moves of the particles after a
# resampling, of which some take a genre anew.
SETS, MOVES, FRESH = 32, 2, 0.25
STEP = 0.5  # of a move of taste and guess; 1 forgets where they were
FACTOR = np.float32(np.exp(-40.0))  # on the weight of a heard track: as good as never picked
MOST_SKIPS = 30  # in a row before the next listened play


def measure_headroom(
    test: str,
    tracks: str,
    keys: str,
    out: str,
    *,
    simulation: dict,
    sessions: int,
    particles: int,
    seed: int,
) -> None:
    """Write the ``truth`` of one simulated data set and split: the ranks of the true next
    listened track, on the first ``sessions`` test sessions, which are a random sample.

    Later pieces of a long session are left out, because their earlier plays are not in the context.
    """
    plays, track_names, session_names = simulate_mssd(simulation)
    places = {name: place for place, name in enumerate(track_names)}
    keys_of_tracks = read_artifact("tracks", tracks)["track_key"].to_pylist()
    catalogue = np.array([places[key] for key in keys_of_tracks])  # (N,) of track ids from 1
    sources = read_artifact("keys", keys).to_pylist()
    first = {row["session_id"]: row["session_key"] for row in sources if row["piece"] == 0}
    part = Sequences.read("test", test)
    part = part.take(np.flatnonzero(np.isin(part.session_id, list(first)))[:sessions])
    clusters = part.session_id if part.cluster is None else part.cluster
    numbers = {name: number for number, name in enumerate(session_names)}
    era = plays.era[[numbers[first[session]] for session in part.session_id]]

    found = []
    for row in range(len(part)):
        one = part.take(np.array([row]))
        context, labels = catalogue[one.tracks.values - 1], one.labels.values
        halves = []
        for half in range(2):
            rng = np.random.default_rng([seed, half, int(one.session_id[0])])
            oracle = Oracle(plays.world, plays.shift[era[row]], era[row], particles // 2, rng)
            halves.append(oracle.probabilities(context, labels))
        for counted, chances in ((particles // 2, halves[0]), (particles, np.sum(halves, axis=0))):
            for knows, chance in zip(KNOWLEDGE, chances[:, catalogue], strict=True):
                ranks = _ranks(chance, one.tracks.values, one.target[0])
                found.append((one.session_id[0], clusters[row], knows, counted, *ranks))
        if row % 100 == 99:
            logger.info("%d of %d sessions ranked by the truth", row + 1, len(part))
    names = ("session_id", "cluster", "knows", "particles", "rank_full", "rank_new")
    columns = zip(*found, strict=True)
    write_artifact(pa.table(dict(zip(names, map(list, columns), strict=True))), "truth", out)


def _ranks(chance: np.ndarray, context: np.ndarray, target: int) -> tuple[int, int | None]:
    """Ranks of a target by the chances (N,) of the catalogue, among all tracks and among those that
    are not in the context, None if it is; ties count against it.
    """
    above = chance >= chance[target - 1]
    full = int(above.sum())
    if target in context:
        return full, None
    return full, full - int(above[np.unique(context) - 1].sum())


@dataclass(frozen=True)
class _Particles:
    """P guesses of what is hidden in a session."""

    genre: np.ndarray  # (P,)
    noise: np.ndarray  # (P, 2, D) standard normal, of the taste and of the platform's guess
    taste: np.ndarray  # (P, D)
    guess: np.ndarray  # (P, D)
    first: np.ndarray  # (P,) the track in mind before the first play

    def take(self, rows: np.ndarray) -> "_Particles":
        return _Particles(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class _Belief:
    """Of every particle the log-likelihood (P,) of the plays so far, and the probability (P, 2,
    1 + T) of who picks most tracks and of the last liked one: the first, or one of the plays.
    """

    evidence: np.ndarray
    state: np.ndarray

    def take(self, rows: np.ndarray) -> "_Belief":
        return _Belief(self.evidence[rows], self.state[rows])


class Oracle:
    """What comes next in the sessions of one era of a world."""

    def __init__(
        self, world: World, shift: np.ndarray, era: int, particles: int, rng: np.random.Generator
    ):
        """``shift`` (L,) is that of the skip probability at each step."""
        self.world, self.shift, self.era = world, shift, era
        self.particles, self.rng = particles, rng
        self.parameters = world.listeners
        self.vectors = world.vectors.astype(np.float32)
        self.sizes = np.diff(world.first)
        popularity = world.popularity[era]
        total = np.bincount(world.genre, popularity, minlength=self.parameters.genres)
        self.share = (popularity / total[world.genre]).astype(np.float32)  # (N,) of its genre
        drawn = np.bincount(world.favourites.ravel(), minlength=self.parameters.genres)
        self.prior = drawn / drawn.sum()  # (G,)

    def probabilities(self, track: np.ndarray, label: np.ndarray) -> np.ndarray:
        """(3, N) of all tracks of the world after a context, by ``KNOWLEDGE``.

        ``track`` (T,) counts from 0, ``label`` (T,) is as in ``Sequences.labels``.
        """
        unlabelled = np.full(len(track), UNKNOWN)
        blind, plays = self._predict(track, *self._filter(track, unlabelled))
        return np.stack([blind, plays, self._predict(track, *self._filter(track, label))[1]])

    # --- The particle filter

    def _filter(self, track: np.ndarray, label: np.ndarray) -> tuple[_Particles, _Belief]:
        """Particles of equal weight given a context, with their beliefs."""
        context = _Context(self, track, label)
        proposal = self._proposal(track)
        log_odds = np.log(self.prior + 1e-300) - np.log(proposal)
        particles = self._draw(self.rng.choice(len(proposal), self.particles, p=proposal))
        belief = context.start(self.particles)
        weight = log_odds[particles.genre]
        for step in range(len(track)):
            before = belief.evidence
            belief = context.listen(particles, belief, slice(step, step + 1))
            weight = weight + belief.evidence - before
            chance = np.exp(weight - weight.max())
            if step < len(track) - 1 and chance.sum() ** 2 > (chance**2).sum() * len(chance) / 2:
                continue
            rows = self._resample(chance)
            particles, belief, weight = particles.take(rows), belief.take(rows), np.zeros(len(rows))
            for _ in range(MOVES):
                particles, belief = self._move(
                    context, particles, belief, step + 1, proposal, log_odds
                )
        return particles, belief

    def _proposal(self, track: np.ndarray) -> np.ndarray:
        """(G,) where to look for the genre: by the genres of the plays, and some everywhere."""
        size, genres = self.parameters.platform_genres, self.parameters.genres
        plays = np.bincount(self.world.genre[track] // size, minlength=genres // size)
        likely = np.repeat(self.prior.reshape(-1, size).sum(1) * 4.0**plays, size) * (
            self.prior + 1e-300
        )
        return 0.8 * likely / likely.sum() + 0.2 / genres

    def _draw(self, genre: np.ndarray) -> _Particles:
        noise = self.rng.standard_normal((len(genre), 2, self.parameters.dimensions))
        return self._made(genre, noise)

    def _made(self, genre: np.ndarray, noise: np.ndarray) -> _Particles:
        taste = self.world.taste(genre, noise[:, 0])
        guess = self.world.guess(genre, taste, noise[:, 1])
        first = self.world.pick(self.rng, self.era, genre, taste)
        return _Particles(genre, noise, taste, guess, first)

    def _resample(self, chance: np.ndarray) -> np.ndarray:
        """Rows by their chance, systematically."""
        at = (np.arange(len(chance)) + self.rng.random()) / len(chance)
        rows = np.searchsorted(np.cumsum(chance) / chance.sum(), at)
        return rows.clip(max=len(chance) - 1)

    def _move(
        self,
        context: "_Context",
        particles: _Particles,
        belief: _Belief,
        steps: int,
        proposal: np.ndarray,
        log_odds: np.ndarray,
    ) -> tuple[_Particles, _Belief]:
        """A Metropolis-Hastings step that keeps the distribution given the first ``steps`` plays:
        a preconditioned Crank-Nicolson step of taste and guess, or for some a fresh particle.
        """
        n = len(particles.genre)
        fresh = self.rng.random(n) < FRESH
        genre = np.where(fresh, self.rng.choice(len(proposal), n, p=proposal), particles.genre)
        random = self.rng.standard_normal(particles.noise.shape)
        near = np.sqrt(1 - STEP**2) * particles.noise + STEP * random
        moved = self._made(genre, np.where(fresh[:, None, None], random, near))
        believed = context.listen(moved, context.start(n), slice(0, steps))
        gain = believed.evidence - belief.evidence + log_odds[genre] - log_odds[particles.genre]
        accepted = np.log(self.rng.random(n)) < gain
        rows = np.where(accepted, np.arange(n) + n, np.arange(n))
        return _joined(particles, moved).take(rows), _joined(belief, believed).take(rows)

    # --- What comes next

    def _predict(
        self, track: np.ndarray, particles: _Particles, belief: _Belief
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) probabilities of the next play, and of the next listened track."""
        n, rng = len(particles.genre), self.rng
        # One state of each particle's belief: who picks, and the last liked track.
        flat = belief.state.reshape(n, -1).cumsum(1)
        at = (flat < rng.random((n, 1)) * flat[:, -1:]).sum(1)
        picks, last = np.divmod(at, belief.state.shape[2])
        liked = np.where(last > 0, track[last - 1], particles.first)
        heard = np.tile(track, (n, 1))
        next_play = listened = np.zeros(len(self.share))
        for skips in range(MOST_SKIPS):
            n = len(particles.genre)
            recommends = rng.random(n) < self.parameters.platform_picks[picks]
            chance = self._next(particles, recommends, liked, heard)
            shift = float(self.shift[min(heard.shape[1], len(self.shift) - 1)])
            dislike = self.world.bias.astype(np.float32) - np.float32(
                self.parameters.skip_steepness
            ) * (particles.taste.astype(np.float32) @ self.vectors.T)
            skip = self.world.skip_probability(dislike, shift)
            if skips == 0:
                next_play = chance.mean(0, dtype=np.float64)
            listened = listened + np.einsum("pn,pn->n", chance, 1 - skip, dtype=np.float64)
            # A play of each particle; where it is skipped the next listened one is still to come.
            played = self.world.play(
                rng, self.era, recommends, particles.genre, particles.guess, liked, heard
            )
            on = np.flatnonzero(rng.random(n) < skip[np.arange(n), played])
            if not len(on):
                break
            heard = np.column_stack([heard, played])[on]
            particles, picks, liked = particles.take(on), picks[on], liked[on]
        return next_play, listened / self.particles

    def _next(
        self, particles: _Particles, recommends: np.ndarray, liked: np.ndarray, heard: np.ndarray
    ) -> np.ndarray:
        """(P, N) unbiased estimates of the probabilities of the next play."""
        n, genres = len(recommends), self.parameters.genres
        rows = np.arange(n)[:, None]
        anchor = np.where(
            recommends[:, None], particles.guess.astype(np.float32), self.vectors[liked]
        )
        weight = anchor @ self.vectors.T
        weight *= np.float32(SHARPNESS)
        np.exp(weight, out=weight)
        weight[rows, heard] *= FACTOR
        near = np.where(
            recommends[:, None],
            self.of_platform(particles.genre),
            self.of_listener(self.world.genre[liked]),
        ).astype(np.float32)
        others = self.world.draw(
            self.rng, self.era, np.tile(np.arange(genres), n), DRAWN - 1
        ).reshape(n, -1)
        others = weight[rows, others].reshape(n, genres, DRAWN - 1).sum(2)
        chance = weight / (weight + np.repeat(others, self.sizes, axis=1))
        chance *= np.repeat(near, self.sizes, axis=1)
        chance *= DRAWN * self.share
        repeat = self.parameters.repeat_share
        chance *= np.float32(1 - repeat)
        np.add.at(chance, (rows, heard), np.float32(repeat / heard.shape[1]))
        return chance

    def of_platform(self, genre: np.ndarray) -> np.ndarray:
        """(…, G) probabilities of the genre of a platform's pick in sessions of a ``genre``."""
        size, genres = self.parameters.platform_genres, self.parameters.genres
        inside = genre[..., None] // size == np.arange(genres) // size
        stray = self.parameters.stray_share
        return inside * (1 - stray) / size + stray / genres

    def of_listener(self, genre: np.ndarray) -> np.ndarray:
        """(…, G) probabilities of the genre of a listener's pick after a liked one of ``genre``."""
        genres = self.parameters.genres
        return (genre[..., None] == np.arange(genres)) * (1 - OWN_STRAYS) + OWN_STRAYS / genres


def _joined(one, other):
    """Two sets of particles or beliefs, one after the other."""
    names = one.__dataclass_fields__
    return replace(
        one, **{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names}
    )


class _Context:
    """A context of T plays, and how likely particles make it."""

    def __init__(self, oracle: Oracle, track: np.ndarray, label: np.ndarray):
        self.oracle, self.track, self.label = oracle, track, label
        world, steps = oracle.world, len(track)
        self.genre = world.genre[track]
        self.others = np.stack(
            [
                world.draw(oracle.rng, oracle.era, np.full(SETS, genre), DRAWN - 1)
                for genre in self.genre
            ]
        ).reshape(steps, -1)  # (T, SETS * 7)
        # Each play behind the others that it was chosen among, and what has been heard of them.
        among = np.column_stack([self.others, track])
        earlier = np.tri(steps, k=-1, dtype=bool)  # (T, T)
        heard = (among[:, :, None] == track) & earlier[:, None]
        self.factor = np.where(heard.any(2), FACTOR, np.float32(1))
        self.among = SHARPNESS * oracle.vectors[among]  # (T, SETS * 7 + 1, D)
        # (T, T) probability of a play that the listener picks after an earlier one was liked.
        near = oracle.of_listener(self.genre)[:, self.genre].T
        self.own = near * self._picked(oracle.vectors[track], slice(0, steps)).T

    def start(self, particles: int) -> _Belief:
        state = np.zeros((particles, 2, 1 + len(self.track)))
        state[:, :, 0] = 1 - LISTENER_PICKS, LISTENER_PICKS
        return _Belief(np.zeros(particles), state)

    def listen(self, particles: _Particles, belief: _Belief, steps: slice) -> _Belief:
        """The belief after more plays."""
        oracle, world = self.oracle, self.oracle.world
        parameters = oracle.parameters
        genres = self.genre[steps]
        platform = oracle.of_platform(particles.genre)[:, genres]
        platform = platform * self._picked(particles.guess, steps)
        after_first = oracle.of_listener(world.genre[particles.first])[:, genres]
        after_first = after_first * self._picked(oracle.vectors[particles.first], steps)
        evidence, state = belief.evidence.copy(), belief.state.copy()
        for i, step in enumerate(range(len(self.track))[steps]):
            track, label = self.track[step], self.label[step]
            now = state[:, :, : step + 1]
            own = np.empty((len(evidence), step + 1))
            own[:, 0], own[:, 1:] = after_first[:, i], self.own[step, :step]
            share = parameters.platform_picks[:, None]
            chance = share * platform[:, i, None, None] + (1 - share) * own[:, None]
            if step:
                repeat = parameters.repeat_share
                again = (self.track[:step] == track).mean()
                chance = (1 - repeat) * chance + repeat * again
            now *= chance
            dislike = world.dislike(np.full(len(evidence), track), particles.taste)
            skip = world.skip_probability(dislike, oracle.shift[step])[:, None]
            skipped = skip if label != LISTENED else np.zeros_like(skip)
            listened = 1 - skip if label != SKIPPED else np.zeros_like(skip)
            if parameters.follows_likes:
                state[:, :, step + 1] = listened * now.sum(2)
                now *= skipped[:, :, None]
            else:
                now *= (skipped + listened)[:, :, None]
            likelihood = state.sum((1, 2)) + 1e-300
            evidence += np.log(likelihood)
            state /= likelihood[:, None, None]
        return _Belief(evidence, state)

    def _picked(self, anchor: np.ndarray, steps: slice) -> np.ndarray:
        """(P, steps) probability that the play of a step is picked in its genre near an anchor."""
        among, factor = self.among[steps], self.factor[steps]
        n, length = len(anchor), len(among)
        weight = anchor.astype(np.float32) @ among.reshape(-1, among.shape[2]).T
        weight = np.exp(weight, out=weight).reshape(n, length, -1) * factor
        own, others = weight[:, :, -1:], weight[:, :, :-1].reshape(n, length, SETS, DRAWN - 1)
        share = self.oracle.share[self.track[steps]]
        return DRAWN * share * (own / (own + others.sum(3))).mean(2)
