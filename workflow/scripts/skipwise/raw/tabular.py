"""Reading delimited text with one clear error for whatever is wrong with it."""

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.archives import Block, count_byte

# How programs write a cell that holds nothing, to the letter.
MISSING = (
    *("", "nan", "NaN", "NAN", "NaT", "<NA>", "None", "NULL", "null", r"\N"),
    "__HIVE_DEFAULT_PARTITION__",
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
TRUTH = {"true": True, "1": True, "false": False, "0": False}

PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}

PolarsType = pl.DataType | type[pl.DataType]


@dataclass(frozen=True)
class Layout:
    """How the text is laid out.

    ``columns`` gives the wanted columns and their types.  A Boolean may be spelled true/false,
    True/False or 0/1.  ``required`` columns hold a value in every row.
    """

    columns: Mapping[str, PolarsType]
    separator: str = ","
    quote: str | None = '"'
    required: frozenset[str] = field(default_factory=frozenset)


def first_row(wrong: pl.Series) -> int:
    """The place, from 0, of the first true value of a series that has one."""
    row = wrong.arg_max()
    assert row is not None
    return row


def as_numbers(column: pl.Series) -> pl.Series:
    """The cells as floating numbers, null where one is none: of text also with spaces around it, of
    durations and times of day the seconds.
    """
    if column.dtype in (pl.Duration, pl.Time):
        return column.cast(pl.Duration("us")).cast(pl.Float64) / 1e6
    if column.dtype.is_temporal():
        return pl.Series([None], dtype=pl.Float64).new_from_index(0, len(column))
    numbers = column.cast(pl.Float64, strict=False)
    # Few files have spaces, so they are looked for only if a cell does not fit.
    if column.dtype == pl.String and numbers.null_count() > column.null_count():
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers


def as_text(column: pl.Series) -> pl.Series:
    """The cells as text; of a date or timestamp outside of the years 1 to 9999, which polars cannot
    write, the number that the file holds.
    """
    if column.dtype not in (pl.Date, pl.Datetime):
        return column.cast(pl.String, strict=False)
    held = column.to_physical()
    unit = getattr(column.dtype, "time_unit", None)
    a_day = 86_400 * PER_SECOND[unit] if unit else 1
    first, end = (max(-(2**63), min(days * a_day, 2**63 - 1)) for days in (-719_162, 2_932_897))
    written = held.is_between(first, end, closed="left").fill_null(False)
    text = column.zip_with(written, column.clear(len(column))).cast(pl.String)
    return text.zip_with(written, held.cast(pl.String))


def check_is_text(head: bytes, name: str) -> None:
    """Raise UserError if a file begins with bytes that no text has."""
    if head.startswith(_UTF16):
        raise UserError(
            f"{name} is UTF-16; write it as UTF-8, for example with iconv -f UTF-16 -t UTF-8"
        )
    if b"\0" in head or head.startswith((b"PK\x03\x04", b"PAR1")):
        raise UserError(
            f"{name} is not delimited text; unpack it, or give csv, tsv, json or parquet, with the "
            "suffix that says so"
        )


def parse_block(block: Block, layout: Layout) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a block that are right, as ``line`` and the wanted columns, and the others as
    ``line`` and ``reason``.

    The fast parser is believed where it read every cell and no row can have a cell too many or too
    few; any block in which something is not as it should be goes line by line.  Raises UserError
    where a wanted column is missing.
    """
    header = block.text[: block.text.index(b"\n")]
    check_is_text(header, block.name)
    names = header.decode("utf-8", "replace").rstrip("\r")
    present = [name.strip().strip('"') for name in names.split(layout.separator)]
    check_columns(present, layout.columns, block.name)
    twice = [column for column in layout.columns if present.count(column) > 1]
    if twice:
        raise UserError(f"{block.name} has the column '{twice[0]}' twice; take one of them out")
    frame = _parse_fast(block.text, present, layout)
    if frame is None:
        return _parse_lines(block, present, layout)
    line = pl.int_range(
        block.first_line, block.first_line + frame.height, dtype=pl.Int64, eager=True
    ).alias("line")
    return frame.select(line, *layout.columns), pl.DataFrame(schema=REJECTED)


REJECTED = {"line": pl.Int64, "reason": pl.String}


def _parse_fast(text: bytes, present: list[str], layout: Layout) -> pl.DataFrame | None:
    """The wanted columns, or None where the block needs a closer look."""
    last = present[-1]
    if b"\r" in text or (layout.quote and layout.quote.encode() in text) or present.count(last) > 1:
        return None
    types = {column: layout.columns.get(column, pl.String) for column in (*layout.columns, last)}
    try:
        frame = pl.read_csv(
            text,
            separator=layout.separator,
            quote_char=None,
            columns=list(types),
            schema_overrides=types,
        )
    except pl.exceptions.PolarsError:
        return None
    # A row with too few cells has none in the last column; without such a row, none can have too
    # many.
    if any(frame[column].null_count() for column in layout.required | {last}):
        return None
    if count_byte(text, layout.separator.encode()) != (len(present) - 1) * (frame.height + 1):
        return None
    floats = [
        frame[column].is_finite().all()
        for column, kind in layout.columns.items()
        if kind.is_float()
    ]
    return frame if all(floats) else None


def _parse_lines(
    block: Block, present: list[str], layout: Layout
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every line by itself, with a reason for each that does not fit."""
    lines, wrong = _decoded_lines(block, layout.separator)
    rows, ragged = _cells(lines, layout, len(present))
    text = rows.select(
        "line",
        *(
            pl.col("cells").list.get(present.index(column)).replace("", None).alias(column)
            for column in layout.columns
        ),
    )
    reason, typed = [], []
    for column, kind in layout.columns.items():
        value = _converted(column, kind).alias(column)
        typed.append(value)
        lost = value.is_null() | (value.is_finite().not_() if kind.is_float() else False)
        held = pl.col(column)
        what = pl.format(
            "column '{}' holds '{}', which is not a {}",
            pl.lit(column),
            held,
            pl.lit(_kind_name(kind)),
        )
        if column in layout.required:
            what = (
                pl.when(held.is_null()).then(pl.lit(f"column '{column}' is empty")).otherwise(what)
            )
        else:
            lost = lost & held.is_not_null()
        reason.append(pl.when(lost).then(what))
    judged = text.with_columns(*typed).with_columns(
        text.select(reason=pl.coalesce(reason)).to_series()
    )
    right = judged.filter(pl.col("reason").is_null()).drop("reason")
    wrong = pl.concat(
        [wrong, ragged, judged.filter(pl.col("reason").is_not_null()).select("line", "reason")]
    )
    return right, wrong.sort("line")


def _decoded_lines(block: Block, separator: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``line`` and ``text`` of the lines that are not blank, and those that are not UTF-8.

    A line of separators is a row of empty cells, also where they are tabs.
    """
    _, *raw = block.text.split(b"\n")
    wrong = []
    try:
        _, *texts = block.text.decode().split("\n")
    except UnicodeDecodeError:
        texts = []
        for at, line in enumerate(raw):
            try:
                texts.append(line.decode())
            except UnicodeDecodeError as error:
                texts.append("")
                wrong.append(
                    (
                        block.first_line + at,
                        f"not valid utf-8 ({error.reason} at byte {error.start})",
                    )
                )
    lines = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(
        line=pl.int_range(block.first_line, block.first_line + len(texts), dtype=pl.Int64),
        text=pl.col("text").str.strip_suffix("\r"),
    )
    # Polars by itself strips control characters too, which are a cell.
    blank = pl.col("text").str.strip_chars(" \t") == ""
    blank &= ~pl.col("text").str.contains(separator, literal=True)
    return lines.filter(~blank), pl.DataFrame(wrong, schema=REJECTED, orient="row")


def _cells(lines: pl.DataFrame, layout: Layout, n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``line`` and ``cells`` of the lines with ``n`` cells, and the others with what is wrong."""
    if layout.quote:
        quoted = pl.col("text").str.contains(layout.quote, literal=True)
        plain, special = lines.filter(~quoted), lines.filter(quoted)
    else:
        plain, special = lines, lines.clear()
    rows = plain.select("line", cells=pl.col("text").str.split(layout.separator))
    parsed, wrong = [], []
    for line, text in special.iter_rows():
        try:
            (cells,) = csv.reader(
                [text], delimiter=layout.separator, quotechar=layout.quote, strict=True
            )
            parsed.append((line, cells))
        except (csv.Error, ValueError) as error:
            wrong.append((line, f"not readable as delimited text ({error})"))
    if parsed:
        rows = pl.concat([rows, pl.DataFrame(parsed, schema=rows.schema, orient="row")]).sort(
            "line"
        )
    right = pl.col("cells").list.len() == n
    reason = pl.format("{} fields where {} are expected", pl.col("cells").list.len(), pl.lit(n))
    ragged = rows.filter(~right).select("line", reason=reason)
    return rows.filter(right), pl.concat(
        [pl.DataFrame(wrong, schema=REJECTED, orient="row"), ragged]
    )


def check_columns(present: list[str], wanted, name: str) -> None:
    """Raise UserError when a wanted column is not among those present, with the nearest name and
    the list.
    """
    for column in wanted:
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise UserError(f"{name} has no column '{column}'{hint} It has: {', '.join(present)}")


def _converted(column: str, kind: PolarsType) -> pl.Expr:
    """The text column as ``kind``, null where it does not fit."""
    if kind == pl.String:
        return pl.col(column)
    return (
        _truth(column)
        if kind == pl.Boolean
        else pl.col(column).str.strip_chars().cast(kind, strict=False)
    )


def _truth(column: str) -> pl.Expr:
    return (
        pl.col(column)
        .str.strip_chars()
        .str.to_lowercase()
        .replace_strict(TRUTH, default=None, return_dtype=pl.Boolean)
    )


def _kind_name(kind: PolarsType) -> str:
    if kind == pl.Boolean:
        return "boolean (true/false, True/False or 0/1)"
    if kind.is_integer():
        return "whole number that fits"
    return "number" if kind.is_numeric() else "value of the right kind"
