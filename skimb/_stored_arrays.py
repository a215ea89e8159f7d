"""Arrays that lie in files (HDF5, zarr, memory maps): their images are read batch by batch."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skimb._image_layout import read_layout
from skimb._image_source import VALUES_AT_ONCE, ImageSource, digest
from skimb._lost_differences import refuse_lost_in_blocks
from skimb._optional_libraries import is_of

__all__ = ["LARGE_MAP", "StoredImages", "is_large_map", "is_stored_array"]

#: Memory maps of more bytes are read batch by batch; smaller ones are read once.
LARGE_MAP = 2**30


def is_large_map(X):
    """Tell whether X is an array, or a view of one, in a memory map of more than 1 GiB.

    Parameters
    ----------
    X : object
        The images as they were given.

    Returns
    -------
    bool
    """
    if not isinstance(X, np.ndarray) or X.nbytes <= LARGE_MAP or X.dtype.kind not in "buif":
        return False
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False


def is_stored_array(X):
    """Tell whether X is an array of h5py or zarr, or a large memory map.

    Neither library is imported: if it is not imported yet, X cannot be an object of it.

    Parameters
    ----------
    X : object
        The images as they were given.

    Returns
    -------
    bool
    """
    return is_of("h5py", "Dataset", X) or is_of("zarr", "Array", X) or is_large_map(X)


class StoredImages(ImageSource):
    """Images of an array that is read by slices, so that it need not fit in memory.

    Estimators make it themselves of arrays of h5py and zarr, and of memory maps of more than 1 GiB.
    Make it yourself for other arrays of this kind; or to give such an array to a split, a search or
    a Pipeline of scikit-learn, which would otherwise read the samples that it chooses.

    Parameters
    ----------
    array : h5py.Dataset, zarr.Array, memmap, or object with shape, dtype and slices
        Numbers of shape ``(n, d)``, ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)``. Pixels of
        uint8 stay so, and all others are read as float32.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, to which samples of shape ``(d,)`` are reshaped.
    channels : {"first", "last"}, default=None
        The place of the channels, needed where the shape leaves it open.

    Attributes
    ----------
    layout : ImageLayout
        The way in which a sample of the array is read as an image.

    Raises
    ------
    ValueError
        If the array holds no numbers, or its shape is not one of images.

    Notes
    -----
    Indices of a batch are read in increasing order and without repeats, as HDF5 needs it. With
    `num_workers` or `n_jobs`, an HDF5 file is opened again in each process; that needs a file on
    disk that was opened for reading (``h5py.File(path, "r")``). A random batch touches many chunks:
    chunks of one or a few images are read fastest.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skimb.datasets import StoredImages
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "images.npy"
    ...     np.save(path, np.arange(18, dtype=np.uint16).reshape(2, 3, 3))
    ...     images = StoredImages(np.load(path, mmap_mode="r"))
    ...     read = np.asarray(images[[1, 0]])
    >>> images.shape, images.dtype, read[:, 0, 0, 0]
    ((2, 3, 3, 1), dtype('float32'), array([9., 0.], dtype=float32))
    """

    def __init__(self, array, *, image_shape=None, channels=None):
        missing = [name for name in ("shape", "dtype", "__getitem__") if not hasattr(array, name)]
        if missing:
            raise ValueError(
                "`array` must have a shape, a dtype and slices, as an array of h5py, zarr or numpy "
                f"has. Got a {type(array).__name__} without {', '.join(missing)}. Open one array "
                "of the file."
            )
        dtype = np.dtype(array.dtype)
        if dtype.kind not in "buif":
            raise ValueError(
                f"`array` must hold numbers, but its dtype is {dtype}. Give an array of pixels, or "
                "the paths of image files."
            )
        if len(array.shape) == 0 or 0 in array.shape:
            raise ValueError(
                f"X, a {type(array).__name__} of shape {array.shape}, holds no images. Give at "
                "least one."
            )
        self.layout = read_layout(array.shape[1:], image_shape=image_shape, channels=channels)
        self.image_shape = self.layout.image_shape
        self.dtype = np.dtype(np.uint8 if dtype == np.uint8 else np.float32)
        self._array: Any = array
        self._rows = np.arange(array.shape[0])
        self._is_checked = False
        self._file = None
        if is_of("h5py", "Dataset", array):
            file = array.file
            self._file = (
                file.filename,
                array.name,
                file.mode == "r" and os.path.exists(file.filename),
            )
        self._process = os.getpid()

    @property
    def array(self) -> Any:
        """The array; in another process than the first, an HDF5 file is opened again."""
        if self._file is not None and (self._array is None or self._process != os.getpid()):
            self._refuse_other_processes()
            import h5py  # the array came from it

            path, name, _ = self._file
            self._array, self._process = h5py.File(path, "r")[name], os.getpid()
        if self._file is not None and not self._array:
            raise ValueError(
                f"The file {self._file[0]} of X is closed. Keep it open while X is used."
            )
        return self._array

    def _refuse_other_processes(self):
        path, _, is_possible = self._file or ("", "", True)
        if not is_possible:
            raise ValueError(
                f"X lies in the HDF5 file {path}, which other processes cannot open: it is open "
                "for writing, or not on disk. Open a file on disk by h5py.File(path, 'r'), or use "
                "num_workers=0 and n_jobs=None."
            )

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: NDArray[Any] | slice) -> "StoredImages":
        """Return some of the images, and read none of them."""
        # A copy would be made as for another process.
        part = StoredImages.__new__(StoredImages)
        vars(part).update(vars(self), _rows=self._rows[indices])
        return part

    def batch(self, indices: NDArray[Any] | slice) -> NDArray[Any]:
        """Read some of the images."""
        stored = self._stored(self._rows[indices])
        return self.layout.to_channels_last(stored.astype(self.dtype, copy=False))

    def _stored(self, rows):
        """Return rows of the array as they are stored."""
        array = self.array
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return np.asarray(array[int(rows[0]) : int(rows[0]) + len(rows)])
        if isinstance(array, np.ndarray):
            return np.asarray(array[rows])
        ordered, places = np.unique(rows, return_inverse=True)
        if hasattr(array, "oindex"):
            values = np.asarray(array.oindex[ordered])
        elif self._file is not None:
            values = array[ordered]
        else:
            # Slices are all that other arrays must have.
            values = np.concatenate([np.asarray(array[int(row) : int(row) + 1]) for row in ordered])
        return values[places]

    def checked(self) -> "StoredImages":
        """Return the images, if float32 can tell their values apart.

        Returns
        -------
        StoredImages

        Raises
        ------
        ValueError
            If the differences between the pixels would be lost in float32.
        """
        stored = np.dtype(self.array.dtype)
        is_wide = stored.itemsize > 4 or (stored.kind in "ui" and stored.itemsize > 2)
        if is_wide and not self._is_checked:
            step = max(1, VALUES_AT_ONCE // self.layout.n_features)
            blocks = (
                self._stored(self._rows[start : start + step])
                for start in range(0, len(self), step)
            )
            refuse_lost_in_blocks(blocks, np.float32, "X")
            self._is_checked = True
        return self

    def keys(self) -> list[Any]:
        """Return digests of the images, which are read block by block."""
        return [digest(content) for content in self.contents()]

    def __getstate__(self):
        self._refuse_other_processes()
        state = vars(self).copy()
        if self._file is not None:
            state["_array"] = None
        return state
