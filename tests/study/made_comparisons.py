"""Comparisons without training: predictions are made from fixed random numbers."""

from unittest.mock import patch

import numpy as np
from PIL import Image, ImageDraw

from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import MoreImages, compare

#: Names of classes that a careless page would break on.
AWKWARD = [
    "<b>bold</b>",
    "</style><h1>x",
    "5 $ a^$",
    "a & b \"c\" 'd'",
    "a very long name of a class that goes on and on and differs at the end only: one",
    "a very long name of a class that goes on and on and differs at the end only: two",
    "\N{RIGHT-TO-LEFT OVERRIDE}turned",
    "\u05d7\u05ea\u05d5\u05dc (cat)",
    "\u732b",
    "0123456789" * 6,
]

#: How well each strategy tells classes apart, and how it favours the minority class.
SKILLS = {
    "none": (2.4, -0.8),
    "class_weight": (2.5, 0.5),
    "focal": (2.4, -0.7),
    "over": (2.7, 0.3),
    "under": (1.9, 1.0),
    "balanced_batches": (2.6, 0.4),
    "smote_embedding": (2.5, 0.2),
    "threshold": (2.4, 0.2),
    "prior_shift": (2.4, 0.2),
    "linear": (1.2, -0.5),
    "constant": (0.0, -9.0),
}


def drawn_images(kinds, *, side=40, seed=0):
    """Return small colour images of shapes, one kind of shape and colour a number."""
    rng = np.random.RandomState(seed)
    images = []
    for kind in np.asarray(kinds).tolist():
        image = Image.new("RGB", (side, side), tuple(rng.randint(20, 90, size=3).tolist()))
        colour = tuple((np.array([53, 97, 31]) * (kind + 2) % 190 + 60).tolist())
        draw, (x, y, r) = ImageDraw.Draw(image), rng.randint([12, 12, 6], [28, 28, 11])
        draw.regular_polygon((int(x), int(y), int(r)), 3 + kind % 6, int(rng.randint(90)), colour)
        noise = rng.randint(-12, 12, size=(side, side, 3))
        images.append(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    return np.stack(images)


class MadeClassifier:
    """A classifier whose probabilities for one test part are given."""

    def __init__(self, classes, proba, losses):
        self.classes_, self.proba = classes, proba
        self.history_ = [{"train_loss": loss} for loss in losses]

    def predict(self, X):
        return self.classes_[self.proba.argmax(axis=1)]

    def predict_proba(self, X):
        return self.proba


class MadeRegressor:
    """A regressor whose predictions for one test part are given."""

    def __init__(self, predicted, losses):
        self.predicted = predicted
        self.history_ = [{"train_loss": loss} for loss in losses]

    def predict(self, X):
        return self.predicted


def made_outcomes(jobs, data, test, n_jobs=None):
    """Stand in for the training of all strategies in all runs."""
    X_test, y_test = test
    for job in jobs:
        rows = job.run.test
        for strategy in job.group:
            # Both move the threshold of the baseline: equal seeds make them equal.
            name = {"prior_shift": "threshold"}.get(strategy.name, strategy.name) or strategy.label
            seed = [job.i_run, sum(map(ord, name)) % 1000]
            rng = np.random.default_rng(seed)
            losses = 1.2 * np.exp(-np.arange(12) / rng.uniform(3, 6)) + 0.02 * rng.random(12)
            fitted = _made(job.task, name, y_test[rows], rng, losses)
            outcome = job.task.outcome(
                strategy,
                fitted,
                X_test[rows],
                y_test[rows],
                rows=rows,
                scoring=job.scoring,
                seconds=float(rng.uniform(2, 9)),
                y_train=data[1][job.run.train],
            )
            yield job.i_run, outcome, set()


def _made(task, name, truth, rng, losses):
    skill, favour = SKILLS.get(name, (2.5, 0.0))
    if hasattr(task, "classes"):
        is_it = truth[:, None] == task.classes
        # Images have difficulties of their own, which all strategies share.
        shared = np.random.default_rng(7).normal(size=is_it.shape)
        logits = skill * is_it + 0.8 * shared + 0.6 * rng.normal(size=is_it.shape)
        rarity = np.log(task.counts.max() / task.counts)
        logits += favour * rarity / max(rarity.max(), 1)
        proba = np.exp(logits - logits.max(axis=1, keepdims=True))
        return MadeClassifier(task.classes, proba / proba.sum(axis=1, keepdims=True), losses)
    spread = np.std(task.y)
    noise = rng.normal(scale=spread / (1 + skill), size=len(truth))
    predicted = np.mean(task.y) + (0.5 + 0.1 * skill) * (truth - np.mean(task.y)) + noise
    if name == "constant":
        predicted = np.full(len(truth), np.mean(task.y))
    return MadeRegressor(predicted, losses)


def made_comparison(n_classes=2, *, classes=None, counts=None, **options):
    """Return a comparison of labels whose predictions are made."""
    if counts is None:
        counts = np.maximum(6, (240 / n_classes * 0.97 ** np.arange(n_classes))).astype(int)
        counts[0] = max(6, counts[-1] // 3)
    if classes is None:
        classes = [f"class {i}" for i in range(n_classes)]
    numbers = np.repeat(np.arange(len(counts)), counts)
    options = {"cv": 5, "random_state": 0, "n_jobs": 1, "estimator": CNNClassifier()} | options
    if "X_test" in options:
        options["X_test"] = drawn_images(numbers, seed=1)
        options["y_test"], options["cv"] = np.array(classes)[numbers], None
    with patch("skimb.study._compare.run_jobs", made_outcomes):
        return compare(drawn_images(numbers), np.array(classes)[numbers], **options)


def made_curve(rng):
    """Return a learning curve that nobody measured."""
    sizes, grid = np.array([5, 10, 20, 28, 40]), np.linspace(5, 160, 30)
    draws = 0.95 - rng.uniform(0.8, 1.4, size=(50, 1)) * grid ** -rng.uniform(
        0.4, 0.6, size=(50, 1)
    )
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    scores = 0.95 - 1.1 * sizes**-0.5 + rng.normal(scale=0.03, size=(5, 5))
    mean = draws.mean(axis=0)
    return MoreImages("crack", "average_precision", 40, sizes, scores, grid, mean, low, high, draws)


def made_regression(**options):
    """Return a comparison of numbers whose predictions are made."""
    y = np.random.default_rng(0).lognormal(8, 0.7, size=240)
    X = drawn_images((np.log(y) * 3).astype(int))
    options = {"cv": 3, "random_state": 0, "n_jobs": 1, "estimator": CNNRegressor()} | options
    with patch("skimb.study._compare.run_jobs", made_outcomes):
        return compare(X, y, **options)
