"""The evaluation of one fitted classifier on labelled samples."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_consistent_length

from skimb._class_intervals import per_class_intervals
from skimb._drawn_text import visible_text
from skimb._frames import with_any_text
from skimb._messages import counted
from skimb._unpacking import plain_vector
from skimb.inspection import confident_mistakes
from skimb.metrics import per_class_report
from skimb.study._base_evaluation import MOST_LISTED, BaseEvaluation, intervals_text
from skimb.study._confusion_tables import confusion_view
from skimb.study._cost_intervals import cost_interval
from skimb.study._cost_text import cost_number
from skimb.study._evaluation_intervals import label_intervals
from skimb.study._report import render_page
from skimb.study._sample_images import MOST_CLASSES_SHOWN, MOST_MISTAKES_SHOWN

__all__ = ["ClassificationEvaluation"]


def _aligned(frame):
    """Return a frame as text whose columns stand in line also where letters take two cells."""
    with pd.option_context("display.unicode.east_asian_width", True):
        return frame.to_string(float_format="{:.3f}".format)


def _written(row):
    """Return the ends of the intervals of a class as the JSON file has them."""
    ends = {key: value for key, value in row.items() if key.endswith(("_low", "_high"))}
    return {key: float(value) if np.isfinite(value) else None for key, value in ends.items()}


class ClassificationEvaluation(BaseEvaluation):
    """The evaluation of a classifier on labelled samples.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels, and predicted labels.
    confidence : array-like of shape (n,), default=None
        The probability of each predicted label; None: the classifier tells none.
    classes : array-like of shape (n_classes,)
        The classes that the classifier knows.
    minority : label, default=None
        The minority class of its training; None: it is not known.
    X : array-like of n images or paths, default=None
        The images, of which the report shows the most confident mistakes.
    names : sequence of str of length n, default=None
        The name of each sample in lists of mistakes; None: its number.
    facts : dict of str to str, default=None
        Facts about the model and the data, which the report states; ``decisions``, how the model
        decides, stands in the text too.
    deployment : Deployment, default=None
        The class fractions and costs where the model is used: with it, texts and files have the
        cost of 1000 images there. It must be of `classes`.

    Attributes
    ----------
    per_class : DataFrame
        As `skimb.metrics.per_class_report`, one row for each class.
    confusion_matrix : ndarray of shape (n_classes, n_classes)
        True classes in rows.
    scores : dict of str to float
        Means over classes, ``balanced_accuracy`` and ``f1_macro``, are over the classes that have
        samples, and are left out where only one has.
    intervals : dict of str to (float, float)
        The 95 % interval of each score: how far it would move with other samples of the same kind,
        if these are independent of each other. From resamples of the samples; of the accuracy, that
        of Wilson.
    class_intervals : DataFrame
        Precision, recall and F1 of each class with the ends of their intervals, ``recall_low`` and
        the like: of Wilson for precision and recall, from resamples for F1.
    mistakes : dict
        True label to the indices of its most confident mistakes.

    Raises
    ------
    ValueError
        If lengths differ, or there is no sample.

    Examples
    --------
    >>> from skimb.study import ClassificationEvaluation
    >>> found = ClassificationEvaluation(
    ...     ["cat", "cat", "dog"], ["cat", "dog", "dog"], classes=["cat", "dog"], minority="cat"
    ... )
    >>> found.confusion_matrix.tolist(), found.scores["balanced_accuracy"]
    ([[1, 1], [0, 1]], 0.75)
    """

    task = "classification"

    def __init__(
        self,
        y_true,
        y_pred,
        confidence=None,
        *,
        classes,
        minority=None,
        X: Any = None,
        names: Any = None,
        facts: Any = None,
        deployment: Any = None,
    ):
        super().__init__(X, names, facts)
        self.deployment = deployment
        y_true, y_pred = plain_vector(y_true, "y_true"), plain_vector(y_pred, "y_pred")
        check_consistent_length(y_true, y_pred)
        if not len(y_true):
            raise ValueError("`y_true` is empty. Give at least one sample.")
        self.y_true, self.y_pred = y_true, y_pred
        self.confidence = None if confidence is None else np.asarray(confidence, dtype=np.float64)
        self.classes, self.minority = np.asarray(classes), minority
        report = per_class_report(y_true, y_pred)
        absent = {"tn": len(y_true)} | dict.fromkeys(report.columns.drop("tn"), 0)
        every = with_any_text(report.reindex)(self.classes)
        self.per_class = every.fillna(absent).astype(report.dtypes)
        self.confusion_matrix = confusion_matrix(y_true, y_pred, labels=self.classes)
        self.scores = self._scores()
        self.mistakes = confident_mistakes(
            y_true,
            y_pred,
            np.zeros(len(y_true)) if self.confidence is None else self.confidence,
            n_images=MOST_MISTAKES_SHOWN,
        )

    def _scores(self):
        is_there = self.per_class["support"].to_numpy() > 0
        recalls, f1 = (self.per_class[name].to_numpy() for name in ("recall", "f1"))
        scores = {"accuracy": float(np.mean(self.y_true == self.y_pred))}
        if is_there.sum() > 1:
            # Means over classes, which one class alone does not have.
            scores = {
                "balanced_accuracy": float(recalls[is_there].mean()),
                "f1_macro": float(f1[is_there].mean()),
            } | scores
        is_minority = self.classes == self.minority
        if self.minority is not None and np.any(is_minority & is_there):
            place = int(np.argmax(is_minority))
            scores = {"f1_minority": float(f1[place])} | scores
        return scores

    @cached_property
    def class_intervals(self) -> pd.DataFrame:
        """Return precision, recall and F1 of each class with intervals: a DataFrame."""
        return per_class_intervals(self.y_true, self.y_pred, labels=self.classes)

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each score: a dict of str to (float, float)."""
        found = label_intervals(self.y_true, self.y_pred, self.classes, self.class_intervals)
        if "f1_minority" in self.scores:
            row = self.class_intervals.iloc[int(np.argmax(self.classes == self.minority))]
            found["f1_minority"] = float(row["f1_low"]), float(row["f1_high"])
        return {name: found[name] for name in self.scores}

    def _told(self, row):
        told = "" if self.confidence is None else f" {self.confidence[row]:.0%}"
        return f"{self.y_pred[row]}{told}"

    def remark(self) -> str:
        """Return a sentence on the classes without images, or an empty str.

        Returns
        -------
        str
        """
        absent = self.classes[self.per_class["support"].to_numpy() == 0].tolist()
        if not absent:
            return ""
        names = ", ".join(visible_text(label) for label in absent[:MOST_LISTED])
        more = f", ... {len(absent)} in all" if len(absent) > MOST_LISTED else ""
        n_there = len(self.classes) - len(absent)
        means = "Means are over the other classes." if n_there > 1 else "There are no means."
        return f"There are no images of these classes: {names}{more}. {means}"

    def fractions_remark(self) -> str:
        """Return a sentence on the class fractions for which the figures hold.

        Returns
        -------
        str
        """
        label = self.minority
        if label is None or label not in self.classes.tolist():
            label = self.classes[self.per_class["support"].to_numpy().argmin()]
        fraction = float(np.mean(self.y_true == label))
        return (
            f"Recalls hold for any class fractions; precision, F1 and accuracy where "
            f"{100 * fraction:.3g} % of the images are {visible_text(label)}, as here."
        )

    @cached_property
    def cost(self) -> dict[str, float] | None:
        """Return the cost of 1000 images where the model is used, with its 95 % interval.

        None: nothing is known of that, or not every class has images.
        """
        is_there = self.per_class["support"].to_numpy() > 0
        if self.deployment is None or not is_there.all():
            return None
        known = np.isin(self.y_pred, self.classes)
        if not known.all() or not np.isin(self.y_true, self.classes).all():
            return None
        order = np.argsort(self.classes)
        truth, predicted = (
            order[np.searchsorted(self.classes, y, sorter=order)]
            for y in (self.y_true, self.y_pred)
        )
        low, high = cost_interval(self.deployment, truth, predicted)
        return {"cost": self.deployment.cost(truth, predicted), "low": low, "high": high}

    def cost_remark(self) -> str:
        """Return a sentence on the cost where the model is used, or an empty str.

        Returns
        -------
        str
        """
        if self.cost is None:
            return ""
        cost, low, high = (cost_number(self.cost[key]) for key in ("cost", "low", "high"))
        constant = self.deployment.constant_costs()
        parts = ", ".join(
            f"{100 * part:.3g} % {visible_text(label)}"
            for label, part in zip(self.classes, self.deployment.prior, strict=True)
        )
        named = parts if len(self.classes) <= 4 else "the class fractions it was made for"
        return (
            f"Where the model is used ({named}) 1000 images cost {cost}, with a 95 % interval from "
            f"{low} to {high}. The cheapest of calling every image the same class, "
            f"{visible_text(self.classes[constant.argmin()])}, costs {cost_number(constant.min())}."
        )

    def listed_mistakes(self) -> list[int]:
        """Return the indices of the mistakes of all classes, the most confident first.

        Returns
        -------
        list of int
        """
        rows = [int(row) for rows in self.mistakes.values() for row in rows]
        if self.confidence is None:
            return rows
        return sorted(rows, key=lambda row: (-self.confidence[row], row))  # pyright: ignore

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file.

        Returns
        -------
        dict
        """
        labels, truth, predicted = (
            values.tolist() for values in (self.classes, self.y_true, self.y_pred)
        )
        return {
            "schema": 1,
            "task": self.task,
            **self.facts,
            "n_samples": len(truth),
            "classes": labels,
            "minority": self.minority,
            "scores": self.scores,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            **({} if self.cost is None else {"deployment": self.cost}),
            "per_class": {
                str(label): row | _written(ends)
                for label, row, ends in zip(
                    labels,
                    self.per_class.to_dict("records"),
                    self.class_intervals.to_dict("records"),
                    strict=True,
                )
            },
            "confusion_matrix": self.confusion_matrix.tolist(),
            "mistakes": [
                {
                    "file": self._name(row),
                    "label": truth[row],
                    "predicted": predicted[row],
                    "probability": None if self.confidence is None else float(self.confidence[row]),
                }
                for row in self.listed_mistakes()
            ],
        }

    def __str__(self) -> str:
        """Return the report for a terminal."""
        labels = [visible_text(label) for label in self.classes]
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        lines = [f"{counted(len(self.y_true), 'image')}: {shown}"]
        lines.append(intervals_text(self.intervals, "{:.3f}"))
        lines += [self.remark()] if self.remark() else []
        if "decisions" in self.facts:
            lines.append(f"decisions: {visible_text(self.facts['decisions'])}")
        lines += ["", self.table_text(), "", self.fractions_remark()]
        lines += [self.cost_remark(), ""] if self.cost_remark() else [""]
        matrix = pd.DataFrame(self.confusion_matrix, index=labels, columns=labels)
        lines += ["true classes in rows, predicted ones in columns", _aligned(matrix)]
        rows = self.listed_mistakes()
        if rows:
            known = "" if self.confidence is None else ", with the probability of that class"
            lines += ["", f"the most confident mistakes{known}"]
        lines += [
            visible_text(f"{self._name(row)}: {self.y_true[row]} as {self._told(row)}")
            for row in rows[:MOST_LISTED]
        ]
        return "\n".join(lines)

    def table_text(self) -> str:
        """Return precision, recall, F1 and support of each class as text.

        Returns
        -------
        str
        """
        table = self.per_class[["precision", "recall", "f1", "support"]]
        table = table.set_axis([visible_text(label) for label in self.classes])
        return _aligned(table)

    def _page(self):
        rarest = self.per_class["support"].sort_values(kind="stable").index.tolist()
        shown = [label for label in rarest if label in self.mistakes][:MOST_CLASSES_SHOWN]
        rows = {label: self.mistakes[label].tolist() for label in shown}
        captions = {label: [self._told(row) for row in rows[label]] for label in shown}
        return render_page(
            "evaluation_labels.html.j2",
            evaluation=self,
            matrix=confusion_view(self.confusion_matrix, self.classes),
            mistakes=self._pictures(rows, captions),
            alt="An image of {}, taken for {}".format,
            scores=self.scores,
            intervals=self.intervals,
            facts=self.facts,
            per_class=list(
                zip(
                    self.classes.tolist(),
                    self.per_class.to_dict("records"),
                    self.class_intervals.to_dict("records"),
                    strict=True,
                )
            ),
            listed=[
                (self._name(row), self.y_true[row], self._told(row))
                for row in self.listed_mistakes()
            ],
            most_classes=MOST_CLASSES_SHOWN,
        )
