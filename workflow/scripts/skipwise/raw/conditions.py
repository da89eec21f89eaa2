"""Conditions on a column of the raw data, ``column operator value``, that make a play a skip."""

import re

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.tabular import Layout, PolarsType, convert

_PATTERN = re.compile(
    r"^\s*(?P<column>[^<>=!]+?)\s*(?P<operator><=|>=|==|!=|<|>)\s*(?P<value>\S.*?)\s*$"
)
_COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}


def parse_rule(rule: str) -> tuple[str, str | None, float | str | None]:
    """Split ``rating < 4`` into column, operator and value; a bare column name has neither operator
    nor value.

    Raises UserError where the operator compares sizes and the value is not a number.
    """
    match = _PATTERN.match(rule)
    if not match:
        return rule.strip(), None, None
    try:
        return match["column"], match["operator"], float(match["value"])
    except ValueError as error:
        if match["operator"] in ("==", "!="):
            return match["column"], match["operator"], match["value"].strip("'\"")
        raise UserError(
            f"skipped_when: '{rule}' compares with '{match['value']}', which is not a number"
        ) from error


def skip_labels(frame: pl.DataFrame, rule: str, name: str, *, header: bool = True) -> pl.Series:
    """The skip label of each row, null where the column is empty; a bare column name is a boolean
    column.

    ``name`` stands for the file in messages; ``header`` says whether line 1 of it is a header.
    Raises UserError where the rule does not fit the column.
    """
    column, operator, value = parse_rule(rule)
    kind: PolarsType = (
        pl.Boolean if operator is None else pl.String if isinstance(value, str) else pl.Float64
    )
    held = frame.select(column)
    dtype = held.schema[column]
    if dtype == pl.String:
        held = convert(held, Layout({column: kind}, header=header), name)
    elif operator is None and dtype.is_integer() and held[column].is_in([0, 1]).all():
        held = held.cast(pl.Boolean)
    elif not (dtype == kind or (kind == pl.Float64 and dtype.is_numeric())):
        raise UserError(
            f"{name}: column '{column}' holds {dtype} values, to which the rule '{rule}' of "
            "skipped_when does not apply"
        )
    labels = (
        pl.col(column) if operator is None else getattr(pl.col(column), _COMPARE[operator])(value)
    )
    return held.select(labels).to_series()
