"""Where each use of skips helps: what each variant changes on parts of the test sessions, by their
target. Whether it is in the context already (*repeat*) or not (*new*); whether it is among the more
played half of the targets in training (*head*) or not (*tail*), and whether it had fewer than five
plays there (*cold*). A gain that is on the head alone may be popularity; one on cold targets is
none that counting could give. Where the data says how a play came about, whether the listener chose
the target (*organic*), a recommender did (*recommended*), or chance (*random*): only on the last
ones did no recommender decide which targets there are.
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
SETTINGS = ("simulated", "intervals")
GIGABYTES = 4
MINUTES = 60
TITLE = "Gain by kind of target"
COLUMNS = variants.comparison_columns(required("slice", pa.string()))
EXPLAINS = {"slice": Column("target", "Kind of target: of which sessions the row is.")}
MEASURES = variants.rank_measures({"hr": (10,)})
COLD = 5
ORIGINS = ("is_organic", "is_random")


def note(given: Given) -> str:
    return variants.note(
        given,
        f"Sessions by their target; head: above the median of plays in training, cold: below "
        f"{COLD} plays. ",
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


def slices_by_origin(given: Given) -> dict[tuple[str, str], pl.DataFrame]:
    """By data set and split, whether the play of each test session's target is in a slice, by
    ``session_id``; none where the data does not say how plays came about.
    """
    sessions = {hive_keys(path)["dataset"]: path for path in given["sessions"]}
    found = {}
    for path in given["test"]:
        keys = hive_keys(path)
        plays = _read("sessions", sessions[keys["dataset"]], ["position", "track_id", *ORIGINS])
        if plays.select(ORIGINS).null_count().row(0) == (plays.height,) * len(ORIGINS):
            continue
        test = _read("test", path, ["tracks", "target"])
        found[keys["dataset"], keys["split"]] = (
            plays.join(test, on="session_id")
            .filter(
                pl.col("position") > pl.col("tracks").list.len(),
                pl.col("track_id") == pl.col("target"),
            )
            .group_by("session_id")
            .agg(pl.col(ORIGINS).sort_by("position").first())
            .select(
                "session_id",
                organic=pl.col("is_organic"),
                recommended=~pl.col("is_organic"),
                random=pl.col("is_random"),
            )
            .fill_null(False)
        )
    return found


def _read(name: str, path: str, columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(read_artifact(name, path, ["session_id", *columns]))


def rows(given: Given) -> list[dict]:
    """The change that every variant brings, by slice; a slice without a session has no row."""
    found: list[dict] = []
    by_origin = slices_by_origin(given)
    for keys, orig, ours in variants.pairs(given):
        named = slices(orig)
        if (keys["dataset"], keys["split"]) in by_origin:
            ids = pl.DataFrame({"session_id": orig.session_id})
            origin = ids.join(
                by_origin[keys["dataset"], keys["split"]],
                on="session_id",
                how="left",
                maintain_order="left",
            ).drop("session_id")
            named |= {name: origin[name].fill_null(False).to_numpy() for name in origin.columns}
        for name, inside in named.items():
            parts = subset(ours, inside), subset(orig, inside)
            measures = [m for m in MEASURES if len(parts[1].among(m.candidates).session_id)]
            found += variants.rows_of_pair(given, keys | {"slice": name}, measures, *parts)
    return variants.corrected(found)
