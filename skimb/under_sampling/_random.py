"""Drop rows of the frequent classes."""

from typing import Any

import numpy as np
from imblearn.under_sampling.base import BaseUnderSampler
from sklearn.utils import check_random_state

from skimb._containers import select_rows
from skimb._sampler_base import ImageSampler

__all__ = ["RandomUnderSampler"]


class RandomUnderSampler(ImageSampler, BaseUnderSampler):
    """Keep a random part of the frequent classes, images included.

    It throws data away, which costs more the higher the imbalance. For equal seeds the rows are
    those of imbalanced-learn's sampler of the same name.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        How many rows: imbalanced-learn's vocabulary. ``"auto"``: every class as many as the
        smallest. A float (two classes): rows of the rare class for one of the other.
    random_state : int, RandomState instance or None, default=None
        Which rows stay.
    replacement : bool, default=False
        Whether a row may be drawn more than once.
    lazy : bool, default=False
        Where X is an array, return a view over it, which costs no memory.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of rows that stay.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row its index in X, class by class.
    n_features_in_ : int
        Values in a row.

    References
    ----------
    .. [1] Buda, Maki and Mazurowski, A systematic study of the class imbalance problem in
       convolutional neural networks, Neural Networks 2018, arXiv:1710.05381.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.under_sampling import RandomUnderSampler
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X_res, y_res = RandomUnderSampler(random_state=0).fit_resample(X, y)
    >>> X_res.shape, np.bincount(y_res)
    ((162, 8, 8), array([81, 81]))
    """

    _parameter_constraints: dict = {
        **BaseUnderSampler._parameter_constraints,
        "random_state": ["random_state"],
        "replacement": ["boolean"],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        replacement=False,
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.replacement = replacement
        self.lazy = lazy

    def _fit_resample(self, X, y):
        rng = check_random_state(self.random_state)
        kept = []
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            if label in self.sampling_strategy_:
                n_kept = self.sampling_strategy_[label]
                rows = rows[rng.choice(len(rows), size=n_kept, replace=self.replacement)]
            kept.append(rows)
        self.sample_indices_ = np.concatenate(kept)
        return select_rows(X, self.sample_indices_, lazy=self.lazy), y[self.sample_indices_]
