"""Objects of libraries that skimb does not import: they are recognised where the user has."""

import sys

__all__ = ["is_of"]


def is_of(module, name, X):
    """Tell whether X is an object of a class of a library, without importing the library.

    Parameters
    ----------
    module : str
        The module of the class.
    name : str
        The class. In a version of the library that lacks it, nothing is an object of it.
    X : object

    Returns
    -------
    bool

    Examples
    --------
    >>> from fractions import Fraction
    >>> from skimb._optional_libraries import is_of
    >>> is_of("fractions", "Fraction", Fraction(1, 2)), is_of("a_library", "Image", 3)
    (True, False)
    """
    return module in sys.modules and isinstance(X, getattr(sys.modules[module], name, ()))
