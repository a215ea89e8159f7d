"""Hold out a validation part that shares nothing with the training part.

Equal rows, and rows of one group, are tied together and go to one side as a whole: that is what
keeps a resampler that ran before ``fit`` from showing validation rows to the training.
"""

import numpy as np
from scipy.sparse import coo_array

from skimb._groups import sample_groups
from skimb._image_source import as_source
from skimb._warnings import warn

__all__ = ["hold_out"]


def hold_out(
    images,
    target,
    *,
    fraction,
    rng,
    least=1,
    groups=None,
    classes=None,
    kind="class",
):
    """Split rows into a training and a validation part, by class and without leaks.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, ...)
        The samples; those of equal keys stay together. Of images that a sampler made, only copies
        of originals are held out, and samples that share an original or a group with them are left
        out of both parts; with groups also those of which a parent, and so its group, is not among
        the samples.
    target : ndarray of shape (n,)
        Class indices.
    fraction : float
        Share of each class to hold out.
    rng : RandomState
        The source of the choice.
    least : int, default=1
        Rows of each class to hold out at least, where they are not more than a quarter of it.
    groups : ndarray of shape (n,), int, default=None
        Rows of one group stay together.
    classes : ndarray of shape (n_classes,), default=None
        Labels, for the warning.
    kind : str, default="class"
        What a class is called, for the error.

    Returns
    -------
    train, valid : ndarray of int
        Row indices, sorted.

    Warns
    -----
    UserWarning
        For each class that cannot be split so: its rows stay in the training part.

    Raises
    ------
    ValueError
        If no class can be split.
    """
    view = as_source(images).lineage
    bundle = sample_groups(images, groups)
    is_original = np.full(len(bundle), True) if view is None else view.are_copies()
    n_classes = int(target.max()) + 1
    chosen, unsplit = _choose(
        bundle[is_original], target[is_original], n_classes, fraction=fraction, least=least, rng=rng
    )
    if len(unsplit) == n_classes:
        raise ValueError(
            f"No {kind} can be split into a training and a validation part: the rows of each are "
            "all equal, or of one group. Give more rows or groups, or fit without groups and with "
            "early_stopping=False."
        )
    if len(unsplit):
        labels = unsplit if classes is None else classes[unsplit]
        warn(
            f"The rows of {labels.tolist()} are too few, all equal or of one group: "
            "they stay in the training part, and the validation figures say nothing about them.",
        )
    is_near = np.isin(bundle, chosen)
    is_valid = is_near & is_original
    if view is not None:
        ancestry = view.ancestry()
        is_near |= _has_any(ancestry, ancestry[is_valid].indices)
        if groups is not None:
            absent = np.setdiff1d(np.arange(ancestry.shape[1]), ancestry[is_original].indices)
            is_near |= _has_any(ancestry, absent)
    return np.flatnonzero(~is_near), np.flatnonzero(is_valid)


def _has_any(ancestry, originals):
    """Tell which rows are made of any of these."""
    return ancestry[:, originals].sum(axis=1) > 0


def _choose(bundle, target, n_classes, *, fraction, least, rng):
    """Choose bundles to hold out, and tell the classes of which none could be."""
    size = np.bincount(bundle)
    ones = np.ones(len(bundle), dtype=np.intp)
    counts = coo_array((ones, (bundle, target)), shape=(len(size), n_classes)).tocsr()
    class_sizes = np.bincount(target, minlength=n_classes)
    wanted = np.rint(fraction * class_sizes).astype(np.intp)
    wanted = np.maximum(np.maximum(1, wanted), np.minimum(least, class_sizes // 4))

    held = np.zeros(n_classes, dtype=np.intp)
    chosen = np.zeros(len(size), dtype=bool)
    # Bundles of each class that are left to the training part: one must stay.
    left = np.bincount(counts.indices, minlength=n_classes)
    by_class = counts.tocsc()
    # Rare classes first: they have the fewest ways to be split.
    for k in np.argsort(class_sizes, kind="stable"):
        candidates = by_class.indices[by_class.indptr[k] : by_class.indptr[k + 1]]
        candidates = rng.permutation(candidates[~chosen[candidates]])
        smallest = candidates[np.argsort(size[candidates], kind="stable")]
        # In random order whatever fits; where nothing does, the smallest bundle is too large too.
        for may_overshoot, order in ((False, candidates), (True, smallest)):
            for b in order:
                if held[k] >= wanted[k] or (may_overshoot and held[k] > 0):
                    break
                row = slice(counts.indptr[b], counts.indptr[b + 1])
                members, n_members = counts.indices[row], counts.data[row]
                overshoots = np.any(held[members] + n_members > wanted[members])
                if np.any(left[members] <= 1) or (overshoots and not may_overshoot):
                    continue
                chosen[b] = True
                held[members] += n_members
                left[members] -= 1
    return np.flatnonzero(chosen), np.flatnonzero(held == 0)
