"""A classifier is moved to another class prior: known, uniform, or estimated."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb.model_selection import MinimumCostClassifier, PriorCorrectedClassifier
from skimb.neural_network import CNNClassifier

LABELS = np.array(["a", "b", "c"])
TRAIN, NEW = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])


def draw(n, prior, seed, distance=1.5):
    rng = np.random.default_rng(seed)
    y = rng.choice(len(prior), p=prior, size=n)
    X = rng.standard_normal((n, 3)) + distance * np.eye(3)[y]
    return X, LABELS[y]


def by_label(prior):
    return dict(zip(LABELS.tolist(), prior.tolist(), strict=True))


@pytest.fixture(scope="module")
def samples():
    return draw(600, TRAIN, 0)


def corrected(**params):
    return PriorCorrectedClassifier(
        LogisticRegression(), **{"target_prior": "uniform", "random_state": 0, **params}
    )


class Softmax(ClassifierMixin, BaseEstimator):
    """The softmax of X, which holds logits."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return softmax(X, axis=1)


def test_logit_adjustment_after_the_training_golden():
    y = np.repeat(LABELS, [500, 50, 5])
    logits = np.array([[2, 0.5, -1], [0.1, 1.2, 0.3], [-0.5, 0, 1.5], [1, 1, 1]])
    network = FrozenEstimator(Softmax().fit(None, y))
    clf = PriorCorrectedClassifier(network, target_prior="uniform", calibration=None)
    clf.fit(np.zeros((len(y), 3)), y)
    assert clf.predict(logits).tolist() == ["c"] * 4
    np.testing.assert_allclose(
        clf.predict_proba(logits)[1], [0.00652818, 0.19611751, 0.7973543], rtol=1e-6
    )


def test_the_training_prior_without_calibration_changes_nothing(samples):
    X, y = samples
    plain = LogisticRegression().fit(X, y)
    clf = corrected(target_prior="train", calibration=None).fit(X, y)
    np.testing.assert_array_equal(clf.predict_log_proba(X), plain.predict_log_proba(X))
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))
    assert clf.temperature_ == 1
    assert not clf.biases_.any()
    np.testing.assert_array_equal(clf.train_prior_, clf.target_prior_)


def test_bayes_rule_moves_the_probabilities(samples):
    X, y = samples
    clf = corrected(target_prior=by_label(NEW), calibration=None).fit(X, y)
    fractions = np.unique(y, return_counts=True)[1] / len(y)
    expected = LogisticRegression().fit(X, y).predict_proba(X) * NEW / fractions
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_allclose(clf.train_prior_, fractions)
    known = corrected(
        target_prior=by_label(NEW), calibration=None, train_prior=by_label(TRAIN)
    ).fit(X, y)
    np.testing.assert_allclose(known.train_prior_, TRAIN)
    back = corrected(target_prior="train", calibration=None, train_prior="uniform").fit(X, y)
    np.testing.assert_allclose(
        back.predict_proba(X), LogisticRegression().fit(X, y).predict_proba(X)
    )


def test_probabilities_for_the_new_prior_are_better_there(samples):
    X, y = samples
    X_new, y_new = draw(3000, NEW, 1)
    plain = LogisticRegression().fit(X, y)
    for calibration in (None, "temperature", "bias_corrected"):
        clf = corrected(target_prior=by_label(NEW), calibration=calibration).fit(X, y)
        gain = log_loss(y_new, plain.predict_proba(X_new)) - log_loss(
            y_new, clf.predict_proba(X_new)
        )
        assert gain > 0.2
    uniform = corrected().fit(X, y)
    assert balanced_accuracy_score(y_new, uniform.predict(X_new)) > 0.03 + (
        balanced_accuracy_score(y_new, plain.predict(X_new))
    )


def test_a_network_moved_by_itself_and_by_the_wrapper_agree():
    rng = np.random.RandomState(0)
    y = LABELS[rng.choice(3, p=TRAIN, size=120)]
    X = rng.rand(120, 6, 6).astype(np.float32) + (y == "b")[:, None, None]
    for weight in (None, "balanced"):
        network = CNNClassifier("linear", max_epochs=2, class_weight=weight, random_state=0)
        for prior in ("uniform", "sqrt", "train", by_label(NEW)):
            own = clone(network).set_params(target_prior=prior).fit(X, y)
            wrapped = PriorCorrectedClassifier(
                network, target_prior=prior, calibration=None, random_state=0
            ).fit(X, y)
            np.testing.assert_allclose(
                wrapped.predict_proba(X), own.predict_proba(X), rtol=1e-6, atol=1e-9
            )
            np.testing.assert_allclose(own.predicted_prior_, wrapped.predicted_prior_)
    adjusted = CNNClassifier("linear", loss="logit_adjusted", max_epochs=1).fit(X, y)
    assert adjusted.predicted_prior_ is None


@pytest.mark.slow
def test_held_out_natural_samples_repair_a_forest_after_smote():
    prior = np.array([0.95, 0.05])
    X, y = draw(1500, np.append(prior, 0), 0)
    X_test, _ = draw(6000, np.append(prior, 0), 1)
    smote = make_imblearn_pipeline(
        SMOTE(random_state=0), RandomForestClassifier(40, min_samples_leaf=5, random_state=0)
    )
    raw = clone(smote).fit(X, y).predict_proba(X_test)[:, 1].mean()
    wrapped = {
        name: PriorCorrectedClassifier(
            smote, target_prior="train", calibration=name, cv=3, random_state=0
        )
        .fit(X, y)
        .predict_proba(X_test)[:, 1]
        for name in (None, "temperature", "bias_corrected")
    }
    # The forest speaks for equal classes: it promises three times as many samples of the minority.
    assert raw > 0.14
    assert wrapped["bias_corrected"].mean() == pytest.approx(0.05, abs=0.015)
    # Without biases, it is taken at its word.
    for name in (None, "temperature"):
        assert wrapped[name].mean() == pytest.approx(0.04, abs=0.03)
    # Its estimate of another prior is better than from probabilities taken for those of y.
    X_new, _ = draw(2000, np.array([0.6, 0.4, 0]), 2)
    clf = PriorCorrectedClassifier(smote, target_prior="estimate", cv=3, random_state=0).fit(X, y)
    trusted = clone(clf).set_params(calibration=None, train_prior={"a": 0.95, "b": 0.05}).fit(X, y)
    error = abs(clf.adapt(X_new).target_prior_[1] - 0.4)
    assert error < 0.1
    assert abs(trusted.adapt(X_new).target_prior_[1] - 0.4) > 2 * error


def test_an_estimated_prior_is_that_of_the_samples(samples):
    X, y = samples
    clf = corrected(target_prior="estimate").fit(X, y)
    # Until then, it speaks for the training.
    np.testing.assert_array_equal(clf.target_prior_, clf.train_prior_)
    X_new, y_new = draw(3000, NEW, 2)
    assert clf.adapt(X_new) is clf
    np.testing.assert_allclose(clf.target_prior_, NEW, atol=0.05)
    known = corrected(target_prior=by_label(NEW)).fit(X, y)
    assert log_loss(y_new, clf.predict_proba(X_new)) == pytest.approx(
        log_loss(y_new, known.predict_proba(X_new)), abs=0.01
    )
    np.testing.assert_array_equal(clf.fit(X, y).target_prior_, clf.train_prior_)


def test_a_degenerate_estimate_is_refused(samples):
    X, y = samples
    clf = corrected(target_prior="estimate").fit(X, y)
    far = np.tile([9.0, 0, 0], (20, 1))
    with pytest.raises(ValueError, match=r"classes \['b', 'c'\] is zero.*as a dict"):
        clf.adapt(far)
    np.testing.assert_array_equal(clf.target_prior_, clf.train_prior_)
    with pytest.raises(ValueError, match="needs target_prior='estimate', but it is 'uniform'"):
        corrected().fit(X, y).adapt(X)


def test_a_frozen_classifier_is_calibrated_on_all_samples(samples):
    X, y = samples
    frozen = FrozenEstimator(LogisticRegression(C=1e-3).fit(X[:300], y[:300]))
    clf = PriorCorrectedClassifier(frozen, target_prior="train").fit(X[300:], y[300:])
    assert clf.temperature_ < 0.7
    assert log_loss(y[300:], clf.predict_proba(X[300:])) < log_loss(
        y[300:], frozen.predict_proba(X[300:])
    )
    with pytest.raises(ValueError, match=r"no samples .*of the classes \['c'\]"):
        PriorCorrectedClassifier(frozen, target_prior="train").fit(X[y != "c"], y[y != "c"])


@pytest.mark.parametrize("calibration", [None, "temperature", "bias_corrected"])
def test_weights_are_a_prior_that_is_left_for_that_of_the_samples(samples, calibration):
    X, y = samples
    weight = np.where(y == "c", 3.0, 1.0)
    clf = corrected(target_prior="train", calibration=calibration)
    clf.fit(X, y, sample_weight=weight)
    mass = np.array([weight[y == label].sum() for label in LABELS])
    np.testing.assert_allclose(clf.train_prior_, mass / mass.sum())
    # "train" counts each sample once, as in MinimumCostClassifier.
    fractions = np.unique(y, return_counts=True)[1] / len(y)
    np.testing.assert_allclose(clf.target_prior_, fractions)
    np.testing.assert_allclose(clf.predict_proba(X).mean(axis=0), fractions, atol=0.02)
    other = MinimumCostClassifier(LogisticRegression(), cost_matrix=None, target_prior="train")
    other.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(other.predicted_prior_, clf.predicted_prior_)
    if calibration is None:
        np.testing.assert_allclose(other.predict_proba(X), clf.predict_proba(X))


def two(n, fraction, seed):
    """Return samples of the classes 0 and 1 whose log-odds are linear."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < fraction).astype(int)
    return rng.standard_normal((n, 3)) + y[:, None], y


BALANCED = LogisticRegression(class_weight="balanced")


# Its threshold is lost, and a warning says so.
@pytest.mark.filterwarnings("ignore:.*decisions of FixedThresholdClassifier:UserWarning")
@pytest.mark.parametrize("calibration", [None, "temperature"])
@pytest.mark.parametrize(
    "estimator",
    [
        BALANCED,
        FixedThresholdClassifier(BALANCED, threshold=0.3),
        make_imblearn_pipeline(RandomOverSampler(random_state=0), LogisticRegression()),
        CalibratedClassifierCV(BALANCED, cv=2),
        CalibratedClassifierCV(BALANCED, cv=2, method="temperature"),
        BernoulliNB(fit_prior=False),
        GaussianNB(priors=[0.5, 0.5]),
    ],
    ids=["weights", "threshold", "sampler", "sigmoid", "temperature", "bernoulli", "gaussian"],
)
def test_a_prior_is_left_that_the_probabilities_hold_for(estimator, calibration):
    X, y = two(3000, 0.1, 0)
    X_new, _ = two(20_000, 0.3, 1)
    clf = PriorCorrectedClassifier(
        estimator, target_prior={0: 0.7, 1: 0.3}, calibration=calibration, cv=2, random_state=0
    ).fit(X, y)
    assert clf.predict_proba(X_new)[:, 1].mean() == pytest.approx(0.3, abs=0.04)


def test_weights_count_only_where_the_classifier_got_them():
    X, y = two(3000, 0.1, 0)
    weight = np.where(y == 1, 9.0, 1.0)
    target = {0: 0.7, 1: 0.3}
    X_new, _ = two(20_000, 0.3, 1)
    fitted = FrozenEstimator(LogisticRegression().fit(X, y))
    found = PriorCorrectedClassifier(fitted, target_prior=target, calibration=None)
    found.fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        unweighted = LogisticRegression().set_fit_request(sample_weight=False)
        routed = PriorCorrectedClassifier(unweighted, target_prior=target, calibration=None)
        routed.fit(X, y, sample_weight=weight)
    for clf in (found, routed):
        np.testing.assert_allclose(clf.train_prior_, [np.mean(y == 0), np.mean(y == 1)])
        assert clf.predict_proba(X_new)[:, 1].mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("estimator", "cause"),
    [
        (BaggingClassifier(BALANCED, 2), "estimator__class_weight"),
        (ComplementNB(), "ComplementNB"),
        (
            FrozenEstimator(
                make_imblearn_pipeline(RandomOverSampler(), LogisticRegression()).fit(
                    *two(99, 0.5, 0)
                )
            ),
            "the step 'randomoversampler'",
        ),
    ],
    ids=["bagging", "complement", "frozen sampler"],
)
@pytest.mark.parametrize("calibration", [None, "temperature"])
def test_a_prior_that_is_not_known_is_asked_for(estimator, cause, calibration):
    X, y = two(200, 0.4, 0)
    X = np.abs(X)
    clf = PriorCorrectedClassifier(
        estimator, target_prior="uniform", calibration=calibration, cv=2, random_state=0
    )
    with pytest.raises(ValueError, match=f"not known because of .*{cause}.*`train_prior`"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    clf.set_params(train_prior="uniform").fit(X, y)
    np.testing.assert_array_equal(clf.train_prior_, [0.5, 0.5])
    clf.set_params(train_prior=None, calibration="bias_corrected").fit(X, y)
    np.testing.assert_allclose(clf.train_prior_[1], y.mean())


def test_a_network_whose_loss_moves_the_prior_is_refused_unless_it_has_one():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [60, 20])
    X = rng.rand(80, 4, 4).astype(np.float32) + y[:, None, None]
    network = CNNClassifier("linear", loss="balanced_softmax", max_epochs=1, random_state=0)
    clf = PriorCorrectedClassifier(network, target_prior="uniform", calibration=None)
    with pytest.raises(ValueError, match="not known because of loss='balanced_softmax'"):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="not known because of cnn__loss"):
        clone(clf).set_params(estimator=VotingClassifier([("cnn", network)], voting="soft")).fit(
            X, y
        )
    clf.set_params(estimator__target_prior="train").fit(X, y)
    alone = clone(network).set_params(target_prior="uniform").fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), alone.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("calibration", [None, "bias_corrected"])
def test_a_classifier_that_takes_no_weights_is_trained_without_them(samples, calibration):
    X, y = samples
    weight = np.where(y == "c", 3.0, 1.0)
    clf = corrected(target_prior="train", calibration=calibration)
    clf.set_params(estimator=KNeighborsClassifier(20))
    with pytest.warns(UserWarning, match="takes no `sample_weight`.*do not count in its training"):
        clf.fit(X, y, sample_weight=weight)
    fractions = np.unique(y, return_counts=True)[1] / len(y)
    np.testing.assert_allclose(clf.predict_proba(X).mean(axis=0), fractions, atol=0.03)
    with pytest.warns(UserWarning, match="takes no `sample_weight`"):
        MinimumCostClassifier(KNeighborsClassifier(), cost_matrix=None, target_prior="train").fit(
            X, y, sample_weight=weight
        )
    # A search takes what its classifier takes.
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2)
    clf.set_params(estimator=search).fit(X, y, sample_weight=weight)
    plain = LogisticRegression().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(clf.estimator_.best_estimator_.coef_, plain.coef_)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target_prior": {"a": 0.5, "b": 0.5}}, r"every label.*\['a', 'b', 'c'\]"),
        ({"target_prior": "balanced"}, "target_prior"),
        ({"target_prior": {"a": 1.0, "b": 0.0, "c": 1.0}}, "positive fractions"),
        ({"train_prior": {"a": 1.0}}, "`train_prior` must give a fraction for every label"),
        ({"train_prior": "train"}, "train_prior"),
        ({"calibration": "isotonic"}, "calibration"),
    ],
)
def test_bad_parameters_are_refused_before_any_training(samples, params, message):
    class Never(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError("trained")

    with pytest.raises(ValueError, match=message):
        corrected(**params).set_params(estimator=Never()).fit(*samples)


def test_it_is_searched_and_stands_in_a_pipeline(samples):
    X, y = samples
    grid = {"target_prior": ["uniform", "train"], "estimator__C": [0.1, 1.0]}
    search = GridSearchCV(corrected(cv=2), grid, scoring="balanced_accuracy", cv=2).fit(X, y)
    assert search.best_params_["target_prior"] == "uniform"
    piped = make_pipeline(StandardScaler(), corrected(cv=2)).fit(X, y)
    assert piped.predict_proba(X).shape == (len(X), 3)
    copy = clone(corrected(target_prior=by_label(NEW)))
    assert copy.target_prior == by_label(NEW)


def test_its_rule_says_all_that_is_done(samples):
    X, y = samples
    clf = corrected(target_prior=by_label(NEW)).fit(X, y)
    rule = clf.decision_rule()
    assert rule.temperature == clf.temperature_
    np.testing.assert_allclose(
        rule.log_offsets, clf.biases_ + np.log(NEW) - np.log(clf.train_prior_)
    )
    for damaged in ([0.5, 0.5, -0.1], [0.5, 0.5, 0.0], [np.nan, 0.5, 0.5], [0.2, 0.8]):
        clf.target_prior_ = np.array(damaged)
        with pytest.raises(ValueError, match=r"finite numbers|shape|broadcast"):
            clf.predict(X)


def test_weights_reach_a_classifier_that_requests_them(samples):
    X, y = samples
    weight = np.where(y == "c", 5.0, 1.0)
    fitted = {}
    with config_context(enable_metadata_routing=True):
        for wanted in (True, False):
            inner = LogisticRegression().set_fit_request(sample_weight=wanted)
            clf = corrected(calibration=None).set_params(estimator=inner)
            clf.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight)
            fitted[wanted] = clf
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            corrected().fit(X, y, sample_weight=weight)
    for wanted, given in ((True, weight), (False, None)):
        expected = LogisticRegression().fit(X, y, sample_weight=given)
        np.testing.assert_allclose(fitted[wanted].estimator_.coef_, expected.coef_)
    # A classifier without them holds for the fractions in y.
    fractions = np.unique(y, return_counts=True)[1] / len(y)
    np.testing.assert_allclose(fitted[False].train_prior_, fractions)
    assert fitted[True].train_prior_[2] > 2 * fractions[2]


def test_groups_stay_in_one_fold(samples):
    X, y = samples
    # Copies in other folds would make the forest look certain.
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(len(y)), 4)
    forest = RandomForestClassifier(20, random_state=0)
    clf = PriorCorrectedClassifier(forest, target_prior="train", cv=2, random_state=0)
    assert clone(clf).fit(X, y, groups=groups).temperature_ > 2 * clf.fit(X, y).temperature_
