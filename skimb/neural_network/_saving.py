"""Files of fitted estimators: safetensors and JSON, from which no code is run."""

import os
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn.utils.validation import check_is_fitted

import skimb
from skimb._archives import Decoder, Encoder, read_archive, write_archive
from skimb._files import why_not_writable
from skimb._warnings import warn
from skimb.neural_network._saved_reader import Reader, entries_of
from skimb.neural_network._saved_writer import Writer

__all__ = ["load", "read_metadata", "save"]

#: The kind of these files.
KIND = "model"

#: The entries of a file.
ENTRIES = ("skimb", "sklearn", "metadata", "handed_in", "left_out", "model")


def save(
    fitted: Any, path: str | os.PathLike[str], *, metadata: dict[str, Any] | None = None
) -> None:
    """Write a fitted estimator to a file, from which `load` makes it again without running code.

    The file is one of safetensors, with JSON in its header and a checksum over everything. It holds
    the network, all fitted attributes and the parameters, but no images and no labels of samples.
    It may be any estimator of skimb, and a fitted `Pipeline`, `CalibratedClassifierCV`,
    `TunedThresholdClassifierCV`, `FixedThresholdClassifier` or another estimator of scikit-learn
    around it. A search (`GridSearchCV`, `LossSearchCV`) is saved by its ``best_estimator_``, which
    is what `load` returns.

    These are not written, with a warning that names them: parameters that only a new fit reads, if
    they are functions or objects of other packages (`net_callbacks`, `lr_schedule`, `scoring`,
    `sampler`, ...), and paths (`cache`, `memory`, `checkpoint`). They come back as defaults. A
    `module`, `loss` or `augmentation` of your own is given to `load`.

    Parameters
    ----------
    fitted : estimator
        A fitted estimator.
    path : str or Path
        The file. One that exists is replaced, but only by a complete one.
    metadata : dict, default=None
        Plain values of your own, such as the names of the classes, which `read_metadata` returns.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If a part of it cannot be written. Then nothing is.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read the file.
    read_metadata : Read only the metadata.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier, load, read_metadata, save
    >>> X, y = np.random.RandomState(0).rand(40, 8, 8), np.arange(40) % 4 // 3
    >>> clf = CNNClassifier("linear", max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skimb"
    ...     save(clf, path, metadata={"classes": ["cat", "dog"]})
    ...     again = load(path)
    ...     read_metadata(path)
    {'classes': ['cat', 'dog']}
    >>> np.array_equal(clf.predict_proba(X), again.predict_proba(X))
    True
    """
    check_is_fitted(fitted)
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"`metadata` must be a dict of plain values. Got {metadata!r}.")
    path = Path(path)
    if reason := why_not_writable(path):
        raise OSError(f"{path} cannot be written: {reason}.")
    own, writer = Encoder(), Writer()
    try:
        described = own.encode(metadata, "metadata")
    except ValueError as exc:
        raise ValueError(f"`metadata` must hold plain values only. {exc}") from exc
    try:
        model = writer.write(fitted, "model")
    except ValueError as exc:
        raise ValueError(
            f"This {type(fitted).__name__} cannot be saved, and nothing was written. {exc}"
        ) from exc
    document = {
        "skimb": skimb.__version__,
        "sklearn": sklearn.__version__,
        "metadata": described,
        "handed_in": writer.handed_in,
        "left_out": writer.left_out,
        "model": model,
    }
    write_archive(path, KIND, document, {**own.arrays, **writer.encoder.arrays})
    _warn_of_left_out(writer.left_out)


def _warn_of_left_out(left_out):
    if left_out:
        warn(
            "These parameters, which only a new fit reads, are not in the file, and an estimator "
            f"that is loaded has their defaults: {'; '.join(left_out)}. Set them before a new fit."
        )


def load(
    path: str | os.PathLike[str],
    *,
    module: Any = None,
    loss: Any = None,
    augmentation: Any = None,
    classes: Any = (),
) -> Any:
    """Read a fitted estimator from a file of `save`; no code of the file is run.

    Only estimators of skimb, scikit-learn and imbalanced-learn are made, and networks by their own
    constructors. The network is on the device of its estimator if there is such a device here, and
    on the CPU otherwise, with a warning.

    Parameters
    ----------
    path : str or Path
        The file.
    module, loss, augmentation : object, default=None
        The objects of your own that the estimator was fitted with, which are not in the file; the
        error names those that are needed. `module` may be an instance, a class or a function, as
        in `CNNClassifier`; its weights are those of the file.
    classes : sequence of type, default=()
        Classes of your own that the file holds objects of. Such a class has a method
        ``to_saved()``, which returns a dict of plain values and of objects that can be saved, and a
        class method ``from_saved(state)``, which makes an object of this dict. Subclasses of
        `CNNClassifier`, `CNNRegressor` and `CNNEmbedder` need no such methods.

    Returns
    -------
    estimator
        An estimator of the class that was saved; for a search its best estimator.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is damaged, was written by a later version, or needs an object that
        is not given.

    Warns
    -----
    InconsistentVersionWarning
        If another version of scikit-learn wrote estimators of scikit-learn that it holds.

    See Also
    --------
    save : Write such a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from torch import nn
    >>> from skimb.neural_network import CNNClassifier, load, save
    >>> def my_network(in_channels, n_outputs):
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * 64, n_outputs))
    >>> X, y = np.random.RandomState(0).rand(40, 8, 8), np.arange(40) % 4 // 3
    >>> clf = CNNClassifier(my_network, max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skimb"
    ...     save(clf, path)
    ...     again = load(path, module=my_network)
    >>> np.array_equal(clf.predict_proba(X), again.predict_proba(X))
    True
    """
    path = Path(path)
    document, arrays = read_archive(path, KIND)
    given = {"module": module, "loss": loss, "augmentation": augmentation}
    try:
        _check_document(document)
        _check_given(document["handed_in"], given)
        reader = Reader(
            arrays,
            handed_in=given,
            asked={entry["role"] for entry in document["handed_in"]},
            classes=classes,
            version=document["sklearn"],
        )
        _metadata(document, reader.decoder)
        # Tensors made in inference mode could not train on.
        with torch.inference_mode(False), torch.enable_grad():
            model = reader.read(document["model"])
        reader.refuse_unused()
        check_is_fitted(model)
    except Warning:
        raise
    # Constructors raise errors of many types for values that they do not expect.
    except Exception as exc:
        reason = str(exc) or type(exc).__name__
        raise ValueError(f"{path} cannot be loaded. {reason}") from exc
    _warn_of_left_out(document["left_out"])
    return model


def _check_document(document):
    """Refuse a document that has other entries."""
    *_, version, _, handed_in, left_out, _ = entries_of(document, *ENTRIES)
    for entry in handed_in if isinstance(handed_in, list) else [None]:
        if not all(isinstance(text, str) for text in entries_of(entry, "role", "used", "place")):
            raise ValueError(f"It does not say what is handed in: {entry!r}.")
    is_list = isinstance(left_out, list) and all(isinstance(text, str) for text in left_out)
    if not is_list or not isinstance(version, str):
        raise ValueError("It does not say what was left out, or which scikit-learn wrote it.")


def _metadata(document, decoder):
    metadata = decoder.decode(document["metadata"])
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"Its metadata are no dict: {metadata!r}.")
    return metadata


def _check_given(wanted, given):
    """Refuse a call that lacks objects of the user's own, and name them."""
    lacking = [entry for entry in wanted if given.get(entry["role"]) is None]
    if lacking:
        named = "; ".join(f"`{entry['place']}` was {entry['used']}" for entry in lacking)
        roles = ", ".join(f"{role}=..." for role in sorted({entry["role"] for entry in lacking}))
        raise ValueError(
            f"It needs objects that are not skimb's own, and so are not in the file: {named}. "
            f"Give them: load(path, {roles})."
        )


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the metadata of a file of `save`, without building the estimator.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict or None

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is damaged, or was written by a later version.

    See Also
    --------
    save : Write such a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier, read_metadata, save
    >>> X, y = np.random.RandomState(0).rand(40, 8, 8), np.arange(40) % 4 // 3
    >>> clf = CNNClassifier("linear", max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skimb"
    ...     save(clf, path, metadata={"size": (8, 8)})
    ...     read_metadata(path)
    {'size': (8, 8)}
    """
    path = Path(path)
    document, arrays = read_archive(path, KIND)
    try:
        _check_document(document)
        return _metadata(document, Decoder(arrays))
    except ValueError as exc:
        raise ValueError(f"{path} cannot be read. {exc}") from exc
