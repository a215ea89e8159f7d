"""Reliability curves for the report of a comparison, and the table of calibration errors."""

import numpy as np

from skimb.study._calibration_text import CALIBRATION_HEADS, words_of_poor_ones
from skimb.study._charts import axis_of, line_path, spread_out
from skimb.study._strategies import CONSTANT

__all__ = ["calibration_view"]

#: Size of a panel in pixels of the page on a phone; the numbers of images stand above its frame.
PANEL = {"width": 260, "height": 208, "left": 42, "right": 252, "top": 32, "bottom": 168}

#: The width of a digit, and the space around a number, in the row of numbers.
DIGIT, SPACE = 5.6, 5.0


def calibration_view(comparison):
    """Return what the report shows of the probabilities.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict or None
        ``rows`` of the table, those of the smallest Brier score first, their ``heads``, a sentence
        on ``poor`` ones, the names ``without`` probabilities, and ``events``: pairs of "minority"
        or "predicted" and panels.
        None: no strategy tells probabilities.
    """
    errors = comparison.calibration
    known = errors.dropna().sort_values("brier", kind="stable")
    if not len(known):
        return None
    names = [
        name
        for name in comparison.strategies
        if name in known.index and comparison.chosen[name].name != CONSTANT
    ]
    # With many classes the minority class has few images, and its curve few points.
    events = ["minority"] if len(comparison.classes) == 2 else ["predicted", "minority"]
    return {
        "heads": list(CALIBRATION_HEADS.values()),
        "rows": [
            (name, [f"{values[key]:.3f}" for key in CALIBRATION_HEADS])
            for name, values in zip(known.index, known.to_dict("records"), strict=True)
        ],
        "poor": words_of_poor_ones(comparison, errors),
        "without": [name for name in comparison.strategies if name not in known.index],
        "events": [
            (event, [_panel(name, comparison.reliability(name, event)) for name in names])
            for event in events
            if names
        ],
    }


def _panel(name, curve):
    """Return the reliability curve of one strategy as a small chart."""
    x_axis = axis_of([0, 1], PANEL["left"], PANEL["right"], n_ticks=5, margin=0)
    y_axis = axis_of([0, 1], PANEL["bottom"], PANEL["top"], n_ticks=4, margin=0)
    x, y, low, high = (
        axis.at(curve[part].to_numpy())
        for axis, part in (
            (x_axis, "probability"),
            (y_axis, "fraction"),
            (y_axis, "low"),
            (y_axis, "high"),
        )
    )
    counts = [_short_count(n) for n in curve["n_images"]]
    places = spread_out(
        x.tolist(),
        gap=[DIGIT * len(text) + SPACE for text in counts],
        low=PANEL["left"] - 8,
        high=PANEL["width"],
    )
    told = "; ".join(
        f"{one.probability:.2f}: {one.fraction:.2f} of {one.n_images}"
        for one in curve.itertuples(index=False)
    )
    return PANEL | {
        "name": name,
        "x": x_axis,
        "y": y_axis,
        "line": line_path(x, y),
        "points": [
            {"x": left, "y": top, "low": bottom, "high": end, "text": text, "place": round(at, 1)}
            for left, top, bottom, end, text, at in zip(
                x.tolist(), y.tolist(), low.tolist(), high.tolist(), counts, places, strict=True
            )
        ],
        "text": f"Reliability of {name}, as probability: fraction of images. {told}",
    }


def _short_count(n):
    return str(n) if n < 1000 else f"{np.round(n / 1000):.0f}k"
