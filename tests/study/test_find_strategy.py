"""A search over strategies and their strengths within a time, and its verdict on unseen images."""

import itertools
import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skimb.metrics import imbalance_scoring
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.study import CANDIDATES, Candidate, SearchPlan, compare, find_strategy, fit_strategy
from skimb.study._classification_task import ClassificationTask
from skimb.study._find_strategy import _plan_for
from skimb.study._halving import halve, survivors
from skimb.study._search_heads import EmbeddedFold

FEW = [CANDIDATES[0], Candidate("over"), Candidate("focal", {"loss__gamma": 5.0})]


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    y = np.repeat(["common", "rare"], [150, 45])
    X = rng.rand(195, 6, 6).astype(np.float32)
    X[y == "rare", 2:4] += 0.3
    return X, y


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **options)


# ------------------------------------------------------------------------------ halving


@given(st.integers(2, 60), st.integers(1, 5), st.integers(1, 2))
def test_rungs_begin_with_all_candidates_and_never_grow(n_candidates, n_rungs, n_finalists):
    numbers = survivors(n_candidates, n_rungs, n_finalists)
    assert numbers[0] == n_candidates
    assert len(numbers) == n_rungs
    assert all(after <= before for before, after in itertools.pairwise(numbers))
    assert min(numbers) >= min(n_candidates, n_finalists)


def test_the_best_mean_of_all_folds_wins_and_a_candidate_that_fails_is_dropped():
    table = {"a": [0.5, 0.9, 0.9], "b": [0.6, 0.5, 0.5], "c": [np.nan] * 3, "d": [0.1] * 3}

    def score(rung, candidates):
        return np.array([table[name][rung] for name in candidates])

    finalists, scores = halve(list(table), range(3), score, n_finalists=2)
    assert finalists == [0, 1]
    assert np.isnan(scores[1:, 2]).all()


def test_equal_candidates_keep_their_order():
    finalists, _ = halve(["a", "b", "c"], [0], lambda _, c: np.zeros(len(c)), n_finalists=2)
    assert finalists == [0, 1]


# ------------------------------------------------------------------------------ heads


@pytest.mark.slow
def test_a_candidate_scores_as_the_decoupled_classifier_that_it_is(data):
    X, y = data
    train, test = np.arange(0, 195, 2), np.arange(1, 195, 2)
    network = quietly(CNNClassifier(max_epochs=3, random_state=0).fit, X[train], y[train])
    task = ClassificationTask(y[train])
    scorer = imbalance_scoring(y)["balanced_accuracy"]
    fold = EmbeddedFold(network, X[train], y[train], X[test], y[test])
    candidate = Candidate("class_weight", {"class_weight": "sqrt"})
    found = fold.scores(task, [candidate, *FEW], scorer, seed=3)
    alone = DecoupledClassifier(
        FrozenEstimator(network), class_weight="sqrt", batch_sampling=None, random_state=3
    ).fit(X[train], y[train])
    assert found[0] == scorer(alone, X[test], y[test])


def test_every_candidate_is_a_strategy_with_settings_that_it_can_have(data):
    task = ClassificationTask(data[1])
    labels = [candidate.label for candidate in CANDIDATES]
    assert len(set(labels)) == len(labels)
    for candidate in CANDIDATES:
        made = task.unfitted(candidate.strategy, CNNClassifier(), candidate.settings)
        assert type(clone(made)) is CNNClassifier
        assert json.loads(json.dumps(candidate.settings)) == candidate.settings


# ------------------------------------------------------------------------------ the search


@pytest.mark.slow
def test_the_verdict_is_about_images_that_the_search_never_saw(data, monkeypatch):
    X, y = data
    seen = []
    fit = CNNClassifier.fit

    def watched(self, X, *args, **options):
        seen.append({image.tobytes() for image in np.asarray(X)})
        return fit(self, X, *args, **options)

    monkeypatch.setattr(CNNClassifier, "fit", watched)
    result = quietly(
        find_strategy,
        X,
        y,
        plan=SearchPlan(2, 1),
        candidates=FEW,
        estimator=CNNClassifier(max_epochs=1),
        random_state=0,
    )
    assert result.protocol["evaluation"] == "fixed test set"
    assert result.protocol["n_test_rows"] == 65
    trained = set.union(*seen)
    assert len(trained) == 130
    assert result.search.scores.shape == (2, 3)
    assert len(result.search.baseline) == 2
    [finalist] = result.search.finalists
    assert result.strategies == ["none", "threshold", finalist, "always rare"]


@pytest.mark.slow
def test_with_a_plan_the_result_follows_from_the_random_state_and_can_be_fitted(data, tmp_path):
    X, y = data
    options = {
        "plan": SearchPlan(1, 1),
        "candidates": [FEW[0]],
        "estimator": CNNClassifier(max_epochs=1),
        "random_state": 0,
    }
    first, second = (quietly(find_strategy, X, y, n_jobs=n, **options) for n in (1, 2))
    np.testing.assert_array_equal(first.search.scores, second.search.scores)
    [name] = first.search.finalists
    for metric in first.metrics:
        np.testing.assert_array_equal(first.values(name, metric), second.values(name, metric))
    first.to_json(tmp_path / "result.json")
    figures = json.loads((tmp_path / "result.json").read_text())
    assert figures["search"]["finalists"] == [name]
    assert figures["search"]["candidates"][0]["settings"] == {"class_weight": "sqrt"}
    settings = figures.get("settings", {}).get(name)
    fit_strategy(
        figures["built_in"][name],
        X,
        y,
        settings=settings,
        estimator=CNNClassifier(max_epochs=1),
        random_state=0,
    )


@pytest.mark.slow
def test_a_finalist_may_be_a_strategy_as_it_is_and_no_estimator_is_the_users(data, tmp_path):
    result = quietly(
        find_strategy,
        *data,
        plan=SearchPlan(1, 1),
        candidates=[Candidate("over")],
        estimator=CNNClassifier(max_epochs=1),
        random_state=0,
    )
    assert result.strategies == ["none", "threshold", "over", "always rare"]
    assert result.descriptions["always rare"] == "reference: rare for every image"
    result.to_html(tmp_path / "report.html")
    assert "your own" not in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_groups_stay_on_one_side_of_the_verdict(data):
    X, y = data
    groups = np.arange(len(y)) // 3
    result = quietly(
        find_strategy,
        X,
        y,
        groups=groups,
        plan=SearchPlan(1, 1),
        candidates=FEW[:2],
        estimator=CNNClassifier(max_epochs=1),
        random_state=0,
    )
    assert result.protocol["n_test_rows"] % 3 == 0


class Timed:
    """A search whose fold took ten seconds, eight of them for the network."""

    of_fold, n_folds, candidates = 10.0, 5, FEW

    def seconds_of_training(self):
        return 10.0


@pytest.mark.parametrize(
    ("left", "plan"),
    [(80, SearchPlan(5)), (79, SearchPlan(4)), (40, SearchPlan(1)), (30, SearchPlan(1, 1))],
)
def test_the_most_thorough_plan_that_fits_the_time_is_taken(left, plan):
    assert _plan_for(left, Timed(), 1) == plan


def test_too_little_time_is_told():
    with pytest.warns(UserWarning, match="0.1 minutes are too few: the smallest search takes"):
        assert _plan_for(1, Timed(), 0.1) == SearchPlan(1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minutes": 0}, "`minutes` must be a positive number"),
        ({"candidates": []}, "at least 1 candidates"),
        ({"X_test": np.zeros((2, 6, 6))}, "give both or neither"),
        ({"estimator": CNNClassifier(class_weight="balanced")}, "baseline must have none"),
        ({"estimator": "none"}, "needs a CNNClassifier"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_training(data, options, words):
    with pytest.raises(ValueError, match=words):
        find_strategy(*data, **options)


@pytest.mark.parametrize("plan", [(0, 1), (6, 1), (1, 0), (1.5, 1)])
def test_a_plan_that_cannot_be_is_refused(plan):
    with pytest.raises(ValueError, match="must be from 1 to"):
        SearchPlan(*plan)


@pytest.mark.slow
def test_a_comparison_can_have_another_baseline(data):
    X, y = data
    result = quietly(
        compare,
        X,
        y,
        strategies=["constant", "linear"],
        estimator=CNNClassifier(max_epochs=1),
        cv=2,
        random_state=0,
    )
    other = result.against("constant")
    assert (result.baseline, other.baseline) == ("none", "constant")
    assert sorted(other.strategies) == sorted(result.strategies)
    metric = "balanced_accuracy"
    assert other.judgement("none", metric).difference == pytest.approx(
        -result.judgement("constant", metric).difference
    )
    with pytest.raises(ValueError, match="must be one of"):
        result.against("nobody")
