"""The images of an inspection: each is read once, and a small grey copy and its facts are kept."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from skimb._image_decoding import decode, facts_of, strict
from skimb._image_files import as_paths, is_paths
from skimb._image_source import as_source
from skimb._reading import is_source, read_source
from skimb._unpacking import unpacked

__all__ = ["SIDE", "Samples", "read_samples"]

#: Side of the small grey copies, by which images are compared.
SIDE = 64

#: Grey levels between the darkest and the brightest pixel of a nearly constant image at most.
CONSTANT_LEVELS = 4


@dataclass
class Samples:
    """The images of an inspection, training images first, then test images.

    Parameters
    ----------
    names : list of str
        Their files, or numbers.
    n_train : int
        The number of training images.
    labels : ndarray of shape (n,), or None
    small : ndarray of shape (n, 64, 64), uint8
        Small grey copies; zeros for broken images.
    paths : list of str or None
        Their files, where they are files.
    facts : list of tuple or None
        Format, mode, width, height and orientation of each file.
    broken : dict of int to str
        Why images cannot be read, or not be used, by their positions.
    deep : list of int
        Positions of files with more than 8 bits per channel.
    constant : ndarray of int
        Positions of images that have one colour, or nearly so.
    """

    names: list
    n_train: int
    labels: Any
    small: np.ndarray
    paths: Any = None
    facts: Any = None
    broken: dict = field(default_factory=dict)
    deep: list = field(default_factory=list)
    constant: Any = None

    def __len__(self):
        return len(self.names)

    @property
    def readable(self):
        """Positions of the images that can be read."""
        return np.array([i for i in range(len(self)) if i not in self.broken], dtype=np.intp)

    def digest(self, row, *, of_file):
        """Return a digest of an image: of the bytes of its file, or of all of its pixels.

        Parameters
        ----------
        row : int
        of_file : bool

        Returns
        -------
        bytes
        """
        if self.paths is None:
            return self.source_digest(row)
        path = self.paths[row]
        if of_file:
            with open(path, "rb") as file:
                return blake2b(file.read(), digest_size=16).digest()
        _, _, width, height, _ = self.facts[row]
        pixels, _ = decode(path, (3, height, width))
        return blake2b(f"{pixels.shape}{pixels.dtype}".encode() + pixels.tobytes()).digest()

    #: For images that are no files: a function of a position to a digest of the pixels.
    source_digest: Any = None


def read_samples(X, labels, X_test=None, test_labels=None, *, names=None, n_jobs=None, watch=iter):
    """Read all images once.

    Parameters
    ----------
    X, X_test : array-like of images or paths
    labels, test_labels : ndarray or None
    names : list of str, default=None
        Names of all images, those of the test set last; None: their paths or numbers.
    n_jobs : int, default=None
        Threads, as in joblib.
    watch : callable, default=iter
        ``watch(iterable)`` yields the same items, and shows the progress.

    Returns
    -------
    Samples
    """
    parts = [X] if X_test is None else [X, X_test]
    counts = [len(part) for part in parts]
    every = labels
    if labels is not None and X_test is not None:
        every = np.concatenate([np.asarray(labels), np.asarray(test_labels)])
    if all(is_paths(part) for part in parts):
        samples = _of_files([path for part in parts for path in as_paths(part)], n_jobs, watch)
    else:
        samples = _of_arrays(parts, watch)
    samples.n_train, samples.labels = counts[0], every
    if names is not None:
        samples.names = [str(name) for name in names]
    samples.constant = _constant(samples)
    return samples


def _of_files(paths, n_jobs, watch):
    def read(path):
        try:
            if not path:
                raise ValueError("no file name")
            facts = facts_of(path)
            pixels, _ = decode(path, (1, SIDE, SIDE))
            return pixels[..., 0], facts, None
        except ValueError as exc:
            return None, None, str(exc)

    small = np.zeros((len(paths), SIDE, SIDE), dtype=np.uint8)
    facts, broken, deep = [], {}, []
    with strict():
        parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
        found = parallel(delayed(read)(path) for path in paths)
        for i, (pixels, fact, reason) in enumerate(watch(found)):
            facts.append(fact)
            if reason is None:
                small[i] = _grey(pixels)
                if pixels.dtype != np.uint8:
                    deep.append(i)
            else:
                broken[i] = reason
    return Samples(list(paths), len(paths), None, small, list(paths), facts, broken, deep)


def _of_arrays(parts, watch):
    sources = [
        read_source(part) if is_source(part) else as_source(_channels_last(part)) for part in parts
    ]
    places = [(source, i) for source in sources for i in range(len(source))]
    small, broken = np.zeros((len(places), SIDE, SIDE), dtype=np.uint8), {}
    for row, (source, i) in enumerate(watch(iter(places))):
        pixels = source.read(np.array([i]))[0]
        if not _is_finite(pixels):
            broken[row] = "its pixels hold NaN, infinity or a value too large for float32"
            continue
        grey = pixels[..., :3].mean(axis=2) if pixels.shape[2] >= 3 else pixels[..., 0]
        image = Image.fromarray(_grey(grey, pixels.dtype))
        small[row] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    names = [f"sample {i}" for i in range(len(sources[0]))]
    for source in sources[1:]:
        names += [f"test sample {i}" for i in range(len(source))]

    def digest(row):
        source, i = places[row]
        return blake2b(source.read(np.array([i])).tobytes(), digest_size=16).digest()

    samples = Samples(names, len(places), None, small, broken=broken)
    samples.source_digest = digest
    return samples


def _is_finite(pixels):
    """Tell whether networks can take the pixels, which they read as float32."""
    if pixels.dtype.kind in "biu":
        return True
    with np.errstate(over="ignore"):
        return bool(np.isfinite(pixels.astype(np.float32)).all())


def _channels_last(X):
    from skimb._image_layout import read_layout

    X = np.asarray(unpacked(X))
    return read_layout(X.shape[1:]).to_channels_last(X)


def _grey(pixels, dtype=np.uint8):
    """Return grey levels of 8 bits; deeper pixels are scaled from their darkest to brightest."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if dtype == np.uint8 and pixels.dtype.kind == "f" and high > 16:
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((pixels.astype(np.float64) - low) * scale).astype(np.uint8)


def _constant(samples):
    """Return the positions of images of one colour, or nearly so."""
    flat = samples.small.reshape(len(samples), -1)
    spread = flat.max(axis=1).astype(int) - flat.min(axis=1)
    found = np.flatnonzero(spread <= CONSTANT_LEVELS)
    return np.array([i for i in found if i not in samples.broken], dtype=np.intp)
