"""The account of every row of a raw file: read, rejected with a reason, or left out and counted."""

from collections import Counter

import polars as pl

from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS

# So many rejected rows mean a wrong file, whatever the tolerance, and the place to stop collecting
# them.
_MOST_REJECTED = 1_000_000
# Reasons that a message names, each with its first row.
MOST_NAMED = 5


class Ledger:
    """Counts the rows of one raw file.

    ``tolerance`` is the share of rows that may be wrong before the file as a whole is taken for a
    wrong one.  ``unit`` says what its rows are numbered by, in messages.
    """

    unit = "line"

    def __init__(self, file: str, tolerance: float):
        self.file, self.tolerance = file, tolerance
        self.rows = 0
        self.left_out: Counter = Counter()
        self._rejected: list[pl.DataFrame] = []
        self._n_rejected = self._faults = 0

    def read(self, rows: int) -> None:
        """Count rows that were read."""
        self.rows += rows

    def leave_out(self, why: str, rows: int) -> None:
        """Count sound rows that are not wanted."""
        if rows:
            self.left_out[why] += rows

    def reject(self, name: str, rows: pl.DataFrame, faults: int | None = None) -> None:
        """Set rows apart: ``line`` and ``reason`` of each; ``name`` stands for the file they are
        in.

        ``faults`` is how many of them are invalid by themselves (default: all), and not only
        because another one is.
        """
        if rows.is_empty():
            return
        rows = rows.select(pl.lit(name).alias("file"), pl.col("line").cast(pl.Int64), "reason")
        self._rejected.append(rows)
        self._n_rejected += rows.height
        self._faults += rows.height if faults is None else faults
        if self._n_rejected > _MOST_REJECTED:
            self.check()

    def check(self) -> None:
        """Raise UserError where more rows are wrong than the tolerance allows; it names the first
        of each reason.
        """
        if self._faults > self.tolerance * self.rows:
            (name, line, reason, _), *others = first_of_each_reason(self.rejected())
            also = "".join(
                f"; {'' if its == name else f'{its}, '}{self.unit} {at}: {why} ({n} such)"
                for its, at, why, n in others
            )
            raise UserError(
                f"{name}, {self.unit} {line}: {reason}; correct or remove this row "
                f"({self._faults} of {self.rows} rows of {self.file} are wrong, raw.tolerance "
                f"allows {self.tolerance:.2%}){also}"
            )

    def rejected(self) -> pl.DataFrame:
        """The rejected rows: file, line, reason."""
        empty = pl.DataFrame(ARTIFACTS["rejected"].schema.empty_table())
        return pl.concat([empty, *self._rejected]) if self._rejected else empty

    def counts(self) -> dict:
        """``rows``, ``rejected``, and ``left_out`` by reason."""
        return {"rows": self.rows, "rejected": self._n_rejected, "left_out": dict(self.left_out)}


def first_of_each_reason(rejected: pl.DataFrame) -> list[tuple[str, int, str, int]]:
    """File, line and reason of the first row of each kind of reason, with how many have it, by
    line; at most five.  Reasons that differ in the cell or number that they quote are of one kind.
    """
    kind = pl.col("reason").str.replace_all(r"(?s)(holds|^the \w+|^session) '.*'|\b\d+\b", "$1")
    firsts = rejected.sort("file", "line", maintain_order=True).group_by(kind, maintain_order=True)
    named = firsts.agg(
        pl.first("file", "line").name.keep(), pl.first("reason").alias("said"), pl.len()
    )
    return named.head(MOST_NAMED).select("file", "line", "said", "len").rows()
