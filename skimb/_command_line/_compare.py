"""``skimb compare``: from arguments to a comparison."""

import sys
from typing import Any

from skimb._command_line._arguments import reads_table
from skimb._command_line._inputs import read_inputs
from skimb._command_line._outputs import hand_out
from skimb._command_line._streams import complain

__all__ = ["compare_command"]


def compare_command(parser, arguments):
    """Run ``skimb compare``.

    Parameters
    ----------
    parser : ArgumentParser
        The parser, which ends the process with a usage error.
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    # torch takes seconds to import: errors in the arguments alone come before.
    import numpy as np
    import torch

    from skimb._engine import resolve_device
    from skimb.study import REGRESSION_STRATEGIES, STRATEGIES, check_drawable, compare

    known = list(STRATEGIES)
    if reads_table(arguments):
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
        # An unknown device is refused before images are read.
        resolve_device(arguments.device)
        data = read_inputs(arguments)
        if arguments.report is not None:
            check_drawable([] if data.is_regression else np.unique(data.y).tolist())
        estimator = _estimator(arguments, data.is_regression)
        choice = None
        if arguments.augmentation == "auto":
            choice = _choose_augmentation(estimator, data, arguments.seed)
        result = compare(
            data.X,
            data.y,
            strategies=names,
            estimator=estimator,
            cv=None if data.X_test is not None else arguments.folds or 5,
            groups=data.groups,
            n_repeats=arguments.repeats or 1,
            X_test=data.X_test,
            y_test=data.y_test,
            random_state=arguments.seed,
            n_jobs=arguments.jobs or (-1 if is_digits and not on_cuda else 1),
            verbose=1,
        )
        if choice is not None:
            result.protocol["recipe"]["augmentation_choice"] = choice
    except (ValueError, OSError) as exc:
        complain(exc)
        return 1
    except (MemoryError, torch.OutOfMemoryError) as exc:
        reason = f": {str(exc).rstrip('.')}" if str(exc) else ""
        complain(f"there is not enough memory{reason}. Give a smaller --size, or fewer images.")
        return 1
    return hand_out(result, arguments)


def _estimator(arguments, is_regression):
    """Return the network of the constructor, changed where the arguments ask for it."""
    from skimb.neural_network import CNNClassifier, CNNRegressor

    recipe: dict[str, Any] = {"device": arguments.device}
    if arguments.epochs is not None:
        recipe["max_epochs"] = arguments.epochs
    if arguments.augmentation not in (None, "auto"):
        recipe["augmentation"] = {"none": None}.get(arguments.augmentation, arguments.augmentation)
    return (CNNRegressor if is_regression else CNNClassifier)(**recipe)


def _choose_augmentation(estimator, data, seed):
    """Set the augmentation that suits the training images, and say so in one line."""
    from skimb.study import choose_augmentation

    name, choice = choose_augmentation(estimator, data.X, data.y, data.groups, seed=seed)
    losses = ", ".join(f"{key} {loss:.4g}" for key, loss in choice["losses"].items())
    print(
        f"augmentation: {choice['measure']} of {choice['n_held_out']} held-out training images: "
        f"{losses}; {choice['code']}",
        file=sys.stderr,
        flush=True,
    )
    estimator.set_params(augmentation=name)
    return choice
