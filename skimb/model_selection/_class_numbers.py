r"""The numbers of the vector-scaling loss for each class, as functions of few parameters.

The loss multiplies the logits by :math:`\Delta_k` and adds :math:`\iota_k`. A search over all these
2K numbers fits the noise of classes that have few held-out samples. Here, they follow from a matrix
B of K rows, such as attributes of the classes:

.. math:: \log \Delta = c(b \tanh(B u / b)), \qquad \iota = \log \pi + B v

The parameters are u and v. :math:`c` subtracts the mean, and the columns of B have mean zero: equal
changes of all numbers, which would change no decision, are left out. Parameters of zero are the
logit adjustment.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from skimb._messages import shown

__all__ = [
    "ATTRIBUTES",
    "ClassNumbers",
    "attribute_basis",
    "class_counts",
    "class_numbers",
    "difficulty_of_classes",
    "free_basis",
    "group_basis",
]

#: What the numbers can follow from, by name.
ATTRIBUTES = ("auto", "log_frequency", "difficulty", "groups", "free")

#: The logarithm of a multiplier lies within this number before the mean is subtracted, so that one
#: multiplier is at most 16 times another.
MOST_LOG_MULTIPLIER = float(np.log(4))

#: Held-out samples of a class that weigh as much as the mean difficulty of all classes.
SHRINKAGE = 5

#: A column whose part that is new is smaller than this fraction repeats the columns before it.
REPEATED = 1e-6


@dataclass(frozen=True, eq=False)
class ClassNumbers:
    """Multipliers and offsets of the classes as a differentiable function of parameters.

    Parameters
    ----------
    basis : ndarray of shape (n_classes, n_columns)
        The matrix B. Columns have mean zero and mean square one.
    log_prior : ndarray of shape (n_classes,)
        The offsets from which the search starts.
    names : tuple of str
        The name of each column.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skimb.model_selection._class_numbers import ClassNumbers, free_basis
    >>> numbers = ClassNumbers(*free_basis(2), log_prior=np.log([0.9, 0.1]))
    >>> numbers.n_parameters
    2
    >>> multiplier, offset = numbers(torch.zeros(2, dtype=torch.float64))
    >>> multiplier.tolist(), offset.exp().numpy().round(3).tolist()
    ([1.0, 1.0], [0.9, 0.1])
    """

    basis: np.ndarray
    names: tuple
    log_prior: np.ndarray

    @property
    def n_parameters(self):
        """The number of parameters: two for each column."""
        return 2 * self.basis.shape[1]

    @property
    def parameter_names(self):
        """The name of each parameter."""
        return tuple(
            f"{kind}[{name}]" for kind in ("log_multiplier", "offset") for name in self.names
        )

    def start(self):
        """Return the parameters of the logit adjustment: zeros.

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        return np.zeros(self.n_parameters)

    def nearest(self, tau):
        """Return the parameters nearest to a logit adjustment of another strength.

        Parameters
        ----------
        tau : float

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        moved = (tau - 1) * (self.log_prior - self.log_prior.mean())
        return np.append(np.zeros(self.basis.shape[1]), np.linalg.pinv(self.basis) @ moved)

    def bounds(self):
        """Return the least and the largest value of each parameter.

        Returns
        -------
        low, high : ndarray of shape (n_parameters,)
            Offsets may move by three times the spread of the log prior, or by 3 where it is small.
        """
        n_columns = self.basis.shape[1]
        most = max(3.0, 3.0 * float(self.log_prior.std()))
        high = np.repeat([2 * MOST_LOG_MULTIPLIER, most], n_columns)
        return -high, high

    def values(self, parameters):
        """Return the numbers of the classes as arrays.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)

        Returns
        -------
        multiplier, offset : ndarray of shape (n_classes,)
        """
        made = self(torch.as_tensor(parameters, dtype=torch.float64, device="cpu"))
        return tuple(values.numpy() for values in made)

    def __call__(self, parameters):
        """Return the numbers of the classes.

        Parameters
        ----------
        parameters : Tensor of shape (n_parameters,), float64

        Returns
        -------
        multiplier, offset : Tensor of shape (n_classes,)
            Positive multipliers with the geometric mean 1, and offsets with the mean of the log
            prior.
        """
        basis = torch.as_tensor(self.basis, dtype=parameters.dtype, device=parameters.device)
        log_prior = torch.as_tensor(
            self.log_prior, dtype=parameters.dtype, device=parameters.device
        )
        of_multiplier, of_offset = parameters.reshape(2, basis.shape[1])
        bound = MOST_LOG_MULTIPLIER
        log_multiplier = bound * torch.tanh(basis @ of_multiplier / bound)
        multiplier = torch.exp(log_multiplier - log_multiplier.mean())
        return multiplier, log_prior + basis @ of_offset


def class_counts(target, n_classes, weight=None):
    """Return how many samples each class has, where an average sample has the weight 1.

    Parameters
    ----------
    target : ndarray of int of shape (n,)
        The position of the class of each sample.
    n_classes : int
    weight : ndarray of shape (n,), default=None
        Sample weights, whose scale does not matter.

    Returns
    -------
    ndarray of shape (n_classes,)
        A class that weighs less than an average sample counts as one, as for the heads.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._class_numbers import class_counts
    >>> class_counts(np.array([0, 0, 0, 1]), 2, np.array([0.1, 0.1, 0.1, 0.3])).round(9).tolist()
    [2.0, 2.0]
    """
    weight = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
    fractions = np.bincount(target, weights=weight / weight.sum(), minlength=n_classes)
    return len(target) * np.maximum(fractions, 1 / len(target))


def class_numbers(attributes: Any, counts, difficulty=None, *, n_groups=None):
    """Return the function from parameters to the numbers of the classes.

    Parameters
    ----------
    attributes : {"auto", "log_frequency", "difficulty", "groups", "free"} or array-like
        ``"auto"``: the log frequency and the difficulty of each class [1]_. ``"groups"``: classes
        of similar frequency, with interpolation between the centres of the groups [2]_.
        ``"free"``: two numbers of its own for each class. Or attributes of shape
        (n_classes, n_attributes), in the order of the classes.
    counts : array-like of shape (n_classes,)
        The number, or the weight, of the training samples of each class, on any scale: positive.
    difficulty : array-like of shape (n_classes,), default=None
        As `difficulty_of_classes` returns it; where it is None, ``"auto"`` is the log frequency.
    n_groups : int, default=None
        The number of groups; None: half as many as classes, and at most 10.

    Returns
    -------
    ClassNumbers

    Raises
    ------
    ValueError
        If `attributes` is none of these.

    References
    ----------
    .. [1] Zhang et al., Class-attribute Priors: Adapting Optimization to Heterogeneity and Fairness
       Objective, AAAI 2024, arXiv:2401.14343.
    .. [2] Li et al., AutoBalance: Optimized Loss Functions for Imbalanced Data, NeurIPS 2021,
       arXiv:2201.01212.

    Examples
    --------
    >>> from skimb.model_selection._class_numbers import class_numbers
    >>> class_numbers("auto", [100, 50, 20, 10], [0.1, 0.9, 0.2, 0.3]).n_parameters
    4
    >>> class_numbers("free", [100, 50, 20, 10]).n_parameters
    6
    """
    counts = np.asarray(counts, dtype=np.float64)
    log_prior = np.log(counts / counts.sum())
    if isinstance(attributes, str):
        if attributes not in ATTRIBUTES:
            raise ValueError(
                f"`attributes` must be one of {list(ATTRIBUTES)}, or an array of shape "
                f"(n_classes, n_attributes). Got {attributes!r}."
            )
        if attributes == "free":
            made = free_basis(len(counts))
        elif attributes == "groups":
            made = group_basis(counts, n_groups)
        else:
            columns = {"log_frequency": np.log(counts), "difficulty": difficulty}
            if attributes != "auto":
                columns = {attributes: columns[attributes]}
            columns = {name: column for name, column in columns.items() if column is not None}
            made = attribute_basis(columns, len(counts))
    else:
        table = np.asarray(attributes, dtype=np.float64)
        table = table[:, np.newaxis] if table.ndim == 1 else table
        if table.ndim != 2 or len(table) != len(counts) or not np.isfinite(table).all():
            raise ValueError(
                f"`attributes` must hold finite numbers, one row for each of the {len(counts)} "
                f"classes. Got shape {table.shape}: {shown(table)}."
            )
        made = attribute_basis(dict(enumerate(table.T)), len(counts))
    return ClassNumbers(*made, log_prior=log_prior)


def attribute_basis(columns, n_classes):
    """Return attributes of the classes as a basis: standardised, without columns that repeat.

    Parameters
    ----------
    columns : dict of ndarray of shape (n_classes,)
        Attributes by name.
    n_classes : int

    Returns
    -------
    basis : ndarray of shape (n_classes, n_columns)
        A column that follows from those before it, or is constant, is left out.
    names : tuple of str

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._class_numbers import attribute_basis
    >>> columns = {"a": np.array([1.0, 2, 3]), "b": np.array([2.0, 4, 6])}
    >>> attribute_basis(columns, 3)[1]
    ('a',)
    """
    kept, names, spanned = [], [], np.empty((n_classes, 0))
    for name, column in columns.items():
        centred = np.asarray(column, dtype=np.float64) - np.mean(column)
        size = np.linalg.norm(centred)
        if size <= REPEATED * max(1.0, float(np.abs(column).max())):
            continue
        new = centred - spanned @ (spanned.T @ centred)
        if np.linalg.norm(new) <= REPEATED * size:
            continue
        spanned = np.column_stack([spanned, new / np.linalg.norm(new)])
        kept.append(centred / size * np.sqrt(n_classes))
        names.append(str(name))
    return np.array(kept).reshape(-1, n_classes).T.copy(), tuple(names)


def free_basis(n_classes):
    """Return the basis of all numbers whose mean is zero.

    Parameters
    ----------
    n_classes : int

    Returns
    -------
    basis : ndarray of shape (n_classes, n_classes - 1)
        Orthogonal columns (Helmert).
    names : tuple of str
    """
    basis = np.zeros((n_classes, n_classes - 1))
    for j in range(1, n_classes):
        basis[:j, j - 1] = 1
        basis[j, j - 1] = -j
    basis *= np.sqrt(n_classes) / np.linalg.norm(basis, axis=0)
    return basis, tuple(f"free{j}" for j in range(n_classes - 1))


def group_basis(counts, n_groups=None):
    """Return the basis of values for groups of similar frequency, interpolated to the classes.

    Classes are sorted by count, never by their position, and divided into groups of equal size. A
    class between the centres of two groups gets a value between theirs, by linear interpolation;
    the outer classes continue the last slope. Classes of equal counts get equal values.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        The number of training samples of each class.
    n_groups : int, default=None
        The number of groups; None: half as many as classes, and at most 10.

    Returns
    -------
    basis : ndarray of shape (n_classes, n_columns)
    names : tuple of str

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._class_numbers import group_basis
    >>> group_basis(np.array([10, 20, 40, 80]), 2)[0].round(2).ravel().tolist()
    [-1.34, -0.45, 0.45, 1.34]
    """
    n_classes = len(counts)
    if n_groups is None:
        n_groups = min(10, -(-n_classes // 2))
    n_groups = int(np.clip(n_groups, min(2, n_classes), n_classes))
    # From the largest class on, as in the paper.
    position = rankdata(-np.asarray(counts), method="average") - 1
    centres = np.array([ranks.mean() for ranks in np.array_split(np.arange(n_classes), n_groups)])
    left = np.clip(np.searchsorted(centres, position, side="right") - 1, 0, n_groups - 2)
    share = (position - centres[left]) / (centres[left + 1] - centres[left])
    weights = np.zeros((n_classes, n_groups))
    weights[np.arange(n_classes), left] = 1 - share
    weights[np.arange(n_classes), left + 1] = share
    columns = weights @ free_basis(n_groups)[0]
    return attribute_basis({f"group{j}": column for j, column in enumerate(columns.T)}, n_classes)


def difficulty_of_classes(log_proba, target, n_classes, *, prior):
    """Return how hard each class is to recognise, apart from being rare.

    It is the mean loss of the samples of a class after logit adjustment: minus the logarithm of the
    probability of their class under equal priors. The mean of a class of few samples is shrunk
    towards that of all classes.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of held-out samples, for the prior of the training.
    target : ndarray of int of shape (n,)
        The position of the class of each sample.
    n_classes : int
    prior : ndarray of shape (n_classes,)
        The class prior of the training.

    Returns
    -------
    ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._class_numbers import difficulty_of_classes
    >>> log_proba = np.log(np.repeat([[0.9, 0.1], [0.4, 0.6]], 50, axis=0))
    >>> target = np.repeat([0, 1], 50)
    >>> difficulty_of_classes(log_proba, target, 2, prior=np.full(2, 0.5)).round(2).tolist()
    [0.12, 0.49]
    """
    adjusted = log_proba - np.log(prior)
    adjusted = adjusted - np.logaddexp.reduce(adjusted, axis=1, keepdims=True)
    loss = -adjusted[np.arange(len(target)), target]
    counts = np.bincount(target, minlength=n_classes)
    total = np.bincount(target, weights=loss, minlength=n_classes)
    present = counts > 0
    mean = float(np.mean(total[present] / counts[present])) if present.any() else 0.0
    return (total + SHRINKAGE * mean) / (counts + SHRINKAGE)
