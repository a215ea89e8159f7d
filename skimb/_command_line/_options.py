"""Options that several commands have: each is written once."""

from skimb._command_line._argument_types import (
    MOST_SEED,
    MOST_SIDE,
    at_least,
    counts,
    path,
    text,
)
from skimb._command_line._splits import add_group_pattern
from skimb._quantities import MOST_LABELS
from skimb._strategy_names import (
    CONSTANT,
    FURTHER_STRATEGIES,
    REGRESSION_STRATEGIES,
    STRATEGIES,
)

__all__ = [
    "AS_IN_FIT",
    "FORMS",
    "add_augmentation",
    "add_counts",
    "add_image_column",
    "add_model",
    "add_outputs",
    "add_size",
    "add_target",
    "add_training",
    "add_training_data",
    "strategy_list",
]

#: The forms of labelled data, in one line.
FORMS = (
    "a folder with one sub-folder a class, or a table (CSV, TSV, Parquet) with a column of image "
    "files and one of labels or numbers"
)

#: The default of the columns of a table.
AS_IN_FIT = "default: as in fit; must be given where the model was not trained on a table"


def strategy_list(*, has_constant):
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


def add_model(command, *, reads_onnx=True):
    command.add_argument("model", type=path, metavar="MODEL", help="the file of a model")
    if reads_onnx:
        command.add_argument(
            "--onnx",
            action="store_true",
            help="MODEL is an ONNX file of skimb export (default: where its name ends in .onnx)",
        )


def add_training_data(command):
    command.add_argument(
        "data",
        type=text,
        metavar="FOLDER|TABLE.csv|digits",
        help=f"{FORMS}; or digits: scikit-learn's digits, '8' against the rest",
    )
    add_image_column(command)
    add_target(command)
    command.add_argument(
        "--group",
        type=text,
        metavar="COLUMN",
        help="column of a table whose equal values stay on one side of every split: a patient, a "
        "site (default: only equal images do)",
    )
    add_group_pattern(command)
    command.add_argument(
        "--group-near-duplicates",
        action="store_true",
        help="keep images that are copies of each other, or near copies, on one side of every "
        "split (default: only equal images); see skimb inspect",
    )
    command.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="the task of a table (default: regression where every cell of the target is a "
        f"number, and some are fractions or more than {MOST_LABELS} differ)",
    )


def add_image_column(command, default=None):
    command.add_argument(
        "--image-column",
        type=text,
        metavar="C",
        help="column of a table with the image files, relative to the table"
        + (f" ({default})" if default else ""),
    )


def add_target(command, default=None):
    command.add_argument(
        "--target",
        type=text,
        metavar="COLUMN",
        help="column of a table with the target; labels are text as it is written"
        + (f" ({default})" if default else ""),
    )


def add_counts(command):
    command.add_argument(
        "--counts",
        type=counts,
        metavar="A=N,B=N",
        help="train on a random subset of so many images of a class (default: all)",
    )


def add_size(command, default):
    command.add_argument(
        "--size",
        type=at_least(1, MOST_SIDE),
        metavar="N",
        help=f"resize images to N x N in colour ({default})",
    )


def add_augmentation(command):
    command.add_argument(
        "--augmentation",
        choices=["auto", "shift_crop", "flip_crop", "none"],
        metavar="NAME",
        help="shift_crop (default): shift training images a little; flip_crop: mirror them too, "
        "where left and right mean the same; none; auto: choose one of the first two on training "
        "images that are held out, which trains two more networks",
    )


def add_training(command):
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
        "--precision",
        choices=["auto", "bfloat16", "float32"],
        metavar="P",
        help="auto (default), float32, or bfloat16, in which some processors train faster",
    )
    command.add_argument(
        "--seed", type=at_least(0, MOST_SEED), default=0, metavar="N", help="default: 0"
    )
    command.add_argument(
        "--cache",
        type=path,
        metavar="DIR",
        help="keep the decoded images there, up to 32 GiB: the next command does not decode them "
        "again, and they need not fit in memory",
    )


def add_outputs(command):
    command.add_argument("--json", type=path, metavar="FILE", help="write all figures as JSON")
    command.add_argument("--report", type=path, metavar="FILE", help="write a report as HTML")
