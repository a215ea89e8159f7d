"""Copy samples of the minority classes."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.utils import check_random_state

from skimb._containers import columns_without_numbers, select_rows
from skimb._image_files import is_paths
from skimb._image_source import ImageSource
from skimb._magnitudes import deviation
from skimb._messages import shown
from skimb._params import Interval, plain
from skimb._plans import append_rows
from skimb._rounding import in_dtype
from skimb._sampler_base import ImageSampler

__all__ = ["RandomOverSampler"]

#: Values of new samples that are computed at once.
VALUES_AT_ONCE = 1_000_000


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
        It determines which samples are copied, and the noise of `shrinkage`.
    shrinkage : float, dict or None, default=None
        The smoothed bootstrap (ROSE) [2]_: normal noise is added to each copy, value by value. Its
        standard deviation is that of the value in the class, times
        :math:`(4 / ((d + 2) n))^{1 / (d + 4)}` for n samples of d values, times this number. The
        factor of d is nearly 1 for images, so that 1 is much noise there; 0.1 is little. A dict:
        a number for each label that grows. None: copies are equal to their originals. Samples must
        be numbers; sparse ones lose their zeros. Integers are computed in float, rounded, and
        clipped to the range of their dtype.
    lazy : bool, default=False
        Whether to return a view over X if X is an array. It copies nothing of X; samples with the
        noise of `shrinkage` are held in it.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new samples.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X. The originals come first, then the copies.
    shrinkage_ : dict or None
        Label to the factor of its noise.
    parents_ : ndarray of shape (m, 2)
        With `shrinkage`: for each new sample the index of the sample that was copied, twice.
    gaps_ : ndarray of shape (m,)
        With `shrinkage`: zeros, because a new sample has one parent only.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    SMOTE : Makes new samples between existing ones.

    References
    ----------
    .. [1] Buda, Maki and Mazurowski, A systematic study of the class imbalance problem in
       convolutional neural networks, Neural Networks 2018, arXiv:1710.05381.
    .. [2] Menardi and Torelli, Training and assessing classification rules with imbalanced data,
       Data Mining and Knowledge Discovery 2014, doi:10.1007/s10618-012-0295-5.

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
        "shrinkage": [Interval(Real, 0, None, closed="left"), Mapping, None],
        "lazy": ["boolean"],
    }

    def __init__(
        self, *, sampling_strategy: Any = "auto", random_state=None, shrinkage=None, lazy=False
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.shrinkage = shrinkage
        self.lazy = lazy

    @property
    def _makes_rows(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shrinkage is not None

    def _check_X_y(self, X, y, accept_sparse=None):
        if self._makes_rows:
            _refuse_what_has_no_noise(X)
        return super()._check_X_y(X, y, accept_sparse)

    def _fit_resample(self, X, y):
        for name in ("parents_", "gaps_"):
            self.__dict__.pop(name, None)
        self.shrinkage_ = self._factors()
        rng = check_random_state(self.random_state)
        copies, made = [np.empty(0, dtype=np.intp)], []
        for label, n_new in self.sampling_strategy_.items():
            members = np.flatnonzero(y == label)
            copies.append(rng.choice(members, size=n_new, replace=True))
            # After each class, as imbalanced-learn draws.
            if self.shrinkage_ is not None:
                made.append(_with_noise(X, members, copies[-1], self.shrinkage_[label], rng))
        seeds = np.concatenate(copies).astype(np.intp)
        self.sample_indices_ = np.concatenate([np.arange(len(y)), seeds])
        labels = y[self.sample_indices_]
        if self.shrinkage_ is None:
            return select_rows(X, self.sample_indices_, lazy=self.lazy), labels
        self.parents_, self.gaps_ = np.column_stack([seeds, seeds]), np.zeros(len(seeds))
        made = np.concatenate([np.empty((0, *X.shape[1:]), dtype=X.dtype), *made])
        if sparse.issparse(X):
            return sparse.vstack([X, type(X)(made)], format=X.format), labels
        return append_rows(X, made, self.parents_, lazy=self.lazy), labels

    def _factors(self):
        """Return the factor of the noise of each class; None for copies."""
        if self.shrinkage is None:
            return None
        growing = list(self.sampling_strategy_)
        if not isinstance(self.shrinkage, Mapping):
            return dict.fromkeys(growing, plain(self.shrinkage))
        factors = dict(self.shrinkage)
        missing = [label for label in growing if label not in factors]
        if missing:
            raise ValueError(
                f"`shrinkage` has no factor for {shown(missing)}. Give one for each "
                f"class that is resampled, or one number for all. Got {shown(factors)}."
            )
        bad = {label: factor for label, factor in factors.items() if not _is_factor(factor)}
        if bad:
            raise ValueError(f"The factors of `shrinkage` must be numbers >= 0. Got {shown(bad)}.")
        return factors


def _is_factor(value: Any):
    return isinstance(value, Real) and bool(0 <= plain(value) < np.inf)


def _refuse_what_has_no_noise(X):
    """Refuse samples that are no numbers."""
    if is_paths(X) or isinstance(X, ImageSource):
        what = "paths" if is_paths(X) else f"images of a {type(X).__name__}"
        fix = "skimb.datasets.read_images(paths, image_shape=...)"
        raise ValueError(
            f"`shrinkage` adds noise to pixels, and X holds {what}. Read them first: "
            f"{fix if is_paths(X) else 'numpy.asarray(X)'}; or use shrinkage=None, which copies."
        )
    others = columns_without_numbers(X)
    if others:
        raise ValueError(
            f"`shrinkage` adds noise to numbers, and these columns of X hold none: "
            f"{', '.join(others)}. Encode or drop them, or use shrinkage=None, which copies."
        )


def _with_noise(X, members, seeds, factor, rng):
    """Return copies with the noise of the smoothed bootstrap, in the dtype of X."""
    n_features = int(np.prod(X.shape[1:]))
    width = (4 / ((n_features + 2) * X.shape[0])) ** (1 / (n_features + 4))
    own = _dense(X[members])
    scale = factor * width * deviation(own.reshape(len(members), -1))
    made = np.empty((len(seeds), *X.shape[1:]), dtype=X.dtype)
    step = max(1, VALUES_AT_ONCE // max(1, n_features))
    for start in range(0, len(seeds), step):
        part = _dense(X[seeds[start : start + step]])
        noise = rng.standard_normal((len(part), n_features))
        noise *= scale
        noise = noise.reshape(part.shape)
        noise += part
        made[start : start + step] = in_dtype(noise, X.dtype)
    return made


def _dense(rows):
    return rows.toarray() if sparse.issparse(rows) else np.asarray(rows)
