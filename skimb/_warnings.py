"""Warnings that name the line of the user who called, however deep in the call they arise."""

import sys
import warnings

__all__ = ["warn"]

#: Packages whose code runs between the user's line and a warning, and cannot be changed there.
BETWEEN = frozenset(
    {
        "skimb",
        "sklearn",
        "imblearn",
        "skorch",
        "skore",
        "skrub",
        "mapie",
        "joblib",
        "torch",
        "numpy",
        "scipy",
        "contextlib",
        "functools",
        "concurrent",
        "multiprocessing",
        "threading",
        "runpy",
    }
)


def warn(message, category: type[Warning] = UserWarning):
    """Warn, and name the innermost line that belongs neither to skimb nor to what runs it.

    A number of levels would be right for one way of calling only: an estimator is fitted by its
    user, by a search, in a pipeline, or as a part of another estimator. In a worker process, where
    there is no line of the user, the line of skimb is named.

    Parameters
    ----------
    message : str
        The text.
    category : type of Warning, default=UserWarning
        The kind of warning.

    Examples
    --------
    >>> import warnings
    >>> from skimb._warnings import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("Mind the scale of X.")
    >>> print(caught[0].message)
    Mind the scale of X.
    """
    # `skip_file_prefixes` of Python 3.12 would do this for packages, but not for lines of the
    # standard library in between.
    caller = sys._getframe(1)
    frame = caller
    while frame is not None and _package(frame) in BETWEEN:
        frame = frame.f_back
    frame = frame or caller
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        # Where Python remembers which warnings of a module have been shown once.
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(frame):
    # A module that is run by `python -m` is called __main__; its spec knows better.
    spec = frame.f_globals.get("__spec__")
    name = spec.name if spec is not None else frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
