"""The command line: exit statuses, streams and files."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.dom.minidom
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
from PIL import Image

import skimb
from skimb.__main__ import main
from skimb._command_line._streams import Stream
from skimb.neural_network import CNNClassifier


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "skimb", *arguments], capture_output=True, text=True, **kwargs
    )


@pytest.mark.slow
@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
@pytest.mark.slow
def test_compare_says_whether_more_images_of_a_class_would_help(tmp_path):
    done = run(
        *("compare", "digits", "--strategies", "constant", "--folds", "2", "--epochs", "1"),
        *("--more-images", "8", "--jobs", "1", "--json", "result.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "With twice as many images of '8' (162 instead of 81)" in done.stdout
    curve = json.loads((tmp_path / "result.json").read_text())["more_images"]
    assert curve["n_images"] == 81
    assert len(curve["curve"]["mean"]) == len(curve["curve"]["grid"])


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        (["--shared-features"], "shared_features", True),
        ([], "shared_features", False),
        (["--checkpoint", "kept"], "checkpoint", Path("kept")),
        (["--repeats", "3"], "n_repeats", 3),
        (["--folds", "4"], "cv", 4),
        (["--seed", "7"], "random_state", 7),
        (["--strategies", "over"], "strategies", ["over"]),
    ],
)
def test_options_of_compare_reach_the_comparison(monkeypatch, option, name, value):
    asked: list[dict[str, Any]] = []
    result = MagicMock()
    monkeypatch.setattr("skimb.study.compare", lambda *_, **kwargs: asked.append(kwargs) or result)
    assert main(["compare", "digits", *option]) == 0
    assert asked[0][name] == value


@pytest.mark.exhaustive
@pytest.mark.slow
def test_compare_searches_strategies_within_minutes(tmp_path):
    done = run(
        *("compare", "digits", "--minutes", "0.01", "--epochs", "1", "--jobs", "1"),
        *("--json", "result.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "0.01 minutes are too few" in done.stderr
    assert "Search: 21 strategies" in done.stdout
    search = json.loads((tmp_path / "result.json").read_text())["search"]
    assert search["plan"] == {"n_folds": 1, "n_finalists": 1}


def test_a_learning_curve_of_an_unknown_class_is_refused_before_any_training(capsys):
    assert main(["compare", "digits", "--more-images", "9"]) == 1
    assert "--more-images names '9', but the classes are ['8', 'rest']" in capsys.readouterr().err


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
        (["compare", "digits", "--seed", str(2**32)], "at most 4294967295"),
        (["compare", "digits", "--seed", "1", "--seed", "2"], "--seed is given twice"),
        (["compare", ".", "--counts", "a=1", "--counts", "b=1"], "--counts is given twice"),
        (["compare", ".", "--counts", "cat=5,cat=3"], "names cat twice"),
        (["compare", ".", "--counts", "cat=5, cat =3"], "names cat twice"),
        (["compare", ".", "--counts", "cat=\N{SUPERSCRIPT TWO}"], "must be like"),
        (["compare", ".", "--counts", "cat=" + "9" * 5000], "must be like"),
        (["compare", ".", "--counts", ""], "must be like"),
        (["compare", ".", "--size", "100000"], "at most 8192"),
        (["compare", ".", "--size", "0"], "at least 1"),
        (["compare", "digits", "--minutes", "0"], "must be a number of minutes above 0"),
        (["compare", "digits", "--minutes", "nan"], "must be a number of minutes above 0"),
        (["compare", "digits", "--minutes", "1", "--strategies", "over"], "exclude each other"),
        (["compare", "digits", "--jobs", "0"], "must not be 0"),
        (["compare", "digits", "--jobs", "1000000"], "at most"),
        (["compare", "digits", "--repeats", "1000000000"], "at most"),
        (["compare", "digits", "--folds", "10000000000"], "at most"),
        (["compare", "digits", "--epochs", "10000000000"], "at most"),
        (["compare", "digits", "--strategies", "over,under, over"], "names over twice"),
        (["compare", "digits", "--strategies", ""], "none given"),
        (["compare", "digits", "--device", ""], "must not be empty"),
        (["compare", ""], "must not be empty"),
        (["compare", ".", "--test", " "], "must not be empty"),
        (["compare", ".", "--target", ""], "must not be empty"),
        (["compare", "digits", "--json", ""], "must not be empty"),
        (["compare", "digits", "--report", "x" * 300], "too long"),
        (["compare", "digits", "--report", "no\0name"], "cannot write"),
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


def test_the_recipe_is_that_of_the_constructor_but_for_what_was_asked(monkeypatch, folders):
    asked = []
    result = MagicMock()
    monkeypatch.setattr("skimb.study.compare", lambda *_, **kwargs: asked.append(kwargs) or result)
    folder = str(folders / "train")
    for arguments in (
        ["digits"],
        [folder],
        ["digits", "--augmentation", "flip_crop"],
        [folder, "--augmentation", "none", "--epochs", "3"],
        [folder, "--device", "cpu"],
    ):
        assert main(["compare", *arguments]) == 0
    changes: list[dict[str, Any]] = [
        {},
        {},
        {"augmentation": "flip_crop"},
        {"augmentation": None, "max_epochs": 3},
    ]
    changes.append({"device": "cpu"})
    for kwargs, changed in zip(asked, changes, strict=True):
        assert kwargs["estimator"].get_params() == CNNClassifier(**changed).get_params()


QUICK = ["--strategies", "class_weight,prior_shift", "--epochs", "2"]


@pytest.mark.slow
def test_compare_folders_with_a_test_folder_and_counts(folders, capsys):
    arguments = ["compare", str(folders / "train"), "--test", str(folders / "validation")]
    arguments += ["--counts", "cat=8,dog=500", "--repeats", "2", "--json", str(folders / "r.json")]
    assert main(arguments + QUICK) == 0
    result = json.loads((folders / "r.json").read_text())
    assert result["minority"] == "cat"
    assert result["protocol"]["class_counts"] == {"cat": 8, "dog": 30}
    assert result["protocol"]["n_test_rows"] == 12
    assert result["protocol"]["n_runs"] == 2
    told = "skimb: --counts asks for 500 images of dog, and there are 30: all are taken\n"
    assert told in capsys.readouterr().err


def test_files_that_are_passed_over_are_told_in_one_line(folders, capsys):
    for i in range(10):
        (folders / "train" / "cat" / f"{i}.HEIC").touch()
    (folders / "train" / "dog" / "notes.pdf").touch()
    assert main(["compare", str(folders / "train"), "--folds", "2", "--size", "8", *QUICK]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    assert "10 .heic" in line
    assert "1 .pdf" in line


def test_the_parent_of_train_and_test_exits_with_1(folders, capsys):
    assert main(["compare", str(folders), *QUICK]) == 1
    error = capsys.readouterr().err
    assert f"Give {folders / 'train'}, " in error
    assert f"--test {folders / 'validation'}" in error
    assert len(error.splitlines()) == 1


def test_compare_a_folder_by_cross_validation(folders, capsys):
    assert main(["compare", str(folders / "train"), "--folds", "2", "--size", "8", *QUICK]) == 0
    assert "mean (± sd) over 2 runs" in capsys.readouterr().out


@pytest.mark.slow
def test_broken_files_are_named_in_one_line_and_nothing_is_written(folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    (folders / "train" / "cat" / "text.jpg").write_text("no image")
    (folders / "train" / "dog" / "empty.png").touch()
    assert main(["compare", "train", "--report", "r.html", *QUICK]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("skimb: 2 of 62 files cannot be read as images: ")
    assert "text.jpg (not an image)" in printed.err
    assert "empty.png (empty file)" in printed.err
    assert printed.err.count("\n") == 1
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
        (lambda root: None, ["--test", "no-such-folder"], "does not exist"),
    ],
)
def test_folders_that_do_not_fit_exit_with_1(prepare, options, message, folders, capsys):
    prepare(folders)
    assert main(["compare", str(folders / "train"), *options, *QUICK]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.exhaustive
@pytest.mark.slow
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
        # A shell that runs the tests in the background lets its processes ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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
    assert error.endswith(
        "skimb: interrupted; no file is half-written; with --checkpoint DIR the same command goes "
        "on where it was interrupted\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
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
    assert error.startswith("skimb: Class '8' has 81 samples, fewer than the 100 folds")
    assert error.count("\n") == 1


@pytest.mark.slow
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


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta", "hpu", "cpu:x"])
def test_an_absent_device_exits_with_1_before_images_are_read(device, folders, monkeypatch, capsys):
    monkeypatch.setattr("skimb.datasets.read_images", Mock(side_effect=AssertionError))
    assert main(["compare", str(folders / "train"), "--device", device]) == 1
    error = capsys.readouterr().err
    assert error.startswith("skimb: `device`")
    assert error.count("\n") == 1


def test_images_that_memory_cannot_hold_exit_with_1(folders, monkeypatch, capsys):
    folder = str(folders / "train")
    monkeypatch.setattr("skimb._command_line._inputs._memory", lambda: 10**6)
    assert main(["compare", folder, "--size", "4096"]) == 1
    assert "60 images of 4096 x 4096 take 2.8 GiB" in capsys.readouterr().err
    monkeypatch.setattr("skimb._command_line._inputs._memory", lambda: None)
    monkeypatch.setattr("skimb.datasets.read_images", Mock(side_effect=MemoryError))
    assert main(["compare", folder, "--size", "4096"]) == 1
    assert capsys.readouterr().err.startswith("skimb: there is not enough memory. Give a smaller")


def test_images_that_memory_cannot_hold_are_read_from_a_folder_of_decoded_ones(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setattr("skimb._command_line._inputs._memory", lambda: 10)
    given = []

    def compared(X, y, **options):
        given.append(X)
        raise ValueError("it began")

    monkeypatch.setattr("skimb.study.compare", compared)
    command = ["compare", str(folders / "train"), "--size", "8", "--cache", str(tmp_path / "kept")]
    assert main(command) == 1
    with monkeypatch.context() as patch:
        # Nothing is decoded a second time.
        patch.setattr("skimb._image_files.decode", Mock(side_effect=AssertionError))
        assert main(command) == 1
    first, second = given
    assert isinstance(first.base, np.memmap) or isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------------- files and streams


@pytest.fixture
def few(tmp_path):
    """A dozen images of two classes, in a folder and in a table."""
    rng = np.random.RandomState(0)
    for label, level in {"cat": 60, "dog": 180}.items():
        (tmp_path / "few" / label).mkdir(parents=True)
        for i in range(6):
            pixels = rng.randint(level - 40, level + 40, size=(8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "few" / label / f"{i}.png")
    lines = [f"few/{label}/{i}.png,{label}" for label in ("cat", "dog") for i in range(6)]
    (tmp_path / "table.csv").write_text("\n".join(["file,kind", *lines]))
    return tmp_path


FEW = ["--folds", "2", "--epochs", "1", "--strategies", "none", "--jobs", "1"]
COMMAND = f"{sys.executable} -m skimb compare few {' '.join(FEW)} --json r.json --report r.html"


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("redirection", "status"),
    [
        ("2>&1 | true", 141),
        (">&- 2>&-", 0),
        ("> /dev/full", 1),
        ("| head -1", None),
    ],
)
def test_files_are_written_whatever_becomes_of_the_output(redirection, status, few):
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {redirection}; echo ${{PIPESTATUS[0]}} > status"],
        cwd=few,
        capture_output=True,
        text=True,
    )
    found = int((few / "status").read_text())
    # `head` may have read all before it goes.
    assert found in ((0, 141) if status is None else (status,)), done.stderr
    assert json.loads((few / "r.json").read_text())["classes"] == ["cat", "dog"]
    assert (few / "r.html").read_text().endswith("</html>")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if redirection == "> /dev/full":
        assert "cannot write to the standard output: [Errno 28]" in done.stderr
    if redirection == "| head -1":
        assert done.stdout.count("\n") == 1


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_terminal_of_ascii_gets_the_table(few):
    done = subprocess.run(
        COMMAND.split(),
        cwd=few,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert " +- " in done.stdout.decode("ascii")
    assert (few / "r.html").exists()
    assert (few / "r.json").exists()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "± ? caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("latin-1", "± ? caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("cp1251", "± ? caf?"),
        ("ascii", "+- ? caf?"),
    ],
)
def test_a_stream_replaces_the_characters_that_it_lacks(encoding, expected):
    raw = io.BytesIO()
    stream = Stream(io.TextIOWrapper(raw, encoding=encoding))
    stream.write("± \udce9 caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    stream.flush()
    assert raw.getvalue().decode(encoding) == expected
    assert stream.failure is None


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_table_that_cannot_be_printed_goes_to_stderr_where_no_file_was_asked(few):
    command = f"{sys.executable} -m skimb compare few {' '.join(FEW)} >&-"
    done = subprocess.run(["bash", "-c", command], cwd=few, capture_output=True, text=True)
    assert done.returncode == 0
    assert "balanced accuracy" in done.stderr


def test_help_may_be_cut_short(few):
    command = f"{sys.executable} -m skimb compare --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=few, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.slow
def test_results_whose_place_has_gone_are_written_elsewhere(few, monkeypatch, capsys):
    from skimb.study import Comparison

    (few / "out").mkdir()
    (few / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(few / "temporary"))
    to_json = Comparison.to_json

    def remove_first(self, path):
        if (few / "out").exists():
            (few / "out").rmdir()
        to_json(self, path)

    monkeypatch.setattr("skimb.study.Comparison.to_json", remove_first)
    files = ["--json", str(few / "out" / "r.json"), "--report", str(few / "out" / "r.html")]
    assert main(["compare", str(few / "few"), *FEW, *files]) == 1
    printed = capsys.readouterr()
    for name in ("r.json", "r.html"):
        (place,) = (few / "temporary").glob(f"skimb-*/{name}")
        assert str(place) in printed.out
        assert str(place) in printed.err
    assert "Traceback" not in printed.err


def test_a_report_that_cannot_be_drawn_does_not_cost_the_figures(few, monkeypatch, capsys):
    (few / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(few / "temporary"))
    monkeypatch.setattr("skimb.study.Comparison.to_html", Mock(side_effect=TypeError("a glyph")))
    assert main(["compare", str(few / "few"), *FEW, "--report", str(few / "r.html")]) == 1
    printed = capsys.readouterr()
    assert "cannot write" in printed.err
    assert "TypeError: a glyph" in printed.err
    (place,) = (few / "temporary").glob("skimb-*/figures.json")
    assert json.loads(place.read_text())["baseline"] == "none"
    assert str(place) in printed.out


@pytest.mark.exhaustive
@pytest.mark.slow
def test_figures_can_be_written_into_a_pipe(few):
    command = f"{sys.executable} -m skimb compare few {' '.join(FEW)} --json /dev/stdout | cat"
    done = subprocess.run(["bash", "-c", command], cwd=few, capture_output=True, text=True)
    figures, end = json.JSONDecoder().raw_decode(done.stdout)
    assert figures["classes"] == ["cat", "dog"]
    assert "balanced accuracy" in done.stdout[end:]


def refused(arguments, capsys, status=2):
    """Return what was said; nothing was read, trained or written."""
    if status == 2:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    else:
        assert main(arguments) == status
    return capsys.readouterr().err


def link(target, path):
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("option", ["--report", "--json"])
def test_outputs_never_overwrite_images_of_a_folder(option, few, monkeypatch, capsys):
    monkeypatch.chdir(few)
    (few / "store").mkdir()
    image = few / "few" / "cat" / "0.png"
    before = image.read_bytes()
    link(few / "store", few / "few" / "dog" / "linked")
    link(few / "few", few / "way")
    link(image, few / "link.html")
    (few / "elsewhere").mkdir()
    link(few / "elsewhere", few / "few" / "bird")
    for path in (
        "few/cat/0.png",
        "few/report.html",
        "few/../few/cat/new.html",
        str(few / "few" / "new.html"),
        "way/cat/0.png",
        "link.html",
        "elsewhere/new.html",
    ):
        said = refused(["compare", "few", *FEW, option, path], capsys)
        assert "lies among the images of few" in said
    said = refused(["compare", "way", *FEW[2:], "--test", "few", option, "few/x"], capsys)
    assert "lies among the images" in said
    assert image.read_bytes() == before


def test_outputs_never_overwrite_what_a_hard_link_or_a_table_names(few, monkeypatch, capsys):
    monkeypatch.chdir(few)
    (few / "hard.html").hardlink_to(few / "few" / "dog" / "1.png")
    said = refused(["compare", "few", *FEW, "--report", "hard.html"], capsys, status=1)
    assert "would overwrite the image" in said
    table = ["compare", "table.csv", "--image-column", "file", "--target", "kind", *FEW]
    for path in ("hard.html", "few/dog/1.png"):
        said = refused([*table, "--report", path], capsys, status=1)
        assert "would overwrite the image" in said
    (few / "hard.csv").hardlink_to(few / "table.csv")
    link(few / "table.csv", few / "link.csv")
    for path in ("table.csv", "few/../table.csv", "hard.csv", "link.csv"):
        said = refused([*table, "--json", path], capsys)
        assert "would overwrite the table table.csv" in said
    (few / "test.csv").write_text((few / "table.csv").read_text())
    said = refused([*table[:-8], "--test", "test.csv", "--json", "test.csv"], capsys)
    assert "would overwrite the table test.csv" in said
    # Beside the table is a good place.
    assert main([*table, "--json", "r.json"]) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x.html", "x.html"),
        ("x.html", "few/../x.html"),
        ("x.html", "X.HTML"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("x.html", "link"),
        ("old", "hard"),
        ("way/x.html", "store/x.html"),
    ],
)
def test_outputs_are_not_one_another(first, second, few, monkeypatch, capsys):
    monkeypatch.chdir(few)
    (few / "store").mkdir()
    link(few / "store", few / "way")
    link(few / "x.html", few / "link")
    (few / "old").touch()
    (few / "hard").hardlink_to(few / "old")
    said = refused(["compare", "few", *FEW, "--json", first, "--report", second], capsys)
    assert "would both write" in said


def test_outputs_are_not_where_the_table_is_sent(few):
    with (few / "r.json").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "skimb", "compare", "few", *FEW, "--json", "r.json"],
            cwd=few,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert "--json would write r.json, where stdout goes" in done.stderr


# ------------------------------------------------------------------------- names


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_classes_of_any_name_have_a_report_and_figures(few, capsys, recwarn):
    names = [
        b"caf\xe9",
        "\N{CJK UNIFIED IDEOGRAPH-732B}".encode(),
        b"bell\x07\x1b[2J",
        b"a$x^2$",
        b"<b>--&",
        b"new\nline",
        "\N{RIGHT-TO-LEFT OVERRIDE}\uffff".encode(),
        b"x" * 200,
        b"x" * 199 + b"y",
    ]
    (few / "names").mkdir()
    for i, name in enumerate(names):
        shutil.copytree(
            few / "few" / ("cat" if i % 2 else "dog"), few / "names" / os.fsdecode(name)
        )
        # Equal images would stay together.
        for file in (few / "names" / os.fsdecode(name)).iterdir():
            Image.fromarray(np.array(Image.open(file)) + np.uint8(i)).save(file)
    files = ["--json", str(few / "r.json"), "--report", str(few / "r.html")]
    assert main(["compare", str(few / "names"), *FEW, *files]) == 0, capsys.readouterr().err
    assert not [str(w.message) for w in recwarn if "lyph" in str(w.message)]
    figures = json.loads((few / "r.json").read_text().encode())
    assert "caf\\xe9" in figures["classes"]
    json.dumps(figures, ensure_ascii=False).encode()
    page = (few / "r.html").read_text(encoding="utf-8")
    assert "\N{CJK UNIFIED IDEOGRAPH-732B}" in page
    assert "caf\\xe9" in page
    assert "<b>--" not in page
    assert not [char for char in page if ord(char) < 32 and char != "\n"]
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", page, re.DOTALL)
    assert charts
    for chart in charts:
        xml.dom.minidom.parseString(chart)


@pytest.mark.slow
def test_the_report_forbids_what_it_does_not_hold(few, capsys):
    assert main(["compare", str(few / "few"), *FEW, "--report", str(few / "r.html")]) == 0
    head = (few / "r.html").read_text().split("</head>")[0]
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', head)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules
    # Before anything that it is to rule, and within the bytes in which the encoding is looked for.
    assert head.index("Content-Security-Policy") < head.index("<style")
    assert head.index("charset") < 1024
