"""Offsets of any classifier: forests and Pipelines, folds, scorers, classes of few samples."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb._label_measures import MEASURES
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.model_selection._offset_search import shrink_offsets, tune_offsets


def table(n=400, n_classes=2, seed=0):
    """Gaussian classes in a plane; the last one is rare."""
    rng = np.random.RandomState(seed)
    shares = [0.9, 0.1] if n_classes == 2 else [0.6, 0.3, 0.1]
    y = rng.choice(n_classes, p=shares, size=n)
    X = rng.standard_normal((n, 2)) + 1.3 * np.array([[0, 0], [1, 1], [2, -1]])[y]
    return X, np.array(["a", "b", "c"])[y]


# ---------------------------------------------------------------- the identity of two classes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f1", "balanced_accuracy"])
@pytest.mark.parametrize("seed", range(2))
def test_with_two_classes_the_decision_is_that_of_the_tuned_threshold(name, seed):
    X, y = table(seed=seed)
    fitted = GaussianNB().fit(*table(seed=100))
    scorer = make_scorer(f1_score, pos_label="b") if name == "f1" else name
    ours = TunedOffsetsClassifierCV(FrozenEstimator(fitted), scoring=scorer).fit(X, y)
    # The finest grid: between each two held-out samples.
    scores = np.sort(fitted.predict_proba(X)[:, 1])
    theirs = TunedThresholdClassifierCV(
        FrozenEstimator(fitted),
        scoring=scorer,
        cv="prefit",
        refit=False,
        thresholds=(scores[1:] + scores[:-1]) / 2,
    ).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    fresh = table(n=5000, seed=seed + 50)[0]
    # Between two samples of the held-out part, the two thresholds may differ.
    assert np.mean(ours.predict(fresh) != theirs.predict(fresh)) < 0.01


# ------------------------------------------------------------------------ other classifiers


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_forest_after_smote_in_a_pipeline_is_tuned(n_classes):
    X, y = table(n=500, n_classes=n_classes)
    # A few samples more of the rare class leave its recall low.
    more = {"b": 80} if n_classes == 2 else {"c": 60}
    forest = make_imbalanced_pipeline(SMOTE(sampling_strategy=more), RandomForestClassifier(20))
    clf = TunedOffsetsClassifierCV(forest, scoring="balanced_accuracy", random_state=0)
    first, second = clone(clf).fit(X, y), clone(clf).fit(X, y)
    np.testing.assert_array_equal(first.offsets_, second.offsets_)
    np.testing.assert_array_equal(first.n_held_out_, np.unique(y, return_counts=True)[1])
    assert first.offsets_.sum() == pytest.approx(0)
    assert np.isfinite(first.predict_log_proba(X)).all()
    fresh, truth = table(n=3000, n_classes=n_classes, seed=9)
    plain = balanced_accuracy_score(truth, first.estimator_.predict(fresh))
    assert balanced_accuracy_score(truth, first.predict(fresh)) > plain + (
        0.03 if n_classes == 2 else -0.01
    )


def test_five_folds_are_the_default_and_all_forms_of_cv_are_read():
    X, y = table(n_classes=3)
    clf = TunedOffsetsClassifierCV(LogisticRegression(), random_state=0)
    np.testing.assert_array_equal(
        clone(clf).fit(X, y).offsets_, clone(clf).set_params(cv=5).fit(X, y).offsets_
    )
    splitter = StratifiedKFold(3, shuffle=True, random_state=1)
    by_splitter, by_pairs = (
        clone(clf).set_params(cv=cv).fit(X, y) for cv in (splitter, list(splitter.split(X, y)))
    )
    np.testing.assert_array_equal(by_splitter.offsets_, by_pairs.offsets_)
    log_proba = cross_val_predict(
        LogisticRegression(), X, y, cv=splitter, method="predict_log_proba"
    )
    expected = tune_offsets(log_proba, y, by_splitter.classes_)
    np.testing.assert_allclose(by_splitter.offsets_, expected)
    single = clone(clf).set_params(cv=0.3).fit(X, y)
    assert 100 < single.n_held_out_.sum() < 140


def test_a_frozen_classifier_is_given_samples_that_it_was_not_trained_on():
    X, y = table(n=800, n_classes=3)
    fitted = GaussianNB().fit(X[:300], y[:300])
    clf = TunedOffsetsClassifierCV(FrozenEstimator(fitted)).fit(X[300:], y[300:])
    expected = tune_offsets(fitted.predict_log_proba(X[300:]), y[300:], fitted.classes_)
    np.testing.assert_allclose(clf.offsets_, expected)
    assert clf.n_held_out_.sum() == 500
    # A class that these samples lack keeps its offset.
    rest = y[300:] != "c"
    clf.fit(X[300:][rest], y[300:][rest])
    assert clf.offsets_[2] == 0
    assert np.isnan(clf.offsets_spread_[2])
    assert np.isfinite(clf.offsets_spread_[:2]).all()


def test_a_classifier_that_is_fitted_already_gets_the_offsets_of_a_whole_fit():
    X, y = table(n_classes=3)
    clf = TunedOffsetsClassifierCV(LogisticRegression(), random_state=0)
    fitted = LogisticRegression().fit(X, y)
    tuned = clone(clf).tune_fitted(fitted, X, y)
    assert tuned.estimator_ is fitted
    np.testing.assert_array_equal(tuned.offsets_, clf.fit(X, y).offsets_)
    for bad in ({"cv": 0.2}, {"estimator": FrozenEstimator(fitted)}):
        with pytest.raises(ValueError, match="`tune_fitted` trains classifiers on parts"):
            clone(clf).set_params(**bad).tune_fitted(fitted, X, y)


@pytest.mark.slow
def test_it_nests_in_searches_and_pipelines():
    X, y = table(n=200)
    inner = TunedOffsetsClassifierCV(LogisticRegression(), random_state=0)
    search = GridSearchCV(inner, {"estimator__C": [0.1, 1], "smoothing": [0, 1]}, cv=2).fit(X, y)
    assert search.best_estimator_.offsets_.shape == (2,)
    model = make_pipeline(StandardScaler(), inner).fit(X, y)
    assert set(model.predict(X)) == {"a", "b"}


# --------------------------------------------------------------------------------- scorers


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, pytest.param(3, marks=pytest.mark.exhaustive)])
def test_a_scorer_of_probabilities_sees_those_after_the_offsets(n_classes):
    X, y = table(n=2000, n_classes=n_classes)
    fitted = LogisticRegression(class_weight="balanced").fit(X[:1000], y[:1000])
    X, y = X[1000:], y[1000:]
    clf = TunedOffsetsClassifierCV(FrozenEstimator(fitted), scoring="neg_log_loss").fit(X, y)
    before, after = log_loss(y, fitted.predict_proba(X)), log_loss(y, clf.predict_proba(X))
    assert after < before - 0.02
    # Balanced weights have moved the prior, and the best offsets move it back.
    counts = np.unique(y, return_counts=True)[1]
    expected = np.log(counts) - np.log(counts).mean()
    np.testing.assert_allclose(clf.offsets_, expected, atol=0.35)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_ranks_of_more_than_two_classes_depend_on_offsets():
    X, y = table(n=120, n_classes=3)
    clf = TunedOffsetsClassifierCV(GaussianNB(), scoring="roc_auc_ovr", cv=2, random_state=0)
    assert clf.fit(X, y).offsets_.shape == (3,)


@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "average_precision"])
def test_ranks_of_two_classes_do_not_depend_on_offsets(scoring):
    X, y = table(n=120)
    clf = TunedOffsetsClassifierCV(GaussianNB(), scoring=scoring, cv=2, random_state=0)
    with pytest.raises(ValueError, match="No offset changes the value of `scoring`"):
        clf.fit(X, (y == "b").astype(int))


# ------------------------------------------------------------------- classes of few samples


def drawn(n_rare, rng, *, is_balanced, n=600, fresh=False, prior=None):
    """Log-probabilities of a classifier whose prior is that of the samples, or uniform."""
    counts = np.array([n - n_rare, n_rare])
    prior = counts / n
    y = rng.choice(2, p=prior, size=20_000) if fresh else np.repeat([0, 1], counts)
    bias = np.zeros(2) if is_balanced else np.log(prior)
    return log_softmax(bias + 1.2 * rng.randn(len(y), 2) + 2 * np.eye(2)[y], axis=1), y


def fresh_scores(n_rare, *, is_balanced, n_repeats=40):
    """Balanced accuracy on new samples: as they are, tuned, tuned and shrunk."""
    rng = np.random.RandomState(n_rare)
    found = []
    for _ in range(n_repeats):
        log_proba, y = drawn(n_rare, rng, is_balanced=is_balanced)
        new, truth = drawn(n_rare, rng, is_balanced=is_balanced, fresh=True)
        tuned = tune_offsets(log_proba, y, np.arange(2), "balanced_accuracy")
        row = []
        for offsets in (np.zeros(2), tuned, shrink_offsets(tuned, log_proba, y)):
            predicted = (new + offsets).argmax(axis=1)
            hits = np.bincount(truth[predicted == truth], minlength=2)
            counts = np.bincount(predicted, minlength=2), np.bincount(truth, minlength=2)
            row.append(MEASURES["balanced_accuracy"](hits[None], counts[0][None], counts[1])[0])
        found.append(row)
    return np.mean(found, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("n_rare", [1, 2, 4, 8])
def test_shrinking_helps_where_few_samples_would_lead_astray_and_costs_little_elsewhere(n_rare):
    """A classifier of a uniform prior is at its best without offsets, which few samples hide."""
    plain, tuned, shrunk = fresh_scores(n_rare, is_balanced=True)
    lost = plain - tuned
    assert lost > 0.01
    assert plain - shrunk < 0.75 * lost
    # Where offsets are needed, the greater part of their gain stays.
    plain, tuned, shrunk = fresh_scores(n_rare, is_balanced=False)
    assert shrunk - plain > 0.6 * (tuned - plain) > 0.1


def test_the_rule_of_shrinking_is_the_documented_one():
    rng = np.random.RandomState(0)
    target = np.repeat([0, 1, 2, 3], [30, 12, 5, 0])
    log_proba = log_softmax(rng.randn(47, 4), axis=1)
    offsets = np.array([-1.0, 0.2, 1.3, -0.5])
    shifted = log_proba + offsets
    margins = [np.delete(row, k).max() - row[k] for row, k in zip(shifted, target, strict=True)]
    within = np.concatenate(
        [np.array(margins)[target == k] - np.mean(np.array(margins)[target == k]) for k in range(3)]
    )
    variance = (within**2).sum() / (47 - 3)
    weight = np.array([1, 1, 1.3**2 / (1.3**2 + variance / 5), 0])
    expected = weight * (offsets - (weight * offsets).sum() / weight.sum())
    found = shrink_offsets(offsets, log_proba, target)
    np.testing.assert_allclose(found, expected)
    assert found.sum() == pytest.approx(0)
    assert found[3] == 0
    many = np.repeat([0, 1, 2, 3], [14, 12, 11, 10])
    np.testing.assert_array_equal(shrink_offsets(offsets, log_proba, many), offsets)


def test_a_class_of_a_single_sample_stays_neutral_in_folds():
    X, y = table(n_classes=3)
    y = np.where(np.arange(len(y)) == 5, "z", y)
    clf = TunedOffsetsClassifierCV(GaussianNB(), cv=3, random_state=0).fit(X, y)
    assert clf.n_held_out_[3] == 0
    assert clf.offsets_[3] == 0
    assert np.isnan(clf.offsets_spread_[3])


# ------------------------------------------------------------------------------- the spread


def test_the_spread_is_the_jackknife_over_folds():
    X, y = table(n_classes=3)
    clf = TunedOffsetsClassifierCV(GaussianNB(), cv=list(StratifiedKFold(4).split(X, y))).fit(X, y)
    log_proba = cross_val_predict(GaussianNB(), X, y, cv=4, method="predict_log_proba")
    left = np.array(
        [
            tune_offsets(log_proba[train], y[train], clf.classes_)
            for train, _ in StratifiedKFold(4).split(X, y)
        ]
    )
    expected = np.sqrt(3 / 4 * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(clf.offsets_spread_, expected)


@pytest.mark.slow
def test_the_spread_is_near_the_one_over_new_samples():
    found, spread = [], []
    for seed in range(30):
        X, y = table(n=600, n_classes=3, seed=seed)
        clf = TunedOffsetsClassifierCV(
            GaussianNB(), scoring="balanced_accuracy", random_state=0
        ).fit(X, y)
        found.append(clf.offsets_)
        spread.append(clf.offsets_spread_)
    ratio = np.median(spread, axis=0) / np.std(found, axis=0)
    assert (ratio > 0.4).all()
    assert (ratio < 2.5).all()
