"""Where each use of skips helps: what each variant changes on parts of the test sessions. By their
target: whether it is in the context already (*repeat*) or not (*new*); whether it is among the more
played half of the targets in training (*head*) or not (*tail*), and whether it had fewer than five
plays there (*cold*). A gain that is on the head alone may be popularity; one on cold targets is
none that counting could give. By their context: whether it is at most as long as the median
(*short*) or longer (*long*). And by what the data says of the play of the target: whether the
listener chose it (*organic*), a recommender did (*recommended*), or chance (*random*), for only on
the last ones did no recommender decide which targets there are; whether the player was *shuffled*
or *in order*, the listener *premium* or *free*, the time of day and the kind of list.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import Ranked, subset
from skipwise.report import variants
from skipwise.report.columns import Column
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "sessions", "test")
SETTINGS = ("simulated", "references", "intervals")
GIGABYTES = 4
MINUTES = 60
TITLE = "Gain by kind of session"
COLUMNS = variants.comparison_columns(required("slice", pa.string()))
EXPLAINS = {"slice": Column("sessions of", "Of which test sessions the row is.")}
MEASURES = variants.rank_measures({"hr": (10,)})
COLD = 5
OF_PLAYS = ("is_organic", "is_random", "shuffle", "premium", "hour", "context_type")
TIMES_OF_DAY = ("night", "morning", "afternoon", "evening")  # of six hours each, from midnight


def note(given: Given) -> str:
    return variants.note(
        given,
        f"head: targets above the median of plays in training; cold: below {COLD} plays; short: "
        "contexts of at most the median length. Night is from 0 to 6 o'clock, and so on. ",
    )


def slices(ranked: Ranked) -> dict[str, np.ndarray]:
    """By name, (S,) which sessions are in a slice."""
    plays = ranked.target_popularity
    head = plays > np.median(plays)
    return {
        "repeat": ranked.is_repeat,
        "new": ~ranked.is_repeat,
        "head": head,
        "tail": ~head,
        "cold": plays < COLD,
    }


def slices_of_sessions(given: Given) -> dict[tuple[str, str], pl.DataFrame]:
    """By data set and split, whether each test session is in a slice, by ``session_id``: by the
    length of its context, and by what the data says of the play of its target.
    """
    sessions = {hive_keys(path)["dataset"]: path for path in given["sessions"]}
    found = {}
    for path in given["test"]:
        keys = hive_keys(path)
        test = _read("test", path, ["tracks", "target"])
        length = pl.col("tracks").list.len()
        slices = test.select(
            "session_id", short=length <= length.median(), long=length > length.median()
        )
        plays = _read("sessions", sessions[keys["dataset"]], ["position", "track_id", *OF_PLAYS])
        known = [name for name in OF_PLAYS if plays[name].null_count() < plays.height]
        if known:
            of_targets = (
                plays.join(test, on="session_id")
                .filter(pl.col("position") > length, pl.col("track_id") == pl.col("target"))
                .group_by("session_id")
                .agg(pl.col(OF_PLAYS).sort_by("position").first())
            )
            slices = slices.join(_by_play(of_targets), on="session_id", how="left").fill_null(False)
        found[keys["dataset"], keys["split"]] = slices
    return found


def _by_play(plays: pl.DataFrame) -> pl.DataFrame:
    """Whether plays are in a slice; what is not known is in none."""
    day, context = pl.col("hour") // 6, pl.col("context_type")
    contexts = sorted(plays["context_type"].drop_nulls().unique())
    return plays.select(
        "session_id",
        organic=pl.col("is_organic"),
        recommended=~pl.col("is_organic"),
        random=pl.col("is_random"),
        shuffled=pl.col("shuffle"),
        **{"in order": ~pl.col("shuffle")},
        premium=pl.col("premium"),
        free=~pl.col("premium"),
        **{name: day == at for at, name in enumerate(TIMES_OF_DAY)},
        **{name.replace("_", " "): context == name for name in contexts},
    )


def _read(name: str, path: str, columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(read_artifact(name, path, ["session_id", *columns]))


def rows(given: Given) -> list[dict]:
    """The change that every variant brings, by slice; a slice without a session has no row."""
    found: list[dict] = []
    of_sessions = slices_of_sessions(given)
    for keys, orig, ours in variants.pairs(given):
        named = slices(orig)
        ids = pl.DataFrame({"session_id": orig.session_id})
        each = of_sessions[keys["dataset"], keys["split"]]
        its = ids.join(each, on="session_id", how="left", maintain_order="left").drop("session_id")
        named |= {name: its[name].to_numpy() for name in its.columns}
        for name, inside in named.items():
            parts = subset(ours, inside), subset(orig, inside)
            measures = [m for m in MEASURES if len(parts[1].among(m.candidates).session_id)]
            found += variants.rows_of_pair(given, keys | {"slice": name}, measures, *parts)
    return variants.corrected(found)
