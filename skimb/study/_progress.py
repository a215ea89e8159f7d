"""The progress of a comparison: which fits are done, and what is training, in any process."""

import json
import operator
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from skimb._drawn_text import visible_text
from skimb._messages import counted

__all__ = ["Board", "Progress"]

#: Seconds between two looks at what is training, on a terminal and elsewhere.
LOOKS = {True: 0.25, False: 1.0}

#: Seconds after which a line is written where there is no terminal.
SECONDS_PER_LINE = 30

#: Seconds between two words of one process.
SECONDS_PER_WORD = 0.2

#: Letters of a strategy's name that the bar has space for.
MOST_LETTERS = 20


class Board:
    """What one job of a comparison is doing, in a small file that any process can read.

    Parameters
    ----------
    folder : str or None
        The folder of such files; None: nobody wants to know.
    name : str
        The name of the job.
    """

    def __init__(self, folder, name):
        self.path = None if folder is None else Path(folder) / name
        self.state, self.written = {}, 0.0

    def begin(self, strategy, i_run, n_waiting=0, worth=1):
        """Say which strategy is fitted now, and how many fits of the job are done but not told.

        With it, as many fits are nearly done as it is worth.
        """
        self.state = {"strategy": strategy, "run": i_run + 1, "waiting": n_waiting, "worth": worth}
        self.state |= {"epoch": 0, "n_epochs": 0}
        self._write()

    def __call__(self, epoch, n_epochs):
        """Say how many epochs of how many are done."""
        self.state |= {"epoch": epoch, "n_epochs": n_epochs}
        if time.monotonic() - self.written > SECONDS_PER_WORD:
            self._write()

    def end(self):
        """Say that the job is done."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _write(self):
        if self.path is None:
            return
        self.written = time.monotonic()
        # Nobody misses a word: a full disk, or a folder that is gone, ends no comparison.
        with suppress(OSError):
            temporary = self.path.with_name(f"{self.path.name}.part")
            temporary.write_text(json.dumps(self.state), encoding="utf-8")
            os.replace(temporary, self.path)


class Progress:
    """A bar on a terminal, lines elsewhere, nothing when silent; on stderr.

    The bar shows what is training and about how much time is left. Elsewhere there is one line a
    strategy when all its fits are done, and one about every 30 seconds that says what is training.

    Parameters
    ----------
    n_strategies, n_runs : int
    verbose : int
        0: silent.
    n_known : int, default=0
        The number of fits that are known from a checkpoint.
    first_metric : callable, default=None
        Takes the names of the scores, and returns that of the one that lines tell; None: the first.

    Attributes
    ----------
    folder : str or None
        The folder in which `Board` tells; None: nobody wants to know.
    """

    def __init__(self, n_strategies, n_runs, verbose, n_known=0, first_metric=None):
        self.first_metric = first_metric or operator.itemgetter(0)
        self.n_fits, self.n_runs, self.n_known = n_strategies * n_runs, n_runs, n_known
        self.n_done, self.seen = n_known, float(n_known)
        self.is_shown = bool(verbose)
        self.has_bar = self.is_shown and sys.stderr.isatty()
        self.folder = self._temporary = self._thread = None
        self.bar: Any = None
        self.start = self.last_line = time.monotonic()
        self._over, self._lock = threading.Event(), threading.Lock()

    def __enter__(self):
        if not self.is_shown:
            return self
        with suppress(OSError):
            self._temporary = tempfile.TemporaryDirectory(
                prefix="skimb-progress-", ignore_cleanup_errors=True
            )
            self.folder = self._temporary.name
        if self.has_bar:
            self.bar = tqdm(
                total=self.n_fits,
                initial=self.n_known,
                desc=self._counted(),
                bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
                smoothing=0,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        self._thread = threading.Thread(target=self._look_again, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self.bar is not None:
            self.bar.set_postfix_str("", refresh=False)
            self.bar.set_description_str(self._counted(), refresh=False)
            self.bar.n = self.n_done
            self.bar.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def advance(self, outcomes, *, is_new=True):
        """Count one fit of a strategy, whose outcomes so far are these (None: still to come)."""
        with self._lock:
            self.n_done += is_new
            if self.bar is not None:
                self._draw()
            elif self.is_shown and all(outcomes):
                seconds = np.mean([outcome.seconds for outcome in outcomes])
                metric = self.first_metric(list(outcomes[0].scores))
                score = np.mean([outcome.scores[metric] for outcome in outcomes])
                self._say(
                    f"{visible_text(outcomes[0].strategy)}: {metric} {score:.3f}, "
                    f"{counted(len(outcomes), 'run')} of {seconds:.1f} s"
                )

    def _look_again(self):
        while not self._over.wait(LOOKS[self.has_bar]):
            with self._lock:
                if self.bar is not None:
                    self._draw()
                elif time.monotonic() - self.last_line >= SECONDS_PER_LINE:
                    self._say(self._line())

    def _say(self, text):
        self.last_line = time.monotonic()
        print(text, file=sys.stderr, flush=True)

    def _counted(self):
        return f"{self.n_done} of {counted(self.n_fits, 'fit')}"

    def _look(self):
        """Return what is training, and how many fits are done, with fractions of those that are."""
        running = []
        if self.folder is not None:
            for path in sorted(Path(self.folder).glob("*.job")):
                # A file may go between two looks.
                with suppress(OSError, ValueError):
                    running.append(json.loads(path.read_text(encoding="utf-8")))
        parts = sum(
            each["waiting"] + each["worth"] * each["epoch"] / max(each["n_epochs"], 1)
            for each in running
        )
        # A strategy that trains several networks begins again: the bar does not go back.
        done = min(self.n_done + 0.99 * parts, self.n_fits)
        self.seen = max(self.seen, done)
        return running

    def _draw(self):
        running = self._look()
        self.bar.n = self.seen
        self.bar.set_description_str(self._counted(), refresh=False)
        self.bar.set_postfix_str(self._words(running, "run {run}, epoch {epoch}/{n_epochs}"), False)
        self.bar.refresh()

    def _line(self):
        running = self._look()
        elapsed, done = time.monotonic() - self.start, self.seen - self.n_known
        left = ""
        if done > 0:
            left = f", about {_duration(elapsed / done * (self.n_fits - self.seen))} left"
        words = self._words(running, "run {run} of {n_runs}, epoch {epoch} of {n_epochs}")
        training = f"training: {words}; " if words else ""
        return f"{self._counted()}; {training}{_duration(elapsed)} elapsed{left}"

    def _words(self, running, form):
        """Say what is training: the first job, and how many others are."""
        if not running:
            return "starting" if self.n_done == self.n_known else ""
        first = running[0]
        name = visible_text(first["strategy"])
        name = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 3]}..."
        if not first["n_epochs"]:
            form = form.partition(", epoch")[0]
        words = form.format(**first, n_runs=self.n_runs)
        more = f" (+{len(running) - 1})" if len(running) > 1 else ""
        return f"{name} {words}{more}"


def _duration(seconds):
    """Write a number of seconds as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
