"""The search for offsets on the log-probabilities of classes, on samples that were held out."""

import numpy as np
from scipy.special import log_softmax

from skimb._label_measures import MEASURES, reads_labels, score_labels, score_probabilities

__all__ = ["FEW_SAMPLES", "can_change", "shrink_offsets", "tune_offsets"]

#: The most offsets that are tried in a turn of a class; the second where each calls a scorer, the
#: third where this reads probabilities.
MOST_CANDIDATES, MOST_CALLS, MOST_SLOW_CALLS = 400, 100, 20
#: The most turns of each class.
N_ROUNDS = 5
#: Margins, and values of a measure, that differ by less count as equal.
SAME = 1e-9
#: The least gain of a round of turns after which another one follows, for smooth measures.
LEAST_GAIN = 1e-4
#: The offset of a class with fewer held-out samples is shrunk.
FEW_SAMPLES = 10
#: Steps from the present offset that a scorer of probabilities tries too: its best offset lies
#: between the margins, where no decision changes.
STEPS = np.outer([-1, 1], 2.0 ** np.arange(-6, 3)).ravel()


def tune_offsets(log_proba, y, classes, scoring="f1_macro"):
    """Choose an offset for each class by coordinate ascent.

    Each class has its turn while the offsets of all others stay fixed. It tries the offsets at
    which one more of its own samples is found: quantiles of all samples would be too coarse for a
    minority class. A class without samples has no turn.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of samples that the classifier was not trained on.
    y : ndarray of shape (n,)
        Their labels.
    classes : ndarray of shape (n_classes,)
        Labels in the order of the columns, sorted.
    scoring : {"f1_minority", "f1_macro", "balanced_accuracy"} or scorer, default="f1_macro"
        The measure to maximise. A scorer that reads more than labels gets the probabilities after
        the offsets.

    Returns
    -------
    ndarray of shape (n_classes,)
        Offsets of mean zero; all zero where no other offsets score better.
    """
    y = np.asarray(y)
    target = np.searchsorted(classes, y)
    n_classes = len(classes)
    support = np.bincount(target, minlength=n_classes)
    if (support > 0).sum() < 2:
        return np.zeros(n_classes)
    is_named = isinstance(scoring, str)
    of_probabilities = not is_named and not reads_labels(scoring, y)
    most = MOST_CANDIDATES if is_named else MOST_SLOW_CALLS if of_probabilities else MOST_CALLS

    def score(shifted):
        if of_probabilities:
            return score_probabilities(scoring, log_softmax(shifted, axis=1), y, classes)
        return score_decided(shifted.argmax(axis=1))

    def score_decided(predicted):
        if not is_named:
            return score_labels(scoring, classes[predicted], y, classes)
        hits = np.bincount(target[predicted == target], minlength=n_classes)
        counts = hits[None], np.bincount(predicted, minlength=n_classes)[None]
        return MEASURES[scoring](*counts, support)[0]

    # Of two classes, only the difference of their offsets counts.
    turns = range(n_classes) if n_classes > 2 else [int(support.argmin())]
    offsets = np.zeros(n_classes)
    best = start = score(log_proba)
    for _ in range(N_ROUNDS):
        before = best
        for k in turns:
            if not support[k]:
                continue
            shifted = log_proba + offsets
            shifted[:, k] = -np.inf
            rival = shifted.argmax(axis=1)
            # The offset from which a sample is called class k.
            margins = shifted.max(axis=1) - log_proba[:, k]
            candidates = _candidates(margins, margins[target == k], most)
            if is_named:
                counts = _counts(candidates, margins, rival, target, k, n_classes)
                values = MEASURES[scoring](*counts, support)
            elif of_probabilities:
                candidates = np.union1d(candidates, offsets[k] + STEPS)
                others = np.where(np.arange(n_classes) == k, 0.0, offsets)
                moved = np.eye(n_classes)[k]
                values = np.array([score(log_proba + others + c * moved) for c in candidates])
            else:
                values = np.array(
                    [score_decided(np.where(margins <= c, k, rival)) for c in candidates]
                )
            highest = values.max()
            if highest > best + SAME:
                ties = candidates[values > highest - SAME]
                best, offsets[k] = highest, ties[np.abs(ties - offsets[k]).argmin()]
        if best <= before + (LEAST_GAIN if of_probabilities else 0):
            break
    offsets -= offsets.mean()
    # Score the predictions themselves: sums of floats differ from the margins in the last bits.
    return offsets if score(log_proba + offsets) > start else np.zeros(n_classes)


def shrink_offsets(offsets, log_proba, target):
    r"""Move the offsets of classes of fewer than ten held-out samples towards their mean.

    The offset of class k was placed between the margins of its own samples, so its standard error
    is about :math:`s_k = s / \sqrt{n_k}`, where s is the standard deviation of the margins within
    classes. Its distance :math:`d_k` from the mean is multiplied by

    .. math:: w_k = d_k^2 / (d_k^2 + s_k^2),

    which is near one where the distance is certain, and near zero where it may be an accident. For
    classes without samples it is zero, and for classes of ten samples or more it is one.

    Parameters
    ----------
    offsets : ndarray of shape (n_classes,)
        Offsets of mean zero.
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of the held-out samples.
    target : ndarray of int of shape (n,)
        The column of the label of each sample.

    Returns
    -------
    ndarray of shape (n_classes,)
        Offsets of mean zero; those of classes without samples are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._offset_search import shrink_offsets
    >>> log_proba = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]] * 5)
    >>> target = np.repeat([0, 1], [12, 3])
    >>> shrink_offsets(np.array([-1.0, 1.0]), log_proba, target).round(2)
    array([-0.94,  0.94])
    """
    n_classes = len(offsets)
    support = np.bincount(target, minlength=n_classes)
    if support.min() >= FEW_SAMPLES:
        return offsets
    shifted = log_proba + offsets
    rows = np.arange(len(target))
    own = shifted[rows, target]
    shifted[rows, target] = -np.inf
    margins = shifted.max(axis=1) - own
    mean = np.bincount(target, margins, n_classes) / np.maximum(support, 1)
    freedom = len(target) - (support > 0).sum()
    variance = ((margins - mean[target]) ** 2).sum() / max(freedom, 1)
    squared = offsets**2
    noise = variance / np.maximum(support, 1)
    weight = np.divide(squared, squared + noise, out=np.zeros(n_classes), where=squared > 0)
    weight = np.where(support >= FEW_SAMPLES, 1.0, np.where(support == 0, 0.0, weight))
    if not weight.any():
        return np.zeros(n_classes)
    return weight * (offsets - np.average(offsets, weights=weight))


def can_change(scorer, y, classes):
    """Tell whether offsets can change the value of a scorer that reads probabilities.

    It is asked on made probabilities, before anything is trained. A measure of ranks of two classes
    gives one value whatever the offsets, because they leave the order of the samples as it is.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``.
    y : ndarray of shape (n,)
        Labels.
    classes : ndarray of shape (n_classes,)
        All labels, sorted.

    Returns
    -------
    bool
    """
    rng = np.random.RandomState(0)
    few = np.concatenate([np.flatnonzero(y == label)[:50] for label in classes])
    y = y[few]
    target = np.searchsorted(classes, y)
    logits = rng.standard_normal((len(y), len(classes))) + np.eye(len(classes))[target]
    moved = np.eye(len(classes))
    values = [
        score_probabilities(scorer, log_softmax(logits + size * moved[k], axis=1), y, classes)
        for size in (0.0, 1.5, -1.5)
        for k in range(min(len(classes), 3))
    ]
    return bool(np.ptp(values) > SAME)


def _candidates(margins, own, most):
    """Return offsets to try: halfway from each own margin to the next, and to the next own one."""
    levels = np.unique(margins)
    levels = levels[np.diff(levels, prepend=-np.inf) > SAME]
    own = np.unique(own)
    if len(own) > most // 2:
        # Evenly by rank, with both ends.
        own = own[np.linspace(0, len(own) - 1, most // 2).round().astype(int)]
    ends = np.array([levels[0] - 1, levels[-1] + 1])
    place = np.searchsorted(levels, own + SAME, side="right")
    following = np.append(levels, ends[1])[place]
    return np.unique(np.concatenate([ends, (own + following) / 2, (own[1:] + own[:-1]) / 2]))


def _counts(candidates, margins, rival, target, k, n_classes):
    """Return the hits and the predictions of each class at each candidate, by cumulative sums."""
    n = len(candidates)
    # The first candidate that calls a sample class k.
    place = np.searchsorted(candidates, margins)

    def table(column, chosen):
        cells = np.bincount(
            place[chosen] * n_classes + column[chosen], minlength=(n + 1) * n_classes
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
