"""How far is the estimate of a class prior off, without and with calibration? Ten noisy digits.

The training classes fall from 15 to 1, and the unlabelled samples have the reversed prior. Each
classifier is trained once a seed on one part of the digits, calibrated on a second part that it was
not trained on, and the prior is estimated on samples drawn from a third one. Prints the total
variation between the estimate and the prior of these samples: from the probabilities as they are,
after one temperature, and after a temperature and one bias per class, which is the default of
`estimate_prior`; and that of the confusion matrix. The last line compares the default with the raw
probabilities; the aim is at most one half.

    python benchmarks/quality/prior_shift.py [--seeds 3]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skimb.model_selection import estimate_prior
from skimb.neural_network import CNNClassifier

METHODS = {
    "raw": {"calibration": None},
    "temperature": {"calibration": "temperature"},
    "bias-corrected": {},
    "confusion matrix": {"method": "confusion_matrix"},
}


def network(seed):
    """Return a network that is trained for a short time."""
    return CNNClassifier(max_epochs=40, augmentation=None, random_state=seed)


def forest(seed):
    """Return a random forest of pixels."""
    return RandomForestClassifier(200, random_state=seed)


def linear(seed):
    """Return a logistic regression of pixels."""
    return make_pipeline(MinMaxScaler(), LogisticRegression(C=1000.0, max_iter=1000))


CLASSIFIERS = {
    "CNNClassifier": (network, False),
    "random forest": (forest, True),
    "logistic regression": (linear, True),
}


def draw(y, pool, prior, n, rng, noise, images):
    """Return noisy images of a pool, with replacement, whose labels follow a prior."""
    labels = rng.choice(10, p=prior, size=n)
    rows = np.array([rng.choice(pool[y[pool] == label]) for label in labels])
    noisy = images[rows] + noise * rng.standard_normal((n, 8, 8))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def errors(name, seed, n_train, n_val, n_new, noise):
    """Return the total variation of each method for one classifier and seed."""
    digits = load_digits()
    images, y = digits.images * 15.9, digits.target
    rng = np.random.RandomState(seed)
    pools = np.array_split(rng.permutation(len(y)), 3)
    prior = np.geomspace(15, 1, 10)
    prior /= prior.sum()
    make, is_flat = CLASSIFIERS[name]
    X, labels = draw(y, pools[0], prior, n_train, rng, noise, images)
    X_val, y_val = draw(y, pools[1], prior, n_val, rng, noise, images)
    X_new, y_new = draw(y, pools[2], prior[::-1], n_new, rng, noise, images)
    if is_flat:
        X, X_val, X_new = (part.reshape(len(part), -1) for part in (X, X_val, X_new))
    clf = make(seed).fit(X, labels)
    truth = np.bincount(y_new, minlength=10) / n_new
    found = {}
    for method, options in METHODS.items():
        estimate = estimate_prior(
            clf, X_new, X_val=X_val, y_val=y_val, n_bootstrap=0, random_state=seed, **options
        )
        found[method] = np.abs(estimate.prior - truth).sum() / 2
    return found


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=600, help="samples to train on")
    parser.add_argument("--labelled", type=int, default=400, help="samples to calibrate on")
    parser.add_argument("--new", type=int, default=1000, help="unlabelled samples")
    parser.add_argument("--noise", type=float, default=110.0, help="its standard deviation")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    print("| classifier | " + " | ".join(METHODS) + " |")
    print("| --- |" + " --- |" * len(METHODS))
    everything = []
    for name in CLASSIFIERS:
        runs = [
            errors(name, seed, arguments.train, arguments.labelled, arguments.new, arguments.noise)
            for seed in range(arguments.seeds)
        ]
        everything += runs
        cells = [
            f"{np.mean(values):.2f} ± {np.std(values):.2f}"
            for values in ([run[method] for run in runs] for method in METHODS)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    ratio = np.mean([run["bias-corrected"] for run in everything])
    ratio /= np.mean([run["raw"] for run in everything])
    print(f"\nbias-corrected / raw: {ratio:.2f} (aim: at most 0.50)")
    print(f"{time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    main()
