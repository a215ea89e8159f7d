"""Decisions of the least expected cost: Bayes' rule, priors that are moved once, simulations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as imblearn_pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skimb.losses import FocalLoss
from skimb.model_selection import DecisionRule, MinimumCostClassifier, TunedOffsetsClassifierCV
from skimb.model_selection._probability_prior import prior_of_probabilities
from skimb.neural_network import CNNClassifier, DecoupledClassifier

MISS = [[0, 1], [10, 0]]


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are X."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def given_probabilities(labels):
    proba = np.full((len(labels), len(labels)), 1 / len(labels))
    return FrozenEstimator(Given().fit(proba, labels)), proba, labels


def decide(proba, cost_matrix, labels=None):
    labels = np.arange(len(proba[0])) if labels is None else labels
    clf = MinimumCostClassifier(given_probabilities(labels)[0], cost_matrix=cost_matrix)
    return clf.fit(*given_probabilities(labels)[1:]).predict(proba)


def rare(n=3000, seed=0, fraction=0.1):
    """Return samples of two classes whose log-odds are linear, so that a logistic model is right.

    The class "crack" is rare, and its mean is moved by one.
    """
    rng = np.random.RandomState(seed)
    is_rare = rng.rand(n) < fraction
    return rng.randn(n, 3) + is_rare[:, None], np.where(is_rare, "crack", "ok")


# ------------------------------------------------------------------------------- decisions


def test_expected_costs_are_those_by_hand():
    costs = pd.DataFrame(
        [[0, 2, 5], [4, -1, 3], [10, 6, 0]], index=["a", "b", "c"], columns=["a", "b", "c"]
    )
    frozen, X, y = given_probabilities(["a", "b", "c"])
    # Rows and columns of a frame may stand in any order.
    clf = MinimumCostClassifier(frozen, cost_matrix=costs.loc[["c", "a", "b"], ["b", "c", "a"]])
    clf.fit(X, y)
    proba = [[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]]
    # 0.3 * 4 + 0.2 * 10; 0.5 * 2 - 0.3 + 0.2 * 6; 0.5 * 5 + 0.3 * 3
    wanted = [[3.2, 1.9, 3.4], [0.7, 2.05, 4.65]]
    np.testing.assert_allclose(clf.predict_cost(proba), wanted, rtol=1e-12)
    np.testing.assert_array_equal(clf.predict(proba), ["b", "a"])
    # The least costs of a, b and c are 0, -1 and 0: without them, b costs 0.3 and 0.05 more.
    relative = np.add(wanted, [[0.3], [0.05]])
    np.testing.assert_allclose(clf.decision_function(proba), -relative, rtol=1e-12)
    np.testing.assert_allclose(clf.predict_proba(proba), proba)
    np.testing.assert_array_equal(clf.cost_matrix_, costs)
    assert isinstance(clf.decision_rule(), DecisionRule)


@pytest.mark.parametrize(("alarm", "miss"), [(1, 10), (1, 1), (7, 2), (0.001, 3)])
def test_two_classes_have_the_threshold_of_elkan(alarm, miss):
    threshold = alarm / (alarm + miss)
    p = np.concatenate([np.linspace(0, 1, 1001), threshold + np.array([-1e-9, 1e-9])])
    p = p[np.abs(p - threshold) > 1e-12]
    decided = decide(np.column_stack([1 - p, p]), [[0, alarm], [miss, 0]])
    np.testing.assert_array_equal(decided, p > threshold)


def test_a_gain_of_correct_decisions_moves_the_threshold():
    # Elkan's formula: (C10 - C00) / (C10 - C00 + C01 - C11), with costs by predicted, true.
    costs = np.array([[-1.0, 4.0], [6.0, -3.0]])
    threshold = (4 + 1) / (4 + 1 + 6 + 3)
    p = np.linspace(0, 1, 400)
    np.testing.assert_array_equal(decide(np.column_stack([1 - p, p]), costs), p > threshold)


def test_the_first_of_equal_decisions_is_chosen():
    # 1/11 of a tree's leaf is a tie for costs of 10 to 1, which rounding would decide.
    for n in range(1, 40):
        p = np.array([[n / (n + 1), 1 / (n + 1)]])
        many = np.repeat(p, 7, axis=0)
        assert decide(p, [[0, 1], [n, 0]]).tolist() == [0]
        assert decide(many, [[0, 1], [n, 0]]).tolist() == [0] * 7
        assert decide(p[:, ::-1], [[0, n], [1, 0]]).tolist() == [0]


def test_the_decision_function_decides_as_predict_does_for_a_forest():
    rng = np.random.RandomState(0)
    X, y = rng.randn(600, 3), rng.randint(0, 4, 600)
    costs = rng.randint(1, 6, (4, 4)) * (1 - np.eye(4))
    forest = RandomForestClassifier(10, max_depth=3, min_samples_leaf=50, random_state=0)
    for estimator, rows in ((forest, X), (Given(), rng.multinomial(10, np.ones(4) / 4, 2000) / 10)):
        clf = MinimumCostClassifier(estimator, cost_matrix=costs).fit(X, y)
        decided = clf.decision_function(rows).argmax(axis=1)
        np.testing.assert_array_equal(clf.predict(rows), decided)


def test_predicted_costs_are_those_of_the_matrix_and_not_relative():
    costs = np.array([[-5, 2, 0], [3, 1, 7], [4, 4, 2.0]])
    proba = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    frozen, X, y = given_probabilities(np.arange(3))
    clf = MinimumCostClassifier(frozen, cost_matrix=costs).fit(X, y)
    np.testing.assert_allclose(clf.predict_cost(proba), proba @ costs)


def test_a_forbidden_decision_leaves_the_others_as_they_are():
    proba = np.random.RandomState(0).dirichlet(np.ones(3), 300)
    costs = np.array([[0, 1, 3], [2, 0, 1], [4, 1, 0.0]])
    forbidden = costs.copy()
    forbidden[:2, 2] = 1e15
    decided = decide(proba, forbidden)
    np.testing.assert_array_equal(decided, (proba @ costs)[:, :2].argmin(axis=1))


def test_without_costs_the_most_probable_class_is_chosen():
    X, y = rare(400)
    plain = LogisticRegression().fit(X, y)
    clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=None).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), rtol=1e-12)


def some(n_classes):
    """Return whole costs and counts, so that sums are exact."""
    costs = arrays(np.float64, (n_classes, n_classes), elements=st.integers(-20, 20).map(float))
    counts = arrays(np.float64, (6, n_classes), elements=st.integers(0, 30).map(float))
    return st.tuples(costs, counts)


PROBLEMS = st.integers(2, 5).flatmap(some)


def problem(found):
    costs, counts = found
    counts[:, 0] += counts.sum(axis=1) == 0
    return costs, counts / counts.sum(axis=1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(PROBLEMS)
def test_no_other_decision_has_a_smaller_expected_cost(found):
    costs, proba = problem(found)
    decided = DecisionRule(cost_matrix=costs).decide(log(proba))
    for row, own in zip(proba, decided, strict=True):
        expected = [sum(row[i] * costs[i, j] for i in range(len(row))) for j in range(len(row))]
        assert expected[own] <= min(expected) + 1e-9


@settings(max_examples=60, deadline=None)
@given(PROBLEMS, st.data())
def test_constants_and_scales_change_no_decision_and_labels_may_be_permuted(found, data):
    costs, proba = problem(found)
    n = len(costs)
    decided = DecisionRule(cost_matrix=costs).decide(log(proba))
    shift = data.draw(arrays(np.float64, (n, 1), elements=st.integers(-1000, 1000).map(float)))
    scale = data.draw(st.sampled_from([0.5, 2.0, 1024.0, 1e-3, 7.0]))
    for same in (costs + shift, costs * scale):
        np.testing.assert_array_equal(DecisionRule(cost_matrix=same).decide(log(proba)), decided)
    order = np.array(data.draw(st.permutations(range(n))))
    moved = DecisionRule(cost_matrix=costs[np.ix_(order, order)]).decide(log(proba[:, order]))
    # Among equal decisions the first is chosen, which another order changes.
    expected = proba @ costs
    rows = np.arange(len(proba))
    np.testing.assert_allclose(expected[rows, order[moved]], expected[rows, decided], atol=1e-9)


def log(proba):
    return np.log(np.maximum(proba, np.finfo(float).tiny))


# ----------------------------------------------------------------------------- simulations


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_the_realised_cost_is_that_of_bayes_rule_and_below_the_most_probable_class(n_classes):
    rng = np.random.RandomState(n_classes)
    n = 60_000
    proba = rng.dirichlet(np.geomspace(3, 0.3, n_classes), n)
    y = (proba.cumsum(axis=1) < rng.rand(n, 1)).sum(axis=1)
    costs = rng.exponential(size=(n_classes, n_classes)) * (1 - np.eye(n_classes))
    costs[1:, 0] *= 10
    bayes = (proba @ costs).min(axis=1).mean()
    paid = costs[y, decide(proba, costs)]
    plain = costs[y, proba.argmax(axis=1)]
    error = paid.std() / np.sqrt(n)
    assert abs(paid.mean() - bayes) < 3.5 * error
    difference = plain - paid
    assert difference.mean() > 5 * difference.std() / np.sqrt(n)


def test_under_another_prior_the_moved_decision_has_the_cost_of_bayes_rule():
    """Samples of a world with half as many "ok" and ten times as many cracks."""
    X, y = rare(40_000, 1, fraction=0.02)
    X_world, y_world = rare(60_000, 2, fraction=0.3)
    costs = {"crack": {"ok": 10}, "ok": {"crack": 1}}
    paid = {}
    for prior in (None, {"crack": 0.3, "ok": 0.7}):
        clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=costs, target_prior=prior)
        decided = clf.fit(X, y).predict(X_world)
        paid[prior is None] = clf.cost_matrix_[(y_world == "ok") * 1, (decided == "ok") * 1]
    # The log-odds of the world are exact: three normal variables, means 1 apart.
    odds = 3 / 7 * np.exp(X_world.sum(axis=1) - 1.5)
    p = odds / (1 + odds)
    bayes = np.minimum(10 * p, 1 - p).mean()
    error = paid[False].std() / np.sqrt(len(X_world))
    assert abs(paid[False].mean() - bayes) < 3.5 * error + 0.002
    assert paid[True].mean() > 1.3 * bayes


# ---------------------------------------------------------------------------------- priors


# Costs around a threshold replace its decisions, of which a warning tells.
@pytest.mark.filterwarnings("ignore:.* are lost")
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LogisticRegression(class_weight="balanced"),
        LogisticRegression(class_weight={"crack": 30}),
        make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")),
        imblearn_pipeline(SMOTE(random_state=0), LogisticRegression()),
        imblearn_pipeline(RandomOverSampler(sampling_strategy=0.5), LogisticRegression()),
        imblearn_pipeline(RandomUnderSampler(random_state=0), LogisticRegression()),
        imblearn_pipeline(RandomUnderSampler(sampling_strategy=0.4), LogisticRegression()),
        imblearn_pipeline(
            RandomOverSampler(sampling_strategy=0.5), LogisticRegression(class_weight="balanced")
        ),
        GridSearchCV(LogisticRegression(class_weight="balanced"), {"C": [1.0]}, cv=2),
        FixedThresholdClassifier(LogisticRegression(class_weight="balanced"), threshold=0.3),
        GaussianNB(priors=[0.6, 0.4]),
        LinearDiscriminantAnalysis(priors=[0.6, 0.4]),
        imblearn_pipeline(SMOTE(random_state=0), GaussianNB()),
        MinimumCostClassifier(LogisticRegression(), cost_matrix=None, target_prior="uniform"),
        MinimumCostClassifier(
            LogisticRegression(class_weight={"crack": 30}), cost_matrix=None, target_prior="train"
        ),
        CalibratedClassifierCV(LogisticRegression(class_weight="balanced"), cv=2),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("wanted", [0.1, 0.5])
def test_probabilities_are_moved_from_the_prior_for_which_they_hold(estimator, wanted):
    """All end at the same, that of an ordinary logistic model at this prior."""
    X, y = rare(8000)
    prior = {"crack": wanted, "ok": 1 - wanted}
    clf = MinimumCostClassifier(clone(estimator), cost_matrix=None, target_prior=prior).fit(X, y)
    odds = wanted / (1 - wanted) * np.exp(X.sum(axis=1) - 1.5)
    error = np.abs(clf.predict_proba(X)[:, 0] - odds / (1 + odds))
    assert error.mean() < 0.025
    np.testing.assert_allclose(clf.predicted_prior_, [wanted, 1 - wanted])


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(
            LogisticRegression(class_weight="balanced"), cv=2, method="temperature"
        ),
        FrozenEstimator(
            CalibratedClassifierCV(GaussianNB(priors=[0.6, 0.4]), cv=2, method="temperature").fit(
                *rare(2000, 3)
            )
        ),
        CalibratedClassifierCV(SVC(class_weight="balanced"), ensemble=False, cv=2),
        BernoulliNB(fit_prior=False),
        MultinomialNB(class_prior=[0.6, 0.4]),
    ],
    ids=["temperature", "frozen temperature", "svc", "bernoulli", "multinomial"],
)
def test_probabilities_have_the_prior_that_is_asked_for(estimator):
    X, y = rare(2000)
    X_world, _ = rare(20_000, 1, fraction=0.3)
    if isinstance(estimator, MultinomialNB):
        X, X_world = np.exp(X / 5), np.exp(X_world / 5)
    prior = {"crack": 0.3, "ok": 0.7}
    clf = MinimumCostClassifier(estimator, cost_matrix=None, target_prior=prior).fit(X, y)
    assert clf.predict_proba(X_world)[:, 0].mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.filterwarnings("ignore:.*probability:FutureWarning")
def test_platt_scaling_of_a_support_vector_machine_knows_no_weights():
    X, y = rare(1000)
    target = np.searchsorted(["crack", "ok"], y)
    weight = np.where(y == "crack", 9.0, 1.0)
    machine = SVC(probability=True, class_weight="balanced", random_state=0)
    machine.fit(X, y, sample_weight=weight)
    found = prior_of_probabilities(machine, target, weight=weight)
    np.testing.assert_allclose(found.prior, np.bincount(target) / len(y))
    assert found.cause is None
    assert machine.predict_proba(X)[:, 0].mean() == pytest.approx(found.prior[0], abs=0.02)


def test_wrappers_with_offsets_that_say_no_prior_have_an_unknown_one():
    X, y = rare(600)
    tuned = TunedOffsetsClassifierCV(LogisticRegression(), scoring="balanced_accuracy", cv=2)
    clf = MinimumCostClassifier(tuned, cost_matrix=None, target_prior="train")
    with pytest.raises(ValueError, match="because of the offsets of TunedOffsetsClassifierCV"):
        clf.fit(X, y)


class Boosting(LogisticRegression):
    """It has the parameters of boosting libraries that weigh classes."""

    def __init__(self, scale_pos_weight=1.0, auto_class_weights=None, is_unbalance=False):
        super().__init__()
        self.scale_pos_weight = scale_pos_weight
        self.auto_class_weights = auto_class_weights
        self.is_unbalance = is_unbalance


@pytest.mark.parametrize(
    "params",
    [{"scale_pos_weight": 9}, {"auto_class_weights": "Balanced"}, {"is_unbalance": True}],
)
def test_weights_of_boosting_libraries_make_the_prior_unknown(params):
    X, y = rare(300)
    clf = MinimumCostClassifier(Boosting(), cost_matrix=None, target_prior="train").fit(X, y)
    assert clf.log_offsets_ is None
    with pytest.raises(ValueError, match=f"because of {next(iter(params))} of Boosting"):
        clf.set_params(estimator=Boosting(**params)).fit(X, y)
    # Inside of another classifier too.
    with pytest.raises(ValueError, match=f"because of estimator__{next(iter(params))} of Bagging"):
        clf.set_params(estimator=BaggingClassifier(Boosting(**params), 2)).fit(X, y)


def test_sample_weights_are_a_prior_too():
    X, y = rare(8000)
    weight = np.where(y == "crack", 9.0, 1.0)
    clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=None, target_prior="train")
    clf.fit(X, y, sample_weight=weight)
    plain = LogisticRegression().fit(X, y)
    assert np.abs(clf.predict_proba(X) - plain.predict_proba(X)).mean() < 0.01
    np.testing.assert_allclose(clf.predicted_prior_[0], np.mean(y == "crack"))


def test_the_prior_of_the_training_changes_nothing_where_nothing_was_moved():
    X, y = rare(500)
    clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=None, target_prior="train")
    assert clf.fit(X, y).log_offsets_ is None


def test_a_frozen_classifier_stands_as_it_is_and_y_stands_for_its_training():
    X, y = rare(4000)
    fitted = LogisticRegression().fit(X[:2000], y[:2000])
    clf = MinimumCostClassifier(
        FrozenEstimator(fitted), cost_matrix=MISS[::-1], target_prior="uniform"
    ).fit(X[2000:], y[2000:])
    fraction = np.mean(y[2000:] == "crack")
    np.testing.assert_allclose(
        clf.log_offsets_, np.log([0.5 / fraction, 0.5 / (1 - fraction)]), rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"holds none.* of \['crack'\]"):
        clf.fit(X[2000:][y[2000:] == "ok"], y[2000:][y[2000:] == "ok"])
    # Without a prior to reach, it needs no samples of all classes.
    clf.set_params(target_prior=None).fit(X[:5], np.repeat("ok", 5))
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "cause"),
    [
        (imblearn_pipeline(TomekLinks(), LogisticRegression()), "step 'tomeklinks'"),
        (BalancedRandomForestClassifier(2, random_state=0), "sampling_strategy"),
        (
            BaggingClassifier(LogisticRegression(class_weight="balanced"), random_state=0),
            "estimator__class_weight",
        ),
    ],
    ids=["cleaning", "balanced forest", "bagging"],
)
def test_a_prior_that_is_not_known_is_refused(estimator, cause):
    X, y = rare(300)
    clf = MinimumCostClassifier(estimator, cost_matrix=None, target_prior="uniform")
    with pytest.raises(ValueError, match=f"not known because of .*{cause}"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_a_frozen_pipeline_with_a_sampler_has_an_unknown_prior():
    X, y = rare(300)
    fitted = imblearn_pipeline(SMOTE(random_state=0), LogisticRegression()).fit(X, y)
    clf = MinimumCostClassifier(FrozenEstimator(fitted), cost_matrix=None, target_prior="train")
    with pytest.raises(ValueError, match="not known because of the step 'smote'"):
        clf.fit(X, y)


def test_samplers_and_weights_around_a_frozen_classifier_do_not_count():
    X, y = rare(4000)
    fitted = LogisticRegression().fit(X, y)
    model = imblearn_pipeline(SMOTE(random_state=0), FrozenEstimator(fitted))
    clf = MinimumCostClassifier(model, cost_matrix=None, target_prior="train").fit(X, y)
    assert clf.log_offsets_ is None
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(class_weight="balanced"),
        imblearn_pipeline(SMOTE(random_state=0), RandomForestClassifier(3, random_state=0)),
    ],
    ids=["weights", "smote"],
)
def test_costs_on_top_of_another_correction_are_told_of(estimator):
    X, y = rare(400)
    costs = {"crack": {"ok": 10}, "ok": {"crack": 1}}
    with pytest.warns(
        UserWarning, match="on top.*BiasCorrectedCalibrator.*`target_prior`: 'train'"
    ):
        MinimumCostClassifier(estimator, cost_matrix=costs).fit(X, y)
    # No warning where the prior is given.
    MinimumCostClassifier(estimator, cost_matrix=costs, target_prior="train").fit(X, y)


# -------------------------------------------------------------------------------- networks


def images(n=600, seed=0):
    rng = np.random.RandomState(seed)
    y = np.where(rng.rand(n) < 0.2, "crack", "ok")
    X = rng.randn(n, 4, 4) + 0.5 * (y == "crack")[:, None, None]
    return X.astype(np.float32), y


def network(**params):
    return CNNClassifier(
        "linear", max_epochs=3, batch_size=50, standardize=None, random_state=0, **params
    )


LOSSES = ["cross_entropy", "focal", "logit_adjusted", "ldam"]


@pytest.mark.slow
@pytest.mark.parametrize("own", [None, "uniform", "train", {"crack": 0.7, "ok": 0.3}])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_network_is_never_moved_twice(own, loss, frozen):
    X, y = images()
    wanted = {"crack": 0.4, "ok": 0.6}
    inner = network(loss=loss, target_prior=own)
    given = FrozenEstimator(inner.fit(X, y)) if frozen else inner
    clf = MinimumCostClassifier(given, cost_matrix=MISS, target_prior=wanted)
    # Of a frozen network, other class fractions of y do not count.
    part = slice(0, 50) if frozen else slice(None)
    clf.fit(X[part], y[part])
    direct = network(loss=loss, target_prior=wanted).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), direct.predict_proba(X), atol=1e-6)
    assert inner.target_prior == own


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_a_decoupled_network_is_moved_once_or_refused(head):
    X, y = images()
    model = DecoupledClassifier(network(), random_state=0)
    if head == "linear":
        model.set_params(max_epochs=2, class_weight="balanced")
    else:
        model.set_params(head=LogisticRegression())
    clf = MinimumCostClassifier(model, cost_matrix=MISS, target_prior={"crack": 0.4, "ok": 0.6})
    if head != "linear":
        with pytest.raises(ValueError, match="target_prior"):
            clf.fit(X, y)
        return
    direct = clone(model).set_params(target_prior={"crack": 0.4, "ok": 0.6}).fit(X, y)
    np.testing.assert_allclose(clf.fit(X, y).predict_proba(X), direct.predict_proba(X), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["train", {"crack": 0.4, "ok": 0.6}])
def test_a_network_after_a_sampler_is_moved_from_the_classes_that_it_saw(wanted):
    X, y = images(1500)
    rows = X.reshape(len(X), -1)
    model = imblearn_pipeline(RandomOverSampler(random_state=0), network())
    clf = MinimumCostClassifier(model, cost_matrix=MISS, target_prior=wanted).fit(rows, y)
    plain = network(target_prior=wanted).fit(rows, y)
    difference = clf.predict_proba(rows) - plain.predict_proba(rows)
    assert np.abs(difference.mean(axis=0)).max() < 0.05
    assert np.abs(difference).mean() < 0.05


@pytest.mark.slow
def test_a_network_in_a_pipeline_with_weights_is_moved_once():
    X, y = images()
    rows = X.reshape(len(X), -1)
    model = make_pipeline(StandardScaler(), network(class_weight="balanced"))
    clf = MinimumCostClassifier(model, cost_matrix=MISS, target_prior="train").fit(rows, y)
    model[-1].set_params(target_prior="train")
    np.testing.assert_allclose(
        clf.predict_proba(rows), clone(model).fit(rows, y).predict_proba(rows), atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "params", [{"class_weight": "balanced"}, {"loss": "logit_adjusted"}, {"loss": FocalLoss()}]
)
def test_a_network_that_was_balanced_is_told_of_unless_it_has_a_prior(params, recwarn):
    X, y = images(200)
    clf = MinimumCostClassifier(network(**params), cost_matrix=MISS).fit(X, y)
    is_moved = "focal" not in str(params).lower()
    assert [str(w.message)[:17] for w in recwarn] == ["The probabilities"] * is_moved
    recwarn.clear()
    clf.set_params(estimator__target_prior="train").fit(X, y)
    assert not recwarn


@pytest.mark.slow
def test_a_network_whose_prior_cannot_be_reached_is_refused():
    from torch import nn, tensor

    X, y = images(100)
    loss = nn.CrossEntropyLoss(weight=tensor([1.0, 2.0]), reduction="none")
    clf = MinimumCostClassifier(network(loss=loss), cost_matrix=MISS, target_prior="train")
    with pytest.raises(ValueError, match="`loss` has class weights of its own"):
        clf.fit(X, y)


# --------------------------------------------------------------------------------- mistakes


class Untrained(LogisticRegression):
    def fit(self, X, y):
        raise AssertionError("It must not be fitted.")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cost_matrix": np.zeros((3, 3))}, r"must have shape \(2, 2\)"),
        ({"cost_matrix": {"crack": {"ok": 1}}}, "Missing: \\['ok'\\]"),
        ({"cost_matrix": None, "target_prior": "test"}, "target_prior"),
        ({"cost_matrix": None, "target_prior": {"crack": 1}}, "must give a fraction for every"),
        ({"cost_matrix": None, "target_prior": {"crack": 0, "ok": 1}}, "positive fractions"),
    ],
)
def test_mistakes_are_refused_before_the_training(params, message):
    X, y = rare(50)
    with pytest.raises(ValueError, match=message):
        MinimumCostClassifier(Untrained(), **params).fit(X, y)


def test_a_matrix_that_decides_by_itself_is_told_of():
    X, y = rare(100)
    with pytest.warns(UserWarning, match="makes 'ok' a decision of the least cost whatever is"):
        clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=[[5, 0], [1, 0]]).fit(X, y)
    assert set(clf.predict(X)) == {"ok"}


def test_what_is_not_fitted_says_so():
    X, y = rare(50)
    clf = MinimumCostClassifier(FrozenEstimator(LogisticRegression()), cost_matrix=None)
    with pytest.raises(NotFittedError):
        clf.fit(X, y)
    for method in ("predict", "predict_proba", "predict_cost"):
        with pytest.raises(NotFittedError):
            getattr(clf, method)(X)


def test_a_search_over_costs_and_a_pipeline_around_them_work():
    X, y = rare(300)
    clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=None)
    search = GridSearchCV(clf, {"estimator__C": [0.1, 1], "target_prior": [None, "uniform"]}, cv=2)
    search.fit(X, y)
    model = make_pipeline(StandardScaler(), clone(clf)).fit(X, y)
    assert model.predict(X).shape == (300,)
    assert search.best_params_["target_prior"] is None
