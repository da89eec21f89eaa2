"""The folder that a training leaves, and the model in it."""

from pathlib import Path

from safetensors.torch import load_file

from skipwise.core.artifacts import read_json
from skipwise.core.registry import find_model
from skipwise.recommender import Recommender

WEIGHTS, HISTORY, RUN = "model.safetensors", "history.parquet", "run.json"


def load_model(folder: str | Path) -> Recommender:
    """The model that :func:`train_model` left in ``folder``, ready to score."""
    folder = Path(folder)
    run = read_json(folder / RUN)
    model = find_model(run["recommender"])(run["n_tracks"], run["settings"])
    model.candidates = run["candidates"]
    model.load_state(load_file(folder / WEIGHTS))
    return model
