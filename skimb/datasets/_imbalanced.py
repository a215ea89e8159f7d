"""Make imbalanced data from balanced data."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from skimb._messages import shown
from skimb._params import safe_indexing

__all__ = ["load_imbalanced_digits", "make_long_tailed"]


def load_imbalanced_digits(
    return_X_y: bool = False,
    *,
    minority: Any = 8,
    ratio: float | None = None,
    multiclass: bool = False,
    random_state: Any = 0,
) -> Any:
    """Load scikit-learn's handwritten digits with one or most classes reduced to few samples.

    The 1797 grey images of 8x8 pixels are real, and small enough for a full study in minutes.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    minority : int, default=8
        The digit of the minority class. It is ignored with ``multiclass=True``.
    ratio : float, default=None
        Ratio of the sizes of the largest and the smallest class. None: 20, or 50 with
        ``multiclass=True``.
    multiclass : bool, default=False
        False: two classes, `minority` (label 1) and the nine other digits (label 0). True: ten
        classes, long-tailed from many zeros to few nines.
    random_state : int, RandomState instance or None, default=0
        It determines which samples stay.

    Returns
    -------
    Bunch
        ``data``, uint8 of shape (n, 8, 8) with grey levels 0 to 16; ``target``, int of shape (n,);
        ``target_names``, list of str. With ``return_X_y=True`` the pair ``(data, target)``.

    Raises
    ------
    ValueError
        If `minority` is no digit, or `ratio` is below 1.

    References
    ----------
    .. [1] Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
       Repository, 1998, doi:10.24432/C50P49.

    Examples
    --------
    >>> from skimb.class_weight import class_counts
    >>> from skimb.datasets import load_imbalanced_digits
    >>> digits = load_imbalanced_digits()
    >>> digits.data.shape, digits.data.dtype
    ((1704, 8, 8), dtype('uint8'))
    >>> class_counts(digits.target)
    {0: 1623, 1: 81}
    """
    source = load_digits()
    data = source.images.astype(np.uint8)
    if multiclass:
        target, names = source.target, [str(digit) for digit in range(10)]
        ratio = 50 if ratio is None else ratio
        data, target = make_long_tailed(data, target, ratio=ratio, random_state=random_state)
    else:
        if minority not in range(10):
            raise ValueError(f"`minority` must be a digit from 0 to 9. Got {minority!r}.")
        target, names = (source.target == minority).astype(np.int64), ["rest", str(minority)]
        ratio = 20 if ratio is None else ratio
        data, target = make_long_tailed(
            data, target, ratio=ratio, profile="step", random_state=random_state
        )
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=names)


def make_long_tailed(
    X: Any, y: ArrayLike, *, ratio: float, profile: str = "exp", random_state: Any = None
) -> tuple[Any, Any]:
    r"""Remove samples until the classes have a given imbalance.

    The classes are ranked by their sorted labels, the first the largest: with K classes and the
    imbalance ratio :math:`\rho`, class k of the exponential profile keeps :math:`\lfloor
    n_{max}\,\rho^{-k/(K-1)} \rfloor` samples [1]_. If the classes of y differ in size,
    :math:`n_{max}` is the largest number for which every class has enough samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples in any form that scikit-learn can index: images, features, paths, frames.
    y : array-like of shape (n_samples,)
        Labels.
    ratio : float
        Ratio of the sizes of the largest and the smallest class, at least 1.
    profile : {"exp", "step"}, default="exp"
        ``"exp"``: sizes fall geometrically. ``"step"``: the first half of the classes (rounded up)
        keep :math:`n_{max}` samples, the others :math:`n_{max}/\rho`.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay.

    Returns
    -------
    X_long_tailed, y_long_tailed
        The samples that stay, in their original order and in the containers of X and y.

    Raises
    ------
    ValueError
        If the ratio is below 1, there is one class only, or a class would keep no sample.

    References
    ----------
    .. [1] Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
       NeurIPS 2019, arXiv:1906.07413.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import make_long_tailed
    >>> y = np.repeat(np.arange(10), 5000)
    >>> X, y = make_long_tailed(np.arange(len(y)), y, ratio=100, random_state=0)
    >>> np.bincount(y)
    array([5000, 2997, 1796, 1077,  645,  387,  232,  139,   83,   50])
    """
    check_consistent_length(X, y)
    if not isinstance(ratio, Real) or not 1 <= float(ratio) < np.inf:
        raise ValueError(f"`ratio` must be a number of at least 1. Got {ratio!r}.")
    if profile not in ("exp", "step"):
        raise ValueError(f"`profile` must be 'exp' or 'step'. Got {profile!r}.")
    labels, encoded, available = np.unique(np.asarray(y), return_inverse=True, return_counts=True)
    sizes = _profile_sizes(available, ratio=float(ratio), profile=profile)
    if sizes.min() < 1:
        raise ValueError(
            f"ratio={ratio} leaves class {shown(labels[sizes.argmin()])} without a sample: the "
            f"largest class would have {sizes.max()}. Use a smaller ratio, or more samples."
        )
    rng = check_random_state(random_state)
    kept = [
        rng.choice(np.flatnonzero(encoded == k), size=size, replace=False)
        for k, size in enumerate(sizes)
    ]
    rows = np.sort(np.concatenate(kept))
    return safe_indexing(X, rows), safe_indexing(y, rows)


def _profile_sizes(available, *, ratio, profile):
    n_classes = len(available)
    if n_classes < 2:
        raise ValueError("y holds one class only; a long tail needs at least two.")
    rank = np.arange(n_classes)
    if profile == "exp":
        fraction = ratio ** (-rank / (n_classes - 1))
    else:
        fraction = np.where(rank < n_classes - n_classes // 2, 1.0, 1.0 / ratio)
    largest = np.floor((available / fraction).min() + 1e-9)
    # 5000 * 100 ** -1.0 is 49.99999...: the guard keeps the published counts.
    return np.floor(largest * fraction + 1e-9).astype(np.intp)
