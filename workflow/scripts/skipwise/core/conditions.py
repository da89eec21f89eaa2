"""How the configuration writes a condition on a column of the raw data: ``rating < 4``."""

import math
import re

from skipwise.core.errors import UserError

_OPERATOR = r"<=|>=|==|!=|<|>"
_PATTERN = re.compile(
    rf"^\s*(?P<column>[^<>=!]+?)\s*(?P<operator>{_OPERATOR})\s*(?P<value>(?![<>=]|!=)\S.*?)\s*$"
)


def label_rules(entry: dict) -> list[str]:
    """The conditions of a data set's entry under which a play is a skip."""
    return [entry[key] for key in ("skipped_when", "disliked_when") if key in entry]


def parse_rule(rule: str) -> tuple[str, str | None, float | str | None]:
    """Split ``rating < 4`` into column, operator and value; a bare column name has neither operator
    nor value.

    Raises UserError for a rule without a column or value, and where the operator compares sizes and
    the value is not a number.
    """
    match = _PATTERN.match(rule)
    if not match:
        if not rule.strip() or re.search("[<>=]", rule):
            hint = "; equality is ==" if re.search("(?<![<>=!])=(?![<>=])", rule) else ""
            raise UserError(f"'{rule}' is no column and no rule like rating < 4{hint}")
        return rule.strip(), None, None
    value = match["value"]
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return match["column"], match["operator"], number
    if match["operator"] in ("==", "!="):
        return match["column"], match["operator"], value.strip("'\"")
    raise UserError(f"'{rule}' compares with '{value}', which is not a number")
