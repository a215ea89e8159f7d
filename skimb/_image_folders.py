"""Folders of images, one sub-folder a class: the names of their files, none of which is opened."""

import os
from collections import defaultdict
from pathlib import Path

from skimb._image_decoding import image_endings

__all__ = ["class_folders"]


def class_folders(path):
    """List the images of each sub-folder, which may be none, and the files that are no images.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    classes : dict of str to list of str
        Name of the sub-folder to its image files, both sorted.
    skipped : dict of str to list of str
        Ending to the files that are no images, or that lie outside of the sub-folders.

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
    classes, skipped = {}, defaultdict(list)
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            classes[child.name] = sorted(_images_in(child, skipped))
        elif child.suffix.lower() in image_endings():
            # An image beside the classes has none.
            skipped[child.suffix.lower()].append(str(child))
    return classes, {ending: sorted(files) for ending, files in sorted(skipped.items())}


def _images_in(folder, skipped):
    """Yield the images of a folder and of those in it; put aside what is none."""

    def refuse(exc):
        raise ValueError(f"{exc.filename} cannot be listed: {exc.strerror}.") from exc

    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in [name for name in folders if (Path(place) / name).is_symlink()]:
            # It might lead back here, or into another class.
            skipped["link to a folder"].append(str(Path(place) / name))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(place) / name for name in files if not name.startswith(".")):
            # What has the ending but is no file is listed too: reading names it.
            if file.suffix.lower() in image_endings():
                yield str(file)
            else:
                skipped[file.suffix.lower()].append(str(file))
