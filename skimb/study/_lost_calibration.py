"""Strategies that replace the last layer of a network lose what calibrates it."""

from skimb._messages import counted, shown
from skimb._warnings import warn
from skimb.study._classification_strategies import NEW_LAYER

__all__ = ["check_calibration"]


def check_calibration(estimator, strategies):
    """Refuse a calibration that a strategy cannot have, and tell of those that lose it.

    Parameters
    ----------
    estimator : estimator
        The network of all strategies.
    strategies : list of (label, str)
        What each strategy is called, and its name.

    Raises
    ------
    ValueError
        If the network is calibrated, and ``"autobalance"`` is among the strategies, which would
        refuse it after others were trained.
    """
    calibration = getattr(estimator, "calibration", None)
    if calibration is None:
        return
    for label, name in strategies:
        if name == "autobalance":
            raise ValueError(
                f"`estimator` has calibration={calibration!r}, which strategy {label!r} would lose "
                "with the last layer that it replaces. Leave it None, or leave the strategy out."
            )
    lost = [label for label, name in strategies if name in NEW_LAYER]
    if lost:
        replaces = "replaces" if len(lost) == 1 else "replace"
        warn(
            f"`estimator` has calibration={calibration!r}, and "
            f"{counted(len(lost), 'strategy', 'strategies')} {replaces} the layer that is "
            f"calibrated: the probabilities of {shown(lost)} are not calibrated. "
            "BiasCorrectedCalibrator calibrates any classifier."
        )
