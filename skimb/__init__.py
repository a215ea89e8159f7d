"""Imbalanced images in scikit-learn.

Importing ``skimb`` imports none of its modules: each is loaded on first use, so that the modules
without torch (resamplers, metrics, data sets) stay quick to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

__all__ = [
    "__version__",
    "class_weight",
    "combine",
    "datasets",
    "ensemble",
    "inspection",
    "losses",
    "metrics",
    "model_selection",
    "neural_network",
    "over_sampling",
    "relevance",
    "study",
    "testing",
    "under_sampling",
]


if TYPE_CHECKING:
    from skimb import (
        class_weight,
        combine,
        datasets,
        ensemble,
        inspection,
        losses,
        metrics,
        model_selection,
        neural_network,
        over_sampling,
        relevance,
        study,
        testing,
        under_sampling,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"skimb.{name}")
    raise AttributeError(f"module 'skimb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
