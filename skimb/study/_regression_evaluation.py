"""The evaluation of one fitted regressor on samples whose values are known."""

from functools import cached_property
from typing import Any

import numpy as np
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from skimb._drawn_text import visible_text
from skimb._messages import counted
from skimb.metrics import balanced_mean_absolute_error, prediction_slope, shot_report
from skimb.relevance import LabelDensity
from skimb.study._base_evaluation import MOST_LISTED, BaseEvaluation, intervals_text
from skimb.study._evaluation_intervals import error_intervals
from skimb.study._regression_charts import scatter_panel
from skimb.study._report import render_page
from skimb.study._sample_images import MOST_MISTAKES_SHOWN, short_number

__all__ = ["RegressionEvaluation"]


class RegressionEvaluation(BaseEvaluation):
    """The evaluation of a regressor on samples whose values are known.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values, and predictions.
    y_train : array-like of shape (m,), default=None
        The target of its training, which says where samples are few; None: it is not known.
    density : LabelDensity, default=None
        The bins, as in `skimb.metrics.shot_report`.
    X : array-like of n images or paths, default=None
        The images, of which the report shows those with the largest errors.
    names : sequence of str of length n, default=None
        The name of each sample in lists of errors; None: its number.
    facts : dict of str to str, default=None
        Facts about the model and the data, which the report states.

    Attributes
    ----------
    errors : dict of str to float
    intervals : dict of str to (float, float)
        The 95 % intervals of the mean errors: how far they would move with other samples of the
        same kind, if these are independent of each other. From resamples of the samples.
    shots : DataFrame or None
        As `skimb.metrics.shot_report`, without the rows that have no sample.

    Raises
    ------
    ValueError
        If lengths differ, values are not finite, or there is no sample.

    Examples
    --------
    >>> from skimb.study import RegressionEvaluation
    >>> found = RegressionEvaluation([1.0, 2.0], [1.5, 2.5])
    >>> found.errors["mean_absolute_error"]
    0.5
    """

    task = "regression"

    def __init__(
        self,
        y_true,
        y_pred,
        *,
        y_train: Any = None,
        density: Any = None,
        X: Any = None,
        names: Any = None,
        facts: Any = None,
    ):
        super().__init__(X, names, facts)
        y_true, y_pred = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred))
        self.y_true, self.y_pred, self._density = y_true, y_pred, None
        self.errors = {"mean_absolute_error": float(mean_absolute_error(y_true, y_pred))}
        self.errors["root_mean_squared_error"] = float(root_mean_squared_error(y_true, y_pred))
        self.shots = None
        if y_train is not None:
            if density is None:
                density = LabelDensity(bins=LabelDensity().fit(y_train).edges_)
            self._density = density
            shots = shot_report(y_true, y_pred, y_train=y_train, density=density)
            self.shots = shots[shots["n"] > 0]
            self.errors["balanced_mean_absolute_error"] = float(
                balanced_mean_absolute_error(y_true, y_pred, density=density)
            )
        if np.ptp(y_true) > 0:
            self.errors["prediction_slope"] = float(prediction_slope(y_true, y_pred))
        error = np.abs(y_pred - y_true)
        # The largest errors first; stable, so that equal ones stay in order.
        self.worst = [int(row) for row in np.argsort(-error, kind="stable") if error[row] > 0]

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each mean error: a dict of str to (float, float)."""
        return error_intervals(self.y_true, self.y_pred, density=self._density)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file.

        Returns
        -------
        dict
        """
        return {
            "schema": 1,
            "task": self.task,
            **self.facts,
            "n_samples": len(self.y_true),
            "errors": self.errors,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "shots": None
            if self.shots is None
            else {
                str(name): {"n": int(row["n"])} | {key: float(row[key]) for key in row.index[1:]}
                for name, row in self.shots.iterrows()
            },
            "largest_errors": [
                {
                    "file": self._name(row),
                    "value": float(self.y_true[row]),
                    "prediction": float(self.y_pred[row]),
                }
                for row in self.worst[:MOST_MISTAKES_SHOWN]
            ],
        }

    def __str__(self) -> str:
        """Return the report for a terminal."""
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.errors.items())
        lines = [f"{counted(len(self.y_true), 'image')}: {shown}"]
        lines.append(intervals_text(self.intervals, "{:.4g}"))
        if self.shots is not None:
            lines += ["", self.table_text()]
        if self.worst:
            lines += ["", "the largest errors"]
        lines += [
            visible_text(f"{self._name(row)}: {self.y_true[row]:.4g} as {self.y_pred[row]:.4g}")
            for row in self.worst[:MOST_LISTED]
        ]
        return "\n".join(lines)

    def table_text(self) -> str:
        """Return the errors where training samples are many, medium and few, as text.

        Returns
        -------
        str
        """
        if self.shots is None:
            return ", ".join(f"{name} {value:.4g}" for name, value in self.errors.items())
        table = self.shots.assign(n=self.shots["n"].astype(int))
        return table.to_string(float_format="{:.4g}".format)

    def _page(self):
        rows, captions = {}, {}
        for label, sign in (("too low", -1), ("too high", 1)):
            chosen = [
                row for row in self.worst if sign * (self.y_pred[row] - self.y_true[row]) > 0
            ][:MOST_MISTAKES_SHOWN]
            if chosen:
                rows[label] = chosen
                captions[label] = [
                    f"{short_number(self.y_true[row])} as {short_number(self.y_pred[row])}"
                    for row in chosen
                ]
        return render_page(
            "evaluation_numbers.html.j2",
            evaluation=self,
            predictions=scatter_panel("the model", self.y_true, self.y_pred, values=self.y_true),
            mistakes=self._pictures(rows, captions),
            alt="An image whose prediction is {}: {}".format,
            errors=self.errors,
            intervals=self.intervals,
            facts=self.facts,
            shots=None if self.shots is None else list(self.shots.iterrows()),
            number=short_number,
            listed=[
                (self._name(row), short_number(self.y_true[row]), short_number(self.y_pred[row]))
                for row in self.worst[: 2 * MOST_MISTAKES_SHOWN]
            ],
        )
