"""A study of one log in a stated time: what skips are worth on it, step by step.

Each step is an ordinary Snakemake run of one overlay and asks more than the step before: seeds,
then tuning, then more ways to use skips.  A step is begun if it is likely to end in the time that
is left, so a short budget gives a smaller answer, and what was left out is said.  A gain without
its control is no answer, so that belongs to its step, whatever time is left.
"""

import copy
import itertools
import json
import re
import shlex
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from skipwise.commands.controls import asked_controls
from skipwise.core.artifacts import read_json, whole_file
from skipwise.core.errors import UserError
from skipwise.core.paths import result
from skipwise.core.reading import read_yaml
from skipwise.core.registry import CHECKOUT, PROJECT
from skipwise.report.tables.answer import FEW
from skipwise.report.words import label

# Where it runs: in the project, or with an installed one where the user is.
FOLDER = PROJECT if PROJECT == CHECKOUT else Path.cwd()
MODELS = ["popularity", "session-popularity", "session-knn", "wrmf", "sasrec"]
WAYS = ("not-to-recommend", "pairwise", "feedback-input", "skip-head")
# Each study has folders of its own, so that no other run's tables are replaced by its.
FOLDERS = ("results", "logs", "benchmarks")
TARGETS = ("tables/answer.csv", "tables/hr_ndcg.csv", "figures/gains.svg", "provenance.json")
# The training that says how long others take, on a sample that is small enough for any budget.
FIRST = {"split": "paper", "model": "sasrec", "variant": "orig", "seed": 1}
SAMPLE = 2000
TRIALS = 8
# A trial of a search takes less than a training, as it may be pruned.
OF_A_TRIAL = 0.7
# Seconds of a job that trains nothing.
OTHER_JOB = 2.0
A_MINUTE = 60.0
# The share of the budget that the first step with three seeds may take.
OF_THREE_SEEDS = 0.6


class Step(NamedTuple):
    """What a run asks in addition to the one before."""

    what: str
    overlay: dict


SEARCH = {"settings": "search", "trials": TRIALS}
NOT_CHOSEN = -1
TO_MEASURE = "# This overlay only measures how long a training takes.\n"
VARIANTS = {name: {"way": name} for name in WAYS}
STEPS = (
    Step("one seed", {"seeds": [1], "tuning": {"settings": "configured"}}),
    Step("three seeds", {"seeds": [1, 2, 3], "tuning": {"settings": "configured"}}),
    Step(f"tuned, {TRIALS} trials of a variant", {"seeds": [1, 2, 3], "tuning": SEARCH}),
    Step(
        f"{len(WAYS)} more ways to use skips",
        {
            "seeds": [1, 2, 3],
            "tuning": SEARCH,
            "model_registry": {"sasrec": {"variants": VARIANTS}},
        },
    ),
    Step(
        "five seeds",
        {
            "seeds": [1, 2, 3, 4, 5],
            "tuning": SEARCH,
            "model_registry": {"sasrec": {"variants": VARIANTS}},
        },
    ),
)


def seconds(text: str) -> float:
    """The seconds of a time like ``90s``, ``10m`` or ``2h``; raises UserError for another text."""
    fitting = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text.strip())
    if not fitting or not float(fitting[1]):
        raise UserError(f"a budget is a time like 10m or 2h, not '{text}'")
    return float(fitting[1]) * {"s": 1, "m": 60, "h": 3600}[fitting[2]]


def in_words(time_in_seconds: float) -> str:
    """A time as people say it."""
    if time_in_seconds < 90:
        return f"{time_in_seconds:.0f} s"
    minutes = time_in_seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


class Study:
    """The runs of one overlay, whose file they read and continue."""

    def __init__(
        self, text: str, path: Path, *, budget: float, cores: int, say: Callable[[str], None]
    ):
        """``text`` is the overlay of one data set, YAML with comments, which will stand at
        ``path``; ``budget`` is in seconds; ``say`` shows a line.
        """
        self._base, self.path, self._cores, self._say = _named(text), path.resolve(), cores, say
        self._comments = "".join(
            line for line in text.splitlines(keepends=True) if line.startswith("#")
        )
        [self.dataset] = self._base["datasets"]
        self._folders = {name: f"{name}/study/{self.dataset}" for name in FOLDERS}
        self._targets = [f"{self._folders['results']}/{target}" for target in TARGETS]
        self._budget, self._began = budget, time.monotonic()
        self.done: list[Step] = []
        # By model the variants that are controls of a gain.
        self._controls: dict[str, dict] = {}
        self.left_out = ""
        # How many times more sessions the next trainings have than those that were measured.
        self._larger = 1.0

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self._budget - (time.monotonic() - self._began)

    @property
    def _results(self) -> Path:
        return FOLDER / self._folders["results"]

    @property
    def command(self) -> str:
        """What runs the last step again, in :data:`FOLDER`."""
        runs = Path(sys.executable).with_name("snakemake")
        own = runs.relative_to(FOLDER) if runs.is_relative_to(FOLDER) else runs
        return shlex.join([str(own), *self._arguments(self._targets)[3:]])

    def run(self) -> None:
        """Run the steps that fit into the budget; raises UserError if a run of Snakemake fails."""
        sessions = self._chosen_before()
        if sessions == NOT_CHOSEN:
            sessions = self._choose_sessions()
        for number, step in enumerate(STEPS):
            self._write(step, sessions)
            needed = self._estimate()
            if self.done and needed > self.left:
                self._write(self.done[-1], sessions)
                names = "; ".join(later.what for later in STEPS[number:])
                self.left_out = (
                    f"{names} (the next step takes about {in_words(needed)}, "
                    f"{in_words(max(self.left, 0))} are left)"
                )
                return
            self._say(f"step {number + 1} of {len(STEPS)}, {step.what}: about {in_words(needed)}")
            if needed > self.left:
                self._say(
                    f"that is more than the {in_words(max(self.left, 0))} that are left, and ends "
                    "without a verdict, which needs three seeds; Ctrl-C stops it, and the same "
                    "call with a larger --budget goes on"
                )
            self._snakemake(self._targets)
            if self._add_controls():
                self._say("a use of skips gains: do shuffled labels gain as much?")
                self._write(step, sessions)
                self._snakemake(self._targets)
            self._larger = 1.0
            self.done.append(step)

    def answer(self) -> list[str]:
        """The answer in lines: what skips are worth, on what that rests, what could have been
        missed, what was left out, and where to read on.
        """
        lines = []
        for row in self._rows():
            lines += [row["answer"].capitalize() + ".", _in_plain_words(row)]
            if row["detectable"] is not None and row["answer"] != FEW:
                missed = f"{100 * row['detectable']:.1f} points"
                lines.append(f"A smaller difference than {missed} may have been missed.")
        lines = lines or ["There is no answer: no model could be chosen on validation data."]
        ran = f"Ran: {self.done[-1].what}"
        lines.append(f"{ran}. Left out: {self.left_out or 'nothing'}.")
        pages = ("tables/answer.html", "tables/skip_gains.html", "figures/gains.svg")
        lines.append("Read on: " + ", ".join(str(self._results / page) for page in pages))
        return lines

    def _add_controls(self) -> bool:
        """Add the controls that the gains ask for; false if they ask for none."""
        asked = self._asked_controls().get("model_registry", {})
        for model, its in asked.items():
            self._controls.setdefault(model, {}).update(its["variants"])
        return bool(asked)

    def _asked_controls(self) -> dict:
        return asked_controls(self._results)

    def _rows(self) -> list[dict]:
        table = pl.read_parquet(self._results / "tables/answer.parquet")
        return table.filter(pl.col("dataset") == self.dataset).to_dicts()

    def _chosen_before(self) -> int | None:
        """The number of sessions in the overlay that an earlier call of this study left."""
        if self.path.is_file() and TO_MEASURE not in (text := self.path.read_text("utf-8")):
            before = yaml.safe_load(text) or {}
            if all(before.get(key) == self._base.get(key) for key in ("datasets", "registry")):
                return before.get("sessions", {}).get("n_sessions", NOT_CHOSEN)
        return NOT_CHOSEN

    def _choose_sessions(self) -> int | None:
        """As many sessions as leave time for three seeds; None for all of them."""
        self._write(STEPS[0], SAMPLE, TO_MEASURE)
        self._say("reading the log, and one training to see how long they take")
        first = result("metrics", self._folders["results"], dataset=self.dataset, **FIRST)
        self._snakemake([str(first)])
        stats = read_json(result("stats", self._results, dataset=self.dataset))
        eligible = stats["counts"]["sessions_eligible"]
        self._write(STEPS[1], SAMPLE, TO_MEASURE)
        share = OF_THREE_SEEDS * self.left / max(self._estimate(), 1)
        most = max(SAMPLE, int(min(SAMPLE, eligible) * share))
        chosen = None if eligible <= most else round(most, 1 - len(str(most)))
        self._larger = (chosen or eligible) / min(SAMPLE, eligible)
        return chosen

    def _write(self, step: Step, sessions: int | None, remark: str = "") -> None:
        whole = self._base | {"models": MODELS, "pathvars": self._folders} | step.overlay
        registry = copy.deepcopy(whole.get("model_registry", {}))
        for model, controls in self._controls.items():
            registry.setdefault(model, {}).setdefault("variants", {}).update(controls)
        if registry:
            whole["model_registry"] = registry
        text = yaml.safe_dump(
            whole | {"sessions": {"n_sessions": sessions}}, sort_keys=False, allow_unicode=True
        )
        with whole_file(self.path) as partial:
            partial.write_text(self._comments + remark + text, encoding="utf-8")

    def _estimate(self) -> float:
        """Seconds of the jobs that the overlay would start, from those that ran."""
        printed = self._printed(self._targets, "--dry-run")
        jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}
        training = self._mean_of_training() * self._larger
        each = {"train_model": training, "search_settings": TRIALS * OF_A_TRIAL * training}
        jobs.pop("total", None)
        return sum(each.get(rule, OTHER_JOB) * n for rule, n in jobs.items()) / self._cores

    def _mean_of_training(self) -> float:
        files = (FOLDER / self._folders["benchmarks"] / "train_model").rglob("*.jsonl")
        times = [json.loads(file.read_text("utf-8").splitlines()[-1])["s"] for file in files]
        return sum(times) / len(times) if times else OTHER_JOB

    def _snakemake(self, targets: Iterable[str]) -> None:
        """Run Snakemake and show how far it is."""
        began, printed, progress = time.monotonic(), [], Progress()
        with subprocess.Popen(
            self._arguments(targets),
            cwd=FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout
            try:
                for line in running.stdout:
                    printed.append(line)
                    if steps := re.match(r"(\d+) of (\d+) steps", line):
                        done, of = int(steps[1]), int(steps[2])
                        left = (time.monotonic() - began) / done * (of - done)
                        progress.show(f"  {done} of {of} jobs, about {in_words(left)} left")
            except KeyboardInterrupt:
                running.wait()  # it got the signal too; until it has ended its jobs it has a lock
                raise
        progress.show("")
        if running.returncode:
            raise UserError(f"{_reason(''.join(printed))}; then the same command continues")

    def _printed(self, targets: Iterable[str], *options: str) -> str:
        done = subprocess.run(
            self._arguments(targets, *options),
            cwd=FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(_reason(done.stdout))
        return done.stdout

    def _arguments(self, targets: Iterable[str], *options: str) -> list[str]:
        command = [sys.executable, "-m", "snakemake", *options, "--cores", str(self._cores)]
        workflow = [] if FOLDER == PROJECT else ["--snakefile", str(PROJECT / "Snakefile")]
        return [*command, *workflow, "--configfile", str(self.path), "--", *targets]


def _in_plain_words(row: dict) -> str:
    """A row of the table ``answer`` for whom HR@10 says nothing."""
    using, without = (
        f"{model}, {label(variant)}"
        for model, variant in (row[side].split(" ") for side in ("with_skips", "without"))
    )
    within = ""
    if row["within"]:
        within = f" Within {row['within']}: {_points(row, 'within_difference')}."
    return (
        "The next track that is listened to is among the first ten recommendations for "
        f"{row['value']:.1%} of {row['sessions']:,} test sessions with the best use of skips "
        f"({using}) and for {row['reference_value']:.1%} without any ({without}): "
        f"{_points(row, 'difference')} ({row['data']} data, split {row['split']}, seeds "
        f"{row['seeds']}).{within}"
    )


def _points(row: dict, name: str) -> str:
    """A difference in points, with its interval where that is known."""
    ends = [row[f"{name}_{end}"] for end in ("low", "high")]
    said, *interval = [
        f"{100 * share:+.1f}".replace("-", "−")
        for share in (row[name], *(ends if None not in ends else ()))
    ]
    return f"{said} points" + (f", interval {' to '.join(interval)}" if interval else "")


class Progress:
    """Shows how far a run is: where somebody looks a line that the next one replaces, elsewhere
    one line a minute.
    """

    def __init__(self):
        self._shown = time.monotonic()

    def show(self, text: str) -> None:
        """Show it if it is time to."""
        if sys.stderr.isatty():
            print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)
        elif text and time.monotonic() - self._shown >= A_MINUTE:
            self._shown = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def _reason(printed: str) -> str:
    """The line of Snakemake's output that says what is wrong."""
    lines = [line.strip() for line in printed.splitlines()]
    ours = [line for line in lines if "ERROR: " in line or line.startswith("configuration, ")]
    # What Snakemake says of an error in its files, before the places in these.
    ours += [after for line, after in itertools.pairwise(lines) if line.startswith("WorkflowError")]
    return ours[0] if ours else next(reversed([line for line in lines if line]), "Snakemake failed")


def registered(name: str, paths: list[Path]) -> str:
    """The overlay of a data set of the registry, with what it is in comments; ``paths`` are its
    files where it cannot be downloaded.

    Raises UserError for an unknown name.
    """
    registry = read_yaml(PROJECT / "config/datasets.yaml")["registry"]
    if name not in registry:
        known = ", ".join(sorted(registry))
        raise UserError(f"{name} is no file, and no data set of the registry: {known}")
    entry = registry[name]
    about = [entry.get("title", name), f"licence: {entry.get('licence', 'not known')}"]
    about += [entry[key] for key in ("note", "size") if key in entry]
    about += [f"from {url}" for file in entry.get("files", []) for url in file.get("urls", [])[:1]]
    overlay: dict = {"datasets": [name]}
    if paths:
        overlay["registry"] = {name: {"paths": [str(path.resolve()) for path in paths]}}
    return "".join(f"# {line}\n" for line in about) + yaml.safe_dump(overlay)


def _named(text: str) -> dict:
    """The overlay, with a name of its own for a data set of the user's: two logs must not share
    results.
    """
    overlay = yaml.safe_load(text)
    if overlay["datasets"] == ["mine"]:
        [path, *_] = overlay["registry"]["mine"]["paths"]
        spelled = re.sub(r"[^a-z0-9]+", "-", Path(path).name.split(".")[0].lower())
        name = "-".join(filter(None, ("log", spelled.strip("-"), f"{zlib.crc32(path.encode()):x}")))
        overlay |= {"datasets": [name], "registry": {name: overlay["registry"]["mine"]}}
    return overlay
