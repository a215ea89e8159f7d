"""Which classes of which probabilities a display draws."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skimb._label_columns import unknown_labels
from skimb._messages import shown

__all__ = ["drawn_classes", "predicted_probabilities"]


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
