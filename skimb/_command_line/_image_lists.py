"""Images to predict, one after another: no list of a million files is made, and none is decoded."""

import os
from collections import Counter
from itertools import islice
from pathlib import Path

from skimb._files import identity
from skimb._image_decoding import image_endings
from skimb._messages import counted

__all__ = ["ImageList", "batches", "hint_of_missing"]


class ImageList:
    """The image files that some folders and files stand for, in order.

    A folder stands for the images in it, by their names, then for those of its sub-folders, by
    theirs. Hidden files are left out, and so are files whose ending is not that of an image.

    Parameters
    ----------
    paths : list of str
        Folders and files.

    Attributes
    ----------
    passed_over : Counter
        Files that the last iteration left out, by their ending.
    """

    def __init__(self, paths):
        self.paths = list(paths)
        self.passed_over = Counter()

    def __iter__(self):
        self.passed_over.clear()
        for path in self.paths:
            if os.path.isdir(path):
                yield from self._images_in(path, set(), is_top=True)
            else:
                yield path

    def _images_in(self, folder, seen, *, is_top=False):
        """Yield the images in a folder; ``seen`` are the folders that were visited."""
        try:
            if (place := identity(folder)) in seen:
                # A link may lead back to a folder that was visited.
                self.passed_over["link to a folder"] += 1
                return
            seen.add(place)
            with os.scandir(folder) as found:
                entries = sorted((entry.name, entry) for entry in found if entry.name[0] != ".")
        except OSError as exc:
            raise ValueError(f"{folder} cannot be listed: {exc.strerror}.") from exc
        folders = []
        for name, entry in entries:
            if entry.is_dir():
                # Deeper links might lead back to this folder.
                if not entry.is_symlink() or (is_top and not _is_within(entry.path, folder)):
                    folders.append(entry.path)
                else:
                    self.passed_over["link to a folder"] += 1
            elif Path(name).suffix.lower() in image_endings():
                yield entry.path
            else:
                self.passed_over[Path(name).suffix.lower() or "without an ending"] += 1
        del entries
        for path in folders:
            yield from self._images_in(path, seen)

    def remark(self):
        """Return a line about the files that were passed over, or an empty str."""
        if not self.passed_over:
            return ""
        counts = ", ".join(f"{count} {ending}" for ending, count in self.passed_over.most_common(5))
        n_files = self.passed_over.total()
        return f"{counted(n_files, 'file')} passed over, as no images: {counts}"


def _is_within(link, folder):
    """Tell whether a link leads to a folder that is visited under its own name."""
    place = os.path.relpath(os.path.realpath(link), os.path.realpath(folder))
    return place == "." or (not place.startswith(".") and f"{os.sep}." not in place)


def hint_of_missing(files):
    """Return a sentence for a table of which no file exists; an empty str where one does.

    Parameters
    ----------
    files : list of str

    Returns
    -------
    str
    """
    if any(os.path.exists(file) for file in files):
        return ""
    return (
        "None of the files exists: names are relative to the folder of the table; is the image "
        "column right?"
    )


def batches(items, size):
    """Yield lists of so many items.

    Parameters
    ----------
    items : iterable
    size : int

    Yields
    ------
    list
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
