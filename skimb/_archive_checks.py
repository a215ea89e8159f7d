"""Types, texts and random generators of files: what compiled code would read without a check."""

import re
import reprlib

import numpy as np

__all__ = ["check_text", "checked_dtype", "random_again"]

#: How NumPy writes the types that a file may name.
DTYPE = re.compile(r"[<>|]([biuf]\d{1,2}|U\d{1,8}|O\d?)")

#: Bytes that an array of text may always have.
SMALL = 2**20

#: How many times as large as its texts an array of text may be: all have the size of the longest.
MOST_PADDING = 64

#: The names of random generators.
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")

#: The largest numbers that states of random generators may have: places in a buffer, and switches.
LARGEST = {"pos": 624, "buffer_pos": 4, "has_gauss": 1, "has_uint32": 1, "uinteger": 2**32 - 1}


def checked_dtype(text):
    """Return the name of a dtype of numbers, booleans, text or objects.

    Raises
    ------
    ValueError
        If it names no such dtype.
    """
    if not isinstance(text, str) or not DTYPE.fullmatch(text):
        raise ValueError(f"The file names the dtype {reprlib.repr(text)}, which is none.")
    return text


def check_text(dtype, texts):
    """Refuse an array of text that is far larger than its texts.

    Parameters
    ----------
    dtype : dtype
        The type of the array.
    texts : list
        Its values.

    Raises
    ------
    ValueError
        If it is too large.
    """
    size = dtype.itemsize * len(texts)
    if dtype.kind == "U" and size > SMALL:
        own = sum(len(text) + 1 for text in texts if isinstance(text, str)) * 4
        if size > MOST_PADDING * own:
            raise ValueError(
                f"An array of {len(texts)} texts of the type {dtype} has {size} bytes, for texts "
                f"of {own} bytes. Give it the dtype object."
            )


def random_again(kind, state):
    """Return a random generator of a state.

    Parameters
    ----------
    kind : str
        ``"RandomState"`` or ``"Generator"``.
    state : dict
        As NumPy returns it.

    Returns
    -------
    RandomState or Generator

    Raises
    ------
    ValueError
        If no generator of NumPy has such a state: NumPy itself does not check all of it.
    """
    name = state.get("bit_generator") if isinstance(state, dict) else None
    if name not in GENERATORS or (kind == "RandomState" and name != "MT19937"):
        raise ValueError(f"The file names the random generator {name!r}, which is none.")
    made = getattr(np.random, name)(0)
    if kind == "RandomState":
        made = np.random.RandomState(made)
        _check_state(name, state, made.get_state(legacy=False))
        made.set_state(state)
        return made
    _check_state(name, state, made.state)
    made.state = state
    return np.random.Generator(made)


def _check_state(name, state, own):
    if not _fits(state, own):
        raise ValueError(f"The file holds a state of {name} that is none.")


def _fits(state, own, name=""):
    """Return whether a state has the entries, shapes and types of another, and fits its buffers."""
    if isinstance(own, dict):
        return (
            isinstance(state, dict)
            and set(state) == set(own)
            and all(_fits(state[key], own[key], key) for key in own)
        )
    if isinstance(own, np.ndarray):
        is_array = isinstance(state, np.ndarray)
        return is_array and state.shape == own.shape and state.dtype == own.dtype
    if type(state) is not type(own):
        return False
    return not isinstance(own, int) or 0 <= state <= LARGEST.get(name, 2**128 - 1)
