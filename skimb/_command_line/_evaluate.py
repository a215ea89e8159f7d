"""``skimb evaluate``: how good a model is on labelled images."""

from pathlib import Path
from typing import Any

import numpy as np

from skimb._class_folders import list_classes
from skimb._command_line._argument_types import text
from skimb._command_line._batch_prediction import predictions, with_bar
from skimb._command_line._checks import check_images, reads_onnx, reads_table
from skimb._command_line._image_lists import hint_of_missing
from skimb._command_line._labels import listed, refuse_unknown
from skimb._command_line._models import load_model
from skimb._command_line._options import (
    AS_IN_FIT,
    FORMS,
    add_image_column,
    add_model,
    add_outputs,
    add_size,
    add_target,
)
from skimb._command_line._outputs import hand_out
from skimb._command_line._parser import add_command
from skimb._command_line._streams import errors_in_one_line, warnings_in_one_line
from skimb._image_files import named
from skimb._messages import counted
from skimb._tables import read_table

__all__ = ["add_evaluate", "evaluate_command", "evaluation_of", "labelled_files"]


def add_evaluate(commands):
    """Add the parser of ``skimb evaluate``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "evaluate",
        "report how good a model is on labelled images",
        "Report how good a model is on images whose labels or numbers are known: figures for each "
        "class, the confusion matrix, and the most confident mistakes.",
    )
    add_model(command)
    command.add_argument("data", type=text, metavar="FOLDER|TABLE.csv", help=FORMS)
    add_image_column(command, AS_IN_FIT)
    add_target(command, AS_IN_FIT)
    add_size(command, "default: as in fit; N must be the model's")
    add_outputs(command)


def evaluate_command(arguments):
    """Run ``skimb evaluate``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    with errors_in_one_line("Give fewer images at a time."), warnings_in_one_line():
        model = load_model(arguments.model, is_onnx=reads_onnx(arguments))
        resizes = model.check_size(arguments.size)
        files, y = labelled_files(arguments, model)
        check_images(arguments, files)
        found = predictions(model, files, resizes=resizes)
        found = list(with_bar(found, len(files), arguments.data))
        if bad := [f"{one.file} ({one.error})" for one in found if one.error]:
            hint = hint_of_missing(files) if reads_table(arguments) else ""
            raise ValueError(
                f"{len(bad)} of {counted(len(files), 'image')} cannot be evaluated: "
                f"{named(bad)}. Fix or remove them. {hint}"
            )
        facts = {
            "model": str(arguments.model),
            "data": str(arguments.data),
            "strategy": model.facts.get("strategy"),
            "training_images": model.facts.get("n_images"),
        }
        if "decisions" in model.facts:
            facts["decisions"] = str(model.facts["decisions"])
        predicted = np.array([one.value for one in found])
        proba = np.array([one.proba for one in found]) if model.has_probabilities else None
        result = evaluation_of(model, y, predicted, proba, X=files, names=files, facts=facts)
    return hand_out(result, arguments)


def evaluation_of(model, y, predicted, proba, **given):
    """Return the evaluation of predictions.

    Parameters
    ----------
    model : FittedModel
    y, predicted : ndarray of shape (n,)
    proba : ndarray of shape (n, n_classes), or None
    **given
        ``X``, ``names`` and ``facts`` of the evaluation.

    Returns
    -------
    ClassificationEvaluation or RegressionEvaluation
    """
    from skimb.relevance import LabelDensity
    from skimb.study import ClassificationEvaluation, RegressionEvaluation

    if model.task == "classification":
        confidence = None
        if proba is not None:
            column = {label: i for i, label in enumerate(model.classes)}
            confidence = proba[np.arange(len(proba)), [column[one] for one in predicted.tolist()]]
        return ClassificationEvaluation(
            y,
            predicted,
            confidence,
            classes=model.classes,
            minority=model.facts.get("minority"),
            deployment=_deployment_of(model),
            **given,
        )
    known: dict[str, Any] = {}
    if bins := model.facts.get("bins"):
        edges = np.array(bins["edges"])
        # One value for each training sample, in the middle of its bin.
        known["y_train"] = np.repeat((edges[:-1] + edges[1:]) / 2, bins["counts"])
        known["density"] = LabelDensity(bins=edges)
    return RegressionEvaluation(y, predicted, **known, **given)


def _deployment_of(model):
    """Return where a model is used, as far as `skimb fit` has stored it, or None."""
    from skimb.study import Deployment

    found = model.facts.get("deployment")
    if found is None:
        return None
    try:
        prior = np.array([found["prior"][str(label)] for label in model.classes], dtype=float)
        costs = np.array(found["cost_matrix"], dtype=float)
        is_sound = np.isfinite(costs).all() and (prior > 0).all() and abs(prior.sum() - 1) < 1e-6
        if costs.shape != (len(prior), len(prior)) or not is_sound:
            raise ValueError(f"the prior {prior.tolist()} and the costs do not fit")
    # A damaged file can hold anything in any place.
    except Exception as exc:
        raise ValueError(
            f"{model.path} is damaged: its deployment cannot be read ({exc}). Fit the model again."
        ) from exc
    return Deployment(prior, costs)


def labelled_files(arguments, model):
    """Return files, and their labels or numbers.

    Parameters
    ----------
    arguments : Namespace
        With ``data``, ``image_column`` and ``target``.
    model : FittedModel

    Returns
    -------
    files : list of str
    y : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If there are none, or the model does not know a label.
    """
    if reads_table(arguments):
        table = read_table(Path(arguments.data))
        files = table.files(model.column("image", arguments.image_column))
        target = model.column("target", arguments.target)
        if model.task == "regression":
            advice = "give another --target, as the model predicts numbers"
            return files, table.numbers(target, advice=advice)
        return files, _known_labels(table.labels(target), arguments, model)
    if model.task == "regression":
        raise ValueError(
            f"{arguments.data} is a folder, and {model.path} predicts numbers. Give a table with a "
            "column of image files and one of numbers."
        )
    classes, _ = list_classes(arguments.data)
    files = [file for of_one in classes.values() for file in of_one]
    if not files:
        raise ValueError(
            f"{arguments.data} must have one sub-folder per class, with images in it. It has the "
            f"sub-folders {listed(classes)}."
        )
    labels = np.repeat(list(classes), [len(of_one) for of_one in classes.values()])
    return files, _known_labels(labels, arguments, model)


def _known_labels(labels, arguments, model):
    """Return labels as the model has them: numbers, perhaps, where the folder has names."""
    known = {str(label): label for label in model.classes}
    found = np.unique(labels).tolist()
    refuse_unknown(found, model.classes, source=arguments.data, knower=model.path)
    return np.array([known[str(label)] for label in labels.tolist()])
