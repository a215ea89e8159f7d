"""Compare AutoBalance with logit adjustment: planted classes, and long-tailed Fashion-MNIST.

Balanced error on test data, for each seed:

- "plain": the network, trained by cross-entropy;
- "tau = 1": its probabilities after logit adjustment of strength 1;
- "tau grid": after that of the best strength of 0, 0.25, ..., 3, chosen on held-out folds;
- "tau grid, new head": the same for a new last layer, trained as that of AutoBalance is;
- "head": `AutoBalanceClassifier`, which searches over the last layer on the same folds;
- "end_to_end": `AutoBalanceClassifier(search="end_to_end")`.

"taken" is how often AutoBalance took its own numbers, and not logit adjustment. "difference" is the
mean of the paired differences to the tau grid, with the 95 % interval of Student's t. "search" is
the time of the search over heads as a fraction of that of the plain network; the networks of the
folds are not part of it.

Planted: three classes of Gaussian points for a linear network. The common classes have 1500 samples
each; one of them is hard, because a part of it lies far behind the other one. The minority class
has 60 samples and is easy. No strength of the logit adjustment moves the two common classes
against each other.

Fashion-MNIST: 6000 to 60 images a class, tested on the 10000 official test images. One seed takes
about ten trainings.

    python benchmarks/quality/autobalance.py [FOLDER] [--device cuda] [--seeds 5] [--quick]

FOLDER holds the four files of Fashion-MNIST, train-images-idx3-ubyte.gz and so on; without it, only
the planted classes are run.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from fashion_mnist import load
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score

from skimb.model_selection import AutoBalanceClassifier
from skimb.neural_network import CNNClassifier

COUNTS = [6000, 3596, 2156, 1292, 774, 464, 278, 166, 100, 60]
METHODS = ["plain", "tau = 1", "tau grid", "tau grid, new head", "head", "end_to_end"]


def planted(counts, seed):
    """Return points of a common hard class, a common easy one and an easy minority class."""
    rng = np.random.RandomState(seed)
    hard, easy, rare = (0.6 * rng.randn(n, 4) for n in counts)
    hard[:, 0] += np.where(rng.rand(len(hard)) < 0.1, -6.0, 1.5)
    rare[:, 1] += 3.5
    X = np.concatenate([hard, easy, rare]).astype(np.float32)
    return X, np.repeat([0, 1, 2], counts)


def long_tailed_fashion(folder, counts, seed):
    """Return a draw of these numbers of images."""
    X, y = load(folder, "train")
    rng = np.random.RandomState(seed)
    rows = [rng.permutation(np.flatnonzero(y == k))[:n] for k, n in enumerate(counts)]
    rows = rng.permutation(np.concatenate(rows))
    return X[rows], y[rows]


def data_sets(arguments):
    """Yield the name, the samples, the test samples and the network of each data set and seed."""
    quick = arguments.quick
    common = {"device": arguments.device, "batch_size": 128, "augmentation": None}
    for seed in range(arguments.seeds):
        counts = (300, 300, 30) if quick else (1500, 1500, 60)
        test = planted((300,) * 3 if quick else (3000,) * 3, 1000 + seed)
        epochs = 5 if quick else 40
        network = CNNClassifier("linear", lr=0.05, max_epochs=epochs, random_state=seed, **common)
        yield "planted", seed, planted(counts, seed), test, network
        if arguments.folder is None:
            continue
        counts = [max(n // 40, 16) for n in COUNTS] if quick else COUNTS
        X_test, y_test = load(arguments.folder, "t10k")
        if quick:
            X_test, y_test = X_test[:500], y_test[:500]
        epochs = 1 if quick else arguments.epochs
        network = CNNClassifier(max_epochs=epochs, random_state=seed, **common)
        draw = long_tailed_fashion(arguments.folder, counts, seed)
        yield "Fashion-MNIST", seed, draw, (X_test, y_test), network


def balanced_error(y, predicted):
    """Return the mean error of the classes."""
    return 1 - balanced_accuracy_score(y, predicted)


def results_of(name, seed, samples, test, network, searches):
    """Yield one record for each method."""
    X, y = samples
    X_test, y_test = test
    log_prior = np.log(np.bincount(y) / len(y))
    for search in searches:
        model = AutoBalanceClassifier(network, search=search, random_state=seed)
        begin = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - begin
        if search == "head":
            # The first stage is the plain network, trained on all samples.
            plain = model.estimator_.estimator_
            of_plain = sum(epoch["seconds"] for epoch in plain.history_)
            log_proba = plain.predict_log_proba(X_test)
            head = clone(model.estimator_.head_).set_params(
                multiplier=None, offset=model.tau_ * log_prior
            )
            new = head.fit(plain.embed(X), y).predict(plain.embed(X_test))
            taus = 0, 1, model.search_results_["tau_of_network"], model.tau_
            for method, tau in zip(METHODS, taus, strict=False):
                predicted = (log_proba - tau * log_prior).argmax(axis=1)
                error = balanced_error(y_test, new if "new" in method else predicted)
                yield {
                    "data": name,
                    "seed": seed,
                    "method": method,
                    "error": error,
                    "seconds": of_plain,
                    "tau": float(tau),
                }
        record = {
            "data": name,
            "seed": seed,
            "method": search,
            "error": balanced_error(y_test, model.predict(X_test)),
            "seconds": seconds,
            "chosen": model.chosen_,
            "multiplier": model.multiplier_.tolist(),
            "offset": model.offset_.tolist(),
            "gain": model.search_results_.get("gain"),
            "standard_error": model.search_results_.get("standard_error"),
        }
        if search == "head":
            record["search"] = model.search_results_["seconds"] / of_plain
        yield record


def table(records):
    """Return the table of the results in Markdown."""
    lines = [
        "| data | method | balanced error (%) | difference to the tau grid | taken | seconds "
        "| search |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(record["data"] for record in records):
        by_method = {
            method: [r for r in records if r["data"] == name and r["method"] == method]
            for method in METHODS
        }
        grid = np.array([r["error"] for r in by_method["tau grid"]])
        for method, rows in by_method.items():
            if not rows:
                continue
            errors = 100 * np.array([r["error"] for r in rows])
            spread = f" ± {errors.std(ddof=1):.2f}" if len(rows) > 1 else ""
            difference = ""
            if len(grid) == len(rows) and method != "tau grid":
                differences = errors - 100 * grid
                difference = f"{differences.mean():+.2f}"
                if len(rows) > 1:
                    half = student.ppf(0.975, len(rows) - 1) * differences.std(ddof=1)
                    difference += f" ± {half / np.sqrt(len(rows)):.2f}"
            taken = [r["chosen"] == "autobalance" for r in rows if "chosen" in r]
            taken = f"{sum(taken)} of {len(taken)}" if taken else ""
            seconds = f"{np.mean([r['seconds'] for r in rows]):.1f}"
            search = [r["search"] for r in rows if "search" in r]
            search = f"{np.mean(search):.2f}" if search else ""
            lines.append(
                f"| {name} | {method} | {errors.mean():.2f}{spread} | {difference} | {taken} | "
                f"{seconds} | {search} |"
            )
    return "\n".join(lines)


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15, help="of Fashion-MNIST")
    searches = ["head", "end_to_end"]
    parser.add_argument("--search", nargs="+", choices=searches, default=searches)
    parser.add_argument("--quick", action="store_true", help="small sets and one seed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 1
    warnings.simplefilter("ignore", ConvergenceWarning)
    records = []
    for given in data_sets(arguments):
        for record in results_of(*given, arguments.search):
            records.append(record)
            print(json.dumps(record), flush=True)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(records, indent=1))
    print(table(records))
    if arguments.markdown is not None:
        arguments.markdown.write_text(table(records) + "\n")


if __name__ == "__main__":
    main()
