"""The class prior of a stream of unlabelled batches, and an alarm when it has moved."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from scipy.special import softmax

from skimb._class_prior import resolve_target_prior
from skimb._class_probabilities import log_probabilities
from skimb._messages import shown
from skimb.model_selection._labelled_scores import corrected, random_weights
from skimb.model_selection._prior_estimation import (
    checked_classifier,
    checked_fraction,
    generator,
    interval_of,
    labelled_scores,
)
from skimb.model_selection._prior_solvers import most_likely_prior
from skimb.model_selection._score_evidence import Evidence, mean_bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PriorMonitor"]


class PriorMonitor:
    r"""Watch the class prior of a stream of unlabelled batches.

    Each batch gives an estimate of the fractions of the classes, with an interval, and evidence
    that they are no longer those of the reference. The alarm is raised when the evidence exceeds
    ``1 / (false_alarm_rate / 2)``. In a stream without a change, the probability that it is ever
    raised is at most `false_alarm_rate`, however many batches there are: one half for the bounds of
    the reference, which is known from the labelled samples only, and one half for the evidence,
    which is a bet that gains nothing on average (an e-process). This holds for any number of
    samples and for any classifier, but for the calibration, which is fitted on the same labelled
    samples and has few numbers. It needs samples that are independent, of batches and of the
    reference alike: many images of one patient in a row raise false alarms.

    The alarm says that the scores are not those of the reference. If the images of each class are
    those of before (label shift), then the prior has moved, and the estimate says where to.
    Otherwise something else has changed: `estimate_prior` tests this on the samples of the window.

    Parameters
    ----------
    classifier : classifier
        Fitted, with ``predict_proba``.
    X_val : array-like of m samples
        Samples with labels that the classifier was not trained on. They calibrate the estimate.
    y_val : array-like of shape (m,)
        Their labels; every class is among them.
    reference : {"uniform"}, dict by label or None, default=None
        The class prior that the stream is compared with. None: that of the labelled samples. With
        another prior, they are weighted to it, so rare classes need enough of them.
    calibration : {"bias_corrected", "temperature"} or None, default="bias_corrected"
        As in `estimate_prior`.
    window : int, default=5
        The number of the last batches that an estimate is made of. The evidence is of all batches.
    false_alarm_rate : float, default=0.05
        The bound of the probability that a stream without a change ever raises the alarm.
    confidence_level : float, default=0.95
        The confidence of the interval of each class, in each window by itself.
    n_bootstrap : int, default=100
        The number of draws for the intervals. 0: there are none.
    random_state : int, RandomState instance or None, default=None
        Drives the bootstrap.

    Attributes
    ----------
    history_ : list of dict
        A record of each batch, as `update` returns it.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    reference_ : ndarray of shape (n_classes,)
        The class prior that the stream is compared with.
    threshold_ : float
        The evidence from which the alarm is raised.

    Raises
    ------
    ValueError
        If samples or parameters cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import PriorMonitor
    >>> rng = np.random.default_rng(0)
    >>> def draw(n, fraction):
    ...     y = (rng.random(n) < fraction).astype(int)
    ...     return rng.standard_normal((n, 2)) + 2.5 * y[:, None], y
    >>> clf = LogisticRegression().fit(*draw(1000, 0.1))
    >>> X_val, y_val = draw(1000, 0.1)
    >>> monitor = PriorMonitor(clf, X_val=X_val, y_val=y_val, random_state=0)
    >>> for fraction in [0.1, 0.1, 0.1, 0.3, 0.3, 0.3]:
    ...     record = monitor.update(draw(100, fraction)[0])
    >>> [record["alarm"] for record in monitor.history_]
    [False, False, False, False, True, True]
    >>> monitor
    PriorMonitor(LogisticRegression, window=5, false_alarm_rate=0.05): 6 batches, alarm in batch 5
    """

    def __init__(
        self,
        classifier,
        *,
        X_val,
        y_val,
        reference=None,
        calibration: str | None = "bias_corrected",
        window=5,
        false_alarm_rate=0.05,
        confidence_level=0.95,
        n_bootstrap=100,
        random_state=None,
    ):
        checked_fraction("false_alarm_rate", false_alarm_rate)
        checked_fraction("confidence_level", confidence_level)
        for name, value, least in (("window", window, 1), ("n_bootstrap", n_bootstrap, 0)):
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ValueError(
                    f"`{name}` must be a whole number, at least {least}. Got {shown(value)}."
                )
        self.classifier, self.window = classifier, window
        self.false_alarm_rate, self.confidence_level = false_alarm_rate, confidence_level
        self.classes_ = checked_classifier(classifier)
        given = resolve_target_prior(reference, classes=self.classes_, name="reference")
        labelled = labelled_scores(
            classifier, X_val, y_val, train_prior=None, calibration=calibration
        )
        if labelled is None:
            raise ValueError(
                "PriorMonitor needs `X_val` and `y_val`: samples with labels that the classifier "
                "was not trained on. They say which probabilities the reference has."
            )
        self._labelled = labelled
        fractions = labelled.counts / labelled.n_samples
        self.reference_ = fractions if given is None else given
        self.threshold_ = 2 / false_alarm_rate
        self._low, self._high = self._bounds(given, false_alarm_rate / 2)
        self._rng = generator(random_state)
        weight = random_weights(self._rng, labelled.target, n_bootstrap)
        self._corrections = list(zip(*labelled.redrawn_corrections(weight), strict=True))
        self.reset()

    def __repr__(self) -> str:
        raised = next((one["batch"] for one in self.history_ if one["alarm"]), None)
        state = "no alarm" if raised is None else f"alarm in batch {raised}"
        return (
            f"PriorMonitor({type(self.classifier).__name__}, window={self.window}, "
            f"false_alarm_rate={self.false_alarm_rate:g}): {len(self.history_)} batches, {state}"
        )

    def _bounds(self, given, error):
        """Return the bounds of the mean scores in the reference."""
        labelled = self._labelled
        scores = self._scores(labelled.log_proba)
        weight = np.ones(labelled.n_samples)
        if given is not None:
            weight = (given / labelled.counts)[labelled.target] * labelled.n_samples
        # Weighted scores, divided by the largest weight, are numbers in [0, 1] too.
        weighted = scores * (weight / weight.max())[:, None]
        bounds = [mean_bounds(values, error / scores.shape[1]) for values in weighted.T]
        low, high = np.array(bounds).T * weight.max()
        return np.minimum(low, 1.0), np.minimum(high, 1.0)

    def _scores(self, log_proba):
        """Return the scores that are watched: probabilities for a prior of equal classes.

        They tell the classes apart better than those for the training prior, in which a rare class
        hardly has a voice. Those of two classes say the same.
        """
        moved = self._labelled.corrected(log_proba) - self._labelled.log_prior
        scores = softmax(moved, axis=1)
        return scores[:, 1:] if scores.shape[1] == 2 else scores

    def reset(self) -> Self:
        """Forget all batches: a stream begins, or an alarm has been dealt with.

        Returns
        -------
        self
        """
        self.history_ = []
        self._batches = []
        self._evidence = Evidence(self._low, self._high)
        self._is_raised = False
        return self

    def update(self, X: Any) -> dict[str, Any]:
        """Take a batch into account.

        Parameters
        ----------
        X : array-like of n samples
            Unlabelled samples, in a form that the classifier reads.

        Returns
        -------
        record : dict
            ``batch``, counted from 1; ``n_samples``; ``n_window``, the samples of the window;
            ``prior`` and ``interval`` of the window, of shape (n_classes,) and (n_classes, 2) or
            None; ``absent``, the labels whose fraction is estimated as zero; ``evidence``, from
            which the alarm is raised at `threshold_`; ``alarm``, whether it was raised in this
            batch or an earlier one; ``moved``, a dict with "up" or "down" for each label whose own
            evidence exceeds the threshold, though it may be another class that has changed.

        Raises
        ------
        ValueError
            If X has no samples.
        """
        log_proba = log_probabilities(self.classifier, X)
        if not len(log_proba):
            raise ValueError("`X` has no samples. Give a batch of at least one unlabelled sample.")
        self._batches = [*self._batches, log_proba][-self.window :]
        pooled = self._labelled.raised(np.concatenate(self._batches))
        log_prior = self._labelled.log_prior
        fit = most_likely_prior(self._labelled.corrected(pooled), log_prior)
        log_evidence, by_side = self._evidence.update(self._scores(log_proba))
        log_threshold = np.log(self.threshold_)
        self._is_raised = bool(self._is_raised or log_evidence >= log_threshold)
        record = {
            "batch": len(self.history_) + 1,
            "n_samples": len(log_proba),
            "n_window": len(pooled),
            "prior": fit.prior,
            "interval": self._interval(pooled, fit.prior),
            "absent": self.classes_[fit.absent].tolist(),
            "evidence": float(np.exp(min(log_evidence, 700.0))),
            "alarm": self._is_raised,
            "moved": self._moved(by_side >= log_threshold + np.log(by_side.size)),
        }
        self.history_.append(record)
        return record

    def _moved(self, beyond):
        """Return the direction of each label whose scores have left the reference."""
        up, down = beyond
        if len(self.classes_) == 2:
            up, down = np.append(down, up), np.append(up, down)
        labels = self.classes_.tolist()
        return {
            label: "up" if up[k] else "down" for k, label in enumerate(labels) if up[k] or down[k]
        }

    def _interval(self, pooled, prior):
        if not self._corrections:
            return None
        group = np.zeros(len(pooled), dtype=np.intp)
        weight = random_weights(self._rng, group, len(self._corrections))
        start = 0.9 * prior + 0.1 / len(prior)
        draws = [
            most_likely_prior(
                corrected(pooled, *one), self._labelled.log_prior, weight=own, start=start
            ).prior
            for own, one in zip(weight, self._corrections, strict=True)
        ]
        return interval_of(np.array(draws), self.confidence_level)

    def to_frame(self) -> pd.DataFrame:
        """Return the history as a frame with one row per batch.

        Returns
        -------
        DataFrame
            With the columns ``prior[LABEL]``, ``low[LABEL]`` and ``high[LABEL]`` of each label,
            ``evidence``, ``alarm`` and ``n_samples``, by ``batch``.
        """
        rows = []
        for record in self.history_:
            row = {name: record[name] for name in ("batch", "n_samples", "evidence", "alarm")}
            for k, label in enumerate(self.classes_.tolist()):
                row[f"prior[{label}]"] = record["prior"][k]
                if record["interval"] is not None:
                    row[f"low[{label}]"], row[f"high[{label}]"] = record["interval"][k]
            rows.append(row)
        columns = ["batch", "n_samples", "evidence", "alarm"]
        frame = pd.DataFrame(rows, columns=None if rows else columns)
        return frame.set_index("batch")

    def plot(self, *, labels: Any = None, ax: Any = None) -> "Axes":
        """Plot the estimates with their intervals, the reference, and the alarm.

        Parameters
        ----------
        labels : list, default=None
            The labels to show. None: all; for two classes, the second.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        Axes

        Raises
        ------
        ValueError
            If there is no batch yet, or a label is unknown.
        """
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        if not self.history_:
            raise ValueError("There is nothing to plot yet. Call `update` with a batch first.")
        known = self.classes_.tolist()
        if labels is None:
            labels = known[1:] if len(known) == 2 else known
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"`labels` holds unknown ones: {shown(unknown)}. Known: {shown(known)}."
            )
        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        batches = [record["batch"] for record in self.history_]
        for label in labels:
            k = known.index(label)
            (line,) = ax.plot(
                batches, [record["prior"][k] for record in self.history_], label=str(label)
            )
            if self._corrections:
                low, high = np.array([record["interval"][k] for record in self.history_]).T
                ax.fill_between(batches, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
            ax.axhline(
                float(self.reference_[k]), color=line.get_color(), linestyle=":", linewidth=1
            )
        raised = [record["batch"] for record in self.history_ if record["alarm"]]
        if raised:
            ax.axvline(raised[0], color="black", linewidth=1.5, label="alarm")
        ax.set(xlabel="batch", ylabel=f"fraction in the last {self.window} batches")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        return ax
