"""Skip rules on a column of the raw data, written ``column operator value`` in the configuration."""

import re

import polars as pl

from skipwise.errors import UserError

_PATTERN = re.compile(r"^\s*(?P<column>[^<>=!]+?)\s*(?P<operator><=|>=|==|!=|<|>)\s*(?P<value>\S.*?)\s*$")
_COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}


def parse_rule(rule: str) -> tuple[str, str | None, float | str | None]:
    """Split ``rating < 4`` into column, operator and value; a bare column name has neither operator nor value.

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
        raise UserError(f"skipped_when: '{rule}' compares with '{match['value']}', which is not a number") from error


def skip_expression(rule: str) -> pl.Expr:
    """Turn a rule into a boolean expression; a bare column name means that this boolean column is the label."""
    column, operator, value = parse_rule(rule)
    return pl.col(column) if operator is None else getattr(pl.col(column), _COMPARE[operator])(value)
