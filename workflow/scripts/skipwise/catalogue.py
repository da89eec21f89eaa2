"""The tracks of a data set: ids and keys."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from skipwise.artifacts import read_artifact
from skipwise.errors import UserError


class Catalogue:
    """The tracks that a model knows: track_id is the place in ``keys``, from 1."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.keys = read_artifact("tracks", path, ["track_key"])["track_key"].combine_chunks()

    def __len__(self) -> int:
        return len(self.keys)

    def ids(self, keys: pl.Series) -> np.ndarray:
        """(P,) int32 ids of track keys, 0 for a key that is not there."""
        found = pc.index_in(self.keys, value_set=pa.array(keys.unique(maintain_order=True), pa.string()))
        places = np.flatnonzero(found.is_valid())
        known = pl.DataFrame(
            {"key": self.keys.take(pa.array(places)).to_pylist(), "id": places + 1}, schema={"key": pl.String, "id": pl.Int32}
        )
        return keys.to_frame("key").join(known, on="key", how="left", maintain_order="left")["id"].fill_null(0).to_numpy()


def tracks_beside(path: str | Path) -> Path:
    """The ``tracks.parquet`` of the data set that a path under ``results/models``, ``splits`` or ``ranks`` belongs to.

    Raises UserError where it is not where the workflow puts it.
    """
    path = Path(path)
    for folder in path.resolve().parents:
        if folder.name.startswith("dataset="):
            tracks = folder.parents[1] / "sessions" / folder.name / "tracks.parquet"
            if tracks.is_file():
                return tracks
    raise UserError(f"the tracks.parquet that belongs to {path} is not where the workflow puts it; name it with --tracks")
