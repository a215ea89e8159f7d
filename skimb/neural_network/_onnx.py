"""export_onnx: a fitted network, with all that predictions need, in one file without Python."""

import json
import logging
import os
import warnings
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import skimb
from skimb._files import replacing, why_not_writable
from skimb._image_source import as_source
from skimb._onnx_models import FORMAT, INPUT, LAYOUTS, TASKS, OnnxModel, seal, sealing_entry
from skimb._process import exclusive
from skimb.neural_network._onnx_modules import Pixels, Unstandardized
from skimb.neural_network._onnx_steps import steps_of

__all__ = ["export_onnx"]

#: The dtypes of an input.
DTYPES = ("uint8", "float32")

#: The largest size of a file of ONNX, and what the graph takes apart from the numbers.
MOST_BYTES, GRAPH_BYTES = 2**31 - 1, 2**24

#: The largest difference between a probability of the file and of the estimator.
TOLERANCE = 1e-4

#: The factor by which it may be larger where the estimator predicts on a GPU, which computes
#: convolutions with fewer digits (TF32); the file is run on the CPU.
ON_GPU = 100

#: Libraries whose loggers write about operators that are not installed, and whole graphs where an
#: export fails.
TALKATIVE = ("torch", "onnxscript", "onnx_ir")

#: The number of images on which a file is compared with the estimator, and that of a batch.
N_COMPARED, N_BATCH = 7, 3


def export_onnx(
    fitted: Any,
    path: str | os.PathLike[str],
    *,
    metadata: dict[str, Any] | None = None,
    dtype: Any = "auto",
) -> None:
    """Write a fitted network with all that predictions need into an ONNX file.

    The file is one graph from images to labels and probabilities: standardisation, network,
    test-time augmentation, class prior, temperature, offsets or threshold. It runs without skimb,
    torch and scikit-learn wherever ONNX runs. Afterwards it is compared with the estimator on a few
    images, where onnxruntime is installed. The estimator is not changed.

    Parameters
    ----------
    fitted : estimator
        A fitted `CNNClassifier`, `CNNRegressor`, `CNNEmbedder` or `DecoupledClassifier` (with a
        head by name, or `LogisticRegression`). Or one in a wrapper: `TunedOffsetsClassifierCV`,
        scikit-learn's `TunedThresholdClassifierCV`, `FixedThresholdClassifier` and
        `FrozenEstimator`, any wrapper with a method ``decision_rule`` (see `DecisionRule`),
        `SpreadCorrectedRegressor`, a fitted search, or a Pipeline in which nothing else acts at
        prediction. A `CNNEmbedder` may be followed by `StandardScaler` and by a classifier of this
        list or `LogisticRegression`.
    path : str or Path
        The file. An existing file is replaced once the new one is complete.
    metadata : dict, default=None
        Values of your own, as JSON can write them, such as where the images came from. They are
        the entry ``"facts"`` of the file's metadata.
    dtype : {"auto", "uint8", "float32"}, default="auto"
        The dtype of the input. ``"auto"``: ``"uint8"`` where the network was fitted on uint8,
        otherwise ``"float32"``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ImportError
        If onnx or onnxscript is not installed.
    ValueError
        If this estimator cannot be exported (because it reads frames, for example), torch cannot
        export its network, the file would be larger than 2 GB or cannot be written, or its results
        differ from those of the estimator.

    Notes
    -----
    The input ``images`` has the axes of the X of `fit`: (n, H, W), (n, H, W, C), (n, C, H, W) or
    (n, d). For files it is (n, H, W, C), the decoded and resized images. n may be any number.

    The outputs of a classifier are ``label`` of shape (n,), which holds the labels themselves
    (strings, int64, bool or float64), and ``probabilities`` of shape (n, n_classes), float32. That
    of a regressor is ``prediction`` of shape (n,), float64, in the unit of y. That of an embedder
    is ``embedding`` of shape (n, d), float32.

    The metadata of the file are strings: ``task`` ("classification", "regression", "embedding"),
    ``classes`` (JSON), ``image_shape`` (JSON, ``[C, H, W]``), ``layout`` ("NHW", "NHWC", "NCHW" or
    "NF"), ``value_range`` (JSON), ``skimb_version``, ``skimb_format``, ``skimb_sha256``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import onnxruntime
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, export_onnx
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "digits.onnx")
    ...     export_onnx(clf, path)
    ...     session = onnxruntime.InferenceSession(path)
    >>> label, probabilities = session.run(None, {"images": X[:4]})
    >>> bool(abs(probabilities - clf.predict_proba(X[:4])).max() < 1e-4)
    True
    """
    if dtype not in ("auto", *DTYPES):
        raise ValueError(f"`dtype` must be 'auto', 'uint8' or 'float32'. Got {dtype!r}.")
    path = Path(os.fspath(path))
    reason = why_not_writable(path)
    if reason is None and path.exists() and not path.is_file():
        reason = "it is not a regular file"
    if reason is not None:
        raise ValueError(f"`path`={str(path)!r} cannot be written: {reason}.")
    steps = steps_of(fitted)
    _refuse_columns(steps.source)
    _check_labels(steps.classes)
    facts = _facts(metadata)
    onnx = _import_onnx()
    layout, seen = _input_form(steps.source)
    dtype = seen if dtype == "auto" else dtype
    image_shape = steps.source.image_shape_
    graph = nn.Sequential(Pixels(layout, image_shape), *steps.complete()).eval()
    _refuse_large(graph)
    model = _traced(graph, layout, dtype, image_shape, steps.task)
    if steps.task == "classification":
        _name_labels(onnx, model, steps.classes)
    _describe(model, steps, layout, image_shape, facts)
    data = seal(model.SerializeToString())
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        _compare(fitted, steps, temporary, dtype)


def _refuse_columns(source):
    """Refuse networks that read more than one image a sample."""
    column = getattr(source, "_image_column", None)
    if column is not None:
        raise ValueError(
            f"This {type(source).__name__} reads frames (`image_column`={column!r}), and an "
            "exported file reads images alone. Write it with skimb.neural_network.save, or fit an "
            "estimator on the images alone and export that."
        )


def _input_form(source):
    """Return the axes and the dtype of the X that an estimator was fitted on."""
    form = getattr(source, "_input_form", None)
    if isinstance(form, tuple) and len(form) == 2 and form[0] in LAYOUTS and form[1] in DTYPES:
        return form
    # An estimator that an earlier version fitted has not kept them.
    return "NF" if source._fitted_on_rows else "NHWC", "float32"


def _import_onnx():
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as exc:
        raise ImportError(
            f"`export_onnx` needs the package {exc.name!r}, which is not installed. Install "
            "skimb's extra: pip install 'skimb[onnx]'."
        ) from exc
    return onnx


def _check_labels(classes):
    """Refuse labels that are no Unicode, as names of files that were not UTF-8 are."""
    for label in [] if classes is None else map(str, classes):
        try:
            label.encode()
        except UnicodeEncodeError as exc:
            raise ValueError(
                f"The label {label!r} is no valid Unicode text, and a file of ONNX can hold no "
                "other. Rename the class and fit again."
            ) from exc


def _refuse_large(graph):
    tensors = (*graph.parameters(), *graph.buffers())
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if n_bytes > MOST_BYTES - GRAPH_BYTES:
        raise ValueError(
            f"The network holds {n_bytes / 1e9:.1f} GB of numbers, and a file of ONNX at most 2 "
            "GB. Take a smaller network."
        )


# ------------------------------------------------------------------------------ the graph


def _traced(graph, layout, dtype, image_shape, task):
    """Return the graph as a model of ONNX, for any number of images."""
    n_channels, height, width = image_shape
    sides = {"H": height, "W": width, "C": n_channels, "F": n_channels * height * width}
    example = torch.zeros(2, *(sides[axis] for axis in layout[1:]), dtype=getattr(torch, dtype))
    try:
        with _undisturbed():
            # Where it fails, it prints a part of the graph.
            with redirect_stderr(StringIO()):
                exported = torch.export.export(
                    graph, (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
                )
            program = torch.onnx.export(
                exported,
                (example,),
                input_names=[INPUT],
                output_names=list(TASKS[task]),
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        return _with_named_axis(program.model_proto)
    # The exporter, and a user's module, may raise anything.
    except Exception as exc:
        cause = exc
        while cause.__cause__ is not None:
            cause = cause.__cause__
        text = str(cause).strip().partition("\n")[0]
        raise ValueError(
            "torch cannot export this network for any number of images. The forward pass may have "
            "no branches that depend on values, and no fixed number of images. "
            f"{type(cause).__name__}: {text:.500}"
        ) from exc


def _with_named_axis(model):
    """Return a model whose number of images has the name "n"."""
    graph = model.graph
    name = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    # Shapes of values between are optional.
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param == name:
                side.dim_param = "n"
    return model


@contextmanager
def _undisturbed():
    """Restore the state of the process, and silence the exporter's notes to its developers."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    for name, logger in list(logging.root.manager.loggerDict.items()):
        # A level of their own would let them write.
        if name.startswith(TALKATIVE) and isinstance(logger, logging.Logger) and logger.level:
            loggers.append(logger)
    levels = [logger.level for logger in loggers]
    with (
        exclusive(),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _name_labels(onnx, model, classes):
    """Let the first output be the labels themselves, and not their positions."""
    kinds = onnx.TensorProto
    values = _plain_labels(classes)
    kind, values = {
        str: (kinds.STRING, [str(value).encode() for value in values]),
        bool: (kinds.BOOL, values),
        int: (kinds.INT64, values),
        float: (kinds.DOUBLE, values),
    }[type(values[0])]
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = ["skimb_index" if name == "label" else name for name in names]
    graph.initializer.append(onnx.helper.make_tensor("skimb_labels", kind, [len(values)], values))
    graph.node.append(onnx.helper.make_node("Gather", ["skimb_labels", "skimb_index"], ["label"]))
    n_samples = graph.output[0].type.tensor_type.shape.dim[0].dim_param
    graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("label", kind, [n_samples]))


def _plain_labels(classes):
    """Return labels as a list of str, bool, int or float."""
    labels = np.asarray(classes).tolist()
    kinds = {type(label) for label in labels}
    return (
        labels if len(kinds) == 1 and kinds <= {str, bool, int, float} else list(map(str, labels))
    )


def _facts(metadata):
    """Return the metadata of the caller as JSON, or None where there are none."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise ValueError(f"`metadata` must be a dict. Got {metadata!r}.")
    try:
        return json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(
            f"`metadata` must hold values that JSON can write: {exc}. Use text, finite numbers, "
            "True, False, None, and lists and dicts of these."
        ) from exc


def _describe(model, steps, layout, image_shape, facts):
    """Write the metadata of the file."""
    low, high = steps.source.value_range_
    entries = {
        "skimb_format": FORMAT,
        "skimb_version": skimb.__version__,
        "task": steps.task,
        "image_shape": json.dumps([int(side) for side in image_shape]),
        "layout": layout,
        "value_range": json.dumps([float(low), float(high)]),
    }
    if steps.classes is not None:
        entries["classes"] = json.dumps(_plain_labels(steps.classes))
    if facts is not None:
        entries["facts"] = facts
    model.producer_name, model.producer_version = "skimb", skimb.__version__
    del model.metadata_props[:]
    for key, value in (*entries.items(), sealing_entry()):
        model.metadata_props.add(key=key, value=value)


# ------------------------------------------------------------------------- the comparison


def _compare(fitted, steps, path, dtype):
    """Refuse a file whose results differ from those of the estimator on a few images."""
    try:
        model = OnnxModel(path, batch_size=N_BATCH)
    except ImportError:
        return
    except ValueError as exc:
        raise ValueError(
            f"onnxruntime cannot run the exported network, so nothing was written: {exc.__cause__}"
        ) from exc
    source = as_source(_some_images(steps.source, dtype))
    tolerance = TOLERANCE * (1 if steps.device.type == "cpu" else ON_GPU)
    with warnings.catch_warnings():
        # Images of noise may lie beyond those of the training.
        warnings.simplefilter("ignore")
        if steps.task == "embedding":
            found, wanted = model.transform(source), fitted.transform(source)
            size = float(np.abs(wanted).max())
            _refuse_difference(found, wanted, "embeddings", tolerance * size)
        elif steps.task == "regression":
            found, wanted = model.predict(source), fitted.predict(source)
            scale: Any = next(one.scale for one in steps.modules if isinstance(one, Unstandardized))
            size = max(float(scale), float(np.ptp(wanted)))
            _refuse_difference(found, wanted, "predictions", tolerance * size)
        else:
            found, wanted = model.predict_proba(source), fitted.predict_proba(source)
            _refuse_difference(found, wanted, "probabilities", tolerance)
            differ = model.predict(source) != np.array(_plain_labels(fitted.predict(source)))
            if np.any(differ & ~_is_close_call(steps, source, 10 * tolerance)):
                raise _differs("labels", f"{differ.sum()} of {N_COMPARED}")


def _some_images(source, dtype):
    """Return images of noise and even images, with values in the range of the training."""
    low, high = source.value_range_
    n_channels, height, width = source.image_shape_
    rng = np.random.RandomState(0)
    images = rng.uniform(size=(N_COMPARED, height, width, n_channels))
    images[::2] = images[::2].mean((1, 2), keepdims=True) + (images[::2] - 0.5) / 4
    images[0] = 0.5
    images = low + (high - low) * images.clip(0, 1)
    return images.clip(0, 255).astype(np.uint8) if dtype == "uint8" else images.astype(np.float32)


def _refuse_difference(found, wanted, what, tolerance):
    difference = np.abs(found - wanted).max()
    # A result that is not finite is a difference too.
    if not difference <= tolerance:
        raise _differs(what, f"{difference:.3g}, where at most {tolerance:.3g} is due to rounding")


def _differs(what, by):
    return ValueError(
        f"The exported network does not give the {what} of the estimator: they differ by {by}. "
        "Nothing was written. Its forward pass may depend on something that an exported graph "
        "cannot hold, such as the number of images, or random numbers."
    )


def _is_close_call(steps, source, margin):
    """Return for each image whether rounding may change its label."""
    with torch.no_grad():
        values = torch.from_numpy(np.moveaxis(np.asarray(source), 3, 1)).float()
        for module in steps.modules:
            values = module(values)
    log_proba = values.numpy()
    for rule in steps.rules[:-1]:
        log_proba = rule.log_probabilities(log_proba)
    decide = steps.rules[-1].decide if steps.rules else lambda rows: rows.argmax(axis=1)
    steady = np.ones(len(log_proba), dtype=bool)
    for move in (*np.eye(log_proba.shape[1]), *-np.eye(log_proba.shape[1])):
        steady &= decide(log_proba + margin * move) == decide(log_proba)
    return ~steady
