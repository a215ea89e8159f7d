"""Images in a form that can be displayed."""

import numpy as np

from skimb._frames import as_pandas
from skimb._image_files import as_paths, is_paths, read_images
from skimb._image_layout import read_layout
from skimb._image_source import ImageSource
from skimb._params import safe_indexing
from skimb._pil_images import is_pil_images, pil_pixels
from skimb._reading import view_of
from skimb._unpacking import unpacked

__all__ = ["displayed_images", "displayed_images_by_label"]


def displayed_images(X, indices, *, image_shape=None, channels=None):
    """Return some images of X in a form that can be displayed.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
        Images; or several columns of paths or arrays in a frame, of which the first is shown.
    indices : array-like of int of shape (m,)
        The indices of the images to return.
    image_shape, channels
        As in `read_layout`; files are resized to `image_shape`, or keep their size.

    Returns
    -------
    list of ndarray of shape (H, W) or (H, W, C), uint8
        Grey images where C is not 3 or 4. Values in [0, 1] or in [0, 255] keep their brightness;
        all others, and dim ones (such as those of 4 bits), are scaled to the range of all returned
        images together.
    """
    X = view_of(as_pandas(X), channels=channels)
    if hasattr(X, "iloc") and X.ndim == 2 and X.dtypes.iloc[0].kind == "O":
        X = X.iloc[:, 0]
    chosen = safe_indexing(X, np.asarray(indices, dtype=np.intp))
    if is_paths(X):
        images = [read_images([path], image_shape=image_shape)[0] for path in as_paths(chosen)]
        deep = [i for i, image in enumerate(images) if image.dtype != np.uint8]
        if deep:
            # Their sizes may differ, but they are scaled together.
            flat = _as_bytes(np.concatenate([images[i].ravel() for i in deep]).astype(np.float64))
            ends = np.cumsum([images[i].size for i in deep])[:-1]
            for i, values in zip(deep, np.split(flat, ends), strict=True):
                images[i] = values.reshape(images[i].shape)
    else:
        is_pil = is_pil_images(chosen)
        channels = "last" if is_pil or isinstance(X, ImageSource) else channels
        chosen = np.asarray(pil_pixels(chosen, image_shape) if is_pil else unpacked(chosen))
        unfolded = image_shape if chosen.ndim == 2 else None
        layout = read_layout(chosen.shape[1:], image_shape=unfolded, channels=channels)
        images = _as_bytes(layout.to_channels_last(chosen).astype(np.float64))
    return [
        image if image.shape[2] in (3, 4) else np.rint(image.mean(axis=2)).astype(np.uint8)
        for image in images
    ]


def displayed_images_by_label(X, indices, **kwargs):
    """Return `displayed_images` by label; all are scaled together.

    Parameters
    ----------
    X : array-like
        Images.
    indices : dict
        The indices of the images for each label.
    **kwargs
        Options of `displayed_images`.

    Returns
    -------
    dict of label to list of ndarray
    """
    everything = [index for chosen in indices.values() for index in chosen]
    shown = iter(displayed_images(X, everything, **kwargs))
    return {label: [next(shown) for _ in chosen] for label, chosen in indices.items()}


def _as_bytes(images):
    if not len(images):
        return images
    low, high = images.min(), images.max()
    if low >= 0:
        low, high = 0, next((top for top in (1, 255) if top / 4 <= high <= top), high)
    return np.rint((images - low) / max(high - low, np.finfo(float).tiny) * 255).astype(np.uint8)
