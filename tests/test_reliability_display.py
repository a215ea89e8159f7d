"""The reliability display."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skimb.inspection import ReliabilityDisplay
from skimb.metrics import classwise_calibration_error, expected_calibration_error

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def simulated(n_classes, n=600, temperature=0.5):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(n, n_classes))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    y = np.minimum((rng.random(n)[:, None] > cumulated).sum(axis=1), n_classes - 1)
    return y, softmax(logits / temperature, axis=1)


def test_points_are_means_fractions_and_exact_intervals():
    y, proba = simulated(3)
    display = ReliabilityDisplay.from_predictions(np.array(["a", "b", "c"])[y], proba, n_bins=10)
    assert list(display.curves) == ["a", "b", "c"]
    points = display.curves["b"]
    place = np.ceil(proba[:, 1] * 10).astype(int)
    for row, b in zip(points.itertuples(), np.unique(place), strict=True):
        rows = place == b
        assert row.n_samples == rows.sum()
        assert row.share == pytest.approx(rows.mean())
        assert row.probability == pytest.approx(proba[rows, 1].mean())
        happened = int((y[rows] == 1).sum())
        interval = binomtest(happened, int(rows.sum())).proportion_ci(method="exact")
        assert row.fraction == pytest.approx(happened / rows.sum())
        np.testing.assert_allclose([row.low, row.high], [interval.low, interval.high], atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 10, 100])
@pytest.mark.parametrize("kind", ["per_class", "top_label"])
def test_any_number_of_classes_is_drawn(n_classes, kind):
    y, proba = simulated(n_classes, 2000)
    labels = np.array([f"a long name of a class with many letters: {k}" for k in range(n_classes)])
    given = {"kind": kind, "labels": labels}
    display = ReliabilityDisplay.from_predictions(labels[y], proba, **given)
    display.figure_.draw_without_rendering()
    box = display.figure_.bbox
    legend = display.ax_.get_legend()
    if kind == "top_label":
        assert list(display.curves) == ["predicted class"]
        assert legend is None
        error = expected_calibration_error(y, proba, labels=range(n_classes))
    else:
        assert len(display.curves) == (1 if n_classes == 2 else n_classes)
        assert len(legend.get_texts()) == min(len(display.curves), 10)
        error = classwise_calibration_error(y, proba, labels=range(n_classes))
        # A plain savefig does not cut the legend off.
        inside = legend.get_window_extent()
        assert box.x0 <= inside.x0 < inside.x1 <= box.x1
        assert box.y0 <= inside.y0 < inside.y1 <= box.y1
    assert np.mean(list(display.errors.values())) == pytest.approx(error)
    assert f"{error:.3f}" in display.ax_.get_title()


def test_of_many_classes_those_with_the_largest_errors_are_named():
    y, proba = simulated(30, 3000)
    display = ReliabilityDisplay.from_predictions(y, proba)
    errors = classwise_calibration_error(y, proba, average=None)
    assert display.named == [str(k) for k in np.argsort(-errors, kind="stable")[:10]]
    chosen = ReliabilityDisplay.from_predictions(y, proba, classes=[3, 7])
    assert chosen.named == ["3", "7"]
    assert "2 of 30 classes" in chosen.ax_.get_legend().get_title().get_text()
    with pytest.raises(ValueError, match="`classes` must be one or some of the labels"):
        ReliabilityDisplay.from_predictions(y, proba, classes=[3, 99])


def test_few_curves_show_intervals_and_many_do_not():
    for n_classes, n_intervals in ((2, 1), (3, 3), (4, 0)):
        display = ReliabilityDisplay.from_predictions(*simulated(n_classes))
        drawn = [one for one in display.ax_.collections if isinstance(one, LineCollection)]
        assert len(drawn) == n_intervals


def test_points_that_chance_explains_are_hollow():
    y = np.repeat([0, 1], [50, 53])
    # A hundred samples of 0.9 of which half happened, and three of 0.1 of which all did.
    proba = np.repeat([0.9, 0.1], [100, 3])
    filled, hollow = ReliabilityDisplay.from_predictions(y, proba, n_bins=10).ax_.collections[-2:]
    np.testing.assert_allclose(np.asarray(filled.get_offsets()), [[0.1, 1.0], [0.9, 0.5]])
    assert len(np.asarray(hollow.get_offsets())) == 0
    y[-2:] = 0
    filled, hollow = ReliabilityDisplay.from_predictions(y, proba, n_bins=10).ax_.collections[-2:]
    np.testing.assert_allclose(np.asarray(filled.get_offsets()), [[0.9, 0.5]])
    np.testing.assert_allclose(np.asarray(hollow.get_offsets()), [[0.1, 1 / 3]])


def test_an_estimator_is_drawn_into_given_axes():
    rng = np.random.RandomState(0)
    y = np.repeat(["no", "yes"], [80, 20])
    X = rng.normal(size=(100, 2)) + (y == "yes")[:, None]
    clf = LogisticRegression().fit(X, y)
    figure, axes = plt.subplots(1, 2)
    display = ReliabilityDisplay.from_estimator(
        clf, X, y, ax=axes[1], strategy="quantile", n_bins=4
    )
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert list(display.curves) == ["yes"]
    assert display.curves["yes"].n_samples.tolist() == [25] * 4
    # A fold may lack a class.
    ReliabilityDisplay.from_estimator(clf, X[:80], y[:80])
    first = ReliabilityDisplay.from_estimator(clf, X, y, classes=["no"])
    assert list(first.curves) == ["no"]


def test_weights_make_intervals_wider():
    y, proba = simulated(2)
    weight = np.random.default_rng(1).exponential(size=len(y)) ** 2
    plain = ReliabilityDisplay.from_predictions(y, proba).curves["1"]
    weighted = ReliabilityDisplay.from_predictions(y, proba, sample_weight=weight).curves["1"]
    assert (weighted.high - weighted.low).mean() > 1.2 * (plain.high - plain.low).mean()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "all"}, r"`kind` must be 'per_class' or 'top_label'\. Got 'all'"),
        ({"strategy": "equal"}, "`strategy` must be"),
        ({"n_bins": 0}, "`n_bins` must be"),
        ({"labels": [0, 1, 2]}, "has 2 columns, but there are 3 labels"),
        ({"ax": np.array([None, None])}, r"`ax` must be one axes .* of shape \(2,\).*axes\[0\]"),
        ({"classes": "one"}, "`classes` must be one or some of"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityDisplay.from_predictions(*simulated(2, 20), **given)


def test_one_label_is_a_class_to_draw():
    y, proba = simulated(12)
    display = ReliabilityDisplay.from_predictions(y, proba, classes=3)
    assert display.named == ["3"]
    assert list(ReliabilityDisplay.from_predictions(*simulated(2), classes=0).curves) == ["0"]


def test_the_numbers_are_those_of_the_metrics_whatever_is_drawn():
    y, proba = simulated(3)
    frame = pd.DataFrame(proba).iloc[:, ::-1]
    for given in ({"n_bins": 4}, {"strategy": "quantile"}, {"classes": [1]}):
        display = ReliabilityDisplay.from_predictions(y, frame, **given)
        errors = classwise_calibration_error(y, proba, average=None)
        assert list(display.errors.values()) == errors.tolist()
        assert f"error {errors.mean():.3f}" in display.ax_.get_title()
    display = ReliabilityDisplay.from_predictions(y, frame, kind="top_label", n_bins=4)
    assert display.errors["predicted class"] == expected_calibration_error(y, proba)


def test_few_samples_give_points_of_at_least_ten_samples():
    y, proba = simulated(10, 198)
    display = ReliabilityDisplay.from_predictions(y, proba)
    for points in display.curves.values():
        assert points.n_samples.min() >= 10
        assert points.n_samples.sum() == 198
    asked = ReliabilityDisplay.from_predictions(y, proba, n_bins=10)
    assert min(points.n_samples.min() for points in asked.curves.values()) < 3
    # Fewer than ten samples are one point.
    tiny = ReliabilityDisplay.from_predictions([0, 1, 1], [0.1, 0.5, 0.9])
    assert tiny.curves["1"].n_samples.tolist() == [3]


def test_a_classifier_without_probabilities_is_refused_with_the_fix():
    X, y = np.eye(4), [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"):
        ReliabilityDisplay.from_estimator(LinearSVC().fit(X, y), X, y)
