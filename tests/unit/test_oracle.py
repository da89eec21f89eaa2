"""The ranking by the truth agrees with exact inference in a tiny world, and with what its simulated
listeners do; its error shrinks with the number of particles.
"""

from functools import cache
from itertools import product
from math import comb

import numpy as np
import pyarrow as pa
import pytest
from skipwise.core.artifacts import read_artifact, write_artifact
from skipwise.simulation.listeners import (
    LISTENER_PICKS,
    OWN_STRAYS,
    Listeners,
    World,
    simulate_plays,
)
from skipwise.simulation.oracle import LISTENED, SKIPPED, Oracle, measure_headroom
from skipwise.simulation.writers import simulate_mssd

# Two genres of two tracks each, so that a pick has two outcomes in its genre.
TINY = Listeners(
    sessions=1,
    tracks=4,
    users=3,
    genres=2,
    dimensions=2,
    genre_spread=0.4,
    taste_spread=0.3,
    recommender_error=0.3,
    repeat_share=0.0,
    seed=1,
)
SHIFT = 1.5


def tiny_world(listeners: Listeners) -> World:
    world = World(listeners, np.random.default_rng(8))
    world.genre, world.first = np.array([0, 0, 1, 1]), np.array([0, 2, 4])
    world.begin(0, np.zeros(4))
    return world


def exact(world: World, track: tuple, label: tuple, nodes: int) -> np.ndarray:
    """(3, 4) what :meth:`Oracle.probabilities` estimates, by Gauss-Hermite quadrature over taste
    and guess and sums over everything else.  Written from the description of the simulator.
    """
    parameters = world.listeners
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    noise = np.array(list(product(at, repeat=4)))  # (n, 4)
    weight = np.prod(list(product(weight, repeat=4)), axis=1)

    def pick(x: int, anchor: np.ndarray, heard: frozenset) -> np.ndarray:
        """Probability of x in its genre: the sum over how many of eight draws are x."""
        y = x ^ 1
        p = world.popularity[0, x] / (world.popularity[0, x] + world.popularity[0, y])
        appeal = {
            k: np.exp(6 * anchor @ world.vectors[k] - (100 if k in heard else 0)) for k in (x, y)
        }
        return sum(
            comb(8, k) * p**k * (1 - p) ** (8 - k) * k * appeal[x]
            / (k * appeal[x] + (8 - k) * appeal[y])
            for k in range(1, 9)
        )  # fmt: skip

    totals = {labels: np.zeros((2, 4)) for labels in (label, None)}
    evidence = dict.fromkeys(totals, 0.0)
    for genre, own in product((0, 1), (0, 1)):
        prior = (world.favourites == genre).mean()
        prior *= LISTENER_PICKS if own else 1 - LISTENER_PICKS
        share = parameters.collection_share if own else parameters.platform_share
        taste = world.taste(np.full(len(noise), genre), noise[:, :2])
        guess = world.guess(np.full(len(noise), genre), taste, noise[:, 2:])
        odds = world.bias - parameters.skip_steepness * taste @ world.vectors.T + SHIFT
        skip = world.skip_probability(odds, 0.0)  # (n, 4)

        @cache
        def play(x, liked, heard, genre=genre, share=share, guess=guess):
            """(n,) probability of the next play x."""
            knows = parameters.platform_genres == 1
            right = (world.genre[x] == genre) if knows else 0.5
            of_platform = (1 - parameters.stray_share) * right + parameters.stray_share / 2
            of_listener = (1 - OWN_STRAYS) * (world.genre[x] == world.genre[liked]) + OWN_STRAYS / 2
            return share * of_platform * pick(x, guess, heard) + (1 - share) * of_listener * pick(
                x, world.vectors[liked], heard
            )

        @cache
        def listened(x, liked, heard, play=play, skip=skip):
            """(n,) probability that x is the next listened track, whatever is skipped before."""
            reached = play(x, liked, heard) * (1 - skip[:, x])
            stays = 0.0
            for y in range(4):
                chance = play(y, liked, heard) * skip[:, y]
                if y in heard:
                    stays = stays + chance
                else:
                    reached = reached + chance * listened(x, liked, heard | {y})
            return reached / (1 - stays)

        for first in (2 * genre, 2 * genre + 1):
            before = pick(first, taste, frozenset()) * weight * prior
            for labels in product((LISTENED, SKIPPED), repeat=len(track)):
                chance, liked, heard = before, first, frozenset()
                for x, is_label in zip(track, labels, strict=True):
                    chance = chance * play(x, liked, heard)
                    chance = chance * (skip[:, x] if is_label == SKIPPED else 1 - skip[:, x])
                    heard = heard | {x}
                    liked = x if is_label == LISTENED and parameters.follows_likes else liked
                for known in totals:
                    if known in (labels, None):
                        evidence[known] += chance.sum()
                        totals[known] += [
                            [(chance * function(x, liked, heard)).sum() for x in range(4)]
                            for function in (play, listened)
                        ]
    blind, plays = totals[None] / evidence[None]
    return np.stack([blind, plays, (totals[label] / evidence[label])[1]])


def estimated(world, track, label, particles, seed=1):
    oracle = Oracle(world, np.full(20, SHIFT), 0, particles, np.random.default_rng(seed))
    return oracle.probabilities(np.array(track), np.array(label))


@pytest.mark.parametrize(
    ("changed", "track", "label"),
    [
        ({}, (0, 1), (SKIPPED, LISTENED)),
        ({"stray_share": 0.7}, (2, 0, 3), (LISTENED, SKIPPED, LISTENED)),
        ({"follows_likes": False, "skip_informativeness": 0.5}, (0, 2), (LISTENED, LISTENED)),
        ({"platform_genres": 2, "platform_share": 1.0}, (0, 3), (LISTENED, SKIPPED)),
    ],
    ids=["near", "stray", "follows the first", "mood"],
)
def test_it_agrees_with_exact_inference(changed, track, label):
    world = tiny_world(Listeners(**(vars(TINY) | changed)))
    truth = exact(world, track, label, 9)
    assert np.abs(truth - exact(world, track, label, 8)).max() < 2e-3
    assert truth.sum(1) == pytest.approx(1, abs=1e-6)
    few, many = (
        np.mean([np.abs(estimated(world, track, label, n, s) - truth).mean() for s in range(5)])
        for n in (32, 1024)
    )
    assert many < 0.015
    assert many < few / 2


def test_it_agrees_with_what_its_listeners_do():
    """100,000 simulated sessions: of those with one context, the share of each next track."""
    listeners = Listeners(**(vars(TINY) | {"repeat_share": 0.1, "tracks": 6}))
    rng = np.random.default_rng(3)
    plays = simulate_plays(listeners, np.full(100_000, 10), rng)
    same = plays.track[:, 0] * 6 + plays.track[:, 1]
    context = np.bincount(same).argsort()[-3]
    track = np.array(divmod(int(context), 6))
    of_context = same == context
    labelled = of_context & ~plays.skipped[:, 0] & ~plays.skipped[:, 1]
    later = ~plays.skipped[:, 2:]
    listened = plays.track[np.arange(len(same)), 2 + later.argmax(1)]
    oracle = Oracle(plays.world, plays.shift[0], 0, 4096, np.random.default_rng(1))
    found = oracle.probabilities(track, np.array([LISTENED, LISTENED]))
    for row, rows, what in (
        (0, of_context, plays.track[:, 2]),
        (1, of_context & later.any(1), listened),
        (2, labelled & later.any(1), listened),
    ):
        counts = np.bincount(what[rows], minlength=6)
        share = counts / counts.sum()
        error = np.sqrt(share * (1 - share) / counts.sum())
        assert counts.sum() > 1000
        assert np.abs(found[row] / found[row].sum() - share) == pytest.approx(
            0, abs=float(3.5 * error.max() + 0.01)
        )


def test_the_file_has_the_ranks_of_the_test_sessions(tmp_path):
    """Of two knowledges that are equal the ranks agree, and popular targets have small ranks."""
    simulation = {"world": "coinflip", "sessions": 60, "tracks": 50, "genres": 4, "seed": 2}
    plays, tracks, sessions = simulate_mssd(simulation)
    order = np.random.default_rng(0).permutation(50)
    id_of = np.empty(50, int)
    id_of[order] = np.arange(1, 51)
    rows = range(20, 60)
    columns = {
        "session_id": range(1, 41),
        "tracks": [id_of[plays.track[row, :6]] for row in rows],
        "skipped": [plays.skipped[row, :6] for row in rows],
        "target": [id_of[plays.track[row, 6]] for row in rows],
        "unseen_skips": [[]] * 40,
        "time": [0.0] * 40,
        "cluster": range(1, 41),
    }
    write_artifact(pa.table(columns), "test", tmp_path / "test.parquet")
    keys = {
        "session_id": range(1, 41),
        "session_key": [sessions[row] for row in rows],
        "piece": [0] * 39 + [1],
        "cluster_key": [sessions[row] for row in rows],
        "n_plays": [20] * 40,
        "n_skips": [1] * 40,
    }
    write_artifact(pa.table(keys), "keys", tmp_path / "keys.parquet")
    catalogue = {
        "track_id": range(1, 51),
        "track_key": [tracks[int(k)] for k in order],
        "n_plays": [1] * 50,
        "n_skips": [0] * 50,
    }
    write_artifact(pa.table(catalogue), "tracks", tmp_path / "tracks.parquet")
    measure_headroom(
        *(str(tmp_path / f"{name}.parquet") for name in ("test", "tracks", "keys", "out")),
        simulation=simulation,
        sessions=1000,
        particles=64,
        seed=1,
    )
    found = read_artifact("truth", tmp_path / "out.parquet").to_pylist()
    assert len(found) == 39 * 3 * 2  # the later piece of a session is left out
    assert {row["particles"] for row in found} == {32, 64}
    rank = {
        knows: np.array([row["rank_full"] for row in found if row["knows"] == knows])
        for knows in ("blind", "plays", "labels")
    }
    assert rank["labels"].min() >= 1
    assert rank["labels"].max() <= 50
    assert (rank["labels"] <= 10).mean() > 0.4  # by chance 0.2
    assert np.corrcoef(rank["plays"], rank["labels"])[0, 1] > 0.9
    for row in found:
        context = columns["tracks"][row["session_id"] - 1]
        repeats = columns["target"][row["session_id"] - 1] in context
        assert (row["rank_new"] is None) == repeats
        assert repeats or row["rank_new"] <= row["rank_full"]
