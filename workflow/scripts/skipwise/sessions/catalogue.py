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

    def at(self, places: pl.Series) -> pl.Series:
        """The keys at places, which count from 0."""
        return pl.Series(self.keys.take(places.to_arrow()), dtype=pl.String)

    def ids(self, keys: pl.Series) -> np.ndarray:
        """(P,) int32 ids of track keys, 0 for a key that is not there."""
        # Through polars: pyarrow's way to numpy and back would import pandas, 0.3 s of an answer.
        wanted = keys.unique(maintain_order=True).to_arrow().cast(pa.string())
        places = pl.Series(pc.index_in(self.keys, value_set=wanted)).is_not_null().arg_true()
        known = pl.DataFrame(
            {"key": self.at(places), "id": places + 1}, schema={"key": pl.String, "id": pl.Int32}
        )
        return (
            keys.to_frame("key")
            .join(known, on="key", how="left", maintain_order="left")["id"]
            .fill_null(0)
            .to_numpy()
        )
