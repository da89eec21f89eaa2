"""Reading delimited text with one clear error for whatever is wrong with it."""

import difflib
import io
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from skipwise.datasets.archives import DAMAGE, damaged, decompressed
from skipwise.errors import UserError

TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Layout:
    """How the text is laid out.

    ``columns`` gives the wanted columns and their types, in the order of the file where it has no header.  A Boolean
    may be spelled true/false, True/False or 0/1.  ``required`` columns hold a value in every row.
    """

    columns: dict[str, pl.DataType]
    separator: str = ","
    header: bool = True
    quote: str | None = '"'
    required: frozenset[str] = field(default_factory=frozenset)


def read_delimited(source: bytes | Path, layout: Layout, name: str) -> pl.DataFrame:
    """Read the wanted columns of a delimited file; ``name`` stands for the file in messages.

    Raises UserError that names the file and the missing column, or the line and the cell that do not fit.
    """
    try:
        raw = source if isinstance(source, bytes) else decompressed(source)
    except DAMAGE as error:
        raise damaged(source, error) from error
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw or raw.isspace():
        raise UserError(f"{name} is empty; get the file again")
    first = raw[: raw.find(b"\n")] if b"\n" in raw else raw
    cells = first.decode("utf-8", "replace").rstrip("\r").split(layout.separator)
    if layout.header:
        present = [cell.strip().strip('"') for cell in cells]
        check_columns(present, layout.columns, name)
    elif len(cells) != len(layout.columns):
        raise UserError(
            f"{name}, line 1: {len(cells)} fields where {len(layout.columns)} are expected "
            f"({', '.join(layout.columns)}); this is not the file of that data set"
        )
    try:
        text = pl.read_csv(
            io.BytesIO(raw),
            separator=layout.separator,
            has_header=layout.header,
            quote_char=layout.quote,
            infer_schema=False,
            new_columns=None if layout.header else list(layout.columns),
            columns=list(layout.columns) if layout.header else None,
        )
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{name} is not readable as delimited text ({_one_line(error)}); get the file again") from error
    return convert(text.select(list(layout.columns)), layout, name)


def check_columns(present: list[str], wanted, name: str) -> None:
    """Raise UserError when a wanted column is not among those present, with the nearest name and the list."""
    for column in wanted:
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise UserError(f"{name} has no column '{column}'{hint} It has: {', '.join(present)}")


def convert(text: pl.DataFrame, layout: Layout, name: str) -> pl.DataFrame:
    """Cast text columns to the types of ``layout``; raise UserError that names the first cell that does not fit."""
    frame = text.with_columns(
        _truth(column) if kind == pl.Boolean else pl.col(column).str.strip_chars().cast(kind, strict=False)
        for column, kind in layout.columns.items()
        if kind != pl.String
    )
    for column, kind in layout.columns.items():
        lost = frame[column].is_null()
        if kind.is_float():
            lost |= ~frame[column].is_finite().fill_null(True)
        if column not in layout.required:
            lost &= text[column].is_not_null()
        elif kind == pl.String:
            lost |= (frame[column].str.len_bytes() == 0).fill_null(True)
        if lost.any():
            row = lost.arg_max()
            line = row + 1 + layout.header
            cell = text[column][row]
            what = "is empty" if not cell else f"holds '{cell}', which is not a {_kind_name(kind)}"
            raise UserError(f"{name}, line {line}: column '{column}' {what}; mend or remove this row")
    return frame


def _truth(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.to_lowercase().replace_strict(TRUTH, default=None, return_dtype=pl.Boolean)


def _kind_name(kind: pl.DataType) -> str:
    if kind == pl.Boolean:
        return "boolean (true/false, True/False or 0/1)"
    if kind.is_integer():
        return "whole number that fits"
    return "number" if kind.is_numeric() else "value of the right kind"


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
