"""The probabilities that a display takes, the classes that it draws, and how they are drawn."""

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skimb._label_columns import by_label, unknown_labels
from skimb._messages import shown
from skimb._net_benefits import checked_probabilities

__all__ = [
    "COLOURS",
    "GREY",
    "LINES",
    "MARKERS",
    "WRONG",
    "checked_columns",
    "drawn_classes",
    "predicted_probabilities",
]

#: Colours that people with any kind of colour vision tell apart, of Okabe and Ito
#: (https://jfly.uni-koeln.de/color/); yellow is left out, which is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: What is not named, and counts of samples.
GREY = "#b0b0b0"

#: Errors.
WRONG = "#882255"

#: A class or a method also has a marker and a style of line, so that no colour is needed.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "d", "H")
LINES: tuple = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 1)))


def drawn_classes(classes, labels):
    """Return the classes to draw as a list.

    Parameters
    ----------
    classes : label or list of labels
    labels : ndarray of shape (n_classes,)
        All labels.

    Returns
    -------
    list of labels

    Raises
    ------
    ValueError
        If there is none, one is unknown, or one is given twice.
    """
    chosen = np.atleast_1d(np.asarray(classes)).ravel().tolist()
    if isinstance(classes, list | tuple):
        # An array would turn numbers among text into text.
        chosen = [one.item() if isinstance(one, np.generic) else one for one in classes]
    if not chosen or unknown_labels(np.array(chosen, dtype=object), labels):
        raise ValueError(
            f"`classes` must be one or some of the labels {shown(labels)}. Got {shown(classes)}."
        )
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"`classes` holds a label twice: {shown(classes)}.")
    return chosen


def predicted_probabilities(estimator, X):
    """Return the class probabilities of a fitted classifier.

    Parameters
    ----------
    estimator : classifier
    X : array-like of n samples

    Returns
    -------
    array-like of shape (n, n_classes)

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it has no ``predict_proba``.
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"{type(estimator).__name__} has no predict_proba, and the display needs "
            "probabilities. Fit scikit-learn's CalibratedClassifierCV around it."
        )
    return estimator.predict_proba(X)


def checked_columns(y, proba, labels):
    """Return class probabilities with a column for each label.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels.
    proba : array-like of shape (n, n_classes) or (n,), or DataFrame
        Probabilities; for two classes, those of the second one suffice.
    labels : ndarray of shape (n_classes,)
        The label of each column.

    Returns
    -------
    ndarray of shape (n, n_classes), float64

    Raises
    ------
    ValueError
        If lengths or columns do not fit, or a number is no probability.
    """
    values = checked_probabilities(by_label(proba, labels, name="y_proba"))
    check_consistent_length(y, values)
    if values.ndim == 1 and len(labels) == 2:
        values = np.column_stack([1 - values, values])
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(
            f"`y_proba` must have a column for each of the {len(labels)} labels {shown(labels)}. "
            f"Got shape {np.shape(proba)}. Give `labels` where y_true lacks one."
        )
    return values
