"""Images to predict, one after another: no list of a million files is made, and none is decoded."""

import os
from collections import Counter
from itertools import islice
from pathlib import Path

from skimb._image_decoding import image_endings

__all__ = ["ImageList", "batches"]


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
                yield from self._images_in(path, is_top=True)
            else:
                yield path

    def _images_in(self, folder, *, is_top=False):
        try:
            with os.scandir(folder) as found:
                entries = sorted((entry.name, entry) for entry in found if entry.name[0] != ".")
        except OSError as exc:
            raise ValueError(f"{folder} cannot be listed: {exc.strerror}.") from exc
        folders = []
        for name, entry in entries:
            if entry.is_dir():
                # Deeper links might lead back to this folder.
                if is_top or not entry.is_symlink():
                    folders.append(entry.path)
                else:
                    self.passed_over["link to a folder"] += 1
            elif Path(name).suffix.lower() in image_endings():
                yield entry.path
            else:
                self.passed_over[Path(name).suffix.lower() or "without an ending"] += 1
        del entries
        for path in folders:
            yield from self._images_in(path)

    def remark(self):
        """Return a line about the files that were passed over, or an empty str."""
        if not self.passed_over:
            return ""
        counts = ", ".join(f"{count} {ending}" for ending, count in self.passed_over.most_common(5))
        n_files = self.passed_over.total()
        return (
            f"{n_files} {'file' if n_files == 1 else 'files'} passed over, as no images: {counts}"
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
