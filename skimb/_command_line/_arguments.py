"""The arguments of the command line: the parser, and checks that need no data."""

import argparse
import contextlib
import os
from pathlib import Path

import skimb
from skimb._command_line._streams import regular_file
from skimb._files import identity, is_same, lies_in, why_not_writable
from skimb._quantities import MOST_LABELS

__all__ = ["build_parser", "check_arguments", "check_images", "reads_table"]

#: Side of images at most, in pixels: that of some 90 million pixels.
MOST_SIDE = 8192

#: Epochs, folds and repeats at most: more is a slip of the finger.
MOST_EPOCHS, MOST_REPEATS = 1_000_000, 10_000

#: Seeds end here: numpy takes 32 bits.
MOST_SEED = 2**32 - 1


def build_parser():
    """Return the parser of the command line.

    Returns
    -------
    ArgumentParser
    """
    parser = argparse.ArgumentParser(prog="skimb", description="Imbalanced images in scikit-learn.")
    parser.add_argument("--version", action="version", version=f"skimb {skimb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="find out which strategy against imbalance works on your data",
        description="Compare strategies against imbalance: same folds, same seeds, same number of "
        "gradient steps, each compared with the baseline.",
    )
    # Of several values the last one would be used, and the others would be lost in silence.
    compare.register("action", None, _Once)
    compare.add_argument(
        "data",
        type=_text,
        metavar="FOLDER|TABLE.csv|digits",
        help="a folder with one sub-folder a class; a table (CSV, TSV, Parquet) with a column of "
        "image files and one of labels or numbers; or digits: scikit-learn's digits, '8' against "
        "the rest",
    )
    compare.add_argument(
        "--image-column",
        type=_text,
        metavar="C",
        help="column of a table with the image files, relative to the table",
    )
    compare.add_argument(
        "--target",
        type=_text,
        metavar="COLUMN",
        help="column of a table with the target; labels are text as it is written",
    )
    compare.add_argument(
        "--group",
        type=_text,
        metavar="COLUMN",
        help="column of a table whose equal values stay on one side of every split: a patient, a "
        "site (default: only equal images do)",
    )
    compare.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="the task of a table (default: regression where every cell of the target is a "
        f"number, and some are fractions or more than {MOST_LABELS} differ)",
    )
    compare.add_argument(
        "--test",
        type=_text,
        metavar="DIR|TABLE.csv",
        help="test images, in the form of the others; without them, cross-validation",
    )
    compare.add_argument(
        "--counts",
        type=_counts,
        metavar="A=N,B=N",
        help="train on a random subset of so many images of a class (default: all)",
    )
    compare.add_argument(
        "--size",
        type=_at_least(1, MOST_SIDE),
        metavar="N",
        help="resize images to N x N in colour (default: all must have one size)",
    )
    compare.add_argument(
        "--augmentation",
        choices=["auto", "shift_crop", "flip_crop", "none"],
        metavar="NAME",
        help="shift_crop (default): shift training images a little; flip_crop: mirror them too, "
        "where left and right mean the same; none; auto: choose one of the first two on training "
        "images that are held out, which trains two more networks",
    )
    compare.add_argument(
        "--strategies", metavar="A,B,...", help="names, joined by commas (default: all)"
    )
    compare.add_argument("--folds", type=_at_least(2), metavar="N", help="default: 5")
    compare.add_argument(
        "--repeats",
        type=_at_least(1, MOST_REPEATS),
        metavar="N",
        help="default: 1",
    )
    compare.add_argument(
        "--epochs",
        type=_at_least(1),
        metavar="N",
        help="default: 20, or as many as make 1000 gradient steps",
    )
    compare.add_argument(
        "--device", type=_text, default="auto", metavar="D", help="auto (default), cpu, cuda, ..."
    )
    compare.add_argument(
        "--seed", type=_at_least(0, MOST_SEED), default=0, metavar="N", help="default: 0"
    )
    compare.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="processes (default: one a core on the digits, else one, which uses all cores)",
    )
    compare.add_argument("--json", type=_path, metavar="FILE", help="write all figures as JSON")
    compare.add_argument("--report", type=_path, metavar="FILE", help="write a report as HTML")
    return parser


class _Once(argparse.Action):
    """Store the value of an option that may be given once."""

    is_given = False

    def __call__(self, parser, namespace, values, option_string=None):
        if self.is_given:
            parser.error(f"{option_string} is given twice")
        self.is_given = True
        setattr(namespace, self.dest, values)


def _text(text):
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _path(text):
    return Path(_text(text))


def _jobs(text):
    most = max(16, 4 * (os.cpu_count() or 1))
    number = _at_least(-most, most)(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must not be 0; -1 is one process a core")
    return number


def _counts(text):
    counts = {}
    for pair in text.split(","):
        label, _, number = pair.rpartition("=")
        label = label.strip()
        if not label or not number.isdecimal() or len(number) > 18 or int(number) < 1:
            raise argparse.ArgumentTypeError(f"must be like cat=1000,dog=11000, got {text}")
        if label in counts:
            raise argparse.ArgumentTypeError(f"names {label} twice: {text}")
        counts[label] = int(number)
    return counts


def _at_least(least, most=MOST_EPOCHS):
    def integer(text):
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        if number > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, got {text}")
        return number

    return integer


def check_arguments(parser, arguments):
    """Refuse arguments that cannot go together, before any data are read.

    Parameters
    ----------
    parser : ArgumentParser
        The parser, which ends the process with a usage error.
    arguments : Namespace
    """
    for path in (arguments.json, arguments.report):
        if path is not None and (reason := why_not_writable(path)):
            parser.error(f"cannot write {path}: {reason}")
    _check_data(parser, arguments)
    if arguments.test is not None and arguments.folds is not None:
        parser.error("--test and --folds exclude each other: a test folder leaves nothing to fold")
    _check_outputs(parser, arguments)


def _check_data(parser, arguments):
    """Refuse options that do not apply to the kind of data."""
    is_table = reads_table(arguments)
    if arguments.data == "digits":
        for name in ("test", "counts", "size"):
            if getattr(arguments, name) is not None:
                parser.error(f"--{name} is for folders and tables, not for the digits")
    elif not Path(arguments.data).exists():
        parser.error(f"{arguments.data} is neither a folder, nor a table, nor 'digits'")
    if is_table:
        if arguments.image_column is None or arguments.target is None:
            parser.error("a table needs --image-column and --target, the names of two columns")
        if arguments.target in (arguments.image_column, arguments.group):
            parser.error(f"--target {arguments.target} is given for another column too")
        if arguments.counts is not None:
            parser.error(
                "--counts is for folders: a table must hold the rows that are wanted, and no others"
            )
        if arguments.test is not None and not Path(arguments.test).is_file():
            parser.error(f"--test must be a table with the same columns; {arguments.test} is none")
        return
    for name in ("image_column", "target", "task", "group"):
        if getattr(arguments, name) is not None:
            parser.error(f"--{name.replace('_', '-')} is for tables")


def reads_table(arguments):
    """Tell whether the data come from a table.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    bool
    """
    return arguments.data != "digits" and Path(arguments.data).is_file()


def _check_outputs(parser, arguments):
    """Refuse outputs that would overwrite the data, one another, or a redirected stream."""
    outputs = {
        f"--{name}": getattr(arguments, name)
        for name in ("json", "report")
        if getattr(arguments, name) is not None
    }
    if len(outputs) == 2 and is_same(*outputs.values()):
        parser.error(f"--json and --report would both write {arguments.json}")
    streams = {name: regular_file(name) for name in ("stdout", "stderr")}
    for option, path in outputs.items():
        for name, file in streams.items():
            if file is not None and file == identity(path):
                parser.error(f"{option} would write {path}, where {name} goes")
        for source in _sources(arguments):
            if Path(source).is_file() and is_same(path, source):
                parser.error(f"{option} would overwrite the table {source}")
            folders = [source] if Path(source).is_dir() else []
            with contextlib.suppress(OSError):
                # Class folders may be links.
                folders += [child.path for child in os.scandir(source) if child.is_dir()]
            if any(lies_in(path, folder) for folder in folders):
                parser.error(f"{option} {path} lies among the images of {source}: write elsewhere")


def _sources(arguments):
    """Return the folders or tables that the user's data come from."""
    if arguments.data == "digits":
        return []
    return [path for path in (arguments.data, arguments.test) if path is not None]


def check_images(arguments, files):
    """Refuse outputs that would overwrite one of the images.

    Parameters
    ----------
    arguments : Namespace
    files : iterable of str

    Raises
    ------
    ValueError
        If one would.
    """
    for option in ("json", "report"):
        path = getattr(arguments, option)
        if path is None or not path.is_file():
            continue
        found = identity(path)
        for file in files:
            if identity(file) == found:
                raise ValueError(
                    f"--{option} {path} would overwrite the image {file}. Write elsewhere."
                )
