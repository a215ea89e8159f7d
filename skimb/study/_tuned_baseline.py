"""The baseline, tuned: a search over ordinary settings of the training, without any for imbalance.

A method against imbalance is flattered by a baseline that was never tuned. Small batches, label
smoothing and stronger augmentation raise a plain network about as much as most methods do [1]_.

References
----------
.. [1] Shwartz-Ziv et al., Simplifying Neural Network Training Under Class Imbalance, NeurIPS 2023,
   arXiv:2312.02517.
"""

from numbers import Integral
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skimb._groups import are_shared, held_out_folds
from skimb.losses import CrossEntropyLoss
from skimb.neural_network import Jitter

__all__ = [
    "augmented",
    "fit_search",
    "is_search",
    "seeded_search",
    "small_batch",
    "tuned_baseline",
]

#: Folds of the training part, and the fraction of the batch size that is tried.
N_FOLDS, SMALLER = 2, 4
#: The least size of a small batch.
LEAST_BATCH = 8


def augmented(augmentation, *further):
    """Return an augmentation with further steps, the one that mixes samples last.

    Parameters
    ----------
    augmentation : str, callable, list or None
        As in `CNNClassifier`.
    *further : callable
        The steps to add. One that mixes takes the place of a given one, because only one may mix.

    Returns
    -------
    list
    """
    given = augmentation if isinstance(augmentation, list | tuple) else [augmentation]
    steps = [step for step in given if step is not None]
    last = [step for step in further if _mixes(step)] or [step for step in steps if _mixes(step)]
    return [*(step for step in [*steps, *further] if not _mixes(step)), *last]


def _mixes(step):
    return step in ("mixup", "cutmix", "remix") if isinstance(step, str) else hasattr(step, "mix")


def tuned_baseline(estimator, *, scoring=None) -> Any:
    """Return a search over ordinary settings of the training of a network.

    It tries the network as it is, and four others: small batches (a quarter of the size, but not
    below 8, for as many epochs, so up to four times as many steps), these with label smoothing of
    0.1, with `Jitter`, and with both. A network whose batches are no larger than 8 keeps their
    size, and is not tried twice. Each is scored on two folds of the samples of ``fit``, and the
    best is trained on all of them.

    Parameters
    ----------
    estimator : CNNClassifier
        The baseline; it is left as it is.
    scoring : str, scorer or None, default=None
        The measure that decides.

    Returns
    -------
    GridSearchCV
        Not fitted.
    """
    network = clone(estimator)
    batch = network.batch_size
    small = small_batch(batch)
    few, smooth = {"batch_size": [small]}, {"loss": [CrossEntropyLoss(label_smoothing=0.1)]}
    more = {"augmentation": [augmented(network.augmentation, Jitter())]}
    grid = [few, few | smooth, few | more, few | smooth | more]
    if small != batch:
        grid.insert(0, {"batch_size": [batch]})
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    return GridSearchCV(network, grid, scoring=scoring, cv=folds, error_score="raise")


def small_batch(batch_size):
    """Return the size of small batches: a quarter of the usual size, but not below 8.

    Parameters
    ----------
    batch_size : int or "auto"
        The usual size.

    Returns
    -------
    int
        Batches that are no larger than 8 keep their size.
    """
    if not isinstance(batch_size, Integral):
        # The least size that "auto" may mean.
        return 16
    return max(min(LEAST_BATCH, int(batch_size)), int(batch_size) // SMALLER)


def is_search(made):
    """Tell whether an estimator is a search, as `tuned_baseline` returns it."""
    return isinstance(made, GridSearchCV)


def seeded_search(search, seed):
    """Give a search its seed: that of the networks, and that of the folds."""
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0 if seed is None else seed)
    return search.set_params(estimator__random_state=seed, cv=folds)


def fit_search(search, X, y, groups=None):
    """Fit a search; samples of one group stay in one fold.

    Parameters
    ----------
    search : GridSearchCV
    X, y : array-like
        The training part.
    groups : ndarray of shape (n,), int, or None
        The group of each sample, equal images included.

    Returns
    -------
    GridSearchCV

    Raises
    ------
    ValueError
        If the groups cannot be divided so that every class is on both sides.
    """
    if groups is None or not are_shared(groups):
        return search.fit(X, y)
    # Folds that have every class on both sides, as those of scikit-learn may not.
    folds = held_out_folds(y, groups, search.cv.random_state, n_folds=N_FOLDS)
    return search.set_params(cv=folds).fit(X, y)
