"""The report of a comparison for labels: its figures and tables."""

import numpy as np

from skimb._class_intervals import per_class_intervals
from skimb.study._classification_strategies import BUILT_ON_BASELINE
from skimb.study._comparison_text import AS_THEY_ARE, told_of_shared
from skimb.study._confusion_tables import confusion_view
from skimb.study._cost_charts import costs_view
from skimb.study._more_images_chart import more_images_chart
from skimb.study._reliability_chart import calibration_view
from skimb.study._report import labels_of, render
from skimb.study._report_charts import trade_chart
from skimb.study._report_images import picture_source
from skimb.study._sample_images import MOST_CLASSES_SHOWN
from skimb.study._strategies import CONSTANT

__all__ = ["classification_report"]

#: Classes whose figures stand side by side; those of more stand below each other.
MOST_SIDE_BY_SIDE = 3

KINDS = ("precision", "recall", "f1")


def classification_report(comparison):
    """Render a comparison of labels as HTML.

    Parameters
    ----------
    comparison : Comparison
        The comparison to show.

    Returns
    -------
    str
    """
    return render(
        comparison,
        "classification.html.j2",
        building=labels_of(comparison, BUILT_ON_BASELINE),
        per_class=_per_class(comparison),
        trade=_trade(comparison),
        calibration=calibration_view(comparison),
        matrices={
            name: confusion_view(comparison.confusion_matrix(name), comparison.classes)
            for name in comparison.strategies
        },
        distribution=_distribution(comparison),
        costs=costs_view(comparison.deployment),
        curve=None if comparison.more_images is None else more_images_chart(comparison.more_images),
        searched=_searched(comparison.search),
        shared_note=told_of_shared(comparison),
        as_they_are=AS_THEY_ARE,
        most_classes=MOST_CLASSES_SHOWN,
    )


def _searched(search):
    """Return the candidates of a search: those of the most folds first, then by their scores."""
    rows = []
    for candidate, scores in zip(search.candidates, search.scores.T, strict=True) if search else ():
        known = scores[np.isfinite(scores)]
        mean = float(known.mean()) if len(known) else None
        rows.append({"label": candidate.label, "mean": mean, "n_folds": len(known)})
    return sorted(rows, key=lambda row: (-row["n_folds"], -(row["mean"] or 0)))


def _per_class(comparison):
    """Return precision, recall and F1 of each class, where the scoring has them."""
    labels = [str(label) for label in comparison.classes if f"f1[{label}]" in comparison.metrics]
    table = comparison.table

    def cell(name, kind, label):
        own = {}
        if name in bands:
            low, high = (bands[name].loc[label, f"{kind}_{end}"] for end in ("low", "high"))
            own = {"low_own": low, "high_own": high}
        return table.loc[name, f"{kind}[{label}]"].to_dict() | {"metric": kind} | own

    bands = _bands(comparison) if 0 < len(labels) <= MOST_SIDE_BY_SIDE else {}
    if len(labels) <= MOST_SIDE_BY_SIDE:
        rows = [
            {
                "name": name,
                "cells": [cell(name, kind, label) for label in labels for kind in KINDS],
            }
            for name in comparison.strategies
        ]
        found = {"rows": rows if labels else [], "by_kind": None, "has_bands": bool(bands)}
        return {"labels": labels, "kinds": KINDS} | found
    counts = dict(zip(map(str, comparison.classes), comparison.counts.tolist(), strict=True))
    by_kind = {
        kind: [
            {
                "label": label,
                "count": counts[label],
                "cells": [cell(name, kind, label) for name in comparison.strategies],
            }
            for label in sorted(labels, key=lambda label: counts[label])
        ]
        for kind in reversed(KINDS)
    }
    return {"labels": labels, "kinds": KINDS, "rows": [], "by_kind": by_kind}


def _bands(comparison):
    """Return the intervals of each class for each strategy, where test samples are independent.

    Samples that stand in groups, or that several runs decide, are not.
    """
    protocol = comparison.protocol
    if protocol["n_groups"] or protocol["n_repeats"] != 1:
        return {}
    names = np.array([str(label) for label in comparison.classes])
    found = {}
    for name in comparison.strategies:
        tested = [comparison.tested(outcome) for outcome in comparison.outcomes[name]]
        if len(np.unique(np.concatenate([rows for rows, _, _ in tested]))) < sum(
            len(rows) for rows, _, _ in tested
        ):
            return {}
        truth, predicted = (np.concatenate([names[one[part]] for one in tested]) for part in (1, 2))
        found[name] = per_class_intervals(truth, predicted, labels=names)
    return found


def _trade(comparison):
    """Return the recall that a strategy gains against the precision that it gives up for it."""
    # With the constant, which lies so far off, nothing else could be told apart.
    names = [name for name in comparison.strategies if comparison.chosen[name].name != CONSTANT]
    metrics = ("recall_minority", "precision_minority")
    chart = trade_chart(comparison, metrics, names=names, least=0.0, most=1.0)
    if chart is None:
        return None
    # Lines of equal F1, each with its value where it leaves the chart.
    x_axis, y_axis = chart["x"], chart["y"]
    dots = [(one["x"], one["y"]) for one in chart["points"]]
    recalls = np.linspace(max(x_axis.low, 1e-3), x_axis.high, 60)
    lines = []
    for f1 in np.arange(0.1, 1.0, 0.1):
        with np.errstate(divide="ignore", invalid="ignore"):
            precisions = f1 * recalls / (2 * recalls - f1)
        is_seen = (precisions > y_axis.low) & (precisions < y_axis.high) & (2 * recalls > f1)
        if is_seen.sum() < 2:
            continue
        x, y = x_axis.at(recalls[is_seen]), y_axis.at(precisions[is_seen])
        path = "M" + "L".join(f"{left:g} {top:g}" for left, top in zip(x, y, strict=True))
        last = next((line for line in reversed(lines) if line["text"]), None)
        is_free = last is None or abs(x[0] - last["x"]) > 30 or abs(y[0] - last["y"]) > 11
        # The text goes to the right of its place.
        is_free &= not any(-8 < left - x[0] < 42 and abs(y[0] - top) < 14 for left, top in dots)
        text = f"F1 {f1:.1f}" if is_free else ""
        lines.append({"path": path, "text": text, "x": x[0], "y": y[0]})
    return chart | {"lines": lines}


def _distribution(comparison):
    """Return the number of samples of each class, the rarest first, and a few images."""
    most = comparison.counts.max()
    return [
        {
            "label": str(comparison.classes[i]),
            "count": int(comparison.counts[i]),
            "width": round(100 * float(comparison.counts[i] / most), 2),
            "pictures": [
                {"source": picture_source(pixels), "is_small": max(pixels.shape[:2]) <= 48}
                for pixels in comparison.samples.get(comparison.classes.tolist()[i], [])
            ],
        }
        for i in np.argsort(comparison.counts, kind="stable").tolist()
    ]
