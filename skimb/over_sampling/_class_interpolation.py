"""Make samples of the minority classes between existing ones."""

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from imblearn import over_sampling as imbalanced_learn
from imblearn.over_sampling.base import BaseOverSampler

from skimb._neighbor_pairs import choose_pairs
from skimb._params import HasMethods, Interval
from skimb._plans import interpolate_rows
from skimb._points import Points
from skimb._sampler_base import ImageSampler

__all__ = ["SMOTE"]


class SMOTE(ImageSampler, BaseOverSampler):
    r"""Make samples of the minority classes on the segments between near neighbours.

    For a sample :math:`x_i` of a minority class, one of its k nearest neighbours :math:`x_j` in the
    class and an interpolation factor g drawn from [0, 1], the new sample is :math:`x_i + g (x_j -
    x_i)` [1]_. Arrays of any dimension are accepted and their dtype is kept: integers are computed
    in float and rounded, because a difference of uint8 would wrap around. For an int seed and float
    samples the result is equal to that of imbalanced-learn's class of the same name, except for
    columns so far from 0 (times in seconds, for example) that its distances consist of rounding
    errors.

    A blend of two images seldom looks like an image, unless the two are aligned. With `embedder`,
    the neighbours are at least images that look similar to a network.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class afterwards, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the largest class.
    random_state : int, RandomState instance or None, default=None
        It determines the pairs and the interpolation factors.
    k_neighbors : int or estimator, default=5
        Number of neighbours to choose from. A class of fewer samples uses all that it has, with a
        warning. Or an object such as `sklearn.neighbors.NearestNeighbors`, of which a clone finds
        the neighbours: it counts a sample as its own first neighbour, so that
        ``NearestNeighbors(n_neighbors=6)`` is 5 neighbours, as in imbalanced-learn.
    embedder : transformer, default=None
        The space in which neighbours are found. A clone is fitted on X and y and transforms the
        samples of the class; wrap a fitted embedder in `sklearn.frozen.FrozenEstimator`. An
        embedder that does not read images gets flattened samples. None: neighbours are found in
        pixels. Pixels are interpolated in any case.
    lazy : bool, default=False
        Whether to return a view over X whose samples are made when they are asked for, if X is an
        array or tensor. It costs no memory, and `CNNClassifier` finds the parents of each sample in
        it, so that no sample leaks into its validation part.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new samples.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its own index in X or, if it is synthetic, the index of its first
        parent.
    parents_ : ndarray of shape (m, 2)
        The two samples of X between which each synthetic sample lies.
    gaps_ : ndarray of shape (m,)
        The interpolation factor of each: 0 at its first parent, 1 at its second.
    embedder_ : transformer
        The fitted embedder, where one is given.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    RandomOverSampler : Copies samples instead.

    References
    ----------
    .. [1] Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, JAIR 2002,
       doi:10.1613/jair.953.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.over_sampling import SMOTE
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> smote = SMOTE(random_state=0)
    >>> X_res, y_res = smote.fit_resample(X, y)
    >>> X_res.shape, X_res.dtype, np.bincount(y_res)
    ((3246, 8, 8), dtype('uint8'), array([1623, 1623]))
    >>> first, second = smote.parents_[0]
    >>> blend = X[first] + smote.gaps_[0] * (X[second].astype(float) - X[first])
    >>> bool(np.abs(X_res[len(X)] - blend).max() <= 0.5)
    True
    """

    _makes_rows = True

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "k_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            HasMethods(["kneighbors", "kneighbors_graph"]),
        ],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        k_neighbors: Any = 5,
        embedder=None,
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.embedder = embedder
        self.lazy = lazy

    def _fit_resample(self, X, y):
        pairs = choose_pairs(
            y,
            self.sampling_strategy_,
            partial(self._fit_points, X, y),
            k_neighbors=self.k_neighbors,
            random_state=self.random_state,
            name=type(self).__name__,
        )
        self.parents_, self.gaps_ = pairs.parents, pairs.gaps
        self.sample_indices_ = pairs.sample_indices(len(y))
        first, second = pairs.parents.T
        rows = interpolate_rows(X, first, second, pairs.gaps, lazy=self.lazy)
        return rows, np.concatenate([y, pairs.labels])

    def _fit_points(self, X, y):
        points = Points.fit(X, y, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        return points


# imbalanced-learn's SMOTEENN and SMOTETomek ask for an instance of its own class.
imbalanced_learn.SMOTE.register(SMOTE)
