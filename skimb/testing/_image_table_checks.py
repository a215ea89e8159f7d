"""Checks of frames: the columns that an estimator expects, and their values."""

import numpy as np
import pandas as pd

from skimb.testing._image_check import check
from skimb.testing._image_trial import FRAMES
from skimb.testing._promises import ensure

__all__ = ["CHECKS"]


@check(
    "Call sklearn.utils.validation.validate_data(self, X, reset=False, skip_check_array=True) in "
    "each method after `fit`: it compares the names and their order.",
    forms=FRAMES,
)
def check_columns(trial):
    """After `fit`, frames with a column that is missing, new, renamed or moved are refused."""
    fitted = trial.fitted()
    X = trial.X
    bad = {"a further column": X.assign(further=1.0)}
    if trial.form == "mixed":
        bad |= {
            "columns in another order": X[X.columns[::-1]],
            "a column of the table missing": X.drop(columns="rooms"),
            "the column of images missing": X.drop(columns=trial.image_columns[0]),
            "a renamed column": X.rename(columns={"rooms": "halls"}),
        }
    elif hasattr(fitted, "feature_names_in_"):
        bad["a renamed column"] = X.set_axis(["other"], axis=1)
    for what, frame in bad.items():
        trial.refuses_at_predict(fitted, frame, what)


@check(
    "Give missing and unseen categories a level of their own (for instance by "
    "OneHotEncoder(handle_unknown='ignore')), and missing numbers the mean, with an indicator.",
    forms=("mixed",),
)
def check_table_values(trial):
    """Unseen categories, and missing numbers and categories, get a finite result."""
    X = trial.X
    fitted = trial.fitted()
    changes = {
        "an unseen string": {"colour": pd.Series(["violet"] * len(X), dtype=object)},
        "an unseen category": {"material": pd.Categorical(["straw"] * len(X))},
        "no category": {"colour": pd.Series([None] * len(X), dtype=object)},
        "no number": {"width": np.nan, "rooms": np.nan},
        "no boolean": {"garden": pd.Series([None] * len(X), dtype=object)},
    }
    for what, columns in changes.items():
        trial.doing = what
        for method, values in trial.outputs(fitted, X.assign(**columns)).items():
            ensure(
                len(values) == len(X)
                and (values.dtype.kind not in "fc" or bool(np.isfinite(values).all())),
                f"`{method}` returned {values[:2].tolist()}, ...",
            )
    trial.doing = "missing numbers that were complete in fit"
    complete = X.assign(width=X["width"].fillna(0.5), colour=X["colour"].fillna("red"))
    trial.outputs(trial.fitted(complete), X)


@check(
    "Refuse columns of dates with a ValueError or TypeError that names the column and says how to "
    "make a number of it, such as the day of the year.",
    forms=("mixed",),
)
def check_dates(trial):
    """A column of dates is refused by name: it is neither a number nor a category."""
    dates = pd.date_range("2020-01-01", periods=len(trial.y))
    bad = trial.X.assign(rooms=dates)
    error = trial.expect_refused(lambda: trial.fitted(bad), "`fit` with a column of dates")
    ensure("rooms" in str(error), f"The error does not name the column 'rooms': {error}")


CHECKS = (check_columns, check_table_values, check_dates)
