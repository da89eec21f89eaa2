"""Last.fm listening logs: LFM-1K (one tsv in a tar.gz) and LFM-2B (a bz2 tsv of ids).  Skips are derived later."""

import bz2
from pathlib import Path

import polars as pl

from skipwise.datasets.archives import damaged, tar_members
from skipwise.datasets.tabular import Layout, read_delimited
from skipwise.errors import UserError

LFM1K_MEMBER = "userid-timestamp-artid-artname-traid-traname.tsv"

# Names hold bare quotes, so quoting is off in both.
_LFM1K = Layout(
    columns=dict.fromkeys(("user", "timestamp", "artist_mbid", "artist", "track_mbid", "track"), pl.String),
    separator="\t",
    header=False,
    quote=None,
    required=frozenset({"user", "timestamp", "track"}),
)
_LFM2B = Layout(
    columns={"user_id": pl.String, "track_id": pl.String, "timestamp": pl.String},
    separator="\t",
    quote=None,
    required=frozenset({"user_id", "track_id", "timestamp"}),
)


def read_events(path: Path, entry: dict) -> pl.DataFrame:
    """Read one file of the form that ``entry`` names; ``session_key`` is the user, ``skipped`` stays null.

    A track of LFM-1K is artist name and track name together (the authors' code takes the track name alone).
    """
    return _read_lfm1k(path) if entry["form"] == "lfm1k" else _read_lfm2b(path)


def _read_lfm1k(path: Path) -> pl.DataFrame:
    if path.name.endswith((".tar.gz", ".tgz")):
        members = list(tar_members(path, lambda name: name.rsplit("/", 1)[-1] == LFM1K_MEMBER))
        if not members:
            raise UserError(f"{path} has no member {LFM1K_MEMBER}; this is not the LFM-1K archive")
        raw = members[0][1]
    else:
        raw = path.read_bytes()
    frame = read_delimited(raw, _LFM1K, str(path))
    return _plays(
        frame.with_columns(track_key=pl.concat_str([pl.col("artist").fill_null(""), pl.col("track")], separator="\t")),
        user="user",
        # The file is newest first: count lines from the end so that positions ascend in time.
        position=pl.len() - pl.int_range(pl.len()),
        name=str(path),
        first_line=1,
    )


def _read_lfm2b(path: Path) -> pl.DataFrame:
    try:
        raw = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error) from error
    frame = read_delimited(raw, _LFM2B, str(path)).rename({"track_id": "track_key"})
    return _plays(frame, user="user_id", position=pl.int_range(pl.len()) + 1, name=str(path), first_line=2)


def _plays(frame: pl.DataFrame, *, user: str, position: pl.Expr, name: str, first_line: int) -> pl.DataFrame:
    started_at = (
        frame["timestamp"]
        .str.replace("T", " ")
        .str.strip_suffix("Z")
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms", strict=False)
    )
    if started_at.null_count():
        row = started_at.is_null().arg_max()
        raise UserError(
            f"{name}, line {row + first_line}: column 'timestamp' holds '{frame['timestamp'][row]}', which is not a "
            "time like 2009-05-04 23:08:57; mend or remove this row"
        )
    return frame.select(session_key=user, position=position.cast(pl.Int32), track_key="track_key", started_at=started_at)
