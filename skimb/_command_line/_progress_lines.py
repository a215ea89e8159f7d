"""Lines on stderr that say how far a command is, where there is no terminal for a bar."""

import threading
import time

from tqdm import tqdm

from skimb._command_line._streams import say

__all__ = ["ProgressLines", "TrainingLines", "with_lines"]

#: Seconds between two lines, and between two looks at the clock.
SECONDS_PER_LINE, SECONDS_PER_LOOK = 30, 0.5


class ProgressLines:
    """Context in which a line is written about every 30 seconds.

    Parameters
    ----------
    unit : str
        The things that are counted, in the plural.
    total : int, default=None
        How many there are, if it is known.

    Attributes
    ----------
    done : int
        How many are done; whoever does them counts.
    """

    def __init__(self, unit, total=None):
        self.unit, self.total, self.done = unit, total, 0
        self.start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._over.set()
        self._thread.join()

    def begin(self, total):
        """Count from zero: one more training begins."""
        self.total, self.done, self.start = total, 0, time.monotonic()

    def text(self):
        """Return the line."""
        elapsed = time.monotonic() - self.start
        if self.total is None and not self.done:
            return f"{tqdm.format_interval(elapsed)} elapsed"
        of_all = "" if self.total is None else f" of {self.total}"
        left = ""
        if self.total and 0 < self.done <= self.total:
            seconds = elapsed / self.done * (self.total - self.done)
            left = f", about {tqdm.format_interval(seconds)} left"
        return f"{self.done}{of_all} {self.unit}; {tqdm.format_interval(elapsed)} elapsed{left}"

    def _write(self):
        last = time.monotonic()
        while not self._over.wait(min(SECONDS_PER_LOOK, SECONDS_PER_LINE)):
            if time.monotonic() - last >= SECONDS_PER_LINE:
                last = time.monotonic()
                say(self.text())


class TrainingLines:
    """Callback of scikit-learn that counts the epochs of each training of a network.

    Networks are cloned with their callbacks, which all count in the same place.

    Parameters
    ----------
    lines : ProgressLines
    """

    def __init__(self, lines):
        self.lines = lines

    def __deepcopy__(self, memo):
        return self

    def setup(self, estimator, context):
        """Wait for the training, which knows its epochs."""

    def on_fit_task_begin(self, estimator, context):
        """Count from zero when a training begins."""
        if context.task_name == "fit":
            self.lines.begin(context.max_subtasks)

    def on_fit_task_end(self, estimator, context):
        """Count an epoch."""
        if context.task_name == "epoch":
            self.lines.done += 1

    def teardown(self, estimator, context):
        """Leave the count where the training ended."""


def with_lines(found, total, first):
    """Return the same iterable, with a line at the beginning and about every 30 seconds.

    Parameters
    ----------
    found : iterable of images
    total : int or None
    first : str
        The line at the beginning.

    Yields
    ------
    object
    """
    say(first)
    with ProgressLines("images", total) as lines:
        for one in found:
            yield one
            lines.done += 1
