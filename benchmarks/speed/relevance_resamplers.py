"""Time of the resamplers for continuous targets, against the public package smogn.

A skewed target (log-normal) on ten normal columns; "mixed" has two columns of categories more.
Each contender runs in a process of its own. Then every class of skimb alone, against copies of
samples, at a size that smogn, which compares samples in loops of Python, does not do in reasonable
time.

    python benchmarks/speed/relevance_resamplers.py --smogn VENV/bin/python
        [--rows 500 1000] [--large 20000] [--repeats 3] [--json FILE]

smogn 0.1.2 does not run on today's numpy and pandas: it wants an environment of its own,

    python3.11 -m venv VENV && VENV/bin/pip install smogn "numpy<2" "pandas<2"

Without ``--smogn`` there is only the second part.
"""

import argparse
import json
import subprocess
import time
from functools import partial

import numpy as np
import pandas as pd
from harness import Benchmark, in_a_process, parser_of

import skimb.over_sampling
import skimb.under_sampling

#: What runs in the environment of smogn, on the same rows.
THEIRS = """
import json, sys, time
import pandas as pd
import smogn
table = pd.read_json(sys.stdin, orient="split")
smogn.smoter(data=table.tail(60).reset_index(drop=True), y="y")
start = time.perf_counter()
smogn.smoter(data=table, y="y")
print(json.dumps({"seconds": time.perf_counter() - start}))
"""

OURS = [
    skimb.over_sampling.RelevanceOverSampler(random_state=0),
    skimb.over_sampling.RelevanceSampler(random_state=0),
    skimb.under_sampling.RelevanceUnderSampler(random_state=0),
    skimb.over_sampling.GaussianNoiseOverSampler(random_state=0),
    skimb.over_sampling.SMOTER(random_state=0),
    skimb.over_sampling.SMOGN(random_state=0),
]


def rows_of(n_rows, is_mixed):
    """Return a frame, numbers and maybe categories, and a skewed target."""
    rng = np.random.RandomState(0)
    numbers = rng.standard_normal((n_rows, 10))
    X = pd.DataFrame(numbers, columns=[f"x{i}" for i in range(10)])
    if is_mixed:
        X["colour"] = rng.choice(["red", "green", "blue"], size=n_rows)
        X["town"] = rng.choice(list("abcdefghij"), size=n_rows)
    return X, np.exp(numbers[:, 0] + 0.5 * rng.standard_normal(n_rows))


def measure(name, n_rows, is_mixed):
    """Run one of ours in this process; return its seconds."""
    sampler = next(sampler for sampler in OURS if type(sampler).__name__ == name)
    X, y = rows_of(n_rows, is_mixed)
    # Theirs compares numbers as they are where there are no categories.
    if "metric" in sampler.get_params() and not is_mixed:
        sampler.set_params(metric="euclidean")
    # What is loaded at the first use is not the sampler's.
    sampler.fit_resample(*rows_of(200, is_mixed))
    start = time.perf_counter()
    sampler.fit_resample(X, y)
    return {"seconds": time.perf_counter() - start}


def ours(name, n_rows, is_mixed):
    """Return a contender that measures one of ours in a fresh process."""
    return partial(in_a_process, __file__, name, n_rows, is_mixed)


def theirs_in_a_process(python, n_rows, is_mixed):
    """Measure theirs in a fresh process of its environment."""
    X, y = rows_of(n_rows, is_mixed)
    table = X.assign(y=y).to_json(orient="split", double_precision=15)
    done = subprocess.run(
        [python, "-c", THEIRS], check=True, capture_output=True, text=True, input=table
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Add the tables, or print one measurement for the process that asked for it."""
    parser = parser_of(__doc__, repeats=3)
    parser.add_argument("--smogn", help="python of an environment that has smogn")
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*json.loads(arguments.measure))))
        return
    benchmark = Benchmark(arguments)
    kinds = {"numbers": False, "mixed": True}
    for kind, is_mixed in kinds.items() if arguments.smogn else ():
        for n_rows in [200] if benchmark.quick else arguments.rows:
            smogn = partial(theirs_in_a_process, arguments.smogn, n_rows, is_mixed)
            benchmark.compare(
                f"SMOGN, {n_rows} samples, {kind}",
                {"smogn": smogn, "skimb": ours("SMOGN", n_rows, is_mixed)},
                warm_up=False,
                # It takes minutes.
                control=False,
            )
    n_rows = 1000 if benchmark.quick else arguments.large
    for kind, is_mixed in kinds.items():
        benchmark.compare(
            f"Resamplers for a continuous target, {n_rows} samples, {kind}",
            {
                name: ours(name, n_rows, is_mixed)
                for name in (type(sampler).__name__ for sampler in OURS)
            },
            warm_up=False,
        )


if __name__ == "__main__":
    main()
