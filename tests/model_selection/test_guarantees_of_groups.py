"""Guarantees where groups hold samples of both classes: which population they are about."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator

from skimb.model_selection import GuaranteedPrecisionClassifier, GuaranteedRecallClassifier

#: Of the groups of ten, a tenth has nine samples of class 1 that look like class 0; the others
#: have one, which is easy to tell.
FEW, EASY = 0.1, 3.0
PRIOR = 0.9 * 0.1 + 0.1 * 0.9


class Scored(ClassifierMixin, BaseEstimator):
    """A classifier that was fitted elsewhere: X is the log-odds of class 1."""

    classes_ = np.array([0, 1])

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        odds = np.exp(np.asarray(X)[:, 0])
        return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)

    def __sklearn_is_fitted__(self):
        return True


def mixed_groups(n_groups, rng):
    is_hard = rng.rand(n_groups) < FEW
    y = (np.arange(10) < np.where(is_hard, 9, 1)[:, None]).astype(int)
    score = rng.normal(size=y.shape) + EASY * (y * ~is_hard[:, None])
    return score.reshape(-1, 1), y.ravel(), np.repeat(np.arange(n_groups), 10)


def precision_of(threshold):
    """Return the true precision for a random sample of a random group."""
    score = np.log(threshold / (1 - threshold))
    found = 0.09 * norm.sf(score - EASY) + 0.09 * norm.sf(score)
    return found / (found + 0.82 * norm.sf(score))


def precisions(n_fits, precision, *, n_groups, prior):
    """Return the true precisions of the thresholds of all fits that were not refused."""
    found = []
    for seed in range(n_fits):
        X, y, groups = mixed_groups(n_groups, np.random.RandomState(seed))
        clf = GuaranteedPrecisionClassifier(
            FrozenEstimator(Scored()), label=1, precision=precision, prior=prior, random_state=seed
        )
        try:
            clf.fit(X, y, groups=groups)
        except ValueError:
            continue
        found.append(precision_of(clf.threshold_))
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("prior", [None, PRIOR])
def test_a_precision_holds_where_groups_have_samples_of_both_classes(prior):
    found = precisions(15, 0.8, n_groups=2000, prior=prior)
    assert len(found) > 7
    assert np.sum(found < 0.8) <= 3


@pytest.mark.slow
@pytest.mark.exhaustive
def test_few_promises_of_a_precision_break_where_groups_have_samples_of_both_classes():
    found = precisions(200, 0.8, n_groups=2000, prior=PRIOR)
    assert len(found) > 150
    # 99.9 % of a binomial with a probability of 0.05.
    assert np.sum(found < 0.8) <= 22


def test_the_prior_and_the_calibration_samples_come_from_one_population():
    X, y, groups = mixed_groups(3000, np.random.RandomState(0))
    for method, n_own in ((GuaranteedPrecisionClassifier, 540), (GuaranteedRecallClassifier, 3000)):
        clf = method(FrozenEstimator(Scored()), label=1, random_state=0)
        if method is GuaranteedPrecisionClassifier:
            clf.set_params(precision=0.5)
        clf.fit(X, y, groups=groups)
        assert abs(clf.n_calibration_ - n_own) < 80
        assert abs(clf.n_others_ - 3000 * 0.82) < 80
    assert clf.n_joint_ + clf.n_others_ == 3000


def bounds_that_are_wrong(n_fits, n_groups=300):
    """Return in how many fits of a recall the bound of the precision is above the precision."""
    wrong = 0
    for seed in range(n_fits):
        X, y, groups = mixed_groups(n_groups, np.random.RandomState(seed))
        clf = GuaranteedRecallClassifier(FrozenEstimator(Scored()), label=1, recall=0.8)
        clf.set_params(random_state=seed).fit(X, y, groups=groups)
        wrong += clf.guaranteed_precision(PRIOR) > precision_of(clf.threshold_)
    return wrong


def test_the_precision_at_a_prior_holds_where_groups_have_samples_of_both_classes():
    # Two classes by themselves are too good: the bound was wrong in nearly all fits.
    assert bounds_that_are_wrong(12, n_groups=2000) <= 3


@pytest.mark.slow
@pytest.mark.exhaustive
def test_few_bounds_of_the_precision_are_wrong_where_groups_have_samples_of_both_classes():
    # 99.9 % of a binomial with a probability of 0.05.
    assert bounds_that_are_wrong(400) <= 36
