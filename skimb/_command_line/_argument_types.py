"""Types of arguments: functions from text to a value, whose errors are usage errors."""

import argparse
import math
import os
from pathlib import Path

__all__ = [
    "MOST_EPOCHS",
    "MOST_REPEATS",
    "MOST_SEED",
    "MOST_SIDE",
    "Once",
    "at_least",
    "counts",
    "jobs",
    "minutes",
    "path",
    "text",
]

#: Side of images at most, in pixels: that of some 90 million pixels.
MOST_SIDE = 8192

#: Epochs, folds and repeats at most: more is a slip of the finger.
MOST_EPOCHS, MOST_REPEATS = 1_000_000, 10_000

#: Minutes of a search at most: a week.
MOST_MINUTES = 7 * 24 * 60

#: Seeds end here: numpy takes 32 bits.
MOST_SEED = 2**32 - 1


class Once(argparse.Action):
    """Store the value of an option that may be given once."""

    is_given = False

    def __call__(self, parser, namespace, values, option_string=None):
        if self.is_given:
            parser.error(f"{option_string} is given twice")
        self.is_given = True
        setattr(namespace, self.dest, values)


def text(argument):
    """Return text that is not blank."""
    if not argument.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return argument


def minutes(argument):
    """Return a positive number of minutes, of at most a week."""
    try:
        number = float(argument)
    except ValueError:
        number = math.nan
    if not 0 < number <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(
            f"must be a number of minutes above 0 and at most {MOST_MINUTES}, not {argument!r}"
        )
    return number


def path(argument):
    """Return a path."""
    return Path(text(argument))


def jobs(argument):
    """Return a number of processes, as in joblib."""
    most = max(16, 4 * (os.cpu_count() or 1))
    number = at_least(-most, most)(argument)
    if number == 0:
        raise argparse.ArgumentTypeError("must not be 0; -1 is one process a core")
    return number


def counts(argument):
    """Return counts by label, from text such as ``cat=1000,dog=11000``."""
    found = {}
    for pair in argument.split(","):
        label, _, number = pair.rpartition("=")
        label = label.strip()
        if not label or not number.isdecimal() or len(number) > 18 or int(number) < 1:
            raise argparse.ArgumentTypeError(f"must be like cat=1000,dog=11000, got {argument}")
        if label in found:
            raise argparse.ArgumentTypeError(f"names {label} twice: {argument}")
        found[label] = int(number)
    return found


def at_least(least, most=MOST_EPOCHS):
    """Return the type of whole numbers in a range."""

    def integer(argument):
        number = int(argument)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {argument}")
        if number > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, got {argument}")
        return number

    return integer
