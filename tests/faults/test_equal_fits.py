"""Equal fits that share one folder of checkpoints, and what dead processes leave there."""

import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import fits
import pytest

from skimb import _files
from skimb._engine import Checkpoint
from skimb._engine._leftovers import DAY, mark_of, remove_leftovers

KEY = "0123"


def part(folder, mark, *, age=0.0):
    """Write a temporary file as `replacing` names it."""
    path = folder / f".skimb.{mark}.89ab.part"
    path.write_bytes(b"half of a file")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def of_process(number):
    return mark_of(KEY).rpartition("-")[0] + f"-{number}"


def test_only_files_of_processes_that_have_ended_are_removed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    own = part(tmp_path, mark_of(KEY))
    parent = part(tmp_path, of_process(os.getppid()))
    dead = part(tmp_path, of_process(ended.pid))
    elsewhere = part(tmp_path, f"{KEY}.otherhost-{ended.pid}", age=0.5 * DAY)
    old = part(tmp_path, f"{KEY}.otherhost-1", age=1.5 * DAY)
    other = part(tmp_path, f"4567.otherhost-{ended.pid}", age=1.5 * DAY)
    remove_leftovers(tmp_path, KEY)
    assert [path.exists() for path in (own, parent, elsewhere, other)] == [True] * 4
    assert [path.exists() for path in (dead, old)] == [False] * 2


def test_a_temporary_file_that_vanishes_does_not_end_a_fit(tmp_path, monkeypatch):
    X, y = fits.images()
    unbroken = fits.fitted(fits.estimator("plain").fit(X, y), X)
    to_disk, n_vanished = _files._to_disk, 0

    def vanish(path):
        nonlocal n_vanished
        if Path(path).suffix == ".part" and n_vanished < 3:
            n_vanished += 1
            os.unlink(path)
        to_disk(path)

    monkeypatch.setattr(_files, "_to_disk", vanish)
    resumed = fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    fits.assert_same(fits.fitted(resumed, X), unbroken)
    assert n_vanished == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_an_equal_fit_that_ends_first_and_removes_the_file_harms_no_other(
    n_epochs, tmp_path, monkeypatch
):
    X, y = fits.images()
    unbroken = fits.fitted(fits.estimator("plain").fit(X, y), X)
    keep, n_removed = Checkpoint.keep, 0

    def kept(self, net, **ends):
        nonlocal n_removed
        keep(self, net, **ends)
        if len(net.history) == n_epochs:
            Checkpoint(tmp_path, self.key).remove()
            n_removed += 1

    monkeypatch.setattr(Checkpoint, "keep", kept)
    one = fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    fits.assert_same(fits.fitted(one, X), unbroken)
    assert n_removed == 1
    assert not list(tmp_path.iterdir())


def fit(arguments):
    seed, folder = arguments
    X, y = fits.images()
    one = fits.estimator("plain", module="linear", checkpoint=folder, random_state=seed)
    return fits.fitted(one.fit(X, y), X)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a fork needs POSIX")
def test_equal_fits_in_two_processes_all_end_well(tmp_path):
    # The same fit twice, side by side.
    jobs = [(seed, tmp_path) for seed in range(8) for _ in range(2)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(fit, jobs, timeout=300))
    for first, second in zip(found[::2], found[1::2], strict=True):
        fits.assert_same(first, second)
    assert not list(tmp_path.iterdir())
