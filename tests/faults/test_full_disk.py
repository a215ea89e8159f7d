"""A folder or disk that cannot hold a checkpoint: an error before the training, or one warning."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import fits
import pytest

from skimb import _archives
from skimb._engine import Checkpoint

FOLDER = str(Path(__file__).parent)


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(tmp_path):
    X, y = fits.images()
    (tmp_path / "checkpoints").write_text("a note")
    for folder in (tmp_path / "checkpoints", tmp_path / "checkpoints" / "inner"):
        with pytest.raises(ValueError, match="must be a folder that can be made and written to"):
            fits.estimator("plain", checkpoint=folder).fit(X, y)
    assert (tmp_path / "checkpoints").read_text() == "a note"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_refused_before_any_work(tmp_path):
    X, y = fits.images()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ValueError, match="Permission denied"):
            fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_missing_is_made(tmp_path):
    X, y = fits.images()
    folder = tmp_path / "a" / "b"
    fits.estimator("plain", checkpoint=os.fspath(folder), max_epochs=1).fit(X, y)
    assert folder.is_dir()


def test_a_full_disk_is_an_error_before_the_first_epoch(tmp_path, monkeypatch):
    X, y = fits.images()

    def full(descriptor, start, size):
        # The first file has no averages of the optimiser, but room for those of later files.
        assert size > sum(path.stat().st_size for path in tmp_path.iterdir())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    clf = fits.estimator("plain", checkpoint=tmp_path)
    with pytest.raises(
        OSError, match=r"cannot be written: No space left.*another folder"
    ) as caught:
        clf.fit(X, y)
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_free_space_is_asked_for_where_the_system_cannot_reserve_it(tmp_path, monkeypatch):
    X, y = fits.images()

    def unknown(descriptor, start, size):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)
    fits.estimator("plain", checkpoint=tmp_path, max_epochs=1).fit(X, y)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match="No space left"):
        fits.estimator("plain", checkpoint=tmp_path, max_epochs=1).fit(X, y)


@pytest.mark.slow
def test_the_estimated_size_is_that_of_later_files(tmp_path, monkeypatch):
    X, y = fits.images()
    estimated, sizes = [], []

    def note(descriptor, start, size):
        estimated.append(size)

    monkeypatch.setattr(os, "posix_fallocate", note, raising=False)
    write = Checkpoint.write

    def measure(self, net, *ends):
        write(self, net, *ends)
        sizes.append(self.path.stat().st_size)

    monkeypatch.setattr(Checkpoint, "write", measure)
    fits.estimator("resnet", checkpoint=tmp_path, max_epochs=2, early_stopping=True).fit(X, y)
    assert 0.6 * sizes[-1] < estimated[0] < 3 * sizes[-1]


@pytest.mark.slow
def test_a_write_that_fails_during_the_training_is_one_warning_and_loses_one_file(
    tmp_path, monkeypatch
):
    X, y = fits.images()
    save, n_calls = _archives.save_file, [0]

    def failing(arrays, path, metadata):
        n_calls[0] += 1
        # The files after epochs 2 and 3; then someone frees some space.
        if n_calls[0] in (3, 4):
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(arrays, path, metadata)
        held.append([path.name for path in tmp_path.iterdir()])

    held = []
    monkeypatch.setattr(_archives, "save_file", failing)
    with pytest.warns(UserWarning, match="could not be written after epoch 2") as caught:
        clf = fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    assert len([one for one in caught if "could not be written" in str(one.message)]) == 1
    assert "that of epoch 1" in str(caught[0].message)
    assert n_calls[0] == 5
    # Beside the older file only the temporary file that is being written.
    assert len(held[-1]) == 2
    fits.assert_same(fits.fitted(clf, X), fits.fitted(fits.estimator("plain").fit(X, y), X))


LIMITED = """
import resource, signal, sys, warnings
sys.path.insert(0, sys.argv[1])
import fits
from skimb._engine import Checkpoint

X, y = fits.images()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
when, folder = sys.argv[2:]


def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


keep = Checkpoint.keep


def kept(self, net, **ends):
    if len(net.history) == 2:
        limit()
    keep(self, net, **ends)


if when == "before":
    limit()
else:
    Checkpoint.keep = kept
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    clf = fits.estimator("plain", checkpoint=folder).fit(X, y)
told = [str(one.message) for one in caught if "could not be written" in str(one.message)]
assert len(told) == 1, told
assert "epoch 2" in told[0]
assert clf.n_iter_ == 4
print("the training went on")
"""


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limit")
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_limit_of_the_size_of_files_acts_like_a_full_disk(when, tmp_path):
    command = [sys.executable, "-c", LIMITED, FOLDER, when, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if when == "before":
        assert done.returncode == 1
        assert "cannot be written" in done.stderr
        assert "OSError" in done.stderr.splitlines()[-1]
    else:
        assert done.stdout.strip() == "the training went on", done.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_checkpoint_nothing_is_read_or_written(monkeypatch):
    X, y = fits.images()

    def refuse(*args, **kwargs):
        raise AssertionError("a checkpoint was opened")

    monkeypatch.setattr(Checkpoint, "__init__", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.estimator("plain", max_epochs=1).fit(X, y)
