"""A comparison that is killed goes on from its checkpoint, to the same result to the bit."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

SCRIPT = """
import hashlib, json, sys
from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import CNNClassifier
from skimb.study import compare

folder, n_jobs = sys.argv[1] or None, int(sys.argv[2])
X, y = load_imbalanced_digits(return_X_y=True)
result = compare(
    X[:500],
    y[:500],
    strategies=["focal", "prior_shift", "smote_embedding", "over"],
    estimator=CNNClassifier(max_epochs=12),
    cv=2,
    random_state=0,
    n_jobs=n_jobs,
    checkpoint=folder,
    verbose=1,
)

def without(value):
    if isinstance(value, dict):
        return {k: without(v) for k, v in value.items() if k not in ("seconds", "n_jobs")}
    return value

found = [json.dumps(without(result.to_dict()))]
for name in result.strategies:
    for each in result.predictions(name):
        found += [each.rows.tobytes().hex(), each.predicted.tobytes().hex()]
        found += [b"" if each.log_proba is None else each.log_proba.tobytes().hex()]
print(hashlib.sha256(repr(found).encode()).hexdigest())
"""


def start(folder, n_jobs):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(n_jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def files(folder, ending):
    return list(folder.glob(f"skimb-*.{ending}"))


def wait_until(is_true, started):
    end = time.monotonic() + 120
    while not is_true():
        assert time.monotonic() < end
        assert started.poll() is None, started.communicate()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def expected():
    out, error = start("", 1).communicate(timeout=300)
    assert out, error
    return out


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_killed_comparison_goes_on_to_the_same_result(n_jobs, expected, tmp_path):
    for n_outcomes in (0, 4):
        started = start(tmp_path, n_jobs)
        try:
            # A network is training, and so many fits are done.
            wait_until(
                lambda n=n_outcomes: (
                    len(files(tmp_path, "outcome")) >= n and files(tmp_path, "checkpoint")
                ),
                started,
            )
            time.sleep(0.3)
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
    n_done = len(files(tmp_path, "outcome"))
    assert n_done >= 4
    marks = {path: path.stat().st_mtime_ns for path in files(tmp_path, "outcome")}
    out, error = start(tmp_path, n_jobs).communicate(timeout=300)
    assert out == expected, error
    found = re.search(r"(\d+) of 10 fits (?:are|is) known from", error)
    assert found is not None, error
    assert int(found.group(1)) == n_done
    # No finished fit was done again, and no state of a training is left.
    assert all(path.stat().st_mtime_ns == mark for path, mark in marks.items())
    assert len(files(tmp_path, "outcome")) == 10
    assert not files(tmp_path, "checkpoint")
    assert not list(tmp_path.glob(".skimb.*"))


def test_an_interrupted_command_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "skimb", "compare", "digits", "--strategies", "focal"]
    command += ["--folds", "2", "--epochs", "30", "--jobs", "1", "--checkpoint", "kept"]
    started = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background lets its processes ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len(files(tmp_path / "kept", "outcome")) >= 1, started)
        started.send_signal(signal.SIGINT)
        _, error = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130
    assert error.endswith("the same command goes on from kept\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"[1-4] of 4 fits (are|is) known from", done.stderr)
