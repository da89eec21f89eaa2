"""Conditions on a column of the raw data, ``column operator value``, that make a play a skip."""

import numpy as np
import polars as pl

from skipwise.core.conditions import parse_rule
from skipwise.raw.tabular import MISSING, as_numbers, as_text

_COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}
_TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
# What stands for a missing boolean or number, in any case.
_MISSING = {word.lower() for word in (*MISSING, "NA")}


def judged_labels(column: pl.Series, rule: str) -> tuple[pl.Series, pl.Series]:
    """The skip label of each row, null if its cell is missing or NaN, and why a cell does not fit.

    A rule without an operator is a boolean column: true/false, t/f, yes/no, y/n or 1/0 in any case;
    so is one that compares with true or false.  Durations and times of day are compared in seconds.
    """
    name, operator, value = parse_rule(rule)
    if column.dtype == pl.Duration:
        column = as_numbers(column)
    text, missing = as_text(column), _MISSING
    text = text.str.strip_chars() if column.dtype == pl.String else text
    if isinstance(value, str) and value.lower() in ("true", "false"):
        value = _TRUTH[value.lower()]
    if operator is None or isinstance(value, bool):
        words = text.str.to_lowercase().str.replace(r"^([01])\.0+$", "$1")
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
        for dtype, small in ((pl.Float16, np.float16), (pl.Float32, np.float32)):
            # The cell that is written 0.7 is the closest of its type.
            if column.dtype == dtype and float(str(closest := small(value))) == value:
                value = float(closest)
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
