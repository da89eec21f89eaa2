"""The library files that a module reaches: what the numbers of a job may depend on.

Snakemake does not see imports, so rules have these files as input, and a changed loss retrains.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from skipwise.core.registry import LIBRARY

# Methods of sessions.steps.Steps that take the name of an SQL statement.
_RUNS_SQL = ("table", "query", "row")
_FILE_NAME = re.compile(r"[a-z_]+(\.[a-z]+)+")


def closure(*files: Path) -> list[Path]:
    """``files`` and all library files that they reach, sorted.

    A module reaches the modules that it imports, inside functions too but not for type checkers,
    and the SQL statements and templates that it names.  ``core/`` is left out: it holds names,
    messages and file formats, and no number depends on it, but for the grammar of conditions.
    """
    reached: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _reached(path) if path.suffix == ".py" else ()
    core = LIBRARY / "core"
    return sorted(
        path for path in reached if core not in path.parents or path == core / "conditions.py"
    )


def modules(path: Path) -> set[Path]:
    """The files of the library's modules that a module imports."""
    names = (name for node in _nodes(path) for name in _imported(node))
    return {found for name in names if (found := _module_file(name))}


@cache
def _reached(path: Path) -> frozenset[Path]:
    named = {
        file for node in _nodes(path) if isinstance(node, ast.Call) for file in _files(node, path)
    }
    return frozenset(modules(path) | {file for file in named if file.is_file()})


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a module except for those that only a type checker reads."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        test = node.test if isinstance(node, ast.If) else None
        if "TYPE_CHECKING" not in (getattr(test, "id", ""), getattr(test, "attr", "")):
            found.append(node)
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


def _imported(node: ast.AST) -> Iterator[str]:
    """Dotted names that an import statement may stand for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_file(name: str) -> Path | None:
    """The file of ``skipwise.ranking.metrics``, say; None for a name that is no such module."""
    package, *parts = name.split(".")
    path = LIBRARY.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next(
        (file for file in files if package == "skipwise" and parts and file.is_file()), None
    )


def _files(call: ast.Call, path: Path) -> Iterator[Path]:
    """Paths that the literal arguments of a call may name: SQL statements, files next to it."""
    runs_sql = isinstance(call.func, ast.Attribute) and call.func.attr in _RUNS_SQL
    for text in (arg.value for arg in call.args if isinstance(arg, ast.Constant)):
        if isinstance(text, str) and runs_sql:
            yield LIBRARY / "sessions" / "sql" / f"{text}.sql"
        elif isinstance(text, str) and _FILE_NAME.fullmatch(text):
            yield path.with_name(text)
