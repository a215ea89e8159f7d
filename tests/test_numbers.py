"""Every number that validation accepts works as Python's own number of that value does."""

import inspect
from numbers import Integral
from typing import Any

import numpy as np
import pytest
from sklearn.base import RegressorMixin
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

import skimb.ensemble
import skimb.losses
import skimb.model_selection
import skimb.neural_network
import skimb.over_sampling
import skimb.relevance
import skimb.under_sampling
from skimb._params import Interval
from skimb.datasets import load_imbalanced_digits
from skimb.losses import Loss, RegressionLoss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import (
    BalancedBatchSampler,
    CNNClassifier,
    CNNRegressor,
    DecoupledClassifier,
    DeepSMOTE,
)

HOUSES = (
    skimb.ensemble,
    skimb.losses,
    skimb.model_selection,
    skimb.neural_network,
    skimb.over_sampling,
    skimb.relevance,
    skimb.under_sampling,
)

#: Where the rule of `a_value` gives none that says something: large enough to overflow in uint8.
VALUES = {
    "batch_size": 200,
    "kernel_size": 3,
    "num_workers": 0,
    "bins": 4,
    "n_clusters": 2,
    "freeze": 1,
}

#: What a parameter needs beside it.
BESIDE = {
    "max_weight": {"class_weight": "balanced"},
    "validation_fraction": {"early_stopping": True},
    "n_iter_no_change": {"early_stopping": True},
    "freeze": {"module": "simple_cnn"},
    "reweight_after": {"max_epochs": 3},
}

#: Where whole numbers leave nothing to do in a set this small.
ONLY_PARTS = {"sampling_strategy", "coef"}

#: Short fits.
SHORT = {
    "max_epochs": 1,
    "batch_size": 64,
    "n_latent": 4,
    "n_estimators": 2,
    "module": "linear",
    "n_aug": 1,
    "random_state": 0,
}


#: Wrappers of any classifier or regressor, with what makes them quick and lets small sets do.
WRAPPERS = {
    "BiasCorrectedCalibrator": {},
    "ConformalClassifier": {"confidence_level": 0.5},
    "ConformalRegressor": {"confidence_level": 0.5},
    "GuaranteedPrecisionClassifier": {
        "precision": 0.3,
        "prior": 0.5,
        "confidence_level": 0.5,
        "cv": 0.5,
    },
    "GuaranteedRecallClassifier": {"recall": 0.5, "confidence_level": 0.5, "cv": 0.5},
    "PriorCorrectedClassifier": {"target_prior": "uniform"},
    "SpreadCorrectedRegressor": {},
}


def numeric_parameters():
    """Return every public class with each of its parameters that an interval bounds."""
    found = []
    for house in HOUSES:
        for name in dir(house):
            kind = getattr(house, name)
            if not inspect.isclass(kind) or inspect.isabstract(kind) or name.startswith("_"):
                continue
            for parameter, options in getattr(kind, "_parameter_constraints", {}).items():
                if parameter not in inspect.signature(kind).parameters:
                    continue
                found += [
                    pytest.param(kind, parameter, option, id=f"{name}-{parameter}-{place}")
                    for place, option in enumerate(options)
                    if isinstance(option, Interval)
                ]
    return found


def a_value(name, interval):
    """Return a number within an interval that float32 and float16 hold exactly."""
    if interval.type is Integral:
        return VALUES.get(name, 2)
    low, high = interval.left or 0, interval.right
    return low + 0.5 if high is None or high > low + 0.5 else low + 0.25


@pytest.fixture(scope="module")
def data():
    """Real images, of which every fourth is of the minority class."""
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1)[:20], np.flatnonzero(y == 0)[:60]]
    return X[rows], y[rows]


def outcome(kind, params, data):
    """Return what comes out of an object with these parameters."""
    import torch

    X, y = data
    skewed = X.mean(axis=(1, 2)) ** 3
    known = inspect.signature(kind).parameters
    if kind.__name__ in WRAPPERS:
        others = {**WRAPPERS[kind.__name__], "random_state": 0, **params}
        is_number = issubclass(kind, RegressorMixin)
        inner = DecisionTreeRegressor(max_depth=3) if is_number else GaussianNB()
        flat = X.reshape(len(X), -1)
        one = kind(inner, **others).fit(flat, skewed if is_number else y)
        name = next(n for n in ("predict_set", "predict_interval", "predict") if hasattr(one, n))
        return getattr(one, name)(flat)
    one = kind(**{k: v for k, v in SHORT.items() if k in known} | params)
    for name, value in params.items():
        assert one.get_params()[name] is value
    if "estimator" in known and kind is not skimb.ensemble.ReBaggRegressor:
        one.set_params(estimator=CNNClassifier(max_epochs=1, random_state=0))
    if kind is skimb.ensemble.ReBaggRegressor:
        one.set_params(estimator=DecisionTreeRegressor(max_depth=3))
        return one.fit(X.reshape(len(X), -1), skewed).predict(X.reshape(len(X), -1))
    if hasattr(one, "mix"):
        torch.manual_seed(0)
        images = torch.from_numpy(X.astype(np.float32))[:, None]
        return one.mix(images, torch.from_numpy(y), torch.tensor([60.0, 20.0]))[0].numpy()
    if kind is skimb.neural_network.FlipCrop:
        torch.manual_seed(0)
        return one(torch.from_numpy(X)[:, None]).numpy()
    if kind is skimb.neural_network.Jitter:
        torch.manual_seed(0)
        return one(torch.from_numpy(X.astype(np.float32))[:, None]).numpy()
    if kind is skimb.over_sampling.ImageJitter:
        return np.asarray(one(X[..., None], np.random.RandomState(0)))
    if hasattr(one, "fit_resample"):
        is_continuous = "relevance" in known
        flat = X.reshape(len(X), -1) if is_continuous else X
        return np.asarray(one.fit_resample(flat, skewed if is_continuous else y)[0])
    if isinstance(one, Loss):
        logits = torch.from_numpy(X.reshape(len(X), -1)[:, :2] / 16)
        return one.fit(y)(logits, torch.from_numpy(y)).numpy()
    if isinstance(one, RegressionLoss):
        predicted = torch.from_numpy(X.mean(axis=(1, 2)))
        return one.fit(skewed)(predicted, torch.from_numpy(skewed)).detach().numpy()
    if kind is CNNRegressor:
        return one.fit(X, skewed).predict(X)
    if hasattr(one, "predict_proba") or hasattr(one, "predict"):
        return one.fit(X, y).predict_proba(X)
    one.fit(skewed)
    return one.smoothed(one.counts_) if hasattr(one, "smoothed") else one(skewed)


def types_for(interval):
    """Return the types of NumPy whose numbers an interval takes."""
    if interval.type is Integral:
        return np.int64, np.int32, np.uint8
    return np.float64, np.float32, np.float16, np.longdouble


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("kind", "name", "interval"), numeric_parameters())
def test_a_number_of_numpy_works_as_one_of_python(kind, name, interval, data):
    value = a_value(name, interval)
    params = BESIDE.get(name, {})
    if kind is DecoupledClassifier and name == "tau":
        known = inspect.signature(kind).parameters
        # This head trains nothing.
        params = {other: known[other].default for other in ("max_epochs", "batch_size")}
        params["head"] = "tau_normalized"
    if name == "sampling_strategy" and kind is skimb.over_sampling.RelevanceOverSampler:
        value = 1.5
    wanted = outcome(kind, {**params, name: value}, data)
    for to_type in types_for(interval):
        found = outcome(kind, {**params, name: to_type(value)}, data)
        np.testing.assert_array_equal(found, wanted)
    whole = next((n for n in (2, 1) if interval.type is not Integral and n in interval), None)
    if whole is not None and name not in ONLY_PARTS:
        wanted = outcome(kind, {**params, name: whole}, data)
        for to_type in (np.int64, np.uint8):
            found = outcome(kind, {**params, name: to_type(whole)}, data)
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_booleans_and_pixel_statistics_of_numpy_work(kind, data):
    X, y = data
    of_numpy: dict[str, Any] = {
        "early_stopping": np.bool_(True),
        "standardize": (np.float32(4.5), np.float64(6.0)),
        "freeze": np.uint8(0),
        "verbose": np.int64(0),
        "image_shape": (np.int64(1), np.uint8(8), np.int32(8)),
        "random_state": np.int64(3),
    }
    plain: dict[str, Any] = {
        "early_stopping": True,
        "standardize": (4.5, 6.0),
        "freeze": 0,
        "verbose": 0,
        "image_shape": (1, 8, 8),
        "random_state": 3,
    }
    found, wanted = (kind(max_epochs=1, **params).fit(X, y) for params in (of_numpy, plain))
    np.testing.assert_array_equal(found.predict(X), wanted.predict(X))


def test_a_grid_over_a_range_of_numpy_is_searched(data):
    X, y = data
    clf = CNNClassifier("linear", random_state=0)
    grid = {"max_epochs": np.arange(2, 5, 2), "batch_size": np.array([16, 64], dtype=np.uint8)}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_a_loss_search_over_numbers_of_numpy_is_run(search, data):
    X, y = data
    network = CNNClassifier("linear", augmentation=None, random_state=0).set_params(
        max_epochs=np.int64(2)
    )
    model = network if search == "end_to_end" else DecoupledClassifier(network, random_state=0)
    grid = {"lr": np.array([1e-3, 1e-2], dtype=np.float32), "max_epochs": np.arange(1, 3)}
    found = LossSearchCV(model, grid, search=search, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("name", [n for n in skimb.losses.__all__ if n.endswith("Loss")])
def test_losses_take_numbers_of_numpy(name, data):
    X, y = data
    kind = getattr(skimb.losses, name)
    if inspect.isabstract(kind) or kind in (skimb.losses.Loss, skimb.losses.RegressionLoss):
        pytest.skip("no loss of its own")
    numbers = {
        key: parameter.default
        for key, parameter in inspect.signature(kind).parameters.items()
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
    }
    is_continuous = issubclass(kind, skimb.losses.RegressionLoss)
    estimator = CNNRegressor if is_continuous else CNNClassifier
    target = X.mean(axis=(1, 2)) if is_continuous else y
    model = estimator("simple_cnn", max_epochs=2, random_state=0)
    wanted = model.set_params(loss=kind(**numbers)).fit(X, target).predict(X)
    for of_int, of_float in ((np.int64, np.float64), (np.uint8, np.float32)):
        given = {
            key: (of_int if isinstance(value, int) else of_float)(value)
            for key, value in numbers.items()
        }
        found = model.set_params(loss=kind(**given)).fit(X, target).predict(X)
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_auto_encoder_takes_numbers_of_numpy_all_at_once(data):
    X, y = data
    params: dict[str, Any] = {"n_latent": 4, "max_epochs": 2, "batch_size": 50, "k_neighbors": 3}
    wanted = DeepSMOTE(**params, random_state=0).fit_resample(X, y)[0]
    given: dict[str, Any] = {name: np.uint8(value) for name, value in params.items()}
    found = DeepSMOTE(**given, random_state=0).fit_resample(X, y)[0]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": np.uint8(200)},
        {"batch_size": 60, "world_size": np.uint8(3), "rank": np.int64(1), "random_state": 0},
        {"n_epochs": np.int64(2), "batch_sampling": "progressive"},
        {"steps_per_epoch": np.uint8(3)},
        {"batch_sampling": np.float32(0.5)},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_batch_sampler_takes_numbers_of_numpy(given):
    y = np.repeat([0, 1], [300, 100])
    wanted = {name: getattr(value, "item", lambda v=value: v)() for name, value in given.items()}
    found, wanted = (
        list(BalancedBatchSampler(y, **{"random_state": 0, **params})) for params in (given, wanted)
    )
    assert found == wanted
