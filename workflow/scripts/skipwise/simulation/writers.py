"""Simulated plays as raw files in the official forms, so that the default run needs no download."""

import bz2
import datetime
import gzip
import io
import itertools
import tarfile
from pathlib import Path

import numpy as np
import polars as pl

from skipwise.core.artifacts import whole_file
from skipwise.core.errors import UserError
from skipwise.raw.forms import lfm1k, mssd
from skipwise.simulation.listeners import (
    CONTEXT_TYPES,
    Listeners,
    Plays,
    lastfm_lengths,
    listeners_of,
    mssd_lengths,
    simulate_plays,
)

_TAR_TIME = 1_530_000_000  # a fixed time, so that archives are equal byte for byte


def simulate_raw(path: str | Path, *, form: str, simulation: dict) -> None:
    """Write one simulated raw file in an official form: ``mssd``, ``lfm1k`` or ``lfm2b``."""
    writers = {"mssd": _write_mssd, "lfm1k": _write_lfm1k, "lfm2b": _write_lfm2b}
    if form not in writers:
        raise UserError(f"the form '{form}' cannot be simulated; {', '.join(writers)} can")
    listeners = listeners_of(simulation)
    rng = np.random.default_rng(listeners.seed)
    lengths = mssd_lengths if form == "mssd" else lastfm_lengths
    plays = simulate_plays(listeners, lengths(rng, listeners.sessions), rng)
    with whole_file(path) as partial:
        writers[form](plays, listeners, rng, partial)


def simulate_mssd(simulation: dict) -> tuple[Plays, pl.Series, pl.Series]:
    """The plays behind a simulated file of the form ``mssd``, and its names of the tracks (N,) and
    of the sessions (S,).
    """
    listeners = listeners_of(simulation)
    rng = np.random.default_rng(listeners.seed)
    plays = simulate_plays(listeners, mssd_lengths(rng, listeners.sessions), rng)
    tracks, sessions, _ = _mssd_names(rng, listeners)
    return plays, tracks, sessions


def _mssd_names(
    rng: np.random.Generator, listeners: Listeners
) -> tuple[pl.Series, pl.Series, np.ndarray]:
    """Names of tracks and of sessions, and the day of each session."""
    tracks = pl.Series([f"t_{u}" for u in _uuids(rng, listeners.tracks)])
    n = listeners.sessions
    day = np.sort(rng.integers(0, 66, n))
    sessions = pl.Series([f"{d}_{u}" for d, u in zip(day, _uuids(rng, n), strict=True)])
    return tracks, sessions, day


def _uuids(rng: np.random.Generator, n: int) -> list[str]:
    text = rng.bytes(16 * n).hex()
    blocks = (text[i : i + 32] for i in range(0, 32 * n, 32))
    return [f"{b[:8]}-{b[8:12]}-{b[12:16]}-{b[16:20]}-{b[20:]}" for b in blocks]


def _write_mssd(plays: Plays, listeners: Listeners, rng: np.random.Generator, path: Path) -> None:
    """A ``training_set_N.tar.gz`` of logs with the 21 columns; the first number of a log's name
    counts files of a day.
    """
    track_names, session_names, day = _mssd_names(rng, listeners)
    n = len(plays.length)
    session, position = plays.rows()
    skip = plays.skipped[session, position]
    size = len(session)
    # Flags are nested; skip_2 is the label.  About 1.4 % of plays are neither skip_3 nor
    # not_skipped.
    skip_1 = skip & (rng.random(size) < 0.85)
    skip_3 = skip | (rng.random(size) < 0.12)
    neither = ~skip_3 & (rng.random(size) < 0.0295)
    pause = rng.choice(3, size, p=(0.78, 0.04, 0.18))
    recommended = plays.by_recommender[session, position]
    first_day = datetime.date(2018, 7, 15)
    dates = pl.Series([str(first_day + datetime.timedelta(days=int(d))) for d in range(66)])
    date = dates.gather(day[session])
    absurd = rng.random(size) < 0.0005
    date = pl.select(
        pl.when(pl.Series(absurd)).then(pl.lit("1969-12-31")).otherwise(date)
    ).to_series()
    hour = (rng.integers(0, 24, n)[session] + position * 3 // 60) % 24
    reason_end = np.where(skip, "fwdbtn", "trackdone")
    frame = pl.DataFrame(
        {
            "session_id": session_names.gather(session),
            "session_position": position + 1,
            "session_length": plays.length[session],
            "track_id_clean": track_names.gather(plays.track[session, position]),
            "skip_1": skip_1,
            "skip_2": skip,
            "skip_3": skip_3,
            "not_skipped": ~skip_3 & ~neither,
            "context_switch": (rng.random(size) < 0.04).astype(np.int8),
            "no_pause_before_play": (pause == 0).astype(np.int8),
            "short_pause_before_play": (pause == 1).astype(np.int8),
            "long_pause_before_play": (pause == 2).astype(np.int8),
            "hist_user_behavior_n_seekfwd": (rng.random(size) < 0.02).astype(np.int8),
            "hist_user_behavior_n_seekback": (rng.random(size) < 0.02).astype(np.int8),
            "hist_user_behavior_is_shuffle": (rng.random(n) < 0.32)[session],
            "hour_of_day": hour,
            "date": date,
            "premium": (rng.random(n) < 0.83)[session],
            "context_type": pl.Series(CONTEXT_TYPES).gather(plays.context[session]),
            "hist_user_behavior_reason_start": np.where(recommended, "trackdone", "clickrow"),
            "hist_user_behavior_reason_end": reason_end,
        }
    ).select(mssd.COLUMNS)
    bounds = np.searchsorted(session, np.linspace(0, n, listeners.logs + 1).astype(int))
    members = {}
    for log, (start, stop) in enumerate(itertools.pairwise(bounds)):
        stamp = (first_day + datetime.timedelta(days=log)).strftime("%Y%m%d")
        members[f"training_set/log_0_{stamp}_000000000000.csv"] = (
            frame[start:stop].write_csv().encode()
        )
    _write_tar_gz(members, path)


def scrobbles(plays: Plays, listeners: Listeners, rng: np.random.Generator) -> pl.DataFrame:
    """user, track, unix second and true skip of the plays that Last.fm would have stored, oldest
    first within a user.
    """
    length = np.clip(rng.lognormal(np.log(215), 0.3, listeners.tracks), 60, 900)
    session, position = plays.rows()
    track, skip = plays.track[session, position], plays.skipped[session, position]
    early = skip & (rng.random(len(session)) < listeners.early_skip_share)
    heard = np.where(
        early, rng.uniform(0.03, 0.45, len(session)), rng.uniform(0.5, 0.8, len(session))
    )
    seconds = np.where(skip, heard * length[track], length[track] + rng.uniform(0, 3, len(session)))
    # Sessions of a user follow each other with pauses of 40 minutes to days.
    pause = np.where(position == 0, 2400 + rng.lognormal(10.2, 1.0, len(session)), 0.0)
    user = plays.user[session]
    elapsed = pl.DataFrame({"user": user, "before": pause, "seconds": seconds}).select(
        (pl.col("before").cum_sum() + pl.col("seconds").cum_sum() - pl.col("seconds")).over("user")
    )
    start = 1_136_073_600 + rng.integers(0, 86_400 * 300, listeners.users)
    second = start[user] + elapsed.to_series().to_numpy().astype(np.int64)
    frame = pl.DataFrame({"user": user, "track": track, "second": second, "skipped": skip}).filter(
        ~pl.Series(early)
    )
    batch = pl.Series(rng.random(frame.height) < listeners.batch_scrobble_share)
    return frame.with_columns(
        second=pl.when(batch)
        .then(pl.col("second").shift(1).over("user"))
        .otherwise(None)
        .fill_null(pl.col("second"))
    )


def _write_lfm1k(plays: Plays, listeners: Listeners, rng: np.random.Generator, path: Path) -> None:
    """The tar.gz with a headerless tsv, newest first within a user, bare quotes in names and some
    empty MBIDs.
    """
    n_artists = max(1, listeners.tracks // 6)
    artist_of = rng.integers(0, n_artists, listeners.tracks)
    artist = pl.Series([f'The "{i}"' if i % 17 == 0 else f"Artist {i}" for i in range(n_artists)])
    artist_id = pl.Series(["" if rng.random() < 0.03 else u for u in _uuids(rng, n_artists)])
    name = pl.Series(
        [f'Song {i} (12" mix)' if i % 23 == 0 else f"Song {i}" for i in range(listeners.tracks)]
    )
    track_id = pl.Series(["" if rng.random() < 0.11 else u for u in _uuids(rng, listeners.tracks)])
    stored = scrobbles(plays, listeners, rng).reverse().sort("user", maintain_order=True)
    track = stored["track"].to_numpy()
    lines = stored.select(
        user=pl.format("user_{}", (pl.col("user") + 1).cast(pl.String).str.zfill(6)),
        time=pl.from_epoch("second").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        artist_id=artist_id.gather(artist_of[track]),
        artist=artist.gather(artist_of[track]),
        track_id=track_id.gather(track),
        name=name.gather(track),
    )
    text = lines.write_csv(include_header=False, separator="\t", quote_style="never")
    _write_tar_gz({f"lastfm-dataset-1K/{lfm1k.MEMBER}": text.encode()}, path)


def _write_lfm2b(plays: Plays, listeners: Listeners, rng: np.random.Generator, path: Path) -> None:
    """The bz2 tsv of user, track, album and time, oldest first within a user."""
    album = rng.integers(0, max(1, listeners.tracks // 4), listeners.tracks)
    stored = scrobbles(plays, listeners, rng)
    lines = stored.select(
        user_id="user",
        track_id="track",
        album_id=pl.Series(album[stored["track"].to_numpy()]),
        timestamp=pl.from_epoch("second").dt.strftime("%Y-%m-%d %H:%M:%S"),
    )
    path.write_bytes(bz2.compress(lines.write_csv(separator="\t").encode()))


def _write_tar_gz(members: dict[str, bytes], path: Path) -> None:
    # Times and names in the headers are fixed: the same simulation gives the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=_TAR_TIME) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), _TAR_TIME
            archive.addfile(member, io.BytesIO(content))
