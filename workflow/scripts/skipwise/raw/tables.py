"""Columns of a table that a person has: csv, tsv or parquet."""

from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.tabular import Layout, check_columns, read_delimited


def read_columns(path: Path, wanted: list[str]) -> pl.DataFrame:
    """The wanted columns: as they are in parquet, as text in delimited files."""
    if path.suffix != ".parquet":
        return read_delimited(
            path, Layout(dict.fromkeys(wanted, pl.String), separator(path)), str(path)
        )
    try:
        check_columns(list(pl.read_parquet_schema(path)), wanted, str(path))
        frame = pl.read_parquet(path, columns=wanted)
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"{path} is not a readable parquet file ({str(error).splitlines()[0]})"
        ) from error
    for column in wanted:
        if frame.schema[column].is_nested():
            raise UserError(
                f"{path}: column '{column}' holds {frame.schema[column]} values; write one row per "
                "play"
            )
    return frame


def separator(path: Path) -> str:
    """What stands between the cells of a delimited file, by its name."""
    return "\t" if path.name.removesuffix(".gz").endswith((".tsv", ".tab")) else ","
