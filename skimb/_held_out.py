"""Hold out a validation part that shares nothing with the training part.

Equal samples, and samples of one group, form a joint group that goes to one side as a whole. So if
a resampler ran before ``fit``, the training still sees no copies of validation samples.
"""

import numpy as np
from scipy.sparse import coo_array

from skimb._groups import sample_groups
from skimb._image_source import as_source
from skimb._messages import shown
from skimb._warnings import warn

__all__ = ["hold_out", "related"]


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
    advice=None,
    consequence="they are never held out",
):
    """Split samples into a training and a validation part, by class and without leaks.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, ...)
        The samples; those of equal keys stay together. If a sampler made the images, only copies of
        originals are held out, and samples that share an original or a group with these are left
        out of both parts. With groups, samples are also left out if one of their parents, and so
        its group, is not among the samples.
    target : ndarray of shape (n,)
        Class indices.
    fraction : float
        Fraction of each class to hold out.
    rng : RandomState
        The source of the choice.
    least : int, default=1
        The least number of samples of each class to hold out, where that is not more than a quarter
        of it.
    groups : ndarray of shape (n,), int, default=None
        The group of each sample; samples of one group stay together.
    classes : ndarray of shape (n_classes,), default=None
        Labels, for the warning.
    kind : str, default="class"
        The word for a class in the error.
    advice : str, default=None
        Another way out, for the end of the error.
    consequence : str, default="they are never held out"
        The consequence for classes that cannot be split, for the end of the warning.

    Returns
    -------
    train, valid : ndarray of int
        Sample indices, sorted.

    Warns
    -----
    UserWarning
        If classes cannot be split in this way; their samples stay in the training part.

    Raises
    ------
    ValueError
        If no class can be split.
    """
    view = as_source(images).lineage
    joint = sample_groups(images, groups)
    is_original = np.full(len(joint), True) if view is None else view.are_copies()
    n_classes = int(target.max()) + 1
    chosen, unsplit = _choose(
        joint[is_original], target[is_original], n_classes, fraction=fraction, least=least, rng=rng
    )
    if len(unsplit) == n_classes:
        raise ValueError(
            f"No {kind} can be split into a training and a validation part: the samples of each "
            "are all equal, or of one group. Give more samples or groups"
            f"{'' if advice is None else f', or {advice}'}."
        )
    if len(unsplit):
        labels = unsplit if classes is None else classes[unsplit]
        warn(
            f"The samples of {shown(labels)} are too few, all equal or of one group: "
            f"they stay in the training part, and {consequence}.",
        )
    is_near = np.isin(joint, chosen)
    is_valid = is_near & is_original
    if view is not None:
        is_near |= related(view, is_valid, are_grouped=groups is not None)
    return np.flatnonzero(~is_near), np.flatnonzero(is_valid)


def related(view, held, *, are_grouped):
    """Return which samples share an original with any that is held out.

    Parameters
    ----------
    view : ResampledRows
        The samples with their parents.
    held : ndarray
        A mask of the samples that are held out, or their positions.
    are_grouped : bool
        Whether samples also count if one of their parents, and so its group, is not among the
        samples.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    ancestry = view.ancestry()
    is_near = _has_any(ancestry, ancestry[held].indices)
    if are_grouped:
        present = ancestry[view.are_copies()].indices
        is_near |= _has_any(ancestry, np.setdiff1d(np.arange(ancestry.shape[1]), present))
    return is_near


def _has_any(ancestry, originals):
    """Return which samples are made from any of these originals."""
    return ancestry[:, originals].sum(axis=1) > 0


def _choose(joint, target, n_classes, *, fraction, least, rng):
    """Choose joint groups to hold out; return them and the classes without any such group."""
    size = np.bincount(joint)
    ones = np.ones(len(joint), dtype=np.intp)
    counts = coo_array((ones, (joint, target)), shape=(len(size), n_classes)).tocsr()
    class_sizes = np.bincount(target, minlength=n_classes)
    wanted = np.rint(fraction * class_sizes).astype(np.intp)
    wanted = np.maximum(np.maximum(1, wanted), np.minimum(least, class_sizes // 4))

    held = np.zeros(n_classes, dtype=np.intp)
    chosen = np.zeros(len(size), dtype=bool)
    # Joint groups of each class that are left to the training part: one must stay.
    left = np.bincount(counts.indices, minlength=n_classes)
    by_class = counts.tocsc()
    # Minority classes first: they have the fewest ways to be split.
    for k in np.argsort(class_sizes, kind="stable"):
        candidates = by_class.indices[by_class.indptr[k] : by_class.indptr[k + 1]]
        candidates = rng.permutation(candidates[~chosen[candidates]])
        smallest = candidates[np.argsort(size[candidates], kind="stable")]
        # Groups that fit, in random order; if none fits, the smallest one is taken although it is
        # too large.
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
