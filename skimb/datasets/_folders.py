"""Folders of images, one sub-folder a class."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

__all__ = ["classes_of", "load_image_folder"]


def load_image_folder(path):
    """List a folder of images that has one sub-folder a class.

    No file is opened: `read_images` does that. Hidden files, and files without the ending of an
    image, are passed over.

    Parameters
    ----------
    path : str or Path
        The folder. Its sub-folders are the classes, and hold the images, at any depth.

    Returns
    -------
    Bunch
        ``paths``, ndarray of str of shape (n,), sorted; ``target``, ndarray of str of shape (n,),
        the name of each image's class; ``target_names``, sorted list of str.

    Raises
    ------
    ValueError
        If there is no such folder, it has fewer than two sub-folders, or some hold no image (they
        are named).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimb.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label in ["cat", "dog"]:
    ...         (Path(folder) / label).mkdir()
    ...         Image.new("L", (4, 4)).save(Path(folder) / label / "1.png")
    ...     images = load_image_folder(folder)
    >>> images.target
    array(['cat', 'dog'], dtype='<U3')
    """
    classes = classes_of(path)
    if len(classes) < 2:
        raise ValueError(
            f"{path} must have one sub-folder a class, at least two. It has {list(classes)}."
        )
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise ValueError(
            f"These class folders of {path} hold no image: {empty}. Fill or remove them."
        )
    paths = np.array([file for files in classes.values() for file in files])
    target = np.repeat(list(classes), [len(files) for files in classes.values()])
    return Bunch(paths=paths, target=target, target_names=list(classes))


def classes_of(path):
    """List the images of each sub-folder, which may be none.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    dict of str to list of str
        Name to files, both sorted.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise ValueError(
            f"{folder} must be a folder with one sub-folder a class, but it is {what}."
        )
    endings = Image.registered_extensions()
    return {
        child.name: sorted(
            str(file)
            for file in child.rglob("*")
            if file.suffix.lower() in endings
            and not any(part.startswith(".") for part in file.relative_to(child).parts)
            and file.is_file()
        )
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
