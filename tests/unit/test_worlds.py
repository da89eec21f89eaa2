"""Simulated worlds: what there was is written as before, and each world is what it says."""

import bz2
import gzip
from hashlib import sha256

import numpy as np
import pytest
from examples import default_config
from skipwise.core import registry
from skipwise.core.config import truths
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.simulation.listeners import Listeners, World, listeners_of, simulate_plays
from skipwise.simulation.writers import simulate_mssd, simulate_raw

WORLDS = registry.names("world")
SMALL = {"sessions": 60, "tracks": 80, "users": 5, "seed": 1}
# Of the unpacked files that the simulator wrote before there were worlds (revision e74e9ac).
BEFORE = {
    ("mssd", 1.0): "513a3149c5e6cff9b3d221f88d8a36a86076b5876ce45942ce94eb3bf93f4089",
    ("mssd", 0.0): "d95be81d8316143e836c620602494d71cddd79ec3dc63bf6dd00509abe30b31d",
    ("lfm1k", 1.0): "b8a53a9661b3e7e095af7043566a4167cec9349120a73171768508b54c3a26e0",
    ("lfm1k", 0.0): "06df52490e452976950f941933cae7f1452688b8b5ad1a69cb5c54fe86526ee1",
    ("lfm2b", 1.0): "78d83e1cf8bdd6337f755cd430e0668664213e8d78ffd4ec9609e766523376ca",
    ("lfm2b", 0.0): "17bfd04be5a049916475705962b56c11869c237f026369ceb377f702ee6c273a",
}


@pytest.mark.parametrize("world", [{}, {"world": "near"}], ids=["unnamed", "near"])
@pytest.mark.parametrize(("form", "informativeness"), BEFORE)
def test_an_entry_without_a_world_and_near_write_what_was_written_before(
    tmp_path, form, informativeness, world
):
    simulation = SMALL | {"skip_informativeness": informativeness} | world
    simulate_raw(tmp_path / "raw", form=form, simulation=simulation)
    unpack = bz2.decompress if form == "lfm2b" else gzip.decompress
    content = unpack((tmp_path / "raw").read_bytes())
    assert sha256(content).hexdigest() == BEFORE[form, informativeness]


@pytest.mark.parametrize("world", WORLDS)
def test_a_world_is_a_sentence_a_verdict_and_parameters(world):
    declared = registry.declared("world", world)
    assert declared["caption"].endswith(".")
    assert declared["VERDICT"].endswith(".")
    listeners = listeners_of({"world": world, "sessions": 5, "tracks": 9})
    assert (listeners.sessions, listeners.tracks) == (5, 9)
    assert declared.get("LISTENERS", {}).items() <= vars(listeners).items()


def test_an_entry_changes_the_parameters_of_its_world():
    simulation = {"world": "explorer", "stray_share": 0.5, "sessions": 5, "tracks": 9}
    assert listeners_of(simulation).stray_share == 0.5


def test_an_unknown_world_is_named():
    config = default_config({"registry": {"mssd-sim": {"simulation": {"world": "exploror"}}}})
    with pytest.raises(UserError, match="unknown world 'exploror'; did you mean 'explorer'"):
        check_config(config, {})


def test_genres_that_do_not_part_into_groups():
    simulation = {"world": "moods", "genres": 21, "sessions": 5, "tracks": 9}
    with pytest.raises(UserError, match="genres is not a multiple of platform_genres"):
        listeners_of(simulation)


def test_the_truth_is_known_where_simulated_sessions_are_read_as_they_were_written():
    chosen = {
        "datasets": ["explorer-sim", "lfm1k-sim", "ml100k"],
        "splits": ["paper", "temporal", "authors_code"],
        "headroom": {"sessions": 10},
    }
    found = [{"dataset": "explorer-sim", "split": split} for split in ("paper", "temporal")]
    assert truths(default_config(chosen)) == found
    assert truths(default_config(chosen, {"headroom": {"sessions": 0}})) == []
    assert truths(default_config(chosen, {"sessions": {"skip_polarity": "inverted"}})) == []


@pytest.fixture(scope="module")
def plays():
    """2,000 sessions of 20 plays of each world, except for sparse."""
    made = {}
    for world in WORLDS:
        if world != "sparse":
            listeners = listeners_of({"world": world, "sessions": 2000, "tracks": 1000, "seed": 1})
            made[world] = simulate_plays(
                listeners, np.full(2000, 20), np.random.default_rng(listeners.seed)
            )
    return made


@pytest.mark.parametrize("world", [world for world in WORLDS if world != "sparse"])
def test_every_world_has_the_same_share_of_skips(plays, world):
    assert plays[world].skipped.mean() == pytest.approx(0.46, abs=0.01)


def genre_shares(plays) -> np.ndarray:
    """(S, G) share of the platform's picks of each session by genre."""
    genre = plays.world.genre[plays.track]
    counts = np.stack([(genre == g) & plays.by_recommender for g in range(20)], 2).sum(1)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def test_the_platform_of_explorer_strays_and_its_listeners_filter(plays):
    """Less of what it plays is of the session's main genre, and more of that is kept."""
    most = {name: genre_shares(plays[name]).max(1).mean() for name in ("near", "explorer")}
    assert most["explorer"] < most["near"] - 0.2
    spread = {}
    for name in ("near", "explorer"):
        made = plays[name]
        main = genre_shares(made).argmax(1)[:, None] == made.world.genre[made.track]
        spread[name] = made.skipped[~main].mean() - made.skipped[main].mean()
    assert spread["explorer"] > 0.15


def test_plays_of_moods_do_not_show_which_genre_of_the_group_is_wanted(plays):
    """A session has every genre of a group in equal shares, and keeps one of them."""
    made = plays["moods"]
    n = made.world.listeners.platform_genres
    genre = made.world.genre[made.track]
    group = np.array([np.bincount(row // n, minlength=20 // n).argmax() for row in genre])
    inside = genre // n == group[:, None]
    kept = np.stack([(inside & ~made.skipped & (genre % n == k)).sum(1) for k in range(n)], 1)
    played = np.stack([(inside & (genre % n == k)).sum(1) for k in range(n)], 1)
    wanted = kept.argmax(1)
    rows = np.arange(len(wanted))
    assert made.by_recommender.all()
    # The first half of the plays says nothing of the second but for its labels.
    halves = [
        np.stack([(inside & keep & (genre % n == k))[:, part].sum(1) for k in range(n)], 1)
        for part, keep in ((slice(0, 10), ~made.skipped), (slice(10, 20), np.ones_like(inside)))
    ]
    later = halves[1] / np.maximum(halves[1].sum(1, keepdims=True), 1)
    assert later[rows, halves[0].argmax(1)].mean() == pytest.approx(1 / n, abs=0.02)
    assert (kept[rows, wanted] / np.maximum(played[rows, wanted], 1)).mean() > 0.85


def test_labels_of_coinflip_depend_on_nothing_and_nothing_depends_on_them(plays):
    made = plays["coinflip"]
    genre = made.world.genre[made.track]
    same = genre[:, 1:] == genre[:, :-1]
    after = [same[made.skipped[:, :-1] == skipped].mean() for skipped in (False, True)]
    assert after[0] == pytest.approx(after[1], abs=0.02)
    assert made.skipped[:, 1:][same].mean() == pytest.approx(
        made.skipped[:, 1:][~same].mean(), abs=0.02
    )


def test_tracks_of_drift_come_and_go(plays):
    def alike(made):
        counts = [
            np.bincount(made.track[made.era == era].ravel(), minlength=1000)
            for era in (0, made.era.max())
        ]
        return np.corrcoef(*counts)[0, 1]

    halves = plays["near"]
    counts = [np.bincount(half.ravel(), minlength=1000) for half in np.split(halves.track, 2)]
    assert np.corrcoef(*counts)[0, 1] > 0.9
    assert alike(plays["drift"]) < 0.3


def test_the_platform_of_biased_plays_what_it_has_played(plays):
    """The most played tracks have far more of the plays, and are skipped no less."""

    def top(made):
        counts = np.bincount(made.track.ravel(), minlength=1000)
        of_top = np.isin(made.track, np.argsort(-counts)[:50])
        return of_top.mean(), made.skipped[of_top].mean()

    (near, _), (biased, skipped) = top(plays["near"]), top(plays["biased"])
    assert biased > 1.5 * near
    assert skipped > 0.4


def test_a_genre_of_sparse_has_as_many_tracks_as_elsewhere():
    listeners = listeners_of({"world": "sparse", "sessions": 1, "tracks": 100_000})
    assert 100_000 / listeners.genres == pytest.approx(3000 / Listeners(1, 1).genres, rel=0.02)


def test_a_platform_that_tells_genres_apart_guesses_the_taste():
    rng = np.random.default_rng(1)
    world = World(Listeners(1, 100, recommender_error=0.0), rng)
    genre = np.array([3, 4])
    taste = world.taste(genre, rng.standard_normal((2, 16)))
    assert world.guess(genre, taste, np.ones((2, 16))) == pytest.approx(taste)
    world = World(Listeners(1, 100, recommender_error=0.0, platform_genres=2), rng)
    mean = world.centres[[2, 3]].mean(0)
    guess = world.guess(genre, taste, np.ones((2, 16)))
    assert guess[0] == pytest.approx(mean / np.linalg.norm(mean))


def test_fewer_sessions_than_eras(tmp_path):
    simulate_raw(
        tmp_path / "raw", form="mssd", simulation=SMALL | {"world": "drift", "sessions": 4}
    )


def test_the_names_of_the_truth_are_those_of_the_file(tmp_path):
    simulation = SMALL | {"world": "moods"}
    simulate_raw(tmp_path / "raw", form="mssd", simulation=simulation)
    text = gzip.decompress((tmp_path / "raw").read_bytes()).decode(errors="replace")
    plays, tracks, sessions = simulate_mssd(simulation)
    session, position = 41, 5
    row = f"{sessions[session]},{position + 1},{plays.length[session]},"
    assert row + tracks[int(plays.track[session, position])] in text
