"""The command line: ``skimb compare digits --report report.html``."""

import contextlib
import signal
import sys
from collections.abc import Sequence

from skimb._command_line import (
    ADDERS,
    COMMANDS,
    CommandError,
    Stream,
    Terminated,
    build_parser,
    check_arguments,
    complain,
    termination_unwinds,
)

__all__ = ["main"]

#: Exit status of a process whose reader has gone, as of one that SIGPIPE ends.
BROKEN_PIPE = 128 + 13


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None: those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 for bad data, or where something could not be written; 130 or 143 when
        interrupted or terminated; 141 when the reader of the output has gone. A usage error exits
        with 2.
    """
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = _run(argv)
        finally:
            out.flush()
        if out.failure is None or status not in (0, 1):
            return status
        if isinstance(out.failure, BrokenPipeError):
            return BROKEN_PIPE
        complain(f"cannot write to the standard output: {out.failure}")
        return 1


def _run(argv):
    parser = build_parser(ADDERS)
    arguments, unknown = parser.parse_known_args(argv)
    of_command = parser.parser_of(arguments.command)
    if unknown:
        of_command.error(f"unrecognized arguments: {' '.join(unknown)}")
    check_arguments(of_command, arguments)
    # As it was typed, for reports that say how to repeat them.
    arguments.typed = sys.argv[1:] if argv is None else list(argv)
    try:
        with termination_unwinds():
            return COMMANDS[arguments.command](arguments)
    except CommandError:
        return 1
    except KeyboardInterrupt as exc:
        # Where an interrupt has passed through exec(text), as in a dataclass that was imported,
        # CPython ends the process by SIGINT, unless some text has been executed since.
        exec("")
        folder = getattr(arguments, "checkpoint", None)
        more = "" if folder is None else f"; the same command goes on from {folder}"
        if folder is None and arguments.command == "compare":
            more = "; with --checkpoint DIR the same command goes on where it was interrupted"
        print(f"skimb: interrupted; no file is half-written{more}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(exc, Terminated) else signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
