"""Time of the resamplers for continuous targets, against the public package smogn in the same run.

A skewed target (log-normal) on ten normal columns; "mixed" has two columns of categories more.
Each contender runs in a process of its own, theirs and ours in turn; time is that of the fastest
repeat, a ratio above 1 is how many times skimb is faster. Then every class of skimb alone, at a
size that theirs, which compares rows in loops of Python, does not do in reasonable time.

    python benchmarks/speed/relevance_resamplers.py --smogn VENV/bin/python
        [--rows 500 1000] [--large 20000] [--repeats 3]

smogn 0.1.2 does not run on today's numpy and pandas: it wants an environment of its own,

    python3.11 -m venv VENV && VENV/bin/pip install smogn "numpy<2" "pandas<2"

Without ``--smogn`` its column stays empty.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd

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
resampled = smogn.smoter(data=table, y="y")
print(json.dumps({"seconds": time.perf_counter() - start, "rows": len(resampled)}))
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
    """Run one of ours in this process; return seconds and rows."""
    sampler = next(sampler for sampler in OURS if type(sampler).__name__ == name)
    X, y = rows_of(n_rows, is_mixed)
    # Theirs compares numbers as they are where there are no categories.
    if "metric" in sampler.get_params() and not is_mixed:
        sampler.set_params(metric="euclidean")
    # What is loaded at the first use is not the sampler's.
    sampler.fit_resample(*rows_of(200, is_mixed))
    start = time.perf_counter()
    resampled, _ = sampler.fit_resample(X, y)
    return {"seconds": time.perf_counter() - start, "rows": len(resampled)}


def ours_in_a_process(*arguments):
    """Measure one of ours in a fresh process."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def theirs_in_a_process(python, n_rows, is_mixed):
    """Measure theirs in a fresh process of its environment."""
    X, y = rows_of(n_rows, is_mixed)
    table = X.assign(y=y).to_json(orient="split", double_precision=15)
    done = subprocess.run(
        [python, "-c", THEIRS], check=True, capture_output=True, text=True, input=table
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(python, n_rows, is_mixed, repeats):
    """Print one line: theirs and ours in turn."""
    theirs, ours = [], []
    for _ in range(repeats):
        if python:
            theirs.append(theirs_in_a_process(python, n_rows, is_mixed))
        ours.append(ours_in_a_process("SMOGN", n_rows, is_mixed))
    seconds = min(run["seconds"] for run in ours)
    line = f"{n_rows:>7} {'mixed' if is_mixed else 'numbers':>8} "
    if python:
        fastest = min(run["seconds"] for run in theirs)
        line += f"{fastest:>10.2f} s {seconds:>9.4f} s {fastest / seconds:>8.0f}"
        line += f"   {theirs[0]['rows']:>6} {ours[0]['rows']:>6}"
    else:
        line += f"{'-':>12} {seconds:>9.4f} s {'-':>8}   {'-':>6} {ours[0]['rows']:>6}"
    print(line, flush=True)


def works(python):
    """Tell whether smogn can be imported there."""
    try:
        subprocess.run([python, "-c", "import smogn"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def main():
    """Print two tables, or one measurement for the process that asked for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smogn", help="python of an environment that has smogn")
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*json.loads(arguments.measure))))
        return
    python = arguments.smogn if arguments.smogn and works(arguments.smogn) else None
    if python is None:
        print(
            "smogn cannot be imported, so its column is empty. Make an environment for it, "
            'python3.11 -m venv VENV && VENV/bin/pip install smogn "numpy<2" "pandas<2", and give '
            "--smogn VENV/bin/python.\n"
        )
    print(
        f"{'rows':>7} {'columns':>8} {'smogn':>12} {'SMOGN':>11} {'ratio':>8}   rows returned, "
        "theirs and ours"
    )
    for is_mixed in (False, True):
        for n_rows in arguments.rows:
            compare(python, n_rows, is_mixed, arguments.repeats)
    print(f"\n{f'{arguments.large} rows':<26} {'numbers':>10} {'mixed':>10}")
    for sampler in OURS:
        name = type(sampler).__name__
        seconds = [
            min(
                ours_in_a_process(name, arguments.large, is_mixed)["seconds"]
                for _ in range(arguments.repeats)
            )
            for is_mixed in (False, True)
        ]
        print(f"{name:<26} {seconds[0]:>8.3f} s {seconds[1]:>8.3f} s", flush=True)


if __name__ == "__main__":
    main()
