"""Search of a variant's settings on validation data, with Optuna.

A way to use skips has settings of its own beside those of its model, and a few trials of all at
once would never try a good weight with a good learning rate.  So it begins with the best settings
of its reference, ``blind`` or ``orig``, and changes what the way adds; then it tries, with the best
of that, the next best settings of its reference.  A way that adds none chooses among the best of
its reference.  Thus a way has no setting of the model that its reference has not had: else the luck
of a search with few trials would look like the worth of a way.

The test data is not an input of anything here.  A search writes each step into a journal and goes
on from it: whatever stops it, the same trials and the same winner come out.
"""

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from scipy.spatial.distance import pdist

from skipwise.core.artifacts import (
    read_artifact,
    read_json,
    sha256,
    whole_file,
    write_artifact,
    write_json,
)
from skipwise.core.errors import DivergedError, UserError
from skipwise.core.log import logger
from skipwise.core.paths import hive_keys
from skipwise.core.provenance import environment
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.core.torch_setup import use_threads
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Sequences
from skipwise.training.checkpoints import Checkpoint
from skipwise.training.memory import check_memory
from skipwise.training.train import fingerprint, validated

# Trials before the sampler learns from earlier ones, spread evenly over the space; one fewer, at
# most, in a search that begins with another.
STARTUP = 6
# Latin hypercubes of which the one is taken whose points are farthest apart.
DRAWS = 200
# Complete trials before a trial may be pruned, and those that must have reached its epoch: few do
# where training stops early, and against them alone a trial that learns slowly looks hopeless.
UNPRUNED = 4
WORST = 25.0  # per cent of the trials
# Share of a range, on its scale, within which a value is at the edge.
EDGE = 0.02
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
RESULT = "result"  # the attribute of a trial with its row


@dataclass(frozen=True)
class Search:
    """What is searched: ``settings`` as configured, and ``space`` with the range of each setting
    that may change.  ``own`` are the settings of the way.  ``points`` are the settings of the model
    that a search which begins with another's may have, the best first: its trials change the
    ``own`` with the first of them, and the last ones take the others.  The sampler learns from
    earlier trials after ``startup`` of them.

    A range is ``{"low": 0.1, "high": 10, "log": True}``, whole numbers if both ends are, or
    ``{"choices": [1, 2, 3]}``.  ``limit`` names an end that cannot be moved, such as a dropout of
    0: a winner there is at no edge.  ``seed`` is that of the choice of settings and of the training
    of every trial.  Validation ranks at most ``validation_sessions``.
    """

    recommender: str
    settings: dict
    space: dict[str, dict]
    seed: int
    threads: int
    validation_sessions: int
    own: Sequence[str] = ()
    points: Sequence[dict] = ()
    startup: int = STARTUP

    @property
    def configured(self) -> dict:
        """The values, as configured or as it begins with, of what is searched."""
        return {name: self.settings[name] for name in self.space}

    @property
    def tried(self) -> dict[str, dict]:
        """The part of the space that trials change."""
        names = self.own if self.points and self.own else self.space
        return {name: self.space[name] for name in names}

    def after(self, trials: list[dict], size: int) -> "Search":
        """This search, of ``size`` trials, beginning with the best of ``trials``, the rows of
        another one: two thirds of it with the best settings, if the way has some of its own, and
        the rest with the next best.
        """
        complete = [row for row in trials if row["state"] == "complete"]
        complete.sort(key=lambda row: row["valid_ndcg_10"], reverse=True)
        points = [
            {
                name: value
                for name, value in json.loads(row["settings"]).items()
                if name in self.space and name not in self.own and _holds(self.space[name], value)
            }
            for row in complete[: size // 3 + 1 if self.own else size]
        ]
        if not points:
            return self
        settings = self.settings | points[0]
        startup = min(size - len(points) + 1 if self.own else size, STARTUP - 1)
        return replace(self, settings=settings, points=points, startup=startup)


def search_settings(
    train: str,
    valid: str,
    tracks: str,
    split: str,
    out_trials: str,
    out_best: str,
    *,
    search: Search,
    trials: int,
    journal: str | Path,
    checkpoint: str | Path,
    first: str | None = None,
    code: Iterable[str] = (),
) -> None:
    """Try settings and write all trials, and the best of them.

    Trial 0 has the configured settings.  With it up to ``STARTUP`` trials are :func:`spread` over
    the space; settings of a later trial k are chosen with a generator of seed (``seed``, k)
    from the trials before it, so a larger budget contains the smaller, but for a way.  ``first`` is
    the ``trials.parquet`` of the reference of a way, with whose best this search begins.  A trial
    that is among the worst quarter in an epoch that enough others have reached is pruned, not
    in the first ``min_epochs``.  The winner has the highest validation NDCG@10 among the candidates
    that ``split``, the ``split.json``, says; the earlier of equals.

    ``journal`` is the file from which a search goes on, and ``checkpoint`` that of the trial at
    hand; both are of no use, and start over, if anything that the numbers depend on has changed.
    Raises UserError if no trial ends.
    """
    use_threads(search.threads)
    data = {"train": sha256(train), "valid": sha256(valid), "tracks": sha256(tracks)}
    candidates = read_json(split)["headline"]
    asked = search
    of_reference = read_artifact("trials", first).to_pylist() if first else []
    search = search.after(of_reference, trials)
    if search.points and not search.own:
        trials = min(trials, len(search.points))
    mark = fingerprint(
        search.recommender,
        [search.settings, search.tried, search.seed, search.validation_sessions],
        [candidates, search.threads, search.startup, search.points],
        data,
        code=code,
        packages=("optuna",),
    )
    study = open_study(journal, mark)
    study.pruner = pruner(search.settings.get("min_epochs", 0))
    parts = Sequences.read("train", train), Sequences.read("valid", valid)
    n_tracks = pq.read_metadata(tracks).num_rows
    if done := len(ended(study)):
        logger.info("continues from %s with trial %d", journal, done)
    for number in range(len(ended(study)), trials):
        saved = Checkpoint(checkpoint, f"{mark} {number}")
        _run_trial(study, number, trials, search, candidates, *parts, n_tracks, saved)
        Path(checkpoint).unlink(missing_ok=True)
        _log_trial(study, number, trials)
    found = rows(study)[:trials]
    table = pa.Table.from_pylist(found, schema=ARTIFACTS["trials"].schema)
    write_artifact(table, "trials", out_trials)
    write_json(best(found, asked, len(of_reference)), out_best)


def pruner(min_epochs: int) -> optuna.pruners.BasePruner:
    """Of the trials of a search, as :func:`search_settings` says."""
    return optuna.pruners.PercentilePruner(
        100 - WORST,
        n_startup_trials=UNPRUNED,
        n_warmup_steps=min_epochs,
        n_min_trials=UNPRUNED,
    )


class _OneWriter(JournalFileOpenLock):
    """No lock: Snakemake runs one job per journal, and a killed one would leave its lock behind."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def open_study(journal: str | Path, mark: str) -> optuna.Study:
    """The search of this fingerprint in a journal; its trials that a kill left running are failed.

    A journal of another fingerprint, or one that cannot be read, is removed, with a line in the
    log.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = Path(journal)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _check_lines(path)
        storage = JournalStorage(JournalFileBackend(str(path), _OneWriter(str(path))))
        names = [study.study_name for study in storage.get_all_studies()]
        reason = "is of another configuration, data, code, library or number of threads"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        names, reason = ["unreadable"], f"cannot be read ({error})"
    if names and names != [mark]:
        logger.info("the journal %s %s: the search starts over", path, reason)
        path.unlink()
        storage = JournalStorage(JournalFileBackend(str(path), _OneWriter(str(path))))
    study = optuna.create_study(
        storage=storage, study_name=mark, direction="maximize", load_if_exists=True
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _check_lines(path: Path) -> None:
    """Cut off a part of a line at the end of a journal, which a kill or a full disk may leave and
    the next line would continue.  Raises ValueError if a line is not json.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    for line in whole.splitlines():
        json.loads(line)
    if len(whole) < len(content):
        with whole_file(path) as partial:
            partial.write_bytes(whole)


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, in their order: complete and pruned ones."""
    return study.get_trials(deepcopy=False, states=ENDED)


def rows(study: optuna.Study) -> list[dict]:
    """One row of the artifact ``trials`` per trial that counts."""
    return [
        {"trial": number} | trial.user_attrs[RESULT] for number, trial in enumerate(ended(study))
    ]


def _run_trial(
    study: optuna.Study,
    number: int,
    trials: int,
    search: Search,
    candidates: str,
    train: Sequences,
    valid: Sequences,
    n_tracks: int,
    checkpoint: Checkpoint,
) -> None:
    """Choose the settings of one trial, train with them and note how good they are."""
    fixed = _fixed(study, number, trials, search)
    trial = _ask(study, number, search, fixed)
    chosen = suggest(trial, search.tried)  # in any case: the sampler learns of no other values
    chosen = search.configured | chosen | fixed
    settings = search.settings | chosen
    logger.info("trial %d: %s", number, in_words(chosen))
    history: list[dict] = []
    state = "complete"
    try:
        model: Recommender = find_model(search.recommender)(n_tracks, settings)
    except UserError as error:
        if number == 0:
            raise
        state = "impossible"  # of settings that exclude each other
        logger.warning("trial %d: %s", number, error)
    else:
        check_memory(model.family, settings, n_tracks=n_tracks, n_sessions=len(train))
        model.candidates = candidates
        state = _train(model, train, valid, search, trial, checkpoint, history)
    top = max(history, key=lambda row: row["valid_ndcg_10"], default={})
    trial.set_user_attr(
        RESULT,
        {
            "state": state,
            "valid_ndcg_10": top.get("valid_ndcg_10"),
            "valid_hr_10": top.get("valid_hr_10"),
            "best_epoch": top.get("epoch"),
            "epochs": sum(row["epoch"] is not None for row in history),
            "seconds": sum(row["seconds"] for row in history),
            "settings": json.dumps(chosen),
        },
    )
    if state == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    else:
        # The sampler learns to avoid what cannot be trained.
        study.tell(trial, top["valid_ndcg_10"] if state == "complete" else 0.0)


def _train(
    model: Recommender,
    train: Sequences,
    valid: Sequences,
    search: Search,
    trial: optuna.Trial,
    checkpoint: Checkpoint,
    history: list[dict],
) -> str:
    """Train and add the rows with validation metrics to ``history``; returns how it ended.

    Epochs of a training that goes on from its checkpoint are in ``history``, too; those of a frozen
    reference, which are the same with every setting of the way, are not.
    """
    before = search.settings.get("reference_epochs") or 0
    # Not in the closure: the model holds it, and is freed at once if it is in no cycle.
    candidates = model.candidates

    def watch(row: dict) -> None:
        if row["epoch"] is not None and row["epoch"] <= before:
            return
        if math.isnan(row["valid_ndcg_10"]):
            raise UserError(
                f"no validation session has a target among {candidates} candidates; set "
                "candidates.headline: full"
            )
        history.append(row)
        if row["epoch"] is not None:
            trial.report(row["valid_ndcg_10"], row["epoch"])
            if trial.should_prune():
                raise optuna.TrialPruned

    model.watch = watch
    started = time.perf_counter()
    try:
        model.fit(train, valid, seed=search.seed, threads=search.threads, checkpoint=checkpoint)
        seconds = time.perf_counter() - started
        if not history:
            found = validated(model, train, valid, search.validation_sessions)
            watch({"epoch": None, "seconds": seconds} | found)
    except optuna.TrialPruned:
        return "pruned"
    except DivergedError as error:
        logger.warning("%s", error)
        return "diverged"
    return "complete"


def _fixed(study: optuna.Study, number: int, trials: int, search: Search) -> dict:
    """The settings of a trial that are not chosen, to the last digit: of the first one, and of
    those that take settings of a reference.
    """
    if not number:
        return search.configured
    if search.points and not search.own:
        return search.configured | search.points[number]
    later = number - trials + len(search.points)  # which of the points, in the last trials
    if later < 1:
        return {}
    top = winner(rows(study))
    return (json.loads(top["settings"]) if top else search.configured) | search.points[later]


def _ask(study: optuna.Study, number: int, search: Search, fixed: dict) -> optuna.Trial:
    """The next trial, with a sampler that knows nothing but the earlier ones and ``number``."""
    seed = np.random.SeedSequence([search.seed, number]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(
        seed=int(seed), n_startup_trials=search.startup, multivariate=True, constant_liar=False
    )
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        begin = {name: search.settings[name] for name in search.tried}
        if fixed:
            study.enqueue_trial({name: fixed[name] for name in begin})
        elif number < search.startup:
            points = spread(search.tried, begin, search.startup, search.seed)
            study.enqueue_trial(points[number])
    return study.ask()


def spread(space: dict[str, dict], begin: dict, size: int, seed: int) -> list[dict]:
    """``size`` points of a search space, ``begin`` first: every setting has a value in each of
    ``size`` equal parts of its range (a Latin hypercube), and no two points are close.

    A few random points are anywhere: those of a weight may all be so large that it only harms.
    """
    parts = np.arange(size)
    first = np.array([_share(space[name], begin[name]) for name in space])
    taken = np.minimum((first * size).astype(int), size - 1)
    left = [parts[parts != part] for part in taken]
    rng = np.random.default_rng(seed)
    drawn = [np.stack([rng.permutation(its) for its in left], axis=1) for _ in range(DRAWS)]
    best_drawn = max(
        (np.vstack([first, (its + 0.5) / size]) for its in drawn),
        key=lambda points: min(pdist(points), default=0.0),
    )
    others = (zip(space, point, strict=True) for point in best_drawn[1:])
    return [begin, *({name: _at(space[name], at) for name, at in point} for point in others)]


def _holds(its: dict, value: Any) -> bool:
    """Whether a value is in a range."""
    return value in its["choices"] if "choices" in its else its["low"] <= value <= its["high"]


def _share(its: dict, value: Any) -> float:
    """Where in a range a value is, from 0 to 1; the middle of its part for a choice."""
    if "choices" in its:
        return (its["choices"].index(value) + 0.5) / len(its["choices"])
    ends = its["low"], its["high"], value
    low, high, at = np.log(ends) if its.get("log") else ends
    return float((at - low) / (high - low))


def _at(its: dict, share: float) -> float | int | str | bool | None:
    """The value at a share, 0 to below 1, of a range."""
    if "choices" in its:
        return its["choices"][int(share * len(its["choices"]))]
    low, high = its["low"], its["high"]
    value = low * (high / low) ** share if its.get("log") else low + share * (high - low)
    return round(value) if type(low) is type(high) is int else float(value)


def suggest(trial: optuna.Trial, space: dict[str, dict]) -> dict:
    """A value for each setting of a search space; numbers have three digits."""
    chosen: dict = {}
    for name, its in space.items():
        if "choices" in its:
            chosen[name] = trial.suggest_categorical(name, its["choices"])
            continue
        low, high, log = its["low"], its["high"], its.get("log", False)
        if type(low) is type(high) is int:
            chosen[name] = trial.suggest_int(name, low, high, log=log)
        else:
            chosen[name] = float(f"{trial.suggest_float(name, low, high, log=log):.3g}")
    return chosen


def _log_trial(study: optuna.Study, number: int, trials: int) -> None:
    found = rows(study)
    row, top = found[number], winner(found)
    value = row["valid_ndcg_10"]
    logger.info(
        "trial %d %s, %d of %d: validation NDCG@10 %s, %s%.1f s; best so far: %s",
        number,
        row["state"],
        number + 1,
        trials,
        "none" if value is None else f"{value:.4f}",
        f"{row['epochs']} epochs, " if row["epochs"] else "",
        row["seconds"],
        f"{top['valid_ndcg_10']:.4f} with {in_words(json.loads(top['settings']))}"
        if top
        else "none",
    )


def winner(found: list[dict]) -> dict | None:
    """The complete trial with the highest validation NDCG@10, the earlier of equals; None if no
    trial is complete.
    """
    complete = [row for row in found if row["state"] == "complete"]
    return max(complete, key=lambda row: row["valid_ndcg_10"], default=None)


def best(found: list[dict], search: Search, before: int = 0) -> dict:
    """The content of ``best.json``: the settings of the winner and how they were found; ``before``
    them came the trials of the search that it began with.
    """
    top = winner(found)
    if top is None:
        raise UserError(
            f"none of {len(found)} trials of {search.recommender} could be trained to its end; "
            "choose other settings in model_registry, or other ranges in SEARCH of the model's file"
        )
    settings = json.loads(top["settings"])
    edges = [name for name, its in search.space.items() if at_edge(its, settings[name])]
    if edges:
        logger.warning(
            "the best value of %s is at the edge of its range; widen SEARCH in the file of %s",
            " and of ".join(edges),
            search.recommender,
        )
    return {
        "settings": settings,
        "configured": search.configured,
        "trial": top["trial"],
        "trials": len(found) + before,
        "value": top["valid_ndcg_10"],
        "at_edge": edges,
    }


def at_edge(space: dict, value: float) -> bool:
    """Whether a value is at an end of its range that could be moved: the first or last of numeric
    choices, or within ``EDGE`` of the range.
    """
    if "choices" in space:
        if any(isinstance(choice, str | bool | None) for choice in space["choices"]):
            return False
        low, high, share = min(space["choices"]), max(space["choices"]), 0.0
    else:
        low, high, share = space["low"], space["high"], EDGE
    if space.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    margin = share * (high - low) * (1 + 1e-9)
    ends = {"low": value <= low + margin, "high": value >= high - margin}
    return any(at for end, at in ends.items() if end != space.get("limit"))


def in_words(settings: dict) -> str:
    """Settings on one line."""
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def collect_settings(best_files: list[str], out: str, *, seed: int, command: str) -> None:
    """Write what was found for one data set, as resources/tuned has it.

    ``best_files`` are the results of all its searches, with their keys in the path, and ``seed`` is
    that of their trials.
    """
    git = environment()["git"]
    splits: dict[str, dict] = {}
    for path in best_files:
        keys, found = hive_keys(path), read_json(path)
        models = splits.setdefault(keys["split"], {})
        models.setdefault(keys["model"], {})[keys["variant"]] = {
            name: found[name] for name in ("settings", "configured", "trials", "value")
        }
    revision = f"{git['revision']}{', with changes' if git['dirty'] else ''}"
    head = (
        "# Settings that a search found on validation data. A copy in resources/tuned/ is used by\n"
        "# every run with tuning.settings: shipped that has the same `configured` values.\n"
    )
    content = {"command": command, "revision": revision, "seed": seed, "splits": splits}
    with whole_file(out) as partial:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        partial.write_text(head + text, encoding="utf-8")
