"""Images of noise for the tests of resamplers."""

from typing import Any

import numpy as np


def images(n=60, shape=(6, 5), dtype: Any = np.uint8, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randint(0, 256, size=(n, *shape)).astype(dtype)
    return X, np.repeat(["many", "few"], [n - n // 4, n // 4])
