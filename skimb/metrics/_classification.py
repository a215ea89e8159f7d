"""Scores and scorers for minority classes."""

import threading
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import (
    average_precision_score,
    make_scorer,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
)
from sklearn.utils.multiclass import unique_labels

from skimb._frames import with_any_text
from skimb._label_columns import sorted_labels
from skimb._messages import shown
from skimb._params import BaseScorer
from skimb._scored_values import given_weight
from skimb._unpacking import plain_vector
from skimb.class_weight import minority_class

__all__ = ["imbalance_scoring", "per_class_report"]


def imbalance_scoring(y: ArrayLike, *, labels: Any = None) -> dict[str, Any]:
    """Make the scorers for imbalanced classes, for `GridSearchCV` and similar searches.

    Pass the whole y, not the y of a fold: the minority class is its rarest label (the first in
    sorted order among equals).

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type.
    labels : array-like, default=None
        The classes for which separate scorers are made. None: all.

    Returns
    -------
    dict of str to scorer
        ``f1_minority``, ``precision_minority``, ``recall_minority``,
        ``average_precision_minority``, ``f1_macro``, ``balanced_accuracy``, ``geometric_mean`` and
        ``worst_recall`` (of the recalls of the classes), ``mcc`` (Matthews' correlation), and for
        each class ``f1[label]``, ``precision[label]``, ``recall[label]``. All take `sample_weight`.
        Counts are computed once for all of them.

    Raises
    ------
    ValueError
        If y holds one class only, or `labels` names a class that y does not hold.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.metrics import imbalance_scoring
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> search = GridSearchCV(
    ...     LogisticRegression(max_iter=5000),
    ...     {"class_weight": [None, "balanced"]},
    ...     scoring=imbalance_scoring(y),
    ...     refit="f1_minority",
    ... ).fit(X.reshape(len(X), -1), y)
    >>> search.best_params_
    {'class_weight': None}
    >>> search.cv_results_["mean_test_recall[1]"].round(2)
    array([0.56, 0.67])
    """
    found = sorted_labels({"y": y})
    if len(found) < 2:
        raise ValueError(f"y holds one class only, {shown(found)}; scores need at least two.")
    labels = found if labels is None else np.asarray(labels)
    unknown = [label for label in labels.tolist() if label not in found.tolist()]
    if unknown:
        raise ValueError(f"y does not hold the labels {shown(unknown)}. It holds {shown(found)}.")
    minority = minority_class(y)
    scorers = {f"{name}_minority": _of_class(name, minority) for name in _PER_CLASS}
    scorers["average_precision_minority"] = _AveragePrecision(minority)
    scorers["f1_macro"] = make_scorer(_f1_macro)
    scorers["balanced_accuracy"] = make_scorer(_mean_recall)
    scorers["geometric_mean"] = make_scorer(_geometric_mean_recall)
    scorers["worst_recall"] = make_scorer(_worst_recall)
    scorers["mcc"] = make_scorer(_correlation)
    for name in _PER_CLASS:
        scorers |= {f"{name}[{label}]": _of_class(name, label) for label in labels}
    return scorers


#: Values of each class that scorers ask for.
_PER_CLASS = ("f1", "precision", "recall")


class _Counted:
    """Precision, recall and F1 of each class that occurs, of one set of predictions.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        True and predicted labels.
    sample_weight : ndarray of shape (n_samples,), or None
        Sample weights.
    """

    #: The predictions that were counted last, in each thread.
    last = threading.local()

    def __init__(self, y_true, y_pred, sample_weight):
        # Copies: arrays may be changed in place between two calls.
        self.given = [None if v is None else v.copy() for v in (y_true, y_pred, sample_weight)]
        if sample_weight is not None:
            # Samples of no weight count as if they were not there, classes that have no others too.
            kept = sample_weight != 0
            y_true, y_pred, sample_weight = y_true[kept], y_pred[kept], sample_weight[kept]
        precision, recall, f1, _ = precision_recall_fscore_support(
            y_true, y_pred, zero_division=0.0, sample_weight=sample_weight
        )
        labels, seen = unique_labels(y_true, y_pred).tolist(), set(np.unique(y_true).tolist())
        self.values = {"precision": precision, "recall": recall, "f1": f1}
        self.place = {label: i for i, label in enumerate(labels)}
        self.is_true = np.array([label in seen for label in labels])

    @classmethod
    def of(cls, y_true, y_pred, sample_weight):
        """Return the counts; the last ones are kept, because several scorers ask for them."""
        y_true, y_pred = plain_vector(y_true, "y_true"), plain_vector(y_pred, "y_pred")
        given = y_true, y_pred, given_weight(sample_weight, y_true)
        last = getattr(cls.last, "counted", None)
        if last is None or not all(map(_is_same, given, last.given)):
            last = cls.last.counted = cls(*given)
        return last

    def correlation(self):
        """Return Matthews' correlation; 0 if there is one class only."""
        y_true, y_pred, sample_weight = self.given
        # scikit-learn would warn of a single class.
        several = len(self.place) > 1
        return matthews_corrcoef(y_true, y_pred, sample_weight=sample_weight) if several else 0.0

    def value(self, name, label):
        """Return a value of a class; 0 if it does not occur."""
        place = self.place.get(label)
        return 0.0 if place is None else self.values[name][place]

    def recalls(self):
        """Return the recalls of the classes that occur among the true labels."""
        return self.values["recall"][self.is_true]


def _is_same(first, second):
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and np.array_equal(first, second)


# make_scorer takes the default pos_label=1 of a metric as a request, and fails on string labels:
# metrics with such a parameter are wrapped.


def _of_class(name, label):
    return make_scorer(_class_score, name=name, label=label)


def _class_score(y_true, y_pred, *, name, label, sample_weight=None):
    return _Counted.of(y_true, y_pred, sample_weight).value(name, label)


def _f1_macro(y_true, y_pred, *, sample_weight=None):
    return _Counted.of(y_true, y_pred, sample_weight).values["f1"].mean()


def _mean_recall(y_true, y_pred, *, sample_weight=None):
    return _Counted.of(y_true, y_pred, sample_weight).recalls().mean()


def _geometric_mean_recall(y_true, y_pred, *, sample_weight=None):
    recalls = _Counted.of(y_true, y_pred, sample_weight).recalls()
    return recalls.prod() ** (1 / len(recalls))


def _worst_recall(y_true, y_pred, *, sample_weight=None):
    return _Counted.of(y_true, y_pred, sample_weight).recalls().min()


def _correlation(y_true, y_pred, *, sample_weight=None):
    return _Counted.of(y_true, y_pred, sample_weight).correlation()


class _AveragePrecision(BaseScorer):
    """Scorer of one class against the rest, for any number of classes.

    scikit-learn's scorer has no parameter for the class, if there are more than two.
    """

    def __init__(self, label):
        # Libraries that take a scorer apart, as skore does, find its score of two classes there. As
        # "predict" comes last, an estimator without scores fails this scorer alone.
        response_method = ("predict_proba", "decision_function", "predict")
        super().__init__(average_precision_score, 1, {"pos_label": label}, response_method)
        self.label = label

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        is_label = plain_vector(y_true, "y_true") == self.label
        weight = given_weight(kwargs.pop("sample_weight", None), is_label)
        if not (is_label if weight is None else weight[is_label]).any():
            return 0.0
        classes = np.asarray(estimator.classes_)
        if self.label not in classes:
            return float(np.average(is_label, weights=weight))
        if hasattr(estimator, "predict_proba"):
            scores = estimator.predict_proba(X)[:, classes == self.label].ravel()
        else:
            scores = np.asarray(estimator.decision_function(X))
            if scores.ndim == 1:
                scores = scores if self.label == classes[1] else -scores
            else:
                scores = scores[:, classes == self.label].ravel()
        return average_precision_score(is_label, scores, sample_weight=weight, **kwargs)

    def __repr__(self):
        return f"average_precision of {self.label!r}"


@with_any_text
def per_class_report(y_true: ArrayLike, y_pred: ArrayLike) -> pd.DataFrame:
    """Tabulate precision, recall, F1 and counts of each class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted labels.

    Returns
    -------
    DataFrame
        One row per label that occurs in either; columns ``precision``, ``recall``, ``f1``,
        ``support`` (samples of the class), and ``tp``, ``fn``, ``fp``, ``tn``, the counts of the
        class against the rest.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from skimb.metrics import per_class_report
    >>> y_true = ["cat"] * 1500 + ["dog"] * 1500
    >>> y_pred = ["cat"] * 821 + ["dog"] * 679 + ["cat"] * 11 + ["dog"] * 1489
    >>> per_class_report(y_true, y_pred).round(3)
         precision  recall     f1  support    tp   fn   fp    tn
    cat      0.987   0.547  0.704     1500   821  679   11  1489
    dog      0.687   0.993  0.812     1500  1489   11  679   821
    """
    y_true, y_pred = plain_vector(y_true, "y_true"), plain_vector(y_pred, "y_pred")
    labels = sorted_labels({"`y_true`": y_true, "`y_pred`": y_pred})
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, labels=labels, zero_division=0.0
    )
    # Unlike confusion_matrix, it does not warn of a single label.
    counts = multilabel_confusion_matrix(y_true, y_pred, labels=labels)
    tn, fp, fn, tp = counts.reshape(-1, 4).T
    return pd.DataFrame(
        {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
            "tp": tp,
            "fn": fn,
            "fp": fp,
            "tn": tn,
        },
        index=pd.Index(labels),
    )
