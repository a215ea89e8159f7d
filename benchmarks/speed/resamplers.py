"""Time and peak memory of the resamplers, against imbalanced-learn.

Samples of noise around one centre a class, float32 (64 and 512 features) or uint8 images (3x64x64),
at 10:1 and 100:1. Each contender runs in a process of its own. The peak is what that process holds
at most beyond the input, over the size of the output (for an under-sampler: of the input).

    python benchmarks/speed/resamplers.py [--rows 10000 100000] [--cases SMOTE ...] [--json FILE]
    python benchmarks/speed/resamplers.py --cover

``--cover`` compares ClusterUnderSampler with ClusterCentroids and random samples on 20000 x 512:
time, distance of each dropped sample to the nearest kept one, and F1 of a logistic regression.
"""

import argparse
import json
import time
from functools import partial

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
from harness import Benchmark, in_a_process, measured, parser_of, target
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, pairwise_distances_argmin_min

import skimb.over_sampling
import skimb.under_sampling

SHAPES = {"64": ((64,), "float32"), "512": ((512,), "float32"), "3x64x64": ((3, 64, 64), "uint8")}

#: Targets, as ratios of times.
AT_MOST = {
    ("RandomOverSampler(lazy)", "512"): 0.05,
    ("SMOTE", "512"): 0.63,
    ("SMOTE", "64"): 1.0,
    ("SMOTE", "3x64x64"): 0.67,
}

#: Ours, and what it is measured against. Theirs gets images as flat rows: it takes no others.
CASES = {
    "RandomOverSampler": (
        skimb.over_sampling.RandomOverSampler(random_state=0),
        imblearn.over_sampling.RandomOverSampler(random_state=0),
    ),
    "RandomOverSampler(lazy)": (
        skimb.over_sampling.RandomOverSampler(random_state=0, lazy=True),
        imblearn.over_sampling.RandomOverSampler(random_state=0),
    ),
    "RandomUnderSampler": (
        skimb.under_sampling.RandomUnderSampler(random_state=0),
        imblearn.under_sampling.RandomUnderSampler(random_state=0),
    ),
    "SMOTE": (
        skimb.over_sampling.SMOTE(random_state=0),
        imblearn.over_sampling.SMOTE(random_state=0),
    ),
}


def rows_of(n_rows, shape, dtype, ratio):
    """Return noise around a centre for each class, and labels."""
    rng = np.random.default_rng(0)
    n_rare = n_rows // (ratio + 1)
    y = np.repeat([0, 1], [n_rows - n_rare, n_rare])
    X = np.empty((n_rows, *shape), dtype=dtype)
    for start in range(0, n_rows, 1000):
        part = slice(start, start + 1000)
        values = rng.standard_normal(X[part].shape, dtype=np.float32)
        values += y[part].reshape(-1, *[1] * len(shape))
        X[part] = np.clip(128 + 40 * values, 0, 255) if dtype == "uint8" else values
    return X, y


def measure(case, is_ours, n_rows, shape, dtype, ratio):
    """Run one contender in this process; return its seconds and its peak."""
    X, y = rows_of(n_rows, tuple(shape), dtype, ratio)
    sampler = CASES[case][0 if is_ours else 1]
    # What is loaded at the first use is not the sampler's.
    small = np.r_[:64, len(y) - 20 : len(y)]
    sampler.fit_resample(X[small].reshape(84, -1), y[small])
    given = X if is_ours else X.reshape(len(X), -1)
    (result, _), found = measured(lambda: sampler.fit_resample(given, y))
    n_bytes = max(int(np.prod(result.shape)) * X.itemsize, X.nbytes)
    return {"seconds": found["seconds"], "peak / output": found["peak"] / n_bytes}


def compare(benchmark, case, n_rows, name, ratio):
    """Add one table."""
    shape, dtype = SHAPES[name]
    runs = [
        partial(in_a_process, __file__, case, is_ours, n_rows, shape, dtype, ratio)
        for is_ours in (False, True)
    ]
    most = AT_MOST.get((case, name))
    benchmark.compare(
        f"{case}, {n_rows} samples of {name}, {ratio}:1",
        dict(zip(("imbalanced-learn", "skimb"), runs, strict=True)),
        targets=[target("skimb", "imbalanced-learn", most)] if most else [],
        warm_up=False,
    )


def cover():
    """Print how ClusterUnderSampler fares against ClusterCentroids and random rows."""
    rng = np.random.RandomState(0)
    n_rows, n_rare, n_features = 20_000, 2_000, 512
    heap = rng.choice(30, p=rng.dirichlet(np.ones(30)), size=n_rows + 4_000)
    centers = 0.5 * rng.randn(30, n_features)
    mixing = 0.1 * rng.randn(20, n_features)

    def draw(heaps):
        noise = 0.1 * rng.randn(len(heaps), n_features)
        return (centers[heaps] + rng.randn(len(heaps), 20) @ mixing + noise).astype(np.float32)

    def draw_rare(n):
        # The rare class lies on two of the heaps, moved a little.
        return draw(np.argsort(np.bincount(heap))[-2:][rng.randint(2, size=n)]) + np.float32(0.01)

    X = np.concatenate([draw(heap[:n_rows]), draw_rare(n_rare)])
    y = np.repeat([0, 1], [n_rows, n_rare])
    X_test = np.concatenate([draw(heap[n_rows:]), draw_rare(400)])
    y_test = np.repeat([0, 1], [4_000, 400])
    samplers = {
        "random": skimb.under_sampling.RandomUnderSampler(random_state=0),
        "ClusterUnderSampler": skimb.under_sampling.ClusterUnderSampler(random_state=0),
        "ClusterCentroids": imblearn.under_sampling.ClusterCentroids(voting="hard", random_state=0),
    }
    print("sampler               seconds  mean distance  largest   F1")
    for name, sampler in samplers.items():
        start = time.perf_counter()
        kept, labels = sampler.fit_resample(X, y)
        seconds = time.perf_counter() - start
        distance = pairwise_distances_argmin_min(X[:n_rows], kept[labels == 0])[1]
        # A row that was kept is at distance 0, but for rounding.
        dropped = np.sort(distance)[n_rare:]
        judge = LogisticRegression(max_iter=500).fit(kept, labels)
        print(
            f"{name:<21} {seconds:>7.2f} {dropped.mean():>14.3f} {dropped.max():>8.3f} "
            f"{f1_score(y_test, judge.predict(X_test)):>6.3f}",
            flush=True,
        )


def main():
    """Add the tables, or print one measurement for the process that asked for it."""
    parser = parser_of(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--ratios", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--cover", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*json.loads(arguments.measure))))
        return
    benchmark = Benchmark(arguments)
    if arguments.cover:
        cover()
        return
    for case in arguments.cases:
        for n_rows in [1000] if benchmark.quick else arguments.rows:
            for name in arguments.shapes:
                for ratio in [10] if benchmark.quick else arguments.ratios:
                    compare(benchmark, case, n_rows, name, ratio)


if __name__ == "__main__":
    main()
