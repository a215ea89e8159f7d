"""The mistakes of a strategy as plain values, for the file of a comparison."""

import numpy as np

from skimb.study._sample_images import MOST_MISTAKES_SHOWN

__all__ = ["listed_errors", "listed_mistakes"]


def listed_mistakes(outcomes, labels, files=None, places=None):
    """List the most confident mistakes of each true class over all runs, each sample once.

    Parameters
    ----------
    outcomes : list of ClassificationOutcome
        The results of one strategy.
    labels : list
        The classes, in the order of the list.
    files : sequence of str, default=None
        The file of each test sample.
    places : ndarray of int, default=None
        The place in X of each test sample; None: its number.

    Returns
    -------
    list of dict
        ``row``, ``file`` if files are known, ``label``, ``predicted`` and ``probability``, which is
        None where the classifier tells none. At most eight a class.
    """
    listed = []
    for label in labels:
        pooled = {}
        found = [each for outcome in outcomes for each in outcome.mistakes.get(label, [])]
        for confidence, row, predicted in sorted(
            found, key=lambda each: (-(each[0] or 0), each[1])
        ):
            pooled.setdefault(int(row), (predicted, confidence))
        listed += [
            {
                **_named(row, files, places),
                "label": _plain(label),
                "predicted": _plain(predicted),
                "probability": confidence,
            }
            for row, (predicted, confidence) in [*pooled.items()][:MOST_MISTAKES_SHOWN]
        ]
    return listed


def listed_errors(outcomes, files=None, places=None):
    """List the largest errors over all runs, each sample once: those too low, then those too high.

    Parameters
    ----------
    outcomes : list of RegressionOutcome
        The results of one strategy.
    files : sequence of str, default=None
        The file of each test sample.
    places : ndarray of int, default=None
        The place in X of each test sample; None: its number.

    Returns
    -------
    list of dict
        ``row``, ``file`` if files are known, ``value`` and ``prediction``. At most eight of a sign.
    """
    rows, truth, predicted = (
        np.concatenate([getattr(outcome, name) for outcome in outcomes])
        for name in ("rows", "truth", "predicted")
    )
    errors = predicted - truth
    listed = []
    for sign in (-1, 1):
        pooled = {}
        for i in np.lexsort((rows, -sign * errors)):
            if sign * errors[i] > 0:
                pooled.setdefault(int(rows[i]), i)
        listed += [
            {
                **_named(row, files, places),
                "value": float(truth[i]),
                "prediction": float(predicted[i]),
            }
            for row, i in [*pooled.items()][:MOST_MISTAKES_SHOWN]
        ]
    return listed


def _named(row, files, places):
    place = {"row": row if places is None else int(places[row])}
    return place if files is None else place | {"file": str(files[row])}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value
