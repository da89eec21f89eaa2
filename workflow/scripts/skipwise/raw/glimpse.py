"""A look at the start of a file, by which the forms recognise theirs."""

import fnmatch
import textwrap
from functools import cached_property
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.archives import is_archive
from skipwise.raw.tables import first_members, folder_columns, read_rows
from skipwise.raw.tabular import REJECTED

_ROWS = 10_000


class Glimpse:
    """What the first rows of a file, or the first members of an archive, show.

    ``error`` is what is wrong with the file as a table, None if it is one, and ``wrong`` has the
    first rows that cannot be read.
    """

    error: UserError | None = None
    wrong = pl.DataFrame(schema=REJECTED)

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def names(self) -> list[str]:
        """The names of the first members of an archive, else that of the file."""
        return first_members(self.path) if is_archive(self.path) else [self.path.name]

    def has(self, *patterns: str) -> bool:
        """Whether one of the names matches a pattern."""
        return any(fnmatch.fnmatch(name, pattern) for name in self.names for pattern in patterns)

    @property
    def folders(self) -> tuple[str, ...]:
        """The columns that folders above the file are."""
        return tuple(folder_columns(self.path))

    @cached_property
    def head(self) -> pl.DataFrame:
        """The first rows with all columns, as they are read, those of folders last; empty if the
        file is no table.
        """
        try:
            for given in read_rows(self.path, None, optional=self.folders):
                self.wrong = given.wrong
                return given.rows.head(_ROWS)
        except UserError as error:
            self.error = error
        return pl.DataFrame()

    @property
    def columns_in_words(self) -> str:
        """The names of the columns, those of many or long ones cut."""
        return textwrap.shorten(", ".join(self.head.columns), 200, placeholder=" …") or "none"

    def has_columns(self, *columns: str) -> bool:
        """Whether the table has all of these columns."""
        return {*columns} <= {*self.head.columns}
