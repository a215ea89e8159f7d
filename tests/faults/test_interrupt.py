"""An interrupted fit leaves an estimator that says so, no worker, and no incomplete file."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import fits
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from skimb._engine import Checkpoint
from skimb.datasets import ImageSource


class Stops(Callback):
    """Raise an error in the middle of an epoch, unless the class is told not to."""

    is_active = True

    def __init__(self, epoch, error: type[BaseException] = KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, net, training=False, **kwargs):
        """Raise it after the second batch."""
        if (
            self.is_active
            and len(net.history) == self.epoch
            and len(net.history[-1, "batches"]) == 2
        ):
            raise self.error


def interrupted(error: type[BaseException] = KeyboardInterrupt, **parameters):
    """Return an estimator whose fit was stopped in its third epoch, and the error."""
    X, y = fits.images()
    clf = fits.estimator("plain", net_callbacks=[Stops(3, error)], **parameters)
    with pytest.raises(error) as caught:
        clf.fit(X, y)
    return clf, caught.value


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_estimator_is_not_fitted_and_says_why(error):
    clf, _ = interrupted(error)
    X, _ = fits.images()
    assert not hasattr(clf, "net_")
    for use in (clf.predict, clf.predict_proba, clf.embed, lambda X: check_is_fitted(clf)):
        with pytest.raises(NotFittedError, match=rf"stopped by {error.__name__}.*Call `fit` again"):
            use(X)
    with pytest.raises(NotFittedError, match="stopped by"):
        pickle.loads(pickle.dumps(clf)).predict(X)


def test_the_message_and_the_interrupt_name_the_checkpoint(tmp_path, monkeypatch):
    clf, error = interrupted(checkpoint=tmp_path)
    X, y = fits.images()
    (path,) = tmp_path.iterdir()
    (note,) = error.__notes__
    assert f"The checkpoint {path} holds 2 of 4 epochs" in note
    with pytest.raises(NotFittedError, match="holds 2 of 4 epochs") as caught:
        clf.predict(X)
    assert str(path) in str(caught.value)
    # Fitted again, it goes on.
    monkeypatch.setattr(Stops, "is_active", False)
    clf.fit(X, y)
    check_is_fitted(clf)
    assert clf.predict(X).shape == y.shape
    assert not list(tmp_path.iterdir())


def test_another_error_names_the_checkpoint_too(tmp_path):
    _, error = interrupted(RuntimeError, checkpoint=tmp_path)
    assert "holds 2 of 4 epochs" in error.__notes__[0]


def test_a_fit_after_an_interrupt_is_like_any_other(monkeypatch):
    clf, _ = interrupted()
    X, y = fits.images()
    monkeypatch.setattr(Stops, "is_active", False)
    again = fits.fitted(clf.fit(X, y), X)
    plain = fits.estimator("plain", net_callbacks=[Callback()])
    fits.assert_same(again, fits.fitted(plain.fit(X, y), X))


@pytest.mark.slow
@pytest.mark.parametrize("early_stopping", [False, "refit"])
def test_a_step_with_a_generator_of_its_own_goes_on_in_the_same_session(
    early_stopping, monkeypatch, tmp_path
):
    X, y = fits.images()
    others = {"early_stopping": early_stopping}
    unbroken = fits.estimator("own augmentation", net_callbacks=[Stops(9)], **others).fit(X, y)
    clf = fits.estimator(
        "own augmentation", net_callbacks=[Stops(3)], checkpoint=tmp_path, **others
    )
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(Stops, "is_active", False)
    resume, done = Checkpoint.resume, []

    def resumed(self, net):
        n_left = resume(self, net)
        done.append((self.path, self.n_epochs))
        return n_left

    monkeypatch.setattr(Checkpoint, "resume", resumed)
    fits.assert_same(fits.fitted(clf.fit(X, y), X), fits.fitted(unbroken, X))
    assert done[0] == (path, 2)
    assert not list(tmp_path.iterdir())
    # The next fit is an equal one too, as the step of the user has drawn nothing.
    assert clf.augmentation[0].n_calls == 0


class Slow(ImageSource):
    """Images for which the training waits, as worker processes take long to read them."""

    image_shape, dtype = (1, 8, 8), np.dtype(np.uint8)

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def take(self, indices):
        """Return a source of some of the images."""
        return Slow(self.pixels[indices])

    def batch(self, indices):
        """Return some of the images, slowly."""
        if multiprocessing.parent_process() is not None:
            time.sleep(0.2)
        return self.pixels[indices][..., np.newaxis]

    def keys(self):
        """Return the bytes of the images."""
        return [image.tobytes() for image in self.pixels]


def raising(error):
    def handler(number, frame):
        raise error

    return handler


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="the system has no such signal")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_no_worker_outlives_an_interrupt(error):
    X, y = fits.images()
    clf = fits.estimator("plain", num_workers=2, max_epochs=1000)
    # Those of other tests, such as the pool of a search.
    others = set(multiprocessing.active_children())
    before = signal.signal(signal.SIGALRM, raising(error))
    try:
        # Again and again: Python swallows one that comes while it frees an object, and warns.
        signal.setitimer(signal.ITIMER_REAL, 2.0, 20.0)
        # The error is kept, as a notebook keeps the last one, and with it the waiting frames.
        with pytest.raises(error) as caught:
            clf.fit(Slow(X), y)
        assert set(multiprocessing.active_children()) <= others
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught.value.__traceback__ is not None


SCRIPT = """
import signal, sys, warnings
sys.path.insert(0, sys.argv[1])
import fits
from test_interrupt import Slow

warnings.simplefilter("ignore")


def stop(number, frame):
    raise SystemExit(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    X, y = fits.images()
    clf = fits.estimator("plain", num_workers=2, checkpoint=sys.argv[2], max_epochs=10_000)
    try:
        clf.fit(Slow(X), y)
    finally:
        print(clf._stopped, flush=True)
"""


def is_running(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the system has no groups of processes")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_a_whole_file_and_no_process(name, tmp_path):
    folder = tmp_path / "checkpoints"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(folder)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell lets what it starts in the background ignore interrupts, and its children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        until = time.monotonic() + 120
        while not list(folder.glob("*.checkpoint")) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1)
        # Python swallows an interrupt that comes while it frees an object: then one more is needed.
        for _ in range(10):
            # SIGINT reaches the workers too, as from a keyboard.
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)
            else:
                process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
                break
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "of 10000 epochs" in printed, errors
    # A worker that was starting when its parent ended notices it within some seconds.
    until = time.monotonic() + 30
    while is_running(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_running(process.pid)
    (path,) = folder.iterdir()
    assert path.suffix == ".checkpoint"
