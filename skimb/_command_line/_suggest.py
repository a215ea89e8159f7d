"""``skimb suggest``: which images to label next."""

import argparse

import numpy as np

from skimb._command_line._argument_types import MOST_SEED, at_least, path, text
from skimb._command_line._batch_prediction import predictions, with_bar
from skimb._command_line._checks import check_images, reads_onnx, reads_table
from skimb._command_line._evaluate import labelled_files
from skimb._command_line._image_lists import hint_of_missing
from skimb._command_line._models import load_model
from skimb._command_line._options import (
    AS_IN_FIT,
    add_image_column,
    add_model,
    add_size,
)
from skimb._command_line._outputs import write_somewhere
from skimb._command_line._parser import add_command
from skimb._command_line._predict import files_of
from skimb._command_line._spreadsheet import writing_csv
from skimb._command_line._streams import complain, errors_in_one_line, warnings_in_one_line
from skimb._messages import counted

__all__ = ["add_suggest", "suggest_command"]

#: The last column is empty: the true class goes into it.
HEADER = ("rank", "file", "class", "predicted", "probability", "reason", "error", "label")


def add_suggest(commands):
    """Add the parser of ``skimb suggest``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "suggest",
        "choose which unlabelled images to label next",
        "Choose the images of a pool whose labels would help a model of skimb fit most: each class "
        "asks for as many images around its threshold, and copies are asked about once. One line "
        "for each image, in the order of importance, with the class that asks about it, the "
        "probability of that class and the reason. Images that cannot be read get a line with "
        "their error, and the exit status is 1.",
    )
    add_model(command)
    command.add_argument(
        "data",
        type=text,
        nargs="+",
        metavar="POOL",
        help="the images without labels: a folder, whose images are taken at any depth; a table "
        "with a column of image files; or image files",
    )
    command.add_argument(
        "-n", type=at_least(1), default=40, metavar="N", help="how many images (default: 40)"
    )
    command.add_argument(
        "--labelled",
        type=text,
        metavar="FOLDER",
        help="labelled images, in one sub-folder a class, by which the thresholds are found; best "
        "are those that the model was not trained on (default: the thresholds of the model's own "
        "decisions)",
    )
    command.add_argument(
        "--csv",
        type=path,
        metavar="OUT.csv",
        help="the file to write (default: the standard output)",
    )
    command.add_argument(
        "--sheet",
        type=path,
        metavar="OUT.html",
        help="write a contact sheet of the images, on which a labeller can tick, as HTML",
    )
    command.add_argument(
        "--seed",
        type=at_least(0, MOST_SEED),
        default=0,
        metavar="N",
        help="for images that are equally near to a threshold (default: 0)",
    )
    add_image_column(command, AS_IN_FIT)
    add_size(command, "default: as in fit; N must be the model's")


def suggest_command(arguments):
    """Run ``skimb suggest``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status: 1 where an image could not be read, or a file could not be written.
    """
    with errors_in_one_line("Give fewer images at a time."), warnings_in_one_line():
        model = load_model(arguments.model, is_onnx=reads_onnx(arguments))
        if not model.has_probabilities:
            raise ValueError(
                f"{model.path} tells no probabilities of classes, by which images are chosen. Give "
                "a model of classes, such as one that skimb fit wrote."
            )
        resizes = model.check_size(arguments.size)
        pool_files = files_of(arguments, model)
        files = list(pool_files)
        if not files:
            raise ValueError(f"{', '.join(arguments.data)} holds no image. Give images.")
        known_files, y = _labelled(arguments, model)
        found, status = _suggested(arguments, model, files, known_files, y, resizes)
        if remark := getattr(pool_files, "remark", str)():
            complain(remark)
        with writing_csv(arguments.csv) as write:
            write(HEADER)
            for rank, row in enumerate(found.table.to_dict("records"), 1):
                probability = float(f"{row['probability']:.6g}")
                start = [rank, row["file"], row["class"], row["predicted"], probability]
                write([*start, row["reason"], "", ""])
            for row in found.errors.to_dict("records"):
                write([None, row["file"], None, None, None, None, row["error"], None])
        if arguments.csv is not None:
            print(f"{counted(len(found.table), 'suggestion')}: {arguments.csv}")
        if arguments.sheet is not None:
            place, reason = write_somewhere(found.to_html, arguments.sheet)
            if reason is not None:
                instead = f"It went to {place}" if place else "It went nowhere"
                complain(f"cannot write {arguments.sheet}: {reason}. {instead}")
                status = 1
            elif arguments.csv is not None:
                print(f"contact sheet: {place}")
    return status


def _labelled(arguments, model):
    """Return labelled files and their labels; nothing where none are given."""
    if arguments.labelled is None:
        return [], None
    source = argparse.Namespace(
        command="evaluate", data=arguments.labelled, image_column=None, target=None
    )
    files, y = labelled_files(source, model)
    check_images(arguments, files)
    return files, y


def _suggested(arguments, model, files, known_files, y, resizes):
    """Return the suggestions, and the exit status."""
    from skimb.study import suggestions_of

    pool, status = _scores(model, files, resizes, ", ".join(arguments.data)), 0
    if len(pool.errors) == len(files):
        hint = hint_of_missing(files) if reads_table(arguments) else ""
        raise ValueError(
            f"Of {counted(len(files), 'image')}, none can be read. The first one is {files[0]}: "
            f"{pool.errors[0]}. {hint}"
        )
    labelled = None
    if known_files:
        labelled = _scores(model, known_files, resizes, arguments.labelled)
        if labelled.errors:
            file, error = next((known_files[row], why) for row, why in labelled.errors.items())
            raise ValueError(
                f"{len(labelled.errors)} of {counted(len(known_files), 'labelled image')} cannot "
                f"be read: {file} ({error}). Fix or remove them."
            )
    counts = model.facts.get("class_counts")
    found = suggestions_of(
        pool,
        n=arguments.n,
        labelled=labelled,
        y=y,
        counts=None if counts is None or len(counts) != len(model.classes) else np.array(counts),
        images=np.array(files, dtype=object),
        random_state=arguments.seed,
    )
    if pool.errors:
        place = arguments.csv or "the standard output"
        complain(
            f"{len(pool.errors)} of {counted(len(files), 'image')} could not be read; the errors "
            f"are in {place}"
        )
        status = 1
    if (n_chosen := len(found.table)) < arguments.n:
        complain(
            f"{counted(n_chosen, 'image is', 'images are')} suggested, not {arguments.n}: of "
            f"{counted(found.n_pool, 'image')}, {counted(found.n_known, 'is', 'are')} labelled "
            f"already, {len(pool.errors)} cannot be read, and "
            f"{counted(found.n_copies, 'nearly equals', 'nearly equal')} a chosen one"
        )
    if pool.embedding is None:
        complain(
            f"{model.path} has no embedding, so that its probabilities tell which images differ: "
            "nearly equal images may be suggested together"
        )
    return found, status


def _scores(model, files, resizes, what):
    """Let the model predict and embed files."""
    from skimb.study import PoolScores, embedding_of

    read, rows, errors = [], [], {}

    def embed(images):
        return embedding_of(model.predictor, images)

    found = predictions(model, files, resizes=resizes, embed=embed)
    for row, one in enumerate(with_bar(found, len(files), what)):
        if one.error:
            errors[row] = one.error
        else:
            read.append(one)
            rows.append(row)
    classes = np.asarray(model.classes)
    has_embedding = bool(read) and read[0].features is not None
    return PoolScores(
        classes,
        np.array(rows, dtype=int),
        np.array([one.proba for one in read]),
        np.array([one.value for one in read]),
        np.array([one.features for one in read]) if has_embedding else None,
        [one.key for one in read],
        list(files),
        errors,
    )
