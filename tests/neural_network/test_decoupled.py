"""DecoupledClassifier: two stages, one network."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier

from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.over_sampling import SMOTE


@pytest.fixture(scope="module")
def plain(digits):
    X, _, y, _ = digits
    return CNNClassifier(max_epochs=5, random_state=0).fit(X, y)


def test_a_frozen_network_is_used_as_it_is(plain, digits):
    X, X_test, y, _ = digits
    before = plain.predict_proba(X_test)
    clf = DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=0).fit(X, y)
    assert clf.estimator_ is plain
    np.testing.assert_array_equal(plain.predict_proba(X_test), before)
    np.testing.assert_array_equal(
        clf.predict_proba(X_test), clf.head_.predict_proba(plain.embed(X_test))
    )


def test_smote_in_the_embedding_finds_more_of_the_rare_class(plain, digits):
    X, X_test, y, y_test = digits
    clf = DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.head_.effective_prior_, 0.5)
    found, found_plain = (
        recall_score(y_test, model.predict(X_test), pos_label="eight") for model in (clf, plain)
    )
    assert found > found_plain


def test_stage_one_is_the_given_network(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(CNNClassifier(max_epochs=5, random_state=0), max_epochs=1)
    clf.fit(X, y)
    np.testing.assert_array_equal(clf.estimator_.embed(X_test), plain.embed(X_test))


def test_any_classifier_may_be_the_head(plain, digits):
    X, X_test, y, _ = digits
    head = LogisticRegression(max_iter=2000)
    clf = DecoupledClassifier(FrozenEstimator(plain), head=head, sampler=SMOTE(random_state=0))
    X_res, y_res = SMOTE(random_state=0).fit_resample(plain.embed(X), y)
    expected = LogisticRegression(max_iter=2000).fit(X_res, y_res).predict(plain.embed(X_test))
    np.testing.assert_array_equal(clf.fit(X, y).predict(X_test), expected)


def test_the_methods_of_the_head_are_those_of_the_classifier(plain, digits):
    X, X_test, y, _ = digits
    forest = DecoupledClassifier(
        FrozenEstimator(plain), head=RandomForestClassifier(5), random_state=0
    ).fit(X, y)
    assert hasattr(forest, "predict_proba")
    assert not hasattr(forest, "decision_function")
    nearest = DecoupledClassifier(
        FrozenEstimator(plain), head=KNeighborsClassifier(), sampler=SMOTE(), random_state=0
    ).fit(X, y)
    assert nearest.predict(X_test).shape == (len(X_test),)
    linear = DecoupledClassifier(FrozenEstimator(plain), random_state=0).fit(X, y)
    np.testing.assert_allclose(
        np.exp(linear.predict_log_proba(X_test)), linear.predict_proba(X_test)
    )


def test_gamma_on_a_string_offers_the_mend():
    with pytest.raises(ValueError, match=r"loss=FocalLoss\(\)"):
        DecoupledClassifier(loss="focal").set_params(loss__gamma=1)


def test_what_belongs_to_the_linear_head_is_refused_with_another(plain, digits):
    X, _, y, _ = digits
    for name, value in {"class_weight": "balanced", "lr": 1.0, "max_epochs": 2}.items():
        params: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=f"`{name}` belongs to head='linear'"):
            DecoupledClassifier(FrozenEstimator(plain), head=LogisticRegression(), **params).fit(
                X, y
            )


def test_the_prior_of_the_head(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(
        FrozenEstimator(plain), class_weight="balanced", target_prior="train", random_state=0
    ).fit(X, y)
    share = clf.predict_proba(X_test)[:, 0].mean()
    assert share == pytest.approx(np.mean(y == "eight"), abs=0.02)
    later = clf.set_params(target_prior="uniform").predict_proba(X_test)[:, 0].mean()
    assert later > share
