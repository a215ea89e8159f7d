"""Folds that each hold an equal fraction of every part of a continuous target's range."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_random_state, indexable

from skimb.relevance import LabelDensity, check_target

__all__ = ["BinnedStratifiedKFold"]


class BinnedStratifiedKFold(StratifiedGroupKFold):
    """Split samples into folds that hold equal fractions of every part of a target's range.

    `KFold` leaves it to chance which fold gets the few samples of a long tail, and a fold without
    any of them cannot measure the error there. Here samples are dealt out like cards, in the order
    of their target:

    - within a bin, every `n_splits` samples in succession go to as many folds, so that the folds
      also agree on the distribution inside the bin. The more and the smaller such strata are, the
      less the folds contribute to bias and deviation of a cross-validated error [1]_;
    - the remaining samples of a bin go to the folds that have the fewest samples so far. So a tail
      whose bins hold fewer samples than there are folds is divided among the folds as a whole.

    Without groups, the number of samples of any bin, of all bins below an edge, and of the whole
    set differs by at most one between folds. `RepeatedKFold` and similar classes do not take this
    splitter: split again with another `random_state` instead.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least two.
    bins : int, "auto" or array-like of edges, default="auto"
        As in `LabelDensity`: bins of equal width, by default as many as the metrics have.
    shuffle : bool, default=False
        Whether each round is dealt in random order. False: the order alternates between forward
        and backward, and is the same at each call.
    random_state : int, RandomState instance or None, default=None
        Drives `shuffle`.

    See Also
    --------
    skimb.metrics.regression_scoring : Scores by part of the range.

    References
    ----------
    .. [1] Sáez and Romero-Béjar, Impact of Regressand Stratification in Dataset Shift Caused by
       Cross-Validation, Mathematics 2022, doi:10.3390/math10142538.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from skimb.model_selection import BinnedStratifiedKFold
    >>> y = np.random.RandomState(0).exponential(size=300)
    >>> for cv in (KFold(5), BinnedStratifiedKFold(5)):
    ...     print([int(np.sum(y[test] > 3)) for _, test in cv.split(y, y)])
    [3, 4, 3, 2, 6]
    [3, 3, 4, 4, 4]
    """

    def __init__(self, n_splits=5, *, bins: Any = "auto", shuffle=False, random_state: Any = None):
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        self.bins = bins

    def split(
        self, X: Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate the indices of each training and test part.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            Samples; only their number is used.
        y : array-like of shape (n,)
            Values of the target.
        groups : array-like of shape (n,), default=None
            Samples of one group go to one fold; with this limit, `StratifiedGroupKFold` divides
            each bin as evenly as it can. ``bins="auto"`` uses fewer bins where no bin would hold
            as many samples as there are folds.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If y does not hold finite numbers, or there are fewer samples (or groups) than folds;
            with groups, also if no bin holds as many samples as there are folds, or a fold would
            be empty.
        """
        X, y, groups = indexable(X, y, groups)
        try:
            y = check_target(y)
        except (TypeError, ValueError) as exc:
            raise ValueError(
                f"{type(self).__name__} stratifies by a continuous target, so y must hold finite "
                f"numbers; for labels, use StratifiedKFold. {exc}"
            ) from exc
        if self.n_splits > len(y):
            raise ValueError(
                f"{len(y)} samples are too few for n_splits={self.n_splits} folds. Use fewer folds."
            )
        density = LabelDensity(bins=self.bins).fit(y)
        if groups is not None:
            yield from self._split_groups(y, density, groups)
            return
        fold = self._deal(y, density.bin_of(y))
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def _split_groups(self, y, density, groups):
        # The base class needs a bin with a sample for each fold.
        while isinstance(self.bins, str) and density.counts_.max() < self.n_splits:
            density = LabelDensity(bins=len(density.counts_) // 2).fit(y)
        if density.counts_.max() < self.n_splits:
            raise ValueError(
                f"No bin holds n_splits={self.n_splits} samples, and the largest holds "
                f"{density.counts_.max()}. Give fewer `bins`, or use fewer folds."
            )
        bins = density.bin_of(y)
        with warnings.catch_warnings():
            # This splitter is made for bins of few samples.
            warnings.filterwarnings("ignore", message="The least populated class")
            folds = list(super().split(bins, bins, groups))
        if not all(len(test) for _, test in folds):
            raise ValueError(
                f"The groups are too few, or too unequal, for n_splits={self.n_splits} folds: one "
                "fold would be empty. Use fewer folds."
            )
        yield from folds

    def _deal(self, y, bins):
        """Return the fold of each sample."""
        n_splits = self.n_splits
        rng = check_random_state(self.random_state) if self.shuffle else None
        order = np.lexsort((np.arange(len(y)) if rng is None else rng.permutation(len(y)), y))
        fold, sizes = np.empty(len(y), dtype=np.intp), np.zeros(n_splits, dtype=np.intp)
        for rows in np.split(order, np.flatnonzero(np.diff(bins[order])) + 1):
            n_rounds, n_left = divmod(len(rows), n_splits)
            if rng is None:
                rounds = np.tile(np.arange(n_splits), (n_rounds, 1))
                rounds[1::2] = rounds[1::2, ::-1]
                turn = np.arange(n_splits) * (-1) ** (sizes.min() % 2)
            else:
                rounds = np.argsort(rng.uniform(size=(n_rounds, n_splits)), axis=1)
                turn = rng.uniform(size=n_splits)
            fewest = np.lexsort((turn, sizes))[:n_left]
            fold[rows] = np.append(rounds, fewest)
            sizes[fewest] += 1
        return fold
