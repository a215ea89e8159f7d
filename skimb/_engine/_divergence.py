"""Errors of a training that diverges."""

__all__ = ["DivergenceError", "diverged", "ended_diverged"]

#: What to do about a training that diverges.
REMEDY = "Lower `lr`, keep `max_grad_norm`, or look for extreme values in X."


def diverged(prefix, epoch, loss):
    """Return the error of a training whose loss is no number any more; epochs count from 1."""
    return DivergenceError(
        f"Training diverged: the {prefix} loss of epoch {epoch} is {loss}. {REMEDY}"
    )


def ended_diverged(found):
    """Return the error of a training whose last step diverged, after its loss was looked at."""
    return DivergenceError(f"Training diverged: after the last step, {found}. {REMEDY}")


class DivergenceError(ValueError):
    """Raised where a training ends in values that are no numbers any more."""
