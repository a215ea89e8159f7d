"""Samples that stay where they are: estimators get the numbers of rows, and look the rows up.

A meta-estimator that takes tables only is given a table of one column, the numbers of the rows.
Each estimator in it that reads samples is wrapped in a `RowEstimator`, which looks them up.
"""

import copy
import functools
import os
import weakref
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from skimb._params import safe_indexing
from skimb._unpacking import unpacked_rows

__all__ = ["HeldSamples", "RowEstimator", "bind"]

#: Methods whose first argument is samples.
READ_SAMPLES = (
    "fit",
    "fit_predict",
    "fit_transform",
    "partial_fit",
    "predict",
    "predict_log_proba",
    "predict_proba",
    "decision_function",
    "embed",
    "score",
    "score_samples",
    "transform",
)

#: Parameters that may be dicts by label.
BY_LABEL = ("class_weight", "target_prior", "sampling_strategy", "shrinkage")

#: Samples that are held in this process, by token.
HELD: Any = weakref.WeakValueDictionary()

#: Keys of the memo of `copy.deepcopy`, whose own keys are numbers.
BOUND_TO, FOUND = "skimb: held samples", "skimb: row estimators"


class HeldSamples:
    """Samples of any form, of which rows are looked up by their numbers.

    A copy in another process can look rows up too. If that process returns the copy, it becomes the
    original again, and the samples are not sent back: joblib's workers return fitted estimators,
    and the samples must not travel with each of them.

    Parameters
    ----------
    X : object that can be indexed by rows
        The samples: an array of any dimension, a sparse matrix, a frame, a list, paths, a view or
        an `ImageSource`.
    """

    def __init__(self, X):
        self.X = X
        self.token = uuid4().hex
        # A process that was forked has the object, but is not its owner.
        self.owner: Any = os.getpid()
        HELD[self.token] = self

    @classmethod
    def of(cls, X):
        """Hold the samples that a user gave; None and the path of a folder are refused."""
        if X is None or isinstance(X, str | os.PathLike):
            raise ValueError(
                f"X must hold samples, such as an array or a list of paths. Got {X!r}. The images "
                "of a folder are load_image_folder(folder).paths."
            )
        (X,) = indexable(unpacked_rows(X))
        return cls(X)

    @property
    def n_rows(self):
        """The number of samples."""
        return self.X.shape[0] if hasattr(self.X, "shape") else len(self.X)

    def numbers(self):
        """Return the numbers of all rows as a table.

        Returns
        -------
        ndarray of shape (n, 1), float64
            As floats, numbers between those of rows, which SMOTE would make, are noticed.
        """
        return np.arange(self.n_rows, dtype=np.float64).reshape(-1, 1)

    def rows(self, numbers):
        """Return the samples with these numbers; all samples in order are not copied.

        Parameters
        ----------
        numbers : array-like of shape (m, 1)
            Numbers of rows, in any order; they may repeat.

        Returns
        -------
        object
            The samples in the form that they have.

        Raises
        ------
        ValueError
            If these are no numbers of rows.
        """
        numbers = np.asarray(numbers)
        if self.X is None:
            raise ValueError(
                "The samples of this estimator are held by another process. Give it the samples "
                "again: fit it in this process."
            )
        if numbers.ndim != 2 or numbers.shape[1] != 1:
            raise ValueError(
                "An estimator on images got a table of another shape than the one column of row "
                f"numbers: {numbers.shape}. Its meta-estimator adds columns to X, as "
                "ClassifierChain does, and images have none. Use another one, such as "
                "MultiOutputClassifier for several targets."
            )
        numbers = numbers[:, 0].astype(np.float64)
        with np.errstate(invalid="ignore"):
            places = numbers.astype(np.intp)
        n_rows = self.n_rows
        if not ((places == numbers) & (places >= 0) & (places < n_rows)).all():
            raise ValueError(
                "An estimator on images got numbers that are not those of rows of X. Its "
                "meta-estimator, or a sampler in it, computes with its input instead of choosing "
                "samples. Use one that chooses; give samplers such as SMOTE as `sampler` of the "
                "estimator on images."
            )
        if len(places) == n_rows and np.array_equal(places, np.arange(n_rows)):
            return self.X
        return safe_indexing(self.X, places)

    def __reduce__(self):
        return _held, (self.token, (self.X,) if self.owner == os.getpid() else None)

    def __deepcopy__(self, memo):
        return self


def _held(token, content):
    """Return the samples that are held in this process, or those that came."""
    held = HELD.get(token)
    if held is None:
        held = HeldSamples.__new__(HeldSamples)
        (held.X,), held.token, held.owner = content or (None,), token, None
    return held


class RowEstimator(BaseEstimator):
    """An estimator that gets the numbers of rows, looks the rows up, and hands them on.

    Otherwise it is like the estimator that it holds: it has the parameters, attributes and methods
    of that one. Without held samples it hands its input on unchanged.

    Parameters
    ----------
    estimator : estimator
        The estimator that reads the samples.
    held : HeldSamples or None, default=None
        The samples.
    """

    def __init__(self, estimator, held=None):
        self.estimator = estimator
        self.held = held

    def __getattr__(self, name):
        if name.startswith("__") or "estimator" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = getattr(self.estimator, name)
        if name not in READ_SAMPLES:
            return found

        # Its signature is that of the estimator, which tells whether there are sample weights.
        @functools.wraps(found)
        def method(X, *args, **kwargs):
            samples = X if self.held is None else self.held.rows(X)
            try:
                result = found(samples, *args, **kwargs)
            except ValueError as exc:
                hint = _hint_of_labels(self.estimator, *args, **kwargs) if name == "fit" else None
                if hint is None:
                    raise
                raise ValueError(f"{exc} {hint}") from exc
            return self if result is self.estimator else result

        return method

    def get_params(self, deep=True):
        """Return the parameters of the estimator."""
        return self.estimator.get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters of the estimator."""
        self.estimator.set_params(**params)
        return self

    def get_metadata_routing(self):
        """Return the metadata that the estimator requests."""
        return self.estimator.get_metadata_routing()

    def __repr__(self):
        return f"{type(self).__name__}({self.estimator!r})"

    def __sklearn_clone__(self):
        return RowEstimator(clone(self.estimator), self.held)

    def __sklearn_is_fitted__(self):
        try:
            check_is_fitted(self.estimator)
        except NotFittedError:
            return False
        return True

    def __sklearn_tags__(self):
        tags = copy.deepcopy(get_tags(self.estimator))
        # What it gets itself is a table of numbers.
        tags.input_tags = super().__sklearn_tags__().input_tags
        return tags

    def __deepcopy__(self, memo):
        if BOUND_TO not in memo:
            return RowEstimator(copy.deepcopy(self.estimator, memo), self.held)
        memo[FOUND].append(self.estimator)
        return RowEstimator(self.estimator, memo[BOUND_TO])


def _hint_of_labels(estimator, y=None, *args, **kwargs):
    """Return what to do where a member has dicts by label, and got numbers of classes as labels."""
    labels = [] if y is None or np.ndim(y) != 1 else np.unique(y).tolist()
    by_label = [
        name.rpartition("__")[2]
        for name, value in sorted(estimator.get_params(deep=True).items())
        if name.endswith(BY_LABEL) and isinstance(value, Mapping) and not set(value) & set(labels)
    ]
    if not by_label or labels != list(range(len(labels))):
        return None
    return (
        "Many meta-estimators number the classes from 0, in the order of the sorted labels, and "
        f"fit their members on these numbers. Here they are {labels}: give them as the keys of "
        f"`{by_label[0]}`."
    )


def bind(fitted, held):
    """Return a copy of a fitted meta-estimator whose estimators look up other samples.

    The estimators on samples are shared with the copy, and the rest of it is copied: several
    threads can predict at the same time.

    Parameters
    ----------
    fitted : estimator
        A meta-estimator with `RowEstimator` objects at any depth.
    held : HeldSamples or None
        The samples; None: the estimators hold none.

    Returns
    -------
    bound : estimator
        The copy.
    found : list of estimator
        The estimators on samples.
    """
    memo: dict = {BOUND_TO: held, FOUND: []}
    return copy.deepcopy(fitted, memo), memo[FOUND]
