"""Lines on stderr that say how far a command is, where there is no terminal."""

import copy
import time
from types import SimpleNamespace

import pytest

from skimb._command_line._progress_lines import ProgressLines, TrainingLines, with_lines


@pytest.fixture
def often(monkeypatch):
    """Lines come every 20 ms."""
    monkeypatch.setattr("skimb._command_line._progress_lines.SECONDS_PER_LINE", 0.02)


def test_images_are_told_at_the_beginning_and_while_they_are_predicted(often, capsys):
    done = []
    for i in with_lines(iter(range(4)), 4, "predicting 4 images of pool"):
        time.sleep(0.05)
        done.append(i)
    first, *lines = capsys.readouterr().err.splitlines()
    assert done == [0, 1, 2, 3]
    assert first == "predicting 4 images of pool"
    assert "1 of 4 images; 00:00 elapsed, about 00:00 left" in lines
    assert not any(line.startswith("4 of 4") for line in lines[:-1])


def test_short_work_has_one_line_and_an_unknown_number_is_not_told(capsys):
    assert list(with_lines([1, 2], None, "predicting the images of pool")) == [1, 2]
    assert capsys.readouterr().err == "predicting the images of pool\n"
    lines = ProgressLines("images")
    assert lines.text() == "00:00 elapsed"
    lines.done = 7
    assert lines.text() == "7 images; 00:00 elapsed"


def test_no_line_comes_after_the_end_also_of_a_generator_that_is_left(often, capsys):
    found = with_lines(iter(range(100)), 100, "first")
    next(found)
    found.close()
    capsys.readouterr()
    time.sleep(0.06)
    assert capsys.readouterr().err == ""


def test_epochs_of_each_training_are_counted_also_by_copies():
    lines = ProgressLines("epochs")
    watcher = copy.deepcopy(TrainingLines(lines))
    fit = SimpleNamespace(task_name="fit", max_subtasks=5)
    epoch = SimpleNamespace(task_name="epoch")
    for _ in range(2):
        watcher.on_fit_task_begin(None, fit)
        for _ in range(3):
            watcher.on_fit_task_end(None, epoch)
        assert lines.text() == "3 of 5 epochs; 00:00 elapsed, about 00:00 left"
