"""The number of samples of each class."""

from typing import Any, Self

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._displayed_images import displayed_images_by_label
from skimb._drawn_text import distinct_texts
from skimb._unpacking import plain_vector
from skimb.class_weight import class_counts
from skimb.inspection._drawn_classes import GREY
from skimb.inspection._layout import (
    axes_width,
    keep_inside,
    new_axes,
    number_ticks,
    rows_of,
    texts_within,
    width_of_part,
)

__all__ = ["ClassDistributionDisplay"]

#: Height of an image next to a bar, in points.
THUMBNAIL = 26

#: The height of a class in a new figure, in inches: of up to `FEW`, of more, and with images.
FEW, FEW_ROW, ROW, PICTURE_ROW = 12, 0.45, 0.16, 0.27


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
        cls,
        y: ArrayLike,
        X: Any = None,
        *,
        n_images: int = 5,
        image_shape: Any = None,
        channels: Any = None,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
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
            y = plain_vector(y)
            check_consistent_length(X, y)
            rng = check_random_state(random_state)
            rows = {
                label: rng.permutation(np.flatnonzero(y == label))[:n_images]
                for label in class_counts(y)
            }
            samples = displayed_images_by_label(X, rows, image_shape=image_shape, channels=channels)
        return cls(class_counts(y), samples=samples).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
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
        n = len(self.counts)
        if ax is None:
            most = max(map(len, distinct_texts(self.counts)))
            pictures = max(map(len, (self.samples or {}).values()), default=0)
            row = FEW_ROW if n <= FEW else PICTURE_ROW if pictures else ROW
            width = 4.6 + 0.085 * most + 1.5 * (THUMBNAIL + 3) / 72 * pictures
            ax = new_axes(width, max(row * n + 1.1, 2.4))
        counts = list(self.counts.values())
        rows = rows_of(ax, n)
        named = rows.named(n)
        bars = ax.barh(range(n), counts, color=GREY)
        texts = texts_within(self.counts, ax, 0.42, rows.size)
        ax.set_yticks(named, labels=[texts[row] for row in named], fontsize=rows.size)
        written = [f"{count}" if row in set(named) else "" for row, count in enumerate(counts)]
        ax.bar_label(bars, written, padding=3, fontsize=rows.size)
        ax.set_ylim(n - 0.4, -0.6)
        ratio = max(counts) / min(counts)
        ax.set(xlabel="samples", title=f"Largest to smallest class: {ratio:.3g} to 1")
        ax.spines[["top", "right"]].set_visible(False)
        labels = list(self.counts)
        side = min(THUMBNAIL, rows.height - 2.5)
        # Images take a third of the width at the most.
        most = int(0.33 * width_of_part(ax) // (side + 3))
        for row in named:
            for place, picture in enumerate((self.samples or {}).get(labels[row], [])[:most]):
                ax.add_artist(_thumbnail(picture, row, place, side))
        keep_inside(ax)
        # Leave space for the number after the longest bar.
        taken = (len(str(max(counts))) * rows.size * 0.65 + 6) / axes_width(ax)
        ax.set_xlim(0, max(counts) / max(1 - taken, 0.3))
        number_ticks(ax.xaxis, max(counts))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _thumbnail(picture, row, place, side):
    """Return an image as an artist next to the bar of a class."""
    zoom = side / max(picture.shape[:2])
    return AnnotationBbox(
        OffsetImage(picture, zoom=zoom, cmap="gray", norm=Normalize(0, 255)),
        (1.0, row),
        xycoords=("axes fraction", "data"),
        xybox=(8 + place * (side + 3), 0),
        boxcoords="offset points",
        box_alignment=(0, 0.5),
        frameon=False,
        pad=0,
        annotation_clip=False,
    )
