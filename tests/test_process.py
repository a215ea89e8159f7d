"""Threads that read files: as many as this process may have, in order, and none that stays."""

import os
import threading

import joblib
import pytest

from skimb import _process
from skimb._process import in_threads, n_threads


@pytest.mark.parametrize(("n_items", "n_used"), [(0, 2), (1, 2), (5, 1), (5, 2), (100, 3)])
def test_values_come_in_the_order_of_the_items_and_no_thread_stays(n_items, n_used):
    before, names = threading.active_count(), set()

    def doubled(item):
        names.add(threading.current_thread().name)
        return 2 * item

    assert in_threads(doubled, range(n_items), n_used) == [2 * i for i in range(n_items)]
    assert threading.active_count() == before
    assert len(names) <= n_used


def test_items_are_shared_out_and_the_first_error_is_raised():
    barrier = threading.Barrier(2, timeout=10)

    def meet(item):
        barrier.wait()
        raise ValueError(item)

    # With fewer than two threads at the same time, they would wait in vain.
    with pytest.raises(ValueError, match="0"):
        in_threads(meet, range(2), 2)


def test_an_interrupt_drops_what_has_not_begun():
    done = []

    def work(item):
        done.append(item)
        if item == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(100 * _process.MOST_AT_ONCE), 2)
    assert len(done) < 50 * _process.MOST_AT_ONCE


def test_a_worker_has_its_share_of_the_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert n_threads() == joblib.cpu_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert n_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", str(10 * (os.cpu_count() or 1)))
    assert n_threads() == joblib.cpu_count()
    monkeypatch.setattr(_process._Turn, "is_forked", True)
    assert n_threads() == 1
