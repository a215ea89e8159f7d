"""comparison.estimator(name): the estimator behind a name, ready to be fitted."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import (
    FURTHER_STRATEGIES,
    REGRESSION_STRATEGIES,
    STRATEGIES,
    compare,
    strategy_estimator,
)

N = 60
X = np.random.RandomState(0).randint(0, 255, size=(N, 8, 8)).astype(np.uint8)
Y = np.where(np.arange(N) % 3, "often", "rare")


def without_training(monkeypatch, *arguments, **options) -> Any:
    """Return a comparison whose strategies were not fitted."""
    monkeypatch.setattr("skimb.study._compare.run_jobs", lambda *_: iter(()))
    monkeypatch.setattr("skimb.study._regression_task._largest_errors", lambda *_, **__: None)
    monkeypatch.setattr("skimb.study._classification_task.pooled_mistakes", lambda *_, **__: None)
    return compare(*arguments, **options)


def is_same(one, other):
    """Tell whether two estimators have equal parameters, those in it included."""
    if isinstance(one, BaseEstimator):
        theirs = other.get_params(deep=False)
        return type(one) is type(other) and all(
            is_same(value, theirs[name]) for name, value in one.get_params(deep=False).items()
        )
    return repr(one) == repr(other)


@pytest.mark.parametrize("name", [*STRATEGIES, *FURTHER_STRATEGIES])
def test_it_is_what_strategy_estimator_returns(name, monkeypatch):
    # Sizes that are given are those of every training, whatever the number of samples.
    network = CNNClassifier(max_epochs=3, batch_size=16)
    result = without_training(
        monkeypatch, X, Y, strategies=[name], estimator=network, cv=3, random_state=7
    )
    found = result.estimator(name)
    heads = (result.protocol["head_training"] or {}).get(name)
    made = strategy_estimator(name, X, Y, estimator=network, head_training=heads, random_state=7)
    assert is_same(found, made)
    assert found is not result.estimator(name)


@pytest.mark.parametrize("name", REGRESSION_STRATEGIES)
def test_it_is_for_numbers_too(name, monkeypatch):
    y = np.random.RandomState(0).standard_t(2, size=N)
    options: Any = {
        "estimator": CNNRegressor(max_epochs=3, batch_size=16),
        "random_state": 7,
    }
    result = without_training(monkeypatch, X, y, strategies=[name], cv=3, **options)
    assert is_same(result.estimator(name), strategy_estimator(name, X, y, **options))


@pytest.mark.slow
def test_it_trains_the_network_of_the_comparison():
    options: Any = {"estimator": CNNClassifier(max_epochs=1), "random_state": 3}
    others = 255 - X
    result = compare(X, Y, strategies=["prior_shift"], X_test=others, y_test=Y, **options)
    # On a test set, a run trains on all samples, with a seed of the run.
    fitted = result.estimator("prior_shift").set_params(random_state=result.protocol["seeds"][0])
    predicted = fitted.fit(X, Y).predict_log_proba(others)
    kept = result.predictions("prior_shift")[0].log_proba
    np.testing.assert_array_equal(predicted.astype(np.float32), kept)


def test_own_estimators_are_clones_with_the_seed():
    own = {"mine": DecisionTreeClassifier(max_depth=2), "seeded": DummyClassifier(random_state=5)}
    data = X.reshape(N, -1), Y
    result = compare(*data, strategies=own, cv=3, random_state=0)
    first, again = result.estimator("mine"), result.estimator("mine")
    assert first is not own["mine"]
    assert first.max_depth == 2
    assert first.random_state == again.random_state is not None
    assert result.estimator("seeded").random_state == 5
    assert own["mine"].random_state is None
    result = compare(*data, strategies=own, cv=3)
    assert result.estimator("mine").random_state is None
    with pytest.raises(ValueError, match=r"'other' is no strategy .* \['mine', 'seeded'\]"):
        result.estimator("other")


def test_variants_have_their_settings(monkeypatch):
    strategies: Any = {"none": "none", "sharp": ("focal", {"loss__gamma": 5})}
    result = without_training(monkeypatch, X, Y, strategies=strategies, cv=3, random_state=0)
    assert result.estimator("sharp").loss.gamma == 5


def test_the_mappings_of_strategies_can_be_read_only():
    for strategies in (STRATEGIES, FURTHER_STRATEGIES, REGRESSION_STRATEGIES):
        assert all(isinstance(line, str) and line for line in strategies.values())
        with pytest.raises(TypeError):
            strategies["mine"] = "a strategy"  # pyright: ignore
        with pytest.raises(TypeError):
            del strategies["none"]  # pyright: ignore
