"""Drop samples of the majority classes."""

from typing import Any

import numpy as np
from imblearn.under_sampling.base import BaseUnderSampler
from sklearn.utils import check_random_state

from skimb._containers import select_rows
from skimb._sampler_base import ImageSampler

__all__ = ["RandomUnderSampler"]


class RandomUnderSampler(ImageSampler, BaseUnderSampler):
    """Keep a random part of the majority classes, images included.

    Dropping data costs more, the higher the imbalance. With an equal seed, imbalanced-learn's
    sampler of the same name chooses the same samples.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class afterwards, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the smallest class. A float (for two classes): the ratio of the
        minority to the majority class.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay.
    replacement : bool, default=False
        Whether a sample may be drawn more than once.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of samples that stay.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X, class by class.
    n_features_in_ : int
        Number of values in a sample.

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
