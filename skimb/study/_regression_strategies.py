"""The built-in strategies for a continuous target: the parameters that each sets."""

import copy

from sklearn.base import clone
from sklearn.dummy import DummyRegressor

from skimb._strategy_names import BASELINE, CONSTANT, REGRESSION_STRATEGIES
from skimb.model_selection import SpreadCorrectedRegressor
from skimb.over_sampling import SMOGN, RelevanceOverSampler
from skimb.study._strategies import LINEAR
from skimb.under_sampling import RelevanceUnderSampler

__all__ = [
    "BUILT_ON_BASELINE",
    "BY_RELEVANCE",
    "FROM_PIXELS",
    "REGRESSION_STRATEGIES",
    "unfitted_regressor",
]

#: Strategies that train a network of their own: the parameters that they set.
TRAINED = {
    BASELINE: {},
    "weight_sqrt": {"target_weight": "sqrt"},
    "weight_lds": {"target_weight": "lds"},
    "weight_inverse": {"target_weight": "inverse"},
    "density_batches": {"batch_sampling": "inverse"},
    "relevance_batches": {"batch_sampling": "relevance"},
    "focal_r": {"loss": "focal_r"},
    "balanced_mse": {"loss": "balanced_mse"},
    "ranksim": {"ranksim": 10.0},
    "over": {"sampler": RelevanceOverSampler()},
    "under": {"sampler": RelevanceUnderSampler()},
    "smogn": {"sampler": SMOGN()},
    "linear": LINEAR,
}


def _spread_corrected(network, X, y, groups, *, seed, scoring):
    """Spread the predictions of the baseline's network, by networks of halves of the samples."""
    made = SpreadCorrectedRegressor(clone(network), scoring=scoring, random_state=seed)
    return made.tune_fitted(network, X, y, groups=groups)


#: Strategies that start from the baseline's network instead of training one.
BUILT_ON_BASELINE = {"spread_corrected": _spread_corrected}

#: Strategies that must know which values are rare.
BY_RELEVANCE = ("relevance_batches", "over", "under", "smogn")

#: Strategies that compute with pixels.
FROM_PIXELS = ("smogn",)


def unfitted_regressor(name, estimator, *, scoring, relevance=None):
    """Return the estimator that a built-in strategy is, for those who train it themselves.

    Parameters
    ----------
    name : str
        The strategy.
    estimator : CNNRegressor
        The baseline; it is left as it is.
    scoring : str or scorer
        The score that ``"spread_corrected"`` is tuned for.
    relevance : Relevance, callable or None, default=None
        The relevance function, for strategies that must know which values are rare.

    Returns
    -------
    estimator
        Not fitted.
    """
    if name == CONSTANT:
        return DummyRegressor()
    if name == "spread_corrected":
        return SpreadCorrectedRegressor(estimator, scoring=scoring)
    params = dict(TRAINED[name])
    if name in BY_RELEVANCE:
        params["relevance"] = relevance
        if "sampler" in params:
            sampler = copy.copy(params.pop("sampler"))
            params = {"sampler": sampler.set_params(**params)}
    return copy.copy(estimator).set_params(**params)
