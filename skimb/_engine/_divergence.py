"""Errors of a training that diverges."""

__all__ = ["DivergenceError", "diverged", "ended_diverged"]

#: The advice for a training that diverges.
ADVICE = "Lower `lr`, keep `max_grad_norm`, or look for extreme values in X."


def diverged(prefix, epoch, loss, batch=None, gradients=""):
    """Return the error for a training whose loss is not finite.

    Parameters
    ----------
    prefix : {"train", "valid"}
        The part of the data.
    epoch : int
        Counted from 1.
    loss : float
        The loss.
    batch : int, default=None
        The first batch with such a loss, counted from 1; None: it is not known.
    gradients : str, default=""
        A sentence on the size of the gradients.

    Returns
    -------
    DivergenceError
    """
    where = "" if batch is None else f" in batch {batch}"
    found = f"the {prefix} loss of epoch {epoch} is {loss}{where}"
    return _error(found, gradients)


def ended_diverged(found, watch=None):
    """Return the error for a training whose last step diverged, after its loss was checked.

    Parameters
    ----------
    found : str
        What is not finite.
    watch : LossWatch, default=None
        The watch of the training; None: its epochs and gradients are not known.

    Returns
    -------
    DivergenceError
    """
    when = "" if watch is None else f"in epoch {watch.epoch}, "
    gradients = "" if watch is None else watch.on_gradients()
    return _error(f"after the last step, {when}{found}", gradients)


def _error(found, gradients):
    found = f"{found}. {gradients}".rstrip(". ")
    error = DivergenceError(f"Training diverged: {found}. {ADVICE}")
    error.found = found
    return error


class DivergenceError(ValueError):
    """Raised where a training ends with values that are not finite."""

    #: What was found, without advice.
    found = ""
