"""The command line: ``skimb compare digits --report report.html``."""

import argparse
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import skimb

__all__ = ["main"]

#: Different whole numbers up to which a column of a table is taken for labels.
MOST_LABELS = 20


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None: those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 for bad data; 130 or 143 when interrupted or terminated. A usage error
        exits with 2.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    for path in (arguments.json, arguments.report):
        if path is not None and (reason := _why_not_writable(path)):
            parser.error(f"cannot write {path}: {reason}")
    _check_data(parser, arguments)
    if arguments.test is not None and arguments.folds is not None:
        parser.error("--test and --folds exclude each other: a test folder leaves nothing to fold")
    if arguments.json is not None and arguments.json == arguments.report:
        parser.error(f"--json and --report would both write {arguments.json}")
    try:
        with _termination_unwinds():
            return _compare(parser, arguments)
    except KeyboardInterrupt as exc:
        print("skimb: interrupted; no file is half-written", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(exc, _Terminated) else signal.SIGINT)


def _check_data(parser, arguments):
    """Refuse options that the kind of data has no use for."""
    is_table = Path(arguments.data).is_file()
    if arguments.data == "digits":
        for name in ("test", "counts", "size"):
            if getattr(arguments, name) is not None:
                parser.error(f"--{name} is for folders and tables, not for the digits")
    elif not Path(arguments.data).exists():
        parser.error(f"{arguments.data} is neither a folder, nor a table, nor 'digits'")
    if is_table:
        if arguments.image_column is None or arguments.target is None:
            parser.error("a table needs --image-column and --target, the names of two columns")
        if arguments.counts is not None:
            parser.error("--counts is for folders: take the rows that you want into the table")
        if arguments.test is not None and not Path(arguments.test).is_file():
            parser.error(f"--test must be a table with the same columns; {arguments.test} is none")
        return
    for name in ("image_column", "target", "task", "group"):
        if getattr(arguments, name) is not None:
            parser.error(f"--{name.replace('_', '-')} is for tables")


class _Terminated(KeyboardInterrupt):
    """Raised by a request to terminate."""


@contextmanager
def _termination_unwinds():
    """Let a request to terminate unwind as Ctrl-C does, so that temporary files are removed.

    Signals are the main thread's; elsewhere everything stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number, frame):
        raise _Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser():
    parser = argparse.ArgumentParser(prog="skimb", description="Imbalanced images in scikit-learn.")
    parser.add_argument("--version", action="version", version=f"skimb {skimb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="find out which remedy for imbalance works on your data",
        description="Compare remedies for imbalance: same folds, same seeds, same number of "
        "gradient steps, each against the plain network.",
    )
    compare.add_argument(
        "data",
        metavar="FOLDER|TABLE.csv|digits",
        help="a folder with one sub-folder a class; a table with a column of image files and one "
        "of labels or numbers; or digits: scikit-learn's digits, '8' against the rest",
    )
    compare.add_argument(
        "--image-column",
        metavar="C",
        help="column of a table with the image files, relative to the table",
    )
    compare.add_argument(
        "--target", metavar="COLUMN", help="column of a table with what is to be predicted"
    )
    compare.add_argument(
        "--group",
        metavar="COLUMN",
        help="column of a table whose equal values stay on one side of every split: a patient, a "
        "house (default: only equal images do)",
    )
    compare.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="what a table asks for (default: regression where the target holds fractions, or "
        f"more than {MOST_LABELS} different numbers)",
    )
    compare.add_argument(
        "--test",
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
        type=_at_least(1),
        metavar="N",
        help="resize images to N x N in colour (default: all must have one size)",
    )
    compare.add_argument(
        "--augmentation",
        choices=["flip_crop", "none"],
        metavar="NAME",
        help="flip_crop (default on a folder): mirror and shift training images at random; none "
        "(default on the digits): for images whose left and right differ in meaning",
    )
    compare.add_argument(
        "--strategies", metavar="A,B,...", help="names, joined by commas (default: all)"
    )
    compare.add_argument("--folds", type=_at_least(2), metavar="N", help="default: 5")
    compare.add_argument(
        "--repeats",
        type=_at_least(1),
        metavar="N",
        help="default: 1 on a folder, 3 on the digits",
    )
    compare.add_argument(
        "--epochs",
        type=_at_least(1),
        metavar="N",
        help="default: 15 on a folder, 20 on the digits",
    )
    compare.add_argument(
        "--device", default="auto", metavar="D", help="auto (default), cpu, cuda, ..."
    )
    compare.add_argument("--seed", type=_at_least(0), default=0, metavar="N", help="default: 0")
    compare.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes (default: one a core on the digits, else one, which uses all cores)",
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    compare.add_argument("--report", type=Path, metavar="FILE", help="write a report as HTML")
    return parser


def _counts(text):
    counts = {}
    for pair in text.split(","):
        label, _, number = pair.rpartition("=")
        if not label or not number.isdigit() or int(number) < 1:
            raise argparse.ArgumentTypeError(f"must be like cat=1000,dog=11000, got {text}")
        counts[label.strip()] = int(number)
    return counts


def _at_least(least):
    def integer(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return int(text)

    return integer


def _why_not_writable(path):
    folder = path.absolute().parent
    if path.is_dir():
        return "it is a folder"
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    return None if os.access(folder, os.W_OK) else f"the folder {folder} is not writable"


def _compare(parser, arguments):
    # torch takes seconds to import: what is wrong with the arguments alone need not wait for it.
    import torch

    from skimb.study import REGRESSION_STRATEGIES, STRATEGIES, compare

    is_table = Path(arguments.data).is_file()
    known = list(STRATEGIES)
    if is_table:
        known += [name for name in REGRESSION_STRATEGIES if name not in STRATEGIES]
    names = None
    if arguments.strategies is not None:
        names = [name.strip() for name in arguments.strategies.split(",") if name.strip()]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            parser.error(
                f"unknown strategies: {', '.join(unknown) or '(none given)'}; "
                f"known are {', '.join(known)}"
            )
    is_digits = arguments.data == "digits"
    on_cuda = arguments.device.startswith("cuda") or (
        arguments.device == "auto" and torch.cuda.is_available()
    )
    try:
        groups = None
        if is_table:
            X, y, X_test, y_test, groups = _tables(arguments)
        else:
            X, y, X_test, y_test = _digits() if is_digits else _folders(arguments)
        result = compare(
            X,
            y,
            strategies=names,
            estimator=_estimator(arguments, is_table and _is_regression(arguments, y)),
            cv=None if X_test is not None else arguments.folds or 5,
            groups=groups,
            n_repeats=arguments.repeats or (3 if is_digits else 1),
            X_test=X_test,
            y_test=y_test,
            random_state=arguments.seed,
            n_jobs=arguments.jobs or (-1 if is_digits and not on_cuda else 1),
            verbose=1,
        )
    except ValueError as exc:
        print(f"skimb: {' '.join(str(exc).split())}", file=sys.stderr)
        return 1
    print(result)
    status = 0
    for what, write, path in (
        ("figures", result.to_json, arguments.json),
        ("report", result.to_html, arguments.report),
    ):
        if path is None:
            continue
        try:
            write(path)
            print(f"{what}: {path}")
        except OSError as exc:
            print(f"skimb: cannot write {path}: {exc}", file=sys.stderr)
            status = 1
    return status


def _estimator(arguments, is_regression):
    """Return the network and its recipe: one for small drawings, one for photographs."""
    from skimb.neural_network import CNNClassifier, CNNRegressor

    if arguments.data == "digits":
        recipe = {"max_epochs": 20, "augmentation": None}
    else:
        recipe = {"max_epochs": 15, "augmentation": "flip_crop", "lr": 3e-3}
    if arguments.epochs is not None:
        recipe["max_epochs"] = arguments.epochs
    if arguments.augmentation is not None:
        recipe["augmentation"] = {"none": None}.get(arguments.augmentation, arguments.augmentation)
    estimator = CNNRegressor if is_regression else CNNClassifier
    return estimator(**recipe, device=arguments.device)


def _is_regression(arguments, y):
    """Tell whether the target of a table is a quantity: asked for, or by its values."""
    import numpy as np

    if arguments.task is not None:
        return arguments.task == "regression"
    if y.dtype.kind not in "iuf":
        return False
    return bool(np.any(y % 1 != 0)) or len(np.unique(y)) > MOST_LABELS


def _digits():
    import numpy as np

    from skimb.datasets import load_imbalanced_digits

    digits = load_imbalanced_digits()
    return digits.data, np.array(digits.target_names)[digits.target], None, None


def _folders(arguments):
    """Read the folders of a comparison, whole: a pass over broken files names them all."""
    from skimb.datasets import load_image_folder, read_images

    image_shape = None if arguments.size is None else (3, arguments.size, arguments.size)
    try:
        train = load_image_folder(arguments.data)
        test = None if arguments.test is None else load_image_folder(arguments.test)
    except ValueError as exc:
        raise ValueError(_all_complaints(arguments, exc, image_shape)) from exc
    paths, y = _subset(train, arguments.counts or {}, arguments.seed)
    every = paths if test is None else [*paths, *test.paths]
    images = read_images(every, image_shape=image_shape, n_jobs=-1)
    if test is None:
        return images, y, None, None
    return images[: len(paths)], y, images[len(paths) :], test.target


def _tables(arguments):
    """Read the tables of a comparison, and the images that they name."""
    import numpy as np

    from skimb.datasets import read_images

    image_shape = None if arguments.size is None else (3, arguments.size, arguments.size)
    paths, y, groups = _table(arguments.data, arguments)
    if arguments.test is None:
        return read_images(paths, image_shape=image_shape, n_jobs=-1), y, None, None, groups
    test_paths, y_test, test_groups = _table(arguments.test, arguments)
    if test_groups is not None and len(shared := np.intersect1d(groups, test_groups)):
        raise ValueError(
            f"{len(shared)} values of {arguments.group!r}, {shared.tolist()[0]!r} first, stand in "
            f"{arguments.data} and in {arguments.test}: a network would be scored on groups that "
            "it was trained on. Take their rows out of one of the two."
        )
    images = read_images([*paths, *test_paths], image_shape=image_shape, n_jobs=-1)
    return images[: len(paths)], y, images[len(paths) :], y_test, groups


def _table(path, arguments) -> Any:
    """Return the image files and the targets of a table, and its groups if they are asked for."""
    import numpy as np
    import pandas as pd

    try:
        # Groups as they are written: 012 is not 12.
        table = pd.read_csv(path, dtype={arguments.group: str} if arguments.group else None)
    except (OSError, ValueError) as exc:
        raise ValueError(f"{path} cannot be read as a table: {exc}") from exc
    wanted = (arguments.image_column, arguments.target, arguments.group)
    for column in [column for column in wanted if column is not None]:
        if column not in table:
            raise ValueError(f"{path} has no column {column!r}. It has {list(table)}.")
        if (n_missing := int(table[column].isna().sum())) > 0:
            raise ValueError(
                f"{n_missing} of {len(table)} rows of {path} have no value in {column!r}. Fill "
                "them, or take them out."
            )
    target = table[arguments.target]
    if arguments.task == "regression" and not pd.api.types.is_numeric_dtype(target):
        raise ValueError(
            f"The column {arguments.target!r} of {path} holds {target.iloc[0]!r}, and regression "
            "wants numbers."
        )
    if pd.api.types.is_numeric_dtype(target) and not np.isfinite(target).all():
        raise ValueError(f"The column {arguments.target!r} of {path} holds infinite values.")
    # Arrow-backed strings are objects to numpy.
    y = target.to_numpy() if pd.api.types.is_numeric_dtype(target) else target.to_numpy(str)
    groups = None if arguments.group is None else table[arguments.group].to_numpy(str)
    folder = Path(path).parent
    return [str(folder / file) for file in table[arguments.image_column].astype(str)], y, groups


def _all_complaints(arguments, complaint, image_shape):
    """Return what is wrong with the folders, and with the files beside: one line for all of it."""
    from skimb.datasets import read_images
    from skimb.datasets._folders import classes_of

    try:
        folders = [classes_of(path) for path in (arguments.data, arguments.test) if path]
        files = [file for classes in folders for of_one in classes.values() for file in of_one]
        if files:
            read_images(files, image_shape=image_shape, n_jobs=-1)
    except ValueError as exc:
        if str(exc) != str(complaint):
            return f"{complaint} {exc}"
    return str(complaint)


def _subset(folder, counts, seed):
    """Take a seeded random subset of so many images of a class; all where there are no more."""
    import numpy as np

    unknown = [label for label in counts if label not in folder.target_names]
    if unknown:
        raise ValueError(
            f"--counts names {unknown}, but the classes are {folder.target_names}. Use these."
        )
    rng, kept = np.random.RandomState(seed), []
    for label in folder.target_names:
        rows = np.flatnonzero(folder.target == label)
        kept.append(np.sort(rng.permutation(rows)[: counts.get(label, len(rows))]))
    rows = np.concatenate(kept)
    return folder.paths[rows], folder.target[rows]


if __name__ == "__main__":
    sys.exit(main())
