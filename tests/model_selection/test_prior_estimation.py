"""The class prior of unlabelled samples; its interval and test of label shift, by simulation."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skimb._bias_correction import fit_correction
from skimb.model_selection import PriorCorrectedClassifier, estimate_prior
from skimb.model_selection._label_shift_tests import (
    ScoreDistributions,
    agreement_pvalue,
    combined_pvalue,
)
from skimb.model_selection._labelled_scores import LabelledScores, random_weights
from skimb.neural_network import CNNClassifier

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
TRAIN, NEW = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose samples are its probabilities."""

    def __init__(self, classes=(0, 1)):
        self.classes_ = np.asarray(classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(X)


def draw(n, prior, rng, moved=0.0):
    """Return samples of three classes; those of the last one are moved towards the first."""
    y = rng.choice(3, p=prior, size=n)
    X = rng.standard_normal((n, 3)) + 1.5 * np.eye(3)[y]
    X[y == 2] += moved * np.array([0.7, 0.0, -0.7])
    return X, y


@pytest.fixture(scope="module")
def classifier():
    return LogisticRegression().fit(*draw(2000, TRAIN, np.random.default_rng(0)))


def test_without_labelled_samples_probabilities_are_trusted_with_a_warning():
    with pytest.warns(UserWarning, match="trusted as they are, and label shift is not tested"):
        found = estimate_prior(Given(), P, train_prior="uniform", random_state=0)
    np.testing.assert_allclose(found.prior, [0.45462912, 0.54537088], atol=5e-9)
    assert found.pvalue is None
    assert found.pvalues is None
    assert found.interval.shape == (2, 2)
    assert (found.interval[:, 0] <= found.prior).all()
    assert (found.prior <= found.interval[:, 1]).all()
    with pytest.raises(ValueError, match=r"Give `train_prior`, such as \{0: 0.5, 1: 0.5\}"):
        estimate_prior(Given(), P)


def test_a_degenerate_estimate_is_told():
    with (
        pytest.warns(UserWarning, match="trusted as they are"),
        pytest.warns(UserWarning, match=r"fraction of the classes \['no'\] is zero, at the edge"),
    ):
        found = estimate_prior(
            Given(["no", "yes"]), P, train_prior={"no": 0.9, "yes": 0.1}, n_bootstrap=0
        )
    np.testing.assert_array_equal(found.prior, [0, 1])
    np.testing.assert_array_equal(found.absent, ["no"])
    assert found.interval is None


def test_a_wrapper_and_a_network_know_the_prior_of_their_probabilities():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [60, 20])
    X = rng.rand(80, 4, 4).astype(np.float32) + y[:, None, None]
    network = CNNClassifier("linear", max_epochs=1, random_state=0).fit(X, y)
    uniform = PriorCorrectedClassifier(
        FrozenEstimator(network), target_prior="uniform", calibration=None
    ).fit(X, y)
    for clf, prior in ((network, [0.75, 0.25]), (FrozenEstimator(uniform), [0.5, 0.5])):
        with pytest.warns(UserWarning, match="trusted as they are"):
            found = estimate_prior(clf, X, n_bootstrap=0)
        np.testing.assert_allclose(found.train_prior, prior)
    piped = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.reshape(80, -1), y)
    with pytest.raises(ValueError, match="Give `train_prior`"):
        estimate_prior(piped, X.reshape(80, -1))


@pytest.mark.parametrize("calibration", [None, "temperature"])
def test_without_biases_weights_of_the_training_count(calibration):
    rng = np.random.default_rng(1)
    weighted = LogisticRegression(class_weight="balanced").fit(*draw(2000, TRAIN, rng))
    X_val, y_val = draw(2000, TRAIN, rng)
    X, _ = draw(4000, NEW, rng)
    given = {"X_val": X_val, "y_val": y_val, "calibration": calibration, "n_bootstrap": 0}
    for classifier in (weighted, FrozenEstimator(weighted)):
        found = estimate_prior(classifier, X, **given)
        np.testing.assert_allclose(found.train_prior, np.full(3, 1 / 3))
        np.testing.assert_allclose(found.prior, NEW, atol=0.06)
        assert found.pvalue is None
    # It is not known what the bagging has made of the weights.
    bagging = BaggingClassifier(weighted, 2, random_state=0).fit(X_val, y_val)
    with pytest.raises(ValueError, match="not known because of estimator__class_weight"):
        estimate_prior(bagging, X, **given)
    known = estimate_prior(bagging, X, train_prior="uniform", **given)
    np.testing.assert_allclose(known.prior, NEW, atol=0.06)
    repaired: Any = given | {"calibration": "bias_corrected"}
    estimate_prior(bagging, X, **repaired)


@pytest.mark.parametrize("method", ["em", "confusion_matrix", "soft_confusion_matrix"])
def test_a_biased_classifier_is_corrected_on_labelled_samples(classifier, method):
    rng = np.random.default_rng(1)
    X_val, y_val = draw(3000, TRAIN, rng)
    X, _ = draw(4000, NEW, rng)

    class Wrong(Given):
        def predict_log_proba(self, X):
            return log_softmax(2.5 * classifier.predict_log_proba(X) + [0.0, -1.5, -3.0], axis=1)

    given = {"X_val": X_val, "y_val": y_val, "random_state": 0, "n_bootstrap": 50}
    found = estimate_prior(Wrong([0, 1, 2]), X, method=method, **given)
    np.testing.assert_allclose(found.prior, NEW, atol=0.06)
    assert found.temperature == pytest.approx(2.5, rel=0.15)
    np.testing.assert_allclose(found.train_prior, np.bincount(y_val) / 3000)
    np.testing.assert_array_equal(found.prior, found.estimates[method])
    again = estimate_prior(Wrong([0, 1, 2]), X, method=method, **given)
    np.testing.assert_array_equal(again.interval, found.interval)
    assert again.pvalue == found.pvalue
    raw = estimate_prior(Wrong([0, 1, 2]), X, calibration=None, **given)
    assert np.abs(raw.prior - NEW).sum() > 3 * np.abs(found.estimates["em"] - NEW).sum()


def test_random_weights_keep_the_number_of_each_class_and_have_variance_one():
    group = np.array([0] * 3 + [1] * 50 + [2])
    weight = random_weights(np.random.default_rng(0), group, 4000)
    for k, n in enumerate([3, 50, 1]):
        np.testing.assert_allclose(weight[:, group == k].sum(axis=1), n)
    np.testing.assert_allclose(weight.var(axis=0)[:53], 1, atol=0.2)
    assert weight.min() > 0


@pytest.mark.parametrize("calibration", ["bias_corrected", "temperature", None])
def test_redrawn_corrections_are_those_of_a_new_fit(classifier, calibration):
    X, y = draw(800, TRAIN, np.random.default_rng(2))
    log_proba = log_softmax(2 * classifier.predict_log_proba(X) + [0.0, 1.0, -1.0], axis=1)
    labelled = LabelledScores(log_proba, y, calibration=calibration)
    weight = random_weights(np.random.default_rng(3), y, 5)
    inverse, biases = labelled.redrawn_corrections(weight)
    for i in range(5):
        if calibration is None:
            assert inverse[i] == 1
            assert not biases[i].any()
            continue
        again = fit_correction(
            log_proba, y, weight=weight[i], fits_bias=calibration == "bias_corrected"
        )
        assert inverse[i] == pytest.approx(1 / again.temperature, abs=0.01)
        np.testing.assert_allclose(biases[i] - biases[i].mean(), again.biases, atol=0.06)


def simulate(classifier, n_runs, *, moved=0.0, n_val=300, n=300):
    """Return p-values, and whether intervals cover, of repeated draws."""
    rng = np.random.default_rng(4)
    pvalues, covers = [], []
    for seed in range(n_runs):
        X_val, y_val = draw(n_val, TRAIN, rng)
        X, _ = draw(n, NEW, rng, moved)
        with warnings.catch_warnings():
            # Of classes that are estimated as absent.
            warnings.simplefilter("ignore", UserWarning)
            found = estimate_prior(
                classifier, X, X_val=X_val, y_val=y_val, n_bootstrap=100, random_state=seed
            )
        pvalues.append(found.pvalue)
        covers.append((found.interval[:, 0] <= NEW) & (found.interval[:, 1] >= NEW))
    return np.array(pvalues), np.array(covers)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_under_label_shift_intervals_cover_and_the_test_seldom_rejects(classifier):
    pvalues, covers = simulate(classifier, 100)
    assert (pvalues <= 0.05).sum() <= binom.ppf(0.99, 100, 0.05)
    # With 300 labelled samples, of which 30 are of the rarest class, some points below 95 %.
    assert (covers.mean(axis=0) >= 0.88).all()


@pytest.mark.slow
def test_if_the_images_of_a_class_change_the_test_rejects_often(classifier):
    pvalues, covers = simulate(classifier, 8, moved=1.0, n_val=1000, n=1000)
    assert (pvalues <= 0.05).mean() >= 0.7
    # The intervals know nothing of it: they miss.
    assert covers[:, 2].mean() < 0.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "bbse"}, "`method` must be one of"),
        ({"method": "confusion_matrix"}, "needs labelled samples"),
        ({"calibration": "isotonic"}, "`calibration` must be"),
        ({"confidence_level": 95}, "`confidence_level` must be a number between 0 and 1"),
        ({"n_bootstrap": -1}, "`n_bootstrap`"),
        ({"X_val": P}, "given together, but `y_val` is None"),
        ({"X_val": P, "y_val": [0] * 6}, r"no samples of the classes \[1\]"),
        ({"X_val": P, "y_val": [0, 1] * 2}, "inconsistent numbers of samples"),
        ({"X_val": P, "y_val": [0, 2] * 3}, r"does not know: \[2\]"),
        ({"train_prior": {0: 1.0}}, "`train_prior` must give a fraction for every label"),
        ({"train_prior": [0.5, 0.5]}, "None, 'uniform' or a dict by label"),
        ({"train_prior": "train"}, "None, 'uniform' or a dict by label"),
    ],
)
def test_bad_input_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        estimate_prior(Given(), P, **params)


def test_a_classifier_without_probabilities_is_refused():
    with pytest.raises(ValueError, match="needs the method `predict_proba`"):
        estimate_prior(LinearSVC().fit(P, [0, 0, 0, 1, 1, 1]), P)
    with (
        pytest.warns(UserWarning, match="trusted as they are"),
        pytest.raises(ValueError, match="no samples"),
    ):
        estimate_prior(Given(), np.empty((0, 2)), train_prior="uniform")


def test_classes_of_few_labelled_samples_are_told():
    with pytest.warns(UserWarning, match=r"classes \[1\] have fewer than three labelled samples"):
        estimate_prior(Given(), P, X_val=P, y_val=[0, 0, 0, 0, 1, 1], random_state=0)


def test_score_distributions_are_those_of_naive_loops(classifier):
    rng = np.random.default_rng(5)
    X_val, y_val = draw(60, TRAIN, rng)
    labelled = LabelledScores(
        classifier.predict_log_proba(X_val), y_val, calibration="bias_corrected"
    )
    new = labelled.corrected(classifier.predict_log_proba(draw(40, NEW, rng)[0]))
    distributions = ScoreDistributions(new, labelled)
    prior = np.array([NEW, TRAIN])
    weight = random_weights(rng, np.zeros(40, dtype=int), 2)
    own = random_weights(rng, y_val, 2)
    found = distributions.differences(prior, weight, own)
    expected = []
    for draw_number in range(2):
        row = []
        for column, thresholds in zip(range(3), distributions.thresholds, strict=True):
            for threshold in thresholds:
                value = np.mean(weight[draw_number] * (new[:, column] <= threshold))
                for k in range(3):
                    in_class = y_val == k
                    below = labelled.calibrated[in_class, column] <= threshold
                    value -= prior[draw_number, k] * np.mean(own[draw_number, in_class] * below)
                row.append(value)
        expected.append(row)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_two_tests_are_combined_by_bonferroni():
    assert combined_pvalue([0.02, 0.5]) == 0.04
    assert combined_pvalue([0.7, 0.6]) == 1
    draws = np.random.default_rng(0).standard_normal((999, 3)) * [1.0, 2.0, 0.0]
    assert agreement_pvalue(np.zeros(3), draws) == 1
    assert agreement_pvalue(np.array([0.0, 20.0, 0.0]), draws + np.array([0, 20.0, 0])) == 0.001


def test_zeros_of_trees_do_not_spoil_the_calibration():
    rng = np.random.default_rng(6)
    forest = RandomForestClassifier(10, random_state=0).fit(*draw(400, TRAIN, rng))
    X_val, y_val = draw(1000, TRAIN, rng)
    X, _ = draw(1000, NEW, rng)
    assert (forest.predict_proba(X) == 0).any()
    found = estimate_prior(forest, X, X_val=X_val, y_val=y_val, n_bootstrap=50, random_state=0)
    assert 0.5 < found.temperature < 3
    np.testing.assert_allclose(found.prior, NEW, atol=0.1)
