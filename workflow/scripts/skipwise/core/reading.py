"""Reading a configuration: YAML files, and what a later one replaces."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from skipwise.core import registry
from skipwise.core.errors import UserError

# Keys of a data set's entry of which null is a value; any other that is null is left out.
NULLS = {"session_gap", "keep_share", "quote"}


def read_yaml(path: Path) -> dict:
    """The keys of a file; raises UserError that names file and line if it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        try:
            found = yaml.load(text, Loader=yaml.CSafeLoader)  # ten times as fast
            tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        except (AttributeError, yaml.MarkedYAMLError):
            # Not every build of PyYAML has it, and of a mistake, such as a tab, this one says more.
            found, tree = yaml.safe_load(text), yaml.compose(text)
        if twice := next(_keys_given_twice(tree), None):
            line = twice.start_mark.line + 1
            raise UserError(
                f"{path}, line {line}: the key '{twice.value}' is there twice; take one of them out"
            )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({error.problem}); correct it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: not valid YAML ({said}); write it in UTF-8") from error
    except ValueError as error:  # of a date that is not in the calendar
        raise UserError(f"{path}: a date or number cannot be ({error}); correct it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a configuration has keys at top level, such as `datasets: […]`")
    return found


def _keys_given_twice(tree: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The second one of two equal keys of a mapping: YAML would silently take the last."""
    seen, nodes = set(), [tree] if tree else []
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                nodes.append(value)
                if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                    if (key.tag, key.value) in keys:
                        yield key
                    keys.add((key.tag, key.value))


def unshared(value: Any) -> Any:
    """A copy in which what aliases of YAML share is there several times."""
    if isinstance(value, dict):
        return {key: unshared(inner) for key, inner in value.items()}
    return [*map(unshared, value)] if isinstance(value, list) else value


def take_replacements(config: dict, *files: dict) -> None:
    """Change ``config``, which Snakemake merged key by key from ``files`` and what is given
    besides, to what they say: a skip rule of another name does not keep parameters of the one
    before that it does not have, and a column or key of an entry that is null is none.
    """
    entries = config.get("registry")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict):
            continue
        if isinstance(rule := entry.get("skip_rule"), dict):
            known = rule.get("name") in registry.names("skip rule")
            wanted = registry.rule_parameters(rule["name"]) if known else set()
            wanted |= _given_with_name(rule, [_rule_of(file, name) for file in files])
            entry["skip_rule"] = {key: rule[key] for key in rule if key in wanted}
        for key in [key for key, value in entry.items() if value is None and key not in NULLS]:
            del entry[key]
        if isinstance(columns := entry.get("columns"), dict):
            entry["columns"] = {key: name for key, name in columns.items() if name is not None}


def _rule_of(file: dict, dataset: str) -> dict:
    """The skip rule that a file gives for a data set, empty if it gives none."""
    for key in ("registry", dataset, "skip_rule"):
        file = file.get(key) or {}
        if not isinstance(file, dict):
            return {}
    return file


def _given_with_name(rule: dict, files: list[dict]) -> set[str]:
    """The keys of a merged skip rule that were given with its name, or after it."""
    merged: dict = {}
    for given in files:
        merged |= given
    besides = {key: value for key, value in rule.items() if merged.get(key, ...) != value}
    name, keys = None, {"name"}
    for given in [*files, besides]:
        if given.get("name", name) != name:
            name, keys = given["name"], {"name"}
        keys |= given.keys()
    return keys
