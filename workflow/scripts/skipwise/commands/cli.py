"""The command line: ``./skipwise`` at the top of the project, or ``python -m skipwise`` with
``workflow/scripts`` on the path.

Each command reads its options, calls one function of the library and prints what it gives.
Libraries are imported where they are needed, so that ``skipwise --help`` answers at once.
"""

import json
import logging
import math
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipwise.core.errors import UserError
from skipwise.core.garbage import collect_rarely

if TYPE_CHECKING:
    import polars as pl


app = typer.Typer(
    help="What a skip is worth to a music recommender: use and measure what the workflow trained.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class TimeUnit(StrEnum):
    """Units of numbers that are times or durations."""

    s = "s"
    ms = "ms"
    us = "us"
    ns = "ns"


class SessionIds(StrEnum):
    """Whether the sessions of an archive are numbered in each file, or in all of them."""

    per_file = "per_file"
    everywhere = "global"


class TimeIs(StrEnum):
    """What the times of plays are."""

    start = "start"
    end = "end"


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


class Form(StrEnum):
    """Forms of other tools."""

    trec = "trec"
    recbole = "recbole"
    datapackage = "datapackage"


class Candidates(StrEnum):
    """The tracks that may be recommended."""

    full = "full"
    new = "new"


FormatOption = Annotated[Format, typer.Option("--format", help="How rows are printed.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write to this file instead of the terminal.")
]
TrackOption = Annotated[str | None, typer.Option("--track", help="Column of the track.")]
UserOption = Annotated[str | None, typer.Option("--user", help="Column of the user.")]
TimeOption = Annotated[str | None, typer.Option("--time", help="Column of the start of a play.")]
SessionOption = Annotated[str | None, typer.Option("--session", help="Column of the session.")]
SKIPPED_WHEN = "What a skip is: a boolean column, or a rule like 'seconds_played < 30'."


@app.command()
def recommend(
    run: Annotated[
        Path, typer.Option(help="Folder of a trained model, results/models/dataset=…/…/seed=….")
    ],
    session: Annotated[
        Path,
        typer.Option(help="csv, tsv or parquet with one row per play, in the order of the plays."),
    ],
    k: Annotated[int, typer.Option("--k", min=1, help="How many tracks.")] = 20,
    track: Annotated[
        str, typer.Option(help="Column of the track keys, as in tracks.parquet.")
    ] = "track",
    skipped_when: Annotated[
        str | None, typer.Option(help=SKIPPED_WHEN + " Without it nothing was skipped.")
    ] = None,
    session_column: Annotated[
        str | None,
        typer.Option(help="Column that tells sessions apart. Without it all rows are one session."),
    ] = None,
    candidates: Annotated[
        Candidates | None,
        typer.Option(
            help="full: all tracks; new: without those of the session itself. By default the set "
            "that the model was selected on."
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="csv, tsv or parquet with the columns track and name: adds the names."),
    ] = None,
    tracks: Annotated[
        Path | None,
        typer.Option(help="tracks.parquet of the data set, if it is not next to the models."),
    ] = None,
    format: FormatOption = Format.csv,
    out: OutOption = None,
) -> None:
    """Rank the tracks that may follow a session, with a trained model.

    Tracks that the model does not know are left out of the session, with a warning that names them.
    """
    # pyarrow's own takes .3 s of system time for its first large piece of memory.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from skipwise.commands.recommend import TrainedModel, read_names, read_session

    plays = read_session(session, track=track, session=session_column, skipped_when=skipped_when)
    found = TrainedModel(run, tracks).recommend(plays, k=k, candidates=candidates)
    if names:
        found = found.join(
            read_names(names, track="track", name="name", keys=found["track"]),
            on="track",
            how="left",
        )
    _print(found if session_column else found.drop("session"), format, out)


@app.command()
def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="ranks.parquet files of the workflow; with --test, run files of other tools."
        ),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            help="The files are run files, to be ranked against this test.parquet of a split."
        ),
    ] = None,
    session: Annotated[
        str, typer.Option(help="Run file: column of the session_id of the split.")
    ] = "session",
    item: Annotated[str, typer.Option(help="Run file: column of the track.")] = "item",
    score: Annotated[
        str | None,
        typer.Option(help="Run file: column of the score, higher is better. [default: score]"),
    ] = None,
    rank: Annotated[
        str | None, typer.Option(help="Run file: column of the rank from 1, instead of --score.")
    ] = None,
    track_keys: Annotated[
        bool,
        typer.Option(
            "--track-keys", help="Run file: tracks are track keys, not the track ids of the split."
        ),
    ] = False,
    tracks: Annotated[
        Path | None,
        typer.Option(help="tracks.parquet of the data set, if it is not next to the split."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Write the ranks of the run file as a ranks.parquet that the workflow reads."
        ),
    ] = None,
    format: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """Metrics of ranks: of the workflow's own, or of run files that other tools wrote.

    A run file has one row per session and item. The rank of the target is the number of the
    session's items that score at least as high; a target that is not in the file has no rank, which
    is a miss at every cut-off.
    """
    from skipwise.core.artifacts import write_artifact
    from skipwise.evaluation.run_files import measure, ranks_of_run, read_ranks

    if test is None and (score or rank or write or track_keys):
        raise UserError(
            "--score, --rank, --track-keys and --write are for run files of other tools, which "
            "need --test too"
        )
    if write and len(files) > 1:
        raise UserError("--write takes the ranks of one run file")
    found = {}
    for path in files:
        found[path] = (
            ranks_of_run(
                path,
                test,
                session=session,
                item=item,
                score=score or (None if rank else "score"),
                rank=rank,
                track_keys=track_keys,
                tracks=tracks,
            )
            if test
            else read_ranks(path)
        )
    if write:
        write_artifact(found[files[0]], "ranks", write)
    _print(measure(found, side_by_side=format is Format.table), format, out)


@app.command()
def inspect(
    dataset: Annotated[str, typer.Argument(help="Name of a data set that the workflow has read.")],
    results: Annotated[
        Path, typer.Option(help="The folder that holds sessions/ and splits/.")
    ] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print json.")] = False,
) -> None:
    """What the filters left of a data set, and how long and how skipped its sessions are."""
    from skipwise.commands.inspect import inspect_dataset

    found = inspect_dataset(dataset, results)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print_inspection(found)


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(help="The results, or a folder below models/ or splits/ for a part.")
    ],
    form: Annotated[
        Form,
        typer.Option(
            help="trec: a run of every trained model and the qrels of its split. recbole: the "
            "splits as atomic files. datapackage: datapackage.json, in the folder itself."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where trec and recbole write. [default: exports]")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="trec: how many tracks of each session. [default: 1000]"),
    ] = None,
    candidates: Annotated[
        Candidates | None,
        typer.Option(
            help="trec: full: all tracks; new: without those of the session itself. By default the "
            "set that the model was selected on."
        ),
    ] = None,
) -> None:
    """Write results in the forms that other tools read, and print the paths of the files."""
    from skipwise.commands import export as exports

    if form is not Form.trec and (depth or candidates):
        raise UserError("--depth and --candidates are for --form trec")
    if form is Form.datapackage:
        if out:
            raise UserError("datapackage.json names files by their place below it: no --out for it")
        typer.echo(exports.export_datapackage(folder))
        return
    out = out or Path("exports")
    written = (
        exports.export_recbole(folder, out)
        if form is Form.recbole
        else exports.export_trec(folder, out, depth=depth or exports.DEPTH, candidates=candidates)
    )
    for path in written:
        typer.echo(path)


@app.command()
def label(
    file: Annotated[Path, typer.Argument(help="csv, tsv or parquet with one row per play.")],
    track: Annotated[str, typer.Option(help="Column of the track.")] = "track",
    user: Annotated[
        str | None,
        typer.Option(
            help="Column of the user (by default user); sessions come from gaps in time. With "
            "--session: the user whose sessions they are."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Column of the start (by default time): ISO text, a timestamp or a unix number."
        ),
    ] = None,
    time_unit: Annotated[TimeUnit, typer.Option(help="Unit of unix numbers.")] = TimeUnit.s,
    time_is: Annotated[
        TimeIs, typer.Option(help="Whether times are starts or ends of plays (needs --duration).")
    ] = TimeIs.start,
    duration: Annotated[
        str | None, typer.Option(help="Column of how long a play lasted, for --time-is end.")
    ] = None,
    length: Annotated[
        str | None, typer.Option(help="Column of the track's length, for --rule known_length.")
    ] = None,
    duration_unit: Annotated[
        TimeUnit, typer.Option(help="Unit of durations and lengths.")
    ] = TimeUnit.s,
    session: Annotated[
        str | None, typer.Option(help="Column of the session, where sessions are given.")
    ] = None,
    session_ids: Annotated[
        SessionIds | None,
        typer.Option(
            help="Of an archive: whether each file numbers its own sessions, or they go on."
        ),
    ] = None,
    session_gap: Annotated[
        float, typer.Option(min=1, help="Seconds between two starts that begin a new session.")
    ] = 1200,
    skipped_when: Annotated[
        str | None, typer.Option(help=SKIPPED_WHEN + " Without it skips are inferred from time.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="How skips are derived. length_margin: the next play starts before the track's "
            "length less a margin is over. known_length: the same with --length where it is given. "
            "gap_below: within some seconds. [default: length_margin]"
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="length_margin: the margin in seconds. [default: 30]"),
    ] = None,
    min_support: Annotated[
        int | None,
        typer.Option(
            min=1, help="length_margin: plays from which a length is derived. [default: 3]"
        ),
    ] = None,
    default_length: Annotated[
        float | None,
        typer.Option(help="length_margin: length of other tracks in seconds. [default: 180]"),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="gap_below: the seconds. [default: 30]")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER: a parameter of a rule of your own.")
    ] = None,
    format: FormatOption = Format.csv,
    out: OutOption = None,
) -> None:
    """Add session, position and skip label to a listening log.

    Columns of these names are replaced. Without --skipped-when the label is derived from the time
    between two starts, as for Last.fm; the last play of a session has no label.
    """
    from skipwise.commands.label import label_file, rule_with

    if (time_is is TimeIs.end) != (duration is not None):
        raise UserError(
            "--time-is end and --duration COLUMN, from which starts are derived, go together"
        )
    if session and not skipped_when:
        raise UserError(
            "with --session say what a skip is, --skipped-when; skips are derived from time only "
            "for --user and --time"
        )
    if session_ids and not session:
        raise UserError("--session-ids is about the sessions of --session; name their column")
    options = {
        "margin": margin,
        "min_support": min_support,
        "default_length": default_length,
        "seconds": seconds,
    }
    parameters = [f"{name}={value}" for name, value in options.items() if value is not None]
    parameters += parameter or []
    if skipped_when and (rule or parameters or length):
        raise UserError("--skipped-when says what a skip is and --rule derives it; leave one out")
    given = {"user": user, "time": time, "duration": duration, "length": length}
    defaults = {"session": session} if session else {"user": "user", "time": "time"}
    entry = {
        "columns": {"track": track}
        | defaults
        | {name: column for name, column in given.items() if column is not None},
        "time_unit": time_unit.value,
        "time_is": time_is.value,
        "duration_unit": duration_unit.value,
        "session_gap": None if session else session_gap,
        "skip_rule": {"name": "given"}
        if skipped_when
        else rule_with(rule or "length_margin", parameters, reads_length=length is not None),
    }
    if skipped_when:
        entry["skipped_when"] = skipped_when
    if session_ids:
        entry["session_ids"] = session_ids.value
    labels = label_file(file, entry=entry)
    _print(labels, format, out)


@app.command()
def preview(
    files: Annotated[
        list[Path], typer.Argument(help="A log or an export as it is, or several of one kind.")
    ],
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="About how many rows are counted.")
    ] = 1_000_000,
    track: TrackOption = None,
    user: UserOption = None,
    time: TimeOption = None,
    session: SessionOption = None,
    skipped_when: Annotated[str | None, typer.Option(help=SKIPPED_WHEN)] = None,
    out: OutOption = None,
) -> None:
    """Say what files are taken for, and print the configuration to start from.

    The output is an overlay that runs as it is: form and columns, times, plays, users, sessions,
    the share of skips by each rule that fits and invalid rows are comments in it.
    """
    from skipwise.commands.preview import preview as preview_files

    named = _named(track=track, user=user, time=time, session=session)
    _write(preview_files(files, rows, named=named, skipped_when=skipped_when), out)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Overlays, as for --configfile.")],
) -> None:
    """Check overlays without a run: each mistake is a line that names its file, line and key."""
    from skipwise.commands.check import check_overlays

    typer.echo(f"The configuration is right. Data sets: {', '.join(check_overlays(files))}")


@app.command()
def study(
    log: Annotated[
        list[str],
        typer.Argument(
            help="A log or an export as it is, or several files of one; or the name of a data set "
            "of the registry: mssd, lfm1k, ml100k."
        ),
    ],
    budget: Annotated[
        str, typer.Option(help="How long it may take: 10m, 2h. A longer one tells more.")
    ] = "30m",
    paths: Annotated[
        list[Path] | None,
        typer.Option(help="Files of a data set of the registry that you have, such as mssd."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Where to leave the configuration. [default: beside the log]"),
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use. [default: all]")] = None,
    track: TrackOption = None,
    user: UserOption = None,
    time: TimeOption = None,
    session: SessionOption = None,
    skipped_when: Annotated[str | None, typer.Option(help=SKIPPED_WHEN)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """What are skips worth on this log? Reads it, trains, compares, and answers in a few lines.

    Everything is an ordinary run of the workflow, which the printed command runs again. Ctrl-C
    stops it, and the same call continues.
    """
    import os

    from skipwise.commands import study as studies

    seconds = studies.seconds(budget)
    files = [Path(name).expanduser() for name in log]
    if len(log) == 1 and log[0].replace("-", "").isalnum() and not files[0].exists():
        text, beside = studies.registered(log[0], paths or []), Path(f"{log[0]}.study.yaml")
    else:
        from skipwise.commands.preview import preview as preview_files

        named = _named(track=track, user=user, time=time, session=session)
        text = preview_files(files, named=named, skipped_when=skipped_when)
        beside = files[0].with_name(f"{files[0].name.split('.')[0]}.study.yaml")
    typer.echo(text, err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nobody can be asked here whether this is right; say --yes")
        typer.confirm("Run it?", default=True, abort=True, err=True)
    running = studies.Study(
        text,
        overlay or beside,
        budget=seconds,
        cores=cores or os.cpu_count() or 1,
        say=lambda line: typer.echo(line, err=True),
    )
    running.run()
    for line in running.answer():
        typer.echo(line)
    typer.echo(f"The same again, in {studies.FOLDER}: {running.command}", err=True)


@app.command()
def controls(
    results: Annotated[Path, typer.Argument(help="Folder of a run.")] = Path("results"),
    out: OutOption = None,
) -> None:
    """The overlay that adds the controls with shuffled labels that the gains of a run ask for."""
    import yaml

    from skipwise.commands.controls import asked_controls

    _write(yaml.safe_dump(asked_controls(results), sort_keys=False), out)


def _named(**columns: str | None) -> dict[str, str]:
    """The columns that an option names."""
    return {name: column for name, column in columns.items() if column is not None}


def _print(frame: "pl.DataFrame", format: Format, out: Path | None) -> None:
    """Rows to a file or the terminal."""
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    if format is Format.csv and nested:
        raise UserError(
            f"column '{nested[0]}' holds {frame.schema[nested[0]]} values, which csv cannot; "
            "take --format json"
        )
    if format is Format.csv:
        from polars import selectors

        from skipwise.raw.tabular import as_numbers

        # Text has no durations; they are written in the seconds that rules compare.
        text = frame.with_columns(*map(as_numbers, frame.select(selectors.duration()))).write_csv()
    elif format is Format.json:
        rows = _finite(frame.to_dicts())
        text = json.dumps(rows, indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"
    else:
        text = _terminal_table(frame)
    _write(text, out)


def _finite(value: Any) -> Any:
    """The value with null for numbers that json does not have."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [*map(_finite, value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(text: str, out: Path | None) -> None:
    """Text to a file or the terminal."""
    if out:
        from skipwise.core.artifacts import whole_file

        with whole_file(out) as partial:
            partial.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _terminal_table(frame: "pl.DataFrame") -> str:
    """The rows in columns, as wide as they need where the output goes to a file."""
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else 1000
    console = Console(no_color=True, highlight=False, markup=False, emoji=False, width=width)
    table = Table(box=None, header_style=None, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    with console.capture() as printed:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _cell(value) -> str:
    if value is None:
        return "–"
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:.4f}"
        if isinstance(value, float)
        else str(value)
    )


def _print_inspection(found: dict) -> None:
    """The counts, and a bar for every length and number of skips."""
    from skipwise.core.config import rule_words

    rules = {
        name: rule_words(value) if name == "skip_rule" else value
        for name, value in found["rules"].items()
    }
    typer.echo(
        f"{found['dataset']}: "
        + "; ".join(f"{name} {'null' if value is None else value}" for name, value in rules.items())
    )
    typer.echo()
    for what, count in found["steps"]:
        typer.echo(f"{count:>13,}  {what}")
    for why, count in found["left_out"].items():
        typer.echo(f"{count:>13,}  plays left out: {why}")
    for where, share in found["skip_share"].items():
        typer.echo(
            f"{'–' if share is None else f'{share:.1%}':>13}  of the plays are skips, {where}"
        )
    for split, counts in found["splits"].items():
        typer.echo(
            f"{'':>13}  split {split}: "
            + ", ".join(f"{part} {count:,}" for part, count in counts.items())
        )
    for title, what in (("Plays of a session", "lengths"), ("Skips of a session", "skips")):
        typer.echo(f"\n{title}, number of sessions")
        longest = max((count for _, count in found[what]), default=1)
        for value, count in found[what]:
            typer.echo(f"{value:>13}  {'█' * max(1, round(40 * count / longest))} {count:,}")
    typer.echo("\nMost played tracks: plays, skips")
    for key, plays, skips in found["tracks"]:
        typer.echo(f"{plays:>13,}  {skips:>9,}  " + key.replace("\t", " – "))


def main() -> None:
    """Run the command line; a mistake of the user ends in one line and status 1, a wrong option in
    status 2.
    """
    from skipwise.core.log import logger

    collect_rarely()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("skipwise: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        app(prog_name="skipwise")
    except UserError as error:
        logger.error("%s", error)
        sys.exit(1)
    except OSError as error:
        logger.error("%s", f"{error.filename}: {error.strerror}" if error.filename else error)
        sys.exit(1)
    finally:
        logger.removeHandler(handler)
