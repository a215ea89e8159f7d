"""The images of a report, as sources that the page holds itself."""

import base64
import io
from pathlib import PurePath

import numpy as np
from PIL import Image

__all__ = ["gallery_lines", "matrix_picture", "picture_source"]

#: Bytes of an image from which on a JPEG of it is tried, and the quality of that.
MANY_BYTES, QUALITY = 3000, 88

#: Side of an image whose pixels are shown as squares, at most.
FEW_PIXELS = 48

#: The blue of confusion matrices, of which more is seen the larger the fraction.
BLUE = (42, 120, 200)


def picture_source(pixels):
    """Return an image as the source of an HTML image.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8

    Returns
    -------
    str
    """
    image = Image.fromarray(np.squeeze(pixels))
    kind, written = "png", _written(image, "PNG", optimize=True)
    if len(written) > MANY_BYTES and image.mode in ("L", "RGB"):
        smaller = _written(image, "JPEG", quality=QUALITY, subsampling=0)
        if len(smaller) < len(written):
            kind, written = "jpeg", smaller
    return f"data:image/{kind};base64,{base64.b64encode(written).decode()}"


def _written(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def matrix_picture(fractions):
    """Return a confusion matrix as an image whose colour shows on light and on dark paper.

    Parameters
    ----------
    fractions : ndarray of shape (n_classes, n_classes)
        Of the true classes.

    Returns
    -------
    str
        The source of an HTML image, with one pixel for each pair of classes.
    """
    pixels = np.empty((*fractions.shape, 4), np.uint8)
    pixels[..., :3] = BLUE
    # The root makes the few errors visible beside the diagonal.
    pixels[..., 3] = np.rint(255 * np.sqrt(np.clip(fractions, 0, 1)))
    return picture_source(pixels)


def gallery_lines(gallery, files=None):
    """Return the lines of a gallery as a template shows them.

    Parameters
    ----------
    gallery : Gallery
    files : sequence of str, default=None
        The file of each sample that the rows of the gallery are indices of.

    Returns
    -------
    list of dict
        ``label`` and ``pictures``, each with ``source``, ``caption``, ``is_small``, ``file``, which
        is the name of the file or None, and ``path``, which is the whole of it.
    """
    lines = []
    for label, pictures in gallery.pictures.items():
        captions = gallery.captions.get(label, [""] * len(pictures))
        rows = gallery.rows.get(label)
        if files is None or rows is None:
            paths = [None] * len(pictures)
        else:
            paths = [str(files[row]) for row in rows]
        shown = [
            {
                "source": picture_source(pixels),
                "caption": caption,
                "is_small": max(pixels.shape[:2]) <= FEW_PIXELS,
                "file": None if path is None else PurePath(path).name,
                "path": path,
            }
            for pixels, caption, path in zip(pictures, captions, paths, strict=True)
        ]
        lines.append({"label": label, "pictures": shown})
    return lines
