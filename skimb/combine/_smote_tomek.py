"""Over-sample with SMOTE, then drop the pairs of Tomek links."""

from numbers import Integral
from typing import Any

from imblearn.over_sampling.base import BaseOverSampler
from imblearn.under_sampling import TomekLinks
from sklearn.base import clone

from skimb._params import HasMethods
from skimb._sampler_base import ImageSampler
from skimb.combine._cleaned import over_sample_and_clean

__all__ = ["SMOTETomek"]


class SMOTETomek(ImageSampler):
    """Over-sample images with SMOTE, then drop pairs of nearest neighbours of two classes.

    Two samples of different classes that are each other's nearest neighbour are a Tomek link:
    the classes overlap there, or one of the two is noise. Both are dropped [1]_.
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
    tomek : sampler, default=None
        The sampler that cleans, one that chooses samples. None:
        ``TomekLinks(sampling_strategy="all")``.
    n_jobs : int or None, default=None
        Number of threads that look for neighbours where `tomek` is None.
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
    smote_, tomek_ : sampler
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
    SMOTEENN : Drops more samples.
    skimb.over_sampling.EmbeddedSampler : Lets a sampler of imbalanced-learn resample images.

    References
    ----------
    .. [1] Batista, Bazzan and Monard, Balancing training data for automated annotation of keywords:
       a case study, WOB 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.combine import SMOTETomek
    >>> from skimb.datasets import load_imbalanced_digits
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X_res, y_res = SMOTETomek(random_state=0).fit_resample(X, y)
    >>> X_res.shape[1:], X_res.dtype, np.bincount(y_res)
    ((8, 8), dtype('uint8'), array([1623, 1623]))
    """

    _makes_rows = True
    _sampling_type = "over-sampling"

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "smote": [HasMethods("fit_resample"), None],
        "tomek": [HasMethods("fit_resample"), None],
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
        tomek=None,
        n_jobs=None,
        embedder=None,
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.smote = smote
        self.tomek = tomek
        self.n_jobs = n_jobs
        self.embedder = embedder
        self.lazy = lazy

    def _fit_resample(self, X, y):
        cleaner = TomekLinks(sampling_strategy="all", n_jobs=self.n_jobs)
        if self.tomek is not None:
            cleaner = clone(self.tomek)
        rows, labels, self.tomek_ = over_sample_and_clean(
            self, X, y, smote=self.smote, cleaner=cleaner
        )
        return rows, labels
