"""Commands that are interrupted or killed, and outputs that a full disk does not take."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skimb.__main__ import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def start(*arguments) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "skimb", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background lets its processes ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(is_true, started):
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end
        assert started.poll() is None, started.stderr.read()
        time.sleep(0.02)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "skimb", *arguments], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with images of two classes, a model of them, and a long table of one image."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    for label, level in {"cat": 60, "dog": 180}.items():
        (root / "train" / label).mkdir(parents=True)
        for i in range(40):
            pixels = rng.randint(level - 40, level + 40, size=(8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(root / "train" / label / f"{i}.png")
    (root / "long.csv").write_text("file\n" + "train/cat/0.png\n" * 300_000)
    fit = ["fit", str(root / "train"), "--strategy", "none", "--test", str(root / "train")]
    done = run(*fit, "--epochs", "1", "--out", str(root / "m.skimb"))
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_an_interrupted_training_writes_no_model(number, status, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit = ["fit", str(images / "train"), "--strategy", "none", "--test", str(images / "train")]
    started = start(*fit, "--epochs", "100000", "--out", "m.skimb")
    try:
        # The first line tells of test images that equal training images.
        started.stderr.readline()
        assert started.stderr.readline() == "training none on 80 images\n"
        time.sleep(1)
        started.send_signal(number)
        _, error = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == status
    assert error.endswith("skimb: interrupted; no file is half-written\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_within_executed_text_has_its_status_too(tmp_path):
    (tmp_path / "interrupted").mkdir()
    (tmp_path / "interrupted" / "__main__.py").write_text(
        "import sys, skimb.__main__ as command_line\n"
        "text = 'import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)'\n"
        "command_line.COMMANDS['compare'] = lambda arguments: exec(text)\n"
        "sys.exit(command_line.main(['compare', 'digits']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130
    assert done.stderr.startswith("skimb: interrupted; no file is half-written")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_interrupted_predictions_leave_the_older_file(
    number, status, images, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("out.csv").write_text("older")
    table = [str(images / "long.csv"), "--image-column", "file"]
    started = start("predict", str(images / "m.skimb"), *table, "--csv", "out.csv")
    try:
        wait_until(lambda: list(tmp_path.glob(".skimb.*")), started)
        started.send_signal(number)
        _, error = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == status
    assert error.endswith("\nskimb: interrupted; no file is half-written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert Path("out.csv").read_text() == "older"


def test_a_killed_training_goes_on_to_the_same_model(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = str(images / "train")
    fit = ["fit", folder, "--strategy", "class_weight", "--test", folder, "--epochs", "30"]
    started = start(*fit, "--checkpoint", "so far", "--out", "m.skimb")
    try:
        wait_until(lambda: list(tmp_path.glob("so far/skimb-*.checkpoint")), started)
    finally:
        started.kill()
        started.communicate(timeout=60)
    assert not Path("m.skimb").exists()
    assert main([*fit, "--checkpoint", "so far", "--out", "m.skimb"]) == 0
    assert "the training went on from a checkpoint in so far" in capsys.readouterr().out
    Path("so far", "skimb-0.checkpoint").touch()
    assert main([*fit, "--checkpoint", "so far", "--out", "m.skimb"]) == 0
    assert "holds checkpoints of other trainings (1)" in capsys.readouterr().out
    assert main([*fit, "--out", "whole.skimb"]) == 0
    for model in ("m", "whole"):
        assert main(["predict", f"{model}.skimb", folder, "--csv", f"{model}.csv"]) == 0
    assert Path("m.csv").read_text() == Path("whole.csv").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_a_full_disk_is_told_in_one_line(images, capsys):
    model, folder = str(images / "m.skimb"), str(images / "train")
    assert main(["predict", model, folder, "--csv", "/dev/full"]) == 1
    begun, *told = capsys.readouterr().err.splitlines()
    assert begun.startswith("predicting ")
    assert told == ["skimb: [Errno 28] No space left on device"]
    assert main(["evaluate", model, folder, "--json", "/dev/full"]) == 1
    begun, *told = capsys.readouterr().err.splitlines()
    assert begun.startswith("predicting ")
    assert len(told) == 1
    assert "cannot write /dev/full: [Errno 28] No space left on device" in told[0]


def test_many_images_need_no_more_memory_than_few(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
import resource, sys
from skimb.__main__ import main
status = main(sys.argv[1:])
print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
    (images / "large.csv").write_text("file\n" + "train/cat/0.png\n" * 20_000)
    (images / "small.csv").write_text("file\n" + "train/cat/0.png\n" * 600)
    peaks = []
    for table in ("small.csv", "large.csv"):
        arguments = ["predict", str(images / "m.skimb"), str(images / table)]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--image-column", "file", "--csv", table],
            capture_output=True,
            text=True,
        )
        status, peak = map(int, done.stderr.splitlines()[-1].split())
        assert status == 0
        peaks.append(peak)
    # In kilobytes: that of the names alone. Predictions that were kept would take as much again.
    assert peaks[1] - peaks[0] < 30_000
