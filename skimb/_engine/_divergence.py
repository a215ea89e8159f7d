"""Errors of a training that diverges."""

__all__ = ["DivergenceError", "diverged", "ended_diverged"]

#: The advice for a training that diverges.
ADVICE = "Lower `lr`, keep `max_grad_norm`, or look for extreme values in X."


def diverged(prefix, epoch, loss):
    """Return the error for a training whose loss is not finite; epochs count from 1."""
    return DivergenceError(
        f"Training diverged: the {prefix} loss of epoch {epoch} is {loss}. {ADVICE}"
    )


def ended_diverged(found):
    """Return the error for a training whose last step diverged, after its loss was checked."""
    return DivergenceError(f"Training diverged: after the last step, {found}. {ADVICE}")


class DivergenceError(ValueError):
    """Raised where a training ends with values that are not finite."""
