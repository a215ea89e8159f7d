"""Exact and near copies among images: pairs, and groups of samples that belong together."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skimb.study._inspect._alignment import align
from skimb.study._inspect._candidates import find_candidates
from skimb.study._inspect._descriptors import WINDOWS

__all__ = ["Copies", "Pair", "find_copies", "groups_of"]

#: The largest and the smallest misfit up to which two images are near copies; which one holds
#: between these depends on how much the images of the set resemble each other.
LOOSE, STRICT = 0.15, 0.05

#: The fraction of images whose third best partner may be called a copy. Few images have three
#: copies, so that these partners show how much different images resemble each other.
LOOKALIKES = 0.005

#: The part of their misfit up to which two images are near copies.
SAFE = 0.8

#: Without so many images, resemblance cannot be measured, and a middle value is taken.
FEW, MIDDLE = 60, 0.1

#: Groups of near copies that are larger are checked for chains.
LARGE_GROUP = 20

#: The words for the eight orientations.
TURNS = {
    0: "",
    1: "mirrored",
    2: "flipped upside down",
    3: "turned by 180 degrees",
    4: "transposed",
    5: "turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "transposed",
}


@dataclass(frozen=True)
class Pair:
    """Two images that are equal, or that are similar enough to be copies of each other.

    Parameters
    ----------
    first, second : int
        Positions of the images.
    kind : {"same file", "same pixels", "near copy"}
    change : str
        How the second differs from the first, in words; empty where that is not known.
    misfit : float
        How far they differ: the fraction of the details, as a standard deviation, that they do not
        share after one is laid over the other. 0 for equal images, 1 for images without anything in
        common.
    """

    first: int
    second: int
    kind: str
    change: str = ""
    misfit: float = 0.0

    @property
    def is_exact(self):
        """Whether bytes or pixels are equal; otherwise the two are merely similar."""
        return self.kind != "near copy"


@dataclass
class Copies:
    """All copies among some images.

    Parameters
    ----------
    pairs : list of Pair
    groups : ndarray of shape (n,), int
        The group of each image, in the order of their first images.
    threshold : float
        The misfit up to which two images are near copies.
    lookalike : float or None
        The misfit of the most similar images that are probably different ones; None where the set
        is too small to tell, or too varied for the limit to depend on it.
    n_chained : int
        Images of groups that were cut, as they were held together by weak links.
    """

    pairs: list
    groups: np.ndarray
    threshold: float
    n_chained: int = 0
    lookalike: float | None = None


def find_copies(samples, *, near=True, n_jobs=None, watch=lambda items, what: iter(items)):
    """Find exact and near copies.

    Parameters
    ----------
    samples : Samples
    near : bool, default=True
        Whether near copies are looked for.
    n_jobs : int, default=None
        Threads that look for near copies, as in joblib.
    watch : callable
        ``watch(iterable, words)`` yields the same items, and shows the progress.

    Returns
    -------
    Copies
    """
    pairs, alone = _exact(samples)
    threshold, n_chained, lookalike = MIDDLE, 0, None
    # An image without contrast looks like any other one.
    flat = set(samples.constant.tolist())
    rows = np.array([row for row in alone if row not in flat], dtype=np.intp)
    if near and len(rows) > 1:
        small = samples.small[rows]
        candidates = find_candidates(
            small, n_jobs=n_jobs, watch=lambda items: watch(items, "looking for near copies")
        )
        misfit, placed = align(
            small,
            candidates,
            WINDOWS,
            n_jobs=n_jobs,
            watch=lambda items: watch(items, "checking pixels"),
        )
        lookalike = _lookalike(candidates.first, misfit, len(rows))
        threshold = _threshold(lookalike, len(rows))
        found = _near_pairs(rows, candidates, misfit, placed, threshold)
        found, n_chained = _without_chains(found, pairs, len(samples), threshold)
        pairs += found
    pairs.sort(key=lambda pair: (pair.first, pair.second))
    return Copies(pairs, groups_of(pairs, len(samples)), threshold, n_chained, lookalike)


def _exact(samples):
    """Return pairs of equal images, and the positions of one image of each kind."""
    by_look = defaultdict(list)
    for row in samples.readable.tolist():
        by_look[samples.small[row].tobytes()].append(row)
    pairs, alone = [], []
    for rows in by_look.values():
        alone.append(rows[0])
        if len(rows) == 1:
            continue
        files, pixels = {}, {}
        for row in rows:
            file = samples.digest(row, of_file=True)
            if file in files:
                kind = "same file" if samples.paths is not None else "same pixels"
                pairs.append(Pair(files[file], row, kind))
                continue
            files[file] = row
            content = samples.digest(row, of_file=False)
            if content in pixels:
                pairs.append(Pair(pixels[content], row, "same pixels"))
                continue
            pixels[content] = row
            # Equal at a small size: one is the other in a larger or smaller format.
            if row != rows[0] and row not in samples.constant:
                pairs.append(Pair(rows[0], row, "near copy", "resized or saved again"))
    return pairs, alone


def _lookalike(first, misfit, n_images):
    """Return the misfit of the most similar images that are probably different; None: not known."""
    if n_images < FEW:
        return None
    order = np.lexsort((misfit, first))
    first, misfit = first[order], misfit[order]
    place = np.arange(len(first)) - np.searchsorted(first, first)
    third = misfit[(place == 2) & np.isfinite(misfit)]
    allowed = int(LOOKALIKES * n_images)
    if len(third) <= allowed:
        return None
    found = float(np.sort(third)[allowed])
    # Beyond, the limit does not depend on it, and pairs are given up before they are aligned well.
    return found if found < LOOSE / SAFE else None


def _threshold(lookalike, n_images):
    """Return the misfit up to which two images of this set are near copies."""
    if lookalike is None:
        return MIDDLE if n_images < FEW else LOOSE
    return float(np.clip(lookalike * SAFE, STRICT, LOOSE))


def _near_pairs(rows, candidates, misfit, placed, threshold):
    best = {}
    for k in np.flatnonzero(misfit <= threshold):
        first, second = int(rows[candidates.first[k]]), int(rows[candidates.second[k]])
        key = min(first, second), max(first, second)
        if key not in best or misfit[k] < best[key].misfit:
            change = _words(candidates.orientation[k], placed[k], is_first=first == key[0])
            best[key] = Pair(*key, "near copy", change, float(misfit[k]))
    return list(best.values())


def _words(orientation, place, *, is_first):
    """Say how an image differs from another."""
    parts = [TURNS[int(orientation)]] if orientation else []
    kept = place[2] * place[3]
    if kept < 0.96:
        part = f"{kept:.0%} of the image"
        parts.append(f"cropped to {part}" if is_first else f"of which the other is {part}")
    return ", ".join(parts)


def _without_chains(found, exact, n_images, threshold):
    """Cut large groups that hold together only by weak links; count the images in them."""
    groups = groups_of([*exact, *found], n_images)
    large = np.flatnonzero(np.bincount(groups) > LARGE_GROUP)
    members = {group: set(np.flatnonzero(groups == group).tolist()) for group in large.tolist()}
    n_chained, in_doubt = 0, set()
    for rows in members.values():
        links = [pair for pair in found if pair.first in rows]
        # In a true group, most images resemble several others: a chain has one link an image.
        if len(links) < 1.5 * len(rows):
            in_doubt |= rows
            n_chained += len(rows)
    kept = [pair for pair in found if pair.first not in in_doubt or pair.misfit <= threshold / 2]
    return kept, n_chained


def groups_of(pairs, n_images):
    """Return the number of each image's group, in the order of the first images.

    Parameters
    ----------
    pairs : list of Pair
    n_images : int

    Returns
    -------
    ndarray of shape (n_images,), int
    """
    first, second = (
        np.array([getattr(pair, name) for pair in pairs], dtype=np.intp)
        for name in ("first", "second")
    )
    links = coo_array((np.ones(len(pairs), dtype=bool), (first, second)), shape=(n_images,) * 2)
    component = connected_components(links, directed=False)[1]
    _, start, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(start))[number]
