"""The sample: the sessions with the smallest seeded draws (docs/protocol.md, sessions)."""

from collections import Counter
from pathlib import Path

from skipwise.core.artifacts import read_json, write_artifact, write_batches, write_json
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.steps import Steps


def draw_sample(steps: Steps, recipe: Recipe) -> None:
    """Take ``drawn`` to ``sampled``, the ``n_sessions`` smallest draws (None: all)."""
    steps.table(
        "sampled",
        "sample",
        n_sessions=recipe.sessions["n_sessions"],
        keys_hold_user=recipe.keys_hold_user,
    )


def sample_sessions(
    labelled: list[str],
    counts: list[str],
    sources: list[str],
    recipe: Recipe,
    machine: Machine,
    *,
    out_sessions: str,
    out_tracks: str,
    out_keys: str,
    out_stats: str,
) -> None:
    """Write ``sessions``, ``tracks``, ``keys`` and ``stats.json`` of a data set.

    They come from the ``labelled`` sessions of all parts.  Raises UserError if no session is left,
    with the count of every step, and if ``keep_share`` let too few through for the sample to be
    the one that all sessions would have given.
    """
    read = [read_json(source) for source in sources]
    _check_sources(recipe, dict(zip(sources, read, strict=True)))
    total = _total([read_json(path) for path in counts], read)
    with Steps(machine, spill_beside=out_stats) as steps:
        steps.view("pieces", labelled)
        steps.table("drawn", "list_drawn")
        draw_sample(steps, recipe)
        total |= steps.row("count_sampled")
        _check_sample(recipe, total)
        steps.table("tracks", "count_tracks")
        total["tracks"] = steps.rows("tracks")
        write_batches(steps.batches_of("select_sessions"), "sessions", out_sessions)
        write_artifact(steps.arrow("tracks"), "tracks", out_tracks)
        write_artifact(steps.arrow("sampled"), "keys", out_keys)
    rules = {"skip_rule": recipe.skip_rule, "session_gap": recipe.session_gap, **recipe.sessions}
    if recipe.keep_share is not None:
        rules["keep_share"] = recipe.keep_share
    stats = {"dataset": recipe.dataset, "counts": total, "rules": rules, "sources": read}
    write_json(stats, out_stats)
    logger.info(
        "%s: %d sessions, %d tracks, skip share %.3f",
        recipe.dataset,
        total["sessions"],
        total["tracks"],
        total["skip_share"],
    )


def _check_sources(recipe: Recipe, sources: dict[str, dict]) -> None:
    """Raise UserError if the same file is there twice; one without a play may be."""
    names: dict[tuple, str] = {}
    for path, source in sources.items():
        content = source.get("sha256"), *source.get("folders", {}).items()
        name = f"{source['file']} ({Path(path).parent.name})"  # which has the name of the shard
        other = names.get(content)
        names[content] = name
        if other and content[0] and source["plays"]:
            raise UserError(
                f"{recipe.dataset}: {name} and {other} are the same file; name one of them in "
                "`paths`"
            )


def _check_sample(recipe: Recipe, total: dict) -> None:
    """Raise UserError if the sample is empty or not that of all sessions; warn if it is small."""
    dataset, share, requested = recipe.dataset, recipe.keep_share, recipe.sessions["n_sessions"]
    found = total["sessions"]
    if share is not None and found < requested:
        raise UserError(
            f"{dataset}: {requested} sessions are asked for, of which {found} are among the share "
            f"of {share:g} that is kept; set registry.{dataset}.keep_share to "
            f"{_enough(share, found, requested)} or ask for fewer n_sessions"
        )
    if found == 0:
        raise UserError(
            f"{dataset}: no session is left: {total['plays_read']} plays in "
            f"{total['sessions_formed']} sessions, none with at least "
            f"{recipe.sessions['min_length']} plays and a skip (skip share "
            f"{total['skip_share_before_filter'] or 0:.1%}); check skip_rule, skipped_when and "
            "sessions.min_length"
        )
    if requested is not None and found < requested:
        message = "%s: %d sessions are eligible, %d were asked for; all are taken"
        logger.warning(message, dataset, found, requested)


def _total(parts: list[dict], sources: list[dict]) -> dict:
    """The counts of all parts, and of the rows that reading rejected or left out."""
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    skips = total.pop("plays_skipped")
    plays = total["plays_sessionised"]
    total["skip_share_before_filter"] = skips / plays if plays else None
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
