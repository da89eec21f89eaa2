"""The draw of a session: the seeded hash whose smallest values make the sample.

docs/protocol.md, sessions.
"""

from hashlib import md5

import numpy as np
import polars as pl


def draws(session_keys: pl.Series, piece: int, seed: int) -> np.ndarray:
    """The draws of one piece of each session as uint64; the same numbers as ``sql/draw.sql``.

    The hash sees only the session's key, so it depends on neither files, shards nor cores.
    """
    before, after = f"{seed}\x1f".encode(), f"\x1f{piece}".encode()
    digests = b"".join(
        [md5(before + key.encode() + after).digest() for key in session_keys.to_list()]
    )
    return np.frombuffer(digests, "<u8")[1::2]


def bound(share: float | None) -> int | None:
    """The largest draw that a share of all sessions should not exceed; None if all are kept."""
    return None if share is None else int(share * 2.0**64) - 1
