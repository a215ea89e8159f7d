"""Checks of repeated fits, and of sample weights."""

import numpy as np

from skimb.testing._image_check import check
from skimb.testing._image_trial import wants_numbers
from skimb.testing._promises import ensure

__all__ = ["CHECKS"]


@check(
    "Make the generator in `fit`, by check_random_state(self.random_state), and draw from no "
    "other. A network that is trained by several threads needs a fixed number of them.",
    needs=("deterministic", "fresh fits"),
)
def check_repeated_fit(trial):
    """Equal fits give equal results: those of two clones, and two fits of one estimator."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    trial.doing = "a second clone"
    trial.expect_equal(trial.outputs(trial.fitted()), wanted)
    trial.doing = "a second fit"
    trial.expect_equal(trial.outputs(fitted.fit(trial.X, trial.y)), wanted)


@check(
    "Let `fit` set every attribute that it learns, without asking whether it is there already "
    "(`hasattr(self, 'classes_')`), and delete those that it does not set.",
    needs=("deterministic", "fresh fits"),
)
def check_refit_forgets(trial):
    """A fit forgets the fit before it: its labels, its samples and the shape of its images."""
    wanted_from = trial.fitted()
    wanted = trial.outputs(wanted_from)
    height, width = trial.image_size
    other = trial.in_form(255 - trial.pixels(size=(height + 2, width + 1)))[: len(trial.y) - 6]
    rolled = np.roll(trial.y, 1)[: len(trial.y) - 6]
    y = rolled * 2 - 9 if wants_numbers(trial.estimator) else np.char.add(rolled, " or other")
    trial.doing = "a fit on other images and labels before"
    made = trial.new()
    try:
        made.fit(other, y)
    except ValueError:
        # Networks for images of one size, or with an image_shape of their own.
        made.fit(trial.take(trial.bright, range(len(y))), y)
    trial.expect_equal(trial.outputs(made.fit(trial.X, trial.y)), wanted)
    kept = sorted(set(vars(made)) ^ set(vars(wanted_from)))
    ensure(not kept, f"These attributes depend on the fit before: {kept}.")


@check(
    "Multiply each sample's part of the loss, of sums and of counts by its weight, or leave "
    "samples of weight zero out.",
    needs=("deterministic", "sample_weight"),
)
def check_zero_weight(trial):
    """A sample of weight zero is as good as left out, and weights may be given in a list."""
    weight = 1 + np.arange(len(trial.y)) % 3 / 2
    weight[::5] = 0
    rows = np.flatnonzero(weight)
    wanted = trial.outputs(
        trial.fitted(trial.take(trial.X, rows), trial.y[rows], sample_weight=weight[rows])
    )
    trial.doing = "samples of weight zero"
    trial.expect_equal(trial.outputs(trial.fitted(sample_weight=weight.copy())), wanted)
    trial.doing = "weights in a list"
    trial.expect_equal(trial.outputs(trial.fitted(sample_weight=weight.tolist())), wanted)
    trial.doing = "a weight too few"
    trial.expect_refused(lambda: trial.fitted(sample_weight=weight[:-1]), "`fit`")


CHECKS = (check_repeated_fit, check_refit_forgets, check_zero_weight)
