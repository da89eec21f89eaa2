"""Spotify's extended streaming history, which Spotify gives to anyone who asks for their own
(docs/data.md, Spotify).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.raw.conditions import judged_labels, parse_rule
from skipwise.raw.forms.events import Plays, plays_only
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import read_rows
from skipwise.raw.tabular import check_columns

# What may be named in `skipped_when` in place of the label described below.
RULES = ("ms_played < 30000", "reason_end == fwdbtn", "skipped")

# A history may lie there packed and unpacked: a play that two files have is an error.
UNIQUE = True

# What times are of every such file.
TIME_IS = "end"

_MEMBERS = ("*Streaming_History_Audio_*.json", "*endsong_*.json")
# Nothing else is read of a file: addresses, countries and devices stay in it.
_COLUMNS = ("ts", "ms_played", "spotify_track_uri", "reason_end", "skipped")
_OTHERS = ("username", "spotify_episode_uri", "audiobook_uri", "shuffle")
# Ends of a play by which the listener went on to another track, and by which the track was over.
# Any other end (logout, endplay, backbtn, …) does not say what was thought of the track.
_SKIPS, _DONE = ("fwdbtn", "clickrow"), ("trackdone",)


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has(*_MEMBERS) or file.has_columns("ts", "ms_played", "spotify_track_uri")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the zip as delivered, or a file of it, ``Streaming_History_Audio_*.json`` or the older
    ``endsong_*.json``.

    ``ts`` is the end of a play; ``session_key`` is the ``username``, or where it is missing the zip
    or folder, which is one person's.  ``skipped`` is the field of that name where it is not null,
    else true for the ends ``fwdbtn`` and ``clickrow``, false for ``trackdone`` and null for others;
    or what ``entry["skipped_when"]`` says.  Podcasts, audiobooks and rows without a track (files of
    the listener's own) are left out and counted.
    """
    rule = entry.get("skipped_when", "label")
    check_columns(["label", *_COLUMNS], [parse_rule(rule)[0]], f"the form spotify of {path}")
    columns = {"user": "username", "track": "spotify_track_uri", "time": "ts"}
    own = {
        "columns": columns | {"duration": "ms_played"},
        **{"time_is": TIME_IS, "duration_unit": "ms", "skipped_when": rule},
        "skip_rule": entry.get("skip_rule", {}),
    }
    plays = Plays(path, own, context=("shuffle",), knows_unit=True)
    person = path if path.suffix.lower() == ".zip" else path.parent
    for given in read_rows(path, [*_COLUMNS], optional=_OTHERS, members=_MEMBERS):
        rows = given.rows
        track = rows["spotify_track_uri"]
        others = {
            "a podcast": track.is_null() & rows["spotify_episode_uri"].is_not_null(),
            "an audiobook": track.is_null() & rows["audiobook_uri"].is_not_null(),
            "no track of Spotify": track.is_null(),
        }
        rows = rows.with_columns(pl.col("username").fill_null(str(person)), label=_label(rows))
        yield plays.of(plays_only(given._replace(rows=rows), ledger, others), ledger)


def _label(rows: pl.DataFrame) -> pl.Series:
    """Whether each play was skipped, null where the file does not say."""
    said, _ = judged_labels(rows["skipped"], "skipped")
    end = rows["reason_end"].cast(pl.String)
    by_end = pl.when(end.is_in(_SKIPS)).then(True).when(end.is_in(_DONE)).then(False)
    return pl.select(pl.coalesce(said, by_end)).to_series()
