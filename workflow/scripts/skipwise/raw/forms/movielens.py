"""MovieLens 100K: explicit ratings, the negatives of people who rate (docs/protocol.md, data sets,
ml100k).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import parse_rule
from skipwise.raw.forms.events import Plays
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import Dialect, read_rows
from skipwise.raw.tabular import check_columns

# Keys of its entry in the registry.
NEEDS = ("skipped_when",)
# The same ratings are published in several packings: a rating that two files have is an error.
UNIQUE = True

_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
# RecBole's spelling of the same columns; its file has a header.
_RECBOLE = {
    "user_id:token": "user_id",
    "item_id:token": "item_id",
    "rating:float": "rating",
    "timestamp:float": "timestamp",
}


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has("ml-100k/u.data", "u.data", "ml-100k.inter")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the published zip, its ``u.data``, or the same ratings as RecBole's ``ml-100k.inter``.

    Ratings of one second stay in the order of the file, which is shuffled, so that no order is read
    into them.
    """
    column, _, value = parse_rule(entry["skipped_when"])
    check_columns(list(_COLUMNS), [column], str(path))
    if not isinstance(value, float):
        raise UserError(
            f"{path}: skipped_when: '{entry['skipped_when']}' compares with no number, as in "
            "rating < 4"
        )
    is_recbole = path.suffix.lower() == ".inter"
    wanted = [*_RECBOLE] if is_recbole else [*_COLUMNS]
    dialect = Dialect("\t", quote=None, names=None if is_recbole else _COLUMNS)
    columns = {"user": "user_id", "track": "item_id", "time": "timestamp"}
    plays = Plays(path, entry | {"columns": columns})
    for given in read_rows(path, wanted, dialect, members=("ml-100k/u.data",)):
        yield plays.of(given._replace(rows=given.rows.rename(_RECBOLE, strict=False)), ledger)
