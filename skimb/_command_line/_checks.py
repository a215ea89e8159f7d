"""Checks of arguments that need no data: what goes together, and which files would be lost."""

import contextlib
import os
from pathlib import Path

from skimb._command_line._deployment import check_deployment_options
from skimb._command_line._splits import check_splits
from skimb._command_line._streams import regular_file
from skimb._files import identity, is_same, lies_in, why_not_writable
from skimb._strategy_names import (
    CONSTANT,
    FURTHER_STRATEGIES,
    REGRESSION_STRATEGIES,
    STRATEGIES,
)

__all__ = ["check_arguments", "check_images", "reads_onnx", "reads_table"]

#: The options of each command that name a file to write.
OUTPUTS = {
    "inspect": ("json", "report"),
    "compare": ("json", "report"),
    "fit": ("out",),
    "predict": ("csv",),
    "evaluate": ("json", "report"),
    "export": ("onnx",),
    "suggest": ("csv", "sheet"),
}

#: The commands that take several folders and files, or one table.
MANY_SOURCES = ("predict", "suggest")

#: Endings of tables, without that of a compression.
TABLES = (".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq")
COMPRESSIONS = (".gz", ".bz2", ".xz")


def check_arguments(parser, arguments):
    """Refuse arguments that cannot go together, before any data are read.

    Parameters
    ----------
    parser : ArgumentParser
        The parser, which ends the process with a usage error.
    arguments : Namespace
    """
    if getattr(arguments, "csv", None) == Path("-"):
        arguments.csv = None
    for path in _outputs(arguments).values():
        if reason := why_not_writable(path):
            parser.error(f"cannot write {path}: {reason}")
    check = {
        "inspect": _check_inspect,
        "compare": _check_compare,
        "fit": _check_fit,
        "predict": _check_predict,
        "evaluate": _check_evaluate,
        "export": _check_model,
        "suggest": _check_suggest,
    }
    check[arguments.command](parser, arguments)
    _check_outputs(parser, arguments)


def reads_table(arguments):
    """Tell whether the data come from a table.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    bool
    """
    if arguments.command in MANY_SOURCES:
        return any(is_table(path) for path in arguments.data)
    return arguments.data != "digits" and Path(arguments.data).is_file()


def is_table(path):
    """Tell whether a path is a file whose ending is that of a table.

    Parameters
    ----------
    path : str

    Returns
    -------
    bool
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in COMPRESSIONS:
        ending = Path(path.stem).suffix.lower()
    return ending in TABLES and path.is_file()


def reads_onnx(arguments):
    """Tell whether the model is an ONNX file.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    bool
    """
    return arguments.onnx or arguments.model.suffix.lower() == ".onnx"


def _option(name):
    return "--from" if name == "source" else f"--{name.replace('_', '-')}"


def _outputs(arguments):
    """Return the files to write by their options."""
    names = OUTPUTS[arguments.command]
    given = {_option(name): getattr(arguments, name) for name in names}
    return {option: path for option, path in given.items() if path is not None}


# ------------------------------------------------------------------------ checks of a command


def _check_compare(parser, arguments):
    _check_training_data(parser, arguments)
    if arguments.test is not None and arguments.folds is not None:
        parser.error("--test and --folds exclude each other: a test folder leaves nothing to fold")
    check_splits(parser, arguments, is_from_table=reads_table(arguments))
    check_deployment_options(parser, arguments)
    _check_folders(parser, arguments)
    if arguments.minutes is not None:
        for name in ("strategies", "folds", "measure", "repeats", "split", "time", "checkpoint"):
            if getattr(arguments, name) is not None:
                parser.error(
                    f"--minutes and --{name} exclude each other: a search chooses its strategies "
                    "and folds itself"
                )
        if arguments.shared_features:
            parser.error("--minutes and --shared-features exclude each other: a search shares them")
    if arguments.strategies is None:
        return
    known = _known_strategies(arguments)
    names = [name.strip() for name in arguments.strategies.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        parser.error(
            f"unknown strategies: {', '.join(unknown) or '(none given)'}; "
            f"known are {', '.join(known)}"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        parser.error(f"--strategies names {', '.join(twice)} twice")
    arguments.strategies = names


def _known_strategies(arguments):
    known = [*STRATEGIES, *FURTHER_STRATEGIES]
    if reads_table(arguments):
        known += [name for name in REGRESSION_STRATEGIES if name not in known]
    return known


def _check_fit(parser, arguments):
    _check_training_data(parser, arguments)
    name, source = arguments.strategy, arguments.source
    if source is None:
        known = [name for name in _known_strategies(arguments) if name != CONSTANT]
        if name == "best":
            parser.error("--strategy best needs --from, the JSON file of a comparison")
        if name == CONSTANT:
            parser.error(f"--strategy {CONSTANT} is a reference without a network to save")
        if name not in known:
            parser.error(f"unknown strategy: {name}; known are best, {', '.join(known)}")
    elif not source.is_file():
        parser.error(f"--from {source} is no file; it must be the JSON file of a comparison")
    check_deployment_options(parser, arguments)
    if arguments.require is not None and (arguments.costs or arguments.cost_matrix):
        parser.error(
            "--require and costs exclude each other: either a recall must be kept, or costs decide"
        )
    _check_folders(parser, arguments)


def _check_folders(parser, arguments):
    """Refuse folders of checkpoints and decoded images that cannot be, or lie among the images."""
    for name, content in (("checkpoint", "checkpoints"), ("cache", "decoded images")):
        folder = getattr(arguments, name)
        if folder is None:
            continue
        if folder.exists() and not folder.is_dir():
            parser.error(f"--{name} {folder} must be a folder, and it is a file")
        # It is made later, and those above it.
        above = next((path for path in folder.absolute().parents if path.exists()), Path("/"))
        place = folder / "x" if folder.exists() else above / folder.name
        if reason := why_not_writable(place):
            parser.error(f"cannot write {content} to {folder}: {reason}")
        for place in _image_folders(arguments):
            if lies_in(folder / "x", place):
                parser.error(f"--{name} {folder} lies among the images of {place}: write elsewhere")


def _check_predict(parser, arguments):
    _check_model(parser, arguments)
    tables = [path for path in arguments.data if is_table(path)]
    if tables and len(arguments.data) > 1:
        parser.error(f"the table {tables[0]} must be given alone")
    if arguments.image_column is not None and not tables:
        parser.error("--image-column is for tables")
    for path in arguments.data:
        # A missing image has a line of its own in the output, and the others are done.
        if not os.path.exists(path) and not Path(path).suffix:
            parser.error(f"{path} is neither a folder, nor a table, nor an image file")


def _check_suggest(parser, arguments):
    _check_predict(parser, arguments)
    if arguments.labelled is not None and not Path(arguments.labelled).exists():
        parser.error(f"--labelled {arguments.labelled} is neither a folder nor a table")


def _check_evaluate(parser, arguments):
    _check_model(parser, arguments)
    if not Path(arguments.data).exists():
        parser.error(f"{arguments.data} is neither a folder nor a table")
    if not reads_table(arguments):
        for name in ("image_column", "target"):
            if getattr(arguments, name) is not None:
                parser.error(f"{_option(name)} is for tables")
    elif arguments.target is not None and arguments.target == arguments.image_column:
        parser.error(f"--target {arguments.target} is given for another column too")


def _check_inspect(parser, arguments):
    if arguments.data == "digits":
        parser.error("inspect takes a folder or a table, not the digits")
    for path in (arguments.data, arguments.test):
        if path is not None and not Path(path).exists():
            parser.error(f"{path} is neither a folder nor a table")
    if arguments.test is not None and Path(arguments.test).is_file() != reads_table(arguments):
        parser.error("--test must be of the form of the other images: two folders, or two tables")
    if reads_table(arguments):
        if arguments.image_column is None or arguments.target is None:
            parser.error("a table needs --image-column and --target, the names of two columns")
        if arguments.target == arguments.image_column:
            parser.error(f"--target {arguments.target} is given for another column too")
        return
    for name in ("image_column", "target"):
        if getattr(arguments, name) is not None:
            parser.error(f"{_option(name)} is for tables")


def _check_model(parser, arguments):
    if not arguments.model.is_file():
        found = "is a folder" if arguments.model.is_dir() else "does not exist"
        parser.error(f"the model {arguments.model} {found}; give the file that skimb fit wrote")


def _check_training_data(parser, arguments):
    """Refuse options that do not apply to the kind of data."""
    is_from_table = reads_table(arguments)
    if arguments.group_pattern is not None and (is_from_table or arguments.data == "digits"):
        parser.error("--group-pattern is for folders; a table has --group, a column")
    if arguments.data == "digits":
        for name in ("test", "counts", "size"):
            if getattr(arguments, name) is not None:
                parser.error(f"--{name} is for folders and tables, not for the digits")
    elif not Path(arguments.data).exists():
        parser.error(f"{arguments.data} is neither a folder, nor a table, nor 'digits'")
    if is_from_table:
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
            parser.error(f"{_option(name)} is for tables")


# ------------------------------------------------------------------------ files to write


def _check_outputs(parser, arguments):
    """Refuse outputs that would overwrite the data, one another, or a redirected stream."""
    outputs = _outputs(arguments)
    if len(outputs) == 2 and is_same(*outputs.values()):
        first, second = outputs
        parser.error(f"{first} and {second} would both write {outputs[first]}")
    streams = {name: regular_file(name) for name in ("stdout", "stderr")}
    for option, path in outputs.items():
        for name, file in streams.items():
            if file is not None and file == identity(path):
                parser.error(f"{option} would write {path}, where {name} goes")
        for what, source in _input_files(arguments):
            if Path(source).is_file() and is_same(path, source):
                parser.error(f"{option} would overwrite the {what} {source}")
        for source in _sources(arguments):
            if any(lies_in(path, folder) for folder in _folders_of(source)):
                parser.error(f"{option} {path} lies among the images of {source}: write elsewhere")


def _input_files(arguments):
    """Return the files that the command reads, each with a word for it."""
    files = [
        ("table" if arguments.command not in MANY_SOURCES or is_table(path) else "image", path)
        for path in _sources(arguments)
    ]
    for word, name in (("model", "model"), ("comparison", "source")):
        if (path := getattr(arguments, name, None)) is not None:
            files.append((word, path))
    return files


def _sources(arguments):
    """Return the folders, tables or images that the user's data come from."""
    data = getattr(arguments, "data", None)
    if data is None or data == "digits":
        return []
    data = data if isinstance(data, list) else [data]
    more = (getattr(arguments, name, None) for name in ("test", "labelled"))
    return [path for path in (*data, *more) if path is not None]


def _image_folders(arguments):
    return [folder for source in _sources(arguments) for folder in _folders_of(source)]


def _folders_of(source):
    """Return a folder and its sub-folders, which may be links; nothing for a file."""
    folders = [source] if Path(source).is_dir() else []
    with contextlib.suppress(OSError):
        folders += [child.path for child in os.scandir(source) if child.is_dir()]
    return folders


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
    for option, path in _outputs(arguments).items():
        if not path.is_file():
            continue
        found = identity(path)
        for file in files:
            if identity(file) == found:
                raise ValueError(
                    f"{option} {path} would overwrite the image {file}. Write elsewhere."
                )
