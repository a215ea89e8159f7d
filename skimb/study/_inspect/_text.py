"""An inspection in words, for a terminal."""

from collections import Counter

import numpy as np

from skimb._drawn_text import visible_text
from skimb._messages import counted
from skimb.study._inspect._words import (
    LOOK,
    difference,
    explained,
    nothing_found,
    percent,
    relation,
)

__all__ = ["inspection_text"]

#: Files that the text lists of each kind at most.
MOST_LISTED = 5


def inspection_text(found):
    """Return the report of an inspection for a terminal.

    Parameters
    ----------
    found : Inspection

    Returns
    -------
    str
    """
    samples, names = found.samples, found.samples.names
    n_test = len(samples) - samples.n_train
    sizes = f"{counted(samples.n_train, 'training image')}, {counted(n_test, 'test image')}"
    if found.broken:
        sizes += f"; {len(found.broken)} of these cannot be read, and are not counted below"
    lines = [sizes]
    for one in found.to_dict()["classes"]:
        tested = f", {one['n_test']} for the test" if n_test else ""
        lines.append(f"  {one['label']}: {one['n_train']}{tested}")
    if found.sizes:
        shown = [f"{width} x {height} ({n})" for (width, height), n in found.sizes.most_common(3)]
        more = f" and {len(found.sizes) - 3} more" if len(found.sizes) > 3 else ""
        formats = ", ".join(f"{name} ({n})" for name, n in found.formats.most_common())
        lines.append(f"sizes: {', '.join(shown)}{more}; formats: {formats}")
    kinds = ("image", "images") if samples.paths is None else ("file", "files")
    lines += _listed(
        tuple(f"{kind} cannot be read" for kind in kinds),
        [f"{file} ({reason})" for file, reason in found.broken.items()],
    )
    lines += _listed(
        ("image of one colour", "images of one colour"),
        [names[row] for row in samples.constant],
    )
    pairs = ("pair of equal or similar images", "pairs of equal or similar images")
    lines += _listed(
        tuple(f"{words} in two classes" for words in pairs),
        [_told(found, pair) for pair in _by_misfit(found.conflicts)],
    )
    across = [
        pair
        for pair in found.pairs
        if pair.first < samples.n_train <= pair.second and pair not in found.conflicts
    ]
    lines += _listed(
        tuple(f"{words} on both sides of the test split" for words in pairs),
        [_told(found, pair) for pair in _by_misfit(across)],
    )
    lines += _of_copies(found)
    if found.doubtful:
        lines.append("labels to look at first (they need not be wrong):")
        lines += [
            f"  {one['file']}: {one['label']}, looks like {one['looks_like']}"
            for one in found.doubtful[: 2 * MOST_LISTED]
        ]
    lines.append("")
    lines += [
        f"{i}. {one['advice']} {one['why']} ({one['link']})"
        for i, one in enumerate(found.advice, 1)
    ] or [nothing_found(found)]
    return "\n".join(visible_text(line) for line in lines)


def _by_misfit(pairs):
    return sorted(pairs, key=lambda pair: pair.misfit)


def _told(found, pair):
    """Say in words how two images are related; equal ones are called so, and no others."""
    first, second = (
        found.samples.names[row]
        + ("" if found.samples.labels is None else f" ({_label(found.samples, row)})")
        for row in (pair.first, pair.second)
    )
    return f"{first} {relation(pair)} {second}{difference(pair)}"


def _of_copies(found):
    """Return lines about all copies, and how to look at them."""
    if not found.pairs:
        return ["copies: none were found"]
    exact = Counter(pair.kind for pair in found.pairs if pair.is_exact)
    words = [f"{counted(n, 'pair')} of the {kind}" for kind, n in exact.items()]
    similar = [pair.misfit for pair in found.pairs if not pair.is_exact]
    if similar:
        words.append(
            f"{counted(len(similar), 'pair')} of similar images, which differ by {_span(similar)}"
        )
    n_groups = len(found.sets_of_copies())
    lines = [f"copies: {', '.join(words)}; {counted(n_groups, 'group')} in all"]
    if similar:
        lines.append(f"  {explained(found.copies)} {LOOK}")
    return lines


def _span(misfits):
    low, high = percent(min(misfits)), percent(max(misfits))
    return low if low == high else f"{low} to {high}"


def _listed(what, items):
    if not items:
        return []
    one, many = what
    more = f"; and {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    words = one if len(items) == 1 else many
    return [f"{len(items)} {words}: {'; '.join(items[:MOST_LISTED])}{more}"]


def _label(samples, row):
    return np.asarray(samples.labels[row]).item()
