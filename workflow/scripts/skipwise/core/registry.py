"""One law: a thing is found by the name of its file.

A kind of thing has a folder, and each file in it is one thing of that kind.  Its settings, needs
and caption stand in that file, so a new thing is one new file.  What the workflow must know before
a job runs is declared there as literals in capitals (``NEEDS = ("ranks",)``), which are read here
without importing the file.
"""

import ast
import importlib
import re
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from skipwise.core.errors import UserError

LIBRARY = Path(__file__).parents[1]
# The folder of the Snakefile: of a checkout, or where an installation puts it.
CHECKOUT = LIBRARY.parents[2]
INSTALLED = [Path(top, "share/skipwise") for top in (LIBRARY.parent, sysconfig.get_path("data"))]
PROJECT = next(
    (folder for folder in (CHECKOUT, *INSTALLED) if (folder / "Snakefile").is_file()), CHECKOUT
)


class Kind(NamedTuple):
    """Where the files of a kind of thing are, and how the configuration spells their names."""

    folder: str
    suffix: str = ".py"
    hyphens: bool = False


KINDS = {
    "raw form": Kind("raw/forms"),
    "skip rule": Kind("sessions/sql/skip_rules", ".sql"),
    "split": Kind("sessions/sql/splits", ".sql"),
    "model": Kind("models", hyphens=True),
    "way": Kind("training/ways", hyphens=True),
    "world": Kind("simulation/worlds"),
    "claim": Kind("evaluation/claims"),
    "table": Kind("report/tables"),
    "figure": Kind("report/figures"),
}
_PLACEHOLDER = re.compile(r"\$([a-z_]+)")
_BOUND = re.compile(r"^-- \$([a-z_]+) \(above (\S+)\)", re.MULTILINE)
_REMARK = re.compile(r"^-- ([a-z_]+): (\S+)$", re.MULTILINE)
_METRIC = re.compile(r'^@?metric\("([a-z0-9_]+)"\)', re.MULTILINE)


def names(kind: str) -> list[str]:
    """The names of all things of a kind, sorted, without importing them."""
    folder, suffix, hyphens = KINDS[kind]
    stems = sorted(path.stem for path in (LIBRARY / folder).glob(f"*{suffix}"))
    return [stem.replace("_", "-") if hyphens else stem for stem in stems if stem != "__init__"]


def file(kind: str, name: str) -> Path:
    """The file of a thing; raises UserError for a name that has none."""
    known = names(kind)
    if name not in known:
        raise UserError(f"unknown {kind} '{name}'; the {kind}s are {', '.join(known)}")
    folder, suffix, hyphens = KINDS[kind]
    return LIBRARY / folder / f"{name.replace('-', '_') if hyphens else name}{suffix}"


def find(kind: str, name: str) -> ModuleType:
    """The module of a thing, imported; raises UserError for a name that has no file."""
    parts = file(kind, name).relative_to(LIBRARY.parent).with_suffix("").parts
    return importlib.import_module(".".join(parts))


def find_model(model: str) -> type:
    """The class of a model; raises UserError for an unknown one."""
    return find("model", model).MODEL


@cache
def declared(kind: str, name: str) -> dict[str, Any]:
    """The literals in capitals at the top of a thing's file by name, and its docstring as
    ``caption``.
    """
    tree = ast.parse(file(kind, name).read_text(encoding="utf-8"))
    literals: dict[str, Any] = {"caption": ast.get_docstring(tree) or ""}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Name) and target.id.isupper():
            try:
                literals[target.id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # not a literal: only the module itself uses it
    return literals


def reads_labels(way: str | None) -> bool:
    """Whether a way to use skips reads labels; some are another loss only."""
    return way is not None and declared("way", way).get("LABELS", True)


def uses_labels(settings: dict[str, Any]) -> bool:
    """Whether a model of these settings sees labels of skips: by its way, in its targets, or in how
    it counts plays.
    """
    return (
        reads_labels(settings.get("way"))
        or settings.get("targets", "next") != "next"
        or settings.get("skips", "preferred") != "preferred"
    )


def statement(kind: str, name: str) -> str:
    """The SQL of a thing that is an SQL file, without its comments."""
    lines = file(kind, name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line.split("--")[0] for line in lines)


def parameters(kind: str, name: str) -> set[str]:
    """The parameters of a thing that is an SQL file: its ``$placeholders``."""
    return set(_PLACEHOLDER.findall(statement(kind, name)))


def lower_bounds(kind: str, name: str) -> dict[str, float]:
    """By parameter the number that it must exceed, from comments ``-- $seconds (above 0): …``."""
    text = file(kind, name).read_text(encoding="utf-8")
    return {parameter: float(low) for parameter, low in _BOUND.findall(text)}


def remarks(kind: str, name: str) -> dict[str, str]:
    """What a thing that is an SQL file says in comments ``-- name: value`` for rules beside it."""
    return dict(_REMARK.findall(file(kind, name).read_text(encoding="utf-8")))


def derives_skips(rule: str) -> bool:
    """Whether a skip rule derives skips from the times of the plays: its SQL reads their gaps."""
    sql = statement("skip rule", rule).replace("exclude (gap)", "")
    return bool(re.search(r"\bgap\b", sql))


def reads_lengths(rule: str) -> bool:
    """Whether a skip rule reads the lengths of tracks: its SQL names the table."""
    return bool(re.search(r"\blengths\b", statement("skip rule", rule)))


def rule_parameters(name: str) -> set[str]:
    """The parameters of a skip rule: those of its SQL and of the lengths that it reads."""
    return parameters("skip rule", name) | ({"min_support"} if reads_lengths(name) else set())


@cache
def metrics() -> list[str]:
    """The names of all metrics: the functions of ``ranking/metrics.py`` that are marked as one."""
    return _METRIC.findall((LIBRARY / "ranking/metrics.py").read_text(encoding="utf-8"))
