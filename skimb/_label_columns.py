"""Labels of several sources side by side, and columns that are read by their labels."""

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets

from skimb._messages import shown
from skimb._unpacking import plain_vector, unpacked

__all__ = ["by_label", "check_labels", "column_labels", "sorted_labels", "unknown_labels"]


def check_labels(y):
    """Refuse a target that holds no labels, with the way to make labels of objects.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The target.

    Raises
    ------
    ValueError
        If y holds fractions, or objects other than text: scikit-learn's scores take no others.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._label_columns import check_labels
    >>> try:
    ...     check_labels(np.array([0, 1], dtype=object))
    ... except ValueError as error:
    ...     print(str(error)[:58])
    Unknown label type: y is an array of objects that hold int
    """
    if isinstance(y, np.ndarray) and y.dtype.kind == "O" and y.ndim == 1:
        types = {type(label).__name__: None for label in y if not isinstance(label, str)}
        if types:
            raise ValueError(
                f"Unknown label type: y is an array of objects that hold {', '.join(types)}. "
                "Labels are text, whole numbers or booleans, all of one type. Give y.astype(int), "
                "y.astype(bool) or y.astype(str)."
            )
    check_classification_targets(y)


def unknown_labels(y, labels):
    """Return the labels of y that are not among others, each once.

    The text "1" and the number 1 are different labels here, which they are not for functions of
    NumPy. Labels of any types can be compared.

    Parameters
    ----------
    y, labels : array-like of labels

    Returns
    -------
    list

    Examples
    --------
    >>> from skimb._label_columns import unknown_labels
    >>> unknown_labels(["1", "a"], [1, 2])
    ['1', 'a']
    """
    y, labels = np.asarray(y), np.asarray(labels)
    if y.dtype.kind in "biuf" and labels.dtype.kind in "biuf":
        is_known = np.isin(y, labels)
    else:
        is_known = pd.Index(y.astype(object)).isin(labels.astype(object))
    return list(dict.fromkeys(y[~is_known].tolist()))


def sorted_labels(given):
    """Return the labels of several arrays, sorted.

    Parameters
    ----------
    given : dict of str to array-like of labels
        By the names that messages give them.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If some are text and others are not, or a label is missing.

    Examples
    --------
    >>> from skimb._label_columns import sorted_labels
    >>> sorted_labels({"`y_true`": ["b", "a"], "`y_pred`": ["c", "c"]}).tolist()
    ['a', 'b', 'c']
    """
    given = {name: plain_vector(labels, name) for name, labels in given.items()}
    found = {name: pd.unique(labels).tolist() for name, labels in given.items()}
    is_text = {isinstance(label, str) for labels in found.values() for label in labels}
    if len(is_text) > 1:
        held = ", and ".join(f"{name} holds {_some(labels)}" for name, labels in found.items())
        raise ValueError(
            f"Labels are text or numbers, and not both: {held}. Give the same labels everywhere, "
            "with y.astype(str), or with y.map(...) of a Series."
        )
    return np.unique(np.concatenate(list(given.values())))


def _some(labels, most=10):
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return shown(labels[:most]) + more


def column_labels(values, y_true, *, name):
    """Return the labels of columns where none are given: those of a frame, or the sorted ones of y.

    Parameters
    ----------
    values : array-like or DataFrame
    y_true : array-like of labels
    name : str
        The name of the values in messages.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If labels or columns are text, and others are not.
    """
    values = unpacked(values, name)
    if not isinstance(values, pd.DataFrame):
        return sorted_labels({"`y_true`": y_true})
    return sorted_labels({"`y_true`": y_true, f"the columns of `{name}`": values.columns})


def by_label(values, labels, *, name):
    """Return an array of a frame with its columns in the order of labels, or other values as given.

    Parameters
    ----------
    values : array-like or DataFrame of shape (n, n_labels)
        A frame of pandas, polars or pyarrow is read by the names of its columns.
    labels : array-like of shape (n_labels,)
        All labels, in the order that is wanted.
    name : str
        The name of the values in messages.

    Returns
    -------
    array-like

    Raises
    ------
    ValueError
        If the columns of a frame are not the labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from skimb._label_columns import by_label
    >>> by_label(pd.DataFrame({"b": [0.3], "a": [0.7]}), ["a", "b"], name="y_proba")
    array([[0.7, 0.3]])
    """
    values = unpacked(values, name)
    if not isinstance(values, pd.DataFrame):
        return values
    columns = values.columns
    if not columns.is_unique or unknown_labels(columns, labels) or unknown_labels(labels, columns):
        raise ValueError(
            f"The columns of the frame `{name}` must be the labels {shown(np.asarray(labels))}, in "
            f"any order. Got {_some(columns.tolist())}. Name them, "
            "pd.DataFrame(proba, columns=classifier.classes_), or give an array, whose columns are "
            "in the order of the labels."
        )
    return values[list(labels)].to_numpy()
