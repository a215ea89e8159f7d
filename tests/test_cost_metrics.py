"""The cost of decisions and the net benefit: by hand, by loops over samples, and in searches."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from skimb.metrics import cost_scoring, expected_cost, net_benefit

LABELS = np.array(["a", "b", "c"])
COSTS = np.array([[0.0, 2.0, 5.0], [4.0, -1.0, 3.0], [10.0, 6.0, 0.0]])
FRAME = pd.DataFrame(COSTS, index=LABELS, columns=LABELS)


def some_labels(n=200, seed=0):
    rng = np.random.RandomState(seed)
    return LABELS[rng.choice(3, n, p=[0.7, 0.2, 0.1])], LABELS[rng.randint(3, size=n)]


# -------------------------------------------------------------------------- expected costs


def test_the_expected_cost_is_that_of_a_loop_over_samples():
    y_true, y_pred = some_labels()
    weight = np.random.RandomState(1).rand(200)
    total = sum(
        w * FRAME.loc[true, predicted]
        for true, predicted, w in zip(y_true, y_pred, weight, strict=True)
    )
    for costs in (COSTS, FRAME, FRAME.iloc[::-1, [1, 0, 2]], FRAME.T.to_dict()):
        found = expected_cost(y_true, y_pred, cost_matrix=costs, sample_weight=weight)
        assert found == pytest.approx(total / weight.sum(), rel=1e-12)


def test_another_prior_weighs_the_costs_of_the_classes():
    y_true, y_pred = some_labels()
    prior = {"a": 0.1, "b": 0.3, "c": 0.6}
    total = 0.0
    for label in LABELS:
        own = y_pred[y_true == label]
        total += prior[label] * sum(FRAME.loc[label, p] for p in own) / len(own)
    assert expected_cost(y_true, y_pred, cost_matrix=COSTS, prior=prior) == pytest.approx(total)
    # The same as samples of this prior.
    weight = np.array([prior[label] / np.mean(y_true == label) for label in y_true])
    weighted = expected_cost(y_true, y_pred, cost_matrix=COSTS, sample_weight=weight)
    assert weighted == pytest.approx(total)
    uniform = expected_cost(y_true, y_pred, cost_matrix=COSTS, prior="uniform")
    thirds = dict.fromkeys(LABELS.tolist(), 5)
    assert uniform == expected_cost(y_true, y_pred, cost_matrix=COSTS, prior=thirds)


def test_without_costs_it_is_the_fraction_of_errors():
    y_true, y_pred = some_labels()
    assert expected_cost(y_true, y_pred, cost_matrix=None) == pytest.approx(
        np.mean(y_true != y_pred)
    )


@pytest.mark.parametrize("prior", [None, "uniform", {"a": 0.5, "b": 0.3, "c": 0.2}])
def test_the_normalised_cost_of_the_best_constant_decision_is_one(prior):
    y_true, _ = some_labels()
    given = {"cost_matrix": np.abs(COSTS), "prior": prior, "labels": LABELS}
    constant = [expected_cost(y_true, np.repeat(c, 200), **given) for c in LABELS]
    best = np.repeat(LABELS[np.argmin(constant)], 200)
    assert expected_cost(y_true, best, **given, normalize=True) == pytest.approx(1)
    y_pred = some_labels()[1]
    assert expected_cost(y_true, y_pred, **given, normalize=True) == pytest.approx(
        expected_cost(y_true, y_pred, **given) / min(constant)
    )


def test_an_array_follows_the_labels_that_are_given():
    y_true, y_pred = some_labels()
    wanted = expected_cost(y_true, y_pred, cost_matrix=FRAME)
    order = [2, 0, 1]
    found = expected_cost(
        y_true, y_pred, cost_matrix=COSTS[np.ix_(order, order)], labels=LABELS[order]
    )
    assert found == pytest.approx(wanted)
    # Labels need not occur.
    few = np.repeat("a", 5)
    assert expected_cost(few, few, cost_matrix=COSTS, labels=LABELS) == 0
    assert expected_cost(few, np.repeat("b", 5), cost_matrix=FRAME) == 2
    assert expected_cost([1, 1], [5, 1], cost_matrix={"1": {"5": 4}, "5": {"1": 3}}) == 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20),
    st.permutations([0, 1, 2]),
    st.floats(-5, 5),
)
def test_costs_are_linear_and_follow_permuted_labels(pairs, order, constant):
    true, predicted = np.array(pairs).T
    given: Any = {"labels": [0, 1, 2]}
    cost = expected_cost(true, predicted, cost_matrix=COSTS, **given)
    assert expected_cost(true, predicted, cost_matrix=3 * COSTS, **given) == pytest.approx(3 * cost)
    moved = expected_cost(true, predicted, cost_matrix=COSTS + constant, **given)
    assert moved == pytest.approx(cost + constant, abs=1e-9)
    place = np.argsort(order)
    permuted = COSTS[np.ix_(order, order)]
    found = expected_cost(place[true], place[predicted], cost_matrix=permuted, **given)
    assert found == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_pred": ["a"]}, "inconsistent numbers of samples"),
        ({"y_true": [], "y_pred": []}, "at least one sample"),
        ({"cost_matrix": COSTS[:2]}, r"must have shape \(3, 3\)"),
        (
            {"cost_matrix": COSTS, "labels": ["a", "b", "z"]},
            r"hold \['c'\], for which there are no",
        ),
        ({"labels": ["a", "b", "c", "c"]}, "`labels` must be different"),
        ({"prior": "train"}, "`prior` must be None, 'uniform' or a dict"),
        ({"prior": 0.3}, "`prior` must be None, 'uniform' or a dict"),
        ({"prior": {"a": 1}}, "`prior` must give a fraction for every label"),
        ({"prior": {"a": 1, "b": 0, "c": 1}}, "`prior` must hold positive fractions"),
        (
            {"prior": np.array([0.5, 0.3, 0.2])},
            r"`prior` must be None, 'uniform' or a dict by label, such as \{'a': 0.333",
        ),
        ({"y_true": ["a", "a", "b"], "prior": "uniform"}, r"y_true holds no sample of them"),
        ({"sample_weight": [0, 0, 0]}, "at least one non-zero number"),
        ({"sample_weight": [1, -1, 1]}, "must not be negative"),
        ({"cost_matrix": COSTS - 10, "normalize": True}, "Use normalize=False"),
    ],
)
def test_mistakes_in_costs_are_refused(changes, message):
    given = {"y_true": ["a", "b", "c"], "y_pred": ["a", "b", "c"], "cost_matrix": COSTS} | changes
    with pytest.raises(ValueError, match=message):
        expected_cost(given.pop("y_true"), given.pop("y_pred"), **given)


# --------------------------------------------------------------------------------- scorers


def test_a_search_chooses_the_candidate_of_the_least_cost():
    y = np.repeat(["ok", "crack"], [80, 20])
    X = np.zeros((100, 1))
    costs = {"ok": {"crack": 1}, "crack": {"ok": 10}}
    grid = {"strategy": ["constant"], "constant": ["ok", "crack"]}
    for prior, best, score in (
        (None, "crack", -0.8),
        ({"ok": 0.99, "crack": 0.01}, "ok", -0.1),
    ):
        scorer = cost_scoring(y, cost_matrix=costs, prior=prior)
        search = GridSearchCV(DummyClassifier(), grid, scoring=scorer, cv=5).fit(X, y)
        assert search.best_params_["constant"] == best
        assert search.best_score_ == pytest.approx(score)


def test_a_fold_that_lacks_a_class_is_scored_by_the_others():
    y = np.array(["a"] * 6 + ["b"] * 3 + ["c"] * 3)
    X = np.zeros((12, 1))
    prior = {"a": 0.2, "b": 0.2, "c": 0.6}
    scorer = cost_scoring(y, cost_matrix=FRAME, prior=prior)
    model = DummyClassifier(strategy="constant", constant="b")
    # The folds hold a alone, a and b, and b and c.
    scores = cross_val_score(model, X, y, cv=TestFolds([[0, 1], [2, 6], [7, 9]]), scoring=scorer)
    np.testing.assert_allclose(scores, [-2, -(2 - 1) / 2, -(-0.2 + 0.6 * 6) / 0.8])


class TestFolds(KFold):
    __test__ = False

    def __init__(self, folds):
        super().__init__(len(folds))
        self.folds = folds

    def split(self, X, y=None, groups=None):
        for fold in self.folds:
            yield np.setdiff1d(np.arange(len(X)), fold), np.array(fold)


def test_a_scorer_takes_weights_and_reads_its_costs_at_once():
    y = np.array([0, 1] * 10)
    scorer = cost_scoring(y, cost_matrix=[[0, 1], [10, 0]])
    model = DummyClassifier(strategy="constant", constant=0).fit(y[:, None], y)
    assert scorer(model, y[:, None], y) == -5
    assert scorer(model, y[:, None], y, sample_weight=np.where(y == 1, 3, 1)) == -7.5
    with pytest.raises(ValueError, match=r"must have shape \(2, 2\)"):
        cost_scoring(y, cost_matrix=COSTS)
    with pytest.raises(ValueError, match="must give a fraction for every"):
        cost_scoring(y, cost_matrix=None, prior={0: 1})
    with pytest.raises(ValueError, match="one class only"):
        cost_scoring([1, 1], cost_matrix=None)


# ---------------------------------------------------------------------------- net benefits


@pytest.mark.parametrize("prior", [None, 0.03])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_net_benefit_is_that_of_a_loop_over_samples(prior, weighted):
    rng = np.random.RandomState(0)
    y = LABELS[rng.choice(3, 150, p=[0.7, 0.2, 0.1])]
    # Probabilities that equal thresholds are acted on.
    p = rng.choice([0, 0.05, 0.1, 0.3, 0.5, 0.77, 1.0], 150)
    weight = rng.rand(150) if weighted else np.ones(150)
    thresholds = [0.5, 0, 0.1, 0.3, 0.99, 0.05]
    found = net_benefit(
        y, p, thresholds, label="b", prior=prior, sample_weight=weight if weighted else None
    )
    assert found.index.tolist() == thresholds
    fraction = weight[y == "b"].sum() / weight.sum() if prior is None else prior
    for t, row in zip(thresholds, found.itertuples(), strict=True):
        hits = sum(weight[i] for i in range(150) if y[i] == "b" and p[i] >= t)
        alarms = sum(weight[i] for i in range(150) if y[i] != "b" and p[i] >= t)
        tpr, fpr = hits / weight[y == "b"].sum(), alarms / weight[y != "b"].sum()
        price = t / (1 - t)
        assert row.net_benefit == pytest.approx(fraction * tpr - (1 - fraction) * fpr * price)
        assert row.treat_all == pytest.approx(fraction - (1 - fraction) * price)
        assert row.treat_none == 0


def test_the_net_benefit_and_the_expected_cost_say_the_same():
    """A false alarm costs t, and a miss 1 - t: the net benefit is what acting saves."""
    rng = np.random.RandomState(0)
    y, p = rng.rand(300) < 0.2, rng.rand(300)
    for t in (0.05, 0.2, 0.6):
        costs = [[0, t / (1 - t)], [1, 0]]
        saved = expected_cost(y, np.zeros(300, dtype=bool), cost_matrix=costs) - expected_cost(
            y, p >= t, cost_matrix=costs
        )
        assert net_benefit(y, p, [t], label=True)["net_benefit"].item() == pytest.approx(saved)


def test_of_true_probabilities_no_other_decision_has_a_larger_net_benefit():
    rng = np.random.RandomState(0)
    p = rng.beta(0.5, 3, 200_000)
    y = rng.rand(200_000) < p
    thresholds = np.array([0.02, 0.1, 0.3, 0.6])
    found = net_benefit(y, p, thresholds, label=True)
    # Distorted probabilities have the same order, but act on other samples.
    distorted = net_benefit(y, p**2, thresholds, label=True)
    assert (found["net_benefit"] > distorted["net_benefit"]).all()
    assert (found["net_benefit"] > np.maximum(found["treat_all"], 0)).all()


def test_a_logistic_model_has_a_net_benefit_under_another_prevalence():
    rng = np.random.RandomState(0)
    y = rng.rand(2000) < 0.5
    X = rng.randn(2000, 1) + y[:, None]
    p = LogisticRegression().fit(X, y).predict_proba(X)[:, 1]
    rare = y.nonzero()[0][:50]
    rows = np.concatenate([rare, (~y).nonzero()[0]])
    found = net_benefit(y[rows], p[rows], [0.2, 0.5], label=True, prior=0.5)
    whole = net_benefit(y, p, [0.2, 0.5], label=True)
    np.testing.assert_allclose(found["net_benefit"], whole["net_benefit"], atol=0.08)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_proba": [0.1, 0.2]}, "inconsistent numbers"),
        ({"y_proba": [0.1, 3, 0.2]}, r"`y_proba` must hold probabilities .* Got 3"),
        ({"y_proba": [0.1, np.nan, 0.2]}, "y_proba contains NaN.* that of sample 1"),
        ({"thresholds": [0.2, 1]}, "`thresholds` must hold probabilities from 0 to below 1"),
        ({"thresholds": []}, "`thresholds` must hold"),
        ({"label": "z"}, "needs samples of 'z' and others"),
        ({"y_true": ["a"] * 3}, "needs samples of 'a' and others"),
        ({"prior": 0}, "`prior` must be a fraction between 0 and 1"),
        ({"prior": {"a": 0.2}}, "`prior` must be a fraction between 0 and 1"),
        ({"sample_weight": [1, 1, 0]}, "zero for all samples of 'a', or for all others"),
    ],
)
def test_mistakes_in_net_benefits_are_refused(changes, message):
    given = {
        "y_true": ["a", "a", "b"],
        "y_proba": [0.1, 0.9, 0.2],
        "thresholds": [0.5],
        "label": "a",
    } | changes
    with pytest.raises(ValueError, match=message):
        net_benefit(given.pop("y_true"), given.pop("y_proba"), given.pop("thresholds"), **given)
