"""Results in the forms of other tools: TREC runs and qrels, RecBole's atomic files, and a data
package that describes the artifacts.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core import paths
from skipwise.core.artifacts import read_artifact, read_json, sha256, whole_file, write_json
from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.registry import find
from skipwise.core.schemas import ARTIFACTS, HEADLINES

DEPTH = 1000
# RecBole's atomic files of a split, NAME.train.inter and so on, each one statement on its parquet
# files.  An unknown label is an empty float, in a sequence nan; targets are listened tracks.
_LABEL = "case when {} is null then null when {} then 1 else 0 end"
_LISTED = "array_to_string(list_transform({}, lambda x: coalesce(x::int::varchar, 'nan')), ' ')"
_SEQUENCE = """
    select
        session_id as "user_id:token",
        array_to_string({tracks}, ' ') as "item_id_list:token_seq",
        {labels} as "skipped_list:float_seq",
        {target} as "item_id:token",
        {label} as "skipped:float"
"""
_PLAYS = f"""
    select
        session_id as "user_id:token",
        tracks[i] as "item_id:token",
        i as "timestamp:float",
        {_LABEL.format("skipped[i]", "skipped[i]")} as "skipped:float"
    from (select *, unnest(range(1, len(tracks) + 1)) as i from part)
    order by session_id, i
"""
_TRAIN = (
    _SEQUENCE.format(
        tracks="tracks[:i - 1]",
        labels=_LISTED.format("skipped[:i - 1]"),
        target="tracks[i]",
        label=_LABEL.format("skipped[i]", "skipped[i]"),
    )
    + """
    from (select *, unnest(range(2, len(tracks) + 1)) as i from part)
    order by session_id, i
"""
)
_HELD_OUT = (
    _SEQUENCE.format(tracks="tracks", labels=_LISTED.format("skipped"), target="target", label="0")
    + "from part order by session_id"
)
_TRACKS = """
    select track_id as "item_id:token", translate(track_key, chr(9), ' ') as "track_key:token"
    from part order by track_id
"""
_JUDGED = """
    select session_id, 0, track, max(relevance) as relevance
    from (
        select session_id, tracks, target, target as track, 1 as relevance from part
        union all
        select session_id, tracks, target, unnest(unseen_skips), 0 from part
    )
    {}
    group by session_id, track order by session_id, relevance desc, track
"""
_QRELS = {
    "full": _JUDGED.format(""),
    "new": _JUDGED.format(
        "where not list_contains(tracks, target) and not list_contains(tracks, track)"
    ),
}
_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_list, "list"),
)


def export_trec(
    folder: str | Path,
    out: str | Path,
    *,
    depth: int = DEPTH,
    candidates: str | None = None,
) -> Iterator[Path]:
    """Write the best tracks of every test session, a ``run.txt`` for each trained model in
    ``folder``, and ``qrels.full.txt`` and ``qrels.new.txt`` for each split; gives their paths.

    Topics are session_ids and documents track_ids.  A run has the ``depth`` best tracks with the
    model's scores, equal ones in order of their ids; ``candidates`` as in
    :meth:`TrainedModel.recommend`.  A target has relevance 1, an unseen skip 0; in ``new`` stand
    the sessions whose target is no track of the context.  Raises UserError if the folder holds no
    model.
    """
    from skipwise.commands.recommend import TrainedModel, top
    from skipwise.sessions.sequences import Sequences

    judged = set()
    for run in _in(folder, "run", "trained model"):
        keys = paths.hive_keys(run.absolute())
        test_file = _beside(run, "test")
        if _is_old(run):
            continue
        model, test = TrainedModel(run.parent), Sequences.read("test", test_file)
        tag = "-".join(keys[name] for name in ("model", "variant", "seed"))
        path = Path(out, "trec", paths.RUN.format(**keys), "run.txt")
        with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
            for session, scores in zip(
                test.session_id, model.scores(test, candidates), strict=True
            ):
                best = top(scores, depth)
                file.writelines(
                    f"{session} Q0 {track} {rank} {score:.9g} {tag}\n"
                    for rank, (track, score) in enumerate(
                        zip(best, scores[best].tolist(), strict=True), start=1
                    )
                )
        yield path
        if test_file not in judged:
            judged.add(test_file)
            split = Path(out, "trec", paths.SPLIT.format(**keys))
            yield from _write_qrels(read_artifact("test", test_file), split)
    if not judged:
        raise UserError(f"{folder} has no model of the splits that are there; run snakemake again")


@cache
def _is_old(run: Path) -> bool:
    """Whether a model was trained on another split than the one that is there, which has been made
    anew since; warns of it once.
    """
    for name, sum_of_file in read_json(run)["data"].items():
        file = paths.beside(run, name)
        if file and file.is_file() and _sha256(file) != sum_of_file:
            logger.warning("left out %s: it was trained on another %s", run.parent, file)
            return True
    return False


_sha256 = cache(sha256)  # of files that all runs of a split share


def _write_qrels(test: pa.Table, folder: Path) -> Iterator[Path]:
    """The qrels of a split, of all sessions and of those whose target is new."""
    for candidates in HEADLINES:
        path = folder / f"qrels.{candidates}.txt"
        _write(_QRELS[candidates], test, path, "delimiter ' ', header false")
        yield path


def export_recbole(folder: str | Path, out: str | Path) -> Iterator[Path]:
    """Write the splits in ``folder`` as RecBole's atomic files; gives their paths.

    For a data set D: ``D.inter`` has one row per play of the train sessions; ``D.train.inter``,
    ``D.valid.inter`` and ``D.test.inter`` have one row per prediction with the plays before it, for
    ``benchmark_filename``; ``D.item`` has all tracks.  A session is a user, and a timestamp is the
    position of a play.  Raises UserError if the folder holds no split.
    """
    for train in _in(folder, "train", "split"):
        keys = paths.hive_keys(train.absolute())
        name = keys["dataset"]
        target = Path(out, "recbole", paths.SPLIT.format(**keys), name)
        for file, artifact, statement in (
            ("inter", "train", _PLAYS),
            ("train.inter", "train", _TRAIN),
            ("valid.inter", "valid", _HELD_OUT),
            ("test.inter", "test", _HELD_OUT),
            ("item", "tracks", _TRACKS),
        ):
            path = target / f"{name}.{file}"
            part = read_artifact(artifact, _beside(train, artifact))
            _write(statement, part, path, "delimiter '\t', header true, quote ''")
            yield path


def export_datapackage(folder: str | Path) -> Path:
    """Write ``datapackage.json`` (frictionless Data Package) into the folder of the results: one
    resource per table as csv, and one per kind of parquet file with all its paths and its columns.
    Files of models that were trained on another split than the one that is there are left out.

    Raises UserError if the folder holds no tables.
    """
    from skipwise.report import columns

    folder = Path(folder)
    tables = sorted(folder.glob("tables/*.csv"))
    if not tables:
        raise UserError(f"{folder} has no tables/*.csv; name the folder of the results")
    resources = []
    for path in tables:
        table = find("table", path.stem)
        columns.COLUMNS.update(getattr(table, "EXPLAINS", {}))
        schema = pq.read_schema(path.with_suffix(".parquet"))
        resource = _resource(path.stem, [path], schema, folder) | {"title": table.TITLE}
        for field in resource["schema"]["fields"]:
            field["description"] = columns.meaning(field["name"])
        resources.append(resource)
    for name, (schema, order) in ARTIFACTS.items():
        found = [path for path in paths.found(name, folder) if not _is_of_old_run(name, path)]
        if found:
            resources.append(_resource(name, found, schema, folder))
            resources[-1]["schema"] |= {"primaryKey": list(order)} if order else {}
    package = {
        "name": "skipwise-results",
        "title": "What a skip is worth to a music recommender: results of skipwise",
        "description": (
            "Keys in a path, such as dataset=…/split=…, belong to every row of its file; track_id "
            "and session_id count from 1 within a data set."
        ),
        "resources": resources,
    }
    write_json(package, folder / "datapackage.json")
    return folder / "datapackage.json"


def _is_of_old_run(artifact: str, path: Path) -> bool:
    """Whether a file belongs to the run of a model that was trained on another split."""
    run = paths.beside(path, "run") if paths.RUN in paths.RESULTS[artifact] else None
    return bool(run and run.is_file() and _is_old(run))


def _resource(name: str, found: list[Path], schema: pa.Schema, folder: Path) -> dict:
    """A resource of files with the same columns, parts of one table."""
    below = [path.relative_to(folder).as_posix() for path in found]
    kind = found[0].suffix.removeprefix(".")
    return {
        "name": name.replace("_", "-"),
        "path": below[0] if len(below) == 1 else below,
        "format": kind,
        "mediatype": {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}[kind],
        "schema": {
            "fields": [
                {"name": field.name, "type": _type(field.type)}
                | ({} if field.nullable else {"constraints": {"required": True}})
                for field in schema
            ]
        },
    }


def _type(kind: pa.DataType) -> str:
    return next((name for holds, name in _TYPES if holds(kind)), "string")


def _in(folder: str | Path, artifact: str, what: str) -> list[Path]:
    """The files of an artifact in a folder: that of the results, or one below."""
    place = re.compile("/" + re.sub(r"\{\w+\}", "[^/]+", paths.RESULTS[artifact]) + "$")
    files = sorted(Path(folder).rglob(Path(paths.RESULTS[artifact]).name))
    found = [path for path in files if place.search(path.absolute().as_posix())]
    if not found:
        raise UserError(
            f"{folder} holds no {what}; name the folder of the results, or one below its models/ "
            "or splits/"
        )
    return found


def _beside(path: Path, artifact: str) -> Path:
    """Another artifact of the same results; raises UserError if it is not there."""
    found = paths.beside(path, artifact)
    if found is None or not found.is_file():
        raise UserError(f"the {artifact} that belongs to {path} is not where the workflow puts it")
    return found


def _write(statement: str, part: pa.Table, path: Path, options: str) -> None:
    """The rows of a statement on ``part`` as text."""
    with whole_file(path) as partial, duckdb.connect() as connection:
        connection.register("part", part)
        name = str(partial).replace("'", "''")
        connection.execute(f"copy ({statement}) to '{name}' (format csv, {options})")
