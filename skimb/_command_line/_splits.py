"""How samples are divided, on the command line: by a column of a table, or by names of files."""

import argparse
import re
from pathlib import Path

from skimb._command_line._argument_types import text
from skimb._command_line._labels import listed
from skimb._command_line._streams import complain
from skimb._messages import counted

__all__ = [
    "add_group_pattern",
    "add_splits",
    "check_splits",
    "cv_of_table",
    "groups_of_files",
    "refuse_shared",
]

#: Words for the parts of a split, in small letters.
PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}


def pattern(argument):
    """Return a regular expression that has a group."""
    try:
        compiled = re.compile(text(argument))
    except re.error as exc:
        raise argparse.ArgumentTypeError(f"{argument!r} is no regular expression: {exc}") from exc
    if not compiled.groups:
        raise argparse.ArgumentTypeError(
            f"{argument!r} has no brackets: what stands in the first ones is the group, as in "
            r"'patient(\d+)'"
        )
    return compiled


def add_group_pattern(command):
    """Add the option for groups of files in folders."""
    command.add_argument(
        "--group-pattern",
        type=pattern,
        metavar="REGEX",
        help="for folders: what the first brackets match in the name of a file, sub-folders below "
        r"that of the class included, is its group, as with --group: 'patient(\d+)', or "
        "'^([^/]+)/' for a sub-folder a patient",
    )


def add_splits(command):
    """Add the options that divide the rows of a table."""
    command.add_argument(
        "--split",
        type=text,
        metavar="COLUMN",
        help="column of a table that says which rows are train and which are test (validation is "
        "trained on too), or the number of the fold in which a row is tested (-1: in none)",
    )
    command.add_argument(
        "--time",
        type=text,
        metavar="COLUMN",
        help="column of a table with numbers or dates (2024-05-31): every network is tested on "
        "rows that are later than all that it was trained on, in as many parts as --folds says",
    )


def check_splits(parser, arguments, *, is_from_table):
    """Refuse options for splits that cannot go together.

    Parameters
    ----------
    parser : ArgumentParser
    arguments : Namespace
    is_from_table : bool
    """
    for name in ("split", "time"):
        if getattr(arguments, name) is None:
            continue
        if not is_from_table:
            parser.error(
                f"--{name} is for tables; of a folder, --test names the test images, and "
                "--group-pattern the images that stay together"
            )
        if arguments.test is not None:
            parser.error(f"--{name} and --test exclude each other: both say what is tested on")
        for other in ("image_column", "target", "group"):
            if getattr(arguments, name) == getattr(arguments, other):
                parser.error(f"--{name} {getattr(arguments, name)} is given for another column too")
    if arguments.split is not None and arguments.time is not None:
        parser.error("--split and --time exclude each other: both divide the rows")
    if arguments.split is not None and arguments.folds is not None:
        parser.error(
            "--split and --folds exclude each other: the column says which folds there are"
        )
    if arguments.folds == 1 and (arguments.time is None or arguments.more_images is not None):
        parser.error("--folds must be at least 2; 1 is for --time without --more-images")
    if arguments.time is not None and (arguments.repeats or 1) > 1:
        parser.error(
            "--time and --repeats exclude each other: there is one order of time, so that further "
            "repeats would have the same folds"
        )


def cv_of_table(table, arguments, y=None, groups=None):
    """Return the splits that the arguments ask for, or None where they ask for none.

    Parameters
    ----------
    table : Table
    arguments : Namespace
    y : ndarray of shape (n,), default=None
        Labels, which must be in all parts by time; None: there are none.
    groups : ndarray of shape (n,), default=None
        The group of each row.

    Returns
    -------
    list of (ndarray, ndarray), or None

    Raises
    ------
    ValueError
        If a column cannot be read so, or a group would be on both sides.
    """
    split, time = getattr(arguments, "split", None), getattr(arguments, "time", None)
    if split is not None:
        option, splits = f"--split {split}", _predefined(table, split, arguments.repeats or 1)
    elif time is not None:
        from skimb.study import time_splits

        option, times = f"--time {time}", _times(table, time)
        n_splits = arguments.folds or 5
        try:
            splits = time_splits(times, n_splits, y=y)
        except ValueError as exc:
            words = str(exc).replace("`times`", f"The column {time!r} of {table.path}")
            raise ValueError(words.replace("n_splits=", "--folds ")) from exc
    else:
        return None
    if groups is not None:
        for train, test in splits:
            refuse_shared(groups[train], groups[test], arguments.group, option)
    return splits


def _times(table, name):
    """Return the cells of a column, as numbers where all are."""
    cells = table.labels(name).tolist()
    try:
        return [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return [str(cell).strip() for cell in cells]


def _predefined(table, name, n_repeats):
    import numpy as np
    from sklearn.model_selection import PredefinedSplit

    cells = [str(cell).strip() for cell in table.labels(name).tolist()]
    known = [PARTS.get(cell.lower()) for cell in cells]
    place = f"The column {name!r} of {table.path}"
    if all(known):
        parts = np.array(known)
        if missing := {"train", "test"} - set(known):
            raise ValueError(f"{place} has no row of {missing.pop()!r}. It must have both parts.")
        n_valid = int((parts == "validation").sum())
        if n_valid:
            complain(
                f"{counted(n_valid, 'row')} of the validation part "
                f"{'is' if n_valid == 1 else 'are'} trained on, as those of train are"
            )
        return [(np.flatnonzero(parts != "test"), np.flatnonzero(parts == "test"))]
    try:
        folds = np.array([_whole(cell) for cell in cells])
    except ValueError as exc:
        raise ValueError(
            f"{place} must hold train, validation and test, or numbers of folds. Got "
            f"{listed(sorted(set(cells)))}."
        ) from exc
    splits = list(PredefinedSplit(folds).split())
    if not splits or any(not len(train) for train, _ in splits):
        raise ValueError(
            f"{place} names {counted(len(splits), 'fold')}. Two are needed, or train and test."
        )
    if n_repeats > 1 and len(splits) > 1:
        raise ValueError(
            f"{place} names {len(splits)} folds, which --repeats {n_repeats} would run again, and "
            "their scores are not independent. Leave --repeats out."
        )
    return splits


def _whole(cell):
    number = float(cell)
    if number != int(number) or number < -1:
        raise ValueError(cell)
    return int(number)


def groups_of_files(files, folder, compiled):
    """Return the group of each file of a folder, as the pattern finds it in its name.

    Parameters
    ----------
    files : iterable of str
        In sub-folders of the folder, one a class.
    folder : str
    compiled : re.Pattern

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If it finds none in a name.
    """
    import numpy as np

    names = ["/".join(Path(file).relative_to(folder).parts[1:]) for file in files]
    found = [compiled.search(name) for name in names]
    groups = [None if match is None else match.group(1) for match in found]
    lacking = [file for file, group in zip(files, groups, strict=True) if group is None]
    if lacking:
        raise ValueError(
            f"--group-pattern {compiled.pattern!r} finds no group in the names of "
            f"{counted(len(lacking), 'file')} of {folder}, {lacking[0]} first. It is "
            "looked for below the folder of the class. Give a pattern that finds one in each."
        )
    return np.array(groups)


def refuse_shared(groups, test_groups, source, option):
    """Refuse groups that are trained on and tested on.

    Parameters
    ----------
    groups, test_groups : ndarray
        Those of the training part and of the test part.
    source : str
        What the groups are: a column or a pattern.
    option : str
        The option that divides the samples.

    Raises
    ------
    ValueError
        If any is in both.
    """
    if shared := sorted(set(groups.tolist()) & set(test_groups.tolist())):
        raise ValueError(
            f"{counted(len(shared), 'group')} of {source!r}, {shared[0]!r} first, "
            f"{'is' if len(shared) == 1 else 'are'} trained on and tested on by {option}: a "
            "network would be scored on groups that it was trained on. Remove their samples "
            "from one side."
        )
