"""The split of sessions into train, validation and test (docs/protocol.md, split).

A split is an SQL file in ``sql/splits``, which takes the table ``listed`` to one row per part and
session; its parameters are its ``$placeholders``.
"""

import re

from skipwise.core.artifacts import write_batches, write_json
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.registry import statement
from skipwise.sessions.recipe import Machine
from skipwise.sessions.steps import Steps

PARTS = ("train", "valid", "test")
# Sessions that are gathered at once: the lists of a group cannot spill, those of a table can.
AT_ONCE = 500_000
# Below this share of targets that are in their context a track of the context is no candidate.
FEW_REPEATS = 0.01


def split_sessions(
    sessions: str,
    keys: str,
    machine: Machine,
    *,
    split: str,
    parameters: dict,
    headline: str,
    outputs: dict[str, str],
    out_stats: str,
) -> None:
    """Write the artifacts ``train``, ``valid`` and ``test``, and their counts as json.

    ``outputs`` has the path of each part.  Sessions too short for the split are counted, not
    written.  ``headline`` is the candidate set that models are selected on and tables lead with;
    ``auto`` takes ``new`` where fewer than ``FEW_REPEATS`` of the validation targets are in their
    context, else ``full``.  Raises UserError if a part is empty, or the split reads a time that is
    missing, or nothing is left to rank among new candidates that are asked for.
    """
    with Steps(machine, spill_beside=out_stats) as steps:
        steps.view("plays", [sessions])
        steps.view("keys", [keys])
        steps.table("clustered", "cluster_sessions")
        for first in range(1, steps.rows("keys") + 1, AT_ONCE):
            steps.append("listed", "list_sessions", first=first, last=first + AT_ONCE - 1)
        reads_time = re.search(r"\btime\b", statement("split", split))
        if reads_time and steps.value("select count(*) from listed where time is null"):
            raise UserError(
                f"{sessions}: the {split} split needs a time or a day for every session; "
                "use split: paper"
            )
        steps.table("parts", f"splits/{split}", **parameters)
        counts = {"sessions": steps.rows("listed")}
        for part in PARTS:
            of_part = f"from parts join listed using (session_id) where part = '{part}'"
            counts[part] = write_batches(
                steps.batches(f"select parts.*, time, cluster {of_part} order by session_id"),
                part,
                outputs[part],
            )
            if counts[part] == 0:
                raise UserError(
                    f"{sessions}: the split '{split}' leaves no {part} session; take more sessions"
                )
        unseen = steps.value(
            """
            with seen as (select distinct unnest(tracks) as track from parts where part = 'train')
            select avg((target not in (from seen))::int) from parts where part = 'test'
            """
        )
        shared = steps.value(
            """
            with trained as (
                select distinct session_id, session_key
                from parts join listed using (session_id) where part = 'train'
            )
            select count(distinct parts.session_id)
            from parts join listed using (session_id) join trained using (session_key)
            where part = 'test' and parts.session_id != trained.session_id
            """
        )
        repeats = {
            part: steps.value(
                f"select avg(list_contains(tracks, target)::int) from parts where part = '{part}'"
            )
            for part in PARTS[1:]
        }
    if headline == "auto":
        headline = "new" if repeats["valid"] < FEW_REPEATS else "full"
    if headline == "new" and 1 in repeats.values():
        raise UserError(
            f"{sessions}: in the split '{split}' every target is a track of its context, so there "
            "are no new ones to rank; set candidates.headline to full"
        )
    stats = {
        "split": split,
        "counts": counts,
        "unseen_target_share": unseen,
        "test_sessions_with_a_piece_in_train": shared,
    }
    write_json(stats | {"repeat_target_share": repeats, "headline": headline}, out_stats)
    message = (
        "split %s: %s; %.2f %% of test targets are never seen in training; %.2f %% of validation "
        "targets are in their context, so models are selected among %s candidates"
    )
    logger.info(message, split, counts, 100 * unseen, 100 * repeats["valid"], headline)
