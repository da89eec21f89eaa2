"""Yandex Music's Yambda: the `listens.parquet` of one size, or its `multi_event.parquet`
(docs/protocol.md, data sets).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.raw.conditions import parse_rule
from skipwise.raw.forms.events import Plays, plays_only
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import read_rows
from skipwise.raw.tabular import check_columns

# Keys of its entry in the registry.
NEEDS = ("skipped_when",)

_COLUMNS = ("uid", "timestamp", "item_id", "is_organic", "played_ratio_pct", "track_length_seconds")
_EVENT = "event_type"


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
    """
    check_columns(
        list(_COLUMNS), [parse_rule(entry["skipped_when"])[0]], f"the form yambda of {path}"
    )
    columns = {"user": "uid", "track": "item_id", "time": "timestamp"}
    plays = Plays(path, entry | {"columns": columns}, context=("is_organic",), starts_nowhere=True)
    for given in read_rows(path, plays.wanted, optional=(_EVENT,)):
        event = given.rows[_EVENT].cast(pl.String)
        others = {"not a listen": event != "listen"}
        yield plays.of(plays_only(given, ledger, others), ledger)
