"""Copy samples of the rare ranges of a continuous target."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skimb._messages import told_apart
from skimb._params import Interval, plain
from skimb._range_sizes import OVER
from skimb._relevance_sampler_base import RelevanceResampler, Selection

__all__ = ["RelevanceOverSampler", "RelevanceSampler"]


class RelevanceOverSampler(RelevanceResampler):
    r"""Copy random samples of the rare ranges of a continuous target.

    The target is cut into rare and normal ranges (UBL calls them *bumps*) where its relevance
    crosses `threshold`. All samples stay, and each rare range gets copies of its samples [1]_.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Maps values of the target to their relevance in [0, 1]. It is fitted to y, see
        `skimb.relevance.fit_relevance`. None: ``Relevance()``, which takes the box plot of y.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        The number of copies. ``"balance"``: as many as there are normal samples, in equal parts for
        each rare range. ``"extreme"``: :math:`m^2 / n_b` copies for a rare range of :math:`n_b`
        samples, where m is the mean size of the normal ranges; the rarer the range, the more
        copies. Both are added to the samples of the range, as in the R package UBL. A float: the
        ratio of the sizes after and before, at least 1. A list: one such ratio for each rare range,
        by increasing y.
    random_state : int, RandomState instance or None, default=None
        It determines which samples are copied.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array.

    Attributes
    ----------
    relevance_ : Relevance or callable
        The relevance, fitted on y.
    bumps_ : DataFrame
        One row per range of the target: its bounds ``low`` and ``high``, whether it ``is_rare``,
        and its number of samples ``before`` and ``after``.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X. The originals come first, then the copies.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    SMOTER : Makes new samples between existing ones.
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
    r"""Copy relevant samples of a continuous target, and drop irrelevant ones.

    There is no threshold: each sample is copied with a probability proportional to its relevance
    :math:`\phi(y)`, and dropped with one proportional to :math:`1 - \phi(y)` (WERCS [1]_). Copies
    are drawn with replacement from all samples; the samples to drop are drawn without. Copies of a
    dropped sample may stay.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Maps values of the target to their relevance in [0, 1]. It is fitted to y, see
        `skimb.relevance.fit_relevance`. None: ``Relevance()``, which takes the box plot of y.
    over : float, default=0.5
        Number of copies, as a fraction of the number of samples.
    under : float, default=0.5
        The fraction of the samples of X that are dropped. Samples of relevance 1 stay in any case.
    random_state : int, RandomState instance or None, default=None
        It determines which samples are copied and which are dropped.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array.

    Attributes
    ----------
    relevance_ : Relevance or callable
        The relevance, fitted on y.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X. The samples that stay come first, then the copies.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    RelevanceOverSampler : Copies samples within rare ranges.

    Notes
    -----
    The R package UBL draws the samples to drop with replacement, so that fewer are dropped than
    requested.

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
            ends = ", ".join(told_apart(target.min(), target.max()))
            raise ValueError(
                f"By `relevance`, all values of y, [{ends}], have the same relevance "
                f"{found[0]:g}, so that there is none to prefer. Give another `relevance`: "
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
        # One sample stays, whatever `under`.
        n_dropped = min(round(plain(self.under) * n_rows), np.count_nonzero(spare), n_rows - 1)
        dropped = rng.choice(n_rows, size=n_dropped, replace=False, p=spare / spare.sum())
        return Selection(np.concatenate([np.setdiff1d(np.arange(n_rows), dropped), copies]))
