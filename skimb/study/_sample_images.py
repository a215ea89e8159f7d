"""The images that a comparison shows: samples of the classes, and the most confident mistakes."""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.ticker import EngFormatter
from PIL import Image

from skimb._displayed_images import displayed_images_by_label

__all__ = [
    "MOST_CLASSES_SHOWN",
    "MOST_MISTAKES_SHOWN",
    "Gallery",
    "gallery",
    "pooled_mistakes",
    "samples",
    "short_number",
    "shorten_ticks",
    "thumbnails",
]

#: Classes of which images are shown, the rarest first.
MOST_CLASSES_SHOWN = 10

#: Samples of a class, and mistakes on one.
N_SAMPLES, MOST_MISTAKES_SHOWN = 5, 8

#: Numbers from here to there are written with k, M, ... behind them.
LARGE, TOO_LARGE = 1e4, 1e15

#: Side of an image at most, in pixels: a comparison holds hundreds.
MOST_PIXELS = 96


@dataclass
class Gallery:
    """Images with captions, by label.

    Parameters
    ----------
    pictures : dict
        Label to a list of ndarray of shape (H, W) or (H, W, C), uint8.
    captions : dict
        Label to a list of as many str.
    rows : dict, default={}
        Label to a list of as many indices of samples.
    """

    pictures: dict
    captions: dict
    rows: dict = field(default_factory=dict)


def short_number(value, *, digits=3):
    """Write a number in the space below an image.

    Parameters
    ----------
    value : float
    digits : int, default=3
        The number of digits that count.

    Returns
    -------
    str
        ``5.86M`` for 5858000.
    """
    rounded = float(f"{value:.{digits}g}")
    if LARGE <= abs(rounded) < TOO_LARGE:
        return EngFormatter(sep="")(rounded).replace("\N{MINUS SIGN}", "-")
    return f"{rounded:g}"


def shorten_ticks(*axes):
    """Write the numbers of axes as `short_number` does, where they are large.

    Parameters
    ----------
    *axes : matplotlib Axis
        The axes; their limits are final.
    """
    for axis in axes:
        low, high = axis.get_view_interval()
        if LARGE <= max(abs(low), abs(high)) < TOO_LARGE:
            axis.set_major_formatter(EngFormatter(sep=""))


def samples(X, y, labels, **shape):
    """Return images of a few random samples of each of the first classes.

    Parameters
    ----------
    X : array-like of n images or paths
    y : ndarray of shape (n,)
    labels : list
        Classes, those to be shown first.
    **shape
        ``image_shape`` and ``channels``, as in `CNNClassifier`.

    Returns
    -------
    dict of label to list of ndarray
    """
    rng = np.random.RandomState(0)
    rows = {
        label: rng.permutation(np.flatnonzero(y == label))[:N_SAMPLES]
        for label in labels[:MOST_CLASSES_SHOWN]
    }
    return thumbnails(X, rows, **shape)


def pooled_mistakes(X, outcomes, labels, **shape):
    """Pool the mistakes of all runs of a strategy: each sample once, the most confident first.

    Parameters
    ----------
    X : array-like of n images or paths
        The images that the rows of the mistakes are indices of.
    outcomes : list of ClassificationOutcome
        The results of one strategy.
    labels : list
        Classes, those to be shown first.
    **shape
        ``image_shape`` and ``channels``, as in `CNNClassifier`.

    Returns
    -------
    Gallery
        The mistakes of the first classes that have any.
    """
    rows, captions = {}, {}
    for label in labels:
        pooled = {}
        for confidence, row, predicted in sorted(
            (mistake for outcome in outcomes for mistake in outcome.mistakes.get(label, [])),
            key=lambda mistake: (-(mistake[0] or 0), mistake[1]),
        ):
            told = "" if confidence is None else f" {confidence:.0%}"
            pooled.setdefault(row, f"{predicted}{told}")
        if pooled and len(rows) < MOST_CLASSES_SHOWN:
            rows[label] = list(pooled)[:MOST_MISTAKES_SHOWN]
            captions[label] = [pooled[row] for row in rows[label]]
    return gallery(X, rows, captions, **shape)


def gallery(X, rows, captions, **shape):
    """Return the images of some samples, with captions.

    Parameters
    ----------
    X : array-like of n images or paths
    rows : dict
        Label to the indices of samples.
    captions : dict
        Label to a caption for each.
    **shape
        ``image_shape`` and ``channels``, as in `CNNClassifier`.

    Returns
    -------
    Gallery
    """
    return Gallery(thumbnails(X, rows, **shape) if rows else {}, captions, rows)


def thumbnails(X, rows, **shape):
    """Return the images of samples by label, made small.

    Parameters
    ----------
    X : array-like of n images or paths
    rows : dict
        Label to the indices of samples.
    **shape
        ``image_shape`` and ``channels``, as in `CNNClassifier`.

    Returns
    -------
    dict of label to list of ndarray
    """
    return {
        label: [_small(image) for image in images]
        for label, images in displayed_images_by_label(X, rows, **shape).items()
    }


def _small(pixels):
    image = Image.fromarray(pixels)
    image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(image)
