"""How far the probabilities of a strategy can be believed, from the predictions of its runs."""

from typing import Any

import numpy as np
import pandas as pd

from skimb._reliability import put_in_bins
from skimb.metrics import expected_calibration_error

__all__ = ["CALIBRATION_MEASURES", "EVENTS", "calibration_of", "reliability_of"]

#: Each is an error: the lower, the better.
CALIBRATION_MEASURES = ("brier", "log_loss", "expected_calibration_error")

#: Whose probability a reliability curve is about: the minority class, or the class that was
#: decided for.
EVENTS = ("minority", "predicted")

#: The bins of a reliability curve, of the same width; neighbours are put together until each holds
#: so many images.
N_BINS, LEAST_IMAGES = 10, 10


def calibration_of(predictions):
    """Return the errors of the probabilities of a strategy, as means over its runs.

    The probabilities are taken as they are, and compared with the class fractions of the test
    samples: those that hold for another prior by design, such as a uniform one, have larger errors.

    Parameters
    ----------
    predictions : list of Predictions
        One for each run.

    Returns
    -------
    dict of str to float
        ``brier`` (the mean squared error of the probabilities, summed over classes; halved for two
        classes, as scikit-learn has it), ``log_loss`` and ``expected_calibration_error``. NaN where
        a run has no probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._calibration import calibration_of
    >>> from skimb.study._predictions import Predictions
    >>> log_proba = np.log([[0.5, 0.5], [0.25, 0.75]])
    >>> found = Predictions(np.arange(2), np.array([0, 1]), np.array([0, 1]), log_proba)
    >>> calibration_of([found])["brier"]
    0.15625
    """
    if any(one.log_proba is None for one in predictions):
        return dict.fromkeys(CALIBRATION_MEASURES, float("nan"))
    errors: Any = [_errors(one) for one in predictions]
    means = np.mean(errors, axis=0)
    return dict(zip(CALIBRATION_MEASURES, means.tolist(), strict=True))


def _errors(found):
    log_proba = np.asarray(found.log_proba, dtype=np.float64)
    proba = np.exp(log_proba)
    # Numbers of 32 bits do not sum to 1 exactly.
    proba /= proba.sum(axis=1, keepdims=True)
    n, n_classes = proba.shape
    squares = ((proba - np.eye(n_classes)[found.truth]) ** 2).sum(axis=1).mean()
    return (
        squares / 2 if n_classes == 2 else squares,
        -log_proba[np.arange(n), found.truth].mean(),
        expected_calibration_error(found.truth, proba, labels=np.arange(n_classes)),
    )


def reliability_of(predictions, place=None):
    """Return how often an event happened where its probability was about p, over all runs.

    Parameters
    ----------
    predictions : list of Predictions
        One for each run, with probabilities.
    place : int, default=None
        The class whose probability it is. None: the class that was decided for.

    Returns
    -------
    DataFrame
        One row for each bin, with the columns ``probability`` (its mean), ``fraction`` (how often
        the event happened), ``low`` and ``high`` (the 95 % interval of the fraction, of Clopper
        and Pearson), and ``n_images``. Repeats of an image count once.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._calibration import reliability_of
    >>> from skimb.study._predictions import Predictions
    >>> truth, p = np.arange(40) % 2, np.tile([0.05, 0.15, 0.75, 0.95], 10)
    >>> log_proba = np.log(np.stack([1 - p, p], axis=1))
    >>> found = Predictions(np.arange(40), truth, (p > 0.5).astype(int), log_proba)
    >>> reliability_of([found], place=1)[["probability", "fraction", "n_images"]].round(2)
       probability  fraction  n_images
    0         0.05       0.0        10
    1         0.15       1.0        10
    2         0.75       0.0        10
    3         0.95       1.0        10
    """
    rows, truth, decided = (
        np.concatenate([getattr(one, part) for one in predictions])
        for part in ("rows", "truth", "predicted")
    )
    log_proba = np.concatenate([one.log_proba for one in predictions])
    column = decided if place is None else np.full(len(rows), place)
    proba = np.exp(log_proba[np.arange(len(rows)), column].astype(np.float64))
    times = len(rows) / len(np.unique(rows))
    bins = put_in_bins(
        np.clip(proba, 0, 1),
        truth == column,
        np.ones(len(rows)),
        n_bins=N_BINS,
        strategy="uniform",
        least=round(LEAST_IMAGES * times),
    )
    low, high = bins.intervals(times=times)
    return pd.DataFrame(
        {
            "probability": bins.probability,
            "fraction": bins.fraction,
            "low": low,
            "high": high,
            "n_images": np.round(bins.n_samples / times).astype(int),
        }
    )
