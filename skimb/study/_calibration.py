"""How far the probabilities of a strategy can be believed, from the predictions of its runs."""

import numpy as np

from skimb.metrics import expected_calibration_error

__all__ = ["CALIBRATION_MEASURES", "calibration_of"]

#: Each is an error: the lower, the better.
CALIBRATION_MEASURES = ("brier", "log_loss", "expected_calibration_error")


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
    means = np.mean([_errors(one) for one in predictions], axis=0)
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
