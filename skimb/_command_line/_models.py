"""The file of a model: the facts that are stored with it, and how it predicts."""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from skimb._command_line._fitted_decisions import rule_in_words

__all__ = [
    "FittedModel",
    "for_predictions_alone",
    "image_shape_of",
    "load_model",
    "metadata_of",
]

#: The version of the facts, and by what they can be told apart from those of a user.
SCHEMA, MADE_BY = 1, "skimb fit"

#: The dtypes of images, and the most images of a training that a file may name.
DTYPES, MOST_IMAGES = ("uint8", "uint16", "float32", "float64"), 10**8


def metadata_of(fitted, data, arguments, *, strategy, resizes, chosen, figures, decisions=None):
    """Return the facts that `skimb fit` stores with a model.

    Parameters
    ----------
    fitted : estimator
    data : Inputs
        The data of the training.
    arguments : Namespace
    strategy : str
        The built-in strategy.
    resizes : bool
        Whether images were resized.
    chosen : dict or None
        The winner of a comparison, where it was asked for.
    figures : dict
        Figures of the evaluation, and their source.
    decisions : FittedDecisions, default=None
        How the model decides, where it is not for the most probable class.

    Returns
    -------
    dict
        Of plain values, as JSON can write them.
    """
    import skimb
    from skimb.class_weight import minority_class
    from skimb.relevance import LabelDensity

    facts = {
        "schema": SCHEMA,
        "made_by": f"{MADE_BY} {skimb.__version__}",
        "task": "regression" if data.is_regression else "classification",
        "image_shape": list(image_shape_of(fitted) or data.X.shape[1:]),
        "dtype": str(data.X.dtype),
        "resizes": resizes,
        "columns": None
        if arguments.target is None
        else {
            "image": arguments.image_column,
            "target": arguments.target,
            "group": arguments.group,
        },
        "n_images": len(data.y),
        "strategy": strategy,
        "chosen": chosen,
        "figures": figures,
        "seed": arguments.seed,
    }
    if decisions is not None:
        facts["deployment"] = decisions.to_dict()
    if data.is_regression:
        density = LabelDensity().fit(data.y)
        facts["bins"] = {
            "edges": density.edges_.tolist(),
            "counts": [int(count) for count in density.counts_],
        }
        return facts
    classes, counts = np.unique(data.y, return_counts=True)
    return facts | {
        "decisions": rule_in_words(fitted, decisions),
        "classes": classes.tolist(),
        "class_counts": counts.tolist(),
        "minority": np.asarray(minority_class(data.y)).tolist(),
    }


def image_shape_of(fitted):
    """Return the shape ``(C, H, W)`` of the images that a fitted estimator reads, or None."""
    for part in _down_to_images(fitted):
        shape = getattr(part, "image_shape_", getattr(part, "image_shape", None))
        if shape is not None:
            return tuple(int(side) for side in shape)
    return None


def _image_column_of(fitted):
    """Return the columns of images of the frames that a fitted estimator reads, or None."""
    for part in _down_to_images(fitted):
        column = getattr(part, "_image_column", getattr(part, "image_column", None))
        if column is not None:
            return column
    return None


def _down_to_images(fitted):
    """Yield a fitted estimator and those in it, down to the one that reads the images."""
    while fitted is not None:
        yield fitted
        steps = getattr(fitted, "steps", None)
        fitted = steps[0][1] if steps else getattr(fitted, "estimator_", None)


@contextmanager
def for_predictions_alone():
    """Leave out warnings of a file that say what a new fit would lack: the model only predicts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="These parameters, which only a new fit reads")
        yield


@dataclass
class FittedModel:
    """A fitted model from a file.

    Parameters
    ----------
    path : Path
        The file.
    predictor : estimator or OnnxModel
    task : {"classification", "regression"}
    image_shape : tuple of int
    facts : dict
        What `metadata_of` returned; empty for files of another origin.
    decides_by_probability : bool, default=False
        Whether the label is always the most probable one, so that one pass is enough.
    """

    path: Any
    predictor: Any
    task: str
    image_shape: tuple
    facts: dict = field(default_factory=dict)
    decides_by_probability: bool = False

    @property
    def classes(self):
        """Labels, as plain values."""
        return np.asarray(self.predictor.classes_).tolist()

    @property
    def has_probabilities(self):
        """Whether it tells probabilities."""
        return self.task == "classification" and hasattr(self.predictor, "predict_proba")

    def column(self, kind, given):
        """Return a column of a table: the given one, or that of the training.

        Parameters
        ----------
        kind : {"image", "target"}
        given : str or None

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If it is neither given nor known.
        """
        known = given or (self.facts.get("columns") or {}).get(kind)
        if known is None:
            option = {"image": "--image-column", "target": "--target"}[kind]
            raise ValueError(
                f"{self.path} was not trained on a table, so that the column is not known. Give "
                f"{option}."
            )
        return known

    def check_size(self, size):
        """Tell whether images of any size are resized, and refuse a size that is not the model's.

        Parameters
        ----------
        size : int or None
            The ``--size`` that was given.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If the model reads images of another size.
        """
        _, height, width = self.image_shape
        if size is not None and (size, size) != (height, width):
            raise ValueError(
                f"--size {size} does not fit: {self.path} reads images of {width} x {height} "
                "(width x height). Leave --size out."
            )
        return size is not None or bool(self.facts.get("resizes"))

    def predict(self, images):
        """Return the labels or numbers of images, and their probabilities or None.

        Parameters
        ----------
        images : ndarray of shape (n, H, W, C)

        Returns
        -------
        predicted : ndarray of shape (n,)
        proba : ndarray of shape (n, n_classes), or None
        """
        predictor = self.predictor
        if not self.has_probabilities:
            return np.asarray(predictor.predict(images)), None
        if hasattr(predictor, "predict_with_proba"):
            return predictor.predict_with_proba(images)
        if self.decides_by_probability:
            log_proba = predictor.predict_log_proba(images)
            return predictor.classes_[log_proba.argmax(axis=1)], np.exp(log_proba)
        return np.asarray(predictor.predict(images)), np.asarray(predictor.predict_proba(images))


def load_model(path, *, is_onnx=False, may_read_frames=False):
    """Load a model.

    Parameters
    ----------
    path : Path
        A file of `skimb fit`, of `skimb.neural_network.save`, or of `skimb export`.
    is_onnx : bool, default=False
        Whether it is an ONNX file.
    may_read_frames : bool, default=False
        Whether the model may read other columns of a table together with the images.

    Returns
    -------
    FittedModel

    Raises
    ------
    ValueError
        If it is no such file, is damaged, predicts neither labels nor numbers, or reads frames.
    """
    if is_onnx:
        return _load_onnx(path)
    from sklearn.base import is_classifier, is_regressor

    from skimb.neural_network import CNNClassifier, load, read_metadata

    with for_predictions_alone():
        try:
            fitted = load(path)
        except ValueError as exc:
            if _is_onnx(path):
                raise ValueError(
                    f"{path} is an ONNX file. Give --onnx, or call it *.onnx; and to export a "
                    "model, give the file of skimb fit."
                ) from exc
            raise
    facts = _facts_of_fit(path, read_metadata(path))
    task = (
        "classification"
        if is_classifier(fitted)
        else "regression"
        if is_regressor(fitted)
        else None
    )
    shape = image_shape_of(fitted)
    if task is None or shape is None:
        raise ValueError(
            f"{path} holds a {type(fitted).__name__}, which does not predict labels or numbers of "
            "images. Give a file that skimb fit wrote."
        )
    column = _image_column_of(fitted)
    if column is not None and not may_read_frames:
        raise ValueError(
            f"{path} reads frames (`image_column`={column!r}), and the command line predicts "
            "images alone. Predict in Python: "
            f"skimb.neural_network.load({str(path)!r}).predict(frame)."
        )
    return FittedModel(path, fitted, task, shape, facts, isinstance(fitted, CNNClassifier))


def _facts_of_fit(path, facts):
    """Return the facts of a file if `metadata_of` has made them, else an empty dict.

    Facts that it cannot have made, though they claim so, are refused.
    """
    if not isinstance(facts, dict) or not str(facts.get("made_by", "")).startswith(MADE_BY):
        # Facts that a user has stored, in words of their own.
        return {}
    if facts.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(
            f"{path} was written by another version of skimb: the schema of its facts is "
            f"{facts['schema']!r}, and this version reads {SCHEMA}. Fit the model again."
        )
    columns, bins = facts.get("columns"), facts.get("bins")
    is_sound = facts.get("dtype", "uint8") in DTYPES and isinstance(
        facts.get("resizes", True), bool
    )
    is_sound &= columns is None or (
        isinstance(columns, dict) and all(isinstance(name, str | None) for name in columns.values())
    )
    if bins is not None:
        # The counts say how many values are made of them.
        is_sound &= isinstance(bins, dict) and set(bins) == {"edges", "counts"}
        is_sound = is_sound and _are_bins(**bins)
    if not is_sound:
        raise ValueError(
            f"{path} is damaged: the facts that skimb fit has stored in it do not fit. Fit the "
            "model again."
        )
    return facts


def _are_bins(edges, counts):
    if not isinstance(edges, list) or not isinstance(counts, list):
        return False
    is_known = len(edges) == len(counts) + 1 and all(
        type(number) in (int, float) and np.isfinite(number) for number in edges
    )
    return (
        is_known
        and all(low < high for low, high in pairwise(edges))
        and all(type(count) is int and count >= 0 for count in counts)
        and sum(counts) <= MOST_IMAGES
    )


def _is_onnx(path):
    from skimb._onnx_models import SEAL

    try:
        return SEAL.encode() in Path(path).read_bytes()
    except OSError:
        return False


def _load_onnx(path):
    from skimb._onnx_models import OnnxModel

    found = OnnxModel(path)
    if found.task not in ("classification", "regression"):
        raise ValueError(
            f"{path} is a network for the task {found.task!r}, which does not predict labels or "
            "numbers. Give a file that skimb export wrote."
        )
    facts = _facts_of_fit(path, found.facts)
    return FittedModel(path, found, found.task, tuple(found.image_shape), facts)
