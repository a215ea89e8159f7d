"""Offsets on the log-probabilities of classes: decisions moved towards a measure."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["MEASURES", "reads_labels", "tune_offsets"]

#: Offsets tried in a turn of a class at most, and where each costs a call of a scorer.
MOST_CANDIDATES, MOST_CALLS = 400, 100
#: How often each class gets its turn at most.
N_ROUNDS = 5
#: Margins, and values of a measure, that differ by less are one.
SAME = 1e-9


def _f1(hits, predicted, support):
    return 2 * hits / np.maximum(predicted + support, 1)


def _mean_recall(hits, predicted, support):
    return (hits[:, support > 0] / support[support > 0]).mean(axis=1)


def _f1_minority(hits, predicted, support):
    rarest = np.where(support > 0, support, np.inf).argmin()
    return _f1(hits, predicted, support)[:, rarest]


#: Measures by name: of the hits and the predictions of each class, of shape
#: (n_candidates, n_classes), and its samples.
MEASURES = {
    "f1_minority": _f1_minority,
    "f1_macro": lambda *counts: _f1(*counts).mean(axis=1),
    "balanced_accuracy": _mean_recall,
}


def tune_offsets(log_proba, y, classes, scoring="f1_macro"):
    """Choose an offset for each class by coordinate ascent.

    Each class has its turn while all others stay where they are. What it tries are the offsets at
    which one more of its own samples is found: quantiles of all samples would be coarser than a
    rare class.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of samples that were not trained on.
    y : ndarray of shape (n,)
        Their labels.
    classes : ndarray of shape (n_classes,)
        Labels in the order of the columns, sorted.
    scoring : {"f1_minority", "f1_macro", "balanced_accuracy"} or scorer, default="f1_macro"
        What shall be large. A scorer must read predicted labels alone.

    Returns
    -------
    ndarray of shape (n_classes,)
        Of mean zero; zeros where nothing scores better than these.
    """
    y = np.asarray(y)
    target = np.searchsorted(classes, y)
    n_classes = len(classes)
    support = np.bincount(target, minlength=n_classes)
    is_named = isinstance(scoring, str)
    most = MOST_CANDIDATES if is_named else MOST_CALLS

    def score(predicted):
        if not is_named:
            return _score(scoring, classes[predicted], y, classes)
        hits = np.bincount(target[predicted == target], minlength=n_classes)
        counts = hits[None], np.bincount(predicted, minlength=n_classes)[None]
        return MEASURES[scoring](*counts, support)[0]

    # Of two classes, only the difference of their offsets counts.
    turns = range(n_classes) if n_classes > 2 else [int(support.argmin())]
    offsets = np.zeros(n_classes)
    best = start = score(log_proba.argmax(axis=1))
    for _ in range(N_ROUNDS):
        before = best
        for k in turns:
            shifted = log_proba + offsets
            shifted[:, k] = -np.inf
            rival = shifted.argmax(axis=1)
            # The offset from which a sample is called class k.
            margins = shifted.max(axis=1) - log_proba[:, k]
            candidates = _candidates(margins, margins[target == k], most)
            if is_named:
                counts = _counts(candidates, margins, rival, target, k, n_classes)
                values = MEASURES[scoring](*counts, support)
            else:
                values = np.array(
                    [score(np.where(margins <= candidate, k, rival)) for candidate in candidates]
                )
            highest = values.max()
            if highest > best + SAME:
                ties = candidates[values > highest - SAME]
                best, offsets[k] = highest, ties[np.abs(ties - offsets[k]).argmin()]
        if best <= before:
            break
    offsets -= offsets.mean()
    # By the predictions themselves: sums of floats are not the margins to the last bit.
    return offsets if score((log_proba + offsets).argmax(axis=1)) > start else np.zeros(n_classes)


def _candidates(margins, own, most):
    """Return offsets to try: halfway from each own margin to the next, and to the next own one."""
    levels = np.unique(margins)
    levels = levels[np.diff(levels, prepend=-np.inf) > SAME]
    own = np.unique(own)
    if len(own) > most // 2:
        # Evenly by rank, the ends among them.
        own = own[np.linspace(0, len(own) - 1, most // 2).round().astype(int)]
    ends = np.array([levels[0] - 1, levels[-1] + 1])
    place = np.searchsorted(levels, own + SAME, side="right")
    following = np.append(levels, ends[1])[place]
    return np.unique(np.concatenate([ends, (own + following) / 2, (own[1:] + own[:-1]) / 2]))


def _counts(candidates, margins, rival, target, k, n_classes):
    """Return the hits and the predictions of each class at each candidate, by sums over gaps."""
    n = len(candidates)
    # The first candidate that calls a sample class k.
    place = np.searchsorted(candidates, margins)

    def table(column, rows):
        cells = np.bincount(
            place[rows] * n_classes + column[rows], minlength=(n + 1) * n_classes
        ).reshape(n + 1, n_classes)
        return cells.cumsum(axis=0)[:n]

    everything = np.ones(len(target), dtype=bool)
    by_rival = np.bincount(rival, minlength=n_classes)
    is_hit = rival == target
    predicted = by_rival - table(rival, everything)
    predicted[:, k] = table(np.full_like(target, k), everything)[:, k]
    hits = np.bincount(rival[is_hit], minlength=n_classes) - table(rival, is_hit)
    hits[:, k] = table(target, target == k)[:, k]
    return hits, predicted


class _Known(ClassifierMixin, BaseEstimator):
    """A classifier that knows its predictions."""

    def __init__(self, predicted, classes):
        self.predicted = predicted
        self.classes_ = classes

    def fit(self, X, y):
        """Do nothing: it is fitted."""
        return self

    def predict(self, X):
        """Return the predictions."""
        return self.predicted


def _score(scorer, predicted, y, classes):
    return float(scorer(_Known(predicted, classes), np.empty((len(y), 1)), y))


def reads_labels(scorer, y):
    """Tell whether a scorer needs no more than predicted labels.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``.
    y : ndarray of shape (n,)
        Labels.

    Returns
    -------
    bool
    """
    try:
        return bool(np.isfinite(_score(scorer, y, y, np.unique(y))))
    except (AttributeError, TypeError):
        return False
