"""``skimb inspect``: what to know about images before a training."""

import numpy as np

from skimb._class_folders import list_classes, refuse_parts, unusable_classes
from skimb._command_line._argument_types import MOST_SEED, at_least, text
from skimb._command_line._checks import check_images, reads_table
from skimb._command_line._options import FORMS, add_image_column, add_outputs, add_target
from skimb._command_line._outputs import hand_out
from skimb._command_line._parser import add_command
from skimb._command_line._streams import complain, errors_in_one_line, warnings_in_one_line
from skimb._tables import read_table

__all__ = ["add_inspect", "inspect_command"]


def add_inspect(commands):
    """Add the parser of ``skimb inspect``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "inspect",
        "look for copies, leaks, broken files and doubtful labels before you train",
        "Look at labelled images before a training: classes, sizes and formats, broken files, "
        "exact and near copies within and across the training and test set and across classes, "
        "images of one colour, leaks by file names, and what to do about them.",
    )
    command.add_argument("data", type=text, metavar="FOLDER|TABLE.csv", help=FORMS)
    add_image_column(command)
    add_target(command)
    command.add_argument(
        "--test", type=text, metavar="DIR|TABLE.csv", help="test images, in the form of the others"
    )
    command.add_argument(
        "--labels",
        action="store_true",
        help="also train small networks, which tell the labels to look at first",
    )
    command.add_argument(
        "--seed", type=at_least(0, MOST_SEED), default=0, metavar="N", help="default: 0"
    )
    add_outputs(command)


def inspect_command(arguments):
    """Run ``skimb inspect``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    from skimb.study import inspect_images

    with errors_in_one_line("Give fewer images."), warnings_in_one_line():
        files, y = _listed(arguments, arguments.data)
        test_files, y_test = None, None
        if arguments.test is not None:
            test_files, y_test = _listed(arguments, arguments.test)
        check_images(arguments, [*files, *(test_files or [])])
        if arguments.labels and y is None:
            raise ValueError("--labels needs labels, and the target holds numbers. Leave it out.")
        result = inspect_images(
            files,
            y,
            X_test=test_files,
            y_test=None if y is None else y_test,
            labels=arguments.labels,
            random_state=arguments.seed,
            n_jobs=-1,
            verbose=1,
        )
    return hand_out(result, arguments)


def _listed(arguments, source):
    """Return files and labels; None as labels where the target holds a quantity."""
    if reads_table(arguments):
        table = read_table(source)
        files = table.files(arguments.image_column, may_lack=True)
        is_quantity = table.is_quantity(arguments.target, advice="")
        return files, None if is_quantity else table.labels(arguments.target)
    classes, skipped = list_classes(source)
    refuse_parts(source, classes)
    if skipped:
        counts = ", ".join(
            f"{len(found)} {ending or 'without an ending'}" for ending, found in skipped.items()
        )
        complain(f"passed over, as no images of a class: {counts}")
    files = [file for of_one in classes.values() for file in of_one]
    if not files:
        raise ValueError(
            f"{source} must have one sub-folder per class, with images in it. It holds no image in "
            "a sub-folder."
        )
    if unusable := unusable_classes(source, classes):
        complain(f"{unusable} Until then compare and fit refuse the folder")
    return files, np.repeat(list(classes), [len(of_one) for of_one in classes.values()])
