"""ReBagg: bags in which rare and normal values of a continuous target have set fractions."""

from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state, column_or_1d, get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import ThreadpoolController

from skimb._containers import column_like, plain_rows, plain_target
from skimb._frames import as_pandas
from skimb._lost_differences import refuse_lost_differences
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
from skimb._process import ForkedLock
from skimb._rounding import in_dtype
from skimb._routing import metadata_of_estimator, requesting, router_of
from skimb._sampler_rows import check_rows
from skimb._sub_estimators import seeded_clone
from skimb._warnings import warn
from skimb.relevance import check_target, fit_relevance

__all__ = ["ReBaggRegressor"]

#: Fractions of rare samples in the bags of a strategy.
RARE_FRACTIONS = {"balance": (1 / 2,), "variation": (1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3)}

MAX_SEED = np.iinfo(np.int32).max


class ReBaggRegressor(RegressorMixin, BaseEstimator):
    """Average regressors that were trained on bags of as many rare as normal samples.

    Samples are rare if their target is relevant, and each bag holds a set fraction of rare samples
    [1]_, drawn with replacement. A single training on an under-sampled set loses the normal samples
    that were left out; here the other bags hold them, and predictions are averaged.

    Parameters
    ----------
    estimator : regressor, default=None
        The regressor that is trained on each bag. It may read images. None:
        ``DecisionTreeRegressor()``.
    n_estimators : int, default=10
        Number of bags.
    strategy : {"balance", "variation"}, default="balance"
        The fraction of rare samples. ``"balance"``: one half of every bag. ``"variation"``: for
        bags that differ more, one of 1/3, 2/5, 1/2, 3/5 and 2/3, drawn for each bag.
    relevance : Relevance, callable or None, default=None
        Maps values of the target to their relevance, see `fit_relevance`. None: ``Relevance()``,
        which takes the box plot of y.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.
    sampler : sampler of continuous targets or None, default=None
        If a bag needs more rare samples than exist, it contains every rare sample once and is
        completed with rare synthetic samples from a clone of `sampler` fitted on (X, y), drawn
        without replacement if there are enough and with replacement otherwise. If it needs fewer,
        rare samples are drawn without replacement. If the sampler has no `parents_`, all samples
        that it returns are taken as synthetic. None: rare samples are drawn with replacement.
    max_samples : int or float, default=1.0
        Number of samples in a bag. A float: a fraction of the number of samples of X.
    n_jobs : int or None, default=None
        Number of bags that are trained in parallel, in separate processes. Each uses one thread for
        linear algebra, so that the result does not depend on `n_jobs`.
    random_state : int, RandomState instance or None, default=None
        It determines the bags, and seeds the members and samplers that have no seed.

    Attributes
    ----------
    estimators_ : list of regressors
        The fitted members.
    estimators_samples_ : list of ndarray of int
        Indices of the samples of X in each bag, rare ones first. Samples that `sampler` made are
        not among them.
    n_features_in_ : int
        Number of values in a sample of X.
    feature_names_in_ : ndarray of str
        Names of the columns, if X is a frame.

    See Also
    --------
    sklearn.ensemble.BaggingRegressor : Draws its bags without regard to rarity.

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
        "strategy": [StrOptions(set(RARE_FRACTIONS))],
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

    #: The members use them, not the ensemble.
    __metadata_request__fit = {"sample_weight": UNUSED}

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **metadata: Any
    ) -> Self:
        """Train the members.

        Parameters
        ----------
        X : array-like of shape (n, ...), sparse matrix, frame, or n paths
            Samples in a form that `estimator` reads.
        y : array-like of shape (n,)
            Values of the target. If none or all of them are rare, the bags are drawn without regard
            to rarity, with a warning.
        sample_weight : array-like of shape (n,), default=None
            Weights that are passed to `estimator` with the samples of each bag. They do not change
            the bags. With metadata routing, the members get them if `estimator` requests them.
        **metadata
            With metadata routing, metadata under the names that `estimator` requests, as in
            ``estimator.set_fit_request(sample_weight="weight")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y does not fit, `relevance` cannot be fitted on y, `sample_weight` is given and
            `estimator` does not accept it, or `sampler` makes no rare sample although one is
            needed.
        """
        check_handed_in(self)
        y = column_or_1d(plain_target(y, self), warn=True)
        X, y = check_rows(self, _rows_of(X), y, numeric=False)
        given, y = y, check_target(y)
        refuse_lost_differences(given, y, "y")
        estimator, weights = self._estimator(), {}
        given = metadata_of_estimator(self, {"sample_weight": sample_weight}, metadata)
        unknown = sorted(set(given) - {"sample_weight"})
        if unknown:
            raise ValueError(f"Bags carry `sample_weight` only. Got {unknown} too.")
        sample_weight = given.get("sample_weight")
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

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the mean of the members' predictions.

        Parameters
        ----------
        X : array-like of shape (n, ...), sparse matrix, frame, or n paths
            Samples as in `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        X = _rows_of(X)
        predicted = Parallel(n_jobs=self.n_jobs)(
            delayed(_predict)(member, X) for member in self.estimators_
        )
        return np.mean(predicted, axis=0)

    def _estimator(self):
        if self.estimator is None:
            return requesting(DecisionTreeRegressor(), "sample_weight")
        return self.estimator

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the members request.

        Returns
        -------
        MetadataRouter
        """
        return router_of(self, self._estimator())

    def _rarity(self, y):
        """Return a function that tells rare values, and a mask of the rare values of y."""
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
                f"{'All' if rare.any() else 'None'} of the {len(y)} samples are rare, so that "
                "rarity cannot guide the bags. Give a `relevance` by which only some are rare.",
            )
        return partial(_is_rare, phi, self.threshold), rare

    def _draw(self, rare, rng):
        """Return the samples of a bag, and how many rare ones are to be made in addition."""
        n_rows = plain(self.max_samples)
        if not isinstance(n_rows, Integral):
            n_rows = max(1, round(n_rows * len(rare)))
        fractions = RARE_FRACTIONS[self.strategy]
        n_rare = round(fractions[rng.randint(len(fractions))] * n_rows)
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


def _rows_of(X):
    # A member may know the only column of a frame by its name (`image_column`).
    frame = as_pandas(X)
    return frame if isinstance(frame, pd.DataFrame) else plain_rows(X)


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
    """Return rare samples that a sampler made, their targets and their weights."""
    X_res, y_res = sampler.fit_resample(X, y)
    y_res = np.asarray(y_res, dtype=np.float64)
    # Synthetic samples stand below those of X.
    first = len(y_res) - len(getattr(sampler, "parents_", y_res))
    made = y_res[first:]
    places = first + (np.flatnonzero(is_rare(made)) if len(made) else np.empty(0, dtype=np.intp))
    if len(places) == 0:
        raise ValueError(
            f"A bag needs {n_wanted} rare samples in addition to those of X, but "
            f"{type(sampler).__name__} made none. Give it the same `relevance`, or "
            "another `sampler`, or None."
        )
    rng = check_random_state(seed)
    if n_wanted <= len(places):
        places = rng.permutation(places)[:n_wanted]
    else:
        places = rng.choice(places, size=n_wanted)
    weights = {name: apply_plan(sampler, weight)[places] for name, weight in weights.items()}
    return safe_indexing(X_res, places), y_res[places], weights


def _below(X, made):
    """Return samples with others below them, in their container and of their dtype."""
    # A sampler that computes in float must not turn the other samples into floats too.
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

    lock = ForkedLock()
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
