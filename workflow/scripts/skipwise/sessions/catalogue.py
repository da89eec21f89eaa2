"""The tracks of a data set: ids and keys."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from skipwise.core.artifacts import read_artifact


class Catalogue:
    """The tracks that a model knows: track_id is the place in ``keys``, from 1."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.keys = read_artifact("tracks", path, ["track_key"])["track_key"].combine_chunks()

    def __len__(self) -> int:
        return len(self.keys)

    def ids(self, keys: pl.Series) -> np.ndarray:
        """(P,) int32 ids of track keys, 0 for a key that is not there."""
        found = pc.index_in(
            self.keys, value_set=pa.array(keys.unique(maintain_order=True), pa.string())
        )
        places = np.flatnonzero(found.is_valid())
        known = pl.DataFrame(
            {"key": self.keys.take(pa.array(places)).to_pylist(), "id": places + 1},
            schema={"key": pl.String, "id": pl.Int32},
        )
        return (
            keys.to_frame("key")
            .join(known, on="key", how="left", maintain_order="left")["id"]
            .fill_null(0)
            .to_numpy()
        )
