"""A recall that is guaranteed: order statistics, refusals, calibration samples, simulation."""

from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from scipy.stats import binom, binomtest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb.model_selection import GuaranteedRecallClassifier
from skimb.model_selection._guarantees import (
    below,
    clopper_pearson,
    least_samples,
    lower_bound,
    precision_bound,
    recall_bound,
    recall_rank,
    recall_threshold,
    upper_bound,
)


def table(n_ill=200, n_well=600, seed=0, shift=2.0):
    rng = np.random.RandomState(seed)
    y = np.repeat(["ill", "well"], [n_ill, n_well])
    X = rng.normal(size=(len(y), 2))
    X[y == "ill", 0] += shift
    order = rng.permutation(len(y))
    return X[order], y[order]


def three_classes(seed=0, n=900):
    rng = np.random.RandomState(seed)
    y = rng.choice([3, 5, 8], p=[0.6, 0.25, 0.15], size=n)
    centres = {3: [0, 0], 5: [2, 0], 8: [0, 2]}
    return rng.normal(size=(n, 2)) + np.array([centres[k] for k in y.tolist()]), y


# ------------------------------------------------------------------------ the order statistic


def test_the_rank_is_that_of_a_naive_loop():
    for n in (0, 1, 5, 28, 29, 30, 45, 46, 100, 731):
        for recall in (0.1, 0.5, 0.9, 0.95):
            for level in (0.5, 0.75, 0.9, 0.95, 0.999):
                # At least k scores are below the quantile: the k-th lowest is one of them.
                probability = binom.sf(np.arange(n), n, 1 - recall)
                largest = max((k + 1 for k in range(n) if probability[k] >= level), default=0)
                assert recall_rank(n, recall, level) == largest


def test_the_least_numbers_of_samples_are_those_of_the_closed_form():
    assert [least_samples(recall, 0.95) for recall in (0.9, 0.95, 0.99)] == [29, 59, 299]
    for recall in (0.05, 0.3, 0.5, 0.8, 0.97, 0.999):
        for level in (0.1, 0.5, 0.9, 0.99, 1 - 1e-6):
            closed = np.ceil(np.log(1 - level) / np.log(recall) - 1e-9)
            assert least_samples(recall, level) == max(1, closed)
    # Equality counts: a half to the third is an eighth.
    assert least_samples(0.5, 0.875) == 3


def test_the_bound_of_a_rank_is_the_recall_up_to_which_the_rank_is_allowed():
    for n, rank in ((29, 1), (100, 5), (400, 60)):
        bound = recall_bound(n, rank, 0.9)
        assert recall_rank(n, bound - 1e-9, 0.9) == rank
        assert recall_rank(n, bound + 1e-9, 0.9) == rank - 1
    assert recall_bound(29, 1, 0.95) == pytest.approx(0.05 ** (1 / 29))


def test_the_bounds_are_those_of_scipy():
    for n, k in ((10, 0), (10, 3), (10, 10), (250, 7)):
        test = binomtest(k, n)
        expected = test.proportion_ci(0.9, method="exact")
        assert clopper_pearson(k, n, 0.9) == pytest.approx((expected.low, expected.high))
        less = binomtest(k, n, alternative="less").proportion_ci(0.9, method="exact")
        assert upper_bound(k, n, 0.9) == pytest.approx(less.high)
        greater = binomtest(k, n, alternative="greater").proportion_ci(0.9, method="exact")
        assert lower_bound(k, n, 0.9) == pytest.approx(greater.low)
    assert clopper_pearson(0, 0, 0.9) == (0.0, 1.0)


def test_a_threshold_is_lowered_by_rounding_only():
    scores = np.array([0.0, np.finfo(float).tiny, 1e-300, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0])
    lowered = np.array([below(score) for score in scores])
    assert (lowered < scores).all()
    assert (lowered[2:] > scores[1:-1]).all()
    np.testing.assert_allclose(lowered, scores, rtol=1e-5, atol=1e-300)


# ------------------------------------------------------------------------ simulation


def violations(draw, recall_of, n, recall, level, n_sets=2000, seed=0):
    """Return in how many calibration sets the recall on new samples is less than promised."""
    scores = draw(np.random.RandomState(seed), (n_sets, n))
    thresholds = np.sort(scores, axis=1)[:, recall_rank(n, recall, level) - 1]
    assert recall_threshold(scores[0], recall, level) == thresholds[0]
    return int((recall_of(thresholds) < recall).sum())


def most_violations(alpha, n_sets=2000):
    return binom.ppf(0.975, n_sets, alpha)


LEVELS = (
    pytest.param(29, 0.9, 0.95, id="at the limit for 0.90"),
    pytest.param(59, 0.95, 0.95, id="at the limit for 0.95"),
    pytest.param(5, 0.5, 0.95, id="at the limit for 0.50"),
    pytest.param(46, 0.9, 0.95, id="second lowest"),
    pytest.param(500, 0.9, 0.9, id="many"),
)


@pytest.mark.parametrize(("n", "recall", "level"), LEVELS)
def test_continuous_scores_violate_the_guarantee_as_often_as_promised(n, recall, level):
    found = violations(lambda rng, shape: rng.rand(*shape), lambda t: 1 - t, n, recall, level)
    alpha = 1 - level
    assert found <= most_violations(alpha)
    # The order statistic wastes nothing: its own probability of a violation is met from both sides.
    exact = binom.cdf(recall_rank(n, recall, level) - 1, n, 1 - recall)
    assert exact <= alpha
    assert found >= binom.ppf(0.025, 2000, exact)
    following = binom.cdf(recall_rank(n, recall, level), n, 1 - recall)
    assert following > alpha


@pytest.mark.parametrize(("n", "recall", "level"), LEVELS)
def test_equal_scores_do_not_break_the_guarantee(n, recall, level):
    values = np.array([0.0, 0.1, 0.2, 0.6, 1.0])
    weights = np.array([0.04, 0.07, 0.39, 0.4, 0.1])
    found = violations(
        lambda rng, shape: rng.choice(values, p=weights, size=shape),
        lambda t: (values >= t[:, None]) @ weights,
        n,
        recall,
        level,
    )
    assert found <= most_violations(1 - level)


@pytest.mark.slow
def test_the_classifier_keeps_its_promise_on_new_samples():
    """The recall on the whole population, over calibration sets for one fitted classifier."""
    X, y = table(500, 500, seed=1)
    fitted = FrozenEstimator(LogisticRegression().fit(X, y))
    population, _ = table(20_000, 1, seed=2)
    scores = np.sort(fitted.predict_proba(population[:-1])[:, 0])
    n_sets, n_low, n_below_precision = 300, 0, 0
    well = np.sort(fitted.predict_proba(table(1, 20_000, seed=3)[0])[:, 0])
    for seed in range(n_sets):
        clf = GuaranteedRecallClassifier(fitted, label="ill", recall=0.8, confidence_level=0.9)
        clf.fit(*table(60, 100, seed=10 + seed))
        recall = 1 - np.searchsorted(scores, clf.threshold_) / len(scores)
        alarms = 1 - np.searchsorted(well, clf.threshold_) / len(well)
        n_low += recall < 0.8
        n_below_precision += precision_bound(recall, alarms, 0.1) < clf.guaranteed_precision(0.1)
    assert 0 < n_low <= most_violations(0.1, n_sets)
    assert n_below_precision <= most_violations(0.1, n_sets)


@pytest.mark.slow
# Without groups, equal rows are warned of.
@pytest.mark.filterwarnings("ignore:.*are equal to other samples of the class:UserWarning")
@pytest.mark.parametrize("is_grouped", [False, True])
def test_groups_count_once_so_that_their_number_of_samples_does_not_matter(is_grouped):
    """Groups of 30 equal scores are 30 samples that say nothing more than one."""
    rng = np.random.RandomState(0)
    frozen = FrozenEstimator(ScoreItself().fit([[0.1], [0.9]], [0, 1]))
    n_low, n_sets = 0, 100
    for _ in range(n_sets):
        groups = np.repeat(np.arange(40), 30)
        X = np.append(rng.rand(40)[groups], [0.0])[:, None]
        y = np.append(np.ones(len(groups), dtype=int), 0)
        clf = GuaranteedRecallClassifier(frozen, label=1, recall=0.9)
        clf.fit(X, y, groups=np.append(groups, 40) if is_grouped else None)
        n_low += 1 - clf.threshold_ < 0.9
        assert clf.n_calibration_ == (40 if is_grouped else 1200)
    assert (n_low <= most_violations(0.05, n_sets)) == is_grouped


class ScoreItself(LogisticRegression):
    """A classifier whose probability of the last class is the first column."""

    def predict_log_proba(self, X):
        return np.log(self.predict_proba(X))

    def predict_proba(self, X):
        score = np.clip(np.asarray(X)[:, 0], 1e-12, 1 - 1e-12)
        return np.column_stack([1 - score, score])


# ------------------------------------------------------------------------ the classifier


def test_a_frozen_classifier_gives_the_order_statistic_of_all_samples():
    X, y = table()
    fitted = LogisticRegression().fit(X[:300], y[:300])
    X, y = X[300:], y[300:]
    clf = GuaranteedRecallClassifier(FrozenEstimator(fitted), label="ill").fit(X, y)
    scores = np.sort(fitted.predict_proba(X[y == "ill"])[:, 0])
    rank = recall_rank(len(scores), 0.9, 0.95)
    assert (clf.n_calibration_, clf.rank_, clf.is_exact_) == (len(scores), rank, True)
    assert clf.threshold_ == pytest.approx(scores[rank - 1], rel=1e-5)
    # The sample that gives the threshold is found, and the rest follows from it.
    found = clf.predict(X) == "ill"
    np.testing.assert_array_equal(found, fitted.predict_proba(X)[:, 0] >= clf.threshold_)
    assert found[y == "ill"].sum() == len(scores) - rank + 1
    assert clf.guaranteed_recall_ >= 0.9
    assert clf.n_false_alarms_ == found[y == "well"].sum()
    assert clf.false_alarm_rate_ == found[y == "well"].mean()
    low, high = clf.false_alarm_interval_
    assert 0 < low < clf.false_alarm_rate_ < high < 1
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X))


def test_one_split_keeps_the_classifier_that_has_not_seen_the_calibration_samples():
    X, y = table()
    clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", random_state=0)
    clf.fit(X, y)
    assert (clf.n_calibration_, clf.n_others_) == (60, 180)
    assert clf.is_exact_
    halves = clone(clf).set_params(cv=np.float32(0.5)).fit(X, y)
    assert (halves.n_calibration_, halves.n_others_) == (100, 300)


@pytest.mark.parametrize("cv", [5, KFold(3), "pairs"])
def test_folds_give_an_approximate_guarantee_and_say_so(cv):
    X, y = table()
    given = list(KFold(2, shuffle=True, random_state=0).split(X)) if cv == "pairs" else cv
    clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", cv=given, random_state=0)
    with pytest.warns(UserWarning, match="guarantee is approximate") as caught:
        clf.fit(X, y)
    assert len(caught) == 1
    assert clf.is_exact_ is False
    assert clf.n_calibration_ == 200
    np.testing.assert_array_equal(clf.estimator_.coef_, LogisticRegression().fit(X, y).coef_)


def test_samples_that_a_splitter_holds_out_repeatedly_count_once():
    X, y = table()
    pairs = [*KFold(2).split(X), *KFold(2, shuffle=True, random_state=0).split(X)]
    clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", cv=pairs)
    with pytest.warns(UserWarning, match="approximate"):
        assert clf.fit(X, y).n_calibration_ == 200


def test_groups_stay_on_one_side_and_one_of_their_samples_counts():
    X, y = table(400, 800)
    order = np.argsort(y, kind="stable")
    X, y, groups = X[order], y[order], np.arange(1200) // 4
    clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", recall=0.8, random_state=0)
    clf.fit(X, y, groups=groups)
    assert (clf.n_calibration_, clf.n_others_) == (30, 60)
    again = clone(clf).fit(X, y, groups=[f"patient {g}" for g in groups])
    assert again.threshold_ == clf.threshold_
    few = r"299 groups with samples of class 'ill'.* there are 30 \(.* held out of 100 groups"
    with pytest.raises(ValueError, match=few):
        clone(clf).set_params(recall=0.99).fit(X, y, groups=groups)
    with pytest.warns(UserWarning, match="approximate"):
        folds = clone(clf).set_params(cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert folds.n_calibration_ == 100


@pytest.mark.slow
def test_groups_are_held_out_whatever_their_size():
    """Small groups are not preferred, since the scores of large ones may be others."""
    # Fifty groups of one sample, fifty of forty, and as many of the other class.
    sizes = np.tile(np.repeat([1, 40], 50), 2)
    groups = np.repeat(np.arange(200), sizes)
    y = np.where(groups < 100, "ill", "well")
    X = np.where(np.isin(groups % 100, np.arange(50)), 0.0, 1.0)[:, None]
    clf = GuaranteedRecallClassifier(Recording(), label="ill", recall=0.5)
    Recording.seen.clear()
    for seed in range(60):
        clf.set_params(random_state=seed).fit(X, y, groups=groups)
        assert (clf.n_calibration_, clf.n_others_) == (30, 30)
    # In the training part are 50 - 15 of the large groups of each class, on average.
    n_large = np.array([(rows == 1).sum() for rows in Recording.seen]) / 80
    assert n_large.mean() == pytest.approx(35, abs=1)
    # Whichever of the two groups is held out, a class has no sample left.
    with pytest.raises(ValueError, match="every class is among the others"):
        clf.fit(X[:4], ["ill", "left", "ill", "right"], groups=[0, 0, 1, 1])


class Recording(LogisticRegression):
    """A classifier that keeps what it was trained on."""

    seen: list = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(X)
        return super().fit(X, y)


def test_other_classes_compete_where_the_threshold_is_not_reached():
    X, y = three_classes()
    clf = GuaranteedRecallClassifier(LogisticRegression(), label=5, cv=0.5, random_state=0)
    clf.fit(X, y)
    proba = clf.predict_proba(X)
    others = proba.copy()
    others[:, 1] = -1
    expected = np.where(proba[:, 1] >= clf.threshold_, 5, clf.classes_[others.argmax(axis=1)])
    np.testing.assert_array_equal(clf.predict(X), expected)
    assert set(expected) == {3, 5, 8}
    assert clf.n_others_ == round(0.5 * (y == 3).sum()) + round(0.5 * (y == 8).sum())


@pytest.mark.parametrize(
    "names", [[False, True], [0, 1], [-1.0, 2.0], ["no", "yes"], np.array(["a", "b"], object)]
)
def test_a_label_is_of_any_type_and_none_is_the_minority_class(names):
    X, y = table()
    y = np.asarray(names)[(y == "ill").astype(int)]
    by_name = GuaranteedRecallClassifier(LogisticRegression(), label=names[1], random_state=0)
    by_default = GuaranteedRecallClassifier(LogisticRegression(), random_state=0)
    by_name.fit(X, y)
    assert by_name.label_ == by_default.fit(X, y).label_ == names[1]
    assert by_name.threshold_ == by_default.threshold_
    assert by_name.predict(X).dtype == y.dtype


@pytest.mark.parametrize("label", ["sick", 0, ["ill"], np.array(["ill", "well"]), float("nan")])
def test_an_unknown_label_is_refused_and_the_classes_are_named(label):
    clf = GuaranteedRecallClassifier(NeverFitted(), label=label)
    with pytest.raises(ValueError, match=r"`label` must be one of.*\['ill', 'well'\]"):
        clf.fit(*table())


class NeverFitted(LogisticRegression):
    """A classifier that shows that nothing was fitted."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("fit was called")


def test_too_few_samples_are_refused_before_anything_is_fitted_and_the_message_helps():
    X, y = table(60, 300)
    clf = GuaranteedRecallClassifier(NeverFitted(), label="ill", random_state=0)
    with pytest.raises(ValueError, match="at least 29 samples of class 'ill'") as caught:
        clf.fit(X, y)
    message = str(caught.value)
    assert "there are 18 (a fraction of 0.3 is held out of 60 samples, as `cv` says)" in message
    # 0.05 ** (1 / 18) = 0.8467 and 1 - 0.9 ** 18 = 0.8499, rounded downwards.
    assert "a recall of 0.846 with a confidence of 0.95" in message
    assert "a recall of 0.9 with a confidence of 0.849" in message
    assert not hasattr(clf, "classes_")
    # What the message offers is accepted.
    clone(clf).set_params(estimator=LogisticRegression(), recall=0.846).fit(X, y)
    clone(clf).set_params(estimator=LogisticRegression(), confidence_level=0.849).fit(X, y)
    clone(clf).set_params(estimator=LogisticRegression(), cv=0.49).fit(X, y)


def test_the_limit_is_exact():
    X, y = table()
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    X, y = table(29, 5, seed=1)
    clf = GuaranteedRecallClassifier(frozen, label="ill").fit(X, y)
    assert clf.rank_ == 1
    one_less = np.flatnonzero(y == "ill")[0]
    with pytest.raises(ValueError, match=r"there are 28\."):
        clf.fit(np.delete(X, one_less, axis=0), np.delete(y, one_less))
    assert not hasattr(clf, "threshold_")
    with pytest.raises(ValueError, match=r"there are 0\. Nothing can be promised"):
        clf.fit(X[y == "well"], y[y == "well"])


def test_without_samples_of_other_classes_their_false_alarms_are_unknown():
    X, y = table()
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    clf = GuaranteedRecallClassifier(frozen, label="ill").fit(X[y == "ill"], y[y == "ill"])
    assert np.isnan(clf.false_alarm_rate_)
    assert clf.false_alarm_interval_ == (0.0, 1.0)
    assert clf.guaranteed_precision(0.1) < 0.1


def test_weights_reach_the_training_alone():
    X, y = table()
    weight = np.where(y == "ill", 100.0, 1.0)
    clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", random_state=0)
    plain, weighted = clone(clf).fit(X, y), clone(clf).fit(X, y, sample_weight=weight)
    assert weighted.n_calibration_ == plain.n_calibration_
    assert weighted.estimator_.intercept_[0] < plain.estimator_.intercept_[0] - 1
    frozen = GuaranteedRecallClassifier(FrozenEstimator(plain.estimator_), label="ill")
    unweighted = clone(frozen).fit(X, y).threshold_
    assert frozen.fit(X, y, sample_weight=weight).threshold_ == unweighted


def test_the_precision_bound_is_that_of_two_bounds():
    X, y = table()
    clf: Any = GuaranteedRecallClassifier(LogisticRegression(), label="ill", random_state=0)
    clf.fit(X, y)
    recall = lower_bound(clf.n_calibration_ - clf.rank_ + 1, clf.n_calibration_, 0.975)
    alarms = upper_bound(clf.n_false_alarms_, clf.n_others_, 0.975)
    for prior in (0.001, 0.25, np.float32(0.9)):
        expected = recall * prior / (recall * prior + alarms * (1 - prior))
        assert clf.guaranteed_precision(prior) == pytest.approx(float(expected))
    for bad in (0, 1, -0.1, np.nan, "half", None, True, [0.5]):
        with pytest.raises(ValueError, match="`prior` must be the fraction"):
            clf.guaranteed_precision(bad)


@pytest.mark.parametrize(
    "params",
    [
        {"recall": 0},
        {"recall": 1.0},
        {"recall": "high"},
        {"confidence_level": 1},
        {"cv": 1},
        {"cv": 1.5},
        {"cv": 0.0},
        {"estimator": "forest"},
        {"random_state": "seed"},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(params):
    clf = GuaranteedRecallClassifier(NeverFitted(), label="ill").set_params(**params)
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        clf.fit(*table())


def test_a_rule_that_a_file_damaged_is_refused():
    X, y = table()
    clf: Any = GuaranteedRecallClassifier(LogisticRegression(), label="ill", random_state=0)
    clf.fit(X, y)
    clf.label_ = "sick"
    with pytest.raises(ValueError, match="`label_` must be one of the classes"):
        clf.predict(X)
    clf.label_ = "ill"
    for bad in (np.nan, 1.5, -0.1, None, "high"):
        clf.threshold_ = bad
        with pytest.raises(ValueError, match="`threshold_` must be a number from 0 to 1"):
            clf.predict(X)
    for name, bad in (
        ("n_joint_", 0.5),
        ("n_joint_lower_", 1000),
        ("n_others_", 0.5),
        ("n_false_alarms_", -1),
    ):
        broken = clone(clf).fit(X, y)
        setattr(broken, name, bad)
        with pytest.raises(ValueError, match=f"{name}.* must be whole numbers"):
            broken.guaranteed_precision(0.1)


# ------------------------------------------------------------------------ in other tools


def test_a_forest_after_smote_in_a_pipeline_and_a_search_over_it():
    X, y = table()
    forest = RandomForestClassifier(10, max_depth=3, random_state=0)
    inner = make_imbalanced_pipeline(SMOTE(random_state=0), forest)
    clf = GuaranteedRecallClassifier(inner, label="ill", random_state=0)
    whole = make_pipeline(StandardScaler(), clf).fit(X, y)
    assert (whole.predict(X)[y == "ill"] == "ill").mean() > 0.8
    assert whole[-1].n_calibration_ == 60
    search = GridSearchCV(clf, {"recall": [0.8, 0.9]}, cv=2, scoring="balanced_accuracy")
    search.fit(X, y)
    assert set(search.cv_results_["param_recall"].tolist()) == {0.8, 0.9}


def test_trees_of_few_probabilities_keep_the_guarantee():
    X, y = table(400, 400)
    fitted = RandomForestClassifier(3, max_depth=2, random_state=0).fit(X, y)
    X, y = table(100, 100, seed=1)
    clf = GuaranteedRecallClassifier(FrozenEstimator(fitted), label="ill").fit(X, y)
    assert len(np.unique(fitted.predict_proba(X)[:, 0])) < 40
    assert (clf.predict(X)[y == "ill"] == "ill").sum() >= 100 - clf.rank_ + 1


@pytest.mark.slow
def test_no_threshold_of_learn_then_test_is_higher():
    """MAPIE's fixed-sequence tests make the same promise on a grid of thresholds."""
    risk_control = pytest.importorskip("mapie.risk_control")
    rng = np.random.RandomState(0)
    grid = np.linspace(0, 0.999, 1000)
    for n in (29, 60, 200):
        score = np.append(rng.beta(4, 2, size=n), rng.beta(2, 4, size=300))
        target = np.repeat([1, 0], [n, 300])
        controller = risk_control.BinaryClassificationController(
            lambda X: np.column_stack([1 - X, X]),
            "recall",
            0.9,
            confidence_level=0.95,
            list_predict_params=grid,
            fwer_method="fixed_sequence",
            best_predict_param_choice="fpr",
        )
        controller.calibrate(score, target)
        ours = recall_threshold(score[:n], 0.9, 0.95)
        assert grid[0] < controller.best_predict_param <= ours
