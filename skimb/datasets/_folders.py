"""Folders of images, with one sub-folder per class."""

import os
from collections import defaultdict
from hashlib import blake2b
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skimb._class_folders import list_classes, refuse_parts, unusable_classes
from skimb._image_files import named
from skimb._warnings import warn

__all__ = ["load_image_folder"]

#: Number of bytes at the end of a file, by which most files can be told apart.
TAIL = 4096


def load_image_folder(path: str | os.PathLike[str]) -> Any:
    """List a folder of images that has one sub-folder per class.

    No file is decoded: `read_images` does that. Hidden files are skipped. Files whose ending is not
    that of an image that `read_images` reads are skipped, too, and a warning counts them.

    Parameters
    ----------
    path : str or Path
        The folder. Its sub-folders are the classes, and hold their images at any depth.

    Returns
    -------
    Bunch
        ``paths``, ndarray of str of shape (n,), sorted; ``target``, ndarray of str of shape (n,),
        the name of each image's class; ``target_names``, sorted list of str; ``skipped``, dict of
        ending to the list of files that were skipped; ``remark``, str: the text of the warnings, in
        one line, or empty.

    Raises
    ------
    ValueError
        If there is no such folder, it has fewer than two sub-folders, some hold no image (they are
        named), or they are the parts of a data set, such as ``train`` and ``test``.

    Warns
    -----
    UserWarning
        If files were skipped (their endings are counted), or if files of two classes are equal byte
        for byte (up to ten are named): the class of such an image is not known.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimb.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label, grey in {"cat": 80, "dog": 160}.items():
    ...         (Path(folder) / label).mkdir()
    ...         Image.new("L", (4, 4), grey).save(Path(folder) / label / "1.png")
    ...     images = load_image_folder(folder)
    >>> images.target
    array(['cat', 'dog'], dtype='<U3')
    """
    classes, skipped = list_classes(path)
    refuse_parts(path, classes)
    passed_over = _words_of(path, skipped)
    if len(classes) < 2:
        raise ValueError(
            f"{path} must have one sub-folder per class, at least two. It has {list(classes)}. "
            f"{passed_over}".rstrip()
        )
    if unusable := unusable_classes(path, classes):
        raise ValueError(f"{unusable} {passed_over}".rstrip())
    remarks = [words for words in (passed_over, _words_of_equals(path, classes)) if words]
    for words in remarks:
        warn(words)
    return Bunch(
        paths=np.array([file for files in classes.values() for file in files]),
        target=np.repeat(list(classes), [len(files) for files in classes.values()]),
        target_names=list(classes),
        skipped=skipped,
        remark=" ".join(remarks),
    )


def _words_of(path, skipped):
    """Say which files were passed over, or return an empty str."""
    if not skipped:
        return ""
    counts = [
        f"{len(files)} {_name_of(ending)} ({os.path.relpath(files[0], path)}"
        f"{' first' if len(files) > 1 else ''})"
        for ending, files in sorted(skipped.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    n_files = sum(len(files) for files in skipped.values())
    return (
        f"{n_files} {'file' if n_files == 1 else 'files'} of {path} passed over, as no images of a "
        f"class: {named(counts)}."
    )


def _name_of(ending):
    return ending or "without an ending"


def _words_of_equals(path, classes):
    """Say which files of two classes are equal, or return an empty str."""
    label_of = {file: label for label, files in classes.items() for file in files}
    groups = [list(label_of)]
    # Each check looks at the files that the one before could not tell apart, and costs more.
    for look in (os.path.getsize, _tail, _digest):
        groups = [
            equal
            for group in groups
            for equal in _grouped(group, look)
            if len({label_of[file] for file in equal}) > 1
        ]
    if not groups:
        return ""
    lines = [" = ".join(os.path.relpath(file, path) for file in group[:3]) for group in groups]
    return (
        f"Equal files stand in two classes of {path}, so that the class of {len(groups)} "
        f"{'image is' if len(groups) == 1 else 'images is'} not known: {named(lines)}. Take them "
        "out of one."
    )


def _grouped(files, look):
    groups = defaultdict(list)
    for file in files:
        # A file that cannot be read is named by the error when it is read.
        if os.path.isfile(file) and os.access(file, os.R_OK):
            groups[look(file)].append(file)
    return groups.values()


def _tail(path):
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - TAIL))
        return file.read()


def _digest(path):
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.digest()
