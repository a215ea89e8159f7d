"""Over-sample with SMOTE, then drop samples among those of other classes."""

from numbers import Integral
from typing import Any

from imblearn.over_sampling.base import BaseOverSampler
from imblearn.under_sampling import EditedNearestNeighbours
from sklearn.base import clone

from skimb._params import HasMethods
from skimb._sampler_base import ImageSampler
from skimb.combine._cleaned import over_sample_and_clean

__all__ = ["SMOTEENN"]


class SMOTEENN(ImageSampler):
    """Over-sample images with SMOTE, then drop those whose nearest neighbours have other labels.

    Interpolated samples may lie among those of another class. Samples of any class, original or
    synthetic, that differ in label from their three nearest neighbours are dropped [1]_.
    This is imbalanced-learn's class of the same name, for arrays of any dimension: the dtype is
    kept, and integers are computed in float and rounded. An equal seed gives equal samples. Those
    of X come first, in their order, and then those that were made.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class before the cleaning, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the largest class. It counts where `smote` is None.
    random_state : int, RandomState instance or None, default=None
        It determines the pairs and the interpolation factors where `smote` is None, and seeds the
        embedder.
    smote : sampler, default=None
        An over-sampler of skimb, or imbalanced-learn's `SMOTE`. A clone of it is fitted. None:
        ``skimb.over_sampling.SMOTE()``.
    enn : sampler, default=None
        The sampler that cleans, one that chooses samples. None:
        ``EditedNearestNeighbours(sampling_strategy="all")``.
    n_jobs : int or None, default=None
        Number of threads that look for neighbours where `enn` is None.
    embedder : transformer, default=None
        The space in which neighbours are found, for both steps. A clone is fitted on X and y; wrap
        a fitted embedder in `sklearn.frozen.FrozenEstimator`. None: neighbours are found in pixels.
        Pixels are interpolated in any case.
    lazy : bool, default=False
        Whether to return a view over X whose samples are made when they are asked for, if X is an
        array or tensor.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new samples before the cleaning.
    smote_, enn_ : sampler
        The fitted samplers.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its own index in X or, if it is synthetic, the index of its first
        parent.
    parents_ : ndarray of shape (m, 2)
        The two samples of X between which each synthetic sample that stays lies.
    gaps_ : ndarray of shape (m,)
        The interpolation factor of each.
    embedder_ : transformer
        The fitted embedder, where one is given.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    SMOTETomek : Drops fewer samples.
    skimb.over_sampling.EmbeddedSampler : Lets a sampler of imbalanced-learn resample images.

    References
    ----------
    .. [1] Batista, Prati and Monard, A study of the behavior of several methods for balancing
       machine learning training data, SIGKDD Explorations 2004, doi:10.1145/1007730.1007735.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.combine import SMOTEENN
    >>> from skimb.datasets import load_imbalanced_digits
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X_res, y_res = SMOTEENN(random_state=0).fit_resample(X, y)
    >>> X_res.shape[1:], X_res.dtype, np.bincount(y_res)
    ((8, 8), dtype('uint8'), array([1612, 1623]))
    """

    _makes_rows = True
    _sampling_type = "over-sampling"

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "smote": [HasMethods("fit_resample"), None],
        "enn": [HasMethods("fit_resample"), None],
        "n_jobs": [Integral, None],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        smote=None,
        enn=None,
        n_jobs=None,
        embedder=None,
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.smote = smote
        self.enn = enn
        self.n_jobs = n_jobs
        self.embedder = embedder
        self.lazy = lazy

    def _fit_resample(self, X, y):
        cleaner = EditedNearestNeighbours(sampling_strategy="all", n_jobs=self.n_jobs)
        if self.enn is not None:
            cleaner = clone(self.enn)
        rows, labels, self.enn_ = over_sample_and_clean(
            self, X, y, smote=self.smote, cleaner=cleaner
        )
        return rows, labels
