"""Losses over the epochs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from sklearn.utils.validation import check_is_fitted

__all__ = ["TrainingHistoryDisplay"]


class TrainingHistoryDisplay:
    """Losses over the epochs, one line per training or for the mean of several.

    Parameters
    ----------
    histories : dict of str to list of list of float
        Name to the loss of each epoch of each of its trainings.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.inspection import TrainingHistoryDisplay
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(max_epochs=3, random_state=0).fit(X, y)
    >>> len(TrainingHistoryDisplay.from_estimator(clf).histories["training"][0])
    3
    """

    def __init__(self, histories):
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the training loss of a fitted estimator, and the validation loss if there is one.

        Parameters
        ----------
        estimator : CNNClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        TrainingHistoryDisplay
        """
        check_is_fitted(estimator)
        histories = {"training": [[epoch["train_loss"] for epoch in estimator.history_]]}
        if "valid_loss" in estimator.history_[0]:
            histories["validation"] = [[epoch["valid_loss"] for epoch in estimator.history_]]
        return cls(histories).plot(ax=ax)

    def plot(self, *, ax=None):
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        self
        """
        ax = plt.subplots()[1] if ax is None else ax
        for name, runs in self.histories.items():
            epochs = 1 + np.arange(len(runs[0]))
            ax.plot(epochs, np.mean(runs, axis=0), label=name, linewidth=1.6)
            if len(runs) > 1:
                low, high = np.quantile(runs, [0.1, 0.9], axis=0)
                ax.fill_between(epochs, low, high, alpha=0.12)
        ax.set(xlabel="epoch", ylabel="loss", yscale="log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
