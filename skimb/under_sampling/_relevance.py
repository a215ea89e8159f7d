"""Drop rows of the frequent ranges of a continuous target."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skimb._range_sizes import UNDER
from skimb._relevance_sampler_base import RelevanceResampler, Selection

__all__ = ["RelevanceUnderSampler"]


class RelevanceUnderSampler(RelevanceResampler):
    r"""Keep all rare rows of a continuous target, and a random part of the others.

    The target's range is cut into *bumps*, rare and normal, where its relevance crosses
    `threshold`. It throws data away, which costs more the rarer the rare is [1]_.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Of the target's values, in [0, 1]; it is fitted to y, see `skimb.relevance.fit_relevance`.
        None: ``Relevance()``, that of the box plot.
    threshold : float, default=0.5
        Rows at least so relevant are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        How many normal rows stay. ``"balance"``: as many as there are rare ones, in equal parts for
        each normal bump. ``"extreme"``: :math:`m^2 / n_b` of a normal bump of :math:`n_b` rows,
        with m the rows of a rare bump in the mean. A float: the share that stays; a list: one such
        number for each normal bump, by increasing y. One row of a bump at least stays, and no more
        than all.
    random_state : int, RandomState instance or None, default=None
        Which rows stay.
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
        For each returned row its index in X, in the order of X.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    skimb.over_sampling.SMOTER : Drops normal rows too, and makes rare ones.

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
