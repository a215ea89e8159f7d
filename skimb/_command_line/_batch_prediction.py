"""Predictions batch by batch, in which a broken image does not cost the others."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from tqdm import tqdm

from skimb._command_line._image_lists import batches
from skimb._command_line._progress_lines import with_lines
from skimb._drawn_text import visible_text
from skimb._image_decoding import decode, look, strict
from skimb._messages import counted

__all__ = ["Prediction", "predictions", "with_bar"]

#: Images of a batch at most, and bytes of their pixels.
MOST_IMAGES, MOST_BYTES = 256, 2**26


@dataclass
class Prediction:
    """The prediction of one image.

    Parameters
    ----------
    file : str
    value : label or float, default=None
        None: there is an error.
    proba : ndarray of shape (n_classes,), default=None
        The probability of each class, where there are classes.
    error : str, default=""
    features : ndarray of shape (d,), default=None
        The embedding, where it was asked for and the model has one.
    key : str, default=None
        Equal for images of equal pixels, where features were asked for.
    """

    file: str
    value: Any = None
    proba: Any = None
    error: str = ""
    features: Any = None
    key: Any = None


def predictions(model, files, *, resizes, embed=None):
    """Predict images, and yield each result in the order of the files.

    Parameters
    ----------
    model : FittedModel
    files : iterable of str
        It is read as far as it is needed.
    resizes : bool
        Whether images of another size than the model's are resized; otherwise they are an error.
    embed : callable, default=None
        A function of images that returns their embedding, or None where there is none.

    Yields
    ------
    Prediction
    """
    n_bytes = int(np.prod(model.image_shape)) * np.dtype(model.facts.get("dtype", "u1")).itemsize
    size = int(np.clip(MOST_BYTES // max(1, n_bytes), 1, MOST_IMAGES))
    # The threads of the standard library wait without polling, as those of joblib do not.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        for batch in batches(files, size):
            yield from _predicted(model, batch, resizes, pool, embed)


def _predicted(model, batch, resizes, pool, embed):
    """Return the predictions of one batch."""
    with strict():
        read = list(pool.map(lambda file: _read(file, model, resizes), batch))
    found = [Prediction(file, error=why) for file, (_, why) in zip(batch, read, strict=True)]
    # Nearly always all files have one depth.
    kinds: dict[Any, list[int]] = {}
    for i, (pixels, _) in enumerate(read):
        if pixels is not None:
            kinds.setdefault(pixels.dtype, []).append(i)
    for rows in kinds.values():
        _predict(model, np.stack([read[i][0] for i in rows]), [found[i] for i in rows], embed)
    return found


def with_bar(found, total, what):
    """Return the same iterable with a progress bar on a terminal, and with lines elsewhere.

    Parameters
    ----------
    found : iterable
    total : int or None
    what : str
        The data, for the first line.

    Returns
    -------
    iterable
    """
    if sys.stderr.isatty():
        return tqdm(found, total=total, unit="image")
    n_images = "the images" if total is None else counted(total, "image")
    return with_lines(found, total, f"predicting {n_images} of {visible_text(what)}")


def _read(file, model, resizes):
    """Return the pixels of a file and an empty str, or None and the reason."""
    if not file:
        return None, "no file name"
    try:
        _, height, width = model.image_shape
        if not resizes:
            _, *sides = look(file)
            if sides != [height, width]:
                return None, (
                    f"it is {sides[1]}x{sides[0]} (width x height), and the model reads "
                    f"{width}x{height}" + (f" (--size {width} resizes)" if width == height else "")
                )
        pixels, _ = decode(file, model.image_shape)
        known = model.facts.get("dtype")
        if known is not None and (known == "uint8") != (pixels.dtype == np.uint8):
            came = "8" if pixels.dtype == np.uint8 else "more than 8"
            wanted = "8" if known == "uint8" else "more"
            return None, f"it has {came} bits per channel, and the model reads {wanted}"
        return pixels, ""
    # Whatever a broken file does to a decoder, the others are done.
    except Exception as exc:
        return None, _words(exc)


def _predict(model, images, found, embed):
    """Fill predictions in; where a batch fails, its halves are predicted apart."""
    try:
        predicted, proba = model.predict(images)
        if model.task == "regression" and not np.isfinite(predicted).all():
            raise ValueError("the prediction is not finite")
        embedded = None if embed is None else embed(images)
    except Exception as exc:
        if len(found) == 1:
            found[0].error = _words(exc)
            return
        half = len(found) // 2
        _predict(model, images[:half], found[:half], embed)
        _predict(model, images[half:], found[half:], embed)
        return
    for i, prediction in enumerate(found):
        prediction.value = np.asarray(predicted[i]).item()
        prediction.proba = None if proba is None else proba[i]
        if embed is not None:
            prediction.features = None if embedded is None else embedded[i]
            prediction.key = blake2b(images[i].tobytes(), digest_size=16).hexdigest()


def _words(exc):
    text = " ".join(str(exc).split())
    if isinstance(exc, ValueError | OSError) and text:
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
