"""A source of the images of a large lazy view, which are made when they are read."""

import numpy as np

from skimb._image_source import MOST_COPIED, ImageSource, digest
from skimb._lazy_rows import ResampledRows

__all__ = ["ViewImages", "is_large_view"]


def is_large_view(X):
    """Tell whether X is a view of a resampler whose images are made batch by batch.

    Small views, and those of other dtypes than uint8, which have to be checked as a whole, are
    arrays like any others.

    Parameters
    ----------
    X : object
        The images as they were given.

    Returns
    -------
    bool
    """
    is_view = isinstance(X, ResampledRows) and X.dtype == np.uint8
    return is_view and int(np.prod(X.shape, dtype=float)) > MOST_COPIED


class ViewImages(ImageSource):
    """Images of a view that a sampler returned.

    Parameters
    ----------
    lineage : ResampledRows of n rows
        The view.
    layout : ImageLayout
        The way in which a row of the view is read as an image.
    """

    is_in_memory = is_gathered = True

    def __init__(self, lineage, layout):
        self.lineage, self.layout = lineage, layout
        self.image_shape, self.dtype = layout.image_shape, lineage.dtype

    def __len__(self):
        return len(self.lineage)

    def take(self, indices):
        """Return a source of some of the images, and make none of them."""
        return ViewImages(self.lineage[indices], self.layout)

    def batch(self, indices):
        """Make some of the images."""
        return self.layout.to_channels_last(np.asarray(self.lineage[indices]))

    def keys(self):
        """Return digests of the images."""
        return [digest(content) for content in self.contents()]

    def plain_form(self):
        """Return the array."""
        return self.read(slice(None))
