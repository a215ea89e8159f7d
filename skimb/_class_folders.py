"""The files of a folder that has one sub-folder per class."""

import os
from collections import defaultdict
from pathlib import Path

from skimb._image_decoding import image_endings

__all__ = ["list_classes"]


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
