"""Conditions on a column of the raw data, ``column operator value``, that make a play a skip."""

import polars as pl

from skipwise.core.conditions import parse_rule

_COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}
_TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
# What stands for a missing label besides an empty cell.
_MISSING = ("", "nan", "null", "none", "na", "<na>")


def judged_labels(column: pl.Series, rule: str) -> tuple[pl.Series, pl.Series]:
    """The skip label of each row, null if its cell is missing or NaN, and why a cell does not fit.

    A rule without an operator is a boolean column: true/false, t/f, yes/no, y/n or 1/0 in any case.
    """
    name, operator, value = parse_rule(rule)
    text = column.cast(pl.String, strict=False)
    if isinstance(value, str):
        held, kind = text.replace("", None), f"text, as the rule '{rule}' needs"
        if value.lower() in ("true", "false"):
            held, value = held.str.to_lowercase(), value.lower()
        if column.dtype.is_numeric():
            held = held.clear(len(held))
    elif operator is None:
        words = text.str.strip_chars().str.to_lowercase()
        held = words.replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
        kind = "a boolean (true/false, t/f, yes/no, y/n or 1/0)"
    else:
        number = text.str.strip_chars() if column.dtype == pl.String else column
        held = number.cast(pl.Float64, strict=False)
        held, kind = held.set(~held.is_finite().fill_null(True), None), "a number"
    labels = held if operator is None else getattr(held, _COMPARE[operator])(value)
    lost = (
        pl.DataFrame({"held": held, "text": text})
        .with_row_index()
        .filter(pl.col("held").is_null() & pl.col("text").is_not_null())
    )
    missing = ("",) if isinstance(value, str) else _MISSING
    wrong = lost.filter(~pl.col("text").str.strip_chars().str.to_lowercase().is_in(missing))
    said = pl.format("column '{}' holds '{}', which is not {}", pl.lit(name), "text", pl.lit(kind))
    reasons = pl.Series("reason", dtype=pl.String).clear(len(column))
    return labels, reasons.scatter(wrong["index"], wrong.select(said).to_series())
