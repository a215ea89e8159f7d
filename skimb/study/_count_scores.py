"""Scores of labels as functions of sums over test images, so that resamples are cheap to score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["LabelScores"]

#: The measures of `skimb.metrics.imbalance_scoring` that need labels alone, of all classes.
OF_ALL_CLASSES = ("f1_macro", "balanced_accuracy", "geometric_mean", "worst_recall", "mcc")

#: Those of one class, and which images matter for each.
OF_ONE_CLASS = ("f1", "precision", "recall")


class LabelScores:
    """The measures of labels, computed from the hits, the predictions and the samples of classes.

    Parameters
    ----------
    metrics : iterable of str
        Names of metrics; those that are not known here are left out.
    classes : ndarray of shape (n_classes,)
        All labels, sorted.
    minority : label
        The minority class.

    Attributes
    ----------
    names : list of str
        The metrics that are known.
    is_merged : bool
        True: equal columns of `parts` may be counted instead of kept, because they are few.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._count_scores import LabelScores
    >>> scores = LabelScores(["recall_minority", "log_loss"], np.array(["a", "b"]), "a")
    >>> scores.names
    ['recall_minority']
    >>> parts = scores.parts(truth=np.array([0, 0, 1]), predicted=np.array([0, 1, 1]))
    >>> scores(parts.sum(axis=1)).tolist()
    [0.5]
    """

    is_merged = True

    def __init__(self, metrics, classes, minority):
        self.n_classes = len(classes)
        labels = classes.tolist()
        self._class_of = {}
        for kind in OF_ONE_CLASS:
            for place, label in enumerate(labels):
                self._class_of[f"{kind}[{label}]"] = kind, place
            self._class_of[f"{kind}_minority"] = kind, labels.index(minority)
        self.names = [
            metric for metric in metrics if metric in self._class_of or metric in OF_ALL_CLASSES
        ]

    def parts(self, truth: NDArray[Any], predicted: NDArray[Any]) -> Any:
        """Return what each test image adds to the sums.

        Parameters
        ----------
        truth, predicted : ndarray of shape (n_test,), int
            Positions of classes.

        Returns
        -------
        sparse array of shape (3 * n_classes, n_test)
            Hits, predictions and samples of each class.
        """
        n, n_classes = len(truth), self.n_classes
        images = np.arange(n)
        right = truth == predicted
        rows = np.r_[truth[right], n_classes + predicted, 2 * n_classes + truth]
        columns = np.r_[images[right], images, images]
        ones = np.ones(len(rows))
        return csr_array((ones, (rows, columns)), shape=(3 * n_classes, n))

    def class_of(self, metric: str) -> int | None:
        """Return the class whose samples alone a metric is about, or None.

        Parameters
        ----------
        metric : str

        Returns
        -------
        int or None
        """
        kind, place = self._class_of.get(metric, (None, None))
        return place if kind == "recall" else None

    def __call__(self, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores.

        Parameters
        ----------
        sums : ndarray of shape (..., 3 * n_classes)

        Returns
        -------
        ndarray of shape (..., n_names)
        """
        hits, predicted, support = np.split(np.asarray(sums, dtype=np.float64), 3, axis=-1)
        found = {
            "f1": _ratio(2 * hits, predicted + support),
            "precision": _ratio(hits, predicted),
            "recall": _ratio(hits, support),
        }
        recall, is_there = found["recall"], support > 0
        n_there = is_there.sum(axis=-1)

        def score(metric):
            if metric in self._class_of:
                kind, place = self._class_of[metric]
                return found[kind][..., place]
            if metric == "f1_macro":
                n_seen = ((support > 0) | (predicted > 0)).sum(axis=-1)
                return _ratio(found["f1"].sum(axis=-1), n_seen)
            if metric == "balanced_accuracy":
                return _ratio(recall.sum(axis=-1), n_there)
            if metric == "geometric_mean":
                product = np.where(is_there, recall, 1.0).prod(axis=-1)
                return product ** (1 / np.maximum(n_there, 1))
            if metric == "worst_recall":
                return np.where(is_there, recall, np.inf).min(axis=-1)
            return _matthews(hits, predicted, support)

        return np.stack([score(metric) for metric in self.names], axis=-1)


def _ratio(counts, others):
    """Divide; 0 where nothing is counted."""
    counts, others = np.broadcast_arrays(counts, others)
    return np.divide(counts, others, out=np.zeros(counts.shape), where=others > 0)


def _matthews(hits, predicted, support):
    n = support.sum(axis=-1)
    common = hits.sum(axis=-1) * n - (predicted * support).sum(axis=-1)
    of_truth = n**2 - (support**2).sum(axis=-1)
    of_predictions = n**2 - (predicted**2).sum(axis=-1)
    return _ratio(common, np.sqrt(np.maximum(of_truth * of_predictions, 0)))
