"""Where to put a resampler: ``python docs/guide/validation.py`` writes validation.png.

The images are noise, with random labels: nothing can be learned, and the true balanced accuracy is
0.5. The script prints the validation score of each arrangement, and its score on new images.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import METHOD, WRONG
from imblearn.pipeline import Pipeline
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler

mpl.use("agg")
import matplotlib.pyplot as plt


def noise(n, seed):
    """Return images of noise and labels 4:1."""
    rng = np.random.RandomState(seed)
    X = rng.randint(0, 256, size=(n, 6, 6)).astype(np.uint8)
    return X, rng.permutation(np.repeat([0, 1], [n - n // 5, n // 5]))


def network(seed, **params):
    """Return a network that has time to memorise its samples."""
    return CNNClassifier(
        **{
            "early_stopping": True,
            "n_iter_no_change": 100,
            "validation_fraction": 0.3,
            "max_epochs": 12,
            "batch_size": 128,
            "augmentation": None,
            "lr": 3e-3,
            "random_state": seed,
            **params,
        }
    )


def split_by_hand(X, y, seed, sampler):
    """Resample, then split, which is a common mistake."""
    X, y = sampler.fit_resample(X, y)
    X, X_valid, y, y_valid = train_test_split(X, y, test_size=0.3, random_state=seed)
    clf = network(seed, early_stopping=False).fit(X, y)
    return balanced_accuracy_score(y_valid, clf.predict(X_valid)), clf


def inside(X, y, seed, sampler):
    """Resample the training part, inside the estimator."""
    clf = network(seed, sampler=sampler).fit(X, y)
    return clf.history_[-1]["valid_balanced_accuracy"], clf


def in_a_pipeline(X, y, seed, sampler):
    """Resample before the estimator."""
    model = Pipeline([("sampler", sampler), ("clf", network(seed))]).fit(X, y)
    return model[-1].history_[-1]["valid_balanced_accuracy"], model


ARRANGEMENTS = {
    "over-sampling, then a split by hand": (split_by_hand, RandomOverSampler()),
    "SMOTE, then a split by hand": (split_by_hand, SMOTE()),
    "SMOTE() in a Pipeline": (in_a_pipeline, SMOTE()),
    "SMOTE(lazy=True) in a Pipeline": (in_a_pipeline, SMOTE(lazy=True)),
    "RandomOverSampler() in a Pipeline": (in_a_pipeline, RandomOverSampler()),
    "sampler=RandomOverSampler()": (inside, RandomOverSampler()),
    "sampler=SMOTE()": (inside, SMOTE()),
}


def main():
    """Train, print a table in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument(
        "--quick", action="store_true", help="few images and one seed, to see that it runs"
    )
    arguments = parser.parse_args()
    n_seeds, n_images, n_fresh = (1, 200, 100) if arguments.quick else (5, 1500, 3000)
    figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
    print("| arrangement | validation score | true |")
    print("| --- | --- | --- |")
    for place, (name, (arrange, sampler)) in enumerate(ARRANGEMENTS.items()):
        validated, true = [], []
        for seed in range(n_seeds):
            sampler.set_params(random_state=seed)
            score, model = arrange(*noise(n_images, seed), seed, sampler)
            X_test, y_test = noise(n_fresh, 1000 + seed)
            validated.append(score)
            true.append(balanced_accuracy_score(y_test, model.predict(X_test)))
        print(f"| {name} | {np.mean(validated):.2f} | {np.mean(true):.2f} |")
        leaks = np.mean(validated) > 0.6
        ax.barh(place, np.mean(validated) - 0.5, left=0.5, color=WRONG if leaks else METHOD)
        ax.plot(validated, np.full(len(validated), place), "o", color="black", markersize=3)
    ax.set_yticks(range(len(ARRANGEMENTS)), list(ARRANGEMENTS))
    ax.invert_yaxis()
    ax.axvline(0.5, color="black", linewidth=1.2)
    ax.set(xlim=(0.35, 1.0), xlabel="balanced accuracy on the validation part (truth: 0.5)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(arguments.folder / "validation.png", dpi=110)


if __name__ == "__main__":
    main()
