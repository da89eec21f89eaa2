"""The check of overlays without a run: all mistakes, each with file and line."""

from pathlib import Path

import yaml

from skipwise.core.errors import UserError
from skipwise.core.mistakes import mistakes
from skipwise.core.reading import read_yaml, take_replacements, unshared
from skipwise.core.registry import PROJECT


def check_overlays(paths: list[Path]) -> list[str]:
    """The data sets that a run with these overlays has.

    Raises UserError with a line for each mistake: file and line of what is not YAML, or of the
    entry that is wrong, and its key.
    """
    base = [PROJECT / "config" / name for name in ("config.yaml", "datasets.yaml")]
    files = [read_yaml(path) for path in (*base, *paths)]
    config: dict = {}
    for file in files:
        _merge(config, unshared(file))
    take_replacements(config, *files)
    schema = read_yaml(PROJECT / "workflow/schemas/config.schema.yaml")
    if found := mistakes(config, schema):
        lines = (f"{_place(key, wrong, paths)}, {key}: {wrong}" for key, wrong in found)
        raise UserError("\n".join(lines))
    return config["datasets"]


def _place(key: str, wrong: str, paths: list[Path]) -> str:
    """File and line of the overlay that gives a key, the last if several do; without its own line
    that of the entry around it.  ``configuration`` if no overlay has any of it.
    """
    # An unknown key is named in the words, and the key is that of the entry around it.
    inner = wrong.split("'")[1:2] if wrong.startswith("unknown key") else []
    parts = [part for part in ".".join([key, *inner]).split(".") if part != "top level"]
    best, place = 0, "configuration"
    for path in paths:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        depth, line = _deepest(node, parts)
        if depth and depth >= best:
            best, place = depth, f"{path}, line {line}"
    return place


def _deepest(node: yaml.Node | None, parts: list[str]) -> tuple[int, int]:
    """How many of the ``parts`` of a key a node has, and the line of the last of them."""
    if isinstance(node, yaml.SequenceNode) and parts and parts[0].isdigit():
        inner = node.value[int(parts[0])] if int(parts[0]) < len(node.value) else None
        if inner is not None:
            depth, line = _deepest(inner, parts[1:])
            return 1 + depth, line if depth else inner.start_mark.line + 1
    found = (0, 0)
    for name, inner in node.value if isinstance(node, yaml.MappingNode) else ():
        own = str(name.value).split(".")  # names of data sets and models may have dots
        if parts[: len(own)] == own:
            depth, line = _deepest(inner, parts[len(own) :])
            found = max(found, (len(own) + depth, line if depth else name.start_mark.line + 1))
    return found


def _merge(config: dict, overlay: dict) -> None:
    """Change the keys that an overlay names and no others, as Snakemake does."""
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value
