"""Tell how often the band of `more_images` covers the score with about twice as many images.

Half of the minority images of each set are hidden. `more_images` sees the others, and its band for
1.8 times as many is compared with the score of networks that are trained on the training part of
each fold and on all hidden images. Test images are the same ones, so the class prior is too.

    python benchmarks/quality/more_images.py FOLDER [--quick] [--features fixed] [--json FILE]

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/; sets that are
not there are left out. Without FOLDER, only scikit-learn's digits are used.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from binary_sets import cats_and_dogs, cifar10, fashion_mnist, solar_cells
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from skimb.neural_network import CNNClassifier
from skimb.study import more_images

#: Visible images of the minority class.
N_MINORITY = 120


def sets(folder, size):
    """Yield the name of a set, its images, and whether each is of the minority class."""
    digits = load_digits()
    images = digits.images.astype(np.uint8)
    for label in (3, 8, 9):
        yield f"digits, {label}", images, digits.target == label
    if folder is None:
        return
    garments = {2: "pullovers", 4: "coats", 6: "shirts", 0: "tops"}
    yield from fashion_mnist(folder, garments)
    yield from cifar10(folder, {1: "cars", 3: "cats", 8: "ships"}, size)
    yield from solar_cells(folder, size)
    yield from cats_and_dogs(folder, size, 3000)


def trial(images, is_minority, *, seed, estimator, features, n_minority, n_majority):
    """Hide half of the minority images; return the forecast, and the score that it is of."""
    rng = np.random.RandomState(seed)
    minority = rng.permutation(np.flatnonzero(is_minority))
    n_minority = min(n_minority, len(minority) // 2)
    majority = rng.permutation(np.flatnonzero(~is_minority))[:n_majority]
    hidden = minority[n_minority : 2 * n_minority]
    rows = np.concatenate([minority[:n_minority], majority])
    X, y = images[rows], is_minority[rows].astype(int)
    result = more_images(
        X, y, label=1, estimator=estimator, features=features, random_state=seed, n_jobs=2
    )
    told = result.forecast(1.8)
    # A training part has four fifths of the visible images: with a fifth of the hidden ones it has
    # as many as are visible, and with all of them 1.8 times as many.
    added = {"before": hidden[: n_minority // 5], "after": hidden}
    scores = {name: [] for name in added}
    folds = StratifiedKFold(5, shuffle=True, random_state=seed + 1000)
    for fold, (train, test) in enumerate(folds.split(X, y)):
        for name, more in added.items():
            parts = (
                np.concatenate([X[train], images[more]]),
                np.append(y[train], np.ones(len(more))),
            )
            for network_seed in (fold, 100 + fold):
                network = CNNClassifier(**estimator.get_params())
                network.set_params(random_state=network_seed).fit(*parts)
                ranked = network.predict_proba(X[test])[:, 1]
                scores[name].append(average_precision_score(y[test], ranked))
    before, after = (float(np.mean(scores[name])) for name in added)
    return told | {"truth": after, "true_gain": after - before}


def main():
    """Print a line for each trial, and the fraction of the truths that the bands cover."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--majority", type=int, default=1200, help="images of the other classes")
    parser.add_argument("--size", type=int, default=28, help="of images other than Fashion-MNIST")
    parser.add_argument("--features", choices=["retrained", "fixed"], default="retrained")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    quick = arguments.quick
    size = (
        {"n_minority": 40, "n_majority": 400}
        if quick
        else {"n_minority": N_MINORITY, "n_majority": arguments.majority}
    )
    estimator = CNNClassifier(max_epochs=2 if quick else arguments.epochs, batch_size=64)
    found = []
    for name, images, is_minority in sets(arguments.folder, arguments.size):
        for seed in range(1 if quick else arguments.seeds):
            start = time.perf_counter()
            told = trial(
                images,
                is_minority,
                seed=seed,
                estimator=estimator,
                features=arguments.features,
                **size,
            )
            covers = told["low"] <= told["truth"] <= told["high"]
            gains = told["gain_low"] <= told["true_gain"] <= told["gain_high"]
            found.append(
                {"set": name, "seed": seed, "covers": covers, "covers_gain": gains, **told}
            )
            print(
                f"{name:<26} {told['score']:.3f} [{told['low']:.3f}, {told['high']:.3f}]  truth "
                f"{told['truth']:.3f} {'in' if covers else 'OUT'}; gain {told['gain']:+.3f} "
                f"[{told['gain_low']:+.3f}, {told['gain_high']:+.3f}]  true "
                f"{told['true_gain']:+.3f} {'in' if gains else 'OUT'}; "
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
    print(
        f"{len(found)} trials: bands cover {np.mean([one['covers'] for one in found]):.0%} of the "
        f"scores, {np.mean([one['covers_gain'] for one in found]):.0%} of the gains"
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
