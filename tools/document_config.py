"""Writes config/README.md, the reference of all configuration keys, from the schema (make docs)."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
HEAD = """# Configuration

`make docs` makes this page from `workflow/schemas/config.schema.yaml`; a test checks both.

`config/config.yaml` is the default run and `config/datasets.yaml` the registry of data sets. An
overlay changes the keys that it names and no others:
`snakemake --cores 2 --configfile config/real.yaml`. Several overlays are merged from left to right.
A key that is not listed here is an error.

| overlay | run |
|---|---|
| `config/quick.yaml` | the run of `make tables`: one seed and one neural model, minutes |
| `config/control.yaml` | simulated listeners whose skips mean something, and some who flip a coin |
| `config/methods.yaml` | SASRec with every way to use skips and its control (`make answer`) |
| `config/answer_worlds.yaml` | on top of `methods.yaml`: the simulated worlds |
| `config/answer_encoders.yaml` | on top of `methods.yaml`: GRU4Rec and Caser with a few ways |
| `config/answer_sizes.yaml` | labels in the input of SASRec with few sessions and with more |
| `config/answer_sparse.yaml` | SASRec with a few ways in the simulated world of 100,000 tracks |
| `config/answer_audit.yaml` | on top of `audit.yaml`: the papers' term as written and as released |
| `config/answer_splits.yaml` | models in both splits and among all sets of candidates |
| `config/audit.yaml` | the term by the papers' text and by their code, switch by switch |
| `config/null.yaml` | twenty draws of listeners whose skips mean nothing |
| `config/tune.yaml` | the searches behind the settings in `resources/tuned` |
| `config/worlds.yaml` | SASRec in simulated worlds whose truth is known, and the headroom there |
| `config/drift.yaml` | on top of `worlds.yaml`: the world drift in both splits |
| `config/real.yaml` | MovieLens 100K, real explicit negatives, five seeds |
| `config/open.yaml` | MovieLens 100K, LFM-1K and Yambda 50M, downloaded; three seeds |
| `config/paper.yaml` | the papers' data sets and sizes, for those who have the data |

| key | default | meaning |
|---|---|---|
"""


def rows(schema: dict, prefix: str = "") -> list[str]:
    """A table row for every key below ``schema``; ``<name>`` stands for a name that the user
    chooses.
    """
    lines = []
    for key, entry in schema.get("properties", {}).items():
        lines += _rows_of(entry, f"{prefix}{key}")
    if isinstance(schema.get("additionalProperties"), dict) and prefix:
        lines += rows(schema["additionalProperties"], f"{prefix}<name>.")
    return lines


def _in_one_line(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.splitlines()[0].replace("|", "\\|")


def _rows_of(entry: dict, key: str) -> list[str]:
    default = entry.get("default", "")
    shown = "" if default in ("", {}) else f"`{_in_one_line(default)}`"
    text = " ".join(entry.get("description", "").split()).replace("|", "\\|")
    allowed = (
        f" One of {', '.join(f'`{value}`' for value in entry['enum'])}." if "enum" in entry else ""
    )
    line = f"| `{key}` | {shown} | {text}{allowed} |"
    nested = entry["items"] if entry.get("items", {}).get("properties") else entry
    return [line, *rows(nested, f"{key}[]." if nested is not entry else f"{key}.")]


def reference() -> str:
    """The text of config/README.md."""
    schema = yaml.safe_load(
        (ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    )
    return HEAD + "\n".join(rows(schema)) + "\n"


if __name__ == "__main__":
    (ROOT / "config/README.md").write_text(reference(), encoding="utf-8")
