"""DuckDB statements, one a file, that read the tables of the steps before them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from skipwise.core.errors import UserError

_BATCH = 2**17  # rows that are written at a time


class Steps:
    """A DuckDB connection on which the steps leave their tables."""

    def __init__(
        self, *, threads: int = 1, memory: int | None = None, spill: str | Path | None = None
    ):
        """``memory`` in MB is what the process may take; what does not fit goes to the folder
        ``spill``.
        """
        settings = {"threads": threads, "preserve_insertion_order": False}
        if memory:
            # DuckDB counts its buffers alone, and what it gives out is beside them.
            settings["memory_limit"] = f"{memory * 6 // 10}MB"
        if spill:
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

    def read(self, table: str, paths: list[str], *, part: int | None = None) -> None:
        """Read parquet files, or one part of events, as ``table``."""
        statement = f"create or replace temp table {table} as from read_parquet($paths, hive_partitioning = false)"
        parameters = {"paths": [str(path) for path in paths]}
        if part is not None:
            statement, parameters = f"{statement} where part = $part", parameters | {"part": part}
        self.connection.sql(statement, params=parameters)

    def view(self, table: str, paths: list[str]) -> None:
        """Let ``table`` stand for parquet files, which are read when they are needed."""
        files = self.connection.read_parquet([str(path) for path in paths], hive_partitioning=False)
        files.create_view(table)

    def row(self, name: str) -> dict:
        """The one row that ``name.sql`` gives, by column."""
        found = self.query(name)
        return dict(zip(found.columns, found.fetchall()[0], strict=True))

    def batches(self, statement: str) -> Iterator[pa.RecordBatch]:
        """The result of a statement, a batch at a time."""
        return self.connection.sql(statement).to_arrow_reader(_BATCH)

    def rows(self, table: str) -> int:
        """Number of rows of ``table``."""
        return self.value(f"select count(*) from {table}")

    def value(self, statement: str):
        """The one value that a statement gives."""
        return self.connection.sql(statement).fetchall()[0][0]


def _statement(name: str) -> str:
    return Path(__file__).with_name("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def _drop_batch_scrobbles(steps: Steps, rule: str) -> dict:
    """Where skips are derived from time, keep the first of the plays of one second: they have no
    time of their own.
    """
    if rule == "given":
        return {}
    before = steps.rows("plays")
    steps.table("plays", "drop_batch_scrobbles")
    return {"batch_scrobbles_dropped": before - steps.rows("plays")}


def _spill(output: str) -> Path:
    """Where DuckDB puts what does not fit into memory."""
    return Path(output).parent / ".duckdb"


def _check_times(steps: Steps, dataset: str, rule: str = "length_margin") -> None:
    if steps.value("select count(*) from plays where started_at is null"):
        raise UserError(
            f"{dataset}: session_gap and the skip rule '{rule}' need the time of every play, which this data "
            "does not have; name the time column, or set session_gap: null and skip_rule: {name: given}"
        )
