"""Compare `suggest` with other choices of images to label: rare images that are found, and F1.

A network is trained once on a small labelled part of a long-tailed set. In each round, a method
chooses images of a pool by a head (logistic regression on the network's embeddings, which are
computed once), they get their labels, and the head is trained again on all labelled images.
Printed for each method, as means and standard deviations over the seeds: the images of minority
classes that were found (all classes rarer than the mean), macro F1 and F1 of the rarest class on a
balanced test set after the last round.

    python benchmarks/quality/suggest.py --fashion data/fashion_mnist --cats data/cats_dogs
    python benchmarks/quality/suggest.py --fashion data/fashion_mnist --quick

The pool is the rest of the same set, whose labels are hidden.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from fashion_mnist import load
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb.datasets import load_image_folder, make_long_tailed, read_images
from skimb.neural_network import CNNClassifier
from skimb.study import suggest


def fashion(folder, seed, size):
    """Return Fashion-MNIST with ten classes, 50:1, and a balanced test set."""
    X, y = load(folder, "train")
    rows = np.random.RandomState(seed).permutation(len(X))[: 4 * size]
    X, y = make_long_tailed(X[rows], y[rows], ratio=50, random_state=seed)
    return X, y, *load(folder, "t10k")


def cats_and_dogs(folder, seed, size):
    """Return cats and dogs, 1:20, and a balanced test set."""
    rng = np.random.RandomState(seed)
    parts = []
    for part, counts in (
        ("train", {"cat": size // 20, "dog": size}),
        ("validation", {"cat": size // 4, "dog": size // 4}),
    ):
        found = load_image_folder(folder / part)
        labels = np.asarray(found.target)
        paths = np.asarray(found.paths)
        rows = np.concatenate(
            [
                rng.permutation(np.flatnonzero(labels == label))[:count]
                for label, count in counts.items()
            ]
        )
        parts += [read_images(list(paths[rows])), labels[rows]]
    return parts


def by_chance(head, pool, n, rng):
    """Choose at random."""
    return rng.permutation(len(pool))[:n]


def by_least_confidence(head, pool, n, rng):
    """Choose the samples whose most probable class is the least probable."""
    return head.predict_proba(pool).max(axis=1).argsort(kind="stable")[:n]


def by_margin(head, pool, n, rng):
    """Choose the samples whose two most probable classes are nearly as probable."""
    two = np.sort(head.predict_proba(pool), axis=1)[:, -2:]
    return (two[:, 1] - two[:, 0]).argsort(kind="stable")[:n]


def by_suggest(head, pool, n, rng):
    """Choose by `suggest`."""
    found = suggest(head, pool, n=n, random_state=rng.randint(2**31))
    return found.table["row"].to_numpy()


METHODS = {
    "random": by_chance,
    "least confidence": by_least_confidence,
    "margin": by_margin,
    "suggest": by_suggest,
}


def labelled_in_rounds(choose, embedded, y, start, test, *, n, n_rounds, seed):
    """Return the minority images that were found, macro F1 and F1 of the rarest class."""
    rng = np.random.RandomState(seed)
    known = start.copy()
    for _ in range(n_rounds + 1):
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        head.fit(embedded[known], y[known])
        if known.sum() >= start.sum() + n * n_rounds:
            break
        pool = np.flatnonzero(~known)
        known[pool[choose(head, embedded[pool], n, rng)]] = True
    labels, counts = np.unique(y, return_counts=True)
    rare = labels[counts < counts.mean()]
    predicted = head.predict(test[0])
    each = f1_score(test[1], predicted, labels=labels, average=None, zero_division=0)
    return np.isin(y[known & ~start], rare).sum(), each.mean(), each[counts.argmin()]


def main():
    """Label in rounds by each method, and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fashion", type=Path, help="the folder of Fashion-MNIST")
    parser.add_argument("--cats", type=Path, help="the folder of cats_dogs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("-n", type=int, default=40, help="images a round")
    parser.add_argument("--quick", action="store_true", help="few images and steps, one seed")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    size, n_start, epochs = (1200, 200, 2) if arguments.quick else (8000, 400, "auto")
    n_seeds, n_rounds = (1, 2) if arguments.quick else (arguments.seeds, arguments.rounds)
    for name, folder, make in (
        ("fashion_mnist", arguments.fashion, fashion),
        ("cats_dogs", arguments.cats, cats_and_dogs),
    ):
        if folder is None:
            continue
        results = {method: [] for method in METHODS}
        began = time.perf_counter()
        for seed in range(n_seeds):
            X, y, X_test, y_test = make(folder, seed, size)
            start = np.zeros(len(y), dtype=bool)
            start[np.random.RandomState(seed).permutation(len(y))[:n_start]] = True
            for label in np.unique(y):
                # Each class is known, by two images at least.
                start[np.flatnonzero(y == label)[:2]] = True
            network = CNNClassifier(max_epochs=epochs, random_state=seed).fit(X[start], y[start])
            embedded, test = network.embed(X), (network.embed(X_test), y_test)
            for method, choose in METHODS.items():
                results[method].append(
                    labelled_in_rounds(
                        choose,
                        embedded,
                        y,
                        start,
                        test,
                        n=arguments.n,
                        n_rounds=n_rounds,
                        seed=seed,
                    )
                )
        n_labelled = arguments.n * n_rounds
        print(
            f"\n{name}: {n_labelled} images labelled in {n_rounds} rounds, {n_seeds} seeds, "
            f"{time.perf_counter() - began:.0f} s"
        )
        print(f"{'method':18}{'minority found':>18}{'macro F1':>16}{'rarest F1':>16}")
        for method, values in results.items():
            mean, sd = np.mean(values, axis=0), np.std(values, axis=0)
            print(
                f"{method:18}{mean[0]:11.1f} +- {sd[0]:3.1f}"
                f"{mean[1]:9.3f} +- {sd[1]:.3f}{mean[2]:9.3f} +- {sd[2]:.3f}"
            )


if __name__ == "__main__":
    main()
