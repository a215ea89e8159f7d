r"""The class prior of a training, whatever its loss, weights and samplers.

The probabilities of a network hold for the class prior of its training, the *effective prior*: the
fraction of each class in the batches, weights included. They are converted to another prior by one
multiplication and one renormalisation:

.. math:: P(y \mid x) \propto \mathrm{softmax}(z)_y \; \pi'_y / \pi^{eff}_y
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from scipy.special import log_softmax

from skimb._messages import encoding_hint, shown

__all__ = [
    "UnknownPriorError",
    "effective_prior",
    "raising_unknown_prior",
    "resolve_target_prior",
    "shift_log_posterior",
    "starting_prior",
]

P = ParamSpec("P")
R = TypeVar("R")


class UnknownPriorError(ValueError, AttributeError):
    """A class prior is no attribute, because a parameter that was set after `fit` is wrong."""


def raising_unknown_prior(method: Callable[P, R]) -> Callable[P, R]:
    """Let a property that is a class prior raise an `AttributeError` where it is not known.

    `dir`, `hasattr` and the diagrams of scikit-learn read all properties. They expect an
    `AttributeError` from one that is not there, and pass on any other error.

    Parameters
    ----------
    method : callable
        It may raise a ValueError, which becomes an `UnknownPriorError` with the same text.

    Returns
    -------
    callable
    """

    @wraps(method)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except AttributeError:
            raise
        except ValueError as error:
            raise UnknownPriorError(str(error)) from error

    return read


def effective_prior(fractions, target, weight):
    """Return the class prior of the weighted batches of a training.

    Parameters
    ----------
    fractions : ndarray of shape (n_classes,)
        Fraction of each class in the batches.
    target : ndarray of shape (n,)
        Class indices of the training samples.
    weight : ndarray of shape (n,)
        Sample weights.

    Returns
    -------
    ndarray of shape (n_classes,)
        Fractions that sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._class_prior import effective_prior
    >>> effective_prior(np.array([0.75, 0.25]), np.array([0, 0, 0, 1]), np.array([1, 1, 1, 3.0]))
    array([0.5, 0.5])
    """
    # A part of the samples may lack a class.
    counts = np.maximum(np.bincount(target, minlength=len(fractions)), 1)
    mean_weight = np.bincount(target, weights=weight, minlength=len(fractions)) / counts
    mass = fractions * mean_weight
    return mass / mass.sum()


def starting_prior(prior, n_samples):
    """Return the class prior from which a network starts.

    A class without samples counts as one sample, as it does in losses: it may follow in a later
    `partial_fit`, and a logarithm of almost minus infinity would take thousands of steps to
    unlearn.

    Parameters
    ----------
    prior : ndarray of shape (n_classes,)
        Fraction of each class in the batches of the training, weights included.
    n_samples : int
        Number of samples of the training.

    Returns
    -------
    ndarray of shape (n_classes,)
        Positive fractions; they need not sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._class_prior import starting_prior
    >>> starting_prior(np.array([0.75, 0.25, 0.0]), 40)
    array([0.75 , 0.25 , 0.025])
    """
    return np.where(prior > 0, prior, 1 / n_samples)


def resolve_target_prior(target_prior, *, classes, train_prior=None, name="target_prior") -> Any:
    """Turn a parameter that says a class prior into one fraction per class.

    Parameters
    ----------
    target_prior : {"train", "sqrt", "uniform"}, dict or None
        As in `CNNClassifier`.
    classes : ndarray of shape (n_classes,)
        Labels.
    train_prior : ndarray of shape (n_classes,), default=None
        The prior that ``"train"`` stands for, and of which ``"sqrt"`` takes the square roots. None:
        both are refused.
    name : str, default="target_prior"
        The name of the parameter, for messages.

    Returns
    -------
    ndarray of shape (n_classes,) or None
        Positive fractions that sum to 1. None for None.

    Raises
    ------
    ValueError
        If it is none of these, or a dict lacks a label, has one that y lacks, or holds a fraction
        that is not positive.
    """
    if target_prior is None:
        return None
    # An array has no single answer to a comparison with a word.
    word = target_prior if isinstance(target_prior, str) else None
    if word == "train" and train_prior is not None:
        return train_prior
    if word == "sqrt" and train_prior is not None:
        roots = np.sqrt(train_prior)
        return roots / roots.sum()
    if word == "uniform":
        return np.full(len(classes), 1 / len(classes))
    labels = classes.tolist()
    if not isinstance(target_prior, Mapping):
        train = "" if train_prior is None else "'train', 'sqrt', "
        example = shown({label: round(1 / len(labels), 3) for label in labels})
        raise ValueError(
            f"`{name}` must be None, {train}'uniform' or a dict by label, such as {example}. "
            f"Got {shown(target_prior)}."
        )
    if set(target_prior) != set(labels):
        raise ValueError(
            f"`{name}` must give a fraction for every label and for no other. "
            f"Labels seen in y: {shown(labels)}. Got {shown(target_prior)}."
            f"{encoding_hint(labels, target_prior)}"
        )
    prior = np.array([target_prior[label] for label in labels], dtype=np.float64)
    if not np.all(np.isfinite(prior)) or np.any(prior <= 0):
        raise ValueError(f"`{name}` must hold positive fractions. Got {shown(target_prior)}.")
    return prior / prior.sum()


def shift_log_posterior(logits, *, source, target):
    """Move log-posteriors from one class prior to another.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
        Logits whose softmax is the posterior under `source`.
    source, target : ndarray of shape (n_classes,)
        Class priors.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Log-posteriors under `target`.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._class_prior import shift_log_posterior
    >>> log_p = np.log([[0.2, 0.3, 0.5]])
    >>> prior = np.array([500, 50, 5]) / 555
    >>> np.exp(shift_log_posterior(log_p, source=np.full(3, 1 / 3), target=prior)).round(4)
    array([[0.8511, 0.1277, 0.0213]])
    """
    return log_softmax(logits + np.log(target) - np.log(source), axis=1)
