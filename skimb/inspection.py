"""Displays, in scikit-learn's manner: made from an estimator or from labels, then plotted.

Confusion matrices and precision-recall curves are scikit-learn's own.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from sklearn.utils.validation import check_is_fitted

from skimb.class_weight import class_counts

__all__ = ["ClassDistributionDisplay", "TrainingHistoryDisplay", "plain_text"]


def plain_text(label):
    r"""Return a label as matplotlib shows it literally: a dollar sign would start mathematics.

    Parameters
    ----------
    label : object
        The label.

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb.inspection import plain_text
    >>> print(plain_text("5 $"))
    5 \$
    """
    return str(label).replace("$", r"\$")


class ClassDistributionDisplay:
    """How many rows each class has, as bars.

    Parameters
    ----------
    counts : dict
        Label to number of rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was plotted.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.inspection import ClassDistributionDisplay
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> ClassDistributionDisplay.from_predictions(y).counts
    {0: 1623, 1: 81}
    """

    def __init__(self, counts):
        self.counts = counts

    @classmethod
    def from_predictions(cls, y, *, ax=None):
        """Plot the classes of labels.

        Parameters
        ----------
        y : array-like of shape (n,)
            Labels.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        return cls(class_counts(y)).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the classes that a classifier was fitted on.

        Parameters
        ----------
        estimator : CNNClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        check_is_fitted(estimator)
        pairs = zip(estimator.classes_.tolist(), estimator.class_count_.tolist(), strict=True)
        return cls(dict(pairs)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        self
        """
        ax = plt.subplots()[1] if ax is None else ax
        labels, counts = [plain_text(label) for label in self.counts], list(self.counts.values())
        bars = ax.barh(labels, counts, color="#4878a8")
        ratio = max(counts) / min(counts)
        ax.bar_label(bars, [f"{count}" for count in counts], padding=3)
        ax.invert_yaxis()
        ax.set(xlabel="rows", title=f"Largest to smallest class: {ratio:.3g} to 1")
        ax.margins(x=0.15)
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class TrainingHistoryDisplay:
    """Losses over the epochs, one line a training or the mean of several.

    Parameters
    ----------
    histories : dict of str to list of list of float
        Name to the loss of each epoch of each of its trainings.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was plotted.
    figure_ : matplotlib Figure
        Its figure.

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
        """Plot the training, and the validation where there was one, of a fitted estimator.

        Parameters
        ----------
        estimator : CNNClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

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
            Where to plot; None: a new figure.

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
