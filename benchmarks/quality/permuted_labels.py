"""Count how often a search names a winner where there is nothing to find.

The labels of scikit-learn's digits, "8" against the rest, are permuted, so that no strategy can be
better than another one but by chance. In at most 5 % of the runs a winner may be named. Networks
are linear layers on pixels, so a run takes seconds.

    python benchmarks/quality/permuted_labels.py [--runs 200] [--jobs 2] [--quick]
"""

import argparse
import warnings

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning

from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import CNNClassifier
from skimb.study import SearchPlan, find_strategy


def winner(seed, ratio):
    """Return the winner of a search on permuted labels, or None."""
    X, y = load_imbalanced_digits(return_X_y=True, ratio=ratio)
    y = np.random.RandomState(seed).permutation(y)
    network = CNNClassifier("linear", lr=1e-2, max_epochs=5, batch_size=64, augmentation=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = find_strategy(X, y, plan=SearchPlan(2), estimator=network, random_state=seed)
    return result.search.winner


def main():
    """Print the number of winners, with an exact interval of their fraction."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--ratio", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    n_runs = 4 if arguments.quick else arguments.runs
    winners = Parallel(n_jobs=arguments.jobs)(
        delayed(winner)(seed, arguments.ratio) for seed in range(n_runs)
    )
    named = [name for name in winners if name is not None]
    low, high = binomtest(len(named), n_runs).proportion_ci()
    print(
        f"{len(named)} winners in {n_runs} runs on permuted labels: {len(named) / n_runs:.1%} "
        f"(95 % interval: {low:.1%} to {high:.1%})"
    )
    for name in sorted(set(named)):
        print(f"  {name}: {named.count(name)}")


if __name__ == "__main__":
    main()
