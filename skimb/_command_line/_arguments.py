"""The parser of the command line: each option is written once, for all commands that have it."""

import argparse
from textwrap import dedent
from typing import Any

import skimb
from skimb._command_line._argument_types import (
    MOST_REPEATS,
    MOST_SEED,
    MOST_SIDE,
    Once,
    at_least,
    counts,
    jobs,
    path,
    text,
)
from skimb._command_line._streams import printable
from skimb._quantities import MOST_LABELS
from skimb._strategy_names import (
    CONSTANT,
    FURTHER_STRATEGIES,
    REGRESSION_STRATEGIES,
    STRATEGIES,
)

__all__ = ["build_parser"]

#: The forms of labelled data, in one line.
FORMS = (
    "a folder with one sub-folder a class, or a table (CSV, TSV, Parquet) with a column of image "
    "files and one of labels or numbers"
)

#: The default of the columns of a table.
AS_IN_FIT = "default: as in fit; must be given where the model was not trained on a table"


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, which names the help of the command."""

    #: The parsers of the commands.
    commands: Any = None

    def error(self, message):
        """End the process with a usage error.

        Parameters
        ----------
        message : str
        """
        line = printable(f"{message} (see {self.prog} --help)")
        self.exit(2, f"skimb: error: {line}\n")

    def parser_of(self, command):
        """Return the parser of a command.

        Parameters
        ----------
        command : str

        Returns
        -------
        Parser
        """
        return self.commands.choices[command]


def build_parser():
    """Return the parser of the command line.

    Returns
    -------
    Parser
    """
    parser = Parser(
        prog="skimb",
        description="Imbalanced images: find out which method works, and put it to work.",
    )
    parser.add_argument("--version", action="version", version=f"skimb {skimb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.commands = commands
    for add in (_compare, _fit, _predict, _evaluate, _export):
        add(commands)
    return parser


def _command(commands, name, summary, description, epilog=None):
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
    )
    # Of several values the last one would be used, and the others would be lost in silence.
    command.register("action", None, Once)
    return command


def _listed(*, has_constant):
    """Return the strategies, one a line with its description."""
    every = (STRATEGIES, FURTHER_STRATEGIES, REGRESSION_STRATEGIES)
    width = max(len(name) for strategies in every for name in strategies)
    parts = [
        "\n".join(
            f"  {name:<{width}}  {line}"
            for name, line in strategies.items()
            if has_constant or name != CONSTANT
        )
        for strategies in every
    ]
    return (
        f"strategies for labels:\n{parts[0]}\n\nfurther ones, which run only if they are named:\n"
        f"{parts[1]}\n\nstrategies for numbers:\n{parts[2]}"
    )


def _compare(commands):
    command = _command(
        commands,
        "compare",
        "find out which strategy against imbalance works on your data",
        "Compare strategies against imbalance: same folds, same seeds, same number of gradient\n"
        "steps, each compared with the baseline.",
        _listed(has_constant=True),
    )
    _add_training_data(command)
    command.add_argument(
        "--test",
        type=text,
        metavar="DIR|TABLE.csv",
        help="test images, in the form of the others; without them, cross-validation",
    )
    _add_counts(command)
    _add_size(command, "default: all must have one size")
    _add_augmentation(command)
    command.add_argument(
        "--strategies",
        metavar="A,B,...",
        help="names of the list below, joined by commas (default: all)",
    )
    command.add_argument("--folds", type=at_least(2), metavar="N", help="default: 5")
    command.add_argument(
        "--repeats", type=at_least(1, MOST_REPEATS), metavar="N", help="default: 1"
    )
    _add_training(command)
    command.add_argument(
        "--jobs",
        type=jobs,
        metavar="N",
        help="processes (default: one a core on the digits, else one, which uses all cores)",
    )
    _add_outputs(command)


def _fit(commands):
    command = _command(
        commands,
        "fit",
        "train one strategy on all images, and save the model",
        dedent(
            """\
            Train one strategy of compare on all images, and save the model. Figures for each class
            are those of --test; without it, those of --from; without that, those of one more
            training, with a fifth of the images held out."""
        ),
        _listed(has_constant=False),
    )
    _add_training_data(command)
    command.add_argument(
        "--strategy",
        type=text,
        required=True,
        metavar="NAME|best",
        help="a strategy of the list below; or best, the winner of the comparison of --from",
    )
    command.add_argument(
        "--out", type=path, required=True, metavar="MODEL", help="the file of the model"
    )
    command.add_argument(
        "--from",
        dest="source",
        type=path,
        metavar="RESULT.json",
        help="the JSON file of a comparison of the same classes: its recipe and image size are "
        "used, but for what is given here",
    )
    command.add_argument(
        "--test",
        type=text,
        metavar="DIR|TABLE.csv",
        help="test images, in the form of the others, for the figures",
    )
    command.add_argument(
        "--checkpoint",
        type=path,
        metavar="DIR",
        help="keep the training so far in this folder: after an interruption, the same command "
        "goes on from there",
    )
    _add_counts(command)
    _add_size(command, "default: as in --from; else all must have one size")
    _add_augmentation(command)
    _add_training(command)


def _predict(commands):
    command = _command(
        commands,
        "predict",
        "predict labels or numbers of images by a model",
        "Predict images by a model of skimb fit: one line for each image, in their order, with the "
        "label and the probability of each class, or with the predicted number. Images that cannot "
        "be read get a line with their error, and the exit status is 1.",
    )
    _add_model(command)
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
    _add_image_column(command, AS_IN_FIT)
    _add_size(command, "default: as in fit; N must be the model's")


def _evaluate(commands):
    command = _command(
        commands,
        "evaluate",
        "report how good a model is on labelled images",
        "Report how good a model is on images whose labels or numbers are known: figures for each "
        "class, the confusion matrix, and the most confident mistakes.",
    )
    _add_model(command)
    command.add_argument("data", type=text, metavar="FOLDER|TABLE.csv", help=FORMS)
    _add_image_column(command, AS_IN_FIT)
    _add_target(command, AS_IN_FIT)
    _add_size(command, "default: as in fit; N must be the model's")
    _add_outputs(command)


def _export(commands):
    command = _command(
        commands,
        "export",
        "write a model in the ONNX format",
        "Write a model in the ONNX format, which is served without skimb and without Python: "
        "preprocessing and labels are inside.",
    )
    _add_model(command, reads_onnx=False)
    command.add_argument(
        "--onnx", type=path, required=True, metavar="FILE", help="the file to write"
    )


# ----------------------------------------------------------------- options of several commands


def _add_model(command, *, reads_onnx=True):
    command.add_argument("model", type=path, metavar="MODEL", help="the file of a model")
    if reads_onnx:
        command.add_argument(
            "--onnx",
            action="store_true",
            help="MODEL is an ONNX file of skimb export (default: where its name ends in .onnx)",
        )


def _add_training_data(command):
    command.add_argument(
        "data",
        type=text,
        metavar="FOLDER|TABLE.csv|digits",
        help=f"{FORMS}; or digits: scikit-learn's digits, '8' against the rest",
    )
    _add_image_column(command)
    _add_target(command)
    command.add_argument(
        "--group",
        type=text,
        metavar="COLUMN",
        help="column of a table whose equal values stay on one side of every split: a patient, a "
        "site (default: only equal images do)",
    )
    command.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="the task of a table (default: regression where every cell of the target is a "
        f"number, and some are fractions or more than {MOST_LABELS} differ)",
    )


def _add_image_column(command, default=None):
    command.add_argument(
        "--image-column",
        type=text,
        metavar="C",
        help="column of a table with the image files, relative to the table"
        + (f" ({default})" if default else ""),
    )


def _add_target(command, default=None):
    command.add_argument(
        "--target",
        type=text,
        metavar="COLUMN",
        help="column of a table with the target; labels are text as it is written"
        + (f" ({default})" if default else ""),
    )


def _add_counts(command):
    command.add_argument(
        "--counts",
        type=counts,
        metavar="A=N,B=N",
        help="train on a random subset of so many images of a class (default: all)",
    )


def _add_size(command, default):
    command.add_argument(
        "--size",
        type=at_least(1, MOST_SIDE),
        metavar="N",
        help=f"resize images to N x N in colour ({default})",
    )


def _add_augmentation(command):
    command.add_argument(
        "--augmentation",
        choices=["auto", "shift_crop", "flip_crop", "none"],
        metavar="NAME",
        help="shift_crop (default): shift training images a little; flip_crop: mirror them too, "
        "where left and right mean the same; none; auto: choose one of the first two on training "
        "images that are held out, which trains two more networks",
    )


def _add_training(command):
    command.add_argument(
        "--epochs",
        type=at_least(1),
        metavar="N",
        help="default: 20, or as many as make 1000 gradient steps",
    )
    command.add_argument(
        "--device", type=text, default="auto", metavar="D", help="auto (default), cpu, cuda, ..."
    )
    command.add_argument(
        "--seed", type=at_least(0, MOST_SEED), default=0, metavar="N", help="default: 0"
    )


def _add_outputs(command):
    command.add_argument("--json", type=path, metavar="FILE", help="write all figures as JSON")
    command.add_argument("--report", type=path, metavar="FILE", help="write a report as HTML")
