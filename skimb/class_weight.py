"""Class counts, class priors and class weights.

Labels may be strings, numbers (not necessarily consecutive) or bool. A scheme is a pure function of
the counts of the labels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skimb._label_columns import sorted_labels
from skimb._messages import shown
from skimb._unpacking import plain_vector

__all__ = [
    "SCHEMES",
    "class_counts",
    "class_prior",
    "compute_class_weight",
    "minority_class",
    "weights_from_counts",
]

#: The names of schemes.
SCHEMES = ("balanced", "sqrt", "effective")


def class_counts(y: ArrayLike) -> dict[Any, int]:
    """Count the samples of each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    Returns
    -------
    dict
        Label to number of samples, in sorted order of the labels.

    Examples
    --------
    >>> from skimb.class_weight import class_counts
    >>> class_counts(["dog", "cat", "dog", "dog"])
    {'cat': 1, 'dog': 3}
    """
    y = plain_vector(y)
    # It refuses labels that cannot be sorted.
    sorted_labels({"y": y})
    labels, counts = np.unique(y, return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def class_prior(y: ArrayLike) -> dict[Any, float]:
    """Return the fraction of each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    Returns
    -------
    dict
        Label to its fraction of the samples; the fractions sum to 1.

    Examples
    --------
    >>> from skimb.class_weight import class_prior
    >>> class_prior(["dog", "cat", "dog", "dog"])
    {'cat': 0.25, 'dog': 0.75}
    """
    counts = class_counts(y)
    total = sum(counts.values())
    return {label: count / total for label, count in counts.items()}


def minority_class(y: ArrayLike) -> Any:
    """Return the rarest label, the first in sorted order among equals.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    Returns
    -------
    label

    Examples
    --------
    >>> from skimb.class_weight import minority_class
    >>> minority_class(["dog", "cat", "dog", "dog"])
    'cat'
    """
    counts = class_counts(y)
    return min(counts, key=counts.__getitem__)


def compute_class_weight(
    class_weight: str | dict[Any, float] | None,
    *,
    classes: ArrayLike,
    y: ArrayLike,
    beta: float = 0.9999,
) -> NDArray[np.float64]:
    r"""Return one weight per class.

    Weights make an error on a minority class cost more. ``"balanced"`` is scikit-learn's scheme;
    the others are milder. The parameters have the names of
    `sklearn.utils.class_weight.compute_class_weight`.

    Parameters
    ----------
    class_weight : {"balanced", "sqrt", "effective"}, dict or None
        The scheme. With :math:`n_k` samples of class k, n samples in all and K classes:

        - None: 1 for every class;
        - ``"balanced"``: :math:`n / (K n_k)`;
        - ``"sqrt"``: proportional to :math:`n_k^{-1/2}`, of mean 1 over the samples of y;
        - ``"effective"``: proportional to :math:`(1-\beta) / (1-\beta^{n_k})`, the inverse of the
          effective number of samples [1]_, with sum K;
        - a dict: label to weight, with an entry for every class; others are ignored, so that one
          dict serves folds that miss a class.
    classes : array-like of shape (n_classes,)
        The labels whose weights are returned.
    y : array-like of shape (n_samples,)
        The labels that are counted.
    beta : float, default=0.9999
        Hyperparameter of ``"effective"``, in [0, 1): 0 gives equal weights, values near 1 inverse
        counts.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        The weights, in the order of `classes`.

    Raises
    ------
    ValueError
        If the scheme is unknown, a class has no sample in y (or no entry in the dict), a weight is
        negative or not finite, or beta lies outside [0, 1).

    References
    ----------
    .. [1] Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019,
       arXiv:1901.05555.

    Examples
    --------
    >>> from skimb.class_weight import compute_class_weight
    >>> y = ["cat"] * 1000 + ["dog"] * 11000
    >>> compute_class_weight("balanced", classes=["cat", "dog"], y=y).round(3)
    array([6.   , 0.545])
    """
    found = class_counts(y)
    classes = np.asarray(classes)
    counts = np.array([found.get(label, 0) for label in classes.tolist()])
    return weights_from_counts(class_weight, classes=classes, counts=counts, beta=beta)


def weights_from_counts(
    class_weight: str | dict[Any, float] | None,
    *,
    classes: ArrayLike,
    counts: ArrayLike,
    beta: float = 0.9999,
) -> NDArray[np.float64]:
    """Return one weight per class, as `compute_class_weight`, from counts instead of labels.

    Parameters
    ----------
    class_weight, classes
        As in `compute_class_weight`.
    counts : array-like of shape (n_classes,)
        Samples of each class.
    beta : float, default=0.9999
        As in `compute_class_weight`.

    Returns
    -------
    ndarray of shape (n_classes,), float64

    Raises
    ------
    ValueError
        See `compute_class_weight`.

    Examples
    --------
    >>> from skimb.class_weight import weights_from_counts
    >>> weights_from_counts("balanced", classes=["cat", "dog"], counts=[1000, 11000]).round(3)
    array([6.   , 0.545])
    """
    labels = np.asarray(classes).tolist()
    counts = np.asarray(counts, dtype=np.float64)
    if class_weight is None:
        return np.ones(len(labels))
    if isinstance(class_weight, Mapping):
        return _weights_from_mapping(class_weight, labels)
    if class_weight not in SCHEMES:
        raise ValueError(
            f"`class_weight` must be None, a dict by label or one of {SCHEMES}. "
            f"Got {class_weight!r}."
        )
    if not 0 <= beta < 1:
        raise ValueError(f"`beta` must lie in [0, 1). Got {beta!r}.")
    empty = [label for label, count in zip(labels, counts, strict=True) if count == 0]
    if empty:
        raise ValueError(
            f"class_weight={class_weight!r} needs samples of every class, but y has none "
            f"of {empty}."
        )
    if class_weight == "balanced":
        return counts.sum() / (len(counts) * counts)
    if class_weight == "sqrt":
        weight = counts**-0.5
        return weight * counts.sum() / (weight @ counts)
    # 1 - beta^n loses its digits for beta near 1; expm1 keeps them.
    weight = np.ones_like(counts) if beta == 0 else -1.0 / np.expm1(counts * np.log(beta))
    return weight * len(counts) / weight.sum()


def _weights_from_mapping(class_weight, labels):
    missing = [label for label in labels if label not in class_weight]
    if missing:
        raise ValueError(
            f"`class_weight` has no entry for {shown(missing)}. Labels seen in y: {shown(labels)}. "
            "Give every label a weight, or use 'balanced'."
        )
    weight = np.array([class_weight[label] for label in labels], dtype=np.float64)
    if not np.all(np.isfinite(weight)) or np.any(weight < 0):
        raise ValueError(
            f"Class weights must be finite and not negative. Got {shown(class_weight)}."
        )
    return weight
