"""The check of overlays without a run: Snakemake does not say where a file is not valid YAML."""

from pathlib import Path

import yaml

from skipwise.core.config import check_config, take_replacements
from skipwise.core.errors import UserError
from skipwise.core.registry import PROJECT


def check_overlays(paths: list[Path]) -> list[str]:
    """The data sets that a run with these overlays has.

    Raises UserError for the first mistake: file and line of what is not YAML, else the key.
    """
    base = [PROJECT / "config" / name for name in ("config.yaml", "datasets.yaml")]
    config: dict = {}
    for path in (*base, *paths):
        _merge(config, read_yaml(path))
    take_replacements(config, read_yaml(base[1]))
    check_config(config, read_yaml(PROJECT / "workflow/schemas/config.schema.yaml"))
    return config["datasets"]


def read_yaml(path: Path) -> dict:
    """The keys of a file; raises UserError that names file and line if it is not YAML."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({error.problem}); correct it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: not valid YAML ({said}); write it in UTF-8") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a configuration has keys at top level, such as `datasets: […]`")
    return found


def _merge(config: dict, overlay: dict) -> None:
    """Change the keys that an overlay names and no others, as Snakemake does."""
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value
