"""The class probabilities of any classifier, as logarithms that are finite."""

import numpy as np

from skimb._messages import shown

__all__ = [
    "LEAST_LOG_PROBABILITY",
    "class_positions",
    "least_log_probability",
    "log_probabilities",
]

#: The logarithm of the smallest number that float64 holds in full: it stands for a probability of
#: zero, as trees and neighbours give it.
LEAST_LOG_PROBABILITY = float(np.log(np.finfo(np.float64).tiny))


def log_probabilities(classifier, X, classes=None):
    """Return the logarithms of the class probabilities of a fitted classifier.

    Parameters
    ----------
    classifier : classifier
        Fitted, with ``predict_log_proba`` or ``predict_proba``.
    X : array-like of n samples
        Samples that it reads.
    classes : ndarray of shape (n_classes,), default=None
        The labels of the columns to return, sorted; a class that the classifier does not know has
        probability zero. None: those of the classifier.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        Finite numbers: the logarithm of zero is `LEAST_LOG_PROBABILITY`.

    Raises
    ------
    ValueError
        If probabilities are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skimb._class_probabilities import log_probabilities
    >>> tree = DecisionTreeClassifier().fit([[0], [1]], ["a", "b"])
    >>> log_probabilities(tree, [[0]], classes=np.array(["a", "b", "c"])).round()
    array([[   0., -708., -708.]])
    """
    # scikit-learn warns of zeros, which are what trees and neighbours give.
    with np.errstate(divide="ignore"):
        if hasattr(classifier, "predict_log_proba"):
            found = np.asarray(classifier.predict_log_proba(X), dtype=np.float64)
        else:
            found = np.log(np.asarray(classifier.predict_proba(X), dtype=np.float64))
    if np.isnan(found).any():
        raise ValueError(
            f"{type(classifier).__name__} returned probabilities that are not numbers for "
            f"{int(np.isnan(found).any(axis=1).sum())} of {len(found)} samples."
        )
    found = np.maximum(found, LEAST_LOG_PROBABILITY)
    if classes is None or np.array_equal(classes, classifier.classes_):
        return found
    filled = np.full((len(found), len(classes)), LEAST_LOG_PROBABILITY)
    filled[:, class_positions(classifier.classes_, classes)] = found
    return filled


def least_log_probability(log_proba):
    """Return the logarithm of half of the smallest positive probability.

    It says how small a probability of zero is. A forest of ten trees gives zero where it means less
    than a tenth; the logarithm of zero would outweigh all other samples in a likelihood. It is at
    most half of ``1 / n_classes``, so that the largest probability of a sample stays the largest.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Those of `log_probabilities`.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._class_probabilities import LEAST_LOG_PROBABILITY, least_log_probability
    >>> log_proba = np.array([[np.log(0.9), np.log(0.1)], [0.0, LEAST_LOG_PROBABILITY]])
    >>> np.exp(least_log_probability(log_proba)).round(3)
    np.float64(0.05)
    """
    smallest = log_proba[log_proba > LEAST_LOG_PROBABILITY].min()
    return float(min(smallest, -np.log(log_proba.shape[1])) - np.log(2))


def class_positions(y, classes, *, name="y"):
    """Return the position of each label among the classes.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    classes : ndarray of shape (n_classes,)
        All labels, sorted.
    name : str, default="y"
        The name of the labels in the message.

    Returns
    -------
    ndarray of int of shape (n,)

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    labels = np.unique(y)
    unknown = labels[~np.isin(labels, classes)]
    if len(unknown):
        raise ValueError(
            f"`{name}` holds labels that the classifier does not know: {shown(unknown)}. It knows "
            f"{shown(classes)}."
        )
    return np.searchsorted(classes, y)
