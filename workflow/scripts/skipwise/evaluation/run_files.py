"""Ranks files and their metrics: the workflow's own, and run files of other tools (session, item,
score or rank).

A run file becomes ranks as docs/protocol.md, candidates and ranks, says.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.artifacts import read_artifact
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.paths import beside, hive_keys, tracks_beside
from skipwise.core.schemas import ARTIFACTS
from skipwise.ranking import metrics
from skipwise.raw.identities import ids
from skipwise.raw.tables import read_columns
from skipwise.raw.tabular import as_text
from skipwise.sessions.catalogue import Catalogue


def read_ranks(path: str | Path) -> pa.Table:
    """A ``ranks`` artifact; raises UserError where the file is something else."""
    if Path(path).is_dir():
        raise UserError(
            f"{path} is a folder; name the ranks.parquet files, for example "
            f"{path}/**/ranks.parquet in bash"
        )
    with open(path, "rb"):  # a missing file is said in other words
        pass
    try:
        return read_artifact("ranks", path)
    except UserError as error:
        raise UserError(
            f"{path} is no ranks.parquet; a run file of another tool needs --test"
        ) from error


def measure(ranks: dict[Path, pa.Table], *, side_by_side: bool = False) -> pl.DataFrame:
    """All metrics of ``ranks`` artifacts, see :func:`metrics.summarise`: one row per file,
    candidates, subset, metric and k.

    The keys in the path of a file are columns.  With ``side_by_side`` every file is a column
    instead.  Raises ValueError where values break the bounds of docs/protocol.md.
    """
    frames = []
    for path, table in ranks.items():
        found = pl.DataFrame(metrics.summarise(table, metrics.CUTOFFS))
        for candidates in metrics.ranked_among(table):
            of_all = found.filter(subset="all", candidates=candidates).filter(
                pl.col("metric").is_in(list(metrics.METRICS)), pl.col("n") > 0
            )
            values = {
                f"{metric}_{k}": value
                for metric, k, value in of_all.select("metric", "k", "value").rows()
            }
            metrics.check_bounds(values, f"{path}, {candidates} candidates")
        keys = {name: pl.lit(value) for name, value in hive_keys(path).items()}
        frames.append(
            found.select(
                pl.lit(str(path)).alias("file"), **keys, **{name: name for name in found.columns}
            )
        )
    if not side_by_side:
        return pl.concat(frames, how="diagonal")
    labels = [
        " ".join(hive_keys(path).get(name, "") for name in ("model", "variant", "seed")).strip()
        for path in ranks
    ]
    if "" in labels or len(set(labels)) < len(labels):
        labels = [str(path) for path in ranks]
    on = ["metric", "k", "candidates", "subset"]
    side = pl.concat(frames, how="diagonal").select(on).unique(maintain_order=True)
    for label, of_file in zip(labels, frames, strict=True):
        column = of_file.select(*on, pl.col("value").alias(label))
        side = side.join(column, on=on, how="left", nulls_equal=True, maintain_order="left")
    return side


def ranks_of_run(
    run: str | Path,
    test: str | Path,
    *,
    session: str,
    item: str,
    score: str | None = None,
    rank: str | None = None,
    track_keys: bool = False,
    tracks: str | Path | None = None,
) -> pa.Table:
    """The rows of a ``ranks`` artifact from a run file of another tool and the ``test`` part of a
    split.

    A run has one row per session and item.  ``session``, ``item`` and ``score`` or ``rank`` are
    names of columns.  Items are track ids or, with ``track_keys``, the keys of ``tracks`` (by
    default the data set's ``tracks.parquet``).  The rank of a track is the number of the session's
    items that score at least as high, so ties count against the model; a given ``rank`` is taken as
    it is. A track that the run does not hold has no rank, which is past every cut-off. The run is
    taken as ranked in the full catalogue, and ``rank_new`` leaves out the tracks of the context;
    ranks among sampled candidates are null and ``n_candidates`` is 0. Raises UserError where the
    file does not fit the split.
    """
    if (score is None) == (rank is None):
        raise UserError(
            "give either the column of the scores or that of the ranks, --score or --rank"
        )
    run = Path(run)
    sessions = pl.DataFrame(read_artifact("test", test))
    rows = _read_run(run, session, item, score, rank, track_keys=track_keys)
    strange = rows.join(sessions, left_on="session", right_on="session_id", how="anti")
    if strange.height:
        raise UserError(
            f"{run}: session {strange['session'][0]} is not in {test}; take sessions by their "
            "session_id there"
        )
    if track_keys:
        catalogue = Catalogue(tracks or tracks_beside(test))
        _check_track_keys(run, rows, catalogue)
    else:
        _check_track_ids(run, rows, tracks or beside(test, "tracks"))
    # One row per track whose rank is wanted: place 0 is the target, unseen skips follow.
    wanted = sessions.select(
        pl.col("session_id").alias("session"),
        pl.concat_list("target", "unseen_skips").alias("track_id"),
    )
    wanted = wanted.with_columns(place=pl.int_ranges(pl.col("track_id").list.len())).explode(
        "track_id", "place"
    )
    if track_keys:
        wanted = wanted.with_columns(track=catalogue.at(wanted["track_id"] - 1))
    else:
        wanted = wanted.with_columns(track=pl.col("track_id").cast(pl.String))
    if rank is None:
        found = rows.with_columns(rank=pl.col("value").rank("max", descending=True).over("session"))
    else:
        found = rows.rename({"value": "rank"})
    wanted = wanted.join(
        found.select("session", "track", "rank"),
        on=["session", "track"],
        how="left",
        maintain_order="left",
    )
    context = sessions.select(
        pl.col("session_id").alias("session"), track_id=pl.col("tracks").list.unique()
    ).explode("track_id")
    if track_keys:
        context = context.with_columns(track=catalogue.at(context["track_id"] - 1))
    else:
        context = context.with_columns(track=pl.col("track_id").cast(pl.String))
    wanted = _with_new_ranks(wanted.with_columns(pl.col("rank").cast(pl.Int32)), found, context)
    targets, skips = wanted.filter(place=0), wanted.filter(pl.col("place") > 0)
    _say_what_is_missing(run, rows, targets)
    skips = skips.join(
        targets.select("session", target_rank="rank"),
        on="session",
        how="left",
        maintain_order="left",
    )
    # Whether the skip scores at least as high as the target: unknown if the run holds neither.
    unranked = pl.when(pl.col("target_rank").is_not_null()).then(pl.lit(False))
    ranked = (pl.col("rank") <= pl.col("target_rank")).fill_null(True)
    outranks = pl.when(pl.col("rank").is_null()).then(unranked).otherwise(ranked)
    lists = (
        skips.with_columns(outranks=outranks)
        .group_by("session", maintain_order=True)
        .agg(skip_ranks_full="rank", skip_ranks_new="rank_new", skip_outranks="outranks")
    )
    train = read_artifact("train", Path(test).with_name("train.parquet"), ["tracks"])
    plays = train["tracks"].combine_chunks().flatten()
    targets_of = sessions["target"].to_numpy()
    popularity = np.bincount(plays, minlength=int(targets_of.max()) + 1)
    empty = pl.lit([])
    table = (
        sessions.join(
            lists, left_on="session_id", right_on="session", how="left", maintain_order="left"
        )
        .select(
            "session_id",
            "cluster",
            rank_full=targets["rank"],
            rank_new=targets["rank_new"],
            rank_sampled=pl.lit(None, pl.Int32),
            n_candidates=pl.lit(0, pl.Int32),
            # Of all plays of the context: an unknown label is no skip.
            skip_share=(pl.col("skipped").list.sum() / pl.col("skipped").list.len()).cast(
                pl.Float32
            ),
            is_repeat=pl.col("tracks").list.contains(pl.col("target")),
            target_popularity=pl.Series(popularity[targets_of], dtype=pl.Int32),
            **{
                name: pl.col(name).fill_null(empty.cast(pl.List(pl.Int32)))
                for name in ("skip_ranks_full", "skip_ranks_new")
            },
            skip_outranks=pl.col("skip_outranks").fill_null(empty.cast(pl.List(pl.Boolean))),
        )
        .to_arrow()
    )
    return table.cast(ARTIFACTS["ranks"].schema)


def _check_track_ids(run: Path, rows: pl.DataFrame, tracks: str | Path | None) -> None:
    """Raise UserError if an item is no track of the catalogue, where that is at hand; it would take
    a rank from the others.
    """
    track_id = pl.col("track").cast(pl.Int64, strict=False)
    is_id = track_id >= 1
    counted = "track ids count from 1"
    if tracks and Path(tracks).is_file():
        most = pq.read_metadata(tracks).num_rows
        is_id &= track_id <= most
        counted += f" to {most}, see {tracks}"
    strange = rows.filter(~is_id.fill_null(False))
    if strange.height:
        raise UserError(
            f"{run}: session {strange['session'][0]} has the item '{strange['track'][0]}', which "
            f"is no track id of the split: {counted}. With track keys say --track-keys"
        )


def _check_track_keys(run: Path, rows: pl.DataFrame, catalogue: Catalogue) -> None:
    """The same of items that are track keys."""
    strange = rows.filter(pl.Series(catalogue.ids(rows["track"]) == 0))
    if strange.height:
        raise UserError(
            f"{run}: session {strange['session'][0]} has the item '{strange['track'][0]}', which "
            f"is no track_key of {catalogue.path}; leave such items out, and write keys as there"
        )


def _with_new_ranks(
    wanted: pl.DataFrame, found: pl.DataFrame, context: pl.DataFrame
) -> pl.DataFrame:
    """The wanted tracks with ``rank_new``, the rank without the tracks of the session's context;
    null for one of them, and for a track that the run does not hold.
    """
    at = ("session", "track")
    seen = found.select(*at, pl.col("rank").alias("of_context")).join(context, on=at, how="semi")
    above = (
        wanted.select(*at, "rank")
        .unique(list(at))
        .join(seen.drop("track"), on="session")
        .group_by(at)
        .agg(above=(pl.col("of_context") <= pl.col("rank")).sum())
    )
    known = context.select(*at).with_columns(in_context=pl.lit(True))
    joined = wanted.join(above, on=at, how="left", maintain_order="left").join(
        known, on=at, how="left", maintain_order="left"
    )
    rank = (pl.col("rank") - pl.col("above").fill_null(0)).cast(pl.Int32)
    new = pl.when(pl.col("in_context").is_null()).then(rank)
    return joined.with_columns(rank_new=new).drop("above", "in_context")


def _read_run(
    run: Path, session: str, item: str, score: str | None, rank: str | None, *, track_keys: bool
) -> pl.DataFrame:
    """The run as session (Int32), track (String) and value (Float64), checked."""
    value = score or rank
    assert value is not None
    if len({session, item, value}) < 3:
        raise UserError(
            f"session, item and {'score' if score else 'rank'} are three columns; two of them are "
            f"named {session if session in (item, value) else item!r}"
        )
    right = {
        session: (pl.col("session").is_not_null(), "is not a session_id of the split"),
        value: (pl.col("value").is_finite(), "is not a finite number"),
    }
    # Whole numbers past these are no longer told apart.
    inexact = "is too large to be exact; divide the scores, which leaves their order"
    if rank:
        is_rank = pl.col("value").is_between(1, 2**31 - 1) & (pl.col("value") % 1 == 0)
        right[rank] = (is_rank, "is not a rank from 1")

    def judged(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.Series]]:
        bare = frame.with_columns(pl.col(pl.String).str.strip_chars())
        sessions, not_sessions = ids(bare[session], session)
        tracks, not_tracks = ids((frame if track_keys else bare)[item], item)
        if not track_keys:  # 007 is 7
            number = tracks.cast(pl.Int64, strict=False).cast(pl.String)
            tracks = number.zip_with(number.is_not_null(), tracks)
        rows = pl.DataFrame(
            {
                "session": sessions.cast(pl.Int32, strict=False),
                "track": tracks,
                "value": bare[value].cast(pl.Float64, strict=False),
            }
        )
        reasons = [not_sessions, not_tracks]
        if not bare[value].dtype.is_float():
            whole = as_text(bare[value]).str.contains(r"^[+-]?\d+(\.\d*)?$")
            whole &= rows["value"].abs() >= 2**53  # as which the next whole number is read, too
            parts = pl.lit(value), pl.col(value), pl.lit(inexact)
            reason = pl.format("column '{}' holds '{}', which {}", *parts)
            reasons.append(bare.select(pl.when(whole.fill_null(False)).then(reason)).to_series())
        for column, (holds, what) in right.items():
            first = rows.select((~holds.fill_null(False)).arg_true().head(1)).to_series()
            said = [
                f"column '{column}' holds '{held}', which {what}"
                for held in frame[column].gather(first)
            ]
            reasons.append(pl.Series(dtype=pl.String).clear(len(rows)).scatter(first, said))
        return rows, reasons

    rows = read_columns(run, [session, item, value], judged)
    if rows.is_empty():
        raise UserError(f"{run} is empty: it has no row of a session, an item and a {value}")
    for columns, what in (
        (["session", "track"], "item '{}' twice"),
        (["session", "value"], "two items at rank {:.0f}"),
    ):
        twice = (
            rows.filter(pl.struct(columns).is_duplicated())
            if columns[1] == "track" or rank
            else rows.clear()
        )
        if twice.height:
            remedy = (
                "give the scores: ties count against the model"
                if columns[1] == "value"
                else "keep one of them"
            )
            raise UserError(
                f"{run}: session {twice['session'][0]} has {what.format(twice[columns[1]][0])}; "
                f"{remedy}"
            )
    return rows


def _say_what_is_missing(run: Path, rows: pl.DataFrame, targets: pl.DataFrame) -> None:
    """Log how many targets have no rank; raises UserError where none has one, which is hardly the
    model's fault.
    """
    absent = targets["rank"].null_count()
    lengths = rows.group_by("session").len()["len"]
    if absent == targets.height:
        raise UserError(
            f"{run} holds the target of none of the {absent} sessions; are its items track ids "
            "of the split? With track keys "
            "say --track-keys"
        )
    if absent:
        logger.warning(
            "%s: the target of %d of %d sessions is not in the run: no rank, which is a miss at "
            "every cut-off "
            "(%d sessions have no row; the others have %d to %d items, and what lies past them "
            "is not known)",
            run,
            absent,
            targets.height,
            targets.height - len(lengths),
            lengths.min(),
            lengths.max(),
        )
