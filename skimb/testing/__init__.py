"""Public contracts: checks that an estimator, a loss or a resampler of your own works with skimb.

Importing this package does not import torch; only `check_loss` needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from skimb.testing._image_estimators import (
    check_image_estimator,
    image_estimator_checks,
    parametrize_with_image_checks,
)
from skimb.testing._resamplers import check_resampler

__all__ = [
    "check_image_estimator",
    "check_loss",
    "check_resampler",
    "image_estimator_checks",
    "parametrize_with_image_checks",
]


if TYPE_CHECKING:
    from skimb.testing._losses import check_loss


def __getattr__(name: str) -> Any:
    if name == "check_loss":
        return importlib.import_module("skimb.testing._losses").check_loss
    raise AttributeError(f"module 'skimb.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
