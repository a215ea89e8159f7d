"""The command line: ``skimb compare digits --report report.html``."""

import argparse
import os
import sys
from pathlib import Path

import skimb

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
        if path is not None and (reason := _why_not_writable(path)):
            parser.error(f"cannot write {path}: {reason}")
    if arguments.json is not None and arguments.json == arguments.report:
        parser.error(f"--json and --report would both write {arguments.json}")
    return _compare(parser, arguments)


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
        "data", choices=["digits"], help="digits: scikit-learn's digits, '8' against the rest"
    )
    compare.add_argument(
        "--strategies", metavar="A,B,...", help="names, joined by commas (default: all)"
    )
    compare.add_argument("--folds", type=_at_least(2), default=5, metavar="N", help="default: 5")
    compare.add_argument("--repeats", type=_at_least(1), default=3, metavar="N", help="default: 3")
    compare.add_argument("--epochs", type=_at_least(1), default=20, metavar="N", help="default: 20")
    compare.add_argument(
        "--device", default="auto", metavar="D", help="auto (default), cpu, cuda, ..."
    )
    compare.add_argument("--seed", type=_at_least(0), default=0, metavar="N", help="default: 0")
    compare.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes (default: one a core; one where there is CUDA)",
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    compare.add_argument("--report", type=Path, metavar="FILE", help="write a report as HTML")
    return parser


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
    import numpy as np
    import torch

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
    on_cuda = arguments.device.startswith("cuda") or (
        arguments.device == "auto" and torch.cuda.is_available()
    )
    n_jobs = arguments.jobs or (1 if on_cuda else -1)
    try:
        result = compare(
            digits.data,
            np.array(digits.target_names)[digits.target],
            strategies=names,
            estimator=CNNClassifier(max_epochs=arguments.epochs, device=arguments.device),
            cv=arguments.folds,
            n_repeats=arguments.repeats,
            random_state=arguments.seed,
            n_jobs=n_jobs,
            verbose=1,
        )
    except ValueError as exc:
        print(f"skimb: {' '.join(str(exc).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("skimb: interrupted; nothing was written", file=sys.stderr)
        return 130
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


if __name__ == "__main__":
    sys.exit(main())
