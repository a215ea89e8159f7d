"""Decision curves: the net benefit of one class against the rest, over threshold probabilities."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.utils import check_random_state

from skimb._class_prior import resolve_target_prior
from skimb._drawn_text import distinct_texts, plain_text
from skimb._label_columns import by_label, column_labels, sorted_labels, unknown_labels
from skimb._messages import shown
from skimb._net_benefits import (
    checked_thresholds,
    curve_and_band,
    is_of_class,
    treat_all,
)
from skimb._params import check_sample_weight
from skimb._unpacking import plain_vector
from skimb.class_weight import minority_class
from skimb.inspection._drawn_classes import checked_columns, drawn_classes, predicted_probabilities
from skimb.inspection._layout import keep_inside, letters_within, width_of_part
from skimb.inspection._threshold_axis import percent, scale_axes

__all__ = ["DecisionCurveDisplay"]

#: Number of thresholds where none are given, and the least and the largest of them.
N_THRESHOLDS, LEAST, LARGEST = 121, 1e-4, 0.9

#: The mark of the references.
REFERENCE = "treat all"

#: For up to this number of panels: width and height of each in inches, and the size of letters.
SIZES = ((1, 6.2, 4.2, 10), (4, 3.9, 2.9, 10), (12, 3.0, 2.3, 9), (30, 2.4, 1.9, 8))
SMALLEST = (2.0, 1.6, 7)


class DecisionCurveDisplay:
    r"""The net benefit of one class against the rest, over threshold probabilities.

    A threshold probability t stands for a ratio of costs: acting from t on is right where a false
    alarm costs :math:`t / (1 - t)` of a miss [1]_. The upper axis shows this ratio. A model is of
    use for the ratios at which its curve is above both references: acting on all samples, and on
    none.

    Parameters
    ----------
    thresholds : ndarray of shape (m,)
        Threshold probabilities, sorted.
    classes : list of n_drawn labels
        The classes, each against the rest; each has a panel.
    prior : ndarray of shape (n_drawn,)
        The fraction of each class.
    net_benefit : dict of str to ndarray of shape (n_drawn, m)
        The net benefit of each model, by its name.
    bands : dict of str to ndarray of shape (2, n_drawn, m), default=None
        The lower and upper end of the interval of each.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the first class.
    axes_ : ndarray of n_drawn Axes
        The axes of all classes.
    figure_ : matplotlib Figure
        The figure of the axes.
    treat_all : ndarray of shape (n_drawn, m)
        The net benefit of acting on all samples.

    References
    ----------
    .. [1] A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for evaluating
       prediction models", Medical Decision Making 26(6), 2006, doi:10.1177/0272989X06295361.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skimb.inspection import DecisionCurveDisplay
    >>> rng = np.random.RandomState(0)
    >>> p = rng.beta(0.5, 5, size=2000)
    >>> display = DecisionCurveDisplay.from_predictions(
    ...     rng.rand(2000) < p, p, thresholds=[0.05, 0.2, 0.5])
    >>> display.net_benefit["model"].round(3)
    array([[0.061, 0.019, 0.002]])
    >>> display.treat_all.round(3)
    array([[ 0.042, -0.138, -0.821]])
    """

    def __init__(self, thresholds, *, classes, prior, net_benefit, bands: Any = None):
        self.thresholds = thresholds
        self.classes = classes
        self.prior = prior
        self.net_benefit = net_benefit
        self.bands = bands

    @property
    def treat_all(self) -> NDArray[np.float64]:
        """The net benefit of acting on all samples, for each class and threshold."""
        return np.stack([treat_all(self.thresholds, one) for one in self.prior])

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: Any,
        *,
        labels: Any = None,
        classes: Any = None,
        prior: Any = None,
        thresholds: Any = None,
        n_resamples: int = 0,
        confidence_level: float = 0.95,
        random_state: Any = 0,
        scale: str = "logit",
        sample_weight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Plot the decision curves of probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels.
        y_proba : array-like of shape (n, n_classes) or (n,), or dict of these
            Class probabilities, in the order of `labels`. For two classes those of the second one
            suffice. A frame is read by the labels of its columns. A dict holds those of several
            models by their names.
        labels : array-like of shape (n_classes,), default=None
            The label of each column. None: the sorted labels of `y_true`, or of a frame's columns.
        classes : label or list of labels, default=None
            The classes to draw, each against the rest in a panel of its own. None: of two classes
            the minority class, of more all that `y_true` holds.
        prior : {"uniform"}, dict or None, default=None
            The class fractions of the samples on which decisions will be made; a dict holds that of
            each label, and the mixture of the rest follows. None: those of `y_true`. Probabilities
            stay as they are.
        thresholds : array-like of shape (m,), default=None
            Threshold probabilities from 0 to below 1. None: from a tenth of the smallest class
            fraction to 0.9.
        n_resamples : int, default=0
            Bootstrap resamples of the samples, from which a band is drawn. 0: no band. With
            `prior`, each resample has the same number of samples of each class.
        confidence_level : float, default=0.95
            The fraction of the resamples that is in the band at each threshold.
        random_state : int, RandomState instance or None, default=0
            It determines the resamples.
        scale : {"logit", "linear"}, default="logit"
            The scale of the threshold probabilities. In ``"logit"`` equal ratios of costs are
            equally far apart, and thresholds of 0 are left out.
        sample_weight : array-like of shape (n,), default=None
            Weights. Samples are drawn for a band regardless of them, and count with them.
        ax : matplotlib Axes or array of n_drawn Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        DecisionCurveDisplay

        Raises
        ------
        ValueError
            If lengths differ, labels are unknown, `y_true` lacks a class to draw, or probabilities
            are out of range.
        """
        y = plain_vector(y_true, "y_true")
        models = dict(y_proba) if isinstance(y_proba, Mapping) else {"model": y_proba}
        if not models:
            raise ValueError("`y_proba` holds no model.")
        if labels is None:
            first = next(iter(models.values()))
            labels = column_labels(first, y, name="y_proba")
        labels = plain_vector(labels, "labels")
        unknown = unknown_labels(y, labels)
        if unknown:
            raise ValueError(
                f"`y_true` holds {shown(unknown)}, but the labels of the columns are "
                f"{shown(labels)}. Give all of them as `labels`."
            )
        columns = {name: checked_columns(y, proba, labels) for name, proba in models.items()}
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(
                sample_weight, y, dtype=np.float64, ensure_non_negative=True
            )
            counts = weight > 0
            y, weight = y[counts], weight[counts]
            columns = {name: proba[counts] for name, proba in columns.items()}
        if classes is None:
            classes = [minority_class(y)] if len(labels) == 2 else np.unique(y).tolist()
        classes = drawn_classes(classes, labels)
        order = np.argsort(labels, kind="stable")
        target = order[np.searchsorted(labels[order], y)]
        mass = np.bincount(target, weights=weight, minlength=len(labels))
        asked = resolve_target_prior(prior, classes=labels, name="prior")
        if asked is not None and not mass.all():
            raise ValueError(
                f"`prior` has fractions of {shown(labels[mass == 0])}, but y_true holds no sample "
                "of them, so that their probabilities are not known. Give such samples, or leave "
                "these classes out."
            )
        fractions = mass / mass.sum() if asked is None else asked
        is_count = isinstance(n_resamples, Integral) and not isinstance(n_resamples, bool)
        if not (is_count and n_resamples >= 0):
            raise ValueError(
                "`n_resamples` must be a whole number from 0 on, such as 1000. Got "
                f"{n_resamples!r}."
            )
        if not 0 < confidence_level < 1:
            raise ValueError(
                f"`confidence_level` must be between 0 and 1. Got {confidence_level!r}."
            )
        places = [labels.tolist().index(label) for label in classes]
        if thresholds is None:
            low = np.clip(fractions[places].min() / 10, LEAST, LARGEST / 10)
            thresholds = expit(np.linspace(logit(low), logit(LARGEST), N_THRESHOLDS))
        thresholds = np.unique(checked_thresholds(thresholds))
        rng = check_random_state(random_state)
        ends = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
        found, bands = {}, {}
        for name, proba in columns.items():
            curves, spread = [], []
            for label, place in zip(classes, places, strict=True):
                is_of_class(y, label)
                curve, band = curve_and_band(
                    target,
                    place,
                    proba[:, place],
                    thresholds,
                    weight=weight,
                    prior=asked,
                    n_resamples=n_resamples,
                    ends=ends,
                    rng=rng,
                )
                curves.append(curve)
                spread.append(band)
            found[name] = np.stack(curves)
            if n_resamples:
                bands[name] = np.stack(spread, axis=1)
        display = cls(
            thresholds,
            classes=classes,
            prior=fractions[places],
            net_benefit=found,
            bands=bands or None,
        )
        return display.plot(ax=ax, scale=scale)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        classes: Any = None,
        prior: Any = None,
        thresholds: Any = None,
        n_resamples: int = 0,
        confidence_level: float = 0.95,
        random_state: Any = 0,
        scale: str = "logit",
        sample_weight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Plot the decision curves of fitted classifiers.

        Parameters
        ----------
        estimator : classifier, or dict of str to classifier
            Fitted, with ``predict_proba``. A dict holds several by their names.
        X : array-like of n samples
            Samples that the estimator was not trained on.
        y, classes, prior, thresholds, n_resamples, confidence_level, random_state, scale
            As in `from_predictions`.
        sample_weight, ax
            As in `from_predictions`.

        Returns
        -------
        DecisionCurveDisplay

        Raises
        ------
        ValueError
            As in `from_predictions`, and if a classifier has no ``predict_proba``.
        """
        models = estimator
        if not isinstance(estimator, Mapping):
            models = {type(estimator).__name__: estimator}
        y = plain_vector(y)
        predicted = {name: predicted_probabilities(one, X) for name, one in models.items()}
        known = {f"`classes_` of {name!r}": one.classes_ for name, one in models.items()}
        labels = sorted_labels({"y": y, **known})
        found = {}
        for name, one in models.items():
            # A class that a classifier does not know has probability zero.
            found[name] = np.zeros((len(y), len(labels)))
            proba = by_label(predicted[name], one.classes_, name="predict_proba")
            found[name][:, np.searchsorted(labels, one.classes_)] = proba
        return cls.from_predictions(
            y,
            found,
            labels=labels,
            classes=classes,
            prior=prior,
            thresholds=thresholds,
            n_resamples=n_resamples,
            confidence_level=confidence_level,
            random_state=random_state,
            scale=scale,
            sample_weight=sample_weight,
            ax=ax,
        )

    def plot(self, *, ax: Any = None, scale: str = "logit") -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_drawn Axes, default=None
            The axes to plot on. None: a new figure.
        scale : {"logit", "linear"}, default="logit"
            As in `from_predictions`.

        Returns
        -------
        self
        """
        if scale not in ("logit", "linear"):
            raise ValueError(f"`scale` must be 'logit' or 'linear'. Got {scale!r}.")
        n = len(self.classes)
        width, height, size = next((one[1:] for one in SIZES if n <= one[0]), SMALLEST)
        n_columns = n if n <= 3 else int(np.ceil(np.sqrt(n)))
        is_new = ax is None
        if is_new:
            n_rows = int(np.ceil(n / n_columns))
            figure, grid = plt.subplots(
                n_rows,
                n_columns,
                figsize=(width * n_columns, height * n_rows + 0.7),
                layout="constrained",
                squeeze=False,
            )
            axes = grid.ravel()
            for empty in axes[n:]:
                empty.set_axis_off()
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            figure = axes[0].figure
            if len(axes) != n:
                raise ValueError(
                    f"`ax` must be {n} axes, one for each of {shown(self.classes)}. Got "
                    f"{len(axes)}. Choose `classes`, or leave ax=None."
                )
        axes = axes[:n]
        drawn = (self.thresholds > 0) | (scale == "linear")
        if not is_new:
            width = min(width, 0.8 * width_of_part(axes[0]) / 72)
        most = 40 if n == 1 and is_new else max(int(width * 72 / size / 0.85), 8)
        titles = distinct_texts(self.classes, most=most)
        for k, (panel, title) in enumerate(zip(axes, titles, strict=True)):
            self._draw(panel, k, drawn, scale)
            is_low = not is_new or k + n_columns >= n
            is_top = not is_new or k < n_columns
            scale_axes(panel, self.thresholds[drawn], scale, is_top, is_low, width, size)
            heading = f"{title}: {percent(self.prior[k])} of samples" if n == 1 else title
            panel.set_title(heading, fontsize=size)
            if n > 12:
                panel.set_yticks([0, self.prior[k]], ["0", percent(self.prior[k])])
        self._label(figure, axes, is_new, size)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], figure
        return self

    def _draw(self, ax, k, drawn, scale):
        """Draw the curves of one class, and the references."""
        x, everything = self.thresholds[drawn], self.treat_all[k, drawn]
        for name, curves in self.net_benefit.items():
            (line,) = ax.plot(x, curves[k, drawn], label=plain_text(name), linewidth=1.6, zorder=3)
            if self.bands is not None:
                low, high = self.bands[name][:, k, drawn]
                ax.fill_between(x, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
        # A second call for the same axes adds a model.
        before = {line.get_gid(): line for line in ax.lines}.get(REFERENCE)
        if before is None or not np.array_equal(before.get_ydata(), everything):
            style = {"color": "0.45", "linewidth": 1.1, "zorder": 2}
            ax.plot(x, everything, "--", label="treat all", gid=REFERENCE, **style)
            ax.plot(x, 0 * x, "-", label="treat none", **style | {"color": "0.2"})
        values = [curves[k] for curves in self.net_benefit.values()]
        values += [band[1, k] for band in (self.bands or {}).values()]
        # A model, or acting on all samples, may be far below zero.
        ax.set_ylim(-0.25 * self.prior[k], 1.06 * max(self.prior[k], np.nanmax(values)))
        ax.spines[["top", "right"]].set_visible(False)

    def _label(self, figure, axes, is_new, size):
        handles, texts = axes[0].get_legend_handles_labels()
        order = sorted(range(len(texts)), key=lambda i: texts[i] in ("treat all", "treat none"))
        handles, texts = [handles[i] for i in order], [texts[i] for i in order]
        if not is_new:
            most = letters_within(axes[0], 0.5, size)
            # They were made for a wider figure; axes may hold those of earlier displays.
            texts = [plain_text(text.replace(r"\$", "$"), most=most) for text in texts]
            axes[0].legend(handles, texts, frameon=False, fontsize=size)
            for panel in axes:
                keep_inside(panel)
            return
        letters = figure.get_figwidth() * 72 / 10 / 0.6
        per_row = int(np.clip(letters // (max(map(len, texts)) + 7), 1, len(texts)))
        figure.legend(handles, texts, loc="outside upper center", ncols=per_row, frameon=False)
        if len(axes) == 1:
            axes[0].set(xlabel="threshold probability", ylabel="net benefit")
            return
        figure.supxlabel("threshold probability", fontsize=10)
        figure.supylabel("net benefit", fontsize=10)
