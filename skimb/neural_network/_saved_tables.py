"""The part of a network that reads columns of a frame: checks at writing and at reading."""

import math

import numpy as np

from skimb._frame_images import image_columns
from skimb._messages import shortened
from skimb._table_columns import TableEncoder

__all__ = ["changed_options", "check_columns_of_file", "check_same_columns"]

#: The attributes of a fitted encoder.
FITTED = ("kinds_", "means_", "scales_", "with_indicator_", "categories_")

#: The kinds of columns.
KINDS = ("numeric", "categorical")

#: The types of categories; None is the missing one.
PLAIN = (str, bool, int, float, type(None))


def check_columns_of_file(holder, *, needs_encoder):
    """Refuse the columns of a file by which no frame could be read, or only wrongly.

    Parameters
    ----------
    holder : object
        The estimator, or the form of X that its net reads, with the attributes of the file.
    needs_encoder : bool
        Whether one that reads frames must have a `TableEncoder`.

    Raises
    ------
    ValueError
        If the columns of images, the names or the encoder do not fit each other.
    """
    state = vars(holder)
    image_column, encoder = state.get("_image_column"), state.get("table_encoder_")
    if image_column is None:
        if encoder is not None:
            raise ValueError("The file holds columns of a frame, but no column of images.")
        return
    images = image_columns(image_column)
    names = state.get("feature_names_in_")
    is_array = isinstance(names, np.ndarray) and names.ndim == 1
    names = list(names) if is_array else []
    are_names = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    if not are_names or not set(images) <= set(names):
        raise ValueError(f"The file holds no columns of a frame with the images {images}.")
    if encoder is None and not needs_encoder:
        return
    if not isinstance(encoder, TableEncoder):
        raise ValueError("The file lacks the encoding of the columns of a frame.")
    _check_encoder(encoder, [name for name in names if name not in images])


def check_same_columns(estimator, read):
    """Refuse a file whose estimator and net read columns in two different ways.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator, whose columns were checked.
    read : NetInput
        The form of X that its net reads, whose columns were checked.

    Raises
    ------
    ValueError
        If they differ.
    """
    if _columns(estimator) != _columns(read):
        raise ValueError("The file holds two different encodings of the columns of a frame.")


def _columns(holder):
    state = vars(holder)
    encoder = state.get("table_encoder_")
    fitted = None if encoder is None else [vars(encoder)[name] for name in FITTED]
    return state.get("_image_column"), fitted


def _check_encoder(encoder, names):
    state = vars(encoder)
    lacking = [name for name in FITTED if name not in state]
    if lacking:
        raise ValueError(f"The file lacks {lacking} of the encoding of columns.")
    kinds, means, scales, with_indicator, categories = (state[name] for name in FITTED)
    if not isinstance(kinds, dict) or list(kinds) != names:
        raise ValueError(f"The file encodes the columns {shortened(kinds)}, but X has {names}.")
    if not all(isinstance(kind, str) and kind in KINDS for kind in kinds.values()):
        raise ValueError(f"The file holds the kinds of columns {shortened(kinds)}, not {KINDS}.")
    numeric, categorical = ([name for name in names if kinds[name] == kind] for kind in KINDS)
    is_dict = isinstance(means, dict) and isinstance(scales, dict)
    if not is_dict or set(means) != set(scales) or not set(means) <= set(numeric):
        raise ValueError(
            f"The file holds means {shortened(means)} and standard deviations {shortened(scales)}, "
            f"and the numeric columns are {numeric}."
        )
    for name in means:
        mean, scale = means[name], scales[name]
        are_floats = type(mean) is float and type(scale) is float
        if not are_floats or not math.isfinite(mean) or not 0 < scale < math.inf:
            raise ValueError(
                f"The file holds the mean {shortened(mean)} and the standard deviation "
                f"{shortened(scale)} of the column {name!r}."
            )
    is_list = isinstance(with_indicator, list)
    if not is_list or [name for name in numeric if name in with_indicator] != with_indicator:
        raise ValueError(
            f"The file holds indicators of {shortened(with_indicator)}, and the numeric columns "
            f"are {numeric}."
        )
    # Their order is that of the embeddings in the network.
    is_dict = isinstance(categories, dict)
    if not is_dict or [name for name in categorical if name in categories] != list(categories):
        raise ValueError(
            f"The file holds categories {shortened(categories)}, and the categorical columns are "
            f"{categorical}."
        )
    for name, levels in categories.items():
        if not isinstance(levels, list) or not all(_is_plain(level) for level in levels):
            raise ValueError(
                f"The file holds the categories {shortened(levels)} of the column {name!r}, which "
                "are no list of plain values."
            )
        if len(levels) < 2 or len(set(levels)) < len(levels):
            raise ValueError(
                f"The file holds the categories {shortened(levels)} of the column {name!r}, which "
                "must be two different ones at least."
            )


def _is_plain(level):
    return type(level) in PLAIN and (type(level) is not float or math.isfinite(level))


def changed_options(shape, tensors):
    """Return the parameters that do not fit the tensors of the part that reads columns.

    It takes no longer than the tensors are many, whatever the sizes that the parameters ask for.

    Parameters
    ----------
    shape : TableShape
        What the parameters ask for.
    tensors : dict of str to Tensor
        The tensors of a `TableNetwork`.

    Returns
    -------
    dict of str to object
        The value of each parameter that was another one in the training.
    """
    sizes = {name: tuple(getattr(values, "shape", ())) for name, values in tensors.items()}
    embeddings = [
        sizes.get(f"embeddings.{place}.weight", (None,)) for place in range(len(shape.n_levels))
    ]
    layers = {
        name: size
        for name, size in sizes.items()
        if name.startswith("layers.") and name.endswith(".weight")
    }
    changed = {}
    lengths = [shape.length_of_embedding(n_levels) for n_levels in shape.n_levels]
    if [size[:1] for size in embeddings] != [(length,) for length in lengths]:
        changed["table_embedding"] = shape.embedding
    if len(layers) != (shape.depth if shape.n_numbers or lengths else 0):
        changed["table_depth"] = shape.depth
    if any(size[:1] != (shape.width,) for size in layers.values()):
        changed["table_width"] = shape.width
    step = 3 if shape.dropout else 2
    if set(layers) != {f"layers.{step * place}.weight" for place in range(len(layers))}:
        # A dropout stands between the layers, so that it changes their numbers.
        changed["table_dropout"] = shape.dropout
    return changed
