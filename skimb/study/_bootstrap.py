"""Resamples of test images: sums over them, intervals of differences, and influences of images."""

import numpy as np
from scipy import stats
from scipy.sparse import csr_array

__all__ = [
    "Images",
    "effective_number",
    "influences",
    "interval_and_p_value",
    "number_of_resamples",
    "slopes_of",
    "sums_by",
]

#: Resamples of the test images. With the largest number, p-values down to 0.0001 can be told apart,
#: so that a clear difference is still one after a correction for ten strategies; with the
#: smallest one, the quantiles of an interval are known to about a tenth of its half-width.
MOST_RESAMPLES, LEAST_RESAMPLES = 20_000, 2_000

#: Nanoseconds that all resamples together should take, on one core.
MOST_TIME = 2e9

#: Nanoseconds, about: to draw one image, to draw how often one kind of images occurs, to add one
#: part of an image to a sum, to score one sum, and to find the quantiles of one score.
DRAW_TIME, KIND_TIME, PART_TIME, SUM_TIME, SCORE_TIME = 9, 150, 1.3, 20, 80

#: Values in the memory at a time.
MOST_VALUES = 2_000_000


class Images:
    """The test images, as what each adds to the sums that scores are computed from.

    Groups are drawn whole. Images of equal cells add the same to every sum, and so do groups of
    equal cells, so that it is enough to draw how often each kind of them occurs.

    Parameters
    ----------
    parts : sparse array of shape (n_sums, n)
        What each image adds to each sum.
    groups : ndarray of shape (n,), int, or None
        The group of each image. None: every image is its own.
    cells : ndarray of shape (n,), int, default=None
        Images of one cell add the same to every sum. None: no two of them do.

    Attributes
    ----------
    parts : sparse array of shape (n_sums, n_kinds)
        What one image, or one group, of each kind adds to the sums.
    times : ndarray of shape (n_kinds,), int
        How many images, or groups, there are of each kind.
    sums : ndarray of shape (n_sums,)
        The sums over all images.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skimb.study._bootstrap import Images
    >>> parts = csr_array(np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]))
    >>> images = Images(parts, None, cells=np.array([7, 3, 7, 7]))
    >>> images.times.tolist()
    [1, 3]
    >>> [sums] = images.resampled_sums(3, random_state=0)
    >>> sums.shape, sums[:, 1].tolist()
    ((3, 2), [4.0, 4.0, 4.0])
    """

    def __init__(self, parts, groups, *, cells=None):
        self.sums = np.asarray(parts.sum(axis=1)).ravel()
        if groups is not None and len(np.unique(groups)) < parts.shape[1]:
            unit = np.unique(groups, return_inverse=True)[1]
            parts = sums_by(parts, unit)
            cells = None if cells is None else _cells_of_groups(cells, unit)
        if cells is None:
            self.parts, self.times = parts, np.ones(parts.shape[1], dtype=np.int64)
        else:
            _, first, self.times = np.unique(cells, return_index=True, return_counts=True)
            self.parts = parts[:, first]

    @property
    def _are_counted(self):
        """Whether it is faster to draw how often each kind occurs than one image after another."""
        return len(self.times) * KIND_TIME < self.times.sum() * DRAW_TIME

    @property
    def cost(self):
        """Nanoseconds that the sums of one resample, and their scores, take: an estimate."""
        drawn = min(len(self.times) * KIND_TIME, int(self.times.sum()) * DRAW_TIME)
        return drawn + self.parts.nnz * PART_TIME + self.parts.shape[0] * SUM_TIME

    def resampled_sums(self, n_resamples, *, random_state=None):
        """Yield blocks of the sums over resamples of the images, drawn with replacement [1]_.

        Parameters
        ----------
        n_resamples : int
        random_state : int, sequence of int or Generator, default=None

        Yields
        ------
        ndarray of shape (n_block, n_sums)

        References
        ----------
        .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 6;
           doi:10.1201/9780429246593.
        """
        rng = np.random.default_rng(random_state)
        n_kinds, n_drawn = len(self.times), int(self.times.sum())
        kind_of_draw = np.repeat(np.arange(n_kinds), self.times)
        largest = max(n_kinds if self._are_counted else n_drawn, self.parts.shape[0])
        n_block = max(1, min(n_resamples, MOST_VALUES // largest))
        for start in range(0, n_resamples, n_block):
            size = min(n_block, n_resamples - start)
            if self._are_counted:
                times = rng.multinomial(n_drawn, self.times / n_drawn, size=size)
            else:
                drawn = kind_of_draw[rng.integers(n_drawn, size=(size, n_drawn))]
                drawn += np.arange(size)[:, None] * n_kinds
                times = np.bincount(drawn.ravel(), minlength=size * n_kinds)
                times = times.reshape(size, n_kinds)
            yield (self.parts @ times.T.astype(np.float64)).T


def number_of_resamples(sets, n_scores):
    """Return how many resamples are made: a fixed number for the same images, on any machine.

    Parameters
    ----------
    sets : list of Images
        Each is resampled.
    n_scores : int
        Scores of each resample whose quantiles are wanted.

    Returns
    -------
    int
        20,000, or as many as take about two seconds, and never less than 2000.
    """
    cost = sum(images.cost for images in sets) + n_scores * SCORE_TIME
    return int(np.clip(MOST_TIME / cost, LEAST_RESAMPLES, MOST_RESAMPLES))


def _cells_of_groups(cells, unit):
    """Return a number for each group that is equal where groups hold equal cells equally often."""
    place = np.unique(cells, return_inverse=True)[1]
    # Sums of random whole numbers do not depend on an order; two of 2**64 are hardly ever equal.
    random = np.random.default_rng(0).integers(2**63, size=place.max() + 1, dtype=np.uint64)
    total = np.zeros(unit.max() + 1, dtype=np.uint64)
    np.add.at(total, unit, random[place])
    return total


def sums_by(parts, unit):
    """Add up the columns of each unit.

    Parameters
    ----------
    parts : sparse array of shape (n_sums, n)
    unit : ndarray of shape (n,), int

    Returns
    -------
    sparse array of shape (n_sums, n_units)
    """
    where = parts.tocoo()
    shape = (parts.shape[0], unit.max() + 1)
    return csr_array((where.data, (where.row, unit[where.col])), shape=shape)


def slopes_of(scores, sums):
    """Return how each score changes with each sum.

    They are differences for half an image more, which are defined for minima and roots too.

    Parameters
    ----------
    scores : callable
        A function of sums, as `LabelScores`.
    sums : ndarray of shape (n_sums,)

    Returns
    -------
    ndarray of shape (n_sums, n_names)
    """
    step = 0.5
    return (scores(sums + step * np.eye(len(sums))) - scores(sums)) / step


def influences(scores, parts, sums, sizes):
    """Return how much each unit of images moves each score, to the first order.

    The sum of their squares estimates the variance of the score under another draw of images
    (the infinitesimal jackknife [1]_).

    Parameters
    ----------
    scores : callable
        A function of sums, as `LabelScores`.
    parts : sparse array of shape (n_sums, n_units)
    sums : ndarray of shape (n_sums,)
        The sums over all images.
    sizes : ndarray of shape (n_units,)
        The images of each unit: 1, or those of a group.

    Returns
    -------
    ndarray of shape (n_units, n_names)

    References
    ----------
    .. [1] Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 6,
       doi:10.1137/1.9781611970319.
    """
    slopes = slopes_of(scores, sums)
    return parts.T @ slopes - np.outer(sizes / sizes.sum(), sums @ slopes)


def effective_number(shares, times=None):
    """Return Kish's effective number of images: how many a difference rests on.

    Parameters
    ----------
    shares : ndarray of shape (n_units, ...)
        The share of each unit in the difference.
    times : ndarray of shape (n_units,), default=None
        How many units there are of each kind. None: one.

    Returns
    -------
    ndarray of shape (...)
        Where k images have equal shares, up to the sign, and no other has any, it is k.

    References
    ----------
    .. [1] Kish, Survey Sampling, 1965.
    """
    times = np.ones(len(shares)) if times is None else times
    squares = np.square(shares)
    second = np.tensordot(times, squares, axes=1)
    fourth = np.tensordot(times, np.square(squares), axes=1)
    return np.divide(second**2, fourth, out=np.zeros(second.shape), where=fourth > 0)


def interval_and_p_value(resamples, n_effective, *, level=0.05):
    """Return the expanded percentile interval of a difference, and the p-value that it implies.

    Plain percentiles are too narrow where few images matter, by as much as a normal interval is
    narrower than one of Student's t, and by the bias of the variance. The expanded ones [1]_ take
    quantiles further out. The number of observations that they take for it is that of the images
    on which the difference rests.

    Parameters
    ----------
    resamples : ndarray of shape (n_resamples,)
        The difference in each resample.
    n_effective : float
        The number of images on which the difference rests, as `effective_number` returns it.
    level : float, default=0.05
        One minus the confidence.

    Returns
    -------
    low, high : float
    p_value : float
        At most `level` exactly where the interval excludes zero.

    References
    ----------
    .. [1] Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician
       2015, doi:10.1080/00031305.2015.1089789.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._bootstrap import interval_and_p_value
    >>> draws = np.random.default_rng(0).normal(0.3, 0.1, size=2000)
    >>> low, high, p_value = interval_and_p_value(draws, 50)
    >>> round(low, 2), round(high, 2), p_value < 0.05
    (0.1, 0.5, True)
    """
    if not np.isfinite(resamples).all():
        return np.nan, np.nan, np.nan
    least, most, n = float(resamples.min()), float(resamples.max()), len(resamples)
    if least == most == 0:
        return 0.0, 0.0, 1.0
    # Too few images to tell anything: whatever was drawn is possible, and no difference too.
    if n_effective <= 1.5:
        return min(least, 0.0), max(most, 0.0), 1.0
    df, widen = n_effective - 1, np.sqrt(n_effective / (n_effective - 1))
    tail = stats.norm.sf(stats.t.isf(level / 2, df) * widen)
    place = int(np.floor(tail * (n + 1) + 1e-9))
    ends = max(place - 1, 0), n - max(place, 1)
    low, high = np.partition(resamples, ends)[list(ends)].tolist()
    if place == 0:
        low, high = min(low, 0.0), max(high, 0.0)
    n_beyond = min((resamples <= 0).sum(), (resamples >= 0).sum())
    one_sided = min((n_beyond + 1) / (n + 1), 0.5)
    p_value = 2 * stats.t.sf(stats.norm.isf(one_sided) / widen, df)
    return low, high, float(min(p_value, 1.0))
