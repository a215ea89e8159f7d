"""Make rows of the rare ranges of a target: between neighbours, by noise, or as they lie."""

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from skimb._distances import half_medians
from skimb._params import HasMethods, Interval, StrOptions
from skimb._points import Points
from skimb._range_sizes import EVEN
from skimb._relevance_sampler_base import RelevanceResampler
from skimb.over_sampling._range_neighbors import RangeNeighbors, refuse_metric
from skimb.over_sampling._range_plans import plan_synthesis
from skimb.over_sampling._row_makers import read_rows

__all__ = ["SMOGN", "SMOTER", "GaussianNoiseOverSampler"]


class SMOTER(RelevanceResampler):
    r"""Make rows of the rare ranges of a continuous target on the segments between neighbours.

    The target's range is cut into *bumps*, rare and normal, where its relevance crosses
    `threshold`. In a bump that shall have more rows, a new one lies between a row :math:`x_i` and
    one of its k nearest neighbours in the bump, :math:`x_i + g (x_j - x_i)` with g drawn from
    [0, 1]; its target is :math:`y_i + g (y_j - y_i)`, and a category that of either. In a bump that
    shall have fewer rows, random ones stay [1]_.

    A blend of two pictures is seldom a picture, unless they are aligned. With `embedder` the
    neighbours are at least those that look alike to a network.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Of the target's values, in [0, 1]; it is fitted to y, see `skimb.relevance.fit_relevance`.
        None: ``Relevance()``, that of the box plot.
    threshold : float, default=0.5
        Rows at least so relevant are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        How many rows each bump has afterwards. ``"balance"``: all alike. ``"extreme"``: the more,
        the fewer it had, inversely proportional. Both keep the number of all rows, but for
        rounding. A float: so many rows for one before in the rare bumps; the others stay. A list:
        one such number for each bump, by increasing y.
    random_state : int, RandomState instance or None, default=None
        Which rows stay, which pairs, which gaps.
    k_neighbors : int, default=5
        Neighbours to choose from. A bump of fewer rows uses all it has, with a warning; one of a
        single row repeats it.
    embedder : transformer, default=None
        Where neighbours are found: it is cloned, fitted on X and y, and transforms the rows of the
        bump; wrap a fitted one in `sklearn.frozen.FrozenEstimator`. One that does not read images
        gets flattened rows. None: the rows themselves. The interpolation is there in any case.
    metric : {"auto", "euclidean", "heom"}, default="auto"
        Distance. ``"heom"``: Euclidean, each number over its range in the bump, and 1 between two
        categories [2]_; ``"auto"``: that for frames and categories, else Euclidean.
    categorical_features : "auto" or array-like, default="auto"
        Which columns of a table are categories: a mask, positions, or names. ``"auto"``: those of a
        frame that hold no numbers. What is missing there is a category too.
    lazy : bool, default=False
        Where X is an array or tensor, return a view over it whose rows are made when they are asked
        for.

    Attributes
    ----------
    relevance_ : Relevance or callable
        What tells the relevance, fitted on y.
    bumps_ : DataFrame
        A row for each bump: ``low`` and ``high`` of its targets, ``is_rare``, and its rows
        ``before`` and ``after``.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row its index in X or, where it is synthetic, that of its first parent:
        first the rows that stay, then the synthetic ones.
    parents_ : ndarray of shape (m, 2)
        The rows of X between which each synthetic row lies.
    gaps_ : ndarray of shape (m,)
        How far it lies from the first parent to the second.
    embedder_ : transformer
        The fitted embedder, where one is given.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    SMOGN : Adds noise where neighbours are far.
    RelevanceOverSampler : Copies rows instead.

    Notes
    -----
    Sizes are rounded, where the R package UBL truncates; and the target is blended as the row is,
    which is what UBL's weights by distance amount to without categories.

    References
    ----------
    .. [1] Torgo, Ribeiro, Pfahringer and Branco, SMOTE for Regression, EPIA 2013,
       doi:10.1007/978-3-642-40669-0_33.
    .. [2] Wilson and Martinez, Improved Heterogeneous Distance Functions, JAIR 1997,
       doi:10.1613/jair.346.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import SMOTER
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> smoter = SMOTER(random_state=0)
    >>> X_res, y_res = smoter.fit_resample(X, y)
    >>> X_res.shape, int(np.sum(y > 5)), int(np.sum(y_res > 5))
    ((500, 4), 24, 79)
    >>> smoter.bumps_.round(2)
           low   high  is_rare  before  after
    bump
    0     0.09   2.62    False     422    250
    1     2.66  20.03     True      78    250
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **RelevanceResampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"auto", "euclidean", "heom"})],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        k_neighbors=5,
        embedder=None,
        metric="auto",
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.embedder = embedder
        self.metric = metric
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        rows = read_rows(self, X, target, check_numbers=super()._check_rows)
        refuse_metric(self.metric, self.embedder, rows)
        return rows

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            partial(self._fit_recipe, rows, target),
            random_state=self.random_state,
            name=type(self).__name__,
            k_neighbors=self.k_neighbors,
        )

    def _fit_recipe(self, rows, target):
        points = Points.fit(rows.values, target, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        neighbors = RangeNeighbors(rows, points, metric=self.metric, k_neighbors=self.k_neighbors)
        return partial(_between_neighbors, neighbors)


class SMOGN(RelevanceResampler):
    """Make rows of the rare ranges of a continuous target between neighbours, or by noise.

    As `SMOTER`, but a blend is made only of near rows: of two that are less than half as far apart
    as the first is, in the median, from the rows of its bump. For any other pair the new row is the
    first with normal noise, and so is its target: of `perturbation` standard deviations of the bump
    or, if that is less, of as many as half the median distance says. Its categories are drawn by
    their frequencies in the bump [1]_.

    Integers are rounded and clipped to their range; floats are not clipped.

    Parameters
    ----------
    relevance, threshold, sampling_strategy, k_neighbors, embedder, metric, categorical_features
        As in `SMOTER`.
    random_state : int, RandomState instance or None, default=None
        Which rows stay, which pairs, which gaps, which noise.
    perturbation : float, default=0.02
        The most noise, in standard deviations of the bump.
    lazy : bool, default=False
        Where X is an array or tensor, return a view over it. It holds rows with noise, and makes
        those between two rows when they are asked for.

    Attributes
    ----------
    relevance_, bumps_, sample_indices_, embedder_, n_features_in_
        As in `SMOTER`.
    parents_ : ndarray of shape (m, 2)
        The rows of X between which each synthetic row lies; of one with noise, its seed twice.
    gaps_ : ndarray of shape (m,)
        How far it lies from the first parent to the second; 0 for one with noise.

    See Also
    --------
    SMOTER : Blends whatever the distance.
    GaussianNoiseOverSampler : Noise alone.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, SMOGN: a Pre-processing Approach for Imbalanced Regression,
       PMLR 74, 2017, https://proceedings.mlr.press/v74/branco17a.html.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import SMOGN
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> smogn = SMOGN(random_state=0)
    >>> X_res, y_res = smogn.fit_resample(X, y)
    >>> has_noise = smogn.parents_[:, 0] == smogn.parents_[:, 1]
    >>> len(has_noise), int(has_noise.sum())
    (172, 44)
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **SMOTER._parameter_constraints,
        "perturbation": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        k_neighbors=5,
        perturbation=0.02,
        embedder=None,
        metric="auto",
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.perturbation = perturbation
        self.embedder = embedder
        self.metric = metric
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        rows = read_rows(self, X, target, check_numbers=super()._check_rows)
        refuse_metric(self.metric, self.embedder, rows)
        return rows

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            partial(self._fit_recipe, rows, target),
            random_state=self.random_state,
            name=type(self).__name__,
            k_neighbors=self.k_neighbors,
        )

    def _fit_recipe(self, rows, target):
        points = Points.fit(rows.values, target, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        neighbors = RangeNeighbors(rows, points, metric=self.metric, k_neighbors=self.k_neighbors)
        return partial(_between_near_neighbors, neighbors, self.perturbation)


class GaussianNoiseOverSampler(RelevanceResampler):
    """Make rows of the rare ranges of a continuous target by normal noise.

    In a bump that shall have more rows, a new one is a row with noise on each of its values and on
    its target: `perturbation` times their standard deviation in the bump. Its categories are drawn
    by their frequencies in the bump. In a bump that shall have fewer rows, random ones stay [1]_.

    Integers are rounded and clipped to their range; floats are not clipped.

    Parameters
    ----------
    relevance, threshold, sampling_strategy, categorical_features
        As in `SMOTER`.
    random_state : int, RandomState instance or None, default=None
        Which rows stay, which get noise, and which.
    perturbation : float, default=0.1
        Noise, in standard deviations of the bump. That of a bump with one row only is 0: it is
        repeated, with a warning.
    lazy : bool, default=False
        Where X is an array or tensor, return a view over it, which holds the new rows.

    Attributes
    ----------
    relevance_, bumps_, sample_indices_, n_features_in_
        As in `SMOTER`.
    parents_ : ndarray of shape (m, 2)
        The row of X that each new row was made of, twice.
    gaps_ : ndarray of shape (m,)
        Zeros: a new row has one parent only.

    See Also
    --------
    RelevanceOverSampler : Copies rows as they are.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, Pre-processing approaches for imbalanced distributions in
       regression, Neurocomputing 2019, doi:10.1016/j.neucom.2018.11.100.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import GaussianNoiseOverSampler
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> noise = GaussianNoiseOverSampler(sampling_strategy=3.0, random_state=0)
    >>> X_res, y_res = noise.fit_resample(X, y)
    >>> X_res.shape, noise.bumps_["after"].tolist()
    ((656, 4), [422, 234])
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **RelevanceResampler._parameter_constraints,
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "perturbation": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        perturbation=0.1,
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.perturbation = perturbation
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        return read_rows(self, X, target, check_numbers=super()._check_rows)

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            lambda: partial(_with_noise, self.perturbation),
            random_state=self.random_state,
            name=type(self).__name__,
        )


def _between_neighbors(neighbors, members, seeds, rng):
    """Return neighbours, interpolation factors, and noise levels of 0."""
    second, _ = neighbors.drawn(*neighbors.measured(members), seeds, rng)
    return second, rng.uniform(size=len(seeds)), np.zeros(len(seeds))


def _between_near_neighbors(neighbors, perturbation, members, seeds, rng):
    """Return the same where the neighbour is near; elsewhere the seed itself, and a noise level."""
    points, codes = neighbors.measured(members)
    second, distance = neighbors.drawn(points, codes, seeds, rng)
    reach = half_medians(points, codes)[seeds]
    is_near = distance < reach
    gaps = np.where(is_near, rng.uniform(size=len(seeds)), 0.0)
    spreads = np.where(is_near, 0.0, np.minimum(reach, perturbation))
    return np.where(is_near, second, seeds), gaps, spreads


def _with_noise(perturbation, members, seeds, rng):
    """Return the seeds themselves, factors of 0, and the noise level."""
    zeros = np.zeros(len(seeds))
    return seeds, zeros, zeros + perturbation
