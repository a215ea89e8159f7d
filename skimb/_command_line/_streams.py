"""Standard streams that may be gone, and signals that end the process."""

import contextlib
import os
import signal
import stat
import sys
import threading
from contextlib import contextmanager

from skimb._files import identity

__all__ = ["Stream", "Terminated", "complain", "regular_file", "termination_unwinds"]


class Stream:
    """A standard stream that never raises: no work is lost because its output cannot be written.

    Characters that the stream's encoding lacks are replaced; once a write has failed (a pipe whose
    reader has gone, a full disk), nothing more is written.

    Parameters
    ----------
    stream : file object or None
        The stream; None: the process was started with it closed.

    Attributes
    ----------
    failure : Exception or None
        The reason why a write failed, if one did.
    """

    #: Texts that replace a character; others become a question mark.
    spelling = {"\N{PLUS-MINUS SIGN}": "+-"}

    def __init__(self, stream):
        self.stream = stream
        self.failure = None

    def write(self, text):
        """Write text as far as that is possible."""
        self._try(lambda stream: stream.write(self._spelled(text)))
        return len(text)

    def flush(self):
        """Flush."""
        self._try(lambda stream: stream.flush())

    def isatty(self):
        """Tell whether a person may be looking."""
        return self.stream is not None and self.failure is None and self.stream.isatty()

    def __getattr__(self, name):
        return getattr(self.__dict__["stream"], name)

    def _spelled(self, text):
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeError:
            return "".join(self._spelled_one(char, encoding) for char in text)
        return text

    def _spelled_one(self, char, encoding):
        try:
            char.encode(encoding)
        except UnicodeError:
            return self.spelling.get(char, "?")
        return char

    def _try(self, action):
        if self.stream is None or self.failure is not None:
            return
        try:
            action(self.stream)
        except (OSError, ValueError) as exc:
            self.failure = exc
            # The interpreter flushes what is left when it ends, and would complain.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stream.fileno())
                os.close(null)


def complain(message):
    """Write one line on stderr, whatever the message holds.

    Parameters
    ----------
    message : object
    """
    line = " ".join(str(message).split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"skimb: {line}", file=sys.stderr, flush=True)


def regular_file(name):
    """Return the identity of the regular file that a standard stream is sent to.

    Parameters
    ----------
    name : {"stdout", "stderr"}

    Returns
    -------
    hashable or None
        None: it goes to no regular file.
    """
    try:
        number = getattr(sys, name).fileno()
        return identity(number) if stat.S_ISREG(os.fstat(number).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None


class Terminated(KeyboardInterrupt):
    """Raised by a request to terminate."""


@contextmanager
def termination_unwinds():
    """Let a request to terminate unwind as Ctrl-C does, so that temporary files are removed.

    Only the main thread handles signals; in another one everything stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
