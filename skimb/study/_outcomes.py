"""The result of one strategy in one run."""

from dataclasses import dataclass, field

import numpy as np

from skimb.study._predictions import Predictions

__all__ = ["ClassificationOutcome", "Outcome", "RegressionOutcome"]


@dataclass
class Outcome:
    """The result of one strategy in one run.

    Parameters
    ----------
    strategy : str
        The label of the strategy.
    scores : dict of str to float
    seconds : float
        Wall time of the fit.
    train_loss : list of float
        The training loss of each epoch; empty where the strategy trains no network of its own.
    gradient_steps : int or None
        Steps of the network that it holds; None: it has none, or does not tell.
    search_steps : int or None
        Steps of further networks, which were trained on parts of the samples; None: there are none.
    """

    strategy: str
    scores: dict
    seconds: float
    train_loss: list
    gradient_steps: int | None
    search_steps: int | None = field(default=None, kw_only=True)


@dataclass
class ClassificationOutcome(Outcome):
    """The result of one strategy in one run, for labels.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n_classes, n_classes)
    mistakes : dict
        True label to a list of its most confident mistakes, each ``(confidence, row, predicted)``.
        A row is the index of a sample in X or in the fixed test set; the confidence is None where
        the classifier tells none.
    predictions : Predictions
        Those of all test samples.
    """

    confusion_matrix: np.ndarray
    mistakes: dict
    predictions: Predictions


@dataclass
class RegressionOutcome(Outcome):
    """The result of one strategy in one run, for a continuous target.

    Parameters
    ----------
    rows : ndarray of int
        Indices of the test samples in X or in the fixed test set.
    truth, predicted : ndarray of shape (n_test,)
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
