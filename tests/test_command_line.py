"""The command line: exit statuses, streams and files."""

import json
import os
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

import skimb
from skimb.__main__ import main


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "skimb", *arguments], capture_output=True, text=True, **kwargs
    )


def test_compare_digits(tmp_path):
    done = run(
        *("compare", "digits", "--strategies", "class_weight,prior_shift", "--folds", "2"),
        *("--repeats", "1", "--epochs", "1", "--jobs", "1"),
        *("--report", "report.html", "--json", "result.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "prior_shift" in done.stdout
    # No terminal: one line a strategy, no bar.
    assert done.stderr.count("\n") == 3
    assert "class_weight: f1_minority" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "result.json"]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["classes"] == ["8", "rest"]
    assert result["protocol"]["class_counts"] == {"8": 81, "rest": 1623}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["compare"], "TABLE.csv|digits"),
        (["compare", "nonsense"], "neither a folder, nor a table, nor 'digits'"),
        (["compare", "digits", "--counts", "a=1"], "--counts is for folders"),
        (["compare", "digits", "--test", "."], "--test is for folders"),
        (["compare", ".", "--test", ".", "--folds", "3"], "exclude each other"),
        (["compare", ".", "--counts", "cat"], "must be like cat=1000,dog=11000"),
        (["compare", ".", "--counts", "cat=0"], "must be like cat=1000,dog=11000"),
        (["compare", "digits", "--strategies", "magic"], "unknown strategies: magic"),
        (["compare", "digits", "--strategies", ","], "none given"),
        (["compare", "digits", "--repeats", "0"], "at least 1"),
        (["compare", "digits", "--repeats", "x"], "invalid"),
        (["compare", "digits", "--report", "no/such/folder/r.html"], "does not exist"),
        (["compare", "digits", "--json", "."], "cannot write"),
        (["compare", "digits", "--folds", "1"], "at least 2"),
        (["compare", "digits", "--json", "x", "--report", "x"], "would both write x"),
        (["compare", "digits", "--seed", "-1"], "at least 0"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def folders(tmp_path):
    """Cats are dark, dogs are bright: train with 30 of each, test with 6."""
    rng = np.random.RandomState(0)
    for part, n in {"train": 30, "validation": 6}.items():
        for label, level in {"cat": 60, "dog": 180}.items():
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(n):
                pixels = rng.randint(level - 40, level + 40, size=(12, 10, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / label / f"{label} {i}.png")
    return tmp_path


def test_a_folder_is_trained_on_with_augmentation_and_the_digits_are_not(monkeypatch, folders):
    asked = []
    result = Mock()
    monkeypatch.setattr("skimb.study.compare", lambda *_, **kwargs: asked.append(kwargs) or result)
    folder = str(folders / "train")
    for arguments in (
        ["digits"],
        ["digits", "--augmentation", "flip_crop"],
        [folder],
        [folder, "--augmentation", "none", "--epochs", "3"],
    ):
        assert main(["compare", *arguments]) == 0
    recipes = [kwargs["estimator"] for kwargs in asked]
    assert [(r.augmentation, r.lr, r.max_epochs) for r in recipes] == [
        (None, 1e-3, 20),
        ("flip_crop", 1e-3, 20),
        ("flip_crop", 3e-3, 15),
        (None, 3e-3, 3),
    ]


QUICK = ["--strategies", "class_weight,prior_shift", "--epochs", "2"]


def test_compare_folders_with_a_test_folder_and_counts(folders, capsys):
    arguments = ["compare", str(folders / "train"), "--test", str(folders / "validation")]
    arguments += ["--counts", "cat=8,dog=500", "--repeats", "2", "--json", str(folders / "r.json")]
    assert main(arguments + QUICK) == 0
    result = json.loads((folders / "r.json").read_text())
    assert result["minority"] == "cat"
    assert result["protocol"]["class_counts"] == {"cat": 8, "dog": 30}
    assert result["protocol"]["n_test_rows"] == 12
    assert result["protocol"]["n_runs"] == 2


def test_compare_a_folder_by_cross_validation(folders, capsys):
    assert main(["compare", str(folders / "train"), "--folds", "2", "--size", "8", *QUICK]) == 0
    assert "mean ± sd over 2 run(s)" in capsys.readouterr().out


def test_broken_files_are_named_in_one_line_and_nothing_is_written(folders):
    (folders / "train" / "cat" / "text.jpg").write_text("no image")
    (folders / "train" / "dog" / "empty.png").touch()
    done = run("compare", "train", "--report", "r.html", *QUICK, cwd=folders)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("skimb: 2 of 62 files cannot be read as images: ")
    assert "text.jpg (not an image)" in done.stderr
    assert "empty.png (empty file)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(p.name for p in folders.iterdir()) == ["train", "validation"]


def test_an_empty_class_does_not_hide_broken_files(folders, capsys):
    (folders / "train" / "bird").mkdir()
    (folders / "train" / "cat" / "text.jpg").write_text("no image")
    (folders / "validation" / "dog" / "empty.png").touch()
    arguments = ["compare", str(folders / "train"), "--test", str(folders / "validation")]
    assert main([*arguments, *QUICK]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for named in ("hold no image: ['bird']", "text.jpg (not an image)", "empty.png (empty file)"):
        assert named in error


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        (lambda root: (root / "train" / "bird").mkdir(), [], "hold no image: ['bird']"),
        (lambda root: None, ["--counts", "cow=3"], "--counts names ['cow']"),
        (lambda root: None, ["--test", "no-such-folder"], "not there"),
    ],
)
def test_folders_that_do_not_fit_exit_with_1(prepare, options, message, folders, capsys):
    prepare(folders)
    assert main(["compare", str(folders / "train"), *options, *QUICK]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "status", "jobs"), [(signal.SIGINT, 130, "2"), (signal.SIGTERM, 143, "1")]
)
def test_an_interrupted_run_leaves_nothing_half_written(number, status, jobs, tmp_path):
    arguments = ["digits", "--strategies", "over", "--epochs", "500", "--jobs", jobs]
    started = subprocess.Popen(
        [sys.executable, "-m", "skimb", "compare", *arguments, "--report", "r.html"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(8)
        assert started.poll() is None
        # As a terminal does: Ctrl-C reaches the workers too, `kill` the one process.
        send = os.killpg if number == signal.SIGINT else os.kill
        send(started.pid, number)
        _, error = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == status
    assert error.endswith("skimb: interrupted; no file is half-written\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_a_file_is_written_removes_its_temporary(tmp_path, monkeypatch, capsys):
    (tmp_path / "r.html").write_text("an older report")

    def interrupt(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    arguments = ["compare", "digits", "--strategies", "prior_shift", "--folds", "2"]
    arguments += ["--repeats", "1", "--epochs", "1", "--jobs", "1"]
    assert main([*arguments, "--report", str(tmp_path / "r.html")]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert (tmp_path / "r.html").read_text() == "an older report"


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"skimb {skimb.__version__}\n"


def test_bad_data_exits_with_1_in_one_line(capsys):
    assert main(["compare", "digits", "--folds", "100"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("skimb: Class '8' has 81 rows, fewer than the 100 folds")
    assert error.count("\n") == 1


def test_a_report_that_cannot_be_written_does_not_cost_the_other(tmp_path, capsys, monkeypatch):
    def fail(self, path):
        raise OSError("disk full")

    monkeypatch.setattr("skimb.study.Comparison.to_json", fail)
    arguments = ["compare", "digits", "--strategies", "prior_shift", "--folds", "2"]
    arguments += ["--repeats", "1", "--epochs", "1", "--jobs", "1"]
    arguments += ["--json", str(tmp_path / "r.json"), "--report", str(tmp_path / "r.html")]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "prior_shift" in printed.out
    assert "cannot write" in printed.err
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_an_absent_device_exits_with_1(capsys):
    assert main(["compare", "digits", "--device", "nonsense", "--jobs", "1"]) == 1
    assert "`device`='nonsense' cannot be used here" in capsys.readouterr().err
