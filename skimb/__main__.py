"""The command line: ``skimb compare digits --report report.html``."""

import argparse
import sys
from pathlib import Path

__all__ = ["main"]


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None: those of the process.

    Returns
    -------
    int
        Exit status: 0, or 1 for bad data. A usage error exits with 2.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    for path in (arguments.json, arguments.report):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            parser.error(f"cannot write {path}: it is a folder, or lies in one that does not exist")
    return _compare(parser, arguments)


def _parser():
    parser = argparse.ArgumentParser(prog="skimb", description="Imbalanced images in scikit-learn.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="find out which remedy for imbalance works on your data",
        description="Compare remedies for imbalance: same folds, same seeds, same number of "
        "gradient steps, each against the plain network.",
    )
    compare.add_argument(
        "data", choices=["digits"], help="digits: scikit-learn's digits, '8' against the rest"
    )
    compare.add_argument(
        "--strategies", metavar="A,B,...", help="names, joined by commas (default: all)"
    )
    compare.add_argument("--folds", type=_positive, default=5, metavar="N", help="default: 5")
    compare.add_argument("--repeats", type=_positive, default=3, metavar="N", help="default: 3")
    compare.add_argument("--epochs", type=_positive, default=20, metavar="N", help="default: 20")
    compare.add_argument(
        "--device", default="auto", metavar="D", help="auto (default), cpu, cuda, ..."
    )
    compare.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    compare.add_argument(
        "--jobs", type=int, default=-1, metavar="N", help="processes (default: one a core)"
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    compare.add_argument("--report", type=Path, metavar="FILE", help="write a report as HTML")
    return parser


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def _compare(parser, arguments):
    # torch takes seconds to import: a usage error need not wait for it.
    import numpy as np

    from skimb.datasets import load_imbalanced_digits
    from skimb.neural_network import CNNClassifier
    from skimb.study import STRATEGIES, compare

    names = None
    if arguments.strategies is not None:
        names = [name.strip() for name in arguments.strategies.split(",") if name.strip()]
        unknown = [name for name in names if name not in STRATEGIES]
        if unknown or not names:
            parser.error(
                f"unknown strategies: {', '.join(unknown) or '(none given)'}; "
                f"known are {', '.join(STRATEGIES)}"
            )
    digits = load_imbalanced_digits()
    try:
        result = compare(
            digits.data,
            np.array(digits.target_names)[digits.target],
            strategies=names,
            estimator=CNNClassifier(max_epochs=arguments.epochs, device=arguments.device),
            cv=arguments.folds,
            n_repeats=arguments.repeats,
            random_state=arguments.seed,
            n_jobs=arguments.jobs,
            verbose=1,
        )
    except ValueError as exc:
        print(f"skimb: {' '.join(str(exc).split())}", file=sys.stderr)
        return 1
    print(result)
    if arguments.json is not None:
        result.to_json(arguments.json)
        print(f"figures: {arguments.json}")
    if arguments.report is not None:
        result.to_html(arguments.report)
        print(f"report: {arguments.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
