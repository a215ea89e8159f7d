"""Decision curves: their numbers, their references, and figures in which nothing is cut off."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skimb.inspection import DecisionCurveDisplay
from skimb.metrics import net_benefit

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def some(n_classes, n=600, seed=0, name="class {:03d}"):
    """Return labels, their class probabilities and the classes, all of which occur."""
    rng = np.random.RandomState(seed)
    prior = np.geomspace(1, 0.1, n_classes)
    y = rng.choice(n_classes, n, p=prior / prior.sum())
    y[:n_classes] = np.arange(n_classes)
    proba = softmax(rng.randn(n, n_classes) + 2 * np.eye(n_classes)[y] + np.log(prior), axis=1)
    classes = np.array([name.format(k) for k in range(n_classes)])
    return classes[y], proba, classes


@pytest.mark.parametrize(
    "prior", [None, "uniform", {"class 000": 2, "class 001": 1, "class 002": 1}]
)
def test_curves_are_net_benefits_of_each_class_against_the_rest(prior):
    y, proba, classes = some(3)
    thresholds = [0.3, 0.05, 0.6]
    display = DecisionCurveDisplay.from_predictions(y, proba, prior=prior, thresholds=thresholds)
    assert display.classes == classes.tolist()
    weight = None
    if prior is not None:
        asked = dict.fromkeys(classes, 1) if prior == "uniform" else prior
        weight = [asked[label] / np.mean(y == label) for label in y]
    for k, label in enumerate(classes):
        # Importance weights make samples of the prior out of those at hand.
        given = {"label": label, "sample_weight": weight}
        wanted = net_benefit(y, proba[:, k], sorted(thresholds), **given)
        np.testing.assert_allclose(display.net_benefit["model"][k], wanted["net_benefit"])
        np.testing.assert_allclose(display.treat_all[k], wanted["treat_all"])
        model, everything, nothing = display.axes_[k].lines
        np.testing.assert_array_equal(model.get_xdata(), sorted(thresholds))
        np.testing.assert_allclose(model.get_ydata(), wanted["net_benefit"])
        np.testing.assert_allclose(everything.get_ydata(), wanted["treat_all"])
        assert not np.any(nothing.get_ydata())
    assert display.ax_ is display.axes_[0]
    assert display.figure_ is display.ax_.figure


def test_of_two_classes_the_minority_is_drawn():
    y, proba, classes = some(2)
    both = DecisionCurveDisplay.from_predictions(y, proba)
    assert both.classes == [classes[1]]
    column = DecisionCurveDisplay.from_predictions(y, proba[:, 1])
    np.testing.assert_allclose(column.net_benefit["model"], both.net_benefit["model"])
    first = DecisionCurveDisplay.from_predictions(y, proba[:, 1], classes=classes[0])
    wanted = net_benefit(y, proba[:, 0], first.thresholds, label=classes[0])
    np.testing.assert_allclose(first.net_benefit["model"][0], wanted["net_benefit"], atol=1e-12)


def test_the_upper_axis_shows_the_ratio_of_costs():
    y, proba, _ = some(2)
    for scale in ("logit", "linear"):
        display = DecisionCurveDisplay.from_predictions(y, proba, scale=scale)
        (above,) = [one for one in display.figure_.axes if one is not display.ax_]
        assert above.get_xlim() == display.ax_.get_xlim()
        assert above.get_xscale() == display.ax_.get_xscale() == scale
        texts = [text.get_text() for text in above.get_xticklabels()]
        assert {"1:1", "1:10", "9:1"} <= set(texts)
        for t, text in zip(above.get_xticks(), texts, strict=True):
            alarm, miss = map(int, text.split(":"))
            assert t / (1 - t) == pytest.approx(alarm / miss)


def test_several_models_share_the_axes():
    y, proba, _ = some(2)
    models = {"a": proba, "b": proba**2 / (proba**2).sum(axis=1, keepdims=True)}
    display = DecisionCurveDisplay.from_predictions(y, models)
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend == ["a", "b", "treat all", "treat none"]
    # One call for each does the same, and draws the references once.
    ax: Any = plt.subplots()[1]
    for name, one in models.items():
        again = DecisionCurveDisplay.from_predictions(y, {name: one}, ax=ax)
    assert again.ax_ is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == legend
    assert len(ax.figure.axes) == 2
    drawn = {line.get_label(): line for line in display.ax_.lines}
    for line in ax.lines:
        np.testing.assert_array_equal(line.get_ydata(), drawn[line.get_label()].get_ydata())


def test_classifiers_may_know_different_classes():
    rng = np.random.RandomState(0)
    y = np.repeat(["a", "b", "c"], [100, 40, 20])
    X = rng.randn(160, 2) + (y[:, None] != "a")
    models = {
        "all": LogisticRegression().fit(X, y),
        "two": RandomForestClassifier(5, random_state=0).fit(X[y != "c"], y[y != "c"]),
    }
    display = DecisionCurveDisplay.from_estimator(models, X, y, thresholds=[0.2, 0.5])
    p = models["all"].predict_proba(X)[:, 2]
    wanted = net_benefit(y, p, [0.2, 0.5], label="c")["net_benefit"]
    np.testing.assert_allclose(display.net_benefit["all"][2], wanted)
    # A class that is never acted on has no net benefit.
    np.testing.assert_array_equal(display.net_benefit["two"][2], 0)
    one = DecisionCurveDisplay.from_estimator(models["all"], X, y, classes=["c"])
    assert list(one.net_benefit) == ["LogisticRegression"]
    with pytest.raises(NotFittedError):
        DecisionCurveDisplay.from_estimator(LogisticRegression(), X, y)


def test_a_prior_of_three_classes_changes_the_mixture_of_the_rest():
    """The samples are weighted as if they were drawn with this prior, and then are drawn so."""
    rng = np.random.RandomState(0)
    prior = {0: 0.05, 1: 0.85, 2: 0.10}
    means = np.array([0.0, 1.0, 2.5])

    def draw(n, fractions):
        y = rng.choice(3, n, p=fractions)
        x = means[y] + rng.randn(n)
        return y, softmax(-0.5 * (x[:, None] - means) ** 2, axis=1)

    thresholds = [0.05, 0.1, 0.3]
    y, proba = draw(60_000, [0.8, 0.1, 0.1])
    # Columns may stand in any order.
    classes = [2, 0, 1]
    moved = DecisionCurveDisplay.from_predictions(
        y, proba[:, classes], labels=classes, classes=[0, 2], prior=prior, thresholds=thresholds
    )
    y, proba = draw(60_000, list(prior.values()))
    for k, label in enumerate([0, 2]):
        drawn = net_benefit(y, proba[:, label], thresholds, label=label)["net_benefit"]
        np.testing.assert_allclose(moved.net_benefit["model"][k], drawn, atol=0.004)
    np.testing.assert_allclose(moved.prior, [0.05, 0.10])


def test_a_prior_needs_samples_of_all_its_classes():
    y, proba, classes = some(3)
    kept = y != classes[2]
    with pytest.raises(
        ValueError, match=r"fractions of \['class 002'\], but y_true holds no sample"
    ):
        DecisionCurveDisplay.from_predictions(y[kept], proba[kept], labels=classes, prior="uniform")


def test_bands_under_a_prior_of_three_classes_are_those_of_a_bootstrap_within_each_class():
    y, proba, classes = some(3, n=400)
    prior = dict(zip(classes.tolist(), [0.1, 0.2, 0.7], strict=True))
    given = {"label": classes[0], "sample_weight": [prior[c] / np.mean(y == c) for c in y]}
    thresholds = [0.1, 0.3, 0.6]
    display = DecisionCurveDisplay.from_predictions(
        y, proba, classes=[classes[0]], prior=prior, thresholds=thresholds, n_resamples=2000
    )
    rng = np.random.RandomState(1)
    parts = [np.flatnonzero(y == c) for c in classes]
    order = np.concatenate(parts)
    given["sample_weight"] = np.array(given["sample_weight"])[order]
    drawn = []
    for _ in range(300):
        rows = np.concatenate([rng.choice(part, len(part)) for part in parts])
        drawn.append(net_benefit(y[rows], proba[rows, 0], thresholds, **given)["net_benefit"])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    spread = (high - low).mean()
    np.testing.assert_allclose(display.bands["model"][:, 0], [low, high], atol=0.2 * spread)


@pytest.mark.parametrize("prior", [None, "uniform"])
def test_bands_are_those_of_a_bootstrap_of_samples(prior):
    y, proba, classes = some(2, n=400)
    label, thresholds = classes[1], [0.1, 0.3, 0.6]
    display = DecisionCurveDisplay.from_predictions(
        y, proba, thresholds=thresholds, n_resamples=2000, prior=prior, confidence_level=0.9
    )
    rng = np.random.RandomState(1)
    drawn = []
    for _ in range(400):
        rows = rng.randint(400, size=400)
        if prior == "uniform":
            parts = [np.flatnonzero(y == c) for c in classes]
            rows = np.concatenate([rng.choice(part, len(part)) for part in parts])
        own = 0.5 if prior == "uniform" else None
        found = net_benefit(y[rows], proba[rows, 1], thresholds, label=label, prior=own)
        drawn.append(found["net_benefit"])
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    spread = (high - low).mean()
    np.testing.assert_allclose(display.bands["model"][0, 0], low, atol=0.2 * spread)
    np.testing.assert_allclose(display.bands["model"][1, 0], high, atol=0.2 * spread)
    assert len(display.ax_.collections) == 1
    same = DecisionCurveDisplay.from_predictions(
        y, proba, thresholds=thresholds, n_resamples=2000, prior=prior, confidence_level=0.9
    )
    np.testing.assert_array_equal(same.bands["model"], display.bands["model"])


LONG = "a class whose name is longer than any plot is wide, number {:03d}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "name"),
    [
        (2, "class {:03d}"),
        (2, LONG),
        (5, LONG),
        (10, "class {:03d}"),
        (13, LONG),
        pytest.param(100, "class {:03d}", marks=pytest.mark.exhaustive),
        pytest.param(100, LONG, marks=pytest.mark.exhaustive),
    ],
)
def test_no_text_is_cut_off_or_on_top_of_another(n_classes, name):
    y, proba, _ = some(n_classes, n=1000, name=name)
    models = {"a model with a name that does not fit into one line of a legend": proba, "b": proba}
    display = DecisionCurveDisplay.from_predictions(y, models, n_resamples=10)
    figure = display.figure_
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    boxes += [("legend", figure.legends[0].get_window_extent())]
    for text, box in boxes:
        assert min(box.x0, box.y0) >= -1, text
        assert max(box.x1 - width, box.y1 - height) <= 1, text
    titles = [box for text, box in boxes if text in {ax.get_title() for ax in display.axes_}]
    titles += [boxes[-1][1]]
    for place, box in enumerate(titles):
        assert not any(box.overlaps(other) for other in titles[:place])


def test_names_are_shown_literally():
    y, proba, _ = some(2, name="5 $ or {}$")
    display = DecisionCurveDisplay.from_predictions(y, {"$x$": proba})
    display.figure_.canvas.draw()
    assert display.ax_.get_title().startswith(r"5 \$ or 1\$: ")


def test_thresholds_of_zero_are_drawn_where_the_scale_has_them():
    y, proba, _ = some(2)
    for scale, n in (("logit", 2), ("linear", 3)):
        display = DecisionCurveDisplay.from_predictions(
            y, proba, thresholds=[0, 0.2, 0.4], scale=scale
        )
        assert len(display.ax_.lines[0].get_xdata()) == n
        assert display.net_benefit["model"].shape == (1, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_proba": np.full((4, 2), 0.5)}, "a column for each of the 3 labels"),
        ({"y_proba": np.full((3, 3), 0.5)}, "inconsistent numbers"),
        ({"y_proba": np.full((4, 3), 1.5)}, "`y_proba` must hold probabilities from 0 to 1"),
        ({"y_proba": {}}, "holds no model"),
        ({"labels": ["a", "b", "d"]}, r"`y_true` holds \['c'\], but the labels of the columns"),
        ({"labels": [0, 1, 2]}, r"`y_true` holds \['a', 'b', 'c'\], but the labels of the columns"),
        ({"classes": ["z"]}, r"`classes` must be one or some of .*'a', 'b', 'c'\]. Got \['z'\]"),
        ({"classes": [1]}, "`classes` must be one or some of"),
        ({"classes": []}, "`classes` must be one or some of"),
        ({"classes": ["a", "a"]}, "`classes` holds a label twice"),
        (
            {"y_true": ["a", "a", "b", "b"], "labels": ["a", "b", "c"], "classes": "c"},
            "needs samples",
        ),
        ({"thresholds": [1]}, "`thresholds` must hold probabilities"),
        ({"prior": 0.5}, "`prior` must be None, 'uniform' or a dict"),
        ({"n_resamples": -1}, "`n_resamples` must be a whole number from 0 on"),
        ({"n_resamples": True}, "`n_resamples` must be a whole number .* Got True"),
        ({"sample_weight": [1, 1, 1, -1]}, "[Nn]egative"),
        ({"prior": np.full(3, 1 / 3)}, "`prior` must be None, 'uniform' or a dict"),
        ({"prior": {"a": 0.5}}, "`prior` must give a fraction for every label"),
        ({"confidence_level": 95}, "`confidence_level` must be between 0 and 1"),
        ({"scale": "log"}, "`scale` must be 'logit' or 'linear'"),
    ],
)
def test_mistakes_are_refused(changes, message):
    given = {"y_true": ["a", "a", "b", "c"], "y_proba": np.full((4, 3), 1 / 3)} | changes
    with pytest.raises(ValueError, match=message):
        DecisionCurveDisplay.from_predictions(given.pop("y_true"), given.pop("y_proba"), **given)


def test_axes_must_be_as_many_as_classes():
    y, proba, _ = some(3)
    _, axes = plt.subplots(1, 3)
    display = DecisionCurveDisplay.from_predictions(y, proba, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match=r"`ax` must be 3 axes, .* Got 1. Choose `classes`"):
        DecisionCurveDisplay.from_predictions(y, proba, ax=axes[0])


@pytest.mark.parametrize("prior", [None, "uniform"])
def test_weights_stand_for_repeated_samples(prior):
    y, proba, _ = some(3)
    weight = np.random.RandomState(1).randint(3, size=len(y))
    given: Any = {"prior": prior, "thresholds": [0.1, 0.4]}
    weighted = DecisionCurveDisplay.from_predictions(y, proba, sample_weight=weight, **given)
    repeated = DecisionCurveDisplay.from_predictions(
        np.repeat(y, weight), np.repeat(proba, weight, axis=0), **given
    )
    np.testing.assert_allclose(weighted.net_benefit["model"], repeated.net_benefit["model"])
    np.testing.assert_allclose(weighted.prior, repeated.prior)
    # Equal weights give the bands of no weights, up to the draws.
    given |= {"n_resamples": 1000, "classes": "class 001"}
    plain = DecisionCurveDisplay.from_predictions(y, proba, **given).bands["model"]
    equal = DecisionCurveDisplay.from_predictions(
        y, proba, sample_weight=np.full(len(y), 2.0), **given
    )
    np.testing.assert_allclose(equal.bands["model"], plain, atol=0.15 * np.ptp(plain, axis=0).max())


def test_frames_are_read_by_the_labels_of_their_columns():
    y, proba, classes = some(3)
    frame = pd.DataFrame(proba, columns=classes).iloc[:, ::-1]
    wanted = DecisionCurveDisplay.from_predictions(y, proba).net_benefit["model"]
    found = DecisionCurveDisplay.from_predictions(y, {"model": frame}).net_benefit["model"]
    np.testing.assert_array_equal(found, wanted)


def test_classifiers_that_do_not_fit_are_refused_with_the_fix():
    y, _, _ = some(2)
    X = np.random.RandomState(0).randn(len(y), 2)
    with pytest.raises(ValueError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"):
        DecisionCurveDisplay.from_estimator(LinearSVC().fit(X, y), X, y)
    numbers = LogisticRegression().fit(X, y == "class 000")
    with pytest.raises(ValueError, match=r"text or numbers, and not both: y holds \['class 00"):
        DecisionCurveDisplay.from_estimator(numbers, X, y)
