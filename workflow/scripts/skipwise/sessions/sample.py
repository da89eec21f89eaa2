"""The sample of sessions."""

from collections import Counter

from skipwise.core.artifacts import read_json, write_artifact, write_batches, write_json
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.sessions.steps import _BATCH, Steps, _spill


def draw_sample(steps: Steps, *, sessions: dict) -> None:
    """Take ``drawn`` to ``sampled``, the ``n_sessions`` smallest draws (None: all)."""
    steps.table("sampled", "sample", n_sessions=sessions["n_sessions"])


def sample_sessions(
    labelled: list[str],
    counts: list[str],
    sources: list[str],
    *,
    out_sessions: str,
    out_tracks: str,
    out_keys: str,
    out_stats: str,
    dataset: str,
    skip_rule: dict,
    session_gap: float | None,
    sessions: dict,
    keep_share: float | None = None,
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """Write ``sessions``, ``tracks``, ``keys`` and ``stats.json`` of a data set from the
    ``labelled`` sessions of all parts.

    Raises UserError when no session is left, with the count of every step, and when ``keep_share``
    let too few through for the sample to be the one that all sessions would have given.
    """
    read = [read_json(source) for source in sources]
    total = _total([read_json(path) for path in counts], read)
    requested = sessions["n_sessions"]
    with Steps(threads=threads, memory=memory, spill=_spill(out_stats)) as steps:
        steps.view("pieces", labelled)
        steps.table("drawn", "list_drawn")
        draw_sample(steps, sessions=sessions)
        total |= steps.row("count_sampled")
        if keep_share is not None and total["sessions"] < requested:
            raise UserError(
                f"{dataset}: {requested} sessions are asked for, of which {total['sessions']} are among the share of "
                f"{keep_share:g} that is kept; set registry.{dataset}.keep_share to "
                f"{_enough(keep_share, total['sessions'], requested)} or ask for fewer n_sessions"
            )
        if total["sessions"] == 0:
            raise UserError(
                f"{dataset}: no session is left: {total['plays_read']} plays in {total['sessions_formed']} sessions, none "
                f"with at least {sessions['min_length']} plays and a skip (skip share "
                f"{total['skip_share_before_filter'] or 0:.1%}); check skip_rule, skipped_when and sessions.min_length"
            )
        if requested is not None and total["sessions"] < requested:
            logger.warning(
                "%s: %d sessions are eligible, %d were asked for; all are taken",
                dataset,
                total["sessions"],
                requested,
            )
        steps.table("tracks", "count_tracks")
        total["tracks"] = steps.rows("tracks")
        write_batches(
            steps.query("select_sessions").to_arrow_reader(_BATCH), "sessions", out_sessions
        )
        write_artifact(steps.connection.table("tracks").to_arrow_table(), "tracks", out_tracks)
        write_artifact(steps.connection.table("sampled").to_arrow_table(), "keys", out_keys)
    rules = {"skip_rule": skip_rule, "session_gap": session_gap, **sessions}
    if keep_share is not None:
        rules["keep_share"] = keep_share
    write_json({"dataset": dataset, "counts": total, "rules": rules, "sources": read}, out_stats)
    logger.info(
        "%s: %d sessions, %d tracks, skip share %.3f",
        dataset,
        total["sessions"],
        total["tracks"],
        total["skip_share"],
    )


def _total(parts: list[dict], sources: list[dict]) -> dict:
    """The counts of all parts together, and of what no part has seen because it was set apart or
    left out in reading.
    """
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    skips = total.pop("plays_skipped")
    total["skip_share_before_filter"] = (
        skips / total["plays_sessionised"] if total["plays_sessionised"] else None
    )
    total["rows_rejected"] = sum(source.get("rejected", 0) for source in sources)
    left_out: Counter = Counter()
    for source in sources:
        left_out.update(source.get("left_out", {}))
    total["plays_left_out"] = dict(left_out)
    total["plays_read"] += total["rows_rejected"] + sum(left_out.values())
    return total


def _enough(share: float, found: int, requested: int) -> str:
    """A share that lets enough sessions through, with a margin of a fifth."""
    needed = share * requested / max(found, 1) * 1.2
    return f"{needed:.2g}" if needed < 1 else "null"
