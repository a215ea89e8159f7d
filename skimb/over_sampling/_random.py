"""Copy samples of the minority classes."""

from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils import check_random_state

from skimb._containers import select_rows
from skimb._sampler_base import ImageSampler

__all__ = ["RandomOverSampler"]


class RandomOverSampler(ImageSampler, BaseOverSampler):
    """Copy random samples of the minority classes, images included.

    With an equal seed, imbalanced-learn's sampler of the same name chooses the same samples. Pass
    it to `CNNClassifier` as `sampler`, or put it before a classifier in imbalanced-learn's
    Pipeline.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class afterwards, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the largest class. A float (for two classes): the ratio of the
        minority to the majority class.
    random_state : int, RandomState instance or None, default=None
        It determines which samples are copied.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new samples.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X. The originals come first, then the copies.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    SMOTE : Makes new samples between existing ones.

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
