"""Fashion-MNIST from its four official files."""

import gzip

import numpy as np


def read_idx(path):
    """Return the array of an IDX file."""
    content = gzip.decompress(path.read_bytes())
    n_dimensions = content[3]
    header = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:header], dtype=">i4")
    return np.frombuffer(content[header:], dtype=np.uint8).reshape(shape)


def load(folder, part):
    """Return images and labels of "train" or "t10k"."""
    return (
        read_idx(folder / f"{part}-images-idx3-ubyte.gz"),
        read_idx(folder / f"{part}-labels-idx1-ubyte.gz"),
    )
