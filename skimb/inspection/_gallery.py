"""The most confident mistakes of a classifier."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from skimb._displayed_images import displayed_images_by_label
from skimb._drawn_text import distinct_texts, plain_text
from skimb._frame_images import only_images
from skimb._unpacking import plain_vector
from skimb.inspection._layout import (
    LARGEST_SIZE,
    LETTER,
    MOST_HEIGHT,
    axes_width,
    keep_inside,
    new_axes,
    texts_within,
    width_of_part,
)

__all__ = ["ImageGalleryDisplay", "confident_mistakes", "predictions_with_confidence"]

#: Distance between the lines of a gallery, in widths of an image with its margin.
PITCH = 1.3

#: The side of an image with its margin in a new figure, and the least in given axes, in points.
SIDE, LEAST_SIDE = 79.0, 34.0

#: Number of letters that fit next to a line.
LABEL_WIDTH = 26

#: The fraction of the width of given axes that the names of classes may take.
NAMES = 0.25


def confident_mistakes(
    y_true: Any, y_pred: Any, confidence: Any, *, n_images: int
) -> dict[Any, NDArray[np.intp]]:
    """Find the mistakes of each true class that were made most confidently.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels.
    confidence : array-like of shape (n,)
        The probability that was given to the predicted label.
    n_images : int
        Largest number of mistakes per class.

    Returns
    -------
    dict of label to ndarray of int
        Indices of the mistakes, the most confident first, for the classes that have any.

    Examples
    --------
    >>> from skimb.inspection import confident_mistakes
    >>> confident_mistakes(["a", "a", "b"], ["b", "b", "b"], [0.6, 0.9, 0.7], n_images=8)
    {'a': array([1, 0])}
    """
    y_true, y_pred = plain_vector(y_true, "y_true"), plain_vector(y_pred, "y_pred")
    confidence = np.asarray(confidence, dtype=np.float64)
    check_consistent_length(y_true, y_pred, confidence)
    wrong = np.flatnonzero(y_true != y_pred)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return {
        label: wrong[y_true[wrong] == label][:n_images]
        for label in np.unique(y_true[wrong]).tolist()
    }


class ImageGalleryDisplay:
    """The most confident mistakes of a classifier as images, one line per class.

    Each image stands in the line of its true class, above the predicted label and its probability.
    Wrong labels in the data are often found here.

    Parameters
    ----------
    pictures : dict
        Label to a list of images, arrays of shape (H, W) or (H, W, C) and dtype uint8.
    captions : dict
        Label to a list of as many captions.
    rows : dict, default=None
        Label to the indices of the images in X.

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
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, n_images: int = 8, ax: Any = None
    ) -> Self:
        """Plot the mistakes that a fitted classifier makes.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``.
        X : array-like of n images or paths, or DataFrame
            Images that it was not fitted on. Of a frame with several columns of images, the first
            is shown.
        y : array-like of shape (n,)
            Their labels.
        n_images : int, default=8
            Largest number of images per class.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        ImageGalleryDisplay
        """
        predicted, confidence = predictions_with_confidence(estimator, X)
        return cls.from_predictions(
            only_images(X, getattr(estimator, "image_column", None)),
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
        X: Any,
        y_true: Any,
        y_pred: Any,
        confidence: Any,
        *,
        n_images: int = 8,
        image_shape: Any = None,
        channels: Any = None,
        ax: Any = None,
    ) -> Self:
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
            Largest number of images per class.
        image_shape, channels
            As in `CNNClassifier`.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        ImageGalleryDisplay
        """
        check_consistent_length(X, y_true)
        y_pred, confidence = plain_vector(y_pred, "y_pred"), np.asarray(confidence)
        rows = confident_mistakes(y_true, y_pred, confidence, n_images=n_images)
        shown = displayed_images_by_label(X, rows, image_shape=image_shape, channels=channels)
        captions = {
            label: [f"{y_pred[row]} {confidence[row]:.0%}" for row in chosen]
            for label, chosen in rows.items()
        }
        return cls(shown, captions, rows=rows).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        self
        """
        n_lines = max(1, len(self.pictures))
        n_columns = max([len(line) for line in self.pictures.values()], default=1)
        if ax is None:
            most = max(map(len, distinct_texts(self.pictures, most=LABEL_WIDTH)), default=0)
            size = (0.5 + 0.1 * most + SIDE / 72 * n_columns, 0.3 + PITCH * SIDE / 72 * n_lines)
            ax = new_axes(*size)
            n_lines = min(n_lines, int(MOST_HEIGHT * 72 / (PITCH * SIDE)))
        else:
            # Images that are too small to see are left out.
            names = texts_within(self.pictures, ax, NAMES, most=LABEL_WIDTH)
            width = width_of_part(ax) - max(map(len, names), default=0) * LETTER * LARGEST_SIZE - 16
            height = 72 * ax.bbox.height / ax.figure.dpi
            n_lines = int(np.clip(height // (PITCH * LEAST_SIDE), 1, n_lines))
            n_columns = int(np.clip(width // LEAST_SIDE, 1, n_columns))
        drawn = dict(list(self.pictures.items())[:n_lines])
        for i, line in enumerate(drawn.values()):
            for j, picture in enumerate(line[:n_columns]):
                y = i * PITCH
                high, wide = np.divide(picture.shape[:2], 2.2 * max(picture.shape[:2]))
                place = (j - wide, j + wide, y + high, y - high)
                ax.imshow(picture, extent=place, cmap="gray", vmin=0, vmax=255)
        texts = texts_within(drawn, ax, NAMES, most=LABEL_WIDTH)
        if n_lines < len(self.pictures):
            ax.set_title(f"{n_lines} of {len(self.pictures)} classes", fontsize=9)
        ax.set(
            xlim=(-0.5, n_columns - 0.5),
            ylim=((n_lines - 1) * PITCH + 0.8, -0.5),
            xticks=[],
            yticks=PITCH * np.arange(len(drawn)),
            yticklabels=texts,
            aspect="equal",
        )
        if not self.pictures:
            ax.text(0, 0, "no mistakes", ha="center", va="center")
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        keep_inside(ax)
        self._write_captions(ax, drawn, n_columns)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _write_captions(self, ax, drawn, n_columns):
        """Write the captions, as wide as images are in the layout of the figure."""
        side = axes_width(ax) / n_columns
        # Small letters, digits and the sign of percent are wider than the mean.
        widest = 0.97 * side / (1.15 * LETTER)
        longest = max([len(text) for label in drawn for text in self.captions[label]], default=1)
        size = float(np.clip(widest / longest, 5.5, 8))
        most = max(int(widest / size), 4)
        for i, label in enumerate(drawn):
            for j, caption in enumerate(self.captions[label][:n_columns]):
                # The end of a caption is the probability.
                text = plain_text(caption, most=most)
                y = i * PITCH + 0.49
                ax.text(j, y, text, ha="center", va="top", fontsize=size, in_layout=False)


def predictions_with_confidence(estimator: Any, X: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the predictions of a classifier, and the probability of each.

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
