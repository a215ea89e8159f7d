"""Checks of the forms of X: equal images in any container give equal results."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skimb.testing._image_check import check
from skimb.testing._image_trial import ARRAYS

__all__ = ["CHECKS"]


def _compare(trial, fitted, wanted, what, X, images=None):
    """Compare results with known ones: those of an estimator fitted on X, and of one that reads X.

    The first reads the images of the trial, or those that are given.
    """
    trial.doing = f"{what} at fit"
    trial.expect_equal(trial.outputs(trial.fitted(X), images), wanted)
    trial.doing = f"{what} at predict"
    trial.expect_equal(trial.outputs(fitted, X), wanted)


@check(
    "Begin with sklearn.utils.check_array or numpy.asarray, index by axis, and let no computation "
    "depend on strides (`ravel(order='K')`), on the order of bytes, or on writing into X. A tensor "
    "becomes an array by `tensor.numpy(force=True)`.",
    forms=ARRAYS,
    needs=("deterministic",),
)
def check_array_forms(trial):
    """Equal arrays give equal results, whatever holds them and however they lie in memory.

    These are arrays in C and Fortran order, with gaps and negative strides, of the other byte
    order, read-only, memory-mapped; lists of arrays; and tensors, if torch is imported.
    """
    X = trial.X
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    read_only = X.copy()
    read_only.flags.writeable = False
    np.save(trial.folder / "images.npy", X)
    forms = {
        "an array in Fortran order": np.asfortranarray(X),
        "every other image of an array": np.repeat(X, 2, axis=0)[::2],
        "an array with negative strides": np.ascontiguousarray(X[:, ::-1])[:, ::-1],
        "a read-only array": read_only,
        "a read-only memmap": np.load(trial.folder / "images.npy", mmap_mode="r"),
        "a list of arrays": list(X),
    }
    torch = trial.torch()
    if torch is not None:
        forms["a tensor"] = torch.from_numpy(X.copy())
    for what, same in forms.items():
        _compare(trial, fitted, wanted, what, same)
    native = X.astype(np.float32)
    fitted = trial.fitted(native)
    swapped = native.astype(native.dtype.newbyteorder("S"))
    wanted = trial.outputs(fitted, native.copy())
    _compare(trial, fitted, wanted, "floats of the other byte order", swapped, native)


@check(
    "Find where the channels stand (one of 1, 3, 4), and move them to one place, by "
    "numpy.moveaxis, before anything else. An estimator that reads one order alone says so by "
    "`forms`.",
    forms=("4d_first",),
    other_form="4d",
    needs=("deterministic",),
)
def check_channel_order(trial):
    """Images with the channels first give the same results as with the channels last."""
    fitted = trial.fitted(trial.pixels())
    _compare(
        trial, fitted, trial.outputs(fitted, trial.pixels()), "images with channels first", trial.X
    )


@check(
    "Turn X into a list of str first: numpy.asarray(X, dtype=object).ravel(), and os.fspath of "
    "each. Never look into the index of a Series.",
    forms=("paths",),
    needs=("deterministic",),
)
def check_path_forms(trial):
    """Equal paths give equal results, in any container of strings or of pathlib.Path."""
    paths = trial.X
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    index = np.arange(len(paths))[::-1]
    forms = {
        "a tuple": tuple(paths),
        "an array of strings": np.array(paths),
        "an array of objects": np.array(paths, dtype=object),
        "a list of pathlib.Path": [Path(path) for path in paths],
        "a Series of objects": pd.Series(paths, index=index, dtype=object),
        "a Series of strings": pd.Series(paths, index=index, dtype="string"),
        "a Series of pathlib.Path": pd.Series([Path(path) for path in paths], index=index),
    }
    if "pyarrow" in sys.modules:
        forms["a Series of arrow"] = pd.Series(paths, index=index, dtype="string[pyarrow]")
    polars = trial.polars()
    if polars is not None:
        forms["a Series of polars"] = polars.Series("image", paths)
    for what, same in forms.items():
        _compare(trial, fitted, wanted, what, same)


@check(
    "Decode files to the arrays that they hold (numpy.asarray of PIL's image), with their dtype, "
    "size and channels, and read these as X.",
    forms=("paths",),
    needs=("deterministic",),
)
def check_files_equal_arrays(trial):
    """Files without loss give the same results as the arrays of their pixels."""
    for form, n_channels in (("3d", 0), ("4d", 3)):
        if form in trial.forms:
            pixels = trial.pixels(n_channels=n_channels)
            fitted = trial.fitted(pixels, form=form)
            paths = trial.in_form(pixels)
            wanted = trial.outputs(fitted, pixels)
            trial.doing = f"files of arrays of shape {pixels.shape}"
            trial.expect_equal(trial.outputs(trial.fitted(paths), paths), wanted)


@check(
    "Read the column by its values, never by the index, and convert strings of any dtype to str.",
    forms=("frame",),
    needs=("deterministic",),
)
def check_frame_forms(trial):
    """Equal frames of one column give equal results, whatever their index, dtype and library."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    name = trial.image_columns[0]
    forms = {**_reindexed(trial.X), "a column of strings": trial.X.astype("string")}
    if "pyarrow" in sys.modules:
        forms["a column of arrow"] = trial.X.astype("string[pyarrow]")
    polars = trial.polars()
    if polars is not None:
        forms["a frame of polars"] = polars.DataFrame({name: trial.X[name].tolist()})
    for what, same in forms.items():
        _compare(trial, fitted, wanted, what, same)


@check(
    "Read the columns by their values, never by the index, and ask whether a column holds numbers "
    "by pandas.api.types.is_numeric_dtype instead of one dtype.",
    forms=("mixed",),
    needs=("deterministic",),
)
def check_mixed_frame_forms(trial):
    """Equal mixed frames give equal results, whatever their index, dtypes and library."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    X = trial.X
    forms = {
        **_reindexed(X),
        "integers as floats": X.astype({"rooms": float}),
        "strings as categories": X.astype({"colour": "category"}),
        "categories as strings": X.astype({"material": object}),
        "dtypes with pandas.NA": X.convert_dtypes(),
    }
    polars = trial.polars()
    if polars is not None:
        forms["a frame of polars"] = polars.DataFrame(
            {name: X[name].astype(object).where(X[name].notna(), None).tolist() for name in X}
        )
    for what, same in forms.items():
        _compare(trial, fitted, wanted, what, same)


def _reindexed(frame):
    n_samples = len(frame)
    return {
        "another index": frame.set_axis(np.arange(n_samples)[::-1], axis=0),
        "an index with duplicates": frame.set_axis(np.arange(n_samples) // 2, axis=0),
        "an index of strings": frame.set_axis([f"sample {i}" for i in range(n_samples)], axis=0),
    }


CHECKS = (
    check_array_forms,
    check_channel_order,
    check_path_forms,
    check_files_equal_arrays,
    check_frame_forms,
    check_mixed_frame_forms,
)
