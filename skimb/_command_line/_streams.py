"""Standard streams that may be gone, and signals that end the process."""

import contextlib
import os
import signal
import stat
import sys
import threading
import warnings
from contextlib import contextmanager

from skimb._files import identity

__all__ = [
    "SHORT_TRAINING",
    "CommandError",
    "Stream",
    "Terminated",
    "complain",
    "errors_in_one_line",
    "printable",
    "regular_file",
    "say",
    "termination_unwinds",
    "warnings_in_one_line",
]


#: Advice about parameters in Python, and what it is on the command line.
SHORT_TRAINING = "Raise `max_epochs`, lower `batch_size`, or leave both at 'auto'."
EXACT_GUARANTEE = (
    "For an exact guarantee give a fraction as `cv`, or a fitted classifier in a FrozenEstimator "
    "together with samples that it was not trained on."
)
SPELLED = {
    SHORT_TRAINING: "Give more --epochs, or leave --epochs out.",
    EXACT_GUARANTEE: "More images of this class make it exact: a third of all are then held out.",
}


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


def say(text):
    """Tell the user what happens, on stderr.

    Parameters
    ----------
    text : str
    """
    print(text, file=sys.stderr, flush=True)


def complain(message):
    """Write one line on stderr, whatever the message holds.

    Parameters
    ----------
    message : object
    """
    say(f"skimb: {printable(message)}")


def printable(message):
    """Return a message as one line, in which unprintable characters are spelled out.

    Parameters
    ----------
    message : object

    Returns
    -------
    str
    """
    line = " ".join(str(message).split())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class CommandError(Exception):
    """Raised by an error that the user has been told of; the exit status is 1."""


@contextmanager
def errors_in_one_line(advice="Give a smaller --size, or fewer images."):
    """Tell errors in the data, and a lack of memory, in one line.

    Parameters
    ----------
    advice : str
        What to do where memory is lacking.

    Raises
    ------
    CommandError
        In place of the error.
    """
    try:
        yield
    except (ValueError, OSError, ImportError) as exc:
        complain(exc)
    except MemoryError as exc:
        _complain_of_memory(exc, advice)
    except RuntimeError as exc:
        # torch takes seconds to import, and raises this one only where it is imported.
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(exc, torch.OutOfMemoryError):
            raise
        _complain_of_memory(exc, advice)
    else:
        return
    raise CommandError


def _complain_of_memory(exc, advice):
    reason = f": {str(exc).rstrip('.')}" if str(exc) else ""
    complain(f"there is not enough memory{reason}. {advice}")


@contextmanager
def warnings_in_one_line(spelled=None):
    """Tell each warning for users in one line, once.

    Parameters
    ----------
    spelled : dict of str to str, default=None
        Sentences about parameters in Python, and what takes their place; None: options in general.
    """
    told = set()
    spelled = SPELLED if spelled is None else SPELLED | spelled

    def show(message, category, filename, lineno, file=None, line=None):
        words = str(message)
        for of_python, of_options in spelled.items():
            words = words.replace(of_python, of_options)
        if words not in told:
            told.add(words)
            complain(words)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


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
