"""Learning curves of one class: bounded power laws, rankings, and networks on nested subsets."""

import json
import warnings
from argparse import Namespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score, precision_recall_curve

from skimb._command_line._compare import learning_curve_of
from skimb._command_line._inputs import Inputs
from skimb.neural_network import CNNClassifier
from skimb.study import MoreImages, check_more_images, compare, more_images
from skimb.study._power_curve import EXPONENTS, draw_curves, fit_curves
from skimb.study._ranking_scores import ranking_scores, resampled_scores

SIZES = np.array([10.0, 20, 40, 80])


def toy(n=160, n_minority=40, seed=0):
    rng = np.random.RandomState(seed)
    y = np.repeat([0, 1], [n - n_minority, n_minority])
    X = rng.rand(n, 6, 6).astype(np.float32)
    X[y == 1, 2:4, 2:4] += 0.5
    return X, y


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return more_images(*args, **options)


# ------------------------------------------------------------------------------ power laws


def bounded_fit(sizes, scores, weight, exponent):
    """Return the least weighted sum of squares, by a solver of scipy."""
    powers = (sizes / sizes.max()) ** -exponent
    root = np.sqrt(weight)
    design = root[:, np.newaxis] * np.column_stack([np.ones(len(sizes)), -powers])
    found = lsq_linear(design, root * scores, bounds=([0, 0], [1, np.inf]), tol=1e-12)
    return 2 * found.cost


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, len(EXPONENTS) - 1))
def test_the_closed_form_is_the_bounded_least_squares_fit(scores, place):
    variance = np.array([0.04, 0.03, 0.02, 0.01])
    limit, factor, deviance = fit_curves(SIZES, np.array([scores]), variance)
    assert 0 <= limit[0, place] <= 1
    assert factor[0, place] >= 0
    expected = bounded_fit(SIZES, np.array(scores), 1 / variance, EXPONENTS[place])
    assert deviance[0, place] == pytest.approx(expected, abs=1e-4)


def test_a_curve_that_goes_on_is_in_the_band_and_few_points_leave_the_band_wide():
    grid = np.array([80.0, 160, 320])
    truth = 0.9 - 0.2 * (grid / 80) ** -0.7
    scores = 0.9 - 0.2 * (SIZES / 80) ** -0.7
    rng = np.random.RandomState(0)
    drawn = scores + 0.01 * rng.randn(400, 4)
    mean, curves = draw_curves(SIZES, scores, drawn, grid, rng)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    assert np.all((low <= truth) & (truth <= high))
    assert np.all(np.diff(high - low) > 0)
    assert mean == pytest.approx(truth, abs=0.03)
    few = draw_curves(SIZES[2:], scores[2:], drawn[:, 2:], grid, rng)[1]
    assert np.ptp(np.quantile(few, [0.025, 0.975], axis=0)[:, 2]) > high[2] - low[2]


def test_a_score_that_falls_with_more_images_becomes_a_flat_curve():
    limit, factor, _ = fit_curves(SIZES, np.array([[0.9, 0.8, 0.7, 0.6]]), np.ones(4))
    assert factor.max() == 0
    assert limit == pytest.approx(0.75)


# ------------------------------------------------------------------------------ rankings


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_ranking_scores_are_those_of_scikit_learn_with_sample_weights(seed):
    rng = np.random.RandomState(seed)
    ranked, truth = rng.randint(6, size=30).astype(float), rng.rand(30) < 0.4
    truth[:1] = True
    weights = rng.randint(4, size=(3, 30)).astype(float)
    weights[:, 0] = 1
    found = ranking_scores(ranked, truth, weights, "average_precision")
    best = ranking_scores(ranked, truth, weights, "best_f1")
    for one, score, f1 in zip(weights, found, best, strict=True):
        assert score == pytest.approx(average_precision_score(truth, ranked, sample_weight=one))
        precision, recall, _ = precision_recall_curve(truth, ranked, sample_weight=one)
        with np.errstate(invalid="ignore"):
            expected = np.nanmax(2 * precision * recall / (precision + recall))
        assert f1 == pytest.approx(expected)


def test_a_draw_has_whole_groups_and_always_some_of_the_class():
    truth = np.array([True, True, False, False, False, False])
    groups = np.array([0, 0, 1, 1, 2, 2])
    ranked = [np.arange(6.0)[::-1].reshape(1, 1, 6)]
    scores, draws = resampled_scores(
        ranked,
        [truth],
        [groups],
        measure="average_precision",
        n_draws=50,
        rng=np.random.RandomState(0),
    )
    assert scores.ravel().tolist() == [1.0]
    assert draws.ravel().tolist() == [1.0] * 50


# ------------------------------------------------------------------------------ the curve


@pytest.mark.slow
@pytest.mark.parametrize("features", ["retrained", "fixed"])
def test_results_are_equal_for_any_number_of_processes_and_name_the_class(features):
    X, y = toy()
    labels = np.array(["common", "rare"])[y]
    options = {
        "estimator": CNNClassifier(max_epochs=1),
        "features": features,
        "cv": 2,
        "random_state": 0,
    }
    first, second = (quietly(X, labels, n_jobs=n_jobs, **options) for n_jobs in (1, 2))
    assert first.label == "rare"
    assert first.sizes.tolist() == [4, 5, 10, 14, 20]
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.draws, second.draws)
    told = json.loads(json.dumps(first.to_dict()))
    assert told["class"] == "rare"
    assert [each["n_images"] for each in told["forecasts"]] == [40, 80, 160]
    assert "twice as many images of 'rare' (80 instead of 40)" in str(first)


@pytest.mark.slow
def test_a_network_that_needs_images_gains_by_them_and_says_so():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [300, 80])
    X = rng.rand(380, 4, 4).astype(np.float32)
    # Each sample of the class shows one of four faint signs: few images hold too few of each.
    signs = rng.randint(4, size=380)
    X[y == 1, signs[y == 1], signs[y == 1]] += 0.6
    result = quietly(
        X,
        y,
        label=1,
        estimator=CNNClassifier(max_epochs=12, augmentation=None),
        cv=2,
        random_state=0,
    )
    told = result.forecast(2)
    assert result.scores.mean(axis=0)[-1] > result.scores.mean(axis=0)[0]
    assert told["gain"] > 0
    assert result.forecast(1)["gain"] == 0


def made(low, high, remarks=()):
    """A curve of which the gain by twice as many images is from `low` to `high`."""
    grid = np.array([10.0, 20, 40])
    gains = np.linspace(low, high, 1001)
    draws = np.column_stack([np.full(1001, 0.5), np.full(1001, 0.6), 0.6 + gains])
    ends = draws.mean(axis=0), draws.min(axis=0), draws.max(axis=0)
    return MoreImages(
        "cat", "average_precision", 20, grid[:2], draws[:1, :2], grid, *ends, draws, remarks
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.001, 0.0205, "More of them would add at most 0.020 (95 % band: +0.001 to +0.020)."),
        (0.0, 0.005, "would hardly help: the gain is at most 0.005"),
        (0.02, 0.1, "would help: the gain is +0.022 to +0.098"),
        (0.0, 0.1, "cannot tell whether more of them would help"),
    ],
)
def test_a_narrow_band_of_small_gains_is_a_bound_and_not_ignorance(low, high, words):
    assert words in str(made(low, high, ("A remark.",)))
    assert str(made(low, high, ("A remark.",))).endswith(" A remark.")


def test_all_subsets_are_trained_with_the_same_steps_and_each_training_is_told(monkeypatch, capsys):
    lengths = []
    fit = CNNClassifier.fit

    def noted(self, X, y):
        fit(self, X, y)
        lengths.append((len(y), sum(row["train_batch_count"] for row in self.net_.history)))
        return self

    monkeypatch.setattr(CNNClassifier, "fit", noted)
    X, y = toy()
    result = more_images(
        X, y, estimator=CNNClassifier(max_epochs=1), cv=2, random_state=0, verbose=1
    )
    assert len({n_samples for n_samples, _ in lengths}) == 5
    assert {n_steps for _, n_steps in lengths} == {5}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "learning curve: fold 1 of 2, network 1 of 5, with 4 images of 1"
    assert result.remarks == tuple(result.to_dict()["remarks"])


def test_short_trainings_become_one_remark_and_no_warnings(monkeypatch):
    fit = CNNClassifier.fit

    def short(self, X, y):
        warnings.warn("the loss still fell", ConvergenceWarning, stacklevel=2)
        return fit(self, X, y)

    monkeypatch.setattr(CNNClassifier, "fit", short)
    X, y = toy()
    result = more_images(
        X, y, estimator=CNNClassifier(max_epochs=1), features="fixed", cv=2, random_state=0
    )
    assert result.remarks[0].startswith("In 2 of the 2 trainings of this curve, the loss still")


@pytest.mark.slow
def test_groups_join_a_subset_together():
    X, y = toy()
    groups = np.arange(len(y)) // 2
    result = quietly(
        X,
        y,
        groups=groups,
        estimator=CNNClassifier(max_epochs=1),
        features="fixed",
        cv=2,
        random_state=0,
    )
    assert np.isfinite(result.scores).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": 7}, "`label` must be one of"),
        ({"cv": 1}, "at least 2"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(options, words):
    X, y = toy()
    with pytest.raises(ValueError, match=words):
        check_more_images(X, y, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"measure": "accuracy"}, "`measure` must be one of"),
        ({"features": "given"}, "`features` must be one of"),
        ({"n_orders": 0}, "positive integer"),
    ],
)
def test_unknown_options_are_refused(options, words):
    X, y = toy()
    with pytest.raises(ValueError, match=words):
        more_images(X, y, **options)


def test_a_class_with_too_few_images_is_refused():
    X, y = toy(n_minority=12)
    with pytest.raises(ValueError, match="Give more images, or more folds"):
        check_more_images(X, y, cv=2)


@pytest.mark.slow
def test_a_comparison_shows_a_learning_curve_that_it_was_given():
    X, y = toy()
    quick = CNNClassifier(max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = compare(X, y, strategies=["constant"], estimator=quick, cv=2, random_state=0)
    assert "more_images" not in result.to_dict()
    result.more_images = quietly(X, y, estimator=quick, features="fixed", cv=2, random_state=0)
    assert str(result).endswith(str(result.more_images))
    assert result.to_dict()["more_images"]["n_images"] == 40


@pytest.mark.parametrize(("folds", "expected"), [(2, 2), (None, 5)])
def test_the_learning_curve_of_a_comparison_has_its_folds(folds, expected):
    X, y = toy(n_minority=60)
    data = Inputs(X, y)
    arguments = Namespace(more_images="1", folds=folds)
    assert learning_curve_of(arguments, data, CNNClassifier())["cv"] == expected
