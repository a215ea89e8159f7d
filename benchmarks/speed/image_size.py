"""Time of a training by the size of its images, against that of images of 32 x 32.

The default network is trained for one epoch on random colour images.

    python benchmarks/speed/image_size.py [--images 512] [--repeats 3] [--json FILE]
"""

import warnings

import numpy as np
from harness import Benchmark, parser_of
from sklearn.exceptions import ConvergenceWarning

from skimb.neural_network import CNNClassifier

#: The first one is the baseline.
SIDES = (32, 24, 48, 64, 96, 128)


def training(side, n_images):
    """Return a contender that trains on images of one size."""
    rng = np.random.RandomState(0)
    X = rng.randint(256, size=(n_images, side, side, 3), dtype=np.uint8)
    y = rng.randint(2, size=n_images)
    return lambda: CNNClassifier(max_epochs=1, batch_size=64, random_state=0).fit(X, y)


def main():
    """Add one table."""
    parser = parser_of(__doc__, repeats=3)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    benchmark = Benchmark(arguments)
    n_images = 64 if benchmark.quick else arguments.images
    warnings.simplefilter("ignore", ConvergenceWarning)
    benchmark.compare(
        f"An epoch by the size of its {n_images} images, per image",
        {f"{side} x {side}": training(side, n_images) for side in SIDES},
        per=n_images,
    )


if __name__ == "__main__":
    main()
