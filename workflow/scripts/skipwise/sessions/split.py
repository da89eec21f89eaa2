"""The split of sessions into train, validation and test."""

from skipwise.core.artifacts import write_artifact, write_json
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.sessions.steps import Steps

SPLITS = ("paper", "temporal", "authors_code")
PARTS = ("train", "valid", "test")


def split_sessions(
    sessions: str,
    *,
    outputs: dict[str, str],
    out_stats: str,
    split: str,
    shares: dict,
    threads: int = 1,
) -> None:
    """Split sessions into ``train``, ``valid`` and ``test`` artifacts and count them in a json
    file.

    ``shares`` gives ``valid_share`` and ``test_share`` of the temporal split.  Sessions too short
    for the split are counted, not written.  Raises UserError when a part is empty or the temporal
    split has no time to go by.
    """
    with Steps(threads=threads) as steps:
        steps.read("plays", [sessions])
        steps.table("listed", "list_sessions")
        if split == "temporal" and steps.value("select count(*) from listed where time is null"):
            raise UserError(
                f"{sessions}: the temporal split needs a time or a day for every session; use split: paper"
            )
        steps.table("parts", f"splits/{split}", **(shares if split == "temporal" else {}))
        counts = {"sessions": steps.rows("listed")}
        for part in PARTS:
            rows = steps.connection.sql(
                "from parts where part = $part", params={"part": part}
            ).to_arrow_table()
            if rows.num_rows == 0:
                raise UserError(
                    f"{sessions}: the split '{split}' leaves no {part} session; take more sessions"
                )
            counts[part] = rows.num_rows
            write_artifact(rows, part, outputs[part])
        unseen = steps.value(
            """
            with seen as (select distinct unnest(tracks) as track from parts where part = 'train')
            select avg((target not in (from seen))::int) from parts where part = 'test'
            """
        )
    write_json({"split": split, "counts": counts, "unseen_target_share": unseen}, out_stats)
    logger.info(
        "split %s: %s; %.2f %% of test targets are never seen in training",
        split,
        counts,
        100 * unseen,
    )
