"""Models: one file each.  A model is looked up here by the name of its file, ``-`` read as ``_``.

A model file ends with ``MODEL = <class>``, a subclass of :class:`skipwise.models.base.Recommender`; a neural one gives an
encoder to :class:`skipwise.models.neural.NeuralRecommender` and gets embedding, head, losses and training from there.
"""

import importlib
import pkgutil
from pathlib import Path

from skipwise.errors import UserError

_NOT_MODELS = {"base", "neural", "transformer"}


def available() -> list[str]:
    """Names of all models, without importing them."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name.replace("_", "-") for module in modules if module.name not in _NOT_MODELS)


def module_name(model: str) -> str:
    """The module of a model; raises UserError for an unknown one."""
    if model not in available():
        raise UserError(f"unknown model '{model}'; the models are {', '.join(available())}")
    return model.replace("-", "_")


def find_model(model: str) -> type:
    """The class of a model; raises UserError for an unknown one."""
    return importlib.import_module(f"skipwise.models.{module_name(model)}").MODEL
