"""Yandex Music's Yambda: the `listens.parquet` of one size, or its `multi_event.parquet`
(docs/protocol.md, data sets).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import parse_rule
from skipwise.raw.forms.events import Plays, plays_only
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import read_rows
from skipwise.raw.tabular import check_columns

# Keys of its entry in the registry.
NEEDS = ("skipped_when",)
# It reads `disliked_when`.
DISLIKES = True
# The listens are published in two files: one that both have is an error.
UNIQUE = True

_COLUMNS = ("uid", "timestamp", "item_id", "is_organic", "played_ratio_pct", "track_length_seconds")
_EVENT = "event_type"
_EVENTS = ("listen", "like", "dislike", "unlike", "undislike")
# What `disliked_when` names: no column of the file, but of its events.
_DISLIKED = "disliked"
_PLACE = ("uid", "item_id", "timestamp")


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has_columns("uid", "timestamp", "item_id", "is_organic")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the plays of a file, some at a time; ``session_key`` is the user.

    Of a file with an ``event_type`` only the listens are plays; likes, dislikes and what takes them
    back are left out and counted.  ``timestamp`` counts seconds, in steps of 5, from a start that
    is not published.
    ``entry["skipped_when"]`` is a rule on a column, such as ``played_ratio_pct < 50``; a share
    above 100 is a track partly heard again.  Plays within one step stay in the order of the file.
    With ``disliked_when: disliked`` a listen is a skip too if its user dislikes the track while it
    plays, and does not take that back.
    """
    form = f"the form yambda of {path}"
    check_columns(list(_COLUMNS), [parse_rule(entry["skipped_when"])[0]], form)
    if "disliked_when" in entry:
        check_columns([_DISLIKED], [parse_rule(entry["disliked_when"])[0]], form)
    columns = {"user": "uid", "track": "item_id", "time": "timestamp"}
    plays = Plays(path, entry | {"columns": columns}, context=("is_organic",), starts_nowhere=True)
    wanted = list(plays.wanted)
    dislikes = None
    if _DISLIKED in wanted:
        dislikes = _dislikes(path)
        wanted[wanted.index(_DISLIKED)] = "track_length_seconds"
    has_events = lacks_events = False
    for given in read_rows(path, list(dict.fromkeys(wanted)), optional=(_EVENT,)):
        event = given.rows[_EVENT].cast(pl.String)
        has_events |= event.count() > 0
        lacks_events |= event.null_count() > 0
        if has_events and lacks_events:
            raise UserError(
                f"{given.name}: a row has no '{_EVENT}', so it may be a listen or not; this is not "
                "the published file"
            )
        if unknown := event.filter(~event.is_in(_EVENTS)).head(1).to_list():
            raise UserError(
                f"{given.name}: column '{_EVENT}' holds '{unknown[0]}', which is none of "
                f"{', '.join(_EVENTS)}; this is not the published file"
            )
        if dislikes is not None:
            given = given._replace(rows=_with_dislikes(given.rows, dislikes))
        others = {"not a listen": event != "listen"}
        yield plays.of(plays_only(given, ledger, others), ledger)


def _dislikes(path: Path) -> pl.DataFrame:
    """The dislikes of a file that no undislike of the same user and track follows, in order of
    time; 12 bytes each are in memory.
    """
    found, has_events = [], False
    for given in read_rows(path, [*_PLACE], optional=(_EVENT,)):
        event = given.rows[_EVENT].cast(pl.String)
        has_events |= event.count() > 0
        kept = given.rows.select(
            *(pl.col(name).cast(pl.UInt32, strict=False) for name in _PLACE),
            dislikes=event == "dislike",
        )
        found.append(kept.filter(event.is_in(["dislike", "undislike"])))
    if not has_events:
        raise UserError(
            f"{path} has no column '{_EVENT}': disliked_when needs multi_event.parquet, which has "
            "dislikes too"
        )
    undislikes = (~pl.col("dislikes")).cum_sum(reverse=True).over("uid", "item_id")
    stays = pl.col("dislikes") & (undislikes == 0)
    return (
        pl.concat(found)
        .drop_nulls()
        .sort("timestamp", maintain_order=True)
        .filter(stays)
        .drop("dislikes")
    )


def _with_dislikes(rows: pl.DataFrame, dislikes: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``disliked``: whether a dislike of the play's user and track is within a length
    of the track from its time, which may be that of its start or its end.
    """
    plays = rows.select(
        *(pl.col(name).cast(pl.UInt32, strict=False) for name in _PLACE),
        length=pl.col("track_length_seconds").cast(pl.Int64, strict=False),
    ).with_row_index()
    nearest = (
        plays.drop_nulls()
        .sort("timestamp")
        .join_asof(
            dislikes.with_columns(at=pl.col("timestamp").cast(pl.Int64)),
            on="timestamp",
            by=["uid", "item_id"],
            strategy="nearest",
            check_sortedness=False,
        )
        .filter((pl.col("at") - pl.col("timestamp").cast(pl.Int64)).abs() <= pl.col("length"))
    )
    disliked = pl.Series(_DISLIKED, [False]).new_from_index(0, rows.height)
    return rows.with_columns(disliked.scatter(nearest["index"], True))
