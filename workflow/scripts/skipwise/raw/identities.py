"""Ids of listeners, sessions and tracks as text: one id, one spelling.

Files write the same id as 100, as 100.0 after a missing value, as a UUID or as bytes.
"""

import polars as pl

# Past these, whole numbers of a floating type are no longer exact.
_EXACT: dict[type, int] = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
_WHOLE = r"^-?\d+\.0+$"
_ROUNDED = r"^-?\d(\.\d+)?[eE]\+\d+$"  # how programs write large numbers that they have rounded
_MISSING = ("nan", "NaN", "NAN", "<NA>", "NaT")


def ids(column: pl.Series, name: str) -> tuple[pl.Series, pl.Series]:
    """Ids as text, null if a cell is none, and the reasons why not, else null.

    ``name`` is the column's name in the reasons.  A whole number with decimals loses them.
    """
    limit = _EXACT.get(type(column.dtype), 2**53)
    if column.dtype == pl.Binary:
        text = pl.Series([_text(held) for held in column], dtype=pl.String)
    elif column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        text = column.cast(pl.String).set(whole.cast(column.dtype) == column, None)
        text = text.fill_null(whole.cast(pl.String))
    else:
        text = column.cast(pl.String)
    if column.dtype.is_decimal():
        text = text.str.replace(r"\.0+$", "")
    frame = pl.DataFrame(
        {
            "text": text,
            "held": column.cast(pl.String, strict=False) if column.dtype != pl.Binary else text,
        }
    )
    decimals = pl.col("text").str.contains(_WHOLE) if column.dtype == pl.String else pl.lit(False)
    number = pl.col("text").cast(pl.Float64, strict=False).abs()
    floats = pl.lit(column.dtype.is_float()) | decimals
    reason = (
        pl.when(pl.col("text").fill_null("") == "")
        .then(pl.lit("is empty"))
        .when(pl.col("text").is_in(_MISSING))
        .then(pl.lit("is missing (NaN)"))
        .when(floats & (number > limit))
        .then(pl.lit("is a floating number too large to be exact; write ids as whole numbers"))
        .when(pl.lit(column.dtype.is_float()) & (number != number.floor()))
        .then(pl.lit("is not a whole number; write ids as whole numbers or text"))
        .when(pl.lit(column.dtype == pl.String) & pl.col("text").str.contains(_ROUNDED))
        .then(pl.lit("is a rounded number; write ids as whole numbers"))
    )
    spelled = (
        pl.when(decimals).then(pl.col("text").str.replace(r"\.0+$", "")).otherwise(pl.col("text"))
    )
    judged = frame.select(
        text=pl.when(reason.is_null()).then(spelled),
        reason=pl.when(reason == "is empty")
        .then(pl.format("column '{}' is empty", pl.lit(name)))
        .when(reason.is_not_null())
        .then(pl.format("column '{}' holds '{}', which {}", pl.lit(name), "text", reason)),
    )
    return judged["text"], judged["reason"]


def _text(held: bytes | None) -> str | None:
    """Bytes as text, in hexadecimal if they are none."""
    if held is None:
        return None
    try:
        return held.decode()
    except UnicodeDecodeError:
        return held.hex()


def session_keys(user: pl.Series, session: pl.Series) -> pl.Series:
    """``user@session``: the keys of sessions that are numbered per user.

    The session has no ``@``, so that the user is what stands before the last one.
    """
    escaped = session.str.replace_all("%", "%25", literal=True).str.replace_all(
        "@", "%40", literal=True
    )
    return pl.select(pl.concat_str(user, pl.lit("@"), escaped)).to_series()
