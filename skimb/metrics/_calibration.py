"""Calibration errors, and scorers of probabilities."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import brier_score_loss, log_loss

from skimb._label_columns import sorted_labels
from skimb._messages import shown
from skimb._params import BaseScorer
from skimb._reliability import check_bins, checked_outcomes, put_in_bins
from skimb._scored_values import given_weight
from skimb._unpacking import plain_vector

__all__ = ["calibration_scoring", "classwise_calibration_error", "expected_calibration_error"]


def expected_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: Any = None,
    n_bins: int = 15,
    strategy: str = "quantile",
    sample_weight: ArrayLike | None = None,
    debias: bool = True,
) -> float:
    r"""Compute how far the confidence in predicted labels is from their accuracy.

    The confidence of a sample is its largest probability. Samples of about the same confidence
    are in one bin, and the error is the mean over samples of the distance
    :math:`|\mathrm{accuracy} - \mathrm{confidence}|` of their bin [1]_. It says little about
    minority classes, which are seldom predicted: see `classwise_calibration_error`.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_proba : array-like of shape (n, n_classes) or (n,)
        Probabilities; for two classes, those of the second one suffice. A frame is read by the
        labels of its columns.
    labels : array-like of shape (n_classes,), default=None
        The label of each column, ``classes_`` of the classifier. None: the sorted labels of
        `y_true`, or of the columns of a frame.
    n_bins : int, default=15
        The number of bins.
    strategy : {"quantile", "uniform"}, default="quantile"
        ``"quantile"``: bins of about the same number of samples, whose estimate has less bias [2]_.
        ``"uniform"``: bins of the same width, as in most publications.
    sample_weight : array-like of shape (n,), default=None
        Weights.
    debias : bool, default=True
        Whether the error that chance alone makes is taken off. The distance of a bin is positive
        even if all probabilities are right, so that the error grows with the number of bins and
        with fewer samples. The correction is that of [3]_, in closed form, for labels that would
        be drawn from `y_proba`. It is not complete: if all probabilities are right, about half of
        the plain error remains, and a little more where samples are few. False: the plain error of
        publications.

    Returns
    -------
    float
        Between 0 (right) and 1.

    Raises
    ------
    ValueError
        If lengths or columns do not fit, a label is unknown, `y_proba` holds no probabilities, or
        there is no such strategy.

    See Also
    --------
    classwise_calibration_error : Of the probability of each class.
    sklearn.metrics.brier_score_loss, sklearn.metrics.log_loss : Proper scores of probabilities, for
        any number of classes.

    References
    ----------
    .. [1] Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.
    .. [2] Roelofs et al., Mitigating Bias in Calibration Error Estimation, AISTATS 2022,
       arXiv:2012.08668.
    .. [3] Kumar et al., Verified Uncertainty Calibration, NeurIPS 2019, arXiv:1909.10155.

    Examples
    --------
    >>> from skimb.metrics import expected_calibration_error
    >>> y_true = ["cat", "cat", "dog", "dog"]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]
    >>> expected_calibration_error(y_true, y_proba, n_bins=2, debias=False)
    0.35
    """
    check_bins(n_bins, strategy)
    known = checked_outcomes(y_true, y_proba, labels=labels, sample_weight=sample_weight)
    bins = put_in_bins(*known.top_label(), known.weight, n_bins=n_bins, strategy=strategy)
    return bins.error(debias=debias)


def classwise_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: Any = None,
    n_bins: int = 15,
    strategy: str = "quantile",
    sample_weight: ArrayLike | None = None,
    average: Any = "macro",
    debias: bool = True,
) -> float | NDArray[np.float64]:
    r"""Compute how far the probability of each class is from how often it occurs.

    For each class, samples of about the same probability of this class are in one bin, and the
    error is the mean over samples of the distance between that probability and the fraction of the
    class in the bin. The mean over the classes counts a minority class as much as a majority class
    [1]_. But a class of a fraction of 1 % has an error of at most about 1 % while its probabilities
    are small, so compare the error of a class with its fraction.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_proba : array-like of shape (n, n_classes) or (n,)
        Probabilities; for two classes, those of the second one suffice. A frame is read by the
        labels of its columns.
    labels : array-like of shape (n_classes,), default=None
        The label of each column, ``classes_`` of the classifier. None: the sorted labels of
        `y_true`, or of the columns of a frame. A class that does not occur counts too.
    n_bins : int, default=15
        The number of bins of each class.
    strategy : {"quantile", "uniform"}, default="quantile"
        As in `expected_calibration_error`.
    sample_weight : array-like of shape (n,), default=None
        Weights.
    average : {"macro"} or None, default="macro"
        ``"macro"``: the mean over classes. None: one number per class.
    debias : bool, default=True
        As in `expected_calibration_error`.

    Returns
    -------
    float, or ndarray of shape (n_classes,)
        In the order of `labels`.

    Raises
    ------
    ValueError
        If lengths or columns do not fit, a label is unknown, `y_proba` holds no probabilities, or
        there is no such strategy or average.

    References
    ----------
    .. [1] Kull et al., Beyond Temperature Scaling, NeurIPS 2019, arXiv:1910.12656.

    Examples
    --------
    >>> from skimb.metrics import classwise_calibration_error
    >>> y_true = ["a", "a", "b", "c"]
    >>> y_proba = [[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.2, 0.2, 0.6]]
    >>> errors = classwise_calibration_error(y_true, y_proba, n_bins=1, average=None, debias=False)
    >>> errors.round(2)
    array([0.1, 0.2, 0.1])
    """
    check_bins(n_bins, strategy)
    if average not in ("macro", None):
        raise ValueError(f"`average` must be 'macro' or None. Got {average!r}.")
    known = checked_outcomes(y_true, y_proba, labels=labels, sample_weight=sample_weight)
    errors = np.array(
        [
            put_in_bins(*known.of_class(k), known.weight, n_bins=n_bins, strategy=strategy).error(
                debias=debias
            )
            for k in range(len(known.labels))
        ]
    )
    return errors if average is None else float(errors.mean())


def calibration_scoring(y: ArrayLike) -> dict[str, Any]:
    """Make the scorers of probabilities, for `GridSearchCV` and similar searches.

    Pass the whole y, not the y of a fold: a fold, or the part that a classifier was trained on, may
    lack a class. A class that the classifier does not know has probability zero.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type.

    Returns
    -------
    dict of str to scorer
        ``neg_brier_score`` and ``neg_log_loss``, which are those of scikit-learn;
        ``neg_expected_calibration_error``, ``neg_classwise_calibration_error``. Larger is better:
        they are the errors times -1. All take `sample_weight`. Choose parameters by one of the
        first two, which are proper: a calibration error alone is small for a classifier that knows
        nothing but the class prior.

    Raises
    ------
    ValueError
        If y holds one class only.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.metrics import calibration_scoring
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> search = GridSearchCV(
    ...     LogisticRegression(max_iter=5000),
    ...     {"class_weight": [None, "balanced"]},
    ...     scoring=calibration_scoring(y),
    ...     refit="neg_log_loss",
    ... ).fit(X.reshape(len(X), -1), y)
    >>> search.best_params_
    {'class_weight': None}
    """
    labels = sorted_labels({"y": y})
    if len(labels) < 2:
        raise ValueError(f"y holds one class only, {shown(labels)}; scores need at least two.")
    return {
        "neg_brier_score": _OfProbabilities(brier_score_loss, labels),
        "neg_log_loss": _OfProbabilities(log_loss, labels),
        "neg_expected_calibration_error": _OfProbabilities(expected_calibration_error, labels),
        "neg_classwise_calibration_error": _OfProbabilities(classwise_calibration_error, labels),
    }


class _OfProbabilities(BaseScorer):
    """Scorer of the probabilities of all classes, of which a fold may lack some.

    scikit-learn's scorers know the labels of the fold only, unless they are given; and then they
    need a column for each of them.
    """

    def __init__(self, loss, labels):
        super().__init__(loss, -1, {}, response_method="predict_proba")
        self.labels = labels

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        known = np.asarray(estimator.classes_)
        if len(known) > 2:
            # scikit-learn predicts once for all scorers.
            proba = method_caller(estimator, "predict_proba", X, pos_label=None)
        else:
            # For two classes, it keeps the column of a class that another scorer may have named.
            proba = estimator.predict_proba(X)
        labels = sorted_labels({"y": self.labels, "`classes_`": known})
        proba = np.asarray(proba)
        filled = np.zeros((len(proba), len(labels)), dtype=proba.dtype)
        filled[:, np.searchsorted(labels, known)] = proba
        y_true = plain_vector(y_true, "y_true")
        weight = given_weight(kwargs.pop("sample_weight", None), y_true)
        return -self._score_func(y_true, filled, labels=labels, sample_weight=weight, **kwargs)

    def __repr__(self):
        return f"-{self._score_func.__name__}"
