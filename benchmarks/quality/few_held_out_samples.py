"""How near a calibration with few held-out samples comes to the true probabilities of rare classes.

Each simulated set has five normal classes, of which two are rare. Its probabilities are too
certain, and wrong by one random bias for each class. The table shows by how much the log loss of
new samples of the rare classes is above that of the true probabilities, for a temperature alone,
and for biases that are fitted as they are and shrunk.

    python benchmarks/quality/few_held_out_samples.py [--quick]
"""

import argparse
from unittest.mock import patch

import numpy as np
from scipy.special import log_softmax

from skimb._bias_correction import fit_correction

#: Held-out samples of the three other classes.
COMMON = (300, 100, 30)
DISTANCE, SCALE, SPREAD = 3.0, 1.3, 0.7


def draw(counts, prior, rng):
    """Return the true log-probabilities of samples, and the positions of their classes."""
    target = np.repeat(np.arange(len(counts)), counts)
    X = DISTANCE * np.eye(len(counts))[target] + rng.normal(size=(len(target), len(counts)))
    return log_softmax(DISTANCE * X + np.log(prior), axis=1), target


def log_losses(n_rare, seed):
    """Return the log loss of the rare classes above that of the truth: one number for each way."""
    rng = np.random.default_rng(seed)
    counts = np.array([*COMMON, n_rare, n_rare])
    prior = counts / counts.sum()
    biases = rng.normal(0, SPREAD, len(counts))

    def wrong(truth):
        return log_softmax((truth - biases) * SCALE, axis=1)

    truth, target = draw(counts, prior, rng)
    held_out = wrong(truth)
    truth, new_target = draw([300] * len(counts), prior, rng)
    truth = truth[new_target >= len(COMMON)]
    with patch("skimb._bias_correction.PRIOR_SAMPLES", 1e-6):
        as_they_are = fit_correction(held_out, target)
    temperature = fit_correction(held_out, target, fits_bias=False)
    losses = []
    for way in (temperature, as_they_are, fit_correction(held_out, target)):
        found = log_softmax(wrong(truth) / way.temperature + way.biases, axis=1)
        losses.append((np.exp(truth) * (truth - found)).sum(axis=1).mean())
    return losses


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few sets, to see that it runs")
    n_sets = 2 if parser.parse_args().quick else 200
    print("| held-out samples of each rare class | temperature alone | biases | biases, shrunk |")
    print("| --- | --- | --- | --- |")
    for n_rare in (3, 5, 10, 50, 500):
        means = np.mean([log_losses(n_rare, seed) for seed in range(n_sets)], axis=0)
        print(f"| {n_rare} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
