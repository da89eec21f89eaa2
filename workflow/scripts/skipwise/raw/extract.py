"""Reading a raw file into events, one row per play, by the form that its data set names.

Everything after ``events`` is the same for all forms.
"""

import datetime
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.artifacts import sha256, write_artifact, write_json
from skipwise.core.conditions import label_rules, parse_rule
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.registry import find
from skipwise.raw.checksums import wrong_checksum
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import folder_columns
from skipwise.raw.writer import EventsWriter


def read_plays(raw: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """The plays of a raw file, some at a time, without those after the last day of
    ``entry["until"]``.

    Raises UserError where the file is not what the entry says, or more rows are wrong than the
    ledger tolerates.
    """
    after = None
    if "until" in entry:
        after = datetime.datetime.combine(
            datetime.date.fromisoformat(entry["until"]), datetime.time.max
        )
    for plays in find("raw form", entry["form"]).read_events(raw, entry, ledger):
        if after is not None:
            if "started_at" not in plays:
                raise UserError(f"{raw}: `until` needs the times of plays, which it does not have")
            late = (plays["started_at"] > after).fill_null(False)
            ledger.leave_out(f"after {entry['until']}", int(late.sum()))
            plays = plays.filter(~late)
        if not plays.is_empty():
            yield plays
    if ledger.rows == 0:
        raise UserError(f"{raw} holds no plays; get the file again or take it out of `paths`")
    ledger.check()


def _columns_above(raw: Path, entry: dict) -> dict[str, str]:
    """The folders ``column=value`` above a file that the entry reads, with their values."""
    rules = (parse_rule(rule)[0] for rule in label_rules(entry))
    wanted = {*(entry.get("columns") or {}).values(), *rules}
    return {name: value for name, value in folder_columns(raw).items() if name in wanted}


def extract_events(
    raw: str | Path,
    events: str | Path,
    source: str | Path,
    rejected: str | Path | None = None,
    *,
    entry: dict,
    tolerance: float = 0.001,
    checksums: dict | None = None,
) -> None:
    """Read one raw file, in a memory that does not grow with it, and write its plays as an
    ``events`` artifact.

    ``entry`` is the data set's entry in the registry, with ``keep`` where only sessions that can be
    sampled are wanted. Where everything comes from and how much of it there was is written to
    ``source``, and invalid rows, with line and reason, to ``rejected`` (by default next to
    ``events``).  Raises UserError where the file is not what the entry or its ``checksums``
    (:func:`wrong_checksum`) say, or more than the share ``tolerance`` of its rows is wrong.
    """
    if wrong := wrong_checksum(Path(raw), checksums or {}):
        raise UserError(f"{raw} is not the published file: {wrong}; move it away to download that")
    raw, rejected = Path(raw), rejected or Path(events).with_name("rejected.parquet")
    ledger, written = Ledger(str(raw), tolerance), 0
    with EventsWriter(events, entry.get("parts", 1)) as writer:
        for plays in read_plays(raw, entry, ledger):
            writer.write(plays)
            written += plays.height
    write_artifact(ledger.rejected().to_arrow(), "rejected", rejected)
    counts = ledger.counts()
    write_json(
        {
            "file": raw.name,
            "bytes": raw.stat().st_size,
            "sha256": sha256(raw),
            "plays": written,
            **({"folders": folders} if (folders := _columns_above(raw, entry)) else {}),
            **counts,
        },
        source,
    )
    logger.info(
        "%s: %d rows, %d plays written, %d rows set apart",
        raw,
        counts["rows"],
        written,
        counts["rejected"],
    )
    if counts["rejected"]:
        logger.warning(
            "%s: %d of %d rows are set apart, see %s",
            raw,
            counts["rejected"],
            counts["rows"],
            rejected,
        )
