"""Compare the ranking of strategies with shared features with that of networks end to end.

Each set is made imbalanced, has a test set of its own, and is compared twice: end to end, and with
shared features. Three tables are printed:

1. Kendall's tau between both rankings by the F1 of the minority class, over all strategies and over
   those that share features; as a control, tau between two seeds of the comparison end to end; and
   the F1, end to end, that is lost by taking the strategy that is best with shared features;
2. the network as it is against its last layer trained again without a remedy: whether training a
   last layer again moves the F1 by itself;
3. a threshold that is chosen by two networks of halves of the training part, against one that is
   chosen on last layers of parts, whose features have seen all training images.

    python benchmarks/quality/shared_features.py FOLDER [--quick] [--seeds N] [--json FILE]

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/; sets that are
not there are left out. Without FOLDER, only scikit-learn's digits are used.
"""

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from binary_sets import cats_and_dogs, cifar10, divided, fashion_mnist, solar_cells
from scipy.stats import kendalltau
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score

from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.study import compare

STRATEGIES = [
    *("class_weight", "focal", "focal_weighted", "over", "under", "smote_embedding"),
    *("balanced_batches", "logit_adjusted", "threshold", "prior_shift"),
]
METRIC = "f1_minority"


def sets(folder, size):
    """Yield the name of a set, its images, and whether each is of the minority class."""
    if folder is None:
        digits = load_digits()
        yield "digits, 8", digits.images.astype(np.uint8), digits.target == 8
        return
    yield from solar_cells(folder, size)
    yield from cats_and_dogs(folder, size, 6000)
    yield from fashion_mnist(folder, {4: "coats", 6: "shirts"})
    yield from cifar10(folder, {1: "cars", 3: "cats"}, size)


def ranking(data, estimator, n_seeds):
    """Compare the strategies both ways; return how far the rankings agree."""
    X, y, X_test, y_test = data
    result, seconds = {}, {}
    for name in ("end to end", "shared"):
        start = time.perf_counter()
        result[name] = compare(
            X,
            y,
            strategies=STRATEGIES,
            estimator=estimator,
            shared_features=name == "shared",
            X_test=X_test,
            y_test=y_test,
            n_repeats=n_seeds,
            random_state=0,
        )
        seconds[name] = time.perf_counter() - start
    scores = {
        name: pd.DataFrame({each: one.values(each, METRIC) for each in one.strategies}).T
        for name, one in result.items()
    }
    full, shared = (scores[name].mean(axis=1) for name in ("end to end", "shared"))
    on_heads = result["shared"].protocol["shared_features"]
    between_seeds = [
        kendalltau(one, other).statistic
        for one, other in itertools.combinations(scores["end to end"].to_numpy().T, 2)
    ]
    return {
        "tau": kendalltau(full, shared).statistic,
        "tau_of_heads": kendalltau(full[on_heads], shared[on_heads]).statistic,
        "tau_between_seeds": float(np.mean(between_seeds)) if between_seeds else float("nan"),
        "lost": float(full.max() - full[shared.idxmax()]),
        "spread": float(full.max() - full.min()),
        "seconds": seconds,
        "end_to_end": full.to_dict(),
        "shared": shared.to_dict(),
    }


def further_ways(data, estimator, seed):
    """Return the F1 of the network as it is, and with other last layers and thresholds."""
    X, y, X_test, y_test = data
    network = CNNClassifier(**estimator.get_params()).set_params(random_state=seed).fit(X, y)
    frozen = FrozenEstimator(network)
    plain = DecoupledClassifier(frozen, batch_sampling=None, random_state=seed)
    by_halves = TunedOffsetsClassifierCV(estimator, random_state=seed)
    models = {
        "as it is": network,
        "trained again": plain.fit(X, y),
        "threshold by halves": by_halves.tune_fitted(network, X, y),
        "threshold on last layers": TunedOffsetsClassifierCV(plain, cv=5, random_state=seed).fit(
            X, y
        ),
    }
    return {
        name: f1_score(y_test, model.predict(X_test), pos_label="rare")
        for name, model in models.items()
    }


def main():
    """Print a line for each set, and the means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=28, help="of images other than Fashion-MNIST")
    parser.add_argument("--epochs", type=int, help="of each network; by default, the usual rule")
    parser.add_argument("--only", choices=["ranking", "further ways"])
    parser.add_argument("--sets", help="a part of the names of the sets to use; by default, all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    sizes = (60, 600) if arguments.quick else (300, 3000)
    estimator = CNNClassifier(
        max_epochs=arguments.epochs or (4 if arguments.quick else "auto"),
        batch_size=32 if arguments.quick else "auto",
    )
    n_seeds = 2 if arguments.quick else arguments.seeds
    found = {}
    for name, images, is_minority in sets(arguments.folder, arguments.size):
        if arguments.sets is not None and arguments.sets not in name:
            continue
        data = divided(images, is_minority, *sizes)
        found[name] = {"n_minority": int((data[1] == "rare").sum())}
        if arguments.only != "further ways":
            told = found[name]["ranking"] = ranking(data, estimator, n_seeds)
            print(
                f"{name:<22} tau {told['tau']:+.2f}, of heads {told['tau_of_heads']:+.2f}, between "
                f"seeds {told['tau_between_seeds']:+.2f}; F1 lost {told['lost']:.3f} of "
                f"{told['spread']:.3f}; {told['seconds']['shared']:.0f} s, end to end "
                f"{told['seconds']['end to end']:.0f} s",
                flush=True,
            )
        if arguments.only != "ranking":
            ways = pd.DataFrame([further_ways(data, estimator, seed) for seed in range(n_seeds)])
            found[name]["further ways"] = ways.to_dict("list")
            texts = (f"{way} {ways[way].mean():.3f} ± {ways[way].std():.3f}" for way in ways)
            print(f"{name:<22} F1: {', '.join(texts)}", flush=True)
    if arguments.only != "further ways":
        taus = [each["ranking"]["tau"] for each in found.values()]
        print(f"Kendall's tau: {np.nanmean(taus):.2f} on average of {len(taus)} sets")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
