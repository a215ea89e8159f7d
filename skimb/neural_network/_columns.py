"""The columns beside the images: their encoding by an estimator, and the shape of their network."""

from skimb._frame_images import FrameImages, image_columns
from skimb._networks import TableShape
from skimb._table_columns import TableEncoder
from skimb._warnings import warn

__all__ = ["encode_columns", "table_shape", "warn_of_new_categories"]


def encode_columns(estimator, part, held, encoder=None):
    """Encode the columns beside the images as the training part has them.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator; with columns its attribute ``table_encoder_`` is set.
    part, held : Part
        The training part, and the validation part or None; their images are replaced.
    encoder : TableEncoder, default=None
        The encoder of an earlier training, which this one continues.
    """
    if not isinstance(part.images, FrameImages):
        return
    if encoder is None:
        encoder = TableEncoder().fit(part.images.frame)
    else:
        warn_of_new_categories(encoder, part.images)
    estimator.table_encoder_ = encoder
    for each in (part, held):
        if each is not None:
            each.images = each.images.encoded(encoder)


def warn_of_new_categories(encoder, images):
    """Warn where a training goes on with categories for which the network has no embedding.

    Parameters
    ----------
    encoder : TableEncoder
        The encoder of the first training.
    images : ImageSource
        The images of a later training.
    """
    if not isinstance(images, FrameImages):
        return
    for name, new in encoder.new_categories(images.frame).items():
        shown = ", ".join(map(repr, new[:5])) + (" and others" if len(new) > 5 else "")
        warn(
            f"The column {name!r} holds categories that the first training did not have ({shown}). "
            "The network cannot learn them any more: they count as unseen. Let the first training "
            "have all categories, or fit again from the start."
        )


def table_shape(estimator):
    """Return what a network has to know of the columns beside the images, or None.

    Parameters
    ----------
    estimator : BaseCNN
        An estimator that has read X.

    Returns
    -------
    TableShape or None
        None where the network reads images alone, one a sample.
    """
    encoder = getattr(estimator, "table_encoder_", None)
    if encoder is None:
        return None
    shape = TableShape(
        n_images=len(image_columns(estimator._image_column)),
        n_numbers=encoder.n_numbers,
        n_levels=encoder.n_levels,
        pooling=estimator.image_pooling,
        width=int(estimator.table_width),
        depth=int(estimator.table_depth),
        dropout=float(estimator.table_dropout),
        embedding=estimator.table_embedding,
    )
    return shape if shape.n_images > 1 or shape.n_values else None
