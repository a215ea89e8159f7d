"""Values in messages."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["counted", "encoding_hint", "shortened", "shown", "told_apart"]

#: An object as Python shows it, with an address, which is another one in each process.
_ADDRESSED = re.compile(r"<(?:function )?(\S+)(?: object)? at 0x[0-9a-fA-F]+>")


class _WithoutAddresses:
    """An object whose text has names where Python shows addresses."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return _ADDRESSED.sub(r"\1", repr(self.value))


class _Short(reprlib.Repr):
    """Short texts of values, the same ones in every process."""

    def repr_instance(self, x, level):
        return super().repr_instance(_WithoutAddresses(x), level)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 80


def counted(number, noun, plural=None):
    """Return a number with what it counts: one run, or several runs.

    Parameters
    ----------
    number : float
        It is written without decimals, and with commas from 10,000 on.
    noun : str
        What one of them is called.
    plural : str, default=None
        What others are called. None: the noun with an s.

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb._messages import counted
    >>> counted(1, "run"), counted(0, "image of class cat", "images of class cat")
    ('1 run', '0 images of class cat')
    """
    written = f"{number:,.0f}" if number >= 10_000 else f"{number:.0f}"
    if written == "1":
        return f"{written} {noun}"
    return f"{written} {noun + 's' if plural is None else plural}"


def shortened(value):
    """Return the text of a value that may be long: its middle is left out, never its end.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        At most about 80 characters of a text or object, and six entries of a list. Functions and
        objects have their names, without the addresses of this process.

    Examples
    --------
    >>> from skimb._messages import shortened
    >>> shortened(list(range(100))), shortened("a" * 100)[-3:]
    ('[0, 1, 2, 3, 4, 5, ...]', "aa'")
    >>> shortened([shortened, object()])
    '[shortened, object]'
    """
    return _SHORT.repr(value)


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


def encoding_hint(labels, given):
    """Return the sentence that explains labels that scikit-learn has replaced, or nothing.

    Parameters
    ----------
    labels : list
        Those that came in y.
    given : iterable
        Those that a parameter names.

    Returns
    -------
    str
        It begins with a blank. Empty where the labels are not 0, 1, ..., or the given ones are.

    Examples
    --------
    >>> from skimb._messages import encoding_hint
    >>> encoding_hint([0, 1], ["ill", "well"])[:40]
    ' VotingClassifier, StackingClassifier, B'
    >>> encoding_hint([0, 1], [1])
    ''
    """
    # No set of the given ones: they may be anything.
    if list(labels) != list(range(len(labels))) or all(one in labels for one in given):
        return ""
    return (
        " VotingClassifier, StackingClassifier, BaggingClassifier and cross_val_predict with "
        "probabilities replace labels by 0, 1, ...: if this is inside one of them, put the "
        "ensemble into the wrapper instead."
    )


def told_apart(*numbers):
    """Return the texts of numbers, with as many digits as it takes to tell them apart.

    Parameters
    ----------
    *numbers : float

    Returns
    -------
    list of str
        Of six digits or more.

    Examples
    --------
    >>> from skimb._messages import told_apart
    >>> told_apart(1 / 3, 20), told_apart(1e9 + 0.25, 1e9 + 1)
    (['0.333333', '20'], ['1000000000', '1000000001'])
    """
    n_different = len(set(numbers))
    # 17 digits tell all floats apart.
    written = ([f"{number:.{digits}g}" for number in numbers] for digits in range(6, 17))
    exact = [f"{number:.17g}" for number in numbers]
    return next((texts for texts in written if len(set(texts)) == n_different), exact)


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
