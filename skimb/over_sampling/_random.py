"""Copy rows of the rare classes."""

from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils import check_random_state

from skimb._containers import select_rows
from skimb._sampler_base import ImageSampler

__all__ = ["RandomOverSampler"]


class RandomOverSampler(ImageSampler, BaseOverSampler):
    """Copy random rows of the rare classes, images included.

    For equal seeds the rows are those of imbalanced-learn's sampler of the same name. Give it to
    `CNNClassifier` as `sampler`, or put it before a classifier in imbalanced-learn's Pipeline.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        How many rows: imbalanced-learn's vocabulary. ``"auto"``: every class as many as the
        largest. A float (two classes): rows of the rare class for one of the other.
    random_state : int, RandomState instance or None, default=None
        Which rows are copied.
    lazy : bool, default=False
        Where X is an array, return a view over it, which costs no memory.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new rows.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row the row of X that it copies; the originals come first.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    SMOTE : Makes new rows between the old ones.

    References
    ----------
    .. [1] Buda, Maki and Mazurowski, A systematic study of the class imbalance problem in
       convolutional neural networks, Neural Networks 2018, arXiv:1710.05381.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.over_sampling import RandomOverSampler
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X_res, y_res = RandomOverSampler(random_state=0).fit_resample(X, y)
    >>> X_res.shape, X_res.dtype, np.bincount(y_res)
    ((3246, 8, 8), dtype('uint8'), array([1623, 1623]))
    """

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "lazy": ["boolean"],
    }

    def __init__(self, *, sampling_strategy: Any = "auto", random_state=None, lazy=False):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.lazy = lazy

    def _fit_resample(self, X, y):
        rng = check_random_state(self.random_state)
        copies = [
            rng.choice(np.flatnonzero(y == label), size=n_new, replace=True)
            for label, n_new in self.sampling_strategy_.items()
        ]
        self.sample_indices_ = np.concatenate([np.arange(len(y)), *copies]).astype(np.intp)
        return select_rows(X, self.sample_indices_, lazy=self.lazy), y[self.sample_indices_]
