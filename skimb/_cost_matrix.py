"""The cost of each decision for each true class, read from arrays, frames and dicts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skimb._frames import as_pandas, is_foreign
from skimb._messages import encoding_hint, shown
from skimb._unpacking import as_array

__all__ = ["labels_of_costs", "plain_costs", "read_cost_matrix"]

#: The forms that are read, for messages.
FORMS = (
    "an array of shape (n_classes, n_classes) in the order of the sorted labels, a DataFrame with "
    "the true labels as index and the predicted ones as columns, or a dict "
    "{true: {predicted: cost}}"
)


def read_cost_matrix(cost_matrix, classes) -> np.ndarray:
    """Return the cost of each decision for each true class.

    Parameters
    ----------
    cost_matrix : array-like of shape (n_classes, n_classes), DataFrame, dict or None
        An array holds the true classes in its rows and the predicted ones in its columns, both in
        the order of `classes`. A DataFrame is read by its labels, in any order: its index holds the
        true labels, and its columns the predicted ones. A frame of polars or pyarrow has its true
        labels in its first column. A dict holds ``{true: {predicted: cost}}``, where the cost of a
        correct decision may be left out: it is zero then. Text that is written like a label stands
        for it, because files hold text. Costs may be negative, which is a gain. None: each error
        costs 1.
    classes : array-like of shape (n_classes,)
        All labels, sorted, as in ``classes_``.

    Returns
    -------
    ndarray of shape (n_classes, n_classes), float64
        The entry ``[i, j]`` is the cost of predicting ``classes[j]`` where ``classes[i]`` is true.

    Raises
    ------
    ValueError
        If it has another shape, or an entry is no finite number; if a label is missing, unknown or
        given twice; or if all decisions cost the same for each true class.

    Examples
    --------
    >>> from skimb._cost_matrix import read_cost_matrix
    >>> read_cost_matrix({"ok": {"crack": 1}, "crack": {"ok": 10}}, ["crack", "ok"])
    array([[ 0., 10.],
           [ 1.,  0.]])
    """
    classes = np.asarray(classes)
    n_classes = len(classes)
    if cost_matrix is None:
        return 1.0 - np.eye(n_classes)
    if isinstance(cost_matrix, Mapping):
        costs = _of_dict(cost_matrix, classes)
    elif isinstance(cost_matrix, pd.DataFrame) or is_foreign(cost_matrix):
        costs = _of_frame(cost_matrix, classes)
    else:
        costs = _numbers(as_array(cost_matrix))
        if costs.shape != (n_classes, n_classes):
            raise ValueError(
                f"`cost_matrix` must have shape {(n_classes, n_classes)} for the {n_classes} "
                f"classes {shown(classes)}. Got shape {costs.shape}. Give {FORMS}."
            )
    if not np.isfinite(costs).all():
        row, column = np.argwhere(~np.isfinite(costs))[0]
        raise ValueError(
            f"`cost_matrix` must hold finite numbers. Got {shown(costs[row, column])} for "
            f"predicting {shown(classes[column])} where {shown(classes[row])} is true. Give a "
            "large number for a decision that must not be made."
        )
    if n_classes > 1 and (costs == costs[:, :1]).all():
        raise ValueError(
            "`cost_matrix` makes no difference between decisions: each row, that of a true class, "
            f"holds the same cost for all predicted classes. Got {shown(costs)}. Give an error a "
            "larger cost than a correct decision."
        )
    return costs


def _numbers(values) -> np.ndarray:
    """Return an array of numbers as a new one of float64."""
    try:
        found = np.asarray(values)
        if np.ma.is_masked(values) or found.dtype.kind not in "biufO":
            raise ValueError
        if found.dtype.kind == "O" and any(isinstance(v, str | bytes) for v in found.flat):
            raise ValueError
        return np.array(found, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(
            f"`cost_matrix` must hold one number for each true and predicted class. Got "
            f"{shown(values)}. Give {FORMS}."
        ) from None


def plain_costs(cost_matrix) -> Any:
    """Return a frame of costs as the dict that means the same, and anything else as it is.

    Parameters
    ----------
    cost_matrix : object
        As `read_cost_matrix` takes it.

    Returns
    -------
    dict or object

    Examples
    --------
    >>> import pandas as pd
    >>> from skimb._cost_matrix import plain_costs
    >>> plain_costs(pd.DataFrame([[0, 2], [3, 0]], index=["a", "b"], columns=["a", "b"]))
    {'a': {'a': 0, 'b': 2}, 'b': {'a': 3, 'b': 0}}
    """
    if not (isinstance(cost_matrix, pd.DataFrame) or is_foreign(cost_matrix)):
        return cost_matrix
    frame = _labelled(cost_matrix)
    return {
        row: dict(zip(frame.columns.tolist(), values, strict=True))
        for row, values in zip(frame.index.tolist(), frame.to_numpy().tolist(), strict=True)
    }


def labels_of_costs(cost_matrix, found) -> np.ndarray:
    """Return the labels of a frame or a dict of costs, where these have all that were found.

    Parameters
    ----------
    cost_matrix : object
        As `read_cost_matrix` takes it.
    found : ndarray
        The labels that occur, sorted.

    Returns
    -------
    ndarray
        Sorted. Those that were found, for costs without labels or with other ones.
    """
    costs = plain_costs(cost_matrix)
    if not isinstance(costs, Mapping):
        return found
    try:
        labels = np.unique(np.array(list(costs), dtype=object if found.dtype.kind == "O" else None))
        if labels.dtype.kind == "U" and found.dtype.kind in "iuf":
            labels = np.unique(labels.astype(found.dtype))
    except (TypeError, ValueError):
        return found
    return labels if set(found.tolist()) <= set(labels.tolist()) else found


def _labelled(frame: Any):
    """Return a frame of pandas whose index holds the true labels."""
    if is_foreign(frame):
        frame = as_pandas(frame)
        if getattr(frame, "ndim", 0) != 2 or frame.shape[1] < 2:
            raise ValueError(
                "`cost_matrix` as a frame of polars or pyarrow must have the true labels in its "
                "first column, and one column for each predicted label. Got "
                f"{'one column' if frame.ndim == 1 else shown(list(frame.columns))}."
            )
        # An index that pyarrow has kept is one of labels already.
        if isinstance(frame.index, pd.RangeIndex):
            frame = frame.set_index(frame.columns[0])
    return frame


def _of_frame(frame: Any, classes):
    frame = _labelled(frame)
    rows = _places(frame.index, classes, "the index of `cost_matrix` (the true classes)")
    columns = _places(frame.columns, classes, "the columns of `cost_matrix` (the predicted ones)")
    # Missing entries become NaN, which is refused with the name of the entry.
    return _numbers(frame.astype(object).where(frame.notna(), np.nan).to_numpy())[
        np.ix_(rows, columns)
    ]


def _of_dict(costs, classes):
    rows = _places(list(costs), classes, "the keys of `cost_matrix` (the true classes)")
    given = list(costs)
    found: list[list[Any]] = []
    for position, row in enumerate(rows):
        label = given[row]
        inner = costs[label]
        if isinstance(inner, pd.Series):
            inner = inner.to_dict()
        if not isinstance(inner, Mapping):
            raise ValueError(
                f"`cost_matrix` as a dict must hold {{true: {{predicted: cost}}}}. Got "
                f"{shown(inner)} for {shown(label)}."
            )
        own = classes[position]
        keys = list(inner)
        if not any(_is_label(key, own) for key in keys):
            inner, keys = {**inner, label: 0.0}, [*keys, label]
        columns = _places(keys, classes, f"`cost_matrix[{shown(label)}]` (the predicted classes)")
        found.append([inner[keys[column]] for column in columns])
    return _numbers(found)


def _is_label(key, label):
    """Tell whether a key is a label, or text that is written like it."""
    return key == label or (isinstance(key, str) and key == str(label))


def _places(given, classes, name):
    """Return the position of each class among the labels that were given."""
    given = pd.Index(given).tolist()
    labels = classes.tolist()
    # A file of values has text in place of labels.
    by_text = {str(label): label for label in labels}
    is_to_read = len(by_text) == len(labels) and not any(isinstance(v, str) for v in labels)
    found = [by_text.get(v, v) if is_to_read and isinstance(v, str) else v for v in given]
    place: dict[Any, int] = {}
    doubled = []
    for position, label in enumerate(found):
        if place.setdefault(label, position) != position:
            doubled.append(label)
    known = set(labels)
    unknown = [label for label in found if label not in known]
    missing = [label for label in labels if label not in place]
    for problem, which in (("Twice", doubled), ("Unknown", unknown), ("Missing", missing)):
        if which:
            raise ValueError(
                f"Each label must be given once in {name}. {problem}: {shown(which)}. The labels "
                f"are {shown(labels)}. Got {shown(given)}.{encoding_hint(labels, found)}"
            )
    return [place[label] for label in labels]
