"""The data of a comparison on the command line: digits, folders and tables."""

import os
import warnings
from dataclasses import dataclass
from typing import Any

from skimb._class_folders import list_classes
from skimb._command_line._checks import check_images, reads_table
from skimb._command_line._image_lists import hint_of_missing
from skimb._command_line._labels import listed, refuse_unknown
from skimb._command_line._splits import cv_of_table, groups_of_files, refuse_shared
from skimb._command_line._streams import complain, say
from skimb._messages import counted
from skimb._tables import read_table

__all__ = ["Inputs", "inspected", "read_inputs"]


@dataclass
class Inputs:
    """The data of a comparison.

    Parameters
    ----------
    X, y : array-like
        Images, with labels or numbers.
    X_test, y_test : array-like, default=None
        A test set, if there is one.
    groups : ndarray of shape (n,), default=None
        The group of each sample.
    is_regression : bool, default=False
        Whether y holds numbers.
    cv : list of (ndarray, ndarray), default=None
        The splits that a column asks for.
    files : list of str, default=None
        The file of each test image: that of the test set, or else of X.
    train_files : list of str, default=None
        The file of each image of X.
    inspection : Inspection, default=None
        The search of copies, once it was made.
    """

    X: Any
    y: Any
    X_test: Any = None
    y_test: Any = None
    groups: Any = None
    is_regression: bool = False
    cv: Any = None
    files: Any = None
    train_files: Any = None
    inspection: Any = None

    def part(self, rows):
        """Return the images, labels and groups of some rows.

        Parameters
        ----------
        rows : ndarray of int, or None
            None: all of them.

        Returns
        -------
        X, y, groups : array-like
        """
        if rows is None:
            return self.X, self.y, self.groups
        from skimb._params import safe_indexing

        groups = None if self.groups is None else self.groups[rows]
        return safe_indexing(self.X, rows), self.y[rows], groups


def read_inputs(arguments, image_shape=None):
    """Read the data that the arguments name.

    Parameters
    ----------
    arguments : Namespace
    image_shape : tuple of int, default=None
        The shape ``(C, H, W)`` that images are resized to where the arguments name no size; None:
        all must have one size.

    Returns
    -------
    Inputs

    Raises
    ------
    ValueError
        If they cannot be read, or an output would overwrite one of the images.
    """
    if arguments.size is not None:
        image_shape = 3, arguments.size, arguments.size
    if reads_table(arguments):
        data = _tables(arguments, image_shape)
    else:
        data = _digits() if arguments.data == "digits" else _folders(arguments, image_shape)
    if arguments.group_near_duplicates:
        data.groups = _with_near_copies(data)
    return data


def inspected(data):
    """Search copies among the images of a comparison, once, as ``skimb inspect`` does.

    It reads the files, not the images at the size of the network, so that both find the same pairs.

    Parameters
    ----------
    data : Inputs

    Returns
    -------
    Inspection
    """
    if data.inspection is None:
        from skimb.study import inspect_images

        X, X_test = data.X, data.X_test
        if data.train_files is not None:
            X, X_test = data.train_files, None if X_test is None else data.files
        data.inspection = inspect_images(X, X_test=X_test, n_jobs=-1, verbose=1)
    return data.inspection


def _with_near_copies(data):
    """Return groups in which copies and near copies are together, and those that were given."""
    from skimb._groups import group_numbers, joined_groups

    found = inspected(data)
    n_grouped = sum(len(group) for group in found.train_groups)
    say(
        f"{n_grouped} of {counted(len(data.y), 'training image')} have copies or similar images, "
        f"which stay together ({counted(len(found.train_groups), 'group')})"
    )
    if data.groups is None:
        return found.groups
    return joined_groups(group_numbers(data.groups, data.X), found.groups)


def _digits():
    import numpy as np

    from skimb.datasets import load_imbalanced_digits

    digits = load_imbalanced_digits()
    return Inputs(digits.data, np.array(digits.target_names)[digits.target])


def _folders(arguments, image_shape):
    """Read the folders of a comparison, whole: a pass over broken files names them all."""
    from skimb.datasets import load_image_folder

    try:
        with warnings.catch_warnings():
            # The remark is printed in a line of its own.
            warnings.simplefilter("ignore", UserWarning)
            train = load_image_folder(arguments.data)
            test = None if arguments.test is None else load_image_folder(arguments.test)
    except ValueError as exc:
        raise ValueError(_all_complaints(arguments, exc, image_shape)) from exc
    for folder in (train, test):
        if folder is not None and folder.remark:
            complain(folder.remark)
    paths, y = _subset(train, arguments.counts or {}, arguments.seed)
    every = paths if test is None else [*paths, *test.paths]
    check_images(arguments, every)
    if test is not None:
        _check_labels(arguments, y, test.target)
    groups = _groups_by_name(arguments, paths, test)
    images = _read(every, image_shape, arguments.cache)
    if test is None:
        return Inputs(images, y, groups=groups, files=list(paths), train_files=list(paths))
    _tell_of_known(every, images, len(paths))
    test_images = images[len(paths) :]
    tested: dict[str, Any] = {"files": list(test.paths), "train_files": list(paths)}
    return Inputs(images[: len(paths)], y, test_images, test.target, groups, **tested)


def _groups_by_name(arguments, paths, test):
    """Return the groups of the images of a folder, if a pattern asks for them."""
    # Other commands than fit and compare know no groups.
    if (compiled := getattr(arguments, "group_pattern", None)) is None:
        return None
    groups = groups_of_files(paths, arguments.data, compiled)
    if test is not None:
        test_groups = groups_of_files(test.paths, arguments.test, compiled)
        refuse_shared(groups, test_groups, compiled.pattern, f"--test {arguments.test}")
    return groups


def _tables(arguments, image_shape):
    """Read the tables of a comparison, and the images that they name."""
    table = read_table(arguments.data)
    if arguments.task is None:
        is_regression = table.is_quantity(arguments.target)
    else:
        is_regression = arguments.task == "regression"
    files, y, groups = _columns(table, arguments, is_regression)
    if arguments.test is None:
        cv = cv_of_table(table, arguments, None if is_regression else y, groups)
        check_images(arguments, files)
        images = _read(files, image_shape, arguments.cache)
        data = Inputs(images, y, groups=groups, is_regression=is_regression, cv=cv)
        data.files = data.train_files = list(files)
        return data
    test_files, y_test, test_groups = _columns(read_table(arguments.test), arguments, is_regression)
    _check_types(arguments, arguments.target, y, y_test)
    if groups is not None and test_groups is not None:
        _check_types(arguments, arguments.group, groups, test_groups)
        if shared := sorted(set(groups.tolist()) & set(test_groups.tolist())):
            raise ValueError(
                f"{counted(len(shared), 'value')} of {arguments.group!r}, {shared[0]!r} first, "
                f"{'is' if len(shared) == 1 else 'are'} in {arguments.data} and in "
                f"{arguments.test}: a network would be scored on groups that it was trained on. "
                "Remove their rows from one of the two."
            )
    every = [*files, *test_files]
    check_images(arguments, every)
    if not is_regression:
        _check_labels(arguments, y, y_test)
    images = _read(every, image_shape, arguments.cache)
    _tell_of_known(every, images, len(files))
    test_images = images[len(files) :]
    data = Inputs(images[: len(files)], y, test_images, y_test, groups, is_regression)
    data.files, data.train_files = list(test_files), list(files)
    return data


def _columns(table, arguments, is_regression):
    """Return the image files and the targets of a table, and its groups if they are asked for."""
    y = table.numbers(arguments.target) if is_regression else table.labels(arguments.target)
    groups = None if arguments.group is None else table.labels(arguments.group)
    return table.files(arguments.image_column), y, groups


def _check_types(arguments, column, values, test_values):
    """Refuse two tables of which one holds text and the other numbers: no values would match."""
    kinds = [
        {"b": "booleans", "U": "text"}.get(part.dtype.kind, "numbers")
        for part in (values, test_values)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"The column {column!r} holds {kinds[0]} in {arguments.data} and {kinds[1]} in "
            f"{arguments.test}. Give both of one type, for instance two CSV files."
        )


def _check_labels(arguments, y, y_test):
    """Refuse test images of a class that the model of a fit cannot predict."""
    # A comparison has checks of its own.
    if arguments.command == "fit":
        known, found = sorted(set(y.tolist())), y_test.tolist()
        refuse_unknown(found, known, source=arguments.test, knower=f"a model of {arguments.data}")


def _tell_of_known(files, images, n_train):
    """Warn in a line of test images that equal training images, pixel by pixel."""
    from skimb._reading import sample_keys

    keys = list(sample_keys(images))
    first = {}
    for file, key in zip(files[:n_train], keys[:n_train], strict=True):
        first.setdefault(key, file)
    pairs = [
        (file, first[key])
        for file, key in zip(files[n_train:], keys[n_train:], strict=True)
        if key in first
    ]
    if pairs:
        complain(
            f"{len(pairs)} of {counted(len(files) - n_train, 'test image')} "
            f"{'equals a training image' if len(pairs) == 1 else 'equal training images'}, "
            f"{pairs[0][0]} and {pairs[0][1]} first: figures on them are too good"
        )


def _read(files, image_shape, cache):
    """Read images, unless they cannot be in memory and are not kept in a folder."""
    from skimb.datasets import read_images

    if image_shape is not None and cache is None and (memory := _memory()) is not None:
        n_bytes = len(files) * image_shape[0] * image_shape[1] * image_shape[2]
        if n_bytes > memory:
            raise ValueError(
                f"{counted(len(files), 'image')} of {image_shape[2]} x {image_shape[1]} take "
                f"{n_bytes / 2**30:.1f} GiB, and this machine has {memory / 2**30:.1f}. Give a "
                "smaller --size, or a folder as --cache."
            )
    try:
        return read_images(files, image_shape=image_shape, n_jobs=-1, cache=cache)
    except ValueError as exc:
        words = str(exc).replace("Give image_shape=(C, H, W)", "Give --size N")
        words = words.replace("or leave `cache` None", "or leave --cache out")
        raise ValueError(f"{words} {hint_of_missing(files)}".rstrip()) from exc


def _memory():
    """Return the bytes of memory of this machine, if it tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _all_complaints(arguments, complaint, image_shape):
    """Return the errors of the folders and of the files in them, all in one line."""
    from skimb.datasets import read_images

    try:
        folders = [list_classes(path)[0] for path in (arguments.data, arguments.test) if path]
        files = [file for classes in folders for of_one in classes.values() for file in of_one]
        if files:
            read_images(files, image_shape=image_shape, n_jobs=-1)
    except ValueError as exc:
        if str(exc) != str(complaint):
            return f"{complaint} {exc}"
    return str(complaint)


def _subset(folder, counts, seed):
    """Take a seeded random subset of so many images of a class; all where there are no more."""
    import numpy as np

    unknown = [label for label in counts if label not in folder.target_names]
    if unknown:
        raise ValueError(
            f"--counts names {listed(unknown)}, but the classes are {listed(folder.target_names)}. "
            "Use these."
        )
    rng, kept = np.random.RandomState(seed), []
    for label in folder.target_names:
        rows = np.flatnonzero(folder.target == label)
        if counts.get(label, 0) > len(rows):
            complain(
                f"--counts asks for {counted(counts[label], 'image')} of {label}, and there are "
                f"{len(rows)}: all are taken"
            )
        kept.append(np.sort(rng.permutation(rows)[: counts.get(label, len(rows))]))
    rows = np.concatenate(kept)
    return folder.paths[rows], folder.target[rows]
