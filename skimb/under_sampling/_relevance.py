"""Drop samples of the normal ranges of a continuous target."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skimb._range_sizes import UNDER
from skimb._relevance_sampler_base import RelevanceResampler, Selection

__all__ = ["RelevanceUnderSampler"]


class RelevanceUnderSampler(RelevanceResampler):
    r"""Keep all rare samples of a continuous target, and a random part of the others.

    The target is cut into rare and normal ranges (UBL calls them *bumps*) where its relevance
    crosses `threshold`. Dropping data costs more, the rarer the rare samples are [1]_.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Maps values of the target to their relevance in [0, 1]. It is fitted to y, see
        `skimb.relevance.fit_relevance`. None: ``Relevance()``, which takes the box plot of y.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        The number of normal samples that stay. ``"balance"``: as many as there are rare ones, in
        equal parts for each normal range. ``"extreme"``: :math:`m^2 / n_b` samples of a normal
        range of :math:`n_b` samples, where m is the mean size of the rare ranges. A float: the
        fraction that stays. A list: one such fraction for each normal range, by increasing y. At
        least one sample of each range stays, and at most all of them.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay.
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
        For each returned sample its index in X, in the order of X.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    skimb.over_sampling.SMOTER : Drops normal samples too, and makes rare ones.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, Pre-processing approaches for imbalanced distributions in
       regression, Neurocomputing 2019, doi:10.1016/j.neucom.2018.11.100.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.under_sampling import RelevanceUnderSampler
    >>> y = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    >>> X = y[:, np.newaxis]
    >>> X_res, y_res = RelevanceUnderSampler(random_state=0).fit_resample(X, y)
    >>> y_res.tolist()
    [1, 2, 2, 3, 3, 4, 4, 5, 12, 20]
    """

    _sizes = UNDER

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
        kept = [
            rng.choice(np.flatnonzero(learned == b), size=n_kept, replace=False)
            for b, n_kept in enumerate(self.bumps_["after"].tolist())
        ]
        return Selection(np.sort(np.concatenate(kept)))
