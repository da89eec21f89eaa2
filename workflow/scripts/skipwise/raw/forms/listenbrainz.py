"""ListenBrainz: a listener's export, or the public dump of all listens (docs/data.md,
ListenBrainz).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.raw.forms.events import Plays
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import read_rows
from skipwise.raw.times import Stopwatch

# A history may lie there packed and unpacked: a play that two files have is an error.
UNIQUE = True

_MEMBERS = ("listens/*", "*/listens/*")
_OTHERS = ("listened_at", "timestamp", "user_name", "user_id")


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has(*_MEMBERS, "*.listens") or file.has_columns("track_metadata")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the zip of an export, the tar of a dump, or one of their files, ndjson.

    ``session_key`` is the user, which an export does not name: there it is the zip or the folder
    above ``listens``.  A track is artist name and track name together, as in LFM-1K, because not
    every listen has an id of MusicBrainz.  ``track_length`` is ``duration_ms`` or ``duration`` of
    the listen, if it has one; ``skipped`` stays null.
    """
    columns = {"user": "user", "track": "track", "time": "time", "length": "length"}
    plays = Plays(path, {"columns": columns, "duration_unit": "ms"}, knows_unit=True)
    lengths = Stopwatch("ms", "length", known=True, optional=True)
    person = next((at.parent for at in path.parents if at.name == "listens"), path)
    for given in read_rows(path, ["track_metadata"], optional=_OTHERS, members=_MEMBERS):
        rows, said = given.rows, _Metadata(given.rows["track_metadata"])
        # Players send what they like: a length that cannot be is none, and the listen is right.
        milliseconds, seconds = said.number("duration_ms"), said.number("duration") * 1000
        read = pl.DataFrame(
            {
                "user": rows["user_name"].fill_null(rows["user_id"]).fill_null(str(person)),
                "track": said.text("artist_name") + "\t" + said.text("track_name"),
                "time": rows["listened_at"].fill_null(rows["timestamp"]),
                "length": lengths.read(milliseconds.fill_null(seconds))[0],
            }
        )
        yield plays.of(given._replace(rows=read), ledger)


class _Metadata:
    """What the json of ``track_metadata`` says of each listen, null where it does not."""

    def __init__(self, json: pl.Series):
        self._json = json

    def text(self, name: str) -> pl.Series:
        """A text of the track, null if it is empty."""
        return self._json.str.json_path_match(f"$.{name}").replace("", None)

    def number(self, name: str) -> pl.Series:
        """A number of the player's ``additional_info``; nothing and zero are none."""
        found = self.text(f"additional_info.{name}").cast(pl.Float64, strict=False)
        return found.set(~(found > 0).fill_null(False), None)
