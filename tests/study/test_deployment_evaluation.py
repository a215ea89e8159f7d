"""What the strategies of a comparison cost where they will be used, and what that rests on."""

import html
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_comparisons import made_comparison
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skimb.datasets import load_imbalanced_digits
from skimb.losses import BalancedSoftmaxLoss
from skimb.metrics import imbalance_scoring
from skimb.model_selection import MinimumCostClassifier
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import ClassificationEvaluation, Deployment, compare, fit_strategy, winner_of
from skimb.study._comparison_text import AS_THEY_ARE
from skimb.study._cost_intervals import cost_intervals
from skimb.study._cost_scores import CostScores
from skimb.study._cost_text import cost_sentences, own_cut
from skimb.study._deployment_decisions import Decisions, decisions_at
from skimb.study._predictions import Predictions

X, Y = load_imbalanced_digits(return_X_y=True)
QUICK = CNNClassifier(max_epochs=1)
USE = {"deploy": {"class 0": 0.02}, "costs": {"miss": 10, "alarm": 1}}


@pytest.fixture(scope="module")
def made():
    return made_comparison(2, **USE)


@pytest.fixture(scope="module")
def trained():
    strategies = ["class_weight", "focal", "over", "smote_embedding", "threshold", "prior_shift"]
    return compare(X, Y, strategies=strategies, estimator=QUICK, cv=2, random_state=0)


def test_costs_are_those_of_a_naive_loop(made):
    use = made.deployment
    for name in ("none", "over"):
        costs = []
        for one in made.predictions(name):
            decided = decisions_at(one, use.deployment)
            by_class = {0: [], 1: []}
            for true, found in zip(one.truth, decided, strict=True):
                by_class[true].append(use.deployment.cost_matrix[true, found])
            costs.append(1000 * (0.02 * np.mean(by_class[0]) + 0.98 * np.mean(by_class[1])))
        assert use.table.loc[name, "cost"] == pytest.approx(np.mean(costs))


def test_decisions_are_those_of_minimum_cost_classifier_around_every_strategy(trained):
    prior, costs = {0: 0.98, 1: 0.02}, [[0.0, 1.0], [10.0, 0.0]]
    use = trained.at(deploy={1: 0.02}, costs={"miss": 10, "alarm": 1})
    np.testing.assert_array_equal(use.cost_matrix, costs)
    train = np.setdiff1d(np.arange(len(Y)), trained.predictions("none")[0].rows)
    rows = trained.predictions("none")[0].rows
    seed = trained.protocol["seeds"][0]
    for name in ("none", "class_weight", "focal", "smote_embedding", "prior_shift"):
        fitted = fit_strategy(name, X[train], Y[train], estimator=QUICK, random_state=seed)
        reference = MinimumCostClassifier(
            FrozenEstimator(fitted), cost_matrix=costs, target_prior=prior
        ).fit(X[train], Y[train])
        decided = decisions_at(trained.predictions(name)[0], use.deployment)
        np.testing.assert_array_equal(decided, reference.predict(X[rows]), err_msg=name)


def test_priors_are_those_of_the_probabilities(trained):
    priors = {name: trained.predictions(name)[0].prior for name in trained.strategies}
    fraction = Y.mean()
    assert priors["none"][1] == pytest.approx(fraction, abs=1e-3)
    for name in ("class_weight", "over", "smote_embedding", "prior_shift"):
        assert priors[name] == pytest.approx([0.5, 0.5])
    assert priors["threshold"] is None
    offsets = trained.to_dict()["strategies"]["threshold"]["offsets"]
    assert offsets[1] == pytest.approx(-offsets[0])


def test_probabilities_without_known_fractions_decide_as_they_are(trained):
    use = trained.at(costs={"miss": 10, "alarm": 1})
    assert not use.is_moved("threshold")
    row = use.table.loc["threshold"]
    assert row["cost"] == pytest.approx(row["cost_as_is"])
    assert use.to_dict()["decides_as_it_is"] == ["threshold"]
    assert "threshold: decides as it is" in str(use)


def test_a_loss_that_moves_probabilities_is_asked_again_at_the_fractions_of_training():
    own = {
        "none": "none",
        "balanced": CNNClassifier("linear", loss=BalancedSoftmaxLoss(), max_epochs=1),
    }
    network = CNNClassifier("linear", max_epochs=1)
    result = compare(X, Y, strategies=own, estimator=network, cv=2, random_state=0)
    one = result.predictions("balanced")[0]
    assert one.prior[1] == pytest.approx(Y.mean(), abs=1e-3)
    assert not np.array_equal(one.log_proba_of_prior, one.log_proba)
    assert one.movable_log_proba is one.log_proba_of_prior


def test_the_prior_of_an_own_estimator_is_that_of_its_weights():
    own = {
        "plain": make_pipeline(FunctionTransformer(_flat), LogisticRegression()),
        "weighted": make_pipeline(
            FunctionTransformer(_flat), LogisticRegression(class_weight="balanced")
        ),
    }
    result = compare(X / 16, Y, strategies=own, cv=2, random_state=0)
    assert result.predictions("plain")[0].prior[1] == pytest.approx(Y.mean(), abs=1e-3)
    assert result.predictions("weighted")[0].prior == pytest.approx([0.5, 0.5])


def _flat(images):
    return images.reshape(len(images), -1)


def test_the_own_cut_gives_the_same_decisions(made):
    use = made.deployment
    one = made.predictions("over")[0]
    cut = own_cut(use, "over")
    by_cut = np.where(np.exp(one.log_proba[:, 0].astype(float)) >= cut, 0, 1)
    np.testing.assert_array_equal(by_cut, decisions_at(one, use.deployment))


def test_differences_are_judged_as_every_other_metric(made):
    judged = made.deployment.judgement("over")
    assert judged.source == "folds"
    values = [made.deployment.decisions.values(name, "cost") for name in ("over", "none")]
    assert judged.difference == pytest.approx(np.mean(values[0] - values[1]))
    fixed = made_comparison(2, X_test=True).at(**USE)
    assert fixed.judgement("under").source == "test images"
    assert fixed.judgement("none").verdict is None


def test_scores_of_resamples_without_a_class_leave_it_out():
    scores = CostScores(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [4.0, 0.0]]))
    assert scores(np.array([3.0, 0.0, 6.0, 0.0])).tolist() == [500.0]


def _decided(truth, missed, *, groups=None, prior=(0.1, 0.9)):
    """Return decisions of one strategy whose errors are given."""
    predicted = np.where(missed, 1 - truth, truth)
    comparison = made_comparison(2, X_test=True)
    deployment = Deployment(np.array(prior), np.array([[0.0, 10.0], [1.0, 0.0]]))
    log_proba = np.log(np.where(np.arange(2) == predicted[:, None], 1 - 1e-9, 1e-9))
    found = Predictions(np.arange(len(truth)), truth, predicted, log_proba)
    outcome = replace(comparison.outcomes["none"][0], predictions=found)
    comparison.outcomes = {"none": [outcome], "other": [outcome]}
    comparison.chosen = {"none": comparison.chosen["none"], "other": comparison.chosen["over"]}
    comparison.groups = groups
    return Decisions(comparison, deployment)


def test_groups_are_drawn_as_wholes_and_widen_the_interval():
    rng = np.random.default_rng(0)
    groups, truth = np.repeat(np.arange(40), 10), np.repeat(np.arange(40) % 2, 10)
    missed = np.repeat(rng.random(40) < 0.3, 10)
    apart = np.diff(cost_intervals(_decided(truth, missed))[:, 0])
    whole = np.diff(cost_intervals(_decided(truth, missed, groups=groups))[:, 0])
    assert whole > 2 * apart


def test_a_class_without_an_error_leaves_some_possible():
    truth = np.repeat([0, 1], [50, 200])
    low, high = cost_intervals(_decided(truth, np.zeros(250, dtype=bool)))[:, 0]
    # The upper ends of Wilson's intervals of 0 of 50 and 0 of 200.
    rates = 1.959964**2 / (np.array([50, 200]) + 1.959964**2)
    parts = 1000 * np.array([0.1 * 10, 0.9 * 1]) * rates
    assert low == pytest.approx(0)
    assert high == pytest.approx(np.hypot(*parts))


def test_a_class_that_is_always_missed_leaves_some_possible_to_be_found():
    truth = np.repeat([0, 1], [50, 200])
    low, high = cost_intervals(_decided(truth, truth == 0))[:, 0]
    assert low == pytest.approx(1000 * (1 - 1.959964**2 / (50 + 1.959964**2)))
    assert high > 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "wrong"),
    [((60, 200), (0.3, 0.1)), ((20, 200), (0.95, 0.001)), ((200, 2000), (0.02, 0.001))],
)
def test_the_interval_covers_the_true_cost(counts, wrong):
    truth, wrong = np.repeat([0, 1], counts), np.array(wrong)
    true_cost = 1000 * (0.1 * wrong[0] * 10 + 0.9 * wrong[1])
    base = _decided(truth, np.zeros(len(truth), dtype=bool))
    covered = 0
    for seed in range(200):
        missed = np.random.default_rng(seed).random(len(truth)) < wrong[truth]
        one = replace(base.outcomes["none"][0], predicted=np.where(missed, 1 - truth, truth))
        base.outcomes = {"none": [one], "other": [one]}
        low, high = cost_intervals(base)[:, 0]
        covered += low <= true_cost <= high
    # 95 % of 200 are 190, with a standard deviation of 3.
    assert covered >= 184


def test_the_cost_of_a_model_on_test_images_is_that_of_its_strategy():
    truth, missed = np.repeat([0, 1], [50, 200]), np.arange(250) % 7 == 0
    made = _decided(truth, missed)
    low, high = cost_intervals(made)[:, 0]
    names = np.array(["cat", "dog"])
    found = ClassificationEvaluation(
        names[truth],
        names[np.where(missed, 1 - truth, truth)],
        classes=["cat", "dog"],
        minority="cat",
        deployment=made.deployment,
    )
    cost: Any = found.cost
    assert cost["cost"] == pytest.approx(made.values("none", "cost")[0])
    assert [cost["low"], cost["high"]] == pytest.approx([low, high], rel=0.05)
    assert "1000 images cost" in str(found)
    assert "20 % of the images are cat, as here" in str(found)
    plain = ClassificationEvaluation(["cat"], ["cat"], classes=["cat", "dog"])
    assert plain.cost is None


def test_the_best_stays_the_cheapest_within_what_the_curve_says(made):
    use = made.deployment
    low, high = use.stays_best
    ratios, constant = use.cost_ratios, use.constant_cost_ratios
    assert low <= 1 <= high
    for factor in ratios.index[(ratios.index >= low) & (ratios.index <= high)]:
        others = min(ratios.loc[factor, use.candidates].min(), constant[factor])
        assert ratios.loc[factor, use.cheapest] <= others + 1e-6
    np.testing.assert_allclose(ratios.loc[1.0], use.table["cost"])


def test_what_costs_more_than_the_same_class_for_all_is_said_to_be_worth_nothing():
    use = made_comparison(2).at(deploy={"class 0": 0.0001})
    text = " ".join(cost_sentences(use))
    assert "No strategy costs less than calling every image class 1" in text


def test_the_winner_of_the_file_is_that_of_the_costs(made):
    figures = made.to_dict()
    winner = winner_of(figures)
    assert winner["metric"] == "cost"
    assert winner["strategy"] == made.deployment.best
    assert winner["mean"] == pytest.approx(made.deployment.table["cost"].min())
    assert winner_of(figures, "f1_minority")["metric"] == "f1_minority"
    matrix = np.array(figures["strategies"]["over"]["cost"]["confusion_matrix"])
    np.testing.assert_array_equal(matrix.sum(axis=1), made.counts[[0, 1]])


def test_another_baseline_has_costs_of_its_own(made):
    other = made.against("over").deployment
    assert other.table.loc["over", "difference"] == 0
    assert other.table.loc["none", "difference"] == pytest.approx(
        -made.deployment.table.loc["over", "difference"]
    )
    assert "by the baseline over" in cost_sentences(other)[0]


def test_yardsticks_are_never_the_best():
    own = {
        "none": "none",
        "linear": "linear",
        "always 1": DummyClassifier(strategy="constant", constant="class 1"),
    }
    result = made_comparison(2, strategies=own, deploy={"class 0": 0.001})
    assert result.deployment.candidates == ["none"]
    assert result.deployment.best == result.to_dict()["best"]["strategy"] == "none"


def test_fractions_may_be_a_series(made):
    counted = pd.Series(["class 1"] * 49 + ["class 0"]).value_counts(normalize=True)
    found = made.at(deploy=counted, costs={"miss": 10, "alarm": 1})
    assert found.asked["deploy"] == {"class 1": 0.98, "class 0": 0.02}
    assert str(found) == str(made.at(deploy=found.asked["deploy"], costs=found.asked["costs"]))


def test_what_was_asked_stays_as_it_was():
    costs = {"miss": 10, "alarm": 1}
    use = made_comparison(2).at(costs=costs)
    costs["miss"] = 99
    assert "a missed class 0 costs 10 and" in cost_sentences(use)[0]


def test_only_errors_become_dearer():
    dearer = Deployment(np.array([0.5, 0.5]), np.array([[4.0, 10.0], [1.0, 0.0]])).with_dearer(0, 2)
    np.testing.assert_array_equal(dearer.cost_matrix, [[4, 16], [1, 0]])


def test_scorers_with_names_of_the_deployment_are_refused(made):
    scoring = imbalance_scoring(Y)
    scoring = {"cost": scoring["f1_minority"], **scoring}
    with pytest.raises(ValueError, match="scorer has the name 'cost'"):
        compare(X, Y, scoring=scoring, costs={"miss": 2, "alarm": 1})


def test_costs_stand_first_on_the_terminal_and_in_the_report(made, tmp_path):
    assert str(made).startswith(
        "Where 2 % of the images are class 0, and a missed class 0 costs 10"
    )
    made.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index("Where 2 % of the images") < page.index("By minority F1")
    assert 'id="costs"' in page
    # Tables and matrices below are of other decisions, and say so.
    assert AS_THEY_ARE in " ".join(str(made).split())
    assert html.unescape(page).count(AS_THEY_ARE.rstrip(".")) == 3
    made_comparison(2).to_html(tmp_path / "plain.html")
    assert AS_THEY_ARE not in html.unescape((tmp_path / "plain.html").read_text())


def test_a_comparison_of_three_classes_has_costs_by_matrix():
    labels = [f"class {i}" for i in range(3)]
    costs = pd.DataFrame(1 - np.eye(3), index=labels, columns=labels)
    costs.loc["class 0", "class 2"] = 20
    use = made_comparison(3, deploy={"class 0": 0.01, "class 1": 0.3}, costs=costs).deployment
    assert use.threshold is None
    assert use.prior.sum() == pytest.approx(1)
    assert "errors cost as in the cost matrix" in cost_sentences(use)[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"deploy": {7: 0.1}}, "labels that y does not hold"),
        ({"costs": {"miss": 1}}, "'miss' and 'alarm'"),
        ({"require": {"recall": 1.5}}, "between 0 and 1"),
        ({"require": {"precision": 0.5}}, "a dict with a recall"),
        ({"require": {"recall": 0.99}}, "takes at least 299 test samples of class 1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(given, message):
    never = {"never": DummyClassifier(strategy="constant", constant=3)}
    with pytest.raises(ValueError, match=message):
        compare(X, Y, strategies=never, cv=2, **given)


def test_numbers_have_no_costs_and_nothing_asked_gives_nothing(made):
    with pytest.raises(ValueError, match="y holds numbers"):
        compare(X, Y + 0.5, estimator=CNNRegressor(), costs={"miss": 2, "alarm": 1})
    with pytest.raises(ValueError, match="Nothing says"):
        made.at()


def test_a_test_set_without_a_class_is_refused():
    X3, y3 = np.r_[X[:300], X[:60]], np.r_[Y[:300], np.full(60, 2)]
    with pytest.raises(ValueError, match="holds no sample of"):
        compare(X3, y3, X_test=X[300:], y_test=Y[300:], deploy={2: 0.1})
