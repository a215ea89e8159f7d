"""Descriptors of small images for the search of near copies.

The grey levels of an image are replaced by their ranks, so that brightness and contrast do not
matter, and the ranks by the lowest coefficients of their cosine transform. A flip changes the signs
of odd coefficients, and a quarter turn swaps the two axes as well: the descriptors of all eight
orientations follow from one. What the images of a set have in common is taken away by the mean and
the variance of each coefficient over all images and orientations.
"""

import numpy as np

__all__ = ["N_ORIENTATIONS", "WINDOWS", "Whitening", "inverse", "oriented", "ranks", "transform"]

#: Coefficients along each axis.
N_COEFFICIENTS = 8

#: The eight flips and turns: bit 0 mirrors left and right, bit 1 top and bottom, then bit 2 swaps
#: the axes.
N_ORIENTATIONS = 8

#: Windows (left, top, width, height) of an image, as fractions: a copy may be a crop of it.
WINDOWS = (
    (0.0, 0.0, 1.0, 1.0),
    *((x, y, 0.93, 0.93) for x in (0.0, 0.07) for y in (0.0, 0.07)),
    *((x, y, 0.87, 0.87) for x in (0.03, 0.10) for y in (0.03, 0.10)),
)


def ranks(small):
    """Return the ranks of the grey levels in each image, as fractions.

    Parameters
    ----------
    small : ndarray of shape (n, S, S), uint8

    Returns
    -------
    ndarray of shape (n, S, S), float32
    """
    flat = small.reshape(len(small), -1)
    found = np.empty(flat.shape, dtype=np.float32)
    # The rank of a level is the middle of those of equal levels: counts suffice, as levels are few.
    for i, levels in enumerate(flat):
        counts = np.bincount(levels, minlength=256)
        middle = np.cumsum(counts) - (counts - 1) / 2
        found[i] = (middle / len(levels))[levels]
    return found.reshape(small.shape)


def transform(values, window):
    """Return the lowest coefficients of the cosine transform of a window, of unit length.

    Parameters
    ----------
    values : ndarray of shape (n, S, S), float32
    window : tuple of float
        Left, top, width and height, as fractions.

    Returns
    -------
    ndarray of shape (n, 64), float32
        The first one, the mean, is zero.
    """
    left, top, width, height = window
    rows, columns = (
        _basis(start, size, values.shape[1]) for start, size in ((top, height), (left, width))
    )
    found = np.matmul(np.matmul(rows, values), columns.T).reshape(len(values), -1)
    found[:, 0] = 0
    return _unit(found)


def _basis(start, size, n_pixels):
    """Return the integrals of cosines over the pixels of a window, outside of which they are 0."""
    edges = np.clip((np.arange(n_pixels + 1) / n_pixels - start) / size, 0, 1)
    k = np.arange(1, N_COEFFICIENTS)[:, None]
    waves = np.diff(np.sin(np.pi * k * edges), axis=1) / (np.pi * k) * np.sqrt(2)
    return np.vstack([np.diff(edges), waves]).astype(np.float32)


def oriented(descriptors, orientation):
    """Return the descriptors of the same images, flipped or turned.

    Parameters
    ----------
    descriptors : ndarray of shape (n, 64)
    orientation : int
        From 0 to 7, see `N_ORIENTATIONS`.

    Returns
    -------
    ndarray of shape (n, 64)
    """
    found = descriptors.reshape(-1, N_COEFFICIENTS, N_COEFFICIENTS)
    odd = np.where(np.arange(N_COEFFICIENTS) % 2, -1, 1).astype(descriptors.dtype)
    if orientation & 1:
        found = found * odd
    if orientation & 2:
        found = found * odd[:, None]
    if orientation & 4:
        found = found.transpose(0, 2, 1)
    return found.reshape(descriptors.shape)


def inverse(orientation):
    """Return the orientation that undoes another.

    Parameters
    ----------
    orientation : int

    Returns
    -------
    int

    Examples
    --------
    >>> from skimb.study._inspect._descriptors import inverse
    >>> [inverse(orientation) for orientation in range(8)]
    [0, 1, 2, 3, 4, 6, 5, 7]
    """
    if orientation & 4 and orientation & 3 in (1, 2):
        return orientation ^ 3
    return orientation


class Whitening:
    """The mean and the variance of descriptors over a set and all eight orientations.

    Parameters
    ----------
    descriptors : ndarray of shape (n, 64)
        Those of whole images.
    """

    def __init__(self, descriptors):
        shape = N_COEFFICIENTS, N_COEFFICIENTS
        mean = descriptors.mean(axis=0, dtype=np.float64).reshape(shape)
        # Over all flips, the mean of an odd coefficient is zero.
        even = np.arange(N_COEFFICIENTS) % 2 == 0
        mean = np.where(even & even[:, None], mean, 0)
        mean = (mean + mean.T) / 2
        variance = ((descriptors - mean.ravel()) ** 2).mean(axis=0, dtype=np.float64).reshape(shape)
        variance = (variance + variance.T) / 2
        scale = 1 / np.sqrt(np.maximum(variance, 1e-4 * variance.max() + 1e-12))
        scale[0, 0] = 0
        self.mean = mean.ravel().astype(np.float32)
        self.scale = scale.ravel().astype(np.float32)

    def __call__(self, descriptors):
        """Return whitened descriptors of unit length."""
        return _unit((descriptors - self.mean) * self.scale)


def _unit(values):
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.maximum(length, 1e-6)).astype(np.float32)
