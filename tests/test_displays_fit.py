"""Nothing that a display draws is cut off or overlaps, whatever the number and names of classes."""

from functools import cache

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn_figures import boxes_of, faults_of

from skimb.inspection import (
    ClassDistributionDisplay,
    DecisionCurveDisplay,
    EmbeddingDisplay,
    ImageGalleryDisplay,
    MoreImagesDisplay,
    PerClassDisplay,
    ReliabilityDisplay,
    TargetDensityDisplay,
    TrainingHistoryDisplay,
)
from skimb.over_sampling import SMOTE
from skimb.relevance import Relevance

mpl.use("agg")

#: Forty letters: a mark of mathematics, letters that few fonts have, and some of another alphabet.
LONG = "Sphyrapicus_varius $young$ плюмаж 啄木 "


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@cache
def samples(n_classes):
    """Return class indices, embeddings, probabilities, predictions and images."""
    rng = np.random.RandomState(0)
    counts = np.maximum(5, (150 / np.arange(1, n_classes + 1)).astype(int))
    y = np.repeat(np.arange(n_classes), counts)
    embedded = rng.randn(n_classes, 6)[y] * 2 + rng.randn(len(y), 6)
    proba = rng.gamma(0.05 + 2 * np.eye(n_classes)[y])
    proba /= proba.sum(axis=1, keepdims=True)
    predicted = np.where(rng.rand(len(y)) < 0.4, rng.choice(y, len(y)), proba.argmax(axis=1))
    images = rng.randint(0, 256, size=(len(y), 6, 6, 3), dtype=np.uint8)
    return y, embedded, proba, predicted, images


class Drawn:
    """The displays of data with so many classes."""

    def __init__(self, n_classes, is_long):
        self.n = n_classes
        self.names = [
            f"{LONG}{k:03d}" if is_long else f"class {k}" for k in range(n_classes)
        ]  # fmt: skip
        y, self.embedded, self.proba, predicted, self.images = samples(n_classes)
        labels = np.array(self.names, dtype=object)
        self.y, self.predicted = labels[y], labels[predicted]

    def distribution(self, ax):
        return ClassDistributionDisplay.from_predictions(self.y, ax=ax)

    def distribution_with_images(self, ax):
        return ClassDistributionDisplay.from_predictions(self.y, self.images, ax=ax)

    def per_class(self, ax):
        return PerClassDisplay.from_predictions(
            self.y, self.predicted, labels=self.names, n_resamples=50, ax=ax
        )

    def gallery(self, ax):
        confidence = self.proba.max(axis=1)
        return ImageGalleryDisplay.from_predictions(
            self.images, self.y, self.predicted, confidence, ax=ax
        )

    def reliability(self, ax):
        return ReliabilityDisplay.from_predictions(self.y, self.proba, labels=self.names, ax=ax)

    def decision(self, ax):
        # Each class has a panel, and one axes that are given hold one.
        return DecisionCurveDisplay.from_predictions(
            self.y,
            dict.fromkeys(self.names[:2], self.proba),
            labels=self.names,
            classes=None if ax is None else self.names[-1],
            thresholds=np.linspace(0.01, 0.9, 9),
            ax=ax,
        )

    def embedding(self, ax):
        sampler = SMOTE(sampling_strategy="minority", k_neighbors=3, random_state=0)
        return EmbeddingDisplay.from_embeddings(self.embedded, self.y, sampler=sampler, ax=ax)

    def losses(self, ax):
        curves = {
            name: [np.exp(-np.arange(8) / (k + 2)), np.exp(-np.arange(8) / (k + 3))]
            for k, name in enumerate(self.names[:16])
        }
        return TrainingHistoryDisplay(curves).plot(ax=ax)

    def counts_of_epochs(self, ax):
        counts = {name: [600 // (k + 1)] * 9 for k, name in enumerate(self.names)}
        display = TrainingHistoryDisplay({"training": [np.arange(9, 0, -1)]}, class_counts=counts)
        return display.plot(ax=ax)

    def more_images(self, ax):
        sizes, grid = self.n * np.array([5, 10, 20]), self.n * np.geomspace(5, 80, 9)
        mean = 0.9 - grid**-0.5
        return MoreImagesDisplay(
            sizes,
            [0.9 - sizes**-0.5],
            grid=grid,
            mean=mean,
            low=mean - 0.1,
            high=mean + 0.1,
            label=self.names[-1],
            measure="average_precision",
        ).plot(ax=ax)

    def target(self, ax):
        y = np.random.RandomState(0).exponential(size=200) * self.n
        return TargetDensityDisplay.from_predictions(
            y, 0 * y, relevance=Relevance(), target_weight="inverse", ax=ax
        )


KINDS = [name for name in vars(Drawn) if not name.startswith("_")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n_classes", "is_long"),
    [
        (2, True),
        (10, True),
        pytest.param(100, True, marks=pytest.mark.exhaustive),
        *(pytest.param(n, False, marks=pytest.mark.exhaustive) for n in (2, 10, 100)),
    ],
)
def test_nothing_is_cut_off_or_overlaps_in_a_figure_of_its_own(
    kind, n_classes, is_long, monkeypatch
):
    display = getattr(Drawn(n_classes, is_long), kind)(None)
    assert faults_of(display.figure_, monkeypatch) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n_classes", "is_long"),
    [
        (10, True),
        *(pytest.param(n, True, marks=pytest.mark.exhaustive) for n in (2, 100)),
        *(pytest.param(n, False, marks=pytest.mark.exhaustive) for n in (2, 10, 100)),
    ],
)
def test_nothing_is_cut_off_or_overlaps_side_by_side_in_given_axes(
    kind, n_classes, is_long, monkeypatch
):
    figure, axes = plt.subplots(1, 2)
    for ax in axes:
        display = getattr(Drawn(n_classes, is_long), kind)(ax)
        assert display.figure_ is figure
    assert faults_of(figure, monkeypatch) == []


def test_a_label_with_signs_of_mathematics_is_drawn_literally(monkeypatch):
    display = ClassDistributionDisplay.from_predictions(["$a_1$", "b_2", "b_2"])
    texts = [text for kind, text, _ in boxes_of(display.figure_, monkeypatch) if kind == "Text"]
    assert {r"\$a_1\$", "b_2"} <= set(texts)


def test_what_is_cut_off_or_overlaps_is_found(monkeypatch):
    figure = plt.figure()
    figure.text(0.9, 0.5, "much too long for its place")
    figure.text(0.1, 0.5, "one")
    figure.text(0.11, 0.5, "other")
    found = faults_of(figure, monkeypatch)
    assert ["is cut off" in one for one in found] == [True, False]
    assert "'one' and Text 'other' overlap" in found[1]


def test_the_layout_of_a_figure_of_the_user_stays(monkeypatch):
    figure, ax = plt.subplots(layout="constrained")
    engine = figure.get_layout_engine()
    ClassDistributionDisplay.from_predictions(["a" * 40, "b"], ax=ax)
    assert figure.get_layout_engine() is engine
    assert faults_of(figure, monkeypatch) == []
