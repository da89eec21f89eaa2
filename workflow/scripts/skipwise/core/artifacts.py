"""Reading and writing artifacts: the only place that touches parquet and json files on the way of
the data.
"""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS, Artifact


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path next to ``path`` that takes its place when the block ends well, and is
    removed when it does not.

    So a file appears complete or not at all, whatever kills the process in between; what a killed
    one left is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except Exception as error:
        error.add_note(str(path))  # which the errors of some libraries do not name
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_artifact(table: pa.Table, artifact: str | Artifact, path: str | Path) -> None:
    """Cast ``table`` to the schema of ``artifact``, put its rows in their total order and write
    zstd parquet atomically.

    Raises ValueError when a column is missing, a value does not fit its type, or a required column
    holds a null: each is an error of ours, not of the user's.
    """
    schema, order = ARTIFACTS[artifact] if isinstance(artifact, str) else artifact
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise ValueError(f"{path}: the columns {missing} are missing")
    table = table.select(schema.names).cast(schema)
    if order:
        table = table.sort_by([(name, "ascending") for name in order])
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def write_batches(batches: Iterable[pa.RecordBatch], artifact: str, path: str | Path) -> int:
    """Write an artifact batch by batch, never holding the whole; returns the number of rows.

    The rows must come in the artifact's total order.  Raises ValueError as :func:`write_artifact`
    does.
    """
    schema, rows = ARTIFACTS[artifact].schema, 0
    with (
        whole_file(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in batches:
            table = pa.table(batch).select(schema.names).cast(schema)
            writer.write_table(table)
            rows += table.num_rows
    return rows


def read_artifact(artifact: str, path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """Read an artifact and check that its columns are what core/schemas.py says.

    Raises UserError when the file is not such an artifact, for example because another version of
    skipwise wrote it.
    """
    try:
        # pq.read_table would import pyarrow.dataset, and that pandas: 0.3 s of `recommend`.
        table = pq.ParquetFile(path).read(columns=columns)
        if columns and {*columns} <= {*table.column_names}:
            table = table.select(columns)  # in the order that is asked for
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; check the path, or run snakemake again") from error
    except (pa.ArrowInvalid, OSError) as error:
        what = str(error).splitlines()[0]
        raise UserError(
            f"{path} cannot be read ({what}); delete it and run snakemake again"
        ) from error
    schema = ARTIFACTS[artifact].schema
    expected = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if not table.schema.equals(expected):
        raise UserError(
            f"{path} does not have the columns of a {artifact} file; delete it and run snakemake "
            "again"
        )
    return table


def write_json(value: dict, path: str | Path) -> None:
    """Write ``value`` as indented json with sorted keys, atomically."""
    with whole_file(path) as partial:
        partial.write_text(
            json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def read_json(path: str | Path) -> dict:
    """Read a json file that :func:`write_json` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
