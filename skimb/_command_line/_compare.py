"""``skimb compare``: from arguments to a comparison."""

from skimb._command_line._argument_types import MOST_REPEATS, at_least, jobs, minutes, path, text
from skimb._command_line._deployment import add_deployment, deployment_options, refuse_deployment
from skimb._command_line._inputs import inspected, read_inputs
from skimb._command_line._labels import listed
from skimb._command_line._networks import choose_augmentation_of, network_of
from skimb._command_line._options import (
    add_augmentation,
    add_counts,
    add_outputs,
    add_size,
    add_training,
    add_training_data,
    strategy_list,
)
from skimb._command_line._outputs import hand_out
from skimb._command_line._parser import add_command
from skimb._command_line._shown_commands import fit_command_after, typed_command
from skimb._command_line._splits import add_splits
from skimb._command_line._streams import errors_in_one_line, say, warnings_in_one_line
from skimb._messages import counted

__all__ = ["add_compare", "compare_command", "learning_curve_of"]


def add_compare(commands):
    """Add the parser of ``skimb compare``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "compare",
        "find out which strategy against imbalance works on your data",
        "Compare strategies against imbalance: same folds, same seeds, same number of gradient\n"
        "steps, each compared with the baseline.",
        strategy_list(has_constant=True),
    )
    add_training_data(command)
    command.add_argument(
        "--test",
        type=text,
        metavar="DIR|TABLE.csv",
        help="test images, in the form of the others; without them, cross-validation",
    )
    add_counts(command)
    add_size(command, "default: all must have one size")
    add_augmentation(command)
    command.add_argument(
        "--strategies",
        metavar="A,B,...",
        help="names of the list below, joined by commas; the baseline always runs, the references "
        "constant and linear only if they are named (default: all of the first list)",
    )
    command.add_argument(
        "--measure",
        type=text,
        metavar="NAME",
        help="the measure that counts: the verdict is about it first, and thresholds are tuned for "
        "it (default: f1_minority); such as recall_minority, f1_macro, balanced_accuracy",
    )
    command.add_argument("--folds", type=at_least(1), metavar="N", help="default: 5")
    command.add_argument(
        "--repeats",
        type=at_least(1, MOST_REPEATS),
        metavar="N",
        help="run all folds again, with other folds and seeds; of a test set, all networks with "
        "other seeds (default: 1)",
    )
    add_splits(command)
    add_deployment(command)
    add_training(command)
    command.add_argument(
        "--checkpoint",
        type=path,
        metavar="DIR",
        help="keep every finished fit there: after an interruption the same command goes on, and "
        "fits that are known are not done again, also with further strategies",
    )
    command.add_argument(
        "--jobs",
        type=jobs,
        metavar="N",
        help="processes (default: one a core on the digits, else one, which uses all cores)",
    )
    command.add_argument(
        "--shared-features",
        action="store_true",
        help="much faster: train one network a run, and let the strategies that can act on its "
        "last layer alone",
    )
    command.add_argument(
        "--minutes",
        type=minutes,
        metavar="M",
        help="search the strategies and their strengths for about so long: last layers on shared "
        "features first, then the two best end to end, judged on images that the search never saw",
    )
    command.add_argument(
        "--more-images",
        type=text,
        metavar="CLASS",
        help="also say whether more images of this class would help, by a learning curve; it takes "
        "25 more trainings",
    )
    add_outputs(command)


def compare_command(arguments):
    """Run ``skimb compare``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    # torch takes seconds to import: errors in the arguments alone come before.
    import torch

    from skimb._engine import resolve_device
    from skimb.study import (
        compare,
        more_images,
        near_copies_worth,
    )

    is_digits = arguments.data == "digits"
    on_cuda = arguments.device.startswith("cuda") or (
        arguments.device == "auto" and torch.cuda.is_available()
    )
    with errors_in_one_line(), warnings_in_one_line():
        # An unknown device is refused before images are read.
        resolve_device(arguments.device)
        data = read_inputs(arguments)
        estimator = network_of(arguments, data.is_regression)
        use = _deployment(arguments, data)
        is_copy = None
        if data.X_test is not None and not data.is_regression:
            # Before the training: a test set full of copies is known after minutes, not hours.
            say("looking for copies of the test images among the training images")
            is_copy = inspected(data).is_leaked
            is_one = is_copy.sum() == 1
            say(
                f"{is_copy.sum()} of {counted(len(is_copy), 'test image')} "
                f"{'equals' if is_one else 'equal'} a training image or "
                f"{'is' if is_one else 'are'} similar to one"
            )
        curve = None
        if arguments.more_images is not None:
            curve = learning_curve_of(arguments, data, estimator)
        n_jobs = arguments.jobs or (-1 if is_digits and not on_cuda else 1)
        choice = None
        if arguments.augmentation == "auto":
            choice = choose_augmentation_of(estimator, data, arguments.seed)
        result = (
            _searched(arguments, data, use, estimator, n_jobs)
            if arguments.minutes
            else compare(
                data.X,
                data.y,
                strategies=arguments.strategies,
                estimator=estimator,
                cv=None if data.X_test is not None else data.cv or arguments.folds or 5,
                groups=data.groups,
                measure=arguments.measure,
                shared_features=arguments.shared_features,
                n_repeats=arguments.repeats or 1,
                X_test=data.X_test,
                y_test=data.y_test,
                **use,
                random_state=arguments.seed,
                n_jobs=n_jobs,
                checkpoint=arguments.checkpoint,
                verbose=1,
            )
        )
        if curve is not None:
            say(f"learning curve of {arguments.more_images}")
            result.more_images = more_images(
                **curve, random_state=arguments.seed, n_jobs=n_jobs, verbose=1
            )
        if (command := typed_command(arguments)) is not None:
            result.protocol["command"] = command
        result.protocol["next_command"] = fit_command_after(arguments)
        if is_copy is not None:
            result.near_copies = near_copies_worth(result, is_copy)
        if arguments.group_near_duplicates:
            result.protocol["group_near_duplicates"] = True
        result.files = data.files
        if result.test_rows is not None and data.files is not None:
            result.files = [data.files[row] for row in result.test_rows]
        for name in ("group", "split", "time"):
            if getattr(arguments, name) is not None:
                result.protocol[name] = getattr(arguments, name)
        if arguments.group_pattern is not None:
            result.protocol["group_pattern"] = arguments.group_pattern.pattern
        if arguments.size is not None:
            result.protocol["size"] = arguments.size
        if choice is not None:
            result.protocol["recipe"]["augmentation_choice"] = choice
    return hand_out(result, arguments)


def _deployment(arguments, data):
    """Return where the strategies will be used."""
    from skimb.study import check_use

    if data.is_regression:
        refuse_deployment(arguments)
        return {}
    use = deployment_options(arguments, set(data.y.tolist()))
    if use:
        # What never can be is refused before `--augmentation auto` trains; the rest before compare.
        check_use(data.y, data.y if data.y_test is None else data.y_test, **use)
    return use


def _searched(arguments, data, use, estimator, n_jobs):
    """Return the comparison that a search within a time ends with."""
    from skimb.study import find_strategy

    if data.is_regression:
        raise ValueError(
            "--minutes searches strategies for classes, but the target holds numbers. Leave it out."
        )
    return find_strategy(
        data.X,
        data.y,
        minutes=arguments.minutes,
        estimator=estimator,
        groups=data.groups,
        X_test=data.X_test,
        y_test=data.y_test,
        **use,
        random_state=arguments.seed,
        n_jobs=n_jobs,
        verbose=1,
    )


def learning_curve_of(arguments, data, estimator):
    """Return the arguments of a learning curve, which are checked before any training.

    Parameters
    ----------
    arguments : Namespace
    data : Inputs
    estimator : CNNClassifier

    Returns
    -------
    dict
    """
    from skimb.study import check_more_images

    if data.is_regression:
        raise ValueError("--more-images names a class, but the target holds numbers. Leave it out.")
    known = {str(label): label for label in data.y.tolist()}
    if arguments.more_images not in known:
        raise ValueError(
            f"--more-images names {arguments.more_images!r}, but the classes are "
            f"{listed(sorted(known))}. Use one of these."
        )
    options = {
        "X": data.X,
        "y": data.y,
        "label": known[arguments.more_images],
        "estimator": estimator,
        "groups": data.groups,
        "cv": arguments.folds or 5,
    }
    check_more_images(**options)
    return options
