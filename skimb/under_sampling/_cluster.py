"""Drop samples where there are many similar ones."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from imblearn.under_sampling.base import BaseUnderSampler
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from skimb._containers import select_rows
from skimb._params import HasMethods, Interval, StrOptions
from skimb._points import Points
from skimb._process import ForkedLock
from skimb._sampler_base import ImageSampler

__all__ = ["ClusterUnderSampler", "water_level"]

#: The number of threads is that of the process: one at a time may change and restore it.
LOCK = ForkedLock()


class ClusterUnderSampler(ImageSampler, BaseUnderSampler):
    """Thin out the majority classes where they are dense, and keep their unusual samples.

    Each class is divided into a few clusters. The largest clusters lose samples first, until the
    wanted number is left. In each cluster, the samples that stay are spread evenly: each is the one
    nearest to the centre of its own sub-cluster. This is `imblearn.under_sampling.ClusterCentroids`
    with ``voting="hard"``, in two steps: it finds as many centres, but looks for each in one
    cluster only.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class afterwards, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the smallest class.
    random_state : int, RandomState instance or None, default=None
        It determines the initial centres of the clusterings.
    embedder : transformer, default=None
        The space in which distances are measured. A clone is fitted on X and y and transforms the
        samples; wrap a fitted embedder in `sklearn.frozen.FrozenEstimator`. An embedder that does
        not read images gets flattened samples. None: distances are measured between pixels. Image
        files need an embedder that reads them; of a frame with further columns, a
        `ColumnTransformer` takes those that count.
    n_clusters : int or "auto", default="auto"
        Number of clusters of each class, at most the number of samples that stay. ``"auto"``: the
        square root of that number.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of samples that stay.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X, class by class.
    embedder_ : transformer
        The fitted embedder, where one is given.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    RandomUnderSampler : Keeps random samples, for nothing.

    References
    ----------
    .. [1] Lin et al., Clustering-based undersampling in class-imbalanced data, Information Sciences
       2017, doi:10.1016/j.ins.2017.05.008.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.under_sampling import ClusterUnderSampler
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X_res, y_res = ClusterUnderSampler(random_state=0).fit_resample(X, y)
    >>> X_res.shape, np.bincount(y_res)
    ((162, 8, 8), array([81, 81]))
    """

    _parameter_constraints: dict = {
        **BaseUnderSampler._parameter_constraints,
        "random_state": ["random_state"],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        embedder=None,
        n_clusters: Any = "auto",
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.embedder = embedder
        self.n_clusters = n_clusters
        self.lazy = lazy

    def _computes(self):
        # An embedder may read anything.
        return self.embedder is None

    def _fit_resample(self, X, y):
        points = Points.fit(X, y, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        rng = check_random_state(self.random_state)
        kept = []
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            n_kept = self.sampling_strategy_.get(label, len(rows))
            if n_kept < len(rows):
                # One thread: the sums of several are rounded by their number, and samples that are
                # equally near would change with it.
                with LOCK, threadpool_limits(1), warnings.catch_warnings():
                    # Equal samples make fewer clusters, which is handled below.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    rows = rows[self._spread(points(rows), n_kept, rng)]
            kept.append(rows)
        self.sample_indices_ = np.concatenate(kept)
        return select_rows(X, self.sample_indices_, lazy=self.lazy), y[self.sample_indices_]

    def _spread(self, points, n_kept, rng):
        """Return which points stay, sorted."""
        n_clusters = self.n_clusters
        if n_clusters == "auto":
            n_clusters = max(1, round(n_kept**0.5))
        n_clusters = min(n_clusters, n_kept)
        cluster = np.zeros(points.shape[0], dtype=np.intp)
        if n_clusters > 1:
            seed = rng.randint(np.iinfo(np.int32).max)
            coarse = MiniBatchKMeans(n_clusters, n_init=1, random_state=seed)
            cluster = coarse.fit_predict(points)
        sizes = np.bincount(cluster, minlength=n_clusters)
        kept = []
        for k, quota in enumerate(water_level(sizes, n_kept)):
            members = np.flatnonzero(cluster == k)
            if quota < len(members):
                members = members[_middles(points[members], quota, rng)]
            kept.append(members)
        return np.sort(np.concatenate(kept))


def water_level(sizes, total):
    """Return how many of each cluster stay when the largest are cut first.

    Parameters
    ----------
    sizes : ndarray of shape (k,), int
        The sizes. Their sum is at least `total`.
    total : int
        The number that shall stay.

    Returns
    -------
    ndarray of shape (k,), int
        ``min(size, level)``, and one more for some of the clusters that are cut, to reach the
        total.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.under_sampling._cluster import water_level
    >>> water_level(np.array([2, 50, 9, 30]), 31)
    array([ 2, 10,  9, 10])
    >>> water_level(np.array([5, 5, 5]), 7)
    array([2, 2, 3])
    """
    kept = np.zeros(len(sizes), dtype=np.intp)
    # From the smallest on, each takes at most an equal part of what is left.
    for done, k in enumerate(np.argsort(sizes, kind="stable")):
        kept[k] = min(sizes[k], (total - kept.sum()) // (len(sizes) - done))
    return kept


def _middles(points, n_kept, rng):
    """Return the points that stay, each the nearest to the centre of one of as many clusters."""
    if n_kept == 0:
        return np.empty(0, dtype=np.intp)
    seed = rng.randint(np.iinfo(np.int32).max)
    fine = KMeans(n_kept, n_init=1, max_iter=20, random_state=seed).fit(points)
    own = fine.transform(points)[np.arange(points.shape[0]), fine.labels_]
    # The two of a pair are equally near their middle: rounding must not choose between them.
    own = np.rint(own / max(own.max(), np.finfo(float).tiny) * 1e6)
    # Sorted by cluster, then by distance: the first of each cluster.
    order = np.lexsort((own, fine.labels_))
    chosen = order[np.unique(fine.labels_[order], return_index=True)[1]]
    spare = np.setdiff1d(np.arange(points.shape[0]), chosen)
    return np.concatenate([chosen, spare[: n_kept - len(chosen)]])
