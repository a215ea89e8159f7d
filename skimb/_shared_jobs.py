"""Jobs over common data, by whatever engine joblib is set to, in processes or on machines."""

import sys
from concurrent.futures import CancelledError

import numpy as np
from joblib import Parallel, delayed

__all__ = ["results_of_jobs", "size_of_attributes"]

#: Bytes of an argument from which joblib lets dask scatter it.
SCATTERED = 1001

#: Times that jobs may be lost before another one is done; then it is given up.
MOST_TRIES = 3


def results_of_jobs(function, jobs, *, shared=(), n_jobs=None):
    """Call a function for each job, and yield each result as soon as the engine gives it.

    Dask computes jobs of a worker that died again, but it cannot restore arguments that lay in the
    memory of this worker alone. Then the jobs that are not done are begun again.

    Parameters
    ----------
    function : callable
        A function of ``(job, *shared)``.
    jobs : list
        Small objects that can be pickled.
    shared : sequence, default=()
        Arguments that all jobs have in common, such as samples: an engine that sends them to other
        processes sends each of them once to each process, not with each job.
    n_jobs : int, default=None
        As in joblib.

    Yields
    ------
    number : int
        The place of the job.
    result : object

    Raises
    ------
    CancelledError
        If workers die again and again before any job is done.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._shared_jobs import results_of_jobs
    >>> def mean(rows, X):
    ...     return float(X[rows].mean())
    >>> sorted(results_of_jobs(mean, [[0, 1], [2]], shared=[np.arange(3.0)]))
    [(0, 0.5), (1, 2.0)]
    """
    # joblib knows arrays that a user has scattered, and scatters others once by itself.
    held = {
        id(one): one if one is None or isinstance(one, np.ndarray) else _Held(one) for one in shared
    }
    held = [held[id(one)] for one in shared]
    left, n_tries = dict(enumerate(jobs)), 0
    while left:
        tasks = [delayed(_numbered)(function, number, job, *held) for number, job in left.items()]
        try:
            for number, result in _parallel(n_jobs)(tasks):
                del left[number]
                n_tries = 0
                yield number, result
        except CancelledError:
            n_tries += 1
            if n_tries == MOST_TRIES:
                raise


def _parallel(n_jobs):
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:
        # Ray's backend and "multiprocessing" give all results at the end.
        return Parallel(n_jobs=n_jobs)


def _numbered(function, number, job, *held):
    shared = [one.value if isinstance(one, _Held) else one for one in held]
    return number, function(job, *shared)


class _Held:
    """An argument that joblib scatters by dask: one that may be forgotten, and is not small."""

    def __init__(self, value):
        self.value = value

    def __sizeof__(self):
        return SCATTERED + size_of_attributes(self)


def size_of_attributes(value):
    """Return about how many bytes the attributes of an object take.

    Engines decide by the size of an argument whether it is sent once, or with each job.

    Parameters
    ----------
    value : object

    Returns
    -------
    int
    """
    # The size of a view is that of its header alone.
    return sum(
        each.nbytes if isinstance(each, np.ndarray) else sys.getsizeof(each)
        for each in vars(value).values()
    )
