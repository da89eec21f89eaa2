"""Verdicts on planted ranks: a claim that is true is told, one that is not is not, whoever wrote
it.
"""

import numpy as np
import pytest
from planting import evidence, other_models
from scipy.stats import binom
from skipwise.core.registry import find, names
from skipwise.evaluation.comparisons import Intervals
from skipwise.evaluation.evidence import FAILS, HOLDS, UNKNOWN, judged

pytestmark = pytest.mark.long

INTERVALS = Intervals(level=0.95, equivalence=0.002, least_deciding=20, seed=1)
CLAIMS = names("claim")
WORLDS = [(claim, world) for claim in CLAIMS for world in find("claim", claim).WORLDS]
DRAWS = 200
# More false verdicts than these are less likely than one in a thousand at the nominal level.
MOST = int(binom.isf(0.001, DRAWS, 1 - INTERVALS.level))
POWER = 0.8


def verdicts(claim: str, world: str, draws: int = DRAWS, **how) -> list[list[tuple[str, str]]]:
    """By draw, the verdicts on the claim's rows with their reasons."""
    file = find("claim", claim)
    datasets = "abc" if any(len(key) == 3 for key in file.WORLDS["true"]) else "a"
    found = []
    for draw in range(draws):
        rng = np.random.default_rng([draw, CLAIMS.index(claim)])
        how |= {"datasets": datasets, "also": other_models(file.WORLDS)}
        given = evidence(file.WORLDS[world], rng, INTERVALS, **how)
        rows = judged(list(file.rows(given)), INTERVALS)
        assert rows, "the claim finds nothing in its own world"
        found.append([(row["verdict"], row["reason"]) for row in rows])
    return found


def check(claim: str, world: str, found: list[list[tuple[str, str]]]) -> None:
    """Some row with a false verdict in no more draws than the level allows; told where it is
    true.
    """
    false = {"true": {FAILS}, "false": {HOLDS}, "absent": {HOLDS, FAILS}, "worse": {HOLDS}}[world]
    # A precise nothing is no false verdict where there is nothing.
    wrong = [
        any(verdict in false and not reason.startswith("within") for verdict, reason in rows)
        for rows in found
    ]
    assert sum(wrong) <= MOST, (claim, world, sum(wrong))
    wanted = {"true": HOLDS, "false": FAILS}.get(world)
    if wanted:
        told = np.mean([verdict == wanted for rows in found for verdict, _ in rows])
        assert told >= POWER, (claim, world, told)


def test_every_claim_plants_its_worlds():
    for claim in CLAIMS:
        assert {"true", "false", "absent"} <= find("claim", claim).WORLDS.keys(), claim


@pytest.mark.parametrize(("claim", "world"), WORLDS)
def test_three_seeds_of_users_with_many_sessions(claim, world):
    check(claim, world, verdicts(claim, world))


@pytest.mark.parametrize(("claim", "world"), WORLDS)
def test_one_seed_tells_nothing_about_a_method(claim, world):
    for rows in verdicts(claim, world, draws=3, seeds=1):
        assert {verdict for verdict, _ in rows} == {UNKNOWN}
        assert {reason for _, reason in rows} == {"fewer than 3 seeds"}


@pytest.mark.slow
@pytest.mark.parametrize("users", [100, None])
@pytest.mark.parametrize(("claim", "world"), WORLDS)
def test_five_seeds(claim, world, users):
    check(claim, world, verdicts(claim, world, seeds=5, users=users))


@pytest.mark.parametrize("claim", [name for name in CLAIMS if find("claim", name).CLAIM.of_a_gain])
def test_a_claim_about_a_gain_needs_one(claim):
    found = verdicts(claim, "worse", draws=10)
    assert {row for rows in found for row in rows} == {(UNKNOWN, "no gain")}
