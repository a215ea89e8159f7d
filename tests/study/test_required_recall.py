"""False alarms at a recall that is guaranteed."""

import copy

import numpy as np
import pytest
from made_comparisons import made_comparison
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skimb.datasets import load_imbalanced_digits
from skimb.model_selection import GuaranteedRecallClassifier, recall_rank
from skimb.study import compare
from skimb.study._required_recall import Alarms, parts_of_runs

ASKED = {"require": {"recall": 0.9}, "deploy": {"class 0": 0.02}}


class Known(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are known; X holds the numbers of samples."""

    def __init__(self, proba):
        self.proba = proba
        self.classes_ = np.array([0, 1])

    def fit(self, X, y):
        """Do nothing."""
        return self

    def predict_proba(self, X):
        """Return the probabilities of some samples."""
        return self.proba[np.ravel(X).astype(int)]

    def predict(self, X):
        """Return the most probable class."""
        return self.predict_proba(X).argmax(axis=1)


@pytest.fixture(scope="module")
def tested():
    return made_comparison(2, X_test=True, **ASKED)


def test_alarms_are_those_of_a_naive_loop(tested):
    required = tested.deployment.required
    one = tested.predictions("over")[0]
    odds = one.log_proba[:, 0].astype(float) - one.log_proba[:, 1].astype(float)
    own = sorted(odds[one.truth == 0])
    threshold = own[recall_rank(len(own), 0.9, 0.95) - 1]
    n_alarms = sum(score >= threshold for score in odds[one.truth == 1])
    expected = 1000 * 0.98 * n_alarms / (one.truth == 1).sum()
    assert required.table.loc["over", "false_alarms"] == pytest.approx(expected)
    assert required.is_exact
    assert required.guaranteed >= 0.9


def test_the_threshold_is_that_of_the_guaranteed_classifier(tested):
    # Without a deployment, the probabilities stay at the fractions of training, as they are.
    use = tested.at(require={"recall": 0.9})
    one = tested.predictions("over")[0]
    proba = np.exp(one.log_proba.astype(float))
    stand_in = FrozenEstimator(Known(proba))
    y = np.array([0, 1])[one.truth]
    reference = GuaranteedRecallClassifier(stand_in, label=0, recall=0.9).fit(
        np.arange(len(y), dtype=float)[:, None], y
    )
    found = use.required
    assert found.table.loc["over", "threshold"] == pytest.approx(reference.threshold_, rel=1e-3)
    assert found.guaranteed == pytest.approx(reference.guaranteed_recall_)
    rate = found.table.loc["over", "false_alarms"] / 1000 / use.prior["class 1"]
    assert rate == pytest.approx(reference.false_alarm_rate_)


def test_strategies_are_ranked_by_false_alarms(tested):
    alarms = tested.deployment.required.table["false_alarms"]
    assert alarms.is_monotonic_increasing
    best = tested.deployment.best
    known = alarms[tested.deployment.candidates]
    assert (
        alarms[best] == known.min()
        or tested.deployment.required.table.loc[best, "verdict"] == "better"
    )


def test_folds_are_pooled_and_called_approximate():
    required = made_comparison(2, **ASKED).deployment.required
    assert not required.is_exact
    assert required.n_samples == 38
    assert parts_of_runs([np.array([0]), np.array([1]), np.array([0, 1])]) == [[0, 1], [2]]


def test_the_same_run_twice_is_no_further_evidence(tested):
    twice = copy.copy(tested)
    twice.outcomes = {name: 2 * runs for name, runs in tested.outcomes.items()}
    once, again = (one.at(**ASKED).required.table for one in (tested, twice))
    columns = ["false_alarms", "low", "high", "difference_low", "difference_high", "p_value"]
    np.testing.assert_allclose(again.loc[once.index, columns], once[columns])


def test_one_sample_of_each_group_counts(tested):
    grouped = copy.copy(tested)
    grouped.groups = np.arange(len(tested.predictions("none")[0].rows)) // 2
    with pytest.raises(ValueError, match="groups of test samples of class 'class 0'"):
        grouped.at(require={"recall": 0.9})
    found = grouped.at(require={"recall": 0.8}).required
    assert found.n_samples == 19


def test_without_probabilities_nothing_can_be_kept():
    own = {
        "machine": make_pipeline(FunctionTransformer(_flat), LinearSVC()),
        "prior": DummyClassifier(),
    }
    X, y = load_imbalanced_digits(return_X_y=True)
    options = {"cv": 2, "random_state": 0, "require": {"recall": 0.9}}
    result = compare(X, y, strategies=own, **options)
    assert result.deployment.required.table.index.tolist() == ["prior"]
    assert "machine" in str(result)
    with pytest.warns(UserWarning, match="No strategy has probabilities"):
        result = compare(X, y, strategies={"machine": own["machine"]}, **options)
    assert result.deployment.required is None


def _flat(images):
    return images.reshape(len(images), -1) / 16


def test_resamples_vary_around_the_alarms_that_were_seen():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [60, 300])
    scores = rng.normal(size=(2, 360)) + 2 * (truth == 0)
    alarms = Alarms(scores, truth, truth == 0, 0, np.array([0.1, 0.9]), None)
    rank = recall_rank(60, 0.9, 0.95)
    told, _ = alarms.at(rank)
    drawn = alarms.resampled(rank, np.random.default_rng(1))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    assert ((low < told) & (told < high)).all()
    units = np.arange(360) // 10
    grouped = Alarms(scores, truth, truth == 0, 0, np.array([0.1, 0.9]), units)
    assert grouped.resampled(rank, np.random.default_rng(1)).shape == drawn.shape


def test_the_file_holds_alarms_and_they_choose_the_winner(tested):
    figures = tested.to_dict()
    assert figures["deployment"]["metric"] == "false_alarms"
    assert figures["best"]["metric"] == "false_alarms"
    assert figures["best"]["strategy"] == tested.deployment.best
    assert figures["deployment"]["require"]["recall"] == 0.9
    assert figures["strategies"]["over"]["false_alarms"]["threshold"] > 0
