"""The aim that AutoBalance minimises on held-out samples: a smooth form, and its measure."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from skimb._cost_matrix import read_cost_matrix

__all__ = ["AIMS", "Aim", "BalancedAim", "CallableAim", "CostAim", "WorstAim", "build_aim"]

#: The power mean of the losses of the classes that stands for the largest.
POWER = 8


class Aim:
    """Template of an aim: smaller is better.

    A subclass has `surrogate`, which is differentiable, and `measure`, which is what counts. Its
    `decisions` is nearer to the measure: losses of samples that are far from a decision are
    bounded, so that they do not outweigh those that are near. It has plateaus, and needs a start.
    """

    #: The name in messages and results.
    name = "aim"

    def surrogate(self, logits, target):
        """Return a smooth aim.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
            The network decides for the class of the largest.
        target : Tensor of shape (n,), int64
            The position of the class of each sample.

        Returns
        -------
        Tensor of shape ()
        """
        raise NotImplementedError

    def decisions(self, logits, target):
        """Return a smooth form of the measure, where the softmax is the fraction of each decision.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        target : Tensor of shape (n,), int64

        Returns
        -------
        Tensor of shape ()
        """
        return self.surrogate(logits, target)

    def smooth(self, logits, target):
        """Return the smooth aim of arrays.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
        target : ndarray of int of shape (n,)

        Returns
        -------
        float
        """
        values = [
            torch.as_tensor(logits, dtype=torch.float64, device="cpu"),
            torch.as_tensor(target, dtype=torch.int64, device="cpu"),
        ]
        with torch.no_grad():
            return float(self.surrogate(*values))

    def measure(self, logits, target, weight=None):
        """Return the real measure of the decisions.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
        target : ndarray of int of shape (n,)
        weight : ndarray of shape (n,), default=None
            How often each sample counts, as in a bootstrap; None: once.

        Returns
        -------
        float
        """
        raise NotImplementedError


def _class_means(values, target, n_classes):
    """Return the mean of each class that has samples; by a product, whose order is fixed."""
    members = F.one_hot(target, n_classes).to(values)
    counts = members.sum(dim=0)
    means = (values @ members) / counts.clamp_min(1)
    return means[counts > 0]


def _power_mean(values):
    """Return a smooth maximum."""
    # Divided by the largest, so that powers neither overflow nor vanish; as a constant, it changes
    # neither the value nor the gradient.
    most = values.detach().max().clamp_min(torch.finfo(values.dtype).tiny)
    # The mean is at least 1 / n_classes, unless all are zero, where a root has no gradient.
    return most * (((values / most) ** POWER).mean() + 1e-30) ** (1 / POWER)


def _smooth_errors(logits, target):
    """Return for each class the mean fraction of wrong decisions drawn from the softmax."""
    proba = torch.softmax(logits, dim=1)
    right = proba.gather(1, target[:, None])[:, 0]
    return _class_means(1 - right, target, logits.shape[1])


def _class_errors(logits, target, weight):
    """Return the error of each class that has samples."""
    n_classes = logits.shape[1]
    weight = np.ones(len(target)) if weight is None else weight
    wrong = weight * (logits.argmax(axis=1) != target)
    counts = np.bincount(target, weights=weight, minlength=n_classes)
    errors = np.bincount(target, weights=wrong, minlength=n_classes)
    present = counts > 0
    return errors[present] / counts[present]


class BalancedAim(Aim):
    """Balanced error: the mean of the errors of the classes. Smooth: the balanced cross-entropy."""

    name = "balanced"

    def surrogate(self, logits, target):
        """Return the mean over classes of their mean cross-entropy."""
        loss = F.cross_entropy(logits, target, reduction="none")
        return _class_means(loss, target, logits.shape[1]).mean()

    def decisions(self, logits, target):
        """Return the mean over classes of their smooth error."""
        return _smooth_errors(logits, target).mean()

    def measure(self, logits, target, weight=None):
        """Return the balanced error."""
        return float(_class_errors(logits, target, weight).mean())


class WorstAim(Aim):
    """The largest error of a class. Smooth: a power mean of the cross-entropies of the classes."""

    name = "worst"

    def surrogate(self, logits, target):
        """Return a smooth maximum over classes of their mean cross-entropy."""
        loss = F.cross_entropy(logits, target, reduction="none")
        means = _class_means(loss, target, logits.shape[1])
        return _power_mean(means)

    def decisions(self, logits, target):
        """Return a smooth maximum over classes of their smooth error."""
        return _power_mean(_smooth_errors(logits, target))

    def measure(self, logits, target, weight=None):
        """Return the largest error of a class."""
        return float(_class_errors(logits, target, weight).max())


class CostAim(Aim):
    """The mean cost of the decisions. Smooth: the mean cost of decisions drawn from the softmax.

    Parameters
    ----------
    cost_matrix : ndarray of shape (n_classes, n_classes)
        The cost of each decision (column) for each true class (row).
    """

    name = "cost"

    def __init__(self, cost_matrix):
        self.cost_matrix = np.asarray(cost_matrix, dtype=np.float64)

    def surrogate(self, logits, target):
        """Return the mean cost where the softmax is the fraction of each decision."""
        costs = torch.as_tensor(self.cost_matrix, dtype=logits.dtype, device=logits.device)
        return (torch.softmax(logits, dim=1) * costs[target]).sum(dim=1).mean()

    def measure(self, logits, target, weight=None):
        """Return the mean cost."""
        costs = self.cost_matrix[target, logits.argmax(axis=1)]
        return float(np.average(costs, weights=weight))


class CallableAim(Aim):
    """An aim of the user, for which the smooth and the real measure are the same.

    Parameters
    ----------
    function : callable
        ``function(logits, target)`` returns a scalar tensor, differentiable; smaller is better.
    """

    def __init__(self, function):
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def surrogate(self, logits, target):
        """Return the value of the function."""
        value = self.function(logits, target)
        if not (isinstance(value, torch.Tensor) and value.ndim == 0):
            shape = tuple(value.shape) if hasattr(value, "shape") else type(value).__name__
            raise ValueError(
                "A callable `aim` gets logits of shape (n, n_classes) and class positions of shape "
                f"(n,), and returns a tensor without dimensions. {self.name} returned {shape}."
            )
        return value

    def measure(self, logits, target, weight=None):
        """Return the value of the function; a weight repeats samples."""
        if weight is not None:
            rows = np.repeat(np.arange(len(target)), np.asarray(weight, dtype=np.intp))
            logits, target = logits[rows], target[rows]
        return self.smooth(logits, target)


#: Aims by name.
AIMS = {"balanced": BalancedAim, "worst": WorstAim}


def build_aim(aim: Any, classes):
    """Return the aim that a parameter stands for.

    Parameters
    ----------
    aim : {"balanced", "worst"}, callable, or cost matrix
        A cost matrix is read by `read_cost_matrix`: an array in the order of `classes`, or a frame
        with their labels.
    classes : ndarray of shape (n_classes,)
        All labels, sorted.

    Returns
    -------
    Aim

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._aims import build_aim
    >>> aim = build_aim("worst", np.array(["cat", "dog"]))
    >>> aim.measure(np.array([[2.0, 1], [2, 1], [1, 2]]), np.array([0, 1, 1]))
    0.5
    """
    if isinstance(aim, Aim):
        return aim
    if isinstance(aim, str):
        if aim not in AIMS:
            raise ValueError(
                f"`aim` must be one of {list(AIMS)}, a cost matrix, or a callable of logits and "
                f"class positions. Got {aim!r}."
            )
        return AIMS[aim]()
    if callable(aim):
        return CallableAim(aim)
    try:
        return CostAim(read_cost_matrix(aim, classes))
    except ValueError as error:
        message = str(error).replace("`cost_matrix`", "`aim`")
    raise ValueError(message)
