"""Time of a training by the size of its images, as ratios to images of 32 x 32 in the same run.

The default network is trained for one epoch on random colour images, one size after the other,
several times in turn; the ratio is that of the fastest repeats, in seconds of the processor.

    python benchmarks/speed/image_size.py [--repeats 3] [--images 512]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skimb.neural_network import CNNClassifier

SIDES = (24, 32, 48, 64, 96, 128)


def seconds(side, n_images):
    """Return the seconds of the processor of a training."""
    rng = np.random.RandomState(0)
    X = rng.randint(256, size=(n_images, side, side, 3), dtype=np.uint8)
    y = rng.randint(2, size=n_images)
    start = time.process_time()
    CNNClassifier(max_epochs=1, batch_size=64, random_state=0).fit(X, y)
    return time.process_time() - start


def main():
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    seconds(32, 64)
    found = np.array(
        [[seconds(side, arguments.images) for side in SIDES] for _ in range(arguments.repeats)]
    ).min(axis=0)
    for side, taken in zip(SIDES, found, strict=True):
        times = taken / found[SIDES.index(32)]
        print(
            f"{side:>4} x {side:<4} {1000 * taken / arguments.images:6.2f} ms an image, "
            f"{times:5.2f} times as long as 32 x 32"
        )


if __name__ == "__main__":
    main()
