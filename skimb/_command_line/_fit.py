"""``skimb fit``: one strategy, trained on all images, in a file."""

import sys
from contextlib import nullcontext
from textwrap import dedent

from skimb._command_line._argument_types import path, text
from skimb._command_line._deployment import add_deployment
from skimb._command_line._evaluate import evaluation_of
from skimb._command_line._figures import read_comparison
from skimb._command_line._fitted_decisions import decisions_of_fit
from skimb._command_line._inputs import read_inputs
from skimb._command_line._models import (
    FittedModel,
    for_predictions_alone,
    image_shape_of,
    metadata_of,
)
from skimb._command_line._networks import choose_augmentation_of, network_of
from skimb._command_line._options import (
    add_augmentation,
    add_counts,
    add_size,
    add_training,
    add_training_data,
    strategy_list,
)
from skimb._command_line._outputs import write_somewhere
from skimb._command_line._parser import add_command
from skimb._command_line._progress_lines import ProgressLines, TrainingLines
from skimb._command_line._streams import (
    SHORT_TRAINING,
    CommandError,
    complain,
    errors_in_one_line,
    say,
    warnings_in_one_line,
)
from skimb._command_line._training_bar import TrainingBar, remove_bars
from skimb._messages import counted
from skimb._strategy_names import CONSTANT

__all__ = ["add_fit", "fit_command"]

#: Predictions of a comparison that figures are computed from at most.
MOST_COUNTED = 2 * 10**7


def add_fit(commands):
    """Add the parser of ``skimb fit``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "fit",
        "train one strategy on all images, and save the model",
        dedent(
            """\
            Train one strategy of compare on all images, and save the model. Figures for each class
            are those of --test; without it, those of --from; without that, those of one more
            training, with a fifth of the images held out."""
        ),
        strategy_list(has_constant=False),
    )
    add_training_data(command)
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
    add_counts(command)
    add_size(command, "default: as in --from; else all must have one size")
    add_augmentation(command)
    add_deployment(command)
    add_training(command)


def fit_command(arguments):
    """Run ``skimb fit``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    with errors_in_one_line():
        # Before torch is imported and images are read.
        comparison = None if arguments.source is None else read_comparison(arguments.source)
    shown = nullcontext() if sys.stderr.isatty() else ProgressLines("epochs")
    # Without --epochs, the training is as long as those of the comparison.
    is_of_file = comparison is not None and arguments.epochs is None
    spelled = {SHORT_TRAINING: "Compare with more --epochs, or give them here."}
    warnings = warnings_in_one_line(spelled if is_of_file else None)
    with errors_in_one_line(), warnings, shown as progress:
        watcher = TrainingBar() if progress is None else TrainingLines(progress)
        fitted, facts, lines = _fit(arguments, comparison, watcher)
    from skimb.neural_network import save

    with warnings_in_one_line(), for_predictions_alone():
        place, reason = write_somewhere(
            lambda path: save(fitted, path, metadata=facts), arguments.out
        )
    print("\n".join(lines))
    if place is not None:
        print(f"model: {place} ({facts['n_images']} images)")
    sys.stdout.flush()
    if reason is None:
        return 0
    instead = f"The model went to {place}" if place else "The model went nowhere"
    complain(f"cannot write {arguments.out}: {reason}. {instead}")
    raise CommandError


def _fit(arguments, comparison, watcher):
    """Return the fitted estimator, the facts to store with it, and the lines to print."""
    from skimb._drawn_text import visible_text
    from skimb._engine import resolve_device
    from skimb.study import fit_strategy, strategy_estimator

    resolve_device(arguments.device)
    label, name, chosen = _strategy(arguments, comparison)
    shape = None if comparison is None or arguments.size else comparison.image_shape()
    data = read_inputs(arguments, shape)
    parameters = None
    if comparison is not None:
        comparison.check_data(data)
        parameters = comparison.parameters()
    network = network_of(arguments, data.is_regression, parameters)
    network.set_callbacks(watcher)
    if arguments.checkpoint is not None:
        # The folder is made by the training.
        network.set_params(checkpoint=str(arguments.checkpoint))
    options = {
        "estimator": network,
        "settings": None if comparison is None else comparison.settings(label),
        "shared_features": comparison is not None and comparison.shares_features(label),
        "measure": None if comparison is None else comparison.measure(),
        "head_training": None if comparison is None else comparison.head_training(label),
        "random_state": arguments.seed,
    }
    # What cannot be trained is refused before any training.
    strategy_estimator(name, data.X, data.y, **options)
    decisions = decisions_of_fit(arguments, comparison, data, name)
    train = held_out = None
    if decisions is not None:
        train, held_out = decisions.training_part(data, arguments.seed)
    needs_folds = decisions is not None and decisions.recall is not None and held_out is None
    if needs_folds and name == "tuned_baseline":
        raise ValueError(
            f"{name} searches by itself, and the images are too few to hold a third of them out "
            "for the threshold. Give another --strategy."
        )
    if arguments.augmentation == "auto":
        choose_augmentation_of(network, data, arguments.seed)
    # Names come from a file, and may hold anything.
    lines = [f"strategy: {name}", *map(visible_text, _words_of_choice(chosen, comparison))]
    told = None
    unlike = [] if comparison is None else comparison.differences(data, arguments, network)
    if comparison is not None and decisions is not None and not decisions.is_of_file:
        unlike.append("other decisions")
    if comparison is not None and unlike:
        remark = (
            f"{comparison.path} is about another training: {'; '.join(unlike)}. Its figures are "
            "not those of this model"
        )
        complain(remark)
        if chosen is not None:
            chosen = chosen | {"remark": remark}
        comparison = None
    if data.X_test is None and held_out is None and not needs_folds:
        is_decided = decisions is not None
        told = None if comparison is None else _figures_of(comparison, label, is_decided)
        told = told or _held_out(data, name, options, arguments, decisions)
    X, y, groups = data.part(train)
    say(f"training {name} on {counted(len(y), 'image')}")
    earlier = _checkpoints(arguments.checkpoint)
    if decisions is not None and needs_folds:
        made = decisions.with_folds(strategy_estimator(name, X, y, **options), arguments.seed)
        fitted = made.fit(X, y, groups=groups)
    else:
        fitted = fit_strategy(name, X, y, groups=groups, **options)
    lines += _words_on_checkpoints(arguments.checkpoint, earlier)
    remove_bars(fitted)
    if decisions is not None:
        if not needs_folds:
            fitted = decisions.wrapped(fitted, *data.part(held_out))
        lines += map(visible_text, decisions.words(fitted))
    if told is None and data.X_test is None:
        told = {"source": "the images that the threshold rests on: see above", "text": ""}
    elif told is None:
        result = _evaluated(fitted, data, data.X_test, data.y_test)
        told = _told(result, f"{counted(len(data.y_test), 'image')} of {arguments.test}")
    lines += [f"figures of {told['source']}", *filter(None, [told["text"]])]
    facts = metadata_of(
        fitted,
        data,
        arguments,
        strategy=name,
        resizes=bool(arguments.size or shape),
        chosen=chosen,
        figures=told,
        decisions=decisions,
    )
    return fitted, facts, lines


def _checkpoints(folder):
    """Return the checkpoints in a folder."""
    return [] if folder is None else sorted(folder.glob("skimb-*.checkpoint"))


def _words_on_checkpoints(folder, earlier):
    """Say whether a training went on from a checkpoint; it removes its own when it ends."""
    if not earlier:
        return []
    left = [path for path in earlier if path.exists()]
    if len(left) < len(earlier):
        return [f"the training went on from a checkpoint in {folder}"]
    return [f"{folder} holds checkpoints of other trainings ({len(left)}), which were not used"]


# ------------------------------------------------------------------------- the strategy


def _strategy(arguments, comparison):
    """Return the strategy's name in the comparison, its built-in name, and how it was chosen."""
    name = arguments.strategy
    if comparison is None:
        return name, name, None
    chosen = None
    if name == "best":
        chosen = comparison.winner() | {"file": str(arguments.source)}
        name = chosen["strategy"]
    built_in = comparison.built_in(name) or name
    if built_in == CONSTANT:
        raise ValueError(f"{name!r} is a reference without a network to save. Choose another one.")
    return name, built_in, chosen


def _words_of_choice(chosen, comparison):
    """Say in a line why a strategy was chosen, and whether it is better than the baseline."""
    if chosen is None:
        return []
    metric, mean, other = chosen["metric"], chosen["mean"], chosen["baseline_mean"]
    if mean is None:
        return [f"best of {comparison.path}, whose {metric} is not defined"]
    if other is None:
        return [
            f"best of {comparison.path}: {metric} {mean:.4g}; it is not defined for the baseline "
            f"{chosen['baseline']}"
        ]
    if chosen["verdict"] == "baseline":
        return [f"best of {comparison.path}: {metric} {mean:.4g}; no strategy has a better mean"]
    line = (
        f"best of {comparison.path}: {metric} {mean:.4g} against {other:.4g} of the baseline "
        f"{chosen['baseline']}"
    )
    if chosen["verdict"] == "better":
        return [f"{line}, better than the baseline"]
    why = {
        "within noise": "the difference is within noise",
        "one run": "a single run tells no more",
        "too few runs": "two runs tell no more",
    }.get(chosen["verdict"], "the interval of the difference is not defined")
    return [f"{line}: no better than the baseline, as {why}"]


# ------------------------------------------------------------------------- the figures


def _told(result, source):
    """Return figures for the file of the model and for the terminal."""
    facts = {
        name: value
        for name, value in result.to_dict().items()
        if name not in ("schema", "task", "mistakes", "largest_errors")
    }
    return facts | {"source": source, "text": result.table_text()}


def _figures_of(comparison, label, is_decided):
    """Return the figures of a strategy in a comparison; None where it holds none.

    With ``is_decided`` they are those of its decisions at the deployment.
    """
    entry = comparison.figures["strategies"].get(label)
    if entry is None:
        return None
    source = f"{comparison.path} ({comparison.evaluation()})"
    if comparison.is_regression:
        means = {
            name: value["mean"]
            for name, value in entry.items()
            if isinstance(value, dict) and isinstance(value.get("mean"), float | int)
        }
        text = "\n".join(f"{name} {value:.4g}" for name, value in means.items())
        return {"errors": means, "source": source, "text": text}
    import numpy as np

    from skimb.study import ClassificationEvaluation

    try:
        classes = np.array(comparison.figures["classes"])
        matrix = (entry["cost"] if is_decided else entry)["confusion_matrix"]
        matrix = np.array(matrix, dtype=np.int64)
        if matrix.shape != (len(classes), len(classes)) or not 0 < matrix.sum() < MOST_COUNTED:
            raise ValueError(f"its shape is {matrix.shape}, and its sum {matrix.sum()}")
        pairs = np.indices(matrix.shape).reshape(2, -1)
        true, predicted = (np.repeat(part, matrix.ravel()) for part in pairs)
        result = ClassificationEvaluation(
            classes[true],
            classes[predicted],
            classes=classes,
            minority=comparison.figures.get("minority"),
        )
    # A damaged file can hold anything in any place.
    except Exception as exc:
        raise ValueError(
            f"{comparison.path} is damaged: the confusion matrix of {label!r} cannot be read "
            f"({exc}). Give --test instead of the figures of --from."
        ) from exc
    return _told(result, source)


def _held_out(data, name, options, arguments, decisions):
    """Return figures of one more training, with a fifth of the images held out."""
    from skimb._groups import checked_groups
    from skimb._params import safe_indexing
    from skimb.study import fit_strategy, hold_out_fifth, strategy_estimator

    try:
        train, test = hold_out_fifth(
            data.X, data.y, data.groups, is_regression=data.is_regression, seed=arguments.seed
        )
        X, y, groups = data.part(train)
        # It refuses a part that is too small for the strategy.
        strategy_estimator(name, X, y, groups=checked_groups(X, groups), **options)
    except ValueError as exc:
        raise ValueError(
            f"No fifth of the images can be held out for figures: {exc} Or give --test, or --from."
        ) from exc
    say(f"training {name} on {counted(len(train), 'image')}, to test it on {len(test)}")
    fitted = fit_strategy(name, X, y, groups=groups, **options)
    if decisions is not None:
        fitted = decisions.wrapped(fitted, X, y, groups)
    result = _evaluated(fitted, data, safe_indexing(data.X, test), data.y[test])
    # More than a fifth, where a class has fewer than five images or groups.
    share = f"{len(test)} of {counted(len(data.y), 'image')}"
    return _told(result, f"one more training, with {share} held out")


def _evaluated(fitted, data, X, y):
    """Return the evaluation of a fitted estimator."""
    task = "regression" if data.is_regression else "classification"
    model = FittedModel(None, fitted, task, image_shape_of(fitted) or ())
    if not data.is_regression:
        from skimb.class_weight import minority_class

        model.facts = {"minority": minority_class(data.y)}
        return evaluation_of(model, y, *model.predict(X))
    from skimb.study import RegressionEvaluation

    return RegressionEvaluation(y, fitted.predict(X), y_train=data.y)
