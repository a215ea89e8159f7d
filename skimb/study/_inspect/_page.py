"""An inspection as one HTML file that needs no other."""

import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from skimb._image_decoding import decode
from skimb.study._inspect._words import explained, nothing_found, percent
from skimb.study._report import render_page

__all__ = ["inspection_page"]

#: Images, groups and files of each kind that the page shows at most.
MOST_SAMPLES, MOST_GROUPS, MOST_OF_GROUP, MOST_FILES, MOST_CLASSES = 6, 30, 6, 100, 30

#: The longer side of the pictures of copies, in pixels, and the letters of a file name at most.
PICTURE, LONGEST_NAME = 192, 48


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

    def card(row, *notes, large=False):
        side = "test" if row >= samples.n_train else "train"
        shown = [] if labels is None else [str(labels[row])]
        if len(samples) > samples.n_train:
            shown.append(side)
        return {
            "source": _source(_pixels(samples, row) if large else samples.small[row]),
            "name_parts": _parts(Path(samples.names[row]).name),
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
            # In a group of two, the words stand below both.
            notes = [_words(pair)] if pair and len(rows) > 2 else []
            cards.append(card(row, *notes, large=True))
        pair = changes.get((rows[0], rows[1]))
        groups.append(
            {
                "cards": cards,
                "n_more": max(0, len(rows) - MOST_OF_GROUP),
                "words": _words(pair) if pair and len(rows) == 2 else f"{len(rows)} images",
            }
        )
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
        explained=explained(inspection.copies),
        nothing_found=nothing_found(inspection),
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


def _words(pair):
    """Say how the images of a pair are related, and by how much they differ."""
    if pair.is_exact:
        return pair.kind
    # A line must not end between a number and its unit.
    differ = percent(pair.misfit).replace(" %", "\N{NO-BREAK SPACE}%")
    return f"similar{f', {pair.change}' if pair.change else ''}; differ by {differ}"


def _parts(name):
    """Return the parts of a file name between which a line may break; long ones lose a middle."""
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 2]} … {name[-LONGEST_NAME // 2 :]}"
    return re.findall(r"[^_\-. ]*[_\-. ]*", name)


def _pixels(samples, row):
    """Return an image at the size of the page, in its own colours where it is a file."""
    if samples.paths is None:
        return samples.small[row]
    _, mode, width, height, turn = samples.facts[row]
    if turn in (5, 6, 7, 8):
        width, height = height, width
    scale = min(1.0, PICTURE / max(width, height))
    channels = 1 if mode in ("1", "L", "I", "F", "I;16") else 3
    shape = channels, max(1, round(height * scale)), max(1, round(width * scale))
    pixels, _ = decode(samples.paths[row], shape)
    if pixels.dtype != np.uint8:
        return samples.small[row]
    return pixels[..., 0] if channels == 1 else pixels


def _source(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
