"""The command line: ``skimb compare digits --report report.html``."""

import argparse
import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import skimb
from skimb._files import identity, is_same, lies_in, why_not_writable
from skimb._tables import MOST_LABELS, read_table

__all__ = ["main"]

#: Side of images at most, in pixels: that of some 90 million pixels.
MOST_SIDE = 8192

#: Epochs, folds and repeats at most: more is a slip of the finger.
MOST_EPOCHS, MOST_REPEATS = 1_000_000, 10_000

#: Seeds end here: numpy takes 32 bits.
MOST_SEED = 2**32 - 1

#: Exit status of a process whose reader has gone, as of one that SIGPIPE ends.
BROKEN_PIPE = 128 + 13


def main(argv=None):
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
    out, err = _Stream(sys.stdout), _Stream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = _run(argv)
        finally:
            out.flush()
        if out.failure is None or status not in (0, 1):
            return status
        if isinstance(out.failure, BrokenPipeError):
            return BROKEN_PIPE
        _complain(f"cannot write to the standard output: {out.failure}")
        return 1


def _run(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    for path in (arguments.json, arguments.report):
        if path is not None and (reason := why_not_writable(path)):
            parser.error(f"cannot write {path}: {reason}")
    _check_data(parser, arguments)
    if arguments.test is not None and arguments.folds is not None:
        parser.error("--test and --folds exclude each other: a test folder leaves nothing to fold")
    _check_outputs(parser, arguments)
    try:
        with _termination_unwinds():
            return _compare(parser, arguments)
    except KeyboardInterrupt as exc:
        print("skimb: interrupted; no file is half-written", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(exc, _Terminated) else signal.SIGINT)


class _Stream:
    """A standard stream that never raises: work is not lost because nobody can read of it.

    Characters that the stream's encoding lacks are replaced; once a write has failed (a pipe whose
    reader has gone, a full disk), nothing more is written.

    Parameters
    ----------
    stream : file object or None
        None: the process was started with this stream closed.

    Attributes
    ----------
    failure : Exception or None
        Why a write failed, if one did.
    """

    #: What stands for a character; a question mark for others.
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


def _complain(message):
    """Write one line on stderr, whatever the message holds."""
    line = " ".join(str(message).split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"skimb: {line}", file=sys.stderr, flush=True)


def _check_data(parser, arguments):
    """Refuse options that the kind of data has no use for."""
    is_table = _is_table(arguments)
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
            parser.error("--counts is for folders: take the rows that you want into the table")
        if arguments.test is not None and not Path(arguments.test).is_file():
            parser.error(f"--test must be a table with the same columns; {arguments.test} is none")
        return
    for name in ("image_column", "target", "task", "group"):
        if getattr(arguments, name) is not None:
            parser.error(f"--{name.replace('_', '-')} is for tables")


def _is_table(arguments):
    return arguments.data != "digits" and Path(arguments.data).is_file()


def _check_outputs(parser, arguments):
    """Refuse outputs that would overwrite the data, one another, or what else is written."""
    outputs = {
        f"--{name}": getattr(arguments, name)
        for name in ("json", "report")
        if getattr(arguments, name) is not None
    }
    if len(outputs) == 2 and is_same(*outputs.values()):
        parser.error(f"--json and --report would both write {arguments.json}")
    streams = {name: _regular_file(name) for name in ("stdout", "stderr")}
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


def _regular_file(name):
    """Return the identity of the file that a standard stream is sent to; None: it is none."""
    try:
        number = getattr(sys, name).fileno()
        return identity(number) if stat.S_ISREG(os.fstat(number).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None


def _check_images(arguments, files):
    """Refuse outputs that would overwrite one of the images."""
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
    # The last of several would win, and the others be lost in silence.
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
        help="column of a table with what is to be predicted; labels are text as it is written",
    )
    compare.add_argument(
        "--group",
        type=_text,
        metavar="COLUMN",
        help="column of a table whose equal values stay on one side of every split: a patient, a "
        "house (default: only equal images do)",
    )
    compare.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="what a table asks for (default: regression where every cell of the target is a "
        f"number, and some are fractions, or more than {MOST_LABELS} differ)",
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
        "where left and right mean the same; none; auto: decide between the first two on training "
        "images that are held out, for the price of two more networks",
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


def _compare(parser, arguments):
    # torch takes seconds to import: what is wrong with the arguments alone need not wait for it.
    import numpy as np
    import torch

    from skimb._engine import resolve_device
    from skimb.study import REGRESSION_STRATEGIES, STRATEGIES, compare
    from skimb.study._report import check_drawable

    is_table = _is_table(arguments)
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
        if twice := sorted({name for name in names if names.count(name) > 1}):
            parser.error(f"--strategies names {', '.join(twice)} twice")
    is_digits = arguments.data == "digits"
    on_cuda = arguments.device.startswith("cuda") or (
        arguments.device == "auto" and torch.cuda.is_available()
    )
    try:
        # What is wrong with it is known before images are read.
        resolve_device(arguments.device)
        groups, is_regression = None, False
        if is_table:
            X, y, X_test, y_test, groups, is_regression = _tables(arguments)
        else:
            X, y, X_test, y_test = _digits() if is_digits else _folders(arguments)
        if arguments.report is not None:
            check_drawable([] if is_regression else np.unique(y).tolist())
        estimator = _estimator(arguments, is_regression)
        choice = None
        if arguments.augmentation == "auto":
            choice = _choose_augmentation(estimator, X, y, groups, arguments.seed)
        result = compare(
            X,
            y,
            strategies=names,
            estimator=estimator,
            cv=None if X_test is not None else arguments.folds or 5,
            groups=groups,
            n_repeats=arguments.repeats or 1,
            X_test=X_test,
            y_test=y_test,
            random_state=arguments.seed,
            n_jobs=arguments.jobs or (-1 if is_digits and not on_cuda else 1),
            verbose=1,
        )
        if choice is not None:
            result.protocol["recipe"]["augmentation_choice"] = choice
    except (ValueError, OSError) as exc:
        _complain(exc)
        return 1
    except (MemoryError, torch.OutOfMemoryError) as exc:
        reason = f": {str(exc).rstrip('.')}" if str(exc) else ""
        _complain(f"there is not enough memory{reason}. Give a smaller --size, or fewer images.")
        return 1
    return _hand_out(result, arguments)


def _hand_out(result, arguments):
    """Write the files, then print the table: a terminal may fail, and the files be kept."""
    wanted = {
        "figures": (result.to_json, arguments.json),
        "report": (result.to_html, arguments.report),
    }
    written, status = [], 0
    for what, (write, path) in wanted.items():
        if path is None:
            continue
        place, reason = _write(write, path)
        if place is not None:
            written.append((what, place))
        if reason is not None:
            instead = f"The {what} went to {place}" if place else f"The {what} went nowhere"
            _complain(f"cannot write {path}: {reason}. {instead}")
            status = 1
    if status and not any(what == "figures" for what, _ in written):
        # A report that cannot be drawn shall not cost the figures.
        place, _ = _write(result.to_json, None)
        if place is not None:
            written.append(("figures", place))
    print(result)
    for what, place in written:
        print(f"{what}: {place}")
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    is_closed = getattr(sys.stdout, "stream", sys.stdout) is None
    if not written and (is_closed or not isinstance(failure, BrokenPipeError | None)):
        print(result, file=sys.stderr)
    return status


def _write(write, path):
    """Write a file, or else one in another place.

    Returns where it is (None: nowhere), and why not where it was wanted (None: it is there).
    """
    reason = None
    if path is not None:
        try:
            write(path)
            return path, None
        # Hours of work hang on it, whatever it is.
        except Exception as exc:
            reason = str(exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
    name = "figures.json" if path is None else path.name
    for folder in (tempfile.gettempdir, Path.home, Path.cwd):
        place = None
        try:
            place = Path(tempfile.mkdtemp(prefix="skimb-", dir=folder()))
            write(place / name)
            return place / name, reason
        except Exception:
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
    return None, reason


def _estimator(arguments, is_regression):
    """Return the network: that of the constructor, but for what was asked for."""
    from skimb.neural_network import CNNClassifier, CNNRegressor

    recipe: dict[str, Any] = {"device": arguments.device}
    if arguments.epochs is not None:
        recipe["max_epochs"] = arguments.epochs
    if arguments.augmentation not in (None, "auto"):
        recipe["augmentation"] = {"none": None}.get(arguments.augmentation, arguments.augmentation)
    return (CNNRegressor if is_regression else CNNClassifier)(**recipe)


def _choose_augmentation(estimator, X, y, groups, seed):
    """Set the augmentation that training images speak for, and say so in one line."""
    from skimb.study._augmentation import choose_augmentation

    name, choice = choose_augmentation(estimator, X, y, groups, seed=seed)
    losses = ", ".join(f"{key} {loss:.4g}" for key, loss in choice["losses"].items())
    print(
        f"augmentation: {choice['measure']} of {choice['n_held_out']} held-out training images: "
        f"{losses}; {choice['code']}",
        file=sys.stderr,
        flush=True,
    )
    estimator.set_params(augmentation=name)
    return choice


def _digits():
    import numpy as np

    from skimb.datasets import load_imbalanced_digits

    digits = load_imbalanced_digits()
    return digits.data, np.array(digits.target_names)[digits.target], None, None


def _folders(arguments):
    """Read the folders of a comparison, whole: a pass over broken files names them all."""
    from skimb.datasets import load_image_folder

    image_shape = None if arguments.size is None else (3, arguments.size, arguments.size)
    try:
        with warnings.catch_warnings():
            # Said in a line of its own.
            warnings.simplefilter("ignore", UserWarning)
            train = load_image_folder(arguments.data)
            test = None if arguments.test is None else load_image_folder(arguments.test)
    except ValueError as exc:
        raise ValueError(_all_complaints(arguments, exc, image_shape)) from exc
    for folder in (train, test):
        if folder is not None and folder.remark:
            print(f"skimb: {folder.remark}", file=sys.stderr)
    paths, y = _subset(train, arguments.counts or {}, arguments.seed)
    every = paths if test is None else [*paths, *test.paths]
    _check_images(arguments, every)
    images = _read(every, image_shape)
    if test is None:
        return images, y, None, None
    return images[: len(paths)], y, images[len(paths) :], test.target


def _tables(arguments) -> Any:
    """Read the tables of a comparison, and the images that they name."""
    image_shape = None if arguments.size is None else (3, arguments.size, arguments.size)
    table = read_table(arguments.data)
    if arguments.task is None:
        is_regression = table.is_quantity(arguments.target)
    else:
        is_regression = arguments.task == "regression"
    files, y, groups = _columns(table, arguments, is_regression)
    if arguments.test is None:
        _check_images(arguments, files)
        return _read(files, image_shape), y, None, None, groups, is_regression
    test_files, y_test, test_groups = _columns(read_table(arguments.test), arguments, is_regression)
    _check_types(arguments, arguments.target, y, y_test)
    if groups is not None and test_groups is not None:
        _check_types(arguments, arguments.group, groups, test_groups)
        if shared := sorted(set(groups.tolist()) & set(test_groups.tolist())):
            raise ValueError(
                f"{len(shared)} values of {arguments.group!r}, {shared[0]!r} first, stand in "
                f"{arguments.data} and in {arguments.test}: a network would be scored on groups "
                "that it was trained on. Take their rows out of one of the two."
            )
    _check_images(arguments, [*files, *test_files])
    images = _read([*files, *test_files], image_shape)
    return images[: len(files)], y, images[len(files) :], y_test, groups, is_regression


def _columns(table, arguments, is_regression):
    """Return the image files and the targets of a table, and its groups if they are asked for."""
    y = table.numbers(arguments.target) if is_regression else table.labels(arguments.target)
    groups = None if arguments.group is None else table.labels(arguments.group)
    return table.files(arguments.image_column), y, groups


def _check_types(arguments, column, values, test_values):
    """Refuse tables of which one holds text and the other numbers: nothing would be equal."""
    kinds = [
        {"b": "booleans", "U": "text"}.get(part.dtype.kind, "numbers")
        for part in (values, test_values)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"The column {column!r} holds {kinds[0]} in {arguments.data} and {kinds[1]} in "
            f"{arguments.test}. Give both of one type, for instance two CSV files."
        )


def _read(files, image_shape):
    """Read images, unless they cannot be in memory."""
    from skimb.datasets import read_images

    if image_shape is not None and (memory := _memory()) is not None:
        n_bytes = len(files) * image_shape[0] * image_shape[1] * image_shape[2]
        if n_bytes > memory:
            raise ValueError(
                f"{len(files)} images of {image_shape[2]} x {image_shape[1]} take "
                f"{n_bytes / 2**30:.1f} GiB, and this machine has {memory / 2**30:.1f}. Give a "
                "smaller --size, or fewer images."
            )
    return read_images(files, image_shape=image_shape, n_jobs=-1)


def _memory():
    """Return the bytes of memory of this machine, if it tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _all_complaints(arguments, complaint, image_shape):
    """Return what is wrong with the folders, and with the files beside: one line for all of it."""
    from skimb._class_folders import list_classes
    from skimb.datasets import read_images

    try:
        folders = [list_classes(path)[0] for path in (arguments.data, arguments.test) if path]
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
