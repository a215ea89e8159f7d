"""Images of noise, whose standard deviation is the target: the simplest regression on images."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

__all__ = ["make_variance_images"]

#: The distributions of the target: balanced, with a missing range, and with rare ends.
DISTRIBUTIONS = {
    "uniform": lambda rng, n: rng.uniform(1, 10, size=n),
    "truncated": lambda rng, n: rng.uniform(1, 5, size=n),
    "normal": lambda rng, n: rng.normal(5.5, 1.0, size=n),
}


def make_variance_images(
    n_samples: int = 1000,
    *,
    distribution: str = "uniform",
    side: int = 16,
    random_state: Any = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    r"""Make grey images of noise, :math:`N(0, \sigma^2)`, whose :math:`\sigma` is to be predicted.

    No pixel gives the target away, and no image is mislabelled: errors of a network beyond the
    sampling error of about :math:`\sigma / (\sqrt 2 \cdot side)` are due to the distribution of the
    training targets. The three distributions thus show the cost of an imbalanced target, and how
    much of it a method recovers.

    Parameters
    ----------
    n_samples : int, default=1000
        Images.
    distribution : {"uniform", "truncated", "normal"}, default="uniform"
        The distribution of the target: U(1, 10) is balanced, U(1, 5) lacks a range, and the ends of
        N(5.5, 1) are rare.
    side : int, default=16
        Height and width in pixels.
    random_state : int, RandomState instance or None, default=None
        It determines targets and noise.

    Returns
    -------
    X : ndarray of shape (n_samples, side, side), float32
        Images.
    y : ndarray of shape (n_samples,), float64
        Standard deviations, positive.

    Raises
    ------
    ValueError
        If the distribution is unknown, or a size is not a positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import make_variance_images
    >>> X, y = make_variance_images(200, distribution="truncated", random_state=0)
    >>> X.shape, bool(y.max() <= 5), bool(np.corrcoef(X.std(axis=(1, 2)), y)[0, 1] > 0.98)
    ((200, 16, 16), True, True)
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(
            f"`distribution` must be one of {list(DISTRIBUTIONS)}. Got {distribution!r}."
        )
    for name, value in (("n_samples", n_samples), ("side", side)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"`{name}` must be a positive int. Got {value!r}.")
    rng = check_random_state(random_state)
    # The normal one goes below zero once in 50 million draws.
    y = np.maximum(DISTRIBUTIONS[distribution](rng, n_samples), 0.01)
    X = rng.normal(size=(n_samples, side, side)) * y[:, np.newaxis, np.newaxis]
    return X.astype(np.float32), y
