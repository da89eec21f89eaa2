"""The library files that a module reaches: what a job's numbers may depend on.

Snakemake does not see imports, so rules have these files as input, and a changed loss retrains.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from skipwise.core.registry import LIBRARY

# Methods of sessions.steps.Steps whose literal argument is the name of an SQL statement.
_RUNS_SQL = ("table", "query", "row")
_FILE_NAME = re.compile(r"[a-z_]+(\.[a-z]+)+")


def closure(*files: Path) -> list[Path]:
    """``files`` and all that they reach, sorted: modules by their imports, SQL statements and
    templates by their names.

    Imports inside functions count, those for type checkers do not.  ``core/`` is left out: it holds
    names, messages and file formats, and no number depends on it.
    """
    reached: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _named(path) if path.suffix == ".py" else ()
    return sorted(path for path in reached if LIBRARY / "core" not in path.parents)


def module_file(name: str) -> Path | None:
    """The file of a module of the library such as ``skipwise.ranking.metrics``, None if it is
    something else.
    """
    if not name.startswith("skipwise."):
        return None
    path = LIBRARY.joinpath(*name.split(".")[1:]).with_suffix(".py")
    return path if path.is_file() else None


def imported(path: Path, *, at_start: bool = False) -> Iterator[str]:
    """The dotted names that a module imports; with ``at_start`` only those of its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if not (at_start and isinstance(node, ast.FunctionDef)):
            waiting += ast.iter_child_nodes(node)


@cache
def _named(path: Path) -> tuple[Path, ...]:
    modules = [found for name in imported(path) if (found := module_file(name))]
    files = []
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            runs_sql = isinstance(call.func, ast.Attribute) and call.func.attr in _RUNS_SQL
            for text in (arg.value for arg in call.args if isinstance(arg, ast.Constant)):
                if runs_sql:
                    files.append(LIBRARY / "sessions" / "sql" / f"{text}.sql")
                elif isinstance(text, str) and _FILE_NAME.fullmatch(text):
                    files.append(path.with_name(text))
    return (*modules, *(found for found in files if found.is_file()))
