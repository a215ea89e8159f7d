"""ReBagg: bags in which rare and normal values of a continuous target weigh alike."""

import threading
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_array, check_random_state, column_or_1d, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import ThreadpoolController

from skimb._containers import column_like, plain_rows, plain_target
from skimb._images import check_rows, refuse_lost_differences
from skimb._params import (
    HasMethods,
    Interval,
    StrOptions,
    check_handed_in,
    check_sample_weight,
    fit_context,
    plain,
    safe_indexing,
)
from skimb._plans import apply_plan
from skimb._rounding import in_dtype
from skimb._sub_estimators import seeded_clone
from skimb._warnings import warn
from skimb.relevance import fit_relevance

__all__ = ["ReBaggRegressor"]

#: Shares of rare rows in the bags of a strategy.
SHARES = {"balance": (1 / 2,), "variation": (1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3)}

MAX_SEED = np.iinfo(np.int32).max


class ReBaggRegressor(RegressorMixin, BaseEstimator):
    """Average regressors that were trained on bags of as many rare as normal rows.

    Rows are rare where their target is relevant, and each bag holds a set share of them [1]_, drawn
    with replacement. Averaging makes up for the normal rows that one bag leaves out, which is what
    a single under-sampled training lacks.

    Parameters
    ----------
    estimator : regressor, default=None
        What is trained on each bag: any regressor, one that reads images too. None:
        ``DecisionTreeRegressor()``.
    n_estimators : int, default=10
        Number of bags.
    strategy : {"balance", "variation"}, default="balance"
        Share of rare rows: one half of every bag; or, for bags that differ more, one of 1/3, 2/5,
        1/2, 3/5, 2/3, drawn for each.
    relevance : Relevance, callable or None, default=None
        As in `fit_relevance`; None: the box plot of y.
    threshold : float, default=0.5
        Rows at least so relevant are rare.
    sampler : sampler of continuous targets or None, default=None
        Makes rare rows where a bag wants more than there are: then the bag holds each rare row
        once, and for the rest rows that a clone of `sampler` made of all of X and y; those among
        them that are rare, each once or, where they are too few, with replacement. Where a bag
        wants no more than there are, it holds some of them, each once. A sampler that does not tell
        what it made, by `parents_`, has made all that it returns. None: rare rows are repeated.
    max_samples : int or float, default=1.0
        Rows in a bag; a float: as a share of the rows of X.
    n_jobs : int or None, default=None
        Bags that are trained side by side, in processes of their own. Each has one thread for
        linear algebra, however many there are: the result does not depend on `n_jobs`.
    random_state : int, RandomState instance or None, default=None
        Drives the bags, and the members and samplers that have no seed of their own.

    Attributes
    ----------
    estimators_ : list of regressors
        The fitted members.
    estimators_samples_ : list of ndarray of int
        Rows of X in each bag, rare ones first; rows that `sampler` made are not among them.
    n_features_in_ : int
        Values in a row of X.
    feature_names_in_ : ndarray of str
        Names of columns, where X is a frame.

    See Also
    --------
    sklearn.ensemble.BaggingRegressor : Bags that are drawn as the data are.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, REBAGG: REsampled BAGGing for Imbalanced Regression, PMLR 94,
       2018, https://proceedings.mlr.press/v94/branco18a.html.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.ensemble import ReBaggRegressor
    >>> rng = np.random.RandomState(0)
    >>> X = rng.uniform(size=(500, 2))
    >>> y = np.exp(4 * X[:, 0] * X[:, 1]) + rng.normal(size=500)
    >>> model = ReBaggRegressor(random_state=0).fit(X, y)
    >>> model.predict([[0.9, 0.9]]).round()
    array([26.])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "strategy": [StrOptions(set(SHARES))],
        "relevance": [callable, None],
        "threshold": [Interval(Real, 0, 1, closed="right")],
        "sampler": [HasMethods("fit_resample"), None],
        "max_samples": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, None, closed="neither"),
        ],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        n_estimators=10,
        strategy="balance",
        relevance=None,
        threshold=0.5,
        sampler=None,
        max_samples: Any = 1.0,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.strategy = strategy
        self.relevance = relevance
        self.threshold = threshold
        self.sampler = sampler
        self.max_samples = max_samples
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Train the members.

        Parameters
        ----------
        X : array-like of shape (n, ...), sparse matrix, frame, or n paths
            Whatever `estimator` reads.
        y : array-like of shape (n,)
            Values of the target. Where none or all of them are rare, the bags are drawn as the data
            are, with a warning.
        sample_weight : array-like of shape (n,), default=None
            Handed on to `estimator` with the rows of each bag; it does not change what is drawn.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y does not fit, `relevance` cannot be fitted on y, `estimator` takes no
            `sample_weight` that is given, or `sampler` makes no rare row that is wanted.
        """
        check_handed_in(self)
        y = column_or_1d(plain_target(y, self), warn=True)
        X, y = check_rows(self, plain_rows(X), y, numeric=False)
        given, y = y, check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        refuse_lost_differences(given, y, "y")
        estimator, weights = self._estimator(), {}
        if sample_weight is not None:
            if not has_fit_parameter(estimator, "sample_weight"):
                raise ValueError(
                    f"{type(estimator).__name__} takes no `sample_weight`. Give another "
                    "`estimator`, or fit without weights."
                )
            weights["sample_weight"] = check_sample_weight(sample_weight, y, dtype=np.float64)
        is_rare, rare = self._rarity(y)
        rng, jobs = check_random_state(self.random_state), []
        for _ in range(self.n_estimators):
            rows, n_made = self._draw(rare, rng)
            make = None
            if n_made > 0:
                sampler, seed = seeded_clone(self.sampler, rng), rng.randint(MAX_SEED)
                make = partial(
                    _made_rows, n_wanted=n_made, sampler=sampler, is_rare=is_rare, seed=seed
                )
            jobs.append((seeded_clone(estimator, rng), rows, make))
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_member)(member, X, y, weights, rows, make) for member, rows, make in jobs
        )
        self.estimators_samples_ = [rows for _, rows, _ in jobs]
        return self

    def predict(self, X):
        """Return the mean of what the members predict.

        Parameters
        ----------
        X : array-like of shape (n, ...), sparse matrix, frame, or n paths
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        X = plain_rows(X)
        predicted = Parallel(n_jobs=self.n_jobs)(
            delayed(_predict)(member, X) for member in self.estimators_
        )
        return np.mean(predicted, axis=0)

    def _estimator(self):
        return DecisionTreeRegressor() if self.estimator is None else self.estimator

    def _rarity(self, y):
        """Return what tells rare values, and which of y are."""
        try:
            phi = fit_relevance(self.relevance, y)
        except ValueError:
            if self.relevance is not None:
                raise
            # The box plot has no extreme value.
            phi = np.zeros_like
        rare = phi(y) >= self.threshold
        if rare.all() or not rare.any():
            warn(
                f"{'All' if rare.any() else 'None'} of the {len(y)} rows are rare, so that the "
                "bags are drawn as the data are. Give a `relevance` that tells rows apart.",
            )
        return partial(_is_rare, phi, self.threshold), rare

    def _draw(self, rare, rng):
        """Return the rows of a bag, and how many rare ones are to be made beside them."""
        n_rows = plain(self.max_samples)
        if not isinstance(n_rows, Integral):
            n_rows = max(1, round(n_rows * len(rare)))
        shares = SHARES[self.strategy]
        n_rare = round(shares[rng.randint(len(shares))] * n_rows)
        if rare.all() or not rare.any():
            return rng.randint(len(rare), size=n_rows), 0
        normal_rows = rng.choice(np.flatnonzero(~rare), size=n_rows - n_rare)
        rare_rows = np.flatnonzero(rare)
        if self.sampler is None:
            rare_rows = rng.choice(rare_rows, size=n_rare)
        elif n_rare < len(rare_rows):
            rare_rows = rng.permutation(rare_rows)[:n_rare]
        n_made = n_rare - len(rare_rows)
        return np.concatenate([rare_rows, normal_rows]), n_made

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._estimator()).input_tags
        return tags


def _is_rare(phi, threshold, values):
    return phi(values) >= threshold


def _fit_member(member, X, y, weights, rows, make):
    """Fit a member on its bag."""
    with one_thread():
        X_bag, y_bag = safe_indexing(X, rows), y[rows]
        weights_bag = {name: weight[rows] for name, weight in weights.items()}
        if make is not None:
            X_made, y_made, weights_made = make(X, y, weights)
            X_bag, y_bag = _below(X_bag, X_made), np.append(y_bag, y_made)
            for name, weight in weights_made.items():
                weights_bag[name] = np.append(weights_bag[name], weight)
        return member.fit(X_bag, y_bag, **weights_bag)


def _predict(member, X):
    with one_thread():
        return member.predict(X)


def _made_rows(X, y, weights, *, n_wanted, sampler, is_rare, seed):
    """Return rare rows that a sampler made, their targets and their weights."""
    X_res, y_res = sampler.fit_resample(X, y)
    y_res = np.asarray(y_res, dtype=np.float64)
    # Below the rows of X stand those that were made.
    first = len(y_res) - len(getattr(sampler, "parents_", y_res))
    made = y_res[first:]
    places = first + (np.flatnonzero(is_rare(made)) if len(made) else np.empty(0, dtype=np.intp))
    if len(places) == 0:
        raise ValueError(
            f"A bag wants {n_wanted} rare rows beside those of X, but {type(sampler).__name__} "
            "made none. Give it the same `relevance`, or another `sampler`, or None."
        )
    rng = check_random_state(seed)
    if n_wanted <= len(places):
        places = rng.permutation(places)[:n_wanted]
    else:
        places = rng.choice(places, size=n_wanted)
    weights = {name: apply_plan(sampler, weight)[places] for name, weight in weights.items()}
    return safe_indexing(X_res, places), y_res[places], weights


def _below(X, made):
    """Return rows with others below them, in their container and of their dtype."""
    # A sampler that computes in float must not turn the other rows into floats too.
    if isinstance(X, pd.DataFrame):
        made = pd.DataFrame(made).reset_index(drop=True).set_axis(X.columns, axis=1)
        for place, dtype in enumerate(X.dtypes):
            values = made.iloc[:, place]
            if values.dtype != dtype and pd.api.types.is_numeric_dtype(dtype):
                made.isetitem(place, column_like(values.to_numpy(), X.iloc[:, place]))
    if hasattr(X, "iloc"):
        return pd.concat([X, made], ignore_index=True)
    if sparse.issparse(X):
        made = sparse.csr_array(made)
        made.data = made.data if made.dtype == X.dtype else in_dtype(made.data, X.dtype)
        return sparse.vstack([X, made], format="csr")
    return np.append(X, made if made.dtype == X.dtype else in_dtype(made, X.dtype), 0)


class _Blas:
    """The threads of linear algebra, as they were before the first of several blocks."""

    lock = threading.Lock()
    n_inside = 0
    limits: Any = None


@contextmanager
def one_thread():
    """Run the block on one thread of linear algebra, and hand back their number as it was.

    The order of sums depends on the number of threads, and joblib's workers have another number
    than the main process.
    """
    controller = ThreadpoolController()
    with _Blas.lock:
        if _Blas.n_inside == 0:
            _Blas.limits = controller.limit(limits=1, user_api="blas")
        _Blas.n_inside += 1
    try:
        # The number of OpenMP's belongs to the thread that sets it, that of BLAS to all.
        with controller.limit(limits=1, user_api="openmp"):
            yield
    finally:
        with _Blas.lock:
            _Blas.n_inside -= 1
            if _Blas.n_inside == 0:
                _Blas.limits.restore_original_limits()
