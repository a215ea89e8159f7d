"""Time of a whole fit on the digits, all that it does included, against skorch and Keras.

The 1797 digits of scikit-learn, 8 x 8, and the defaults of `CNNClassifier`: skorch trains the same
network, for as many epochs of batches as large, on images that were standardised before. Its
second line holds out a fifth and scores it after each epoch, as skorch does by default. Keras
trains the smaller network of epoch.py.

    python benchmarks/speed/fit.py [--device cuda] [--repeats 5] [--json FILE]
"""

import warnings

import numpy as np
import peers
from harness import Benchmark, parser_of, target
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skimb.neural_network import CNNClassifier, SimpleCNN, training_length


def main():
    """Add one table."""
    benchmark = Benchmark(parser_of(__doc__, repeats=5, has_device=True).parse_args())
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.float32)
    standardised = ((X - X.mean()) / X.std())[:, None]
    device, length = benchmark.device, training_length(len(X))
    n_epochs = 1 if benchmark.quick else length.max_epochs

    def skorch(**options):
        def call():
            net = SimpleCNN(1, 10, image_shape=(1, 8, 8))
            own = {"batch_size": length.batch_size, **options}
            return peers.fit_skorch(standardised, y, net, device, n_epochs, **own)

        return call

    contenders = {
        "skorch": skorch(),
        "skorch, a fifth held out": skorch(held_out=True),
        "skorch, whole batches": skorch(whole_batches=True),
        "skimb": lambda: CNNClassifier(max_epochs=n_epochs, device=device, random_state=0).fit(
            X, y
        ),
    }
    if peers.has_keras(device):
        contenders["Keras"] = lambda: peers.fit_keras(
            standardised, y, n_epochs, batch_size=length.batch_size
        )
    benchmark.compare(
        f"A fit on the digits, {n_epochs} epochs with batches of {length.batch_size}",
        contenders,
        targets=[target("skimb", "skorch", 0.8)],
    )


if __name__ == "__main__":
    main()
