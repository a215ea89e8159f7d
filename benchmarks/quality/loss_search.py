"""Compare the models that a search over heads and a search end to end choose.

Twelve settings (focal gamma 0, 1, 2, 5; class weights none, "sqrt", "balanced"), three folds,
chosen by the F1 of the rarest class; then the F1 of that class on test images, for each seed:

- "GridSearchCV": every candidate trained end to end, the best one again on all rows;
- "two_stage": `LossSearchCV`, a new head on the backbone;
- "end_to_end": `LossSearchCV(final="end_to_end")`, the network from the start with the loss and
  weights that were found over heads;
- "plain": no search, the cross-entropy without weights.

Data: Fashion-MNIST, long-tailed (1000 to 20 images a class, tested on the 10000 official test
images), and scikit-learn's digits, "8" against the rest at 1:20 (tested on 30 %).

    python benchmarks/quality/loss_search.py FOLDER [--seeds 5] [--models plain two_stage]

FOLDER holds the four files of Fashion-MNIST, train-images-idx3-ubyte.gz and so on.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from fashion_mnist import load
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, train_test_split

from skimb.datasets import load_imbalanced_digits, make_long_tailed
from skimb.losses import FocalLoss
from skimb.metrics import imbalance_scoring
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier

MODELS = ["plain", "GridSearchCV", "two_stage", "end_to_end"]

GRID = {
    "loss": [FocalLoss()],
    "loss__gamma": [0, 1, 2, 5],
    "class_weight": [None, "sqrt", "balanced"],
}


def long_tailed_fashion(folder, seed):
    """Return a draw of 1000 to 20 images a class, and the test set."""
    X, y = load(folder, "train")
    rng = np.random.RandomState(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:1000] for k in range(10)])
    X, y = make_long_tailed(X[rows], y[rows], ratio=50, random_state=seed)
    return X, y, *load(folder, "t10k")


def digits(seed):
    """Return the imbalanced digits, split by the seed."""
    X, y = load_imbalanced_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    return X, y, X_test, y_test


def contenders(y, seed):
    """Return the models by name."""
    recipe = {"max_epochs": 10, "batch_size": 128, "augmentation": None}
    network = CNNClassifier(**recipe, random_state=seed)
    common = {"cv": 3, "scoring": imbalance_scoring(y), "refit": "f1_minority"}
    return {
        "plain": network,
        "GridSearchCV": GridSearchCV(network, GRID, **common),
        "two_stage": LossSearchCV(network, GRID, **common),
        "end_to_end": LossSearchCV(network, GRID, final="end_to_end", **common),
    }


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        draws = {
            "digits": digits(seed),
            "Fashion-MNIST": long_tailed_fashion(arguments.folder, seed),
        }
        for data, (X, y, X_test, y_test) in draws.items():
            labels, counts = np.unique(y, return_counts=True)
            rarest = labels[counts.argmin()]
            models = contenders(y, seed)
            for name in arguments.models:
                model = models[name]
                begin = time.perf_counter()
                model.fit(X, y)
                seconds = time.perf_counter() - begin
                predicted = model.predict(X_test)
                chosen = {
                    k: v for k, v in getattr(model, "best_params_", {}).items() if k != "loss"
                }
                rows.append(
                    {
                        "data": data,
                        "seed": seed,
                        "model": name,
                        "f1": f1_score(y_test == rarest, predicted == rarest),
                        "balanced": balanced_accuracy_score(y_test, predicted),
                        "seconds": seconds,
                        "chosen": chosen,
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    print("| data | model | F1 of the rarest class | balanced accuracy | seconds |")
    print("| --- | --- | --- | --- | --- |")
    for data in ("digits", "Fashion-MNIST"):
        for name in arguments.models:
            these = [row for row in rows if row["data"] == data and row["model"] == name]
            columns = {m: [row[m] for row in these] for m in ("f1", "balanced", "seconds")}
            f1, balanced = (
                f"{np.mean(columns[m]):.3f} ± {np.std(columns[m]):.3f}" for m in ("f1", "balanced")
            )
            print(f"| {data} | {name} | {f1} | {balanced} | {np.mean(columns['seconds']):.0f} |")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
