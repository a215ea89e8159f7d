"""Run a network that `export_onnx` has written, with onnxruntime and without torch."""

import json
import os
import re
from hashlib import sha256
from typing import Any

import numpy as np

from skimb._image_layout import read_layout
from skimb._image_source import as_source
from skimb._reading import is_source, read_source
from skimb._stored_arrays import is_stored_array

__all__ = ["FORMAT", "INPUT", "LAYOUTS", "SEAL", "TASKS", "OnnxModel", "seal", "sealing_entry"]

#: The version of the file's format; a later one may be one that this module cannot read.
FORMAT = "1"

#: The name of the input.
INPUT = "images"

#: The outputs of each task, in order.
TASKS = {
    "classification": ("label", "probabilities"),
    "regression": ("prediction",),
    "embedding": ("embedding",),
}

#: The layout of an array of images, by the letters of its axes: n samples, height, width, channels;
#: "NF" holds rows, with the pixels in the order (C, H, W).
LAYOUTS = ("NHW", "NHWC", "NCHW", "NF")

#: The metadata entry with the digest of the file, in which the digest itself counts as zeros.
SEAL = "skimb_sha256"
ZEROS = "0" * 64
#: The bytes of that entry: the key, the tag of the value, its length of 64, the value.
SEALED = re.compile(SEAL.encode() + rb"\x12\x40([0-9a-f]{64})")


def sealing_entry():
    """Return the key and the value of the metadata entry whose value `seal` replaces."""
    return SEAL, ZEROS


def seal(data):
    """Write the digest of a file into the place that `sealing_entry` has kept for it.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes
        Of the same length.
    """
    digest = sha256(data).hexdigest()
    return SEALED.sub(lambda found: found[0][:-64] + digest.encode(), data, count=1)


class OnnxModel:
    """A network that `skimb.neural_network.export_onnx` has written.

    Parameters
    ----------
    path : str or Path
        The file.
    batch_size : int, default=64
        The number of images that are read and predicted at a time.

    Attributes
    ----------
    task : {"classification", "regression", "embedding"}
        The kind of the outputs.
    classes_ : ndarray of shape (n_classes,)
        The labels, for ``task="classification"`` only.
    image_shape : tuple of int
        ``(C, H, W)``.
    layout : {"NHW", "NHWC", "NCHW", "NF"}
        The axes of the file's input; the methods convert other layouts to it.
    dtype : {"uint8", "float32"}
        The dtype of the file's input.
    value_range : tuple of float
        The least and the largest value of a pixel in the training.
    facts : dict or None
        The ``metadata`` that `export_onnx` was given.
    metadata : dict of str to str
        All entries of the file's metadata.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or was not written by `export_onnx`.
    """

    classes_: Any

    def __init__(self, path, *, batch_size=64):
        try:
            import onnxruntime
        except ImportError as exc:
            raise ImportError(
                "Running an ONNX file needs onnxruntime. Install skimb's extra: "
                "pip install 'skimb[onnx]'."
            ) from exc
        self.path, self.batch_size = os.fspath(path), batch_size
        with open(path, "rb") as file:
            data = file.read()
        self._refuse_damage(data)
        options = onnxruntime.SessionOptions()
        # Errors are raised as well as printed.
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        # onnxruntime has no public base class of its exceptions.
        except Exception as exc:
            raise self._wrong(f"onnxruntime cannot read it: {exc}") from exc
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        try:
            self._read_metadata()
        except (KeyError, TypeError, ValueError) as exc:
            raise self._wrong(f"its metadata do not fit: {exc!r}") from exc
        self._check_signature()

    def __repr__(self):
        return f"OnnxModel({self.path!r})"

    def _wrong(self, reason):
        return ValueError(
            f"{self.path} is no network that skimb can run: {reason}. Give a file that "
            "skimb.neural_network.export_onnx has written, and that was not changed since."
        )

    def _refuse_damage(self, data):
        found = SEALED.search(data)
        if found is None:
            raise self._wrong("it has no digest of skimb, or is cut off")
        if seal(data.replace(found[1], ZEROS.encode())) != data:
            raise self._wrong("its digest differs, so it is damaged or was changed")

    def _read_metadata(self):
        metadata = self.metadata
        if metadata["skimb_format"] != FORMAT:
            raise ValueError(
                f"the format is {metadata['skimb_format']!r}, and this version of skimb reads "
                f"{FORMAT!r}"
            )
        self.task, self.layout = metadata["task"], metadata["layout"]
        if self.task not in TASKS or self.layout not in LAYOUTS:
            raise ValueError(f"the task is {self.task!r}, the layout {self.layout!r}")
        n_channels, height, width = map(int, json.loads(metadata["image_shape"]))
        self.image_shape = n_channels, height, width
        low, high = map(float, json.loads(metadata["value_range"]))
        self.value_range = low, high
        self.facts = json.loads(metadata.get("facts", "null"))
        if not isinstance(self.facts, dict | None):
            raise ValueError("the facts are no dict")
        if self.task == "classification":
            self.classes_ = np.array(json.loads(metadata["classes"]))
            if self.classes_.ndim != 1:
                raise ValueError("the classes are no list of labels")

    def _check_signature(self):
        """Refuse a file whose inputs and outputs are not those of its metadata."""
        n_channels, height, width = self.image_shape
        sides = {"N": None, "H": height, "W": width, "C": n_channels}
        sides["F"] = n_channels * height * width
        came = self._session.get_inputs()
        kinds = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
        if (
            [value.name for value in came] != [INPUT]
            or came[0].type not in kinds
            or came[0].shape[1:] != [sides[axis] for axis in self.layout[1:]]
        ):
            raise self._wrong("its input is not that of its metadata")
        self.dtype = kinds[came[0].type]
        outputs = self._session.get_outputs()
        if tuple(value.name for value in outputs) != TASKS[self.task] or (
            self.task == "classification" and outputs[1].shape[1:] != [len(self.classes_)]
        ):
            raise self._wrong("its outputs are not those of its metadata")

    # ---------------------------------------------------------------------- prediction

    def predict(self, images):
        """Return the label, or the predicted value, of each image.

        Parameters
        ----------
        images : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, d), or of n paths
            Images of the shape `image_shape`; files are resized to it.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If the images do not fit, or the file makes embeddings.
        """
        if self.task == "embedding":
            raise ValueError(f"{self.path} makes embeddings. Call `transform`.")
        return _without_objects(self._run(images)[0])

    def predict_proba(self, images):
        """Return the probability of each class.

        Parameters
        ----------
        images : array-like
            As in `predict`.

        Returns
        -------
        ndarray of shape (n, n_classes), float32

        Raises
        ------
        ValueError
            If the images do not fit, or the file has no classes.
        """
        return self.predict_with_proba(images)[1]

    def predict_with_proba(self, images):
        """Return the labels and the probabilities of one run: both are outputs of the network.

        Parameters
        ----------
        images : array-like
            As in `predict`.

        Returns
        -------
        labels : ndarray of shape (n,)
        probabilities : ndarray of shape (n, n_classes), float32

        Raises
        ------
        ValueError
            If the images do not fit, or the file has no classes.
        """
        if self.task != "classification":
            raise ValueError(f"{self.path} has no classes: its task is {self.task!r}.")
        label, proba = self._run(images)
        return _without_objects(label), proba

    def transform(self, images):
        """Return the embedding of each image.

        Parameters
        ----------
        images : array-like
            As in `predict`.

        Returns
        -------
        ndarray of shape (n, d), float32

        Raises
        ------
        ValueError
            If the images do not fit, or the file makes no embeddings.
        """
        if self.task != "embedding":
            raise ValueError(f"{self.path} makes no embeddings: its task is {self.task!r}.")
        return self._run(images)[0]

    def _run(self, images):
        """Return all outputs for all images."""
        source = self._source(images)
        made = []
        for start in range(0, len(source), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(source)))
            made.append(self._session.run(None, {INPUT: self._input(source.read(rows))}))
        return [np.concatenate(parts) for parts in zip(*made, strict=True)]

    def _source(self, images):
        """Return images as a source of arrays of shape (n, H, W, C)."""
        if is_source(images):
            channels = self._place(images.shape[1:]) if is_stored_array(images) else None
            source = read_source(images, self.image_shape, channels)
        else:
            X = np.asarray(images)
            if X.dtype.kind not in "biuf":
                raise ValueError(f"Images must be numbers or paths. Got an array of {X.dtype}.")
            flat = self.image_shape if X.ndim == 2 else None
            layout = read_layout(X.shape[1:], image_shape=flat, channels=self._place(X.shape[1:]))
            if layout.image_shape != self.image_shape:
                raise ValueError(
                    f"{self.path} reads images of shape (C, H, W) = {self.image_shape}, but these "
                    f"are of shape {X.shape[1:]}. Resize them."
                )
            source = as_source(layout.to_channels_last(X))
        if not len(source):
            raise ValueError("There is no image to predict. Give at least one.")
        return source

    def _place(self, row_shape):
        """Return the place of the channels; where both places fit, that of the file's input."""
        n_channels, *sides = self.image_shape
        fits_first = tuple(row_shape) == self.image_shape
        fits_last = tuple(row_shape) == (*sides, n_channels)
        if fits_first and fits_last:
            return "first" if self.layout == "NCHW" else "last"
        return "first" if fits_first else "last"

    def _input(self, images):
        """Return images of shape (n, H, W, C) as the input of the file."""
        if not np.isfinite(images).all():
            raise ValueError("Images hold NaN or infinite values. Replace or leave out these.")
        if self.dtype == "uint8" and images.dtype != np.uint8:
            with np.errstate(invalid="ignore"):
                whole = images.astype(np.uint8)
            if not np.array_equal(whole, images):
                raise ValueError(
                    f"{self.path} reads whole pixels from 0 to 255 (uint8), but these images hold "
                    f"others, of {images.dtype}. Give uint8, or export the network with "
                    "dtype='float32'."
                )
            images = whole
        images = images.astype(self.dtype, copy=False)
        if self.layout == "NHW":
            images = images[..., 0]
        elif self.layout != "NHWC":
            images = np.moveaxis(images, 3, 1)
        if self.layout == "NF":
            images = images.reshape(len(images), -1)
        return np.ascontiguousarray(images)


def _without_objects(values):
    """Return text, which onnxruntime gives as objects, as an array of text; others as they are."""
    return values if values.dtype != object else values.astype(str)
