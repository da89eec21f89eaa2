"""DuckDB statements, one per file in ``sql/``, each of which reads the tables of earlier steps.

Statements take named parameters (docs/protocol.md: sessions, derived skips, split).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from skipwise.core.errors import UserError
from skipwise.sessions.recipe import Machine, Recipe

_BATCH = 2**17  # rows that are written at once


# Positions count the rows of one file, downwards where it is newest first, and so do files then:
# plays at one time are in the order of a single file, where each of the files shows its direction.
_PLAYS = """
    select * exclude (part, member) replace (
        case
            when started_at is null then position
            else position + sign(position)::bigint * (file_index::bigint << 40)
        end as position
    )
"""


class Steps:
    """A DuckDB connection on which the steps leave their tables."""

    def __init__(self, machine: Machine | None = None, *, spill_beside: str | Path | None = None):
        """Tables that do not fit into the memory of ``machine`` spill next to ``spill_beside``."""
        machine = machine or Machine()
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": machine.threads,
            "preserve_insertion_order": False,
        }
        if machine.memory:
            # DuckDB counts only its buffers; what it hands out takes memory too.
            settings["memory_limit"] = f"{machine.memory * 6 // 10}MB"
        if spill_beside:
            spill = Path(spill_beside).parent / ".duckdb"
            shutil.rmtree(spill, ignore_errors=True)  # of a job that was killed
            settings["temp_directory"] = str(spill)
        self.connection = duckdb.connect(config=settings)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()

    def query(self, name: str, **parameters) -> duckdb.DuckDBPyRelation:
        """The result of ``name.sql``."""
        return self.connection.sql(_statement(name), params=parameters)

    def table(self, table: str, name: str, **parameters) -> None:
        """Run ``name.sql`` and keep its result as ``table``."""
        self.connection.sql(
            f"create or replace temp table {table} as {_statement(name)}", params=parameters
        )

    def append(self, table: str, name: str, **parameters) -> None:
        """Run ``name.sql`` and add its rows to ``table``, which is made if there is none."""
        statement = _statement(name)
        made = f"create temp table if not exists {table} as from ({statement}) limit 0"
        self.connection.sql(made, params=parameters)
        self.connection.sql(f"insert into {table} {statement}", params=parameters)

    def read(self, table: str, paths: list[str], *, part: int | None = None) -> None:
        """Read parquet files, or the plays of one part of events, as ``table``."""
        statement = "from read_parquet($paths, hive_partitioning = false)"
        parameters: dict[str, list[str] | int] = {"paths": [str(path) for path in paths]}
        if part is not None:
            statement = f"{_PLAYS} {statement} where part = $part"
            parameters["part"] = part
        statement = f"create or replace temp table {table} as {statement}"
        self.connection.sql(statement, params=parameters)

    def view(self, table: str, paths: list[str]) -> None:
        """Make ``table`` a view of parquet files, which are read when they are needed."""
        files = self.connection.read_parquet([str(path) for path in paths], hive_partitioning=False)
        files.create_view(table)

    def row(self, name: str) -> dict:
        """The single row that ``name.sql`` gives, by column."""
        found = self.query(name)
        return dict(zip(found.columns, found.fetchall()[0], strict=True))

    def batches(self, statement: str) -> Iterator[pa.RecordBatch]:
        """The result of an SQL text in batches of rows."""
        return self.connection.sql(statement).to_arrow_reader(_BATCH)

    def batches_of(self, name: str, **parameters) -> Iterator[pa.RecordBatch]:
        """The result of ``name.sql`` in batches of rows."""
        return self.query(name, **parameters).to_arrow_reader(_BATCH)

    def arrow(self, table: str) -> pa.Table:
        """All rows of ``table``."""
        return self.connection.table(table).to_arrow_table()

    def rows(self, table: str) -> int:
        """Number of rows of ``table``."""
        return self.value(f"select count(*) from {table}")

    def value(self, statement: str) -> Any:
        """The single value that an SQL text gives."""
        return self.connection.sql(statement).fetchall()[0][0]


def _statement(name: str) -> str:
    return Path(__file__).with_name("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def drop_batch_scrobbles(steps: Steps) -> int:
    """Keep the first of the plays of one user at one second; returns the number of the others.

    Plays that were stored as a batch have no time of their own, from which a skip could be derived.
    """
    before = steps.rows("plays")
    steps.table("plays", "drop_batch_scrobbles")
    return before - steps.rows("plays")


def check_times(steps: Steps, recipe: Recipe) -> None:
    """Raise UserError if a play has no time."""
    if steps.value("select count(*) from plays where started_at is null"):
        raise UserError(
            f"{recipe.dataset}: session_gap and the skip rule '{recipe.rule}' need the time of "
            "every play, which this data does not have; name the time column, or set "
            "session_gap: null and skip_rule: {name: given}"
        )
