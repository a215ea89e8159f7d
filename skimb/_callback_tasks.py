"""The fit of an estimator that fits others, as a tree of tasks for scikit-learn's callbacks."""

from contextlib import contextmanager, nullcontext

from skimb._params import callback_context

__all__ = ["begin_fit", "part_of_fit"]


def begin_fit(estimator, X, y, *, n_tasks, **metadata):
    """Begin the task of a fit, after the input has been checked.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        The estimator that is fitted, whose `fit` has scikit-learn's context.
    X, y : array-like
        The samples.
    n_tasks : int
        The largest number of tasks in it.
    **metadata
        Such as ``sample_weight``; None is left out.

    Returns
    -------
    CallbackContext

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn.callback import CallbackSupportMixin
    >>> from skimb._callback_tasks import begin_fit, part_of_fit
    >>> class Outer(CallbackSupportMixin, BaseEstimator):
    ...     pass
    >>> outer = Outer()
    >>> task = begin_fit(outer, [[0], [1]], [0, 1], n_tasks=1)
    >>> with part_of_fit(task, "train", outer):
    ...     pass
    >>> [part.task_name for part in task]
    ['fit', 'train']
    """
    metadata = {name: value for name, value in metadata.items() if value is not None}
    task = callback_context(estimator, max_subtasks=n_tasks)
    return task.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=metadata or None)


@contextmanager
def part_of_fit(task, name, caller, fitted=None, *, X=None, y=None, **options):
    """Make a block a task of a fit, and hand callbacks on to the estimator that it fits.

    Parameters
    ----------
    task : CallbackContext
        The task that this one is a part of.
    name : str
        Its name.
    caller : estimator
        The estimator whose fit this is.
    fitted : estimator, default=None
        The estimator that the block fits; scikit-learn warns if it takes no callbacks. None: none,
        or one whose training is not shown.
    X, y : array-like, default=None
        The samples.
    **options
        Of the context: ``max_subtasks`` and others.

    Yields
    ------
    CallbackContext
    """
    part = task.subcontext(task_name=name, **options)
    with nullcontext() if fitted is None else part.propagate_callback_context(fitted):
        part.call_on_fit_task_begin(estimator=caller, X=X, y=y)
        yield part
        part.call_on_fit_task_end(estimator=caller, X=X, y=y)
