"""Displays."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.offsetbox import AnnotationBbox
from sklearn.dummy import DummyRegressor

from skimb.inspection import (
    ClassDistributionDisplay,
    ImageGalleryDisplay,
    TargetDensityDisplay,
    TrainingHistoryDisplay,
    confident_mistakes,
)
from skimb.neural_network import CNNClassifier
from skimb.relevance import LabelDensity, Relevance, compute_target_weight

mpl.use("agg")


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    return CNNClassifier(max_epochs=2, early_stopping=True, random_state=0).fit(X, y)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_class_distribution(fitted, digits):
    display = ClassDistributionDisplay.from_estimator(fitted)
    labels = ClassDistributionDisplay.from_predictions(digits[2])
    assert display.counts == labels.counts
    written = [text.get_text() for text in display.ax_.texts]
    assert written == [str(count) for count in display.counts.values()]
    assert display.figure_ is display.ax_.figure


def test_training_history(fitted):
    display = TrainingHistoryDisplay.from_estimator(fitted)
    assert [line.get_label() for line in display.ax_.lines] == ["training", "validation"]
    shown = np.asarray(display.ax_.lines[0].get_ydata())
    assert shown[0] == fitted.history_[0]["train_loss"]


def test_plots_into_given_axes(fitted):
    figure, axes = plt.subplots(1, 2)
    ClassDistributionDisplay.from_estimator(fitted, ax=axes[0])
    assert TrainingHistoryDisplay.from_estimator(fitted, ax=axes[1]).figure_ is figure


def test_class_distribution_with_samples(digits):
    X, _, y, _ = digits
    display = ClassDistributionDisplay.from_predictions(y, X, n_images=3)
    assert [len(pictures) for pictures in display.samples.values()] == [3, 3]
    n_pictures = sum(isinstance(artist, AnnotationBbox) for artist in display.ax_.artists)
    assert n_pictures == 6
    again = ClassDistributionDisplay.from_predictions(y, X, n_images=3)
    np.testing.assert_array_equal(again.samples["eight"], display.samples["eight"])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        ClassDistributionDisplay.from_predictions(y, X[1:])


labels = st.lists(st.tuples(*[st.sampled_from("abc")] * 2, st.integers(0, 9)), min_size=1)


@given(rows=labels, n_images=st.integers(1, 4))
def test_confident_mistakes_by_loops(rows, n_images):
    y_true, y_pred, confidence = zip(*rows, strict=True)
    found = confident_mistakes(y_true, y_pred, confidence, n_images=n_images)
    for label in "abc":
        wrong = [i for i, row in enumerate(rows) if row[0] == label != row[1]]
        wrong.sort(key=lambda i: -confidence[i])
        assert list(found.get(label, [])) == wrong[:n_images]


def test_gallery_shows_the_mistakes_of_an_estimator(digits):
    X, X_test, y, y_test = digits
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    display = ImageGalleryDisplay.from_estimator(clf, X_test, y_test, n_images=5)
    proba, predicted = clf.predict_proba(X_test), clf.predict(X_test)
    wrong = np.flatnonzero(predicted != y_test)
    for label, rows in display.rows.items():
        assert (y_test[rows] == label).all()
        assert set(rows) <= set(wrong)
        assert len(rows) == min(5, (y_test[wrong] == label).sum())
        first = f"{predicted[rows[0]]} {proba[rows[0]].max():.0%}"
        assert display.captions[label][0] == first
        # The digits have 16 levels.
        np.testing.assert_allclose(display.pictures[label][0] / 16, X_test[rows[0]], atol=0.55)
    assert len(display.ax_.images) == sum(map(len, display.rows.values()))
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == list(display.rows)


def test_gallery_without_mistakes():
    X = np.zeros((3, 4, 4))
    display = ImageGalleryDisplay.from_predictions(X, [0, 1, 1], [0, 1, 1], [1, 1, 1])
    assert display.pictures == {}
    assert [text.get_text() for text in display.ax_.texts] == ["no mistakes"]


def test_gallery_shows_labels_and_captions_literally():
    X = np.zeros((2, 5, 6, 3), dtype=np.uint8)
    display = ImageGalleryDisplay.from_predictions(X, ["$a$", "b"], ["b", "$x_1$"], [0.5, 0.25])
    assert display.captions == {"$a$": ["b 50%"], "b": ["$x_1$ 25%"]}
    display.figure_.canvas.draw()
    assert display.ax_.texts[1].get_text() == r"\$x_1\$ 25%"


SKEWED = np.random.RandomState(0).exponential(size=500)


def test_target_density():
    density = LabelDensity(bins=12)
    display = TargetDensityDisplay.from_predictions(SKEWED, density=density)
    fitted = LabelDensity(bins=12).fit(SKEWED)
    np.testing.assert_array_equal(display.counts, fitted.counts_)
    tops = [bar.get_extents().y1 for bar in display.ax_.patches]
    assert np.argsort(tops)[-1] == fitted.counts_.argmax()
    assert display.smoothed.sum() == pytest.approx(500)
    assert display.overlays_ == {}
    assert display.figure_ is display.ax_.figure
    assert not hasattr(density, "edges_")


def test_target_density_with_all_that_can_be_drawn():
    predicted = SKEWED + np.where(SKEWED > 1, 2, 0.5)
    density = LabelDensity(bins=[0, 1, 2, 20, 30])
    display = TargetDensityDisplay.from_predictions(
        SKEWED, predicted, density=density, relevance=Relevance(), target_weight="inverse"
    )
    np.testing.assert_allclose(display.errors, [0.5, 2, 2, np.nan])
    weight = compute_target_weight("inverse", SKEWED, density=density)
    assert display.weights[0] == pytest.approx(weight[SKEWED < 1].mean())
    values, relevance = display.relevance.T
    np.testing.assert_array_equal(relevance, Relevance().fit(SKEWED)(values))
    assert list(display.overlays_) == ["relevance", "weights", "errors"]
    shown = display.overlays_["errors"].lines[0]
    # A bin without a row has no error.
    np.testing.assert_allclose(shown.get_ydata(), [0.5, 2, 2])
    places = [ax.spines["right"].get_position()[1] for ax in display.overlays_.values()]
    assert places == sorted(set(places))


def test_target_density_of_bins_without_ends():
    density = LabelDensity(bins=[-np.inf, 1, 2, np.inf])
    display = TargetDensityDisplay.from_predictions(SKEWED, density=density, relevance=Relevance())
    np.testing.assert_array_equal(display.edges, [SKEWED.min(), 1, 2, SKEWED.max()])
    assert display.counts.sum() == len(SKEWED)
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        TargetDensityDisplay.from_predictions(SKEWED, np.full(len(SKEWED), np.nan))


def test_target_density_of_an_estimator():
    X = SKEWED[:, None]
    mean = DummyRegressor().fit(X, SKEWED)
    figure, ax = plt.subplots()
    display = TargetDensityDisplay.from_estimator(
        mean, X, SKEWED, density=LabelDensity(bins=2), target_weight=np.ones_like, ax=ax
    )
    assert display.figure_ is figure
    high = display.edges[1] <= SKEWED
    expected = np.abs(SKEWED - SKEWED.mean())
    np.testing.assert_allclose(display.errors, [expected[~high].mean(), expected[high].mean()])
    np.testing.assert_allclose(display.weights, 1)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        TargetDensityDisplay.from_predictions(SKEWED, SKEWED[1:])


@pytest.mark.slow
def test_the_gallery_shows_the_first_image_of_a_frame():
    rng = np.random.RandomState(0)
    front, back = rng.randint(0, 256, size=(2, 30, 8, 8), dtype=np.uint8)
    y = np.arange(30) % 3 == 0
    frame = pd.DataFrame({"number": np.arange(30), "front": [*front], "back": [*back]})
    settings = {"image_column": ["front", "back"], "max_epochs": 1, "random_state": 0}
    clf = CNNClassifier(**settings).fit(frame, y)
    display = ImageGalleryDisplay.from_estimator(clf, frame, ~clf.predict(frame))
    for label, rows in display.rows.items():
        np.testing.assert_array_equal(np.reshape(display.pictures[label], (-1, 8, 8)), front[rows])
    assert sum(map(len, display.rows.values())) >= 8
