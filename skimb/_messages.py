"""Values in messages."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["shown"]


def shown(value):
    """Return the text of labels or numbers, in which NumPy's scalars look like Python's.

    Parameters
    ----------
    value : object
        One value, or an array, list, tuple, set or dict of values.

    Returns
    -------
    str
        Its `repr`, without the types of scalars.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._messages import shown
    >>> label = np.array(["ill"])[0]
    >>> repr(label), shown(label), shown({label: np.float64(0.5)})
    ("np.str_('ill')", "'ill'", "{'ill': 0.5}")
    """
    return repr(_in_python(value))


def _in_python(value) -> Any:
    if isinstance(value, np.ndarray):
        return _in_python(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_in_python(key): _in_python(entry) for key, entry in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_in_python, value))
    return value
