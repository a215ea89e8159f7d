"""Whether two images are copies, by their pixels: one is laid over the other as well as possible.

A crop is a shift and a scale of each axis, which are found by the method of Lucas and Kanade (1981)
together with a gain and an offset of the grey levels. Then their details are compared: each is
divided by the contrast around it, so that what all images of a set have in common, such as the dark
bars of solar cells, counts no more than a faint spot that only one image and its copies have.
"""

from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.ndimage import gaussian_filter1d
from threadpoolctl import threadpool_limits

__all__ = ["LARGEST_CROP", "align", "common_range", "turned"]

#: The smallest part of the width or height that a crop may keep.
LARGEST_CROP = 0.82

#: How pairs are aligned, stage by stage: whether at half of the size, the blur of each step in
#: pixels, and the misfit after these steps from which on a pair is given up. Most candidates of a
#: set of images that resemble each other are given up at half of the size.
STAGES = (
    (True, (1.3,), 0.7),
    (True, (1.3, 1.3, 0.0, 0.0), 0.42),
    (False, (0.7,), 0.28),
    (False, (0.7, 0.7, 0.7), np.inf),
)

#: Pairs that are aligned at a time.
AT_ONCE = 256

#: Widths of the two blurs, in pixels of 64, between which details are compared: finer ones are lost
#: in JPEG files, and coarser ones are common to many images.
FINE, COARSE = 1.7, 6.0

#: Width around each pixel, in pixels of 64, over which contrast is measured, and the variance that
#: is added to it, in squared grey levels of 256: the noise of an even area is no detail.
AROUND, NOISE = 4.0, 4.0

#: Pixels of 64 at each border that are not compared: there, filters meet what a crop cut off.
MARGIN = 2

#: Grey levels outside of which a pixel is cut at black or white, and the fraction of the pixels
#: within from which the gain and the offset are taken from these alone.
DARKEST, BRIGHTEST, ENOUGH = 1.5, 253.5, 0.25


def turned(images, orientation):
    """Return images flipped or turned.

    Parameters
    ----------
    images : ndarray of shape (n, S, S)
    orientation : int
        From 0 to 7, as for descriptors.

    Returns
    -------
    ndarray of shape (n, S, S)
    """
    if orientation & 1:
        images = images[:, :, ::-1]
    if orientation & 2:
        images = images[:, ::-1]
    return images.transpose(0, 2, 1) if orientation & 4 else images


def align(small, pairs, windows, *, n_jobs=None, watch=iter):
    """Lay the first image of each pair over the second, and measure the misfit.

    Parameters
    ----------
    small : ndarray of shape (n, S, S), uint8
    pairs : Candidates
    windows : sequence of tuple of float
        The windows that the candidates name.
    n_jobs : int, default=None
        Threads, as in joblib.
    watch : callable, default=iter
        ``watch(iterable)`` yields the same items, and shows the progress.

    Returns
    -------
    misfit : ndarray of shape (n_pairs,)
        The fraction of the details, as a standard deviation, that one image does not share with the
        other: 0 for equal images, 1 where they have nothing in common; infinite where the pair was
        given up, which may happen to pairs that differ by more than 0.2.
    placed : ndarray of shape (n_pairs, 4)
        Left, top, width and height of the second image in the first, as fractions.
    """
    misfit = np.full(len(pairs), np.inf)
    placed = np.array([windows[w] for w in pairs.window], dtype=np.float64).reshape(-1, 4)
    half = _halved(small)

    def lay(start):
        rows = np.arange(start, min(start + AT_ONCE, len(pairs)))
        place, found = placed[rows], np.zeros(len(rows))
        for is_half, blurs, limit in STAGES:
            if len(rows):
                first, second = _of_pairs(half if is_half else small, pairs, rows)
                place = _refined(first, second, place, blurs)
                found = _misfit(first, second, place)
                kept = found < limit
                rows, place, found = rows[kept], place[kept], found[kept]
        placed[rows], misfit[rows] = place, found

    starts = range(0, len(pairs), AT_ONCE)
    # Products of pairs are too small to be shared by several threads of BLAS.
    with threadpool_limits(1, user_api="blas"):
        parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
        done = parallel(delayed(lay)(start) for start in starts)
        for _ in zip(done, watch(starts), strict=True):
            pass
    return misfit, placed


def _halved(images):
    """Return images at half of their size; a float of 16 bits holds the mean of four pixels."""
    n, side, _ = images.shape
    half = np.empty((n, side // 2, side // 2), dtype=np.float16)
    for start in range(0, n, AT_ONCE):
        part = images[start : start + AT_ONCE].astype(np.float32)
        rows = part[:, ::2] + part[:, 1::2]
        half[start : start + AT_ONCE] = (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
    return half


def _of_pairs(images, pairs, rows):
    """Return the first and the second images of some pairs, the second ones turned."""
    first, second = (images[part[rows]].astype(np.float32) for part in (pairs.first, pairs.second))
    orientations = pairs.orientation[rows]
    for orientation in np.unique(orientations[orientations > 0]):
        chosen = orientations == orientation
        second[chosen] = turned(second[chosen], orientation)
    return first, second


def _blurred(images, sigma):
    if sigma == 0:
        return images
    # For small images, products of matrices are several times as fast as a filter.
    matrix = _blur(images.shape[1], sigma)
    return np.matmul(np.matmul(matrix, images), matrix.T)


@cache
def _blur(side, sigma):
    """Return the matrix that blurs the columns of an image."""
    return gaussian_filter1d(np.eye(side), sigma, axis=0).astype(np.float32)


@cache
def _slope(side):
    """Return the matrix that takes the slopes along the columns of an image."""
    return (np.gradient(np.eye(side), axis=0) * side).astype(np.float32)


def _sampling(start, size, side):
    """Return matrices that sample rows by cubic interpolation, and which samples are inside."""
    places = (start[:, None] + size[:, None] * ((np.arange(side) + 0.5) / side)) * side - 0.5
    is_inside = (places > -0.75) & (places < side - 0.25)
    places = np.clip(places, 0, side - 1)
    left = np.floor(places).astype(np.intp)
    t = (places - left).astype(np.float32)
    # Catmull and Rom: linear interpolation would blur, and the blur would count as a difference.
    weights = (
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    # One pixel more on the left and two on the right: there, border pixels are repeated.
    matrix = np.zeros((len(start), side + 3, side), dtype=np.float32)
    np.put_along_axis(matrix, left[:, None] + np.arange(4)[:, None], np.stack(weights, 1), axis=1)
    matrix[:, 1] += matrix[:, 0]
    matrix[:, side] += matrix[:, side + 1] + matrix[:, side + 2]
    return matrix[:, 1 : side + 1], is_inside


def _warped(images, place):
    """Return the part of each image that `place` tells, and which pixels are inside of it."""
    side = images.shape[1]
    columns, inside_x = _sampling(place[:, 0], place[:, 2], side)
    rows, inside_y = _sampling(place[:, 1], place[:, 3], side)
    warped = np.matmul(np.matmul(rows.transpose(0, 2, 1), images), columns)
    margin = max(1, round(MARGIN * side / 64))
    for inside in (inside_x, inside_y):
        inside[:, :margin] = inside[:, -margin:] = False
    return warped, (inside_y[:, :, None] & inside_x[:, None, :]).astype(np.float32)


def _refined(first, second, place, blurs):
    """Improve the places of the second images in the first ones, by a step for each blur."""
    for blur, steps in groupby(blurs):
        blurred = _blurred(first, blur), _blurred(second, blur)
        for _ in steps:
            place = _step(*blurred, place)
    return place


def _step(first, second, place) -> Any:
    n_pairs, side = first.shape[:2]
    across = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    warped, mask = _warped(first, place)
    warped -= warped.mean(axis=(1, 2), keepdims=True)
    slope = _slope(side)
    # The columns of the least squares, and what they are to yield.
    design = np.empty((n_pairs, 7, side, side), dtype=np.float32)
    np.multiply(warped, mask, out=design[:, 0])
    design[:, 1] = mask
    np.multiply(np.matmul(warped, slope.T), mask, out=design[:, 2])
    np.multiply(design[:, 2], across, out=design[:, 3])
    np.multiply(np.matmul(slope, warped), mask, out=design[:, 4])
    np.multiply(design[:, 4], across[:, None], out=design[:, 5])
    design[:, 6] = second
    design = design.reshape(n_pairs, 7, -1)
    products = np.matmul(design[:, :6], design.transpose(0, 2, 1)).astype(np.float64)
    gram, wanted = products[:, :, :6], products[:, :, 6:]
    diagonal = np.einsum("mii->mi", gram)
    # Where an image has no detail along an axis, it is not moved along it. The gain is free.
    ridge = np.where(np.arange(6) < 2, 1e-9, 1e-5) * diagonal + 1e-9
    gram = gram + np.eye(6) * ridge[:, None]
    found = np.linalg.solve(gram, wanted)[..., 0]
    gain = np.where(np.abs(found[:, 0]) < 0.2, 0.2, found[:, 0])
    move = np.clip(found[:, 2:] / gain[:, None], -0.04, 0.04)
    left, top, width, height = place.T
    place = np.stack(
        [
            left + width * (move[:, 0] - move[:, 1] / 2),
            top + height * (move[:, 2] - move[:, 3] / 2),
            np.clip(width * (1 + move[:, 1]), LARGEST_CROP - 0.02, 1.04),
            np.clip(height * (1 + move[:, 3]), LARGEST_CROP - 0.02, 1.04),
        ],
        axis=1,
    )
    place[:, :2] = np.clip(place[:, :2], -0.03, 1.03 - place[:, 2:])
    return place


def _misfit(first, second, place):
    warped, mask = _warped(first, place)
    scale = first.shape[1] / 64
    details = [
        _blurred(images, FINE * scale) - _blurred(images, COARSE * scale)
        for images in common_range(warped, second, mask)
    ]
    one, other = details
    around = _blurred((one**2 + other**2) / 2, AROUND * scale)
    contrast = np.sqrt(around + NOISE)
    correlation = _correlation(one / contrast, other / contrast, mask)
    return np.where(correlation > 0, np.sqrt(np.clip(1 - correlation**2, 0, 1)), 1)


def common_range(one, other, mask):
    """Bring pairs of images to the same gain and offset, and cut both at the same levels.

    A brighter copy is cut at white, and lacks what is brighter there: the other image is cut at the
    same level.

    Parameters
    ----------
    one, other : ndarray of shape (n, S, S), float32
        Grey levels from 0 to 255.
    mask : ndarray of shape (n, S, S), float32
        1 where both images are known.

    Returns
    -------
    one, other : ndarray of shape (n, S, S), float32
        In the levels of `other`.
    """
    is_whole = np.ones(len(one), dtype=bool)
    for images in (one, other):
        is_whole &= (images.min(axis=(1, 2)) > DARKEST) & (images.max(axis=(1, 2)) < BRIGHTEST)
    if is_whole.all():
        return one, other
    within = mask.copy()
    for images in (one, other):
        within *= (images > DARKEST) & (images < BRIGHTEST)
    is_few = within.sum(axis=(1, 2)) < ENOUGH * mask.sum(axis=(1, 2))
    within[is_few] = mask[is_few]
    n_within = np.maximum(within.sum(axis=(1, 2)), 1)

    def mean(values):
        return ((values * within).sum(axis=(1, 2)) / n_within)[:, None, None]

    means = mean(one), mean(other)
    product = mean((one - means[0]) * (other - means[1]))
    gain = np.clip(product / np.maximum(mean((one - means[0]) ** 2), 1e-6), 0.2, 5)
    offset = means[1] - gain * means[0]
    low = np.maximum(0, offset)
    high = np.maximum(np.minimum(255, 255 * gain + offset), low + 1)
    return np.clip(gain * one + offset, low, high), np.clip(other, low, high)


def _correlation(one, other, mask):
    """Return the correlation of pairs of images inside of a mask."""
    n_inside = np.maximum(mask.sum(axis=(1, 2)), 1)

    def centred(images):
        mean = (images * mask).sum(axis=(1, 2)) / n_inside
        return (images - mean[:, None, None]) * mask

    one, other = centred(one), centred(other)
    square, other_square = ((part**2).sum(axis=(1, 2)) for part in (one, other))
    product = (one * other).sum(axis=(1, 2))
    return product / np.maximum(np.sqrt(square * other_square), 1e-6)
