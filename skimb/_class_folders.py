"""The files of a folder that has one sub-folder per class."""

import os
from collections import defaultdict
from pathlib import Path

from skimb._image_decoding import image_endings

__all__ = ["list_classes", "refuse_parts", "unusable_classes"]

#: The names of the parts of a data set that is already split; the first ones are for training.
TRAINING = ("train", "training")
PARTS = (*TRAINING, "test", "testing", "val", "valid", "validation", "dev", "eval")


def list_classes(path):
    """List the images of each sub-folder, and the files that are not images.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    classes : dict of str to list of str
        The images of each sub-folder, by its name; both are sorted. A list may be empty.
    skipped : dict of str to list of str
        Files that are not images of a class, by their ending; both are sorted.

    Raises
    ------
    ValueError
        If there is no such folder, or a folder cannot be listed.
    """
    folder = Path(path)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise ValueError(
            f"{folder} must be a folder with one sub-folder per class, but it {found}."
        )
    classes, skipped = {}, defaultdict(list)
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            classes[child.name] = sorted(_images_in(child, skipped))
        elif child.suffix.lower() in image_endings():
            # An image next to the class folders has no class.
            skipped[child.suffix.lower()].append(str(child))
    return classes, {ending: sorted(files) for ending, files in sorted(skipped.items())}


def _images_in(folder, skipped):
    """Yield the images in a folder and its sub-folders; collect other files in `skipped`."""

    def refuse(exc):
        raise ValueError(f"{exc.filename} cannot be listed: {exc.strerror}.") from exc

    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in [name for name in folders if (Path(place) / name).is_symlink()]:
            # It might lead back to this folder, or into another class.
            skipped["link to a folder"].append(str(Path(place) / name))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(place) / name for name in files if not name.startswith(".")):
            # A folder or device with such an ending is listed too: reading it raises an error.
            if file.suffix.lower() in image_endings():
                yield str(file)
            else:
                skipped[file.suffix.lower()].append(str(file))


def unusable_classes(path, classes):
    """Say which class folders no network can be trained on, or return an empty str.

    Parameters
    ----------
    path : str or Path
        The folder.
    classes : dict of str to list of str
        The images of each sub-folder, by its name.

    Returns
    -------
    str
    """
    if empty := [name for name, files in classes.items() if not files]:
        return f"These class folders of {path} hold no image: {empty}. Fill or remove them."
    return ""


def refuse_parts(path, classes):
    """Refuse the parent of folders for training and test.

    Parameters
    ----------
    path : str or Path
        The folder.
    classes : iterable of str
        The names of its sub-folders.

    Raises
    ------
    ValueError
        If these are parts of a data set, with folders of their own.
    """
    folder = Path(path)
    parts = [
        name
        for name in classes
        if name.lower() in PARTS
        and any(child.is_dir() for child in (folder / name).iterdir() if child.name[0] != ".")
    ]
    train = [name for name in parts if name.lower() in TRAINING]
    if not train or (len(parts) < 2 and len(classes) > 1):
        return
    others = [name for name in parts if name not in train]
    test = next((name for name in others if name.lower().startswith("test")), (others or [None])[0])
    also = "" if test is None else f", and its test images by --test {folder / test}"
    raise ValueError(
        f"{folder} holds the parts of a data set, {parts}, and no classes. Give "
        f"{folder / train[0]}{also}."
    )
