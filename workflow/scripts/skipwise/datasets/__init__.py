"""Raw forms: one module each, with ``read_events(path, entry)`` that gives the plays of one raw file.

A data set of the registry (``config/datasets.yaml``) names its form; everything after ``events`` is the same for all.
"""

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa

from skipwise.artifacts import write_artifact, write_json
from skipwise.columns import ARTIFACTS
from skipwise.errors import UserError
from skipwise.log import logger

FORMS = ("mssd", "lfm1k", "lfm2b", "movielens", "events")
_MODULE = {"lfm1k": "lastfm", "lfm2b": "lastfm"}


def form_module(form: str):
    """Import the module that reads and, where the project simulates it, writes a raw form."""
    if form not in FORMS:
        raise UserError(f"unknown raw form '{form}'; the forms are {', '.join(FORMS)}")
    return importlib.import_module(f"skipwise.datasets.{_MODULE.get(form, form)}")


def extract_events(raw: str | Path, events: str | Path, source: str | Path, *, entry: dict) -> None:
    """Read one raw file and write its plays as an ``events`` artifact, and where they come from as ``source`` json.

    ``entry`` is the data set's entry in the registry.  Columns that the form does not have become null.  Raises UserError
    where the file is not what the entry says.
    """
    size = Path(raw).stat().st_size
    with open(raw, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    read: Callable[[Path, dict], pl.DataFrame] = form_module(entry["form"]).read_events
    frame = read(Path(raw), entry)
    if frame.is_empty():
        raise UserError(f"{raw} holds no plays; get the file again or take it out of `paths`")
    table = frame.to_arrow()
    schema = ARTIFACTS["events"].schema
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field.name, pa.nulls(table.num_rows, field.type))
    write_artifact(table, "events", events)
    write_json({"file": Path(raw).name, "bytes": size, "sha256": sha256, "plays": frame.height}, source)
    logger.info("%s: %d plays of %d sessions or users", raw, frame.height, frame["session_key"].n_unique())
