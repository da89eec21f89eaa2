"""Ids of listeners, sessions and tracks as text: one id, one spelling.

Files write the same id as 100, as 100.0 after a missing value, as a UUID or as bytes.
"""

import polars as pl

from skipwise.raw.tabular import MISSING, as_text

# Past these, whole numbers of a floating type are no longer exact.
EXACT: dict[type, int] = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
_WHOLE = r"^-?\d+\.0+$"
# Of json more than one value, or a key; a title such as [1998] is text, and so is [10,000 Days].
_VALUE = r'("([^"\\]|\\.)*"|-?\d+(\.\d+)?|true|false|null)'
_NESTED = rf'^(\{{"|\[\{{|\[\[|\[{_VALUE}(\s*,\s*({_VALUE}|\[.*|\{{.*))+\s*\]$)'
_ZEROS = r"(?:\.|(?P<decimals>\.\d*[1-9]))0+(?P<zone>|[+-]\d\d:?\d\d)$"  # after a time's decimals
_ROUNDED = r"^-?\d(\.\d+)?[eE]\+?\d+$"  # how programs write large numbers that they have rounded


def ids(column: pl.Series, name: str) -> tuple[pl.Series, pl.Series]:
    """Ids as text, null if a cell is none, and the reasons why not, else null.

    ``name`` is the column's name in the reasons.  A whole number with decimals loses them.
    """
    kind = column.dtype
    if kind == pl.Duration:
        text = pl.repeat(None, len(column), dtype=pl.String, eager=True)
        reason = f"column '{name}' holds durations; write ids as whole numbers or text"
        return text, pl.repeat(reason, len(column), eager=True)
    if kind.is_decimal():
        column = column.cast(pl.String).str.replace(r"\.0+$", "")
    text = as_text(column)
    if kind == pl.Datetime:  # which is written with as many decimals as its unit has
        text = text.str.replace(_ZEROS, "$decimals$zone")
    reasons = pl.Series(dtype=pl.String).clear(len(text))
    if kind.is_integer():
        odd = text.is_null()
    elif kind.is_float():
        odd = pl.Series([True]).new_from_index(0, len(text))
    else:
        odd = text.is_in(MISSING).fill_null(True)
        for sign in (".", "+"):
            odd |= text.str.contains(sign, literal=True).fill_null(False)
        odd |= (text.str.ends_with("]") | text.str.ends_with("}")).fill_null(False)
    if not odd.any():
        return text, reasons
    limit = EXACT.get(type(kind) if isinstance(kind, pl.DataType) else kind, 2**53)
    judged = _judged(text.filter(odd), name, limit, is_float=kind.is_float())
    places = odd.arg_true()
    return text.scatter(places, judged["text"]), reasons.scatter(places, judged["reason"])


def _judged(text: pl.Series, name: str, limit: int, *, is_float: bool) -> pl.DataFrame:
    """``text`` and ``reason`` of ids that are empty or may be written as floating numbers."""
    held = pl.col("text")
    decimals = held.str.contains(_WHOLE)
    number = held.cast(pl.Float64, strict=False)
    inexact = number.abs() >= limit  # which the next whole number is stored as, too
    reason = (
        pl.when(held.is_in(MISSING) | (number.is_nan() & is_float))
        .then(pl.lit("stands for a missing id"))
        .when(inexact & (decimals | is_float))
        .then(pl.lit("is a floating number too large to be exact; write ids as whole numbers"))
        .when(is_float & (number != number.floor()))
        .then(pl.lit("is not a whole number; write ids as whole numbers or text"))
        .when(held.str.contains(_NESTED) & ~pl.lit(is_float))
        .then(pl.lit("is a list or an object; write one row per play"))
        .when(held.str.contains(_ROUNDED) & ~pl.lit(is_float))
        .then(pl.lit("is a rounded number; write ids as whole numbers"))
    )
    spelled = (
        number.cast(pl.Int64, strict=False).cast(pl.String)
        if is_float
        else (pl.when(decimals).then(held.str.replace(r"\.0+$", "")).otherwise(held))
    )
    return text.to_frame("text").select(
        text=spelled,
        reason=pl.when(held.fill_null("") == "")
        .then(pl.format("column '{}' is empty", pl.lit(name)))
        .when(reason.is_not_null())
        .then(pl.format("column '{}' holds '{}', which {}", pl.lit(name), held, reason)),
    )


def session_keys(user: pl.Series, session: pl.Series) -> pl.Series:
    """``user@session``: the keys of sessions that are numbered per user.

    The session has no ``@``, so that the user is what stands before the last one.
    """
    escaped = session.str.replace_all("%", "%25", literal=True).str.replace_all(
        "@", "%40", literal=True
    )
    return pl.select(pl.concat_str(user, pl.lit("@"), escaped)).to_series()
