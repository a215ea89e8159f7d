"""The progress of a comparison on stderr: a bar on a terminal, lines elsewhere."""

import io
import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import compare
from skimb.study._progress import Board, Progress

N = 40
X = np.random.RandomState(0).randint(0, 255, size=(N, 8, 8)).astype(np.uint8)
Y = np.where(np.arange(N) % 4, "often", "rare")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


class Slow(DummyClassifier):
    """A classifier that takes its time."""

    def fit(self, X, y):
        """Wait."""
        time.sleep(0.3)
        return super().fit(X, y)


def run(**options) -> Any:
    own: Any = {"coin": DummyClassifier(), "slow one": Slow()}
    return compare(X.reshape(N, -1), Y, strategies=own, cv=2, random_state=0, **options)


def outcome(name):
    return SimpleNamespace(strategy=name, scores={"f1": 0.5}, seconds=2.0)


def test_silence_is_silent(capsys):
    run()
    printed = capsys.readouterr()
    assert printed.err == printed.out == ""


def test_redirected_there_is_a_line_a_strategy_and_one_while_something_trains(monkeypatch, capsys):
    monkeypatch.setattr("skimb.study._progress.SECONDS_PER_LINE", 0.2)
    monkeypatch.setattr("skimb.study._progress.LOOKS", {False: 0.02})
    run(verbose=1)
    lines = capsys.readouterr().err.splitlines()
    ends = [line for line in lines if "runs of" in line]
    assert [line.partition(":")[0] for line in ends] == ["coin", "slow one"]
    between = [line for line in lines if "training: " in line]
    assert len(between) >= 2
    form = r"2 of 4 fits; training: slow one run 1 of 2; 0 s elapsed, about \d s left"
    assert any(re.fullmatch(form, line) for line in between), between


@pytest.mark.slow
def test_lines_tell_the_measure_that_the_verdict_names_first(capsys):
    target = np.linspace(0, 1, N)
    network = CNNRegressor(max_epochs=1)
    for measure, told in (
        (None, "balanced_mean_absolute_error"),
        ("mean_absolute_error", "mean_absolute_error"),
    ):
        result: Any = compare(
            X,
            target,
            strategies={"none": "none"},
            estimator=network,
            cv=2,
            measure=measure,
            random_state=0,
            verbose=1,
        )
        mean = result.table.loc["none", (told, "mean")]
        assert result.verdict_metrics[0] == told
        assert f"none: {told} {mean:.3f}, 2 runs of" in capsys.readouterr().err


@pytest.mark.slow
def test_lines_tell_the_epoch(monkeypatch, capsys):
    monkeypatch.setattr("skimb.study._progress.SECONDS_PER_LINE", 0)
    monkeypatch.setattr("skimb.study._progress.SECONDS_PER_WORD", 0)
    monkeypatch.setattr("skimb.study._progress.LOOKS", {False: 0.001})
    network = CNNClassifier(max_epochs=30)
    compare(X, Y, strategies=["focal"], estimator=network, cv=2, random_state=0, verbose=1)
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(r"training: focal run 2 of 2, epoch \d+ of 30; ", line) for line in lines)


@pytest.mark.slow
def test_a_bar_moves_within_a_fit_and_fits_the_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "25")
    monkeypatch.setattr("skimb.study._progress.SECONDS_PER_WORD", 0)
    monkeypatch.setattr("skimb.study._progress.LOOKS", {True: 0.005})
    network = CNNClassifier(max_epochs=20)
    compare(X, Y, strategies=["focal"], estimator=network, cv=2, random_state=0, verbose=1)
    bars = [bar for bar in terminal.getvalue().replace("\n", "\r").split("\r") if "fits" in bar]
    assert max(len(re.sub(r"\x1b\[[A-Z]", "", bar)) for bar in bars) <= 80
    parts = [int(found.group(1)) for bar in bars if (found := re.search(r"(\d+)%", bar))]
    assert parts == sorted(parts)
    assert len(set(parts)) > 5
    assert any(re.search(r"none run 1, epoch \d+/20", bar) for bar in bars)
    assert bars[-1].startswith("4 of 4 fits 100%")


def test_fits_that_wait_for_their_job_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("skimb.study._progress.SECONDS_PER_WORD", 0)
    progress = Progress(3, 2, verbose=1)
    progress.folder = str(tmp_path)
    assert progress._line().startswith("0 of 6 fits; training: starting; 0 s elapsed")
    board = Board(str(tmp_path), "1.job")
    board.begin("threshold", 0, 2)
    board(5, 10)
    Board(str(tmp_path), "2.job").begin("focal", 1)
    (tmp_path / "3.job").write_text("{")
    progress._look()
    assert progress.seen == pytest.approx(0.99 * 2.5)
    assert "training: threshold run 1 of 2, epoch 5 of 10 (+1);" in progress._line()
    board.end()
    assert "training: focal run 2 of 2;" in progress._line()
    # What was seen does not become less.
    assert progress.seen == pytest.approx(0.99 * 2.5)


def test_a_folder_that_is_gone_ends_no_comparison(tmp_path):
    board = Board(str(tmp_path / "gone"), "1.job")
    board.begin("focal", 0)
    board(1, 2)
    board.end()
    Board(None, "1.job").begin("focal", 0)


def test_known_fits_are_no_part_of_the_time(monkeypatch):
    progress = Progress(2, 2, verbose=1, n_known=2)
    progress.start -= 100
    assert progress._line() == "2 of 4 fits; training: starting; 2 min elapsed"
    progress.n_done = 3
    assert progress._line() == "3 of 4 fits; 2 min elapsed, about 2 min left"


def test_names_that_are_no_text_are_written_as_such(tmp_path, capsys):
    progress = Progress(1, 1, verbose=1)
    progress.advance([outcome("a\x1b[2Jb")])
    assert "\x1b" not in capsys.readouterr().err
    progress.folder = str(tmp_path)
    Board(str(tmp_path), "1.job").begin("\x1b" + "long " * 20, 0)
    line = progress._line()
    assert "\x1b" not in line
    assert len(line) < 100


@pytest.mark.slow
def test_results_are_the_same_with_progress_and_without(capsys):
    options: Any = {"strategies": ["focal", "threshold"], "cv": 2, "random_state": 0}
    network = CNNClassifier(max_epochs=2)
    silent, told = (
        compare(X, Y, estimator=network, verbose=verbose, **options) for verbose in (0, 1)
    )
    for name in silent.strategies:
        for one, other in zip(silent.predictions(name), told.predictions(name), strict=True):
            np.testing.assert_array_equal(one.log_proba, other.log_proba)
    assert silent.protocol == told.protocol
    assert json.dumps(silent.protocol["code"]) == json.dumps(told.protocol["code"])
    assert not list(Path().glob("*.job"))
