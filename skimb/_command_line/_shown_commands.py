"""The commands that a report shows: the one that made it, and the one that comes next."""

import shlex

__all__ = ["fit_command_after", "typed_command"]

#: Options of ``compare`` that say what the data are: ``fit`` must get the same.
OF_DATA = ("image_column", "target", "group", "task")


def typed_command(arguments):
    """Return the command as it was typed, quoted for a shell.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    str or None
        None: it was not typed.
    """
    typed = getattr(arguments, "typed", None)
    return None if typed is None else shlex.join(["skimb", *typed])


def fit_command_after(arguments):
    """Return the command that trains the best strategy of a comparison on all images.

    Parameters
    ----------
    arguments : Namespace
        Those of ``compare``.

    Returns
    -------
    str
    """
    words = ["skimb", "fit", str(arguments.data)]
    for name in OF_DATA:
        if (value := getattr(arguments, name)) is not None:
            words += [f"--{name.replace('_', '-')}", value]
    if arguments.group_pattern is not None:
        words += ["--group-pattern", arguments.group_pattern.pattern]
    if arguments.group_near_duplicates:
        words.append("--group-near-duplicates")
    if arguments.counts is not None:
        pairs = (f"{label}={number}" for label, number in arguments.counts.items())
        words += ["--counts", ",".join(pairs)]
    if arguments.seed:
        words += ["--seed", str(arguments.seed)]
    source = "result.json" if arguments.json is None else str(arguments.json)
    return shlex.join([*words, "--strategy", "best", "--from", source, "--out", "model.skimb"])
