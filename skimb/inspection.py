"""Displays, in scikit-learn's manner: made from an estimator or from labels, then plotted.

Confusion matrices and precision-recall curves are scikit-learn's own.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import MaxNLocator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skimb._images import pictures
from skimb.class_weight import class_counts

__all__ = [
    "ClassDistributionDisplay",
    "ImageGalleryDisplay",
    "TrainingHistoryDisplay",
    "confident_mistakes",
    "plain_text",
    "predictions_with_confidence",
]

#: Height of a picture beside a bar, in points.
THUMBNAIL = 26

#: Distance between the lines of a gallery, in widths of a picture with its margin.
PITCH = 1.3


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
    """How many rows each class has, as bars, with sample images beside them.

    Parameters
    ----------
    counts : dict
        Label to number of rows.
    samples : dict, default=None
        Label to a list of pictures, arrays of shape (H, W) or (H, W, C) and dtype uint8.

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

    def __init__(self, counts, *, samples: Any = None):
        self.counts = counts
        self.samples = samples

    @classmethod
    def from_predictions(
        cls, y, X=None, *, n_images=5, image_shape=None, channels=None, random_state=0, ax=None
    ):
        """Plot the classes of labels.

        Parameters
        ----------
        y : array-like of shape (n,)
            Labels.
        X : array-like of n images or paths, default=None
            Where samples are taken from; None: no samples.
        n_images : int, default=5
            Samples a class.
        image_shape, channels
            As in `CNNClassifier`.
        random_state : int, RandomState instance or None, default=0
            Chooses the samples.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        samples = None
        if X is not None:
            y = column_or_1d(y)
            check_consistent_length(X, y)
            rng = check_random_state(random_state)
            rows = {
                label: rng.permutation(np.flatnonzero(y == label))[:n_images]
                for label in class_counts(y)
            }
            samples = _pictures_by_label(X, rows, image_shape=image_shape, channels=channels)
        return cls(class_counts(y), samples=samples).plot(ax=ax)

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
        for row, label in enumerate(self.counts):
            for place, picture in enumerate((self.samples or {}).get(label, [])):
                ax.add_artist(_thumbnail(picture, row, place))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _pictures_by_label(X, rows, **kwargs):
    """Return the pictures of rows by label; all at once, so that they share one brightness."""
    shown = iter(pictures(X, [row for chosen in rows.values() for row in chosen], **kwargs))
    return {label: [next(shown) for _ in chosen] for label, chosen in rows.items()}


def _thumbnail(picture, row, place):
    """Return a picture as an artist beside the bar of a row."""
    zoom = THUMBNAIL / max(picture.shape[:2])
    return AnnotationBbox(
        OffsetImage(picture, zoom=zoom, cmap="gray", norm=Normalize(0, 255)),
        (1.0, row),
        xycoords=("axes fraction", "data"),
        xybox=(8 + place * (THUMBNAIL + 3), 0),
        boxcoords="offset points",
        box_alignment=(0, 0.5),
        frameon=False,
        pad=0,
        annotation_clip=False,
    )


def confident_mistakes(y_true, y_pred, confidence, *, n_images):
    """Find the mistakes of each true class that were made most confidently.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels.
    confidence : array-like of shape (n,)
        The probability that was given to the predicted label.
    n_images : int
        Mistakes a class at most.

    Returns
    -------
    dict of label to ndarray of int
        Rows, the most confident first; only classes that have any.

    Examples
    --------
    >>> from skimb.inspection import confident_mistakes
    >>> confident_mistakes(["a", "a", "b"], ["b", "b", "b"], [0.6, 0.9, 0.7], n_images=8)
    {'a': array([1, 0])}
    """
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    confidence = np.asarray(confidence, dtype=np.float64)
    check_consistent_length(y_true, y_pred, confidence)
    wrong = np.flatnonzero(y_true != y_pred)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return {
        label: wrong[y_true[wrong] == label][:n_images]
        for label in np.unique(y_true[wrong]).tolist()
    }


class ImageGalleryDisplay:
    """The most confident mistakes of a classifier as pictures, one line a class.

    Each picture stands in the line of its true class; below it stands what it was taken for, and
    the probability that this label was given. Look here for wrong labels first.

    Parameters
    ----------
    pictures : dict
        Label to a list of pictures, arrays of shape (H, W) or (H, W, C) and dtype uint8.
    captions : dict
        Label to a list of as many captions.
    rows : dict, default=None
        Label to the rows that the pictures have in X.

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
    >>> from skimb.inspection import ImageGalleryDisplay
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(max_epochs=2, random_state=0).fit(X[:1000], y[:1000])
    >>> display = ImageGalleryDisplay.from_estimator(clf, X[1000:], y[1000:], n_images=4)
    >>> len(display.pictures[1]), display.pictures[1][0].shape
    (4, (8, 8))
    """

    def __init__(self, pictures, captions, *, rows: Any = None):
        self.pictures = pictures
        self.captions = captions
        self.rows = rows

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_images=8, ax=None):
        """Plot the mistakes that a fitted classifier makes.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``.
        X : array-like of n images or paths
            Images that it was not fitted on.
        y : array-like of shape (n,)
            Their labels.
        n_images : int, default=8
            Pictures a class at most.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        ImageGalleryDisplay
        """
        predicted, confidence = predictions_with_confidence(estimator, X)
        return cls.from_predictions(
            X,
            y,
            predicted,
            confidence,
            n_images=n_images,
            image_shape=getattr(estimator, "image_shape_", None),
            channels=getattr(estimator, "channels", None),
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        confidence,
        *,
        n_images=8,
        image_shape=None,
        channels=None,
        ax=None,
    ):
        """Plot mistakes among predictions.

        Parameters
        ----------
        X : array-like of n images or paths
            Images.
        y_true, y_pred : array-like of shape (n,)
            Labels.
        confidence : array-like of shape (n,)
            The probability that was given to the predicted label.
        n_images : int, default=8
            Pictures a class at most.
        image_shape, channels
            As in `CNNClassifier`.
        ax : matplotlib Axes, default=None
            Where to plot; None: a new figure.

        Returns
        -------
        ImageGalleryDisplay
        """
        check_consistent_length(X, y_true)
        y_pred, confidence = column_or_1d(y_pred), np.asarray(confidence)
        rows = confident_mistakes(y_true, y_pred, confidence, n_images=n_images)
        shown = _pictures_by_label(X, rows, image_shape=image_shape, channels=channels)
        captions = {
            label: [f"{y_pred[row]} {confidence[row]:.0%}" for row in chosen]
            for label, chosen in rows.items()
        }
        return cls(shown, captions, rows=rows).plot(ax=ax)

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
        n_lines = max(1, len(self.pictures))
        n_columns = max([len(line) for line in self.pictures.values()], default=1)
        if ax is None:
            size = (1.2 + 1.1 * n_columns, 0.3 + 1.3 * n_lines)
            ax = plt.subplots(figsize=size, layout="constrained")[1]
        for i, (label, line) in enumerate(self.pictures.items()):
            for j, (picture, caption) in enumerate(zip(line, self.captions[label], strict=True)):
                y = i * PITCH
                high, wide = np.divide(picture.shape[:2], 2.2 * max(picture.shape[:2]))
                place = (j - wide, j + wide, y + high, y - high)
                ax.imshow(picture, extent=place, cmap="gray", vmin=0, vmax=255)
                ax.text(j, y + 0.49, plain_text(caption), ha="center", va="top", fontsize=8)
        ax.set(
            xlim=(-0.5, n_columns - 0.5),
            ylim=((n_lines - 1) * PITCH + 0.8, -0.5),
            xticks=[],
            yticks=PITCH * np.arange(len(self.pictures)),
            yticklabels=[plain_text(label) for label in self.pictures],
            aspect="equal",
        )
        if not self.pictures:
            ax.text(0, 0, "no mistakes", ha="center", va="center")
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def predictions_with_confidence(estimator, X):
    """Return what a classifier predicts, and the probability that it gives to that.

    Parameters
    ----------
    estimator : classifier
        Fitted, with ``predict_proba``.
    X : array-like
        Images.

    Returns
    -------
    predicted, confidence : ndarray of shape (n,)

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.inspection import predictions_with_confidence
    >>> constant = DummyClassifier().fit([[0]] * 4, ["dog", "dog", "dog", "cat"])
    >>> predicted, confidence = predictions_with_confidence(constant, [[0]])
    >>> predicted.tolist(), confidence.tolist()
    (['dog'], [0.75])
    """
    predicted, proba = estimator.predict(X), estimator.predict_proba(X)
    column = np.searchsorted(estimator.classes_, predicted)
    return predicted, proba[np.arange(len(proba)), column]


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
