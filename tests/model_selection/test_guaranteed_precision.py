"""A precision that is guaranteed: exact tests, refusals, the prior, simulation."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom, norm
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skimb.model_selection import GuaranteedPrecisionClassifier
from skimb.model_selection._guarantees import lower_bound
from skimb.model_selection._precision_thresholds import (
    allowed_alarms,
    best_precision,
    candidate_ranks,
)


def table(n_ill=400, n_well=4000, seed=0, shift=3.0):
    rng = np.random.RandomState(seed)
    y = np.repeat(["ill", "well"], [n_ill, n_well])
    X = rng.normal(size=(len(y), 1)) + shift * (y == "ill")[:, None]
    order = rng.permutation(len(y))
    return X[order], y[order]


# ------------------------------------------------------------------------ exact tests


@pytest.mark.parametrize("size", [(20, 300), (60, 60), (7, 2000)])
@pytest.mark.parametrize(("precision", "prior"), [(0.5, 0.3), (0.9, 0.5), (0.2, 0.05)])
def test_the_allowed_false_alarms_are_those_of_the_integral(size, precision, prior):
    n_own, n_others = size
    ratio = prior / (1 - prior) * (1 - precision) / precision
    ranks = candidate_ranks(n_own)

    def pvalue(rank, n_alarms):
        def integrand(recall):
            rate = ratio * recall
            if rate >= 1:
                return 0.0
            return binom.cdf(n_alarms, n_others, rate) * beta.pdf(recall, rank, n_own + 1 - rank)

        return quad(integrand, 0, min(1, 1 / ratio), limit=200)[0]

    found = allowed_alarms(n_own, n_others, precision=precision, prior=prior, errors=0.1)
    for rank, most in list(zip(ranks, found, strict=True))[::3]:
        level = 0.1 / len(ranks)
        if most >= 0:
            assert pvalue(rank, most) <= level + 1e-6
        if most < n_others:
            # The sum is an upper bound, by at most a few percent.
            assert pvalue(rank, most + 1) > 0.9 * level
    assert (np.diff(found) >= 0).all()


def test_a_precision_below_that_of_predicting_the_class_always_is_free():
    assert allowed_alarms(10, 50, precision=0.3, prior=0.5, errors=0.05)[-1] == 50
    assert allowed_alarms(10, 50, precision=0.6, prior=0.5, errors=0.05)[-1] < 50
    assert (allowed_alarms(10, 0, precision=0.6, prior=0.5, errors=0.05) == -1).all()
    assert not len(allowed_alarms(0, 50, precision=0.6, prior=0.5, errors=0.05))


# ------------------------------------------------------------------------ simulation


def violations(own, others, recall_of, rate_of, *, precision, prior, errors):
    """Return in how many calibration sets the precision is too low, and in how many none passes."""
    ranks = candidate_ranks(own.shape[1])
    thresholds = np.sort(own, axis=1)[:, -ranks]
    alarms = np.array(
        [[(o >= t).sum() for t in row] for o, row in zip(others, thresholds, strict=True)]
    )
    allowed = allowed_alarms(
        own.shape[1], others.shape[1], precision=precision, prior=prior, errors=errors
    )
    passes = alarms <= allowed
    is_any = passes.any(axis=1)
    last = passes.shape[1] - 1 - passes[:, ::-1].argmax(axis=1)
    chosen = thresholds[np.arange(len(own)), last]
    recall, rate = recall_of(chosen) * prior, rate_of(chosen) * (1 - prior)
    return (is_any & (recall / (recall + rate) < precision)).sum(), (~is_any).sum()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["normal", "equal scores", "useless", "not monotone"])
def test_precisions_are_violated_at_most_as_often_as_promised(case):
    rng = np.random.RandomState(0)
    n_sets, errors, precision, prior = 2000, 0.1, 0.6, 0.3
    shape, other_shape = (n_sets, 40), (n_sets, 120)
    if case == "normal":
        own, others = 2 + rng.normal(size=shape), rng.normal(size=other_shape)
        functions = (lambda t: norm.sf(t - 2)), norm.sf
    elif case == "equal scores":
        values = np.arange(4)
        of_own, of_others = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.29, 0.205, 0.005])
        own = rng.choice(values, p=of_own, size=shape)
        others = rng.choice(values, p=of_others, size=other_shape)
        functions = tuple((lambda t, p=p: (values >= t[:, None]) @ p) for p in (of_own, of_others))
    elif case == "useless":
        # At every threshold the precision is just too low.
        ratio = prior / (1 - prior) * (1 - precision) / precision * 1.001
        own = rng.rand(*shape)
        others = np.where(rng.rand(*other_shape) < ratio, rng.rand(*other_shape), -1)
        functions = (lambda t: 1 - t), (lambda t: ratio * (1 - t))
    else:
        # The highest scores are those of other classes.
        own = rng.normal(size=shape)
        others = np.where(rng.rand(*other_shape) < 0.1, rng.normal(1.5, 0.3, other_shape), -3)
        functions = norm.sf, (lambda t: 0.1 * norm.sf((t - 1.5) / 0.3))
    n_low, n_none = violations(
        own, others, *functions, precision=precision, prior=prior, errors=errors
    )
    assert n_low <= binom.ppf(0.975, n_sets, errors)
    assert (n_none > 0.8 * n_sets) == (case == "useless")
    # The test is not idle: where all is false, some sets pass.
    assert n_low > 0 or case != "useless"


@pytest.mark.slow
def test_the_classifier_keeps_its_promise_on_new_samples_with_an_estimated_prior():
    X, y = table(500, 500, seed=1, shift=2.5)
    fitted = FrozenEstimator(LogisticRegression().fit(X, y))
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    rng = np.random.RandomState(2)
    n_low, n_none, n_low_recall, n_sets = 0, 0, 0, 80
    for _ in range(n_sets):
        labels = np.where(rng.rand(600) < 0.15, "ill", "well")
        samples = rng.normal(size=(600, 1)) + 2.5 * (labels == "ill")[:, None]
        clf = GuaranteedPrecisionClassifier(
            fitted, label="ill", precision=0.7, confidence_level=0.9
        )
        try:
            clf.fit(samples, labels)
        except ValueError:
            n_none += 1
            continue
        # The probability of the first class falls with x on the scale of the second one.
        log_odds = np.log(clf.threshold_ / (1 - clf.threshold_))
        cut = (-log_odds - intercept) / slope
        recall, rate = norm.sf(cut - 2.5), norm.sf(cut)
        n_low += 0.15 * recall / (0.15 * recall + 0.85 * rate) < 0.7
        n_low_recall += recall < clf.guaranteed_recall_
    assert n_low <= binom.ppf(0.975, n_sets, 0.1)
    assert n_low_recall <= binom.ppf(0.975, n_sets, 0.1)
    assert n_none < 0.5 * n_sets


# ------------------------------------------------------------------------ the classifier


def test_the_lowest_threshold_that_passes_is_chosen():
    X, y = table()
    fitted = LogisticRegression().fit(X, y)
    X, y = table(seed=1)
    clf = GuaranteedPrecisionClassifier(
        FrozenEstimator(fitted), label="ill", precision=0.8, prior=0.1
    ).fit(X, y)
    own = np.sort(fitted.predict_proba(X[y == "ill"])[:, 0])[::-1]
    others = fitted.predict_proba(X[y == "well"])[:, 0]
    allowed = allowed_alarms(400, 4000, precision=0.8, prior=0.1, errors=1 - 0.95)
    ranks = candidate_ranks(400)
    passing = [
        rank
        for rank, most in zip(ranks, allowed, strict=True)
        if (others >= own[rank - 1]).sum() <= most
    ]
    assert clf.threshold_ == pytest.approx(own[passing[-1] - 1], rel=1e-5)
    assert clf.recall_ == passing[-1] / 400
    found = clf.predict(X) == "ill"
    assert found[y == "well"].sum() == clf.n_false_alarms_
    assert clf.false_alarm_rate_ == clf.n_false_alarms_ / 4000
    assert 0.5 < clf.guaranteed_recall_ < clf.recall_
    assert (clf.n_calibration_, clf.n_others_, clf.prior_) == (400, 4000, 0.1)
    assert clf.is_exact_


def test_another_prior_changes_the_precision_as_the_quotient_says():
    X, y = table()
    clf = GuaranteedPrecisionClassifier(
        LogisticRegression(), precision=0.8, prior=0.1, random_state=0
    ).fit(X, y)
    assert clf.label_ == "ill"
    assert clf.guaranteed_precision(0.1) == pytest.approx(0.8)
    # A quotient of 1 / 36: at equal fractions, 36 of 37 are right.
    assert clf.guaranteed_precision(0.5) == pytest.approx(36 / 37)
    with pytest.raises(ValueError, match="`prior` must be the fraction"):
        clf.guaranteed_precision(0)


def test_an_estimated_prior_is_a_lower_bound_and_costs_recall():
    X, y = table()
    clf = GuaranteedPrecisionClassifier(LogisticRegression(), precision=0.8, random_state=0)
    estimated = clone(clf).fit(X, y)
    known = clone(clf).set_params(prior=400 / 4400).fit(X, y)
    assert estimated.prior_ == pytest.approx(float(lower_bound(400, 4400, 1 - 0.05 / 4)))
    assert estimated.prior_ < known.prior_
    assert estimated.threshold_ >= known.threshold_
    # In pairs of one group, the prior is that of half as many samples.
    order = np.argsort(y, kind="stable")
    pairs = clone(clf).set_params(precision=0.7)
    pairs.fit(X[order], y[order], groups=np.arange(4400) // 2)
    assert pairs.prior_ == pytest.approx(float(lower_bound(200, 2200, 1 - 0.05 / 4)))
    assert (pairs.n_calibration_, pairs.n_others_) == (60, 600)


class NeverFitted(LogisticRegression):
    """A classifier that shows that nothing was fitted."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("fit was called")


def test_too_few_samples_are_refused_before_anything_is_fitted():
    X, y = table(40, 100)
    clf = GuaranteedPrecisionClassifier(NeverFitted(), label="ill", prior=0.1)
    message = (
        r"too few calibration samples for a precision of 0\.9 for class 'ill', at a prior of 0\.1 "
        r"and with a confidence of 0\.95: 12 of the class, and 30 of the other classes \(a "
        r"fraction of 0\.3 .*promise a precision of at most 0\.[0-9]{3}\."
    )
    with pytest.raises(ValueError, match=message) as caught:
        clf.fit(X, y)
    best = float(str(caught.value).split("at most ")[1][:5])
    assert (allowed_alarms(12, 30, precision=best, prior=0.1, errors=0.05) >= 0).any()
    assert (allowed_alarms(12, 30, precision=best + 0.001, prior=0.1, errors=0.05) < 0).all()
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    for part in ("ill", "well"):
        one = clone(clf).set_params(estimator=frozen)
        with pytest.raises(ValueError, match="too few calibration samples"):
            one.fit(X[y == part], y[y == part])
        assert not hasattr(one, "classes_")


@pytest.mark.slow
def test_where_no_threshold_qualifies_the_best_promise_is_named():
    X, y = table(shift=1.0)
    clf = GuaranteedPrecisionClassifier(LogisticRegression(), precision=0.8, random_state=0)
    with pytest.raises(ValueError, match=r"No threshold .* promise is a precision of") as caught:
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")
    best = float(str(caught.value).split("a precision of ")[-1][:5])
    assert 0.05 < best < 0.8
    assert clone(clf).set_params(precision=best).fit(X, y).threshold_ > 0
    with pytest.raises(ValueError, match="No threshold"):
        clone(clf).set_params(precision=best + 0.001).fit(X, y)


def test_the_best_precision_falls_with_the_false_alarms():
    values = [
        best_precision(np.full(10, n), 100, 1000, prior=0.1, errors=0.05) for n in (0, 5, 50, 1000)
    ]
    assert values == sorted(values, reverse=True)
    assert 0.9 < values[0] < 1
    # All are called the class: the precision is the prior.
    assert values[-1] == pytest.approx(0.1, abs=0.011)


def test_folds_give_an_approximate_guarantee_and_say_so():
    X, y = table()
    clf = GuaranteedPrecisionClassifier(LogisticRegression(), precision=0.8, cv=3, random_state=0)
    with pytest.warns(UserWarning, match="guarantee is approximate"):
        clf.fit(X, y)
    assert clf.is_exact_ is False
    assert clf.n_calibration_ == 400


@pytest.mark.parametrize("params", [{"precision": 1}, {"prior": 0}, {"prior": "train"}], ids=str)
def test_wrong_parameters_are_refused(params):
    clf = GuaranteedPrecisionClassifier(NeverFitted()).set_params(**params)
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        clf.fit(*table())
    with pytest.raises(ValueError, match="`label` must be one of the classes"):
        GuaranteedPrecisionClassifier(NeverFitted(), label=3).fit(*table())


@pytest.mark.slow
def test_other_classes_compete_below_the_threshold_and_a_search_goes_over_it():
    X, y = table()
    y = np.where((y == "well") & (X[:, 0] < 0), "young", y)
    forest = RandomForestClassifier(20, max_depth=4, random_state=0)
    clf = GuaranteedPrecisionClassifier(
        forest, label="ill", precision=0.6, prior=0.1, random_state=0
    )
    search = GridSearchCV(clf, {"precision": [0.5, 0.6]}, cv=2).fit(X, y)
    best = search.best_estimator_
    predicted = best.predict(X)
    proba = best.predict_proba(X)
    np.testing.assert_array_equal(predicted == "ill", proba[:, 0] >= best.threshold_)
    rest = predicted != "ill"
    np.testing.assert_array_equal(
        predicted[rest], best.classes_[1 + proba[rest, 1:].argmax(axis=1)]
    )
