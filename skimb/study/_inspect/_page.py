"""An inspection as one HTML file that needs no other."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from skimb.study._report import render_page

__all__ = ["inspection_page"]

#: Images, groups and files of each kind that the page shows at most.
MOST_SAMPLES, MOST_GROUPS, MOST_OF_GROUP, MOST_FILES, MOST_CLASSES = 6, 30, 6, 100, 30


def inspection_page(inspection):
    """Return the HTML page of an inspection.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    str
    """
    samples, labels = inspection.samples, inspection.samples.labels

    def card(row, *notes):
        side = "test" if row >= samples.n_train else "train"
        shown = [] if labels is None else [str(labels[row])]
        if len(samples) > samples.n_train:
            shown.append(side)
        return {
            "source": _source(samples.small[row]),
            "name": "/".join(Path(samples.names[row]).parts[-2:]),
            "full_name": samples.names[row],
            "notes": [*shown, *notes],
        }

    classes = []
    facts = inspection.to_dict()
    for one in facts["classes"][:MOST_CLASSES]:
        rows = np.flatnonzero(np.asarray(labels) == one["label"])
        rows = [int(row) for row in rows if row not in samples.broken]
        chosen = rows[:: max(1, len(rows) // MOST_SAMPLES)][:MOST_SAMPLES]
        classes.append(one | {"cards": [card(row) for row in chosen]})
    changes = {(pair.first, pair.second): pair for pair in inspection.pairs}
    groups = []
    ordered = sorted(inspection.sets_of_copies(), key=lambda rows: -_interest(inspection, rows))
    for rows in ordered[:MOST_GROUPS]:
        cards = []
        for row in rows[:MOST_OF_GROUP]:
            pair = next((changes[other, row] for other in rows if (other, row) in changes), None)
            cards.append(card(row, *([pair.change or pair.kind] if pair else [])))
        groups.append({"cards": cards, "n_more": max(0, len(rows) - MOST_OF_GROUP)})
    doubtful = [
        card(one["row"], f"looks like {one['looks_like']} ({one['probability_of_other']:.0%})")
        for one in inspection.doubtful or []
    ]
    return render_page(
        "inspection.html.j2",
        inspection=inspection,
        facts=facts,
        classes=classes,
        groups=groups,
        n_groups=len(ordered),
        doubtful=doubtful,
        constant=[card(int(row)) for row in samples.constant[: 2 * MOST_SAMPLES]],
        most_files=MOST_FILES,
    )


def _interest(inspection, rows):
    """Return how much a group matters: across the split, across classes, then by size."""
    samples = inspection.samples
    sides = {row >= samples.n_train for row in rows}
    labels = set() if samples.labels is None else {str(samples.labels[row]) for row in rows}
    return 1e6 * (len(sides) > 1) + 1e5 * (len(labels) > 1) + len(rows)


def _source(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
