"""The task of a comparison: whether labels or numbers are to be predicted."""

import numpy as np
from sklearn.utils import assert_all_finite

from skimb._image_files import is_paths
from skimb._quantities import has_fractions, is_quantity
from skimb._reading import is_source
from skimb._warnings import warn
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study._classification_task import ClassificationTask
from skimb.study._regression_task import RegressionTask

__all__ = ["task_of", "with_measure_first"]


def task_of(estimator, X, y):
    """Tell by the estimator, or else by y, whether labels or numbers are to be predicted.

    Parameters
    ----------
    estimator : CNNClassifier, CNNRegressor or None
    X : array-like
        Images.
    y : ndarray of shape (n,)
        The target.

    Returns
    -------
    ClassificationTask or RegressionTask

    Raises
    ------
    ValueError
        If the estimator is of another type.
    """
    if estimator is not None and not isinstance(estimator, CNNClassifier | CNNRegressor):
        is_class = isinstance(estimator, type)
        got = f"the class {estimator.__name__}" if is_class else type(estimator).__name__
        raise ValueError(
            f"`estimator` must be a CNNClassifier or a CNNRegressor, whose parameters the "
            f"strategies set. Got {got}. Any other estimator can be compared "
            "as strategies={'mine': estimator, 'none': 'none'}."
        )
    if estimator is None:
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        is_regression = is_quantity(y)
        if is_regression and not has_fractions(y):
            warn(
                f"y holds {len(np.unique(y))} different whole numbers and is taken for a "
                "quantity. Give estimator=CNNClassifier() if these are labels, or "
                "estimator=CNNRegressor() to say that they are numbers."
            )
    else:
        is_regression = isinstance(estimator, CNNRegressor)
    if not is_regression:
        return ClassificationTask(y, has_array=not is_source(X) and not hasattr(X, "columns"))
    relevance = None if estimator is None else estimator.relevance
    return RegressionTask(y, relevance=relevance, has_paths=is_paths(X))


def with_measure_first(scoring, measure):
    """Return the scorers, of which the measure that was asked for is the first.

    Parameters
    ----------
    scoring : mapping of str to scorer
    measure : str or None
        A name of `scoring`; that of an error may lack the ``neg_`` of its scorer, as errors are
        shown as errors. None: the order stays.

    Returns
    -------
    mapping of str to scorer

    Raises
    ------
    ValueError
        If `scoring` lacks the measure.

    Examples
    --------
    >>> from skimb.study._tasks import with_measure_first
    >>> list(with_measure_first({"r2": None, "neg_max_error": None}, "max_error"))
    ['neg_max_error', 'r2']
    """
    if measure is None:
        return scoring
    key = next((name for name in (measure, f"neg_{measure}") if name in scoring), None)
    if key is None:
        known = [name.removeprefix("neg_") for name in scoring]
        raise ValueError(f"`measure` must be one of {known}. Got {measure!r}.")
    return {key: scoring[key], **scoring}
