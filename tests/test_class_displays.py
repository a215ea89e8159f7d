"""Displays of scores, embeddings and learning curves by class."""

from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor

from skimb.inspection import (
    EmbeddingDisplay,
    MoreImagesDisplay,
    PerClassDisplay,
    TrainingHistoryDisplay,
)
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def blobs():
    rng = np.random.RandomState(0)
    y = np.repeat(["common", "rare"], [40, 8])
    return rng.randn(48, 5) + 4 * (y == "rare")[:, None], y


def test_scores_of_a_classifier_are_those_of_its_predictions():
    X, y = blobs()
    constant = DummyClassifier().fit(X, y)
    display = PerClassDisplay.from_estimator(constant, X, y)
    same = PerClassDisplay.from_predictions(y, constant.predict(X))
    np.testing.assert_array_equal(display.scores, same.scores)
    assert display.scores.loc["rare", "recall"] == 0
    assert [ax.get_title() for ax in display.axes_] == ["precision", "recall", "F1"]
    assert display.ax_ is display.axes_[0]
    assert display.figure_ is display.ax_.figure


def test_measures_share_one_axes_or_have_one_each():
    y, predicted = ["a", "a", "b"], ["a", "b", "b"]
    axes = plt.subplots(1, 3)[1]
    one = PerClassDisplay.from_predictions(y, predicted, ax=axes[0])
    assert len(one.axes_) == 1
    texts = [text.get_text() for text in one.ax_.get_legend().get_texts()]
    assert texts == ["precision", "recall", "F1"]
    assert one.plot(measures="recall", ax=axes[1]) is one
    assert len(PerClassDisplay.from_predictions(y, predicted, ax=axes).axes_) == 3
    with pytest.raises(ValueError, match="one axes, or 3"):
        PerClassDisplay.from_predictions(y, predicted, ax=axes[:2])
    with pytest.raises(ValueError, match="`measures` must be one or some"):
        PerClassDisplay.from_predictions(y, predicted, measures=["accuracy"])


def test_synthetic_samples_lie_between_their_parents():
    embedded, y = blobs()
    sampler = SMOTE(random_state=0)
    display = EmbeddingDisplay.from_embeddings(embedded, y, sampler=sampler)
    assert not hasattr(sampler, "parents_")
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(embedded), atol=1e-9)
    assert set(display.synthetic_labels) == {"rare"}
    assert len(display.synthetic) == 32
    first, second = display.points[display.parents.T]
    assert (display.labels[display.parents] == "rare").all()
    length = np.linalg.norm(second - first, axis=1)
    ways = [np.linalg.norm(display.synthetic - end, axis=1) for end in (first, second)]
    np.testing.assert_allclose(ways[0] + ways[1], length, atol=1e-9)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["common", "rare", "synthetic"]


def test_parents_are_drawn_where_a_class_has_too_many_samples():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [2000, 700])
    embedded = rng.randn(2700, 3)
    display = EmbeddingDisplay.from_embeddings(embedded, y, sampler=SMOTE(random_state=0))
    assert len(display.synthetic) == 100
    assert 1000 <= len(display.points) <= 1200
    assert (display.labels[display.parents] == 1).all()
    first, second = display.points[display.parents.T]
    length = np.linalg.norm(second - first, axis=1)
    ways = sum(np.linalg.norm(display.synthetic - end, axis=1) for end in (first, second))
    np.testing.assert_allclose(ways, length, atol=1e-9)


def test_embeddings_of_an_estimator_or_a_transformer():
    embedded, y = blobs()
    pca = PCA(3).fit(embedded)
    display = EmbeddingDisplay.from_estimator(pca, embedded, y, classes="rare")
    np.testing.assert_allclose(
        np.abs(display.points), np.abs(pca.transform(embedded)[:, :2]), atol=1e-9
    )
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["rare", "1 other class"]
    with pytest.raises(ValueError, match="neither `embed` nor `transform`"):
        EmbeddingDisplay.from_estimator(DummyClassifier().fit(embedded, y), embedded, y)


@pytest.mark.slow
def test_t_sne_places_samples_and_synthetic_samples_together():
    embedded, y = blobs()
    drawn = [
        EmbeddingDisplay.from_embeddings(
            embedded, y, sampler=SMOTE(random_state=0), projection="tsne", random_state=1
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(drawn[0].synthetic, drawn[1].synthetic)
    assert drawn[0].ax_.get_xlabel() == "t-SNE 1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"projection": "umap"}, "'pca' or 'tsne'"),
        ({"sampler": "smote"}, "must be an over-sampler"),
        ({"sampler": RandomOverSampler()}, "does not tell the parents"),
        ({"classes": "other"}, "`classes` must be"),
        ({"y": ["a"]}, "inconsistent numbers"),
        ({"embedded": np.full((48, 5), np.nan)}, "NaN"),
        ({"embedded": np.ones((48, 1))}, "minimum of 2"),
    ],
)
def test_embeddings_that_cannot_be_drawn_are_refused(change, message):
    embedded, y = blobs()
    given = {"embedded": embedded, "y": y} | change
    # Another test of this process may have left figures.
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(given.pop("embedded"), given.pop("y"), **given)
    assert plt.get_fignums() == before


CURVE = {"grid": [5, 10, 20, 40], "mean": [0.5, 0.6, 0.65, 0.68]}
CURVE |= {"low": [0.4, 0.5, 0.5, 0.5], "high": [0.6, 0.7, 0.75, 0.8]}
CURVE |= {"label": "crack", "measure": "average_precision"}


def test_a_learning_curve_is_dashed_where_nothing_was_measured():
    display = MoreImagesDisplay([5, 10], [[0.5, 0.62], [0.48, np.nan]], **CURVE)
    assert display.plot() is display
    known, ahead, now = display.ax_.lines
    np.testing.assert_array_equal(known.get_xdata(), [5, 10])
    np.testing.assert_array_equal(ahead.get_xdata(), [10, 20, 40])
    assert ahead.get_linestyle() == "--"
    assert now.get_xdata()[0] == 10
    assert display.ax_.get_xlabel() == "images of crack"
    result = SimpleNamespace(sizes=[5, 10], scores=[[0.5, 0.6]], n_images=12, **CURVE)
    again = MoreImagesDisplay.from_result(result)
    assert again.ax_.lines[0].get_xdata()[-1] == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [[0.5]]}, "a column for each of the 2 sizes"),
        ({"grid": [5, 10, 10, 40]}, "each larger"),
        ({"sizes": [0, 5]}, "positive numbers"),
        ({"mean": [0.5]}, "`mean` must have a value for each"),
    ],
)
def test_arrays_of_a_learning_curve_must_fit(change, message):
    given = {"sizes": [5, 10], "scores": [[0.5, 0.6]], **CURVE} | change
    with pytest.raises(ValueError, match=message):
        MoreImagesDisplay(given.pop("sizes"), given.pop("scores"), **given)


@pytest.mark.slow
def test_the_history_is_drawn_with_the_samples_of_each_class():
    X = np.random.RandomState(0).rand(40, 8, 8).astype(np.float32)
    y = np.repeat([0, 1], [30, 10])
    clf = CNNClassifier("linear", max_epochs=2, batch_sampling="progressive", random_state=0)
    display = TrainingHistoryDisplay.from_estimator(clf.fit(X, y))
    counts = np.array([record["class_counts"] for record in clf.history_]).T
    assert display.class_counts == {0: counts[0].tolist(), 1: counts[1].tolist()}
    assert [text.get_text() for text in display.axes_[1].texts] == [str(n) for n in counts.ravel()]
    ax = plt.subplots()[1]
    assert len(TrainingHistoryDisplay.from_estimator(clf, ax=ax).axes_) == 1
    with pytest.raises(ValueError, match="one axes, or two"):
        TrainingHistoryDisplay.from_estimator(clf, ax=plt.subplots(1, 3)[1])
    # Files of earlier versions have no counts.
    clf.history_ = [{"train_loss": 1.0}, {"train_loss": 0.5}]
    assert TrainingHistoryDisplay.from_estimator(clf).class_counts is None
    with pytest.raises(ValueError, match="no history of a training"):
        TrainingHistoryDisplay.from_estimator(DummyRegressor().fit(X[:, 0], y))
