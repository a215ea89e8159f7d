"""The number of samples of each class."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skimb._displayed_images import displayed_images_by_label
from skimb._drawn_text import distinct_texts
from skimb.class_weight import class_counts

__all__ = ["ClassDistributionDisplay"]

#: Height of an image next to a bar, in points.
THUMBNAIL = 26


class ClassDistributionDisplay:
    """The number of samples of each class, as bars, with sample images next to them.

    Parameters
    ----------
    counts : dict
        Label to number of samples.
    samples : dict, default=None
        Label to a list of images, arrays of shape (H, W) or (H, W, C) and dtype uint8.

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
            The images to show as samples. None: no images are shown.
        n_images : int, default=5
            Number of images per class.
        image_shape, channels
            As in `CNNClassifier`.
        random_state : int, RandomState instance or None, default=0
            It determines the images.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

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
            samples = displayed_images_by_label(X, rows, image_shape=image_shape, channels=channels)
        return cls(class_counts(y), samples=samples).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the classes that a classifier was fitted on.

        Parameters
        ----------
        estimator : CNNClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

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
            The axes to plot on. None: a new figure.

        Returns
        -------
        self
        """
        ax = plt.subplots()[1] if ax is None else ax
        counts = list(self.counts.values())
        bars = ax.barh(range(len(counts)), counts, color="#4878a8")
        ax.set_yticks(range(len(counts)), labels=distinct_texts(self.counts))
        ratio = max(counts) / min(counts)
        ax.bar_label(bars, [f"{count}" for count in counts], padding=3)
        ax.invert_yaxis()
        ax.set(xlabel="samples", title=f"Largest to smallest class: {ratio:.3g} to 1")
        ax.margins(x=0.15)
        ax.spines[["top", "right"]].set_visible(False)
        for row, label in enumerate(self.counts):
            for place, picture in enumerate((self.samples or {}).get(label, [])):
                ax.add_artist(_thumbnail(picture, row, place))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _thumbnail(picture, row, place):
    """Return an image as an artist next to the bar of a class."""
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
