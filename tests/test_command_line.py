"""The command line: exit statuses, streams and files."""

import json
import subprocess
import sys

import pytest

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
        (["compare"], "data"),
        (["compare", "nonsense"], "invalid choice"),
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
