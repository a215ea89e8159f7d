"""What else people hold images in: tensors, columns of arrays, data sets of torch.

Torch and skorch are recognised without being imported: where they are not, nothing is theirs.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["as_array", "is_tensor", "unpacked"]


def is_tensor(X):
    """Tell whether X is a tensor of torch, without importing it."""
    return "torch" in sys.modules and isinstance(X, sys.modules["torch"].Tensor)


def as_array(X):
    """Return a tensor as an array, and anything else as it is."""
    if not is_tensor(X):
        return X
    if X.layout is not sys.modules["torch"].strided:
        raise ValueError(f"Got a tensor of layout {X.layout}. Give it dense: tensor.to_dense().")
    values = X.detach().cpu()
    try:
        return values.numpy()
    except TypeError:
        # numpy lacks the type, bfloat16 say: float32 holds each of its values.
        return values.float().numpy()


def unpacked(X: Any, name="X") -> Any:
    """Return images, or a target, as scikit-learn can validate them.

    Parameters
    ----------
    X : object
        What was given: a tensor, with a gradient or not, on any device; a list of tensors; an
        object array, Series or one-column frame of arrays; skorch's `SliceDataset`. Anything else
        comes back as it is.
    name : str, default="X"
        What it is called.

    Returns
    -------
    array-like

    Raises
    ------
    ValueError
        If it is a container that cannot be told to hold images only, or holds arrays of several
        shapes.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind != "O":
        return X
    if is_tensor(X):
        return as_array(X)
    _refuse(X, name)
    if _is_of("skorch.helper", "SliceDataset", X):
        return _stacked([X[row] for row in range(len(X))], name)
    if isinstance(X, list | tuple):
        is_mixed = any(is_tensor(row) for row in X) or _are_ragged(X)
        return _stacked(X, name) if is_mixed else X
    values: Any = X.to_numpy() if hasattr(X, "iloc") else X
    if isinstance(values, np.ndarray) and values.dtype == object and values.size:
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1 and _is_array(values[0]):
            return _stacked(values, name)
    return X


def _refuse(X, name):
    """Refuse containers in which images and labels stand together, or that are read once."""
    kind = type(X).__name__
    wanted = f"Give {name} as an array, a list or a tensor of one value a row"
    if name == "X":
        wanted = "Give X as an array, a list of arrays, a tensor, or paths of image files"
    if isinstance(X, Mapping):
        key = next(iter(X), "key")
        raise ValueError(f"{name} is a {kind}. {wanted}, such as {name}[{key!r}].")
    if _is_of("torch.utils.data", "DataLoader", X) or isinstance(X, Iterator):
        raise ValueError(
            f"{name} is a {kind}, which is read in an order of its own, and the estimator makes its"
            f" batches itself. {wanted}."
        )
    if _is_of("torch.utils.data", "Dataset", X):
        raise ValueError(
            f"{name} is a torch Dataset ({kind}), which gives images and labels together. {wanted}:"
            " X = np.stack([np.asarray(image) for image, _ in dataset]) and y = np.array([label "
            "for _, label in dataset]). An ImageFolder has paths: [path for path, _ in "
            "dataset.samples]."
        )


def _is_of(module, name, X):
    return module in sys.modules and isinstance(X, getattr(sys.modules[module], name))


def _is_array(row):
    return is_tensor(row) or (isinstance(row, np.ndarray | list | tuple) and np.ndim(row) > 0)


def _are_ragged(rows):
    """Tell whether rows are arrays of several shapes."""
    return len({row.shape for row in rows if isinstance(row, np.ndarray)}) > 1


def _stacked(rows, name):
    """Return one array of rows that all have one shape."""
    rows = [np.asarray(as_array(row)) for row in rows]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} holds arrays of several shapes: {sorted(shapes)[:5]}. All images must have one"
            " shape: resize them, or give paths and `image_shape`."
        )
    return np.stack(rows)
