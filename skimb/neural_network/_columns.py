"""The columns beside the images: their encoding by an estimator, and the shape of their network."""

from skimb._frame_images import FrameImages, image_columns
from skimb._networks import TableShape
from skimb._table_columns import TableEncoder
from skimb._warnings import warn

__all__ = ["encode_columns", "refuse_other_shape", "table_shape", "warn_of_new_categories"]


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


#: The parameter by which each field of a `TableShape` is set.
SET_BY = {
    "n_images": "image_column",
    "pooling": "image_pooling",
    "width": "table_width",
    "depth": "table_depth",
    "dropout": "table_dropout",
    "embedding": "table_embedding",
}


def refuse_other_shape(estimator, encoder, shape):
    """Refuse parameters by which a trained network would read columns in another way.

    Parameters
    ----------
    estimator : BaseCNN
        An estimator that has read X.
    encoder : TableEncoder or None
        The encoder of the first training.
    shape : TableShape or None
        What the network was built for.

    Raises
    ------
    ValueError
        If one differs; the message names it.
    """
    asked = None if encoder is None else table_shape(estimator, encoder)
    # A network without a shape reads one image a sample.
    fields = SET_BY if asked is not None and shape is not None else ["n_images"]
    for field in fields:
        name = SET_BY[field]
        before, now = (getattr(each, field, 1) for each in (shape, asked))
        if before != now:
            raise ValueError(
                f"`{name}` was changed since the last fit, and warm_start=True continues a network "
                f"that was built for the value before ({field}: {before!r}, now {now!r}). Set it "
                "back, or use warm_start=False."
            )


def table_shape(estimator, encoder=None):
    """Return what a network has to know of the columns beside the images, or None.

    Parameters
    ----------
    estimator : BaseCNN
        An estimator that has read X.
    encoder : TableEncoder, default=None
        The encoding of the columns; None: that of the estimator, if it has one.

    Returns
    -------
    TableShape or None
        None where the network reads images alone, one a sample.
    """
    if encoder is None:
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
