"""Does it pay to make images up? Fashion-MNIST with 4000 to 40 images a class, balanced test set.

The counts of the DeepSMOTE paper (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40); every remedy
trains the same network for the same number of gradient steps. Prints the balanced accuracy on the
10000 official test images, mean and standard deviation over the seeds (each with another draw of
the images), and the seconds that a fit takes, resampling included.

    python benchmarks/quality/generative_oversampling.py FOLDER [--seeds 3] [--picture made.png]

FOLDER holds the four files of Fashion-MNIST, train-images-idx3-ubyte.gz and so on.
"""

import argparse
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
from fashion_mnist import load
from sklearn.metrics import balanced_accuracy_score

from skimb.neural_network import CNNClassifier, DecoupledClassifier, DeepSMOTE
from skimb.over_sampling import SMOTE, AugmentedOverSampler, RandomOverSampler

mpl.use("agg")
import matplotlib.pyplot as plt

COUNTS = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)


def draw(X, y, seed):
    """Return a random subset with the counts of the study."""
    rng = np.random.RandomState(seed)
    rows = [rng.permutation(np.flatnonzero(y == k))[:n] for k, n in enumerate(COUNTS)]
    rows = np.sort(np.concatenate(rows))
    return X[rows], y[rows]


def remedies(seed, n_epochs):
    """Return the contenders by name."""
    steps = -(-sum(COUNTS) // 128)

    def network(**params):
        return CNNClassifier(
            max_epochs=n_epochs,
            steps_per_epoch=steps,
            batch_size=128,
            augmentation=None,
            random_state=seed,
            **params,
        )

    return {
        "none": network(),
        "uniform prior": network(target_prior="uniform"),
        "RandomOverSampler": network(sampler=RandomOverSampler()),
        "AugmentedOverSampler": network(sampler=AugmentedOverSampler()),
        "SMOTE in pixels": network(sampler=SMOTE()),
        "DeepSMOTE": network(sampler=DeepSMOTE()),
        "SMOTE in the embedding": DecoupledClassifier(
            network(), sampler=SMOTE(), max_epochs=10, batch_size=128, random_state=seed
        ),
    }


def show(X, y, path):
    """Draw parents and what each generator makes between them, for the rarest classes."""
    generators = [SMOTE(random_state=0), DeepSMOTE(random_state=0)]
    results = [generator.fit_resample(X, y)[0] for generator in generators]
    figure, axes = plt.subplots(4, 12, figsize=(12, 4.4), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for half, (generator, result) in enumerate(zip(generators, results, strict=True)):
        labels = y[generator.parents_[:, 0]]
        for line, k in enumerate((7, 9)):
            # Where the blend is widest, it shows most.
            middle = np.abs(generator.gaps_ - 0.5) + (labels != k) * 9.0
            middle += np.equal(*generator.parents_.T) * 9.0
            for place, row in enumerate(np.argsort(middle, kind="stable")[:4]):
                first, second = generator.parents_[row]
                shown = X[first], result[len(X) + row], X[second]
                for offset, image in enumerate(shown):
                    ax = axes[2 * half + line, 3 * place + offset]
                    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
                    if line == 0:
                        name = type(generator).__name__
                        ax.set_title(("parent", name, "parent")[offset], fontsize=9)
    figure.savefig(path, dpi=100)


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--only", nargs="+", help="names of remedies; all by default")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    X_all, y_all = load(arguments.folder, "train")
    X_test, y_test = load(arguments.folder, "t10k")
    if arguments.picture is not None:
        show(*draw(X_all, y_all, 0), arguments.picture)
    scores, seconds = {}, {}
    for seed in range(arguments.seeds):
        X, y = draw(X_all, y_all, seed)
        models = remedies(seed, arguments.epochs)
        for name in arguments.only or models:
            model = models[name]
            start = time.perf_counter()
            model.fit(X, y)
            seconds.setdefault(name, []).append(time.perf_counter() - start)
            score = balanced_accuracy_score(y_test, model.predict(X_test))
            scores.setdefault(name, []).append(score)
            print(f"seed {seed} {name}: {score:.4f}, {seconds[name][-1]:.0f} s", flush=True)
    print("| remedy | balanced accuracy | seconds a fit |")
    print("| --- | --- | --- |")
    for name, values in scores.items():
        print(
            f"| {name} | {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} | "
            f"{np.mean(seconds[name]):.0f} |"
        )


if __name__ == "__main__":
    main()
