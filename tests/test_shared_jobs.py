"""Jobs over common data: results by number, one copy of the data, and jobs that are lost."""

import sys
from concurrent.futures import CancelledError

import joblib
import numpy as np
import pytest

from skimb import _shared_jobs
from skimb._image_source import ArrayImages
from skimb._shared_jobs import results_of_jobs
from skimb.over_sampling import RandomOverSampler


def total(job, X, scale):
    return scale * float(X[job].sum())


JOBS = [[0], [1, 2], [3]]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_results_come_with_the_number_of_their_job_from_any_engine(backend):
    with joblib.parallel_config(backend, n_jobs=2):
        found = list(results_of_jobs(total, JOBS, shared=[np.arange(4.0), 2]))
    assert sorted(found) == [(0, 0.0), (1, 6.0), (2, 6.0)]


class Unsteady:
    """A parallel that loses its jobs after some results, a few times."""

    def __init__(self, losses):
        self.losses, self.seen, self.n_given = list(losses), [], 0

    def __call__(self, n_jobs):
        return self.run

    def run(self, tasks):
        self.seen.append([args[1] for _, args, _ in tasks])
        n_done = self.losses.pop(0) if self.losses else len(tasks)
        for function, args, _ in tasks[:n_done]:
            yield function(*args)
        if n_done < len(tasks):
            raise CancelledError


@pytest.mark.parametrize(
    ("losses", "tries"),
    [([1], [[0, 1, 2], [1, 2]]), ([0, 0, 1, 0, 1], [[0, 1, 2]] * 3 + [[1, 2]] * 2 + [[2]])],
)
def test_jobs_that_an_engine_has_lost_are_begun_again(monkeypatch, losses, tries):
    unsteady = Unsteady(losses)
    monkeypatch.setattr(_shared_jobs, "_parallel", unsteady)
    found = list(results_of_jobs(total, JOBS, shared=[np.arange(4.0), 1]))
    assert found == [(0, 0.0), (1, 3.0), (2, 3.0)]
    assert unsteady.seen == tries


def test_jobs_that_are_always_lost_are_given_up(monkeypatch):
    unsteady = Unsteady([1, 0, 0])
    monkeypatch.setattr(_shared_jobs, "_parallel", unsteady)
    found = []
    with pytest.raises(CancelledError):
        found += results_of_jobs(total, JOBS, shared=[np.arange(4.0), 1])
    assert unsteady.seen == [[0, 1, 2], [1, 2], [1, 2]]


def test_an_object_that_is_given_twice_is_one_argument():
    paths = ["a.png"] * 100

    def same(job, first, second):
        return first is second

    assert list(results_of_jobs(same, [0], shared=[paths, paths])) == [(0, True)]


def test_sources_and_views_tell_the_size_of_what_they_hold():
    X = np.zeros((50, 10, 10, 1), dtype=np.uint8)
    assert X.nbytes < sys.getsizeof(ArrayImages(X)) < X.nbytes + 1000
    view, _ = RandomOverSampler(lazy=True).fit_resample(X, np.arange(50) > 9)
    assert X.nbytes < sys.getsizeof(view) < X.nbytes + 5000
