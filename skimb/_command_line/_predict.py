"""``skimb predict``: labels or numbers of images, one line each."""

import os
import sys

from skimb._command_line._argument_types import path, text
from skimb._command_line._batch_prediction import predictions, with_bar
from skimb._command_line._checks import check_images, reads_onnx, reads_table
from skimb._command_line._image_lists import ImageList, hint_of_missing
from skimb._command_line._models import load_model
from skimb._command_line._options import (
    AS_IN_FIT,
    add_image_column,
    add_model,
    add_size,
)
from skimb._command_line._parser import add_command
from skimb._command_line._spreadsheet import writing_csv
from skimb._command_line._streams import complain, errors_in_one_line, warnings_in_one_line
from skimb._messages import counted
from skimb._tables import read_table

__all__ = ["add_predict", "files_of", "predict_command"]


def add_predict(commands):
    """Add the parser of ``skimb predict``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "predict",
        "predict labels or numbers of images by a model",
        "Predict images by a model of skimb fit: one line for each image, in their order, with the "
        "label and the probability of each class, or with the predicted number. Images that cannot "
        "be read get a line with their error, and the exit status is 1.",
    )
    add_model(command)
    command.add_argument(
        "data",
        type=text,
        nargs="+",
        metavar="FOLDER|TABLE.csv|FILE",
        help="a folder, whose images are taken at any depth, folder by folder, in the order of "
        "their names; a table with a column of image files; or image files",
    )
    command.add_argument(
        "--csv",
        type=path,
        metavar="OUT.csv",
        help="the file to write (default: the standard output)",
    )
    add_image_column(command, AS_IN_FIT)
    add_size(command, "default: as in fit; N must be the model's")


def predict_command(arguments):
    """Run ``skimb predict``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status: 1 where an image could not be predicted.
    """
    with errors_in_one_line("Give fewer images at a time."), warnings_in_one_line():
        model = load_model(arguments.model, is_onnx=reads_onnx(arguments))
        resizes = model.check_size(arguments.size)
        files = files_of(arguments, model)
        # Counting costs a walk through the folders, but opens no file.
        total = sum(1 for _ in files) if sys.stderr.isatty() else None
        if total == 0 or (total is None and not any(True for _ in files)):
            raise ValueError(f"{', '.join(arguments.data)} holds no image. Give images.")
        n_files = n_errors = 0
        with writing_csv(arguments.csv) as write:
            write(_header(model))
            for found in with_bar(
                predictions(model, files, resizes=resizes), total, ", ".join(arguments.data[:3])
            ):
                write(_row(found, model))
                n_files += 1
                n_errors += bool(found.error)
                if arguments.csv is None and getattr(sys.stdout, "failure", None) is not None:
                    # Nobody reads what follows.
                    break
        if remark := getattr(files, "remark", str)():
            complain(remark)
        if n_errors:
            place = arguments.csv or "the standard output"
            complain(
                f"{n_errors} of {counted(n_files, 'image')} could not be predicted; the errors are "
                f"in {place}"
            )
            if n_errors == n_files and reads_table(arguments) and (hint := hint_of_missing(files)):
                complain(hint)
        elif arguments.csv is not None:
            print(f"{counted(n_files, 'prediction')}: {arguments.csv}")
    return 1 if n_errors else 0


def files_of(arguments, model):
    """Return the files to predict, which can be iterated over again.

    Parameters
    ----------
    arguments : Namespace
    model : FittedModel

    Returns
    -------
    ImageList or list of str
    """
    if not reads_table(arguments):
        check_images(arguments, [path for path in arguments.data if os.path.isfile(path)])
        return ImageList(arguments.data)
    table = read_table(arguments.data[0])
    # A row without a name has an error of its own, as an image that cannot be read has.
    files = table.files(model.column("image", arguments.image_column), may_lack=True)
    check_images(arguments, [file for file in files if file])
    return files


def _header(model):
    if model.task == "regression":
        return ["file", "prediction", "error"]
    names = [f"p[{label}]" for label in model.classes] if model.has_probabilities else []
    return ["file", "label", *names, "error"]


def _row(found, model):
    if model.task == "regression":
        return [found.file, found.value, found.error]
    n_classes = len(model.classes) if model.has_probabilities else 0
    proba = [None] * n_classes if found.proba is None else [float(f"{p:.6g}") for p in found.proba]
    return [found.file, found.value, *proba, found.error]
