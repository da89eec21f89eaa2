"""Conditions on a column of the raw data, ``column operator value``, that make a play a skip."""

import re

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.tabular import MISSING, as_numbers, first_row

_PATTERN = re.compile(
    r"^\s*(?P<column>[^<>=!]+?)\s*(?P<operator><=|>=|==|!=|<|>)\s*(?P<value>\S.*?)\s*$"
)
_COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}
_TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
# What stands for a missing boolean or number, in any case.
_MISSING = {word.lower() for word in (*MISSING, "NA")}


def parse_rule(rule: str) -> tuple[str, str | None, float | str | None]:
    """Split ``rating < 4`` into column, operator and value; a bare column name has neither operator
    nor value.

    Raises UserError where the operator compares sizes and the value is not a number.
    """
    match = _PATTERN.match(rule)
    if not match:
        return rule.strip(), None, None
    value = match["value"]
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if number == number:
        return match["column"], match["operator"], number
    if match["operator"] in ("==", "!="):
        return match["column"], match["operator"], value.strip("'\"")
    raise UserError(f"skipped_when: '{rule}' compares with '{value}', which is not a number")


def judged_labels(column: pl.Series, rule: str) -> tuple[pl.Series, pl.Series]:
    """The skip label of each row, null if its cell is missing or NaN, and why a cell does not fit.

    A rule without an operator is a boolean column: true/false, t/f, yes/no, y/n or 1/0 in any case;
    so is one that compares with true or false.  Durations and times of day are compared in seconds.
    """
    name, operator, value = parse_rule(rule)
    if column.dtype == pl.Duration:
        column = as_numbers(column)
    text, missing = column.cast(pl.String, strict=False), _MISSING
    text = text.str.strip_chars() if column.dtype == pl.String else text
    if isinstance(value, str) and value.lower() in ("true", "false"):
        value = _TRUTH[value.lower()]
    if operator is None or isinstance(value, bool):
        words = text.str.to_lowercase()
        held = words.replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
        kind = "a boolean (true/false, t/f, yes/no, y/n or 1/0)"
    elif isinstance(value, str):
        missing = {*MISSING} - {value}
        held = text.set(text.is_in(missing).fill_null(False), None)
        kind = f"text, as the rule '{rule}' needs"
        if column.dtype.is_numeric():
            held = held.clear(len(held))
    else:
        held = as_numbers(column)
        held, kind = held.set(~held.is_finite().fill_null(True), None), "a number"
    labels = held if operator is None else getattr(held, _COMPARE[operator])(value)
    lost = (
        pl.DataFrame({"held": held, "text": text})
        .with_row_index()
        .filter(pl.col("held").is_null() & pl.col("text").is_not_null())
    )
    cell = pl.col("text") if isinstance(value, str) else pl.col("text").str.to_lowercase()
    wrong = lost.filter(~cell.is_in(missing))
    said = pl.format("column '{}' holds '{}', which is not {}", pl.lit(name), "text", pl.lit(kind))
    reasons = pl.Series("reason", dtype=pl.String).clear(len(column))
    return labels, reasons.scatter(wrong["index"], wrong.select(said).to_series())


def skip_labels(frame: pl.DataFrame, rule: str, name: str, *, header: bool = True) -> pl.Series:
    """:func:`judged_labels` of a file's rows, which must fit the rule.

    ``name`` stands for the file in messages; ``header`` says whether line 1 of it is a header.
    Raises UserError that names the first line which does not fit.
    """
    labels, reasons = judged_labels(frame[parse_rule(rule)[0]], rule)
    if reasons.count():
        row = first_row(reasons.is_not_null())
        raise UserError(
            f"{name}, line {row + 1 + header}: {reasons[row]}; correct or remove this row"
        )
    return labels
