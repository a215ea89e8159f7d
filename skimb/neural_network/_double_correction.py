"""The warning that is given where two methods correct for the same imbalance."""

from skimb._warnings import warn

__all__ = ["warn_of_double_correction"]


def warn_of_double_correction(parameters, whole, *, loss, effect):
    """Warn where several parameters each correct in full for the same imbalance.

    Parameters
    ----------
    parameters : dict
        The parameters of the estimator by name, `loss` among them.
    whole : dict
        By the name of a parameter, the values with which it corrects in full; any callable does.
    loss : callable
        The loss as an object. If it adjusts the prior, any other correction is too much. Otherwise
        two parameters may each correct in part, as two square roots do.
    effect : str
        The effect of each parameter, and how to fix it.
    """
    adjusts = getattr(loss, "adjusts_prior", False)
    corrections = ["loss"] * adjusts
    for name, values in whole.items():
        value = parameters[name]
        if value is not None and (adjusts or callable(value) or value in values):
            corrections.append(name)
    if len(corrections) > 1:
        named = " and ".join(f"{name}={parameters[name]!r}" for name in corrections)
        warn(f"{named} each {effect}")
