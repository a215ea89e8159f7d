"""Copy rows of the rare ranges of a continuous target."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skimb._params import Interval, plain
from skimb._range_sizes import OVER
from skimb._relevance_sampler_base import RelevanceResampler, Selection

__all__ = ["RelevanceOverSampler", "RelevanceSampler"]


class RelevanceOverSampler(RelevanceResampler):
    r"""Copy random rows of the rare ranges of a continuous target.

    The target's range is cut into *bumps*, rare and normal, where its relevance crosses
    `threshold`. All rows stay, and each rare bump gets copies [1]_.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Of the target's values, in [0, 1]; it is fitted to y, see `skimb.relevance.fit_relevance`.
        None: ``Relevance()``, that of the box plot.
    threshold : float, default=0.5
        Rows at least so relevant are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        How many copies. ``"balance"``: as many as there are normal rows, in equal parts for each
        rare bump. ``"extreme"``: :math:`m^2 / n_b` for a rare bump of :math:`n_b` rows, with m the
        rows of a normal bump in the mean: the more, the fewer it has. Both come on top of the rows
        of the bump, as in the R package UBL. A float: so many rows afterwards for one before, at
        least 1; a list: one such number for each rare bump, by increasing y.
    random_state : int, RandomState instance or None, default=None
        Which rows are copied.
    lazy : bool, default=False
        Where X is an array, return a view over it, which costs no memory.

    Attributes
    ----------
    relevance_ : Relevance or callable
        What tells the relevance, fitted on y.
    bumps_ : DataFrame
        A row for each bump: ``low`` and ``high`` of its targets, ``is_rare``, and its rows
        ``before`` and ``after``.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row the row of X that it copies; the originals come first.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    SMOTER : Makes new rows between the old ones.
    RelevanceSampler : Draws copies by relevance, without a threshold.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, Pre-processing approaches for imbalanced distributions in
       regression, Neurocomputing 2019, doi:10.1016/j.neucom.2018.11.100.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import RelevanceOverSampler
    >>> y = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    >>> X = y[:, np.newaxis]
    >>> over = RelevanceOverSampler(random_state=0)
    >>> X_res, y_res = over.fit_resample(X, y)
    >>> y_res[11:].tolist()
    [20, 4, 12, 12, 12, 4]
    >>> over.bumps_
          low  high  is_rare  before  after
    bump
    0     1.0   3.0    False       6      6
    1     4.0  20.0     True       5     11
    """

    _sizes = OVER

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.lazy = lazy

    def _plan(self, rows, target, learned):
        rng = check_random_state(self.random_state)
        added = (self.bumps_["after"] - self.bumps_["before"]).tolist()
        copies = [
            rng.choice(np.flatnonzero(learned == b), size=n_new) for b, n_new in enumerate(added)
        ]
        return Selection(np.concatenate([np.arange(len(learned)), *copies]))


class RelevanceSampler(RelevanceResampler):
    r"""Copy rows of a continuous target that are relevant, and drop such as are not.

    No threshold: each row is copied with a probability proportional to its relevance
    :math:`\phi(y)`, and dropped with one proportional to :math:`1 - \phi(y)` (WERCS [1]_). Copies
    are drawn with replacement from all rows, rows to drop without; a row that is dropped may leave
    copies behind.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Of the target's values, in [0, 1]; it is fitted to y, see `skimb.relevance.fit_relevance`.
        None: ``Relevance()``, that of the box plot.
    over : float, default=0.5
        Copies for each row of X.
    under : float, default=0.5
        The share of the rows of X that go. Rows of relevance 1 stay in any case.
    random_state : int, RandomState instance or None, default=None
        Which rows are copied, which go.
    lazy : bool, default=False
        Where X is an array, return a view over it, which costs no memory.

    Attributes
    ----------
    relevance_ : Relevance or callable
        What tells the relevance, fitted on y.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row its index in X: first the rows that stay, then the copies.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    RelevanceOverSampler : Copies within ranges that are rare.

    Notes
    -----
    The R package UBL draws rows to drop with replacement, so that fewer go than were asked for.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, Pre-processing approaches for imbalanced distributions in
       regression, Neurocomputing 2019, doi:10.1016/j.neucom.2018.11.100.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import RelevanceSampler
    >>> y = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    >>> X = y[:, np.newaxis]
    >>> X_res, y_res = RelevanceSampler(over=1.0, random_state=0).fit_resample(X, y)
    >>> y_res.tolist()
    [2, 2, 5, 12, 20, 12, 12, 12, 12, 5, 12, 5, 20, 20, 5, 20]
    """

    _parameter_constraints: dict = {
        **RelevanceResampler._parameter_constraints,
        "over": [Interval(Real, 0, None, closed="left")],
        "under": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, *, relevance=None, over=0.5, under=0.5, random_state=None, lazy=False):
        self.relevance = relevance
        self.over = over
        self.under = under
        self.random_state = random_state
        self.lazy = lazy

    def _learn(self, target):
        found = self._fit_relevance(target)(target)
        if not np.ptp(found) > 0:
            raise ValueError(
                f"By `relevance`, all values of y, [{target.min():g}, {target.max():g}], are alike "
                f"{found[0]:g} relevant, so there is none to prefer. Give another `relevance`: "
                "Relevance(points=[(value, relevance), ...])."
            )
        return found

    def _plan(self, rows, target, learned):
        rng = check_random_state(self.random_state)
        n_rows = len(learned)
        copies = rng.choice(
            n_rows, size=round(plain(self.over) * n_rows), p=learned / learned.sum()
        )
        spare = 1 - learned
        # One row stays, whatever `under`.
        n_dropped = min(round(plain(self.under) * n_rows), np.count_nonzero(spare), n_rows - 1)
        dropped = rng.choice(n_rows, size=n_dropped, replace=False, p=spare / spare.sum())
        return Selection(np.concatenate([np.setdiff1d(np.arange(n_rows), dropped), copies]))
