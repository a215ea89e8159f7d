"""Displays."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from skimb.inspection import ClassDistributionDisplay, TrainingHistoryDisplay
from skimb.neural_network import CNNClassifier

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
