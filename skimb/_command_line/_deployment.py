"""Where a classifier will be used, as options: class fractions, costs, and a recall to keep."""

import argparse
import math
from collections.abc import Mapping
from typing import Any

from skimb._command_line._argument_types import path
from skimb._command_line._labels import listed
from skimb._tables import read_table

__all__ = [
    "add_deployment",
    "check_deployment_options",
    "deployment_options",
    "given_options",
    "refuse_deployment",
]


def add_deployment(command):
    """Add the options that say where a classifier will be used.

    Parameters
    ----------
    command : ArgumentParser
    """
    command.add_argument(
        "--deploy",
        type=fractions,
        metavar="A=8%,...",
        help="the class fractions where the model will be used: cat=8%% or cat=0.08; classes that "
        "are not named share the rest (default: as among the training images)",
    )
    command.add_argument(
        "--costs",
        type=costs,
        metavar="miss=A,alarm=B",
        help="of two classes, what it costs to miss one of the minority class, and what a false "
        "alarm costs (default: 1 each)",
    )
    command.add_argument(
        "--cost-matrix",
        type=path,
        metavar="TABLE.csv",
        help="what each decision costs: true classes in the first column, and a column for each "
        "decision",
    )
    command.add_argument(
        "--require",
        type=requirement,
        metavar="recall=R",
        help="the recall of the minority class that must be kept, with a confidence of 95 %%; what "
        "counts then are the fewest false alarms",
    )


def check_deployment_options(parser, arguments):
    """Refuse options that cannot go together, before any data are read.

    Parameters
    ----------
    parser : ArgumentParser
        It ends the process with a usage error.
    arguments : Namespace
    """
    matrix = arguments.cost_matrix
    if matrix is None:
        return
    if arguments.costs is not None:
        parser.error("--costs and --cost-matrix exclude each other: give one of them")
    if not matrix.is_file():
        parser.error(f"--cost-matrix {matrix} is no file; it must be a table")


def given_options(arguments):
    """Return the options of a deployment that were given, as they are typed.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    list of str
    """
    names = ("deploy", "costs", "cost_matrix", "require")
    given = [name for name in names if getattr(arguments, name) is not None]
    return [f"--{name.replace('_', '-')}" for name in given]


def refuse_deployment(arguments):
    """Refuse the options of a deployment, as the target holds numbers.

    Parameters
    ----------
    arguments : Namespace

    Raises
    ------
    ValueError
        If one of them was given.
    """
    if given := given_options(arguments):
        raise ValueError(f"{given[0]} is for classes, but the target holds numbers. Leave it out.")


def deployment_options(arguments, labels) -> dict[str, Any]:
    """Return the options as `skimb.study.compare` takes them.

    Parameters
    ----------
    arguments : Namespace
    labels : iterable
        The labels of the data; the options name them as text.

    Returns
    -------
    dict
        With ``deploy``, ``costs`` and ``require``, as far as they were given.

    Raises
    ------
    ValueError
        If an option names a class that there is not, or the table of costs cannot be read.
    """
    found: dict[str, Any] = {}
    if arguments.deploy is not None:
        known = {str(label): label for label in labels}
        unknown = [label for label in arguments.deploy if label not in known]
        if unknown:
            raise ValueError(
                f"--deploy names {listed(unknown)}, but the classes are {listed(sorted(known))}. "
                "Use these."
            )
        found["deploy"] = {known[label]: value for label, value in arguments.deploy.items()}
    if arguments.costs is not None:
        found["costs"] = arguments.costs
    if arguments.cost_matrix is not None:
        found["costs"] = _cost_matrix(arguments.cost_matrix)
    if arguments.require is not None:
        found["require"] = arguments.require
    return found


def _cost_matrix(file) -> Mapping:
    """Return the costs of a table as ``{true: {predicted: cost}}``."""
    table = read_table(file)
    first, *decisions = table.names
    if not decisions:
        raise ValueError(
            f"{file} must have the true classes in its first column, and a column of costs for "
            f"each decision. It has the column {first!r} alone."
        )
    true = [str(label) for label in table.labels(first)]
    if len(set(true)) < len(true):
        twice = sorted({label for label in true if true.count(label) > 1})
        raise ValueError(
            f"{file} has several rows of {listed(twice)}. Give one row for each class."
        )
    advice = "give a number for each decision"
    costs = {name: table.numbers(name, advice=advice) for name in decisions}
    return {
        label: {str(name): float(costs[name][row]) for name in decisions}
        for row, label in enumerate(true)
    }


# ------------------------------------------------------------------------- types of arguments


def fractions(argument):
    """Return fractions by label, from text such as ``cat=8%,dog=0.2``."""
    found = {}
    for label, number in _pairs(argument, "cat=8%"):
        value = _number(number.removesuffix("%").strip(), argument)
        value = value / 100 if number.endswith("%") else value
        if not 0 < value < 1:
            raise argparse.ArgumentTypeError(
                f"must be fractions between 0 and 1, or 0 % and 100 %, not {number} for {label}"
            )
        found[label] = value
    return found


def costs(argument):
    """Return the costs of a miss and of a false alarm, from text such as ``miss=10,alarm=1``."""
    found = {
        name: _number(number, argument) for name, number in _pairs(argument, "miss=10,alarm=1")
    }
    if set(found) != {"miss", "alarm"}:
        raise argparse.ArgumentTypeError(f"must be like miss=10,alarm=1, got {argument}")
    for name, value in found.items():
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"must be numbers above 0, not {value:g} for {name}")
    return found


def requirement(argument):
    """Return a recall by its name, from text such as ``recall=0.95``."""
    found = fractions(argument)
    if set(found) != {"recall"}:
        raise argparse.ArgumentTypeError(f"must be like recall=0.95, got {argument}")
    return found


def _pairs(argument, example):
    found = []
    for pair in argument.split(","):
        name, _, number = (part.strip() for part in pair.rpartition("="))
        if not name or not number:
            raise argparse.ArgumentTypeError(f"must be like {example}, got {argument}")
        if name in [known for known, _ in found]:
            raise argparse.ArgumentTypeError(f"names {name} twice: {argument}")
        found.append((name, number))
    return found


def _number(text, argument):
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"holds {text!r}, which is no number: {argument}"
        ) from None
