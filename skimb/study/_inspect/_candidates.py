"""Pairs of images that may be near copies, found without comparing all pairs."""

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from skimb.study._inspect._descriptors import (
    N_ORIENTATIONS,
    WINDOWS,
    Whitening,
    inverse,
    oriented,
    ranks,
    transform,
)

__all__ = ["Candidates", "find_candidates"]

#: Least cosine of the descriptors of a pair.
LEAST_COSINE = 0.7

#: Partners of an image in one orientation of one window, and in all.
N_PER_QUERY, N_PARTNERS = 3, 16

#: Up to so many images, each is compared with all others.
FEW = 1500

#: Cells in which the partners of an image are looked for.
N_PROBES = 6

#: Products that a thread holds at a time: as many as stay near the processor.
AT_ONCE = 2**19

#: Images of which the windows are described at a time.
BLOCK = 2048


class Candidates:
    """Pairs of images, with the window and the orientation in which they look similar.

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,), int
        The window of `first`, undone by the orientation, looks like all of `second`.
    window, orientation : ndarray of shape (n_pairs,), int
    cosine : ndarray of shape (n_pairs,)
    """

    def __init__(self, first, second, window, orientation, cosine):
        self.first, self.second = first, second
        self.window, self.orientation, self.cosine = window, orientation, cosine

    def __len__(self):
        return len(self.first)


def find_candidates(small, *, random_state=0, n_jobs=None, watch=iter):
    """Return pairs of images that may be near copies.

    Parameters
    ----------
    small : ndarray of shape (n, S, S), uint8
    random_state : int, default=0
        The seed of the cells.
    n_jobs : int, default=None
        Threads, as in joblib.
    watch : callable, default=iter
        ``watch(iterable)`` yields the same items, and shows the progress.

    Returns
    -------
    Candidates
        For each image as `first` at most 16, and the other direction of pairs of whole images.
    """
    # Products of cells are too small to be shared by several threads of BLAS.
    with threadpool_limits(1, user_api="blas"):
        parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
        starts = range(0, len(small), BLOCK)
        blocks = parallel(delayed(_of_windows)(small[start : start + BLOCK]) for start in starts)
        of_windows = np.concatenate(list(blocks), axis=1)
        whitening = Whitening(of_windows[0])
        cells = _Cells(whitening(of_windows[0]), random_state)

        def search(window, orientation):
            queries = whitening(oriented(of_windows[window], inverse(orientation)))
            first, second, cosine = cells.nearest(queries)
            code = np.full(len(first), window * N_ORIENTATIONS + orientation, dtype=np.int16)
            return first, second, code, cosine

        views = [(w, o) for w in range(len(WINDOWS)) for o in range(N_ORIENTATIONS)]
        found = parallel(delayed(search)(*view) for view in views)
        found = [part for part, _ in zip(found, watch(views), strict=True)]
    first, second, code, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
    # The best view of each pair, then the best partners of each image.
    order = np.lexsort((code, -cosine, second, first))
    first, second, code, cosine = (part[order] for part in (first, second, code, cosine))
    is_new = np.r_[True, (np.diff(first) != 0) | (np.diff(second) != 0)][: len(first)]
    first, second, code, cosine = (part[is_new] for part in (first, second, code, cosine))
    order = np.lexsort((-cosine, first))
    first, second, code, cosine = (part[order] for part in (first, second, code, cosine))
    place = np.arange(len(first)) - np.searchsorted(first, first)
    kept = place < N_PARTNERS
    first, second, code, cosine = (part[kept] for part in (first, second, code, cosine))
    found = Candidates(first, second, code // N_ORIENTATIONS, code % N_ORIENTATIONS, cosine)
    return _both_ways(found, len(small))


def _both_ways(found, n_images):
    """Add the other direction of whole images: a slight crop may be the first of its pair.

    Only a part of the first image can be laid over the second, and not the other way round.
    """
    is_whole = np.flatnonzero(found.window == 0)
    there = found.first * n_images + found.second
    swapped = found.second[is_whole] * n_images + found.first[is_whole]
    rows = is_whole[~np.isin(swapped, there)]
    back = np.array([inverse(orientation) for orientation in range(N_ORIENTATIONS)])
    first, second, window, orientation, cosine = (
        np.concatenate(parts)
        for parts in (
            (found.first, found.second[rows]),
            (found.second, found.first[rows]),
            (found.window, found.window[rows]),
            (found.orientation, back[found.orientation[rows]]),
            (found.cosine, found.cosine[rows]),
        )
    )
    order = np.lexsort((-cosine, first))
    return Candidates(*(part[order] for part in (first, second, window, orientation, cosine)))


def _of_windows(small):
    """Return the descriptors of the windows of some images, of shape (n_windows, n, 64)."""
    values = ranks(small)
    return np.stack([transform(values, window) for window in WINDOWS])


class _Cells:
    """Descriptors in cells around centres: a query looks into the nearest cells alone.

    Parameters
    ----------
    base : ndarray of shape (n, d), float32
        Of unit length.
    seed : int
    """

    def __init__(self, base, seed):
        self.base, n_images = base, len(base)
        if n_images <= FEW:
            self.members, self.centres = [np.arange(n_images)], None
            return
        n_cells = int(np.sqrt(n_images))
        rng = np.random.RandomState(seed)
        centres = base[np.sort(rng.choice(n_images, n_cells, replace=False))]
        sample = base[np.sort(rng.choice(n_images, min(n_images, 40 * n_cells), replace=False))]
        for _ in range(4):
            nearest = _best_of(sample, centres, 1)[0][:, 0]
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, sample)
            length = np.linalg.norm(sums, axis=1, keepdims=True)
            centres = np.where(length > 0, sums / np.maximum(length, 1e-6), centres)
        self.centres = centres
        own = _best_of(base, centres, 1)[0][:, 0]
        order = np.argsort(own, kind="stable")
        self.members = np.split(order, np.searchsorted(own[order], np.arange(1, n_cells)))

    def nearest(self, queries):
        """Return positions of queries, those of their nearest images, and the cosines."""
        if self.centres is None:
            return self._pairs(queries, np.arange(len(queries)), self.members[0])
        cells = _best_of(queries, self.centres, N_PROBES)[0]
        rows = np.repeat(np.arange(len(queries)), N_PROBES)
        flat = cells.ravel()
        order = np.argsort(flat, kind="stable")
        ends = np.searchsorted(flat[order], np.arange(len(self.members) + 1))
        found = [
            self._pairs(queries, rows[order[start:end]], members)
            for start, end, members in zip(ends[:-1], ends[1:], self.members, strict=True)
            if end > start and len(members)
        ]
        first, second, cosine = (np.concatenate(values) for values in zip(*found, strict=True))
        return first, second, cosine

    def _pairs(self, queries, rows, members):
        """Return the best pairs of some queries and the members of a cell."""
        found, base = [], self.base[members]
        step = max(1, AT_ONCE // len(members))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            products = queries[part] @ base.T
            # Most images have no partner, and need no sorting: products are looked through once.
            i, j = np.divmod(np.flatnonzero(products >= LEAST_COSINE), len(members))
            # An image is no copy of itself.
            is_other = part[i] != members[j]
            i, j = i[is_other], j[is_other]
            is_many = np.bincount(i, minlength=len(part)) > N_PER_QUERY
            few, many = ~is_many[i], np.flatnonzero(is_many)
            found.append((part[i[few]], members[j[few]], products[i[few], j[few]]))
            if len(many):
                of_many = products[many]
                of_many[part[many][:, None] == members] = -1
                best = np.argpartition(-of_many, N_PER_QUERY - 1, axis=1)[:, :N_PER_QUERY]
                cosine = np.take_along_axis(of_many, best, axis=1)
                first = np.repeat(part[many], N_PER_QUERY)
                found.append((first, members[best.ravel()], cosine.ravel()))
        first, second, cosine = (np.concatenate(values) for values in zip(*found, strict=True))
        return first, second, cosine


def _best_of(queries, base, k):
    """Return the k largest products of each query: positions in the base, and values."""
    k = min(k, len(base))
    places = np.empty((len(queries), k), dtype=np.intp)
    values = np.empty((len(queries), k), dtype=np.float32)
    step = max(1, AT_ONCE // len(base))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        products = queries[part] @ base.T
        if k == len(base):
            best = np.broadcast_to(np.arange(k), products.shape)
        elif k == 1:
            best = products.argmax(axis=1)[:, None]
        else:
            best = np.argpartition(-products, k - 1, axis=1)[:, :k]
        places[part] = best
        values[part] = np.take_along_axis(products, best, axis=1)
    return places, values
