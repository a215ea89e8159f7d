"""The result of an inspection, and the function that makes one."""

from collections import Counter
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skimb._files import write_text
from skimb._label_columns import sorted_labels
from skimb._messages import counted
from skimb._unpacking import plain_vector
from skimb.study._inspect._copies import find_copies, groups_of
from skimb.study._inspect._findings import class_correlated, class_counts_of, shared_prefixes
from skimb.study._inspect._page import inspection_page
from skimb.study._inspect._rules import advice_of
from skimb.study._inspect._samples import read_samples
from skimb.study._inspect._text import inspection_text
from skimb.study._inspect._watching import Watch
from skimb.study._result_file import write_figures

__all__ = ["Inspection", "inspect_images"]


class Inspection:
    """The result of `inspect_images`.

    Parameters
    ----------
    samples : Samples
        The images, training images first.
    copies : Copies
    doubtful : list of dict, default=None
        Labels to look at first; None: they were not looked for.

    Attributes
    ----------
    groups : ndarray of shape (n_train,), int
        The group of each training image; images that are copies of each other are in one group.
        Give it to `skimb.study.compare` and to splitters of scikit-learn.
    test_groups : ndarray of shape (n_test,), int
        The groups of the test images, with the same numbers.
    pairs : list of Pair
        Copies. Positions count training images first, then test images.
    counts, test_counts : dict of label to int
        Images of each class that can be read.
    broken : dict of str to str
        Files that cannot be read, or images of arrays that are no finite float32, and why.
    conflicts : list of Pair
        Copies whose labels differ.
    leaked : ndarray of int
        Positions in the test set of images with a copy in the training set.
    is_leaked : ndarray of bool of shape (n_test,)
        Whether each test image is one of these.
    n_equal : int
        Test images that equal a training image, in bytes or pixels; others of `leaked` are similar.
    advice : list of dict
        What to do, with reasons and links.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import inspect_images
    >>> X = np.random.RandomState(0).randint(256, size=(4, 16, 16), dtype=np.uint8)
    >>> inspect_images(X, [0, 0, 1, 1])
    <Inspection of 4 images with 0 pairs of copies>
    """

    def __init__(self, samples, copies, doubtful=None):
        self.samples, self.copies, self.doubtful = samples, copies, doubtful
        self.pairs = copies.pairs
        self.groups = copies.groups[: samples.n_train]
        self.test_groups = copies.groups[samples.n_train :]
        self.counts = class_counts_of(samples)
        self.test_counts = class_counts_of(samples, test=True)
        self.broken = {samples.names[row]: reason for row, reason in samples.broken.items()}
        labels = samples.labels
        self.conflicts = (
            []
            if labels is None
            else [pair for pair in self.pairs if labels[pair.first] != labels[pair.second]]
        )
        self.is_leaked = np.isin(self.test_groups, self.groups)
        self.leaked = np.flatnonzero(self.is_leaked)
        self.n_equal = _n_equal(copies.pairs, samples.n_train, len(samples))
        facts = [fact for fact in samples.facts or [] if fact is not None]
        self.formats = Counter(fact[0] for fact in facts)
        self.modes = Counter(fact[1] for fact in facts)
        self.sizes = Counter((fact[2], fact[3]) for fact in facts)
        self.turned = sum(fact[4] not in (0, 1) for fact in facts)
        self.shortcuts = class_correlated(samples)
        self.sources = shared_prefixes(samples)
        self.advice = advice_of(self)

    @property
    def train_groups(self) -> list[list[int]]:
        """Groups of several training images, each a list of positions."""
        return [group for group in self._groups_of(self.groups) if len(group) > 1]

    def _groups_of(self, numbers):
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        return [part.tolist() for part in np.split(order, ends)]

    def sets_of_copies(self) -> list[list[int]]:
        """Return the groups of several images, of training and test set together.

        Returns
        -------
        list of list of int
            Positions, training images first.
        """
        return [group for group in self._groups_of(self.copies.groups) if len(group) > 1]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file.

        Returns
        -------
        dict
        """
        samples, label = self.samples, self._label
        found = {
            "schema": 1,
            "kind": "inspection",
            "n_train": samples.n_train,
            "n_test": len(samples) - samples.n_train,
            "classes": [
                {
                    "label": one,
                    "n_train": self.counts.get(one, 0),
                    "n_test": self.test_counts.get(one, 0),
                }
                for one in [
                    *self.counts,
                    *(one for one in self.test_counts if one not in self.counts),
                ]
            ],
            "formats": dict(self.formats),
            "modes": dict(self.modes),
            "sizes": [
                {"width": width, "height": height, "n": n}
                for (width, height), n in self.sizes.most_common()
            ],
            "n_turned_by_exif": self.turned,
            "broken": [{"file": file, "reason": reason} for file, reason in self.broken.items()],
            "constant": [samples.names[row] for row in samples.constant],
            "copies": [
                {
                    "first": samples.names[pair.first],
                    "second": samples.names[pair.second],
                    "kind": pair.kind,
                    "change": pair.change,
                    "misfit": pair.misfit,
                    "labels": [label(pair.first), label(pair.second)],
                    "across_split": bool(
                        (pair.first < samples.n_train) != (pair.second < samples.n_train)
                    ),
                }
                for pair in self.pairs
            ],
            "groups_of_copies": [
                [samples.names[row] for row in rows] for rows in self.sets_of_copies()
            ],
            "misfit_threshold": self.copies.threshold,
            "misfit_of_different_images": self.copies.lookalike,
            "n_chained": self.copies.n_chained,
            "test_images_with_a_copy_in_train": [
                samples.names[samples.n_train + row] for row in self.leaked
            ],
            "properties_of_one_class": self.shortcuts,
            "sources_in_names": self.sources,
            "advice": self.advice,
        }
        if self.doubtful is not None:
            found["labels_to_check"] = self.doubtful
        return found

    def _label(self, row) -> Any:
        if self.samples.labels is None:
            return None
        value = self.samples.labels[row]
        return value.item() if isinstance(value, np.generic) else value

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write everything to a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_figures(path, self.to_dict())

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a report as one HTML file that needs no other, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_text(path, inspection_page(self))

    def __repr__(self) -> str:
        images, pairs = counted(len(self.samples), "image"), counted(len(self.pairs), "pair")
        return f"<Inspection of {images} with {pairs} of copies>"

    def __str__(self) -> str:
        """Return the report for a terminal."""
        return inspection_text(self)


def _n_equal(pairs, n_train, n_images):
    """Return the number of test images that equal a training image."""
    groups = groups_of([pair for pair in pairs if pair.is_exact], n_images)
    return int(np.isin(groups[n_train:], groups[:n_train]).sum())


def inspect_images(
    X: Any,
    y: ArrayLike | None = None,
    *,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    near_duplicates: bool = True,
    labels: bool = False,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Inspection:
    """Inspect labelled images before you train: copies, leaks, broken files, doubtful labels.

    Near copies are searched among all images by the ranks of their grey levels, over the eight
    flips and turns and over crops, and each candidate is confirmed by laying one image over the
    other. A copy may be flipped or turned, saved again as JPEG, brighter or darker, and cropped to
    at least about 85 % of the width and of the height. Images that merely show the same kind of
    thing are no copies: where all images of a set resemble each other, such as solar cells, the
    limit is stricter.

    Parameters
    ----------
    X : array-like of n images or paths
        Training images. Paths are best: files that cannot be read are named, and the inspection
        goes on.
    y : array-like of shape (n,), default=None
        Labels; None: what concerns classes is left out.
    X_test, y_test : array-like, default=None
        A test set.
    names : sequence of str, default=None
        A name for each image, those of the test set last; None: paths, or numbers.
    near_duplicates : bool, default=True
        False: only equal images are looked for, which is faster.
    labels : bool, default=False
        Also train small networks to tell which labels to look at first; needs `y`.
    random_state : int, RandomState instance or None, default=None
        Seeds the networks of `labels`.
    n_jobs : int, default=None
        Threads that read files and compare images, as in joblib.
    verbose : int, default=0
        1: progress on stderr, as a bar on a terminal and otherwise in lines.

    Returns
    -------
    Inspection
        It has ``groups`` for `compare` and for splitters, ``advice``, ``to_html(path)`` and
        ``to_json(path)``.

    Raises
    ------
    ValueError
        If there is no image, lengths differ, no image can be read, a test set lacks labels that
        the training set has, or some labels are text and others are not.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import inspect_images
    >>> X = np.random.RandomState(0).randint(256, size=(20, 16, 16), dtype=np.uint8)
    >>> X[7] = X[3][:, ::-1]
    >>> found = inspect_images(X, [0, 1] * 10)
    >>> [(pair.first, pair.second, pair.change) for pair in found.pairs]
    [(3, 7, 'mirrored')]
    >>> bool(found.groups[3] == found.groups[7])
    True
    """
    if len(X) == 0:
        raise ValueError("`X` is empty. Give at least one image.")
    if y is not None:
        y = plain_vector(y)
        check_consistent_length(X, y)
        sorted_labels({"`y`": y})
    if (y_test is None) != (X_test is None or y is None):
        raise ValueError("`X_test` and `y_test` belong together: give both or neither, with `y`.")
    if y_test is not None:
        y_test = plain_vector(y_test, "y_test")
        check_consistent_length(X_test, y_test)
        sorted_labels({"`y`": y, "`y_test`": y_test})
    if labels and y is None:
        raise ValueError("`labels=True` needs the labels `y`.")
    if names is not None and len(names) != len(X) + (0 if X_test is None else len(X_test)):
        raise ValueError("`names` must hold one name for each image, those of the test set last.")
    watch = Watch(verbose)
    n_images = len(X) + (0 if X_test is None else len(X_test))
    samples = read_samples(
        X,
        y,
        X_test,
        y_test,
        names=names,
        n_jobs=n_jobs,
        watch=lambda items: watch(items, "reading images", n_images),
    )
    if len(samples.broken) == len(samples):
        row, reason = next(iter(samples.broken.items()))
        what = "pixels" if samples.paths is None else "paths"
        raise ValueError(
            f"Of {counted(len(samples), 'image')}, none can be read; the first is "
            f"{samples.names[row]} ({reason}). Check the {what}."
        )
    copies = find_copies(samples, near=near_duplicates, n_jobs=n_jobs, watch=watch)
    doubtful = None
    if labels:
        from skimb.study._inspect._doubtful import doubtful_labels

        doubtful = doubtful_labels(X, samples, copies.groups, random_state=random_state)
    return Inspection(samples, copies, doubtful)
