"""Sets and intervals: ``python docs/guide/prediction_sets.py`` writes prediction_sets.png.

A network is trained on long-tailed, noisy digits. The script measures how often sets hold the true
label of each class, with one threshold for all classes and with one for each, over many draws of
the held-out digits. A second network predicts the brightness of lamps in images that are often
overexposed, and its intervals have one width or one for each range.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import BASELINE, METHOD, WRONG
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skimb.metrics import interval_coverage, set_coverage
from skimb.model_selection import ConformalClassifier, ConformalRegressor
from skimb.neural_network import CNNClassifier, CNNRegressor

mpl.use("agg")
import matplotlib.pyplot as plt

#: Digits of each class among those that the thresholds are found on, and that train.
SIZES = np.array([80, 65, 52, 42, 34, 27, 22, 18, 14, 11])


def noisy_digits(rng):
    """Return digits with so much noise that some cannot be told apart."""
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) * 10 + 55 * rng.standard_normal((len(X), 8, 8))
    return np.clip(X, 0, 255).astype(np.uint8), y


def long_tailed(y, sizes, rng):
    """Return positions of as many samples of each class as the sizes say."""
    return np.concatenate(
        [rng.permutation(np.flatnonzero(y == k))[:size] for k, size in enumerate(sizes)]
    )


def coverage_of_classes(n_draws, *, max_epochs):
    """Return coverage and sizes of the sets, by class, for one threshold and for one a class."""
    rng = np.random.RandomState(0)
    X, y = noisy_digits(rng)
    X, X_rest, y, y_rest = train_test_split(X, y, train_size=0.45, stratify=y, random_state=0)
    rows = long_tailed(y, SIZES, rng)
    network = CNNClassifier(max_epochs=max_epochs, augmentation=None, random_state=0)
    frozen = FrozenEstimator(network.fit(X[rows], y[rows]))
    reports = {"one threshold": [], "one a class": []}
    for _ in range(n_draws):
        rows = long_tailed(y_rest, SIZES, rng)
        clf = ConformalClassifier(frozen).fit(X_rest[rows], y_rest[rows])
        fresh = np.setdiff1d(np.arange(len(y_rest)), rows)
        shared = clf.predict_proba(X_rest[fresh]) >= clf.marginal_threshold_
        own = clf.predict_set(X_rest[fresh])
        for name, sets in (("one threshold", shared), ("one a class", own)):
            reports[name].append(set_coverage(y_rest[fresh], sets, labels=clf.classes_))
    return {
        name: np.mean([report[["coverage", "set_size"]] for report in found], axis=0)
        for name, found in reports.items()
    }


def lamps(n, rng):
    """Return images of lamps, most of them dim, and their brightness; bright ones are clipped."""
    y = rng.exponential(size=n)
    shape = np.zeros((10, 10))
    shape[3:7, 3:7] = 1
    shape[2:8, 2:8] += 0.3
    X = 60 * y[:, None, None] * shape + 25 * rng.standard_normal((n, 10, 10))
    return np.clip(X, 0, 255).astype(np.uint8), y


def intervals_of_lamps(n, *, max_epochs):
    """Return new values, their intervals of one width and by range, and the edges of the ranges."""
    rng = np.random.RandomState(0)
    X, y = lamps(n, rng)
    network = CNNRegressor(max_epochs=max_epochs, augmentation=None, random_state=0)
    reg = ConformalRegressor(network, random_state=0).fit(X, y)
    X_new, y_new = lamps(4 * n, rng)
    value = reg.predict(X_new)
    shared = np.stack([value - reg.marginal_half_width_, value + reg.marginal_half_width_], axis=1)
    return y_new, {"one width": shared, "by range": reg.predict_interval(X_new)}, reg.edges_


def draw_intervals(ax, y, ends, title, color, n_drawn=110):
    """Draw intervals over their true values, and mark those that miss."""
    # Evenly over the values, so that the rare ones are seen.
    order = np.argsort(y)
    wanted = np.linspace(0, y.max() * 0.98, n_drawn)
    rows = np.unique(order[np.minimum(np.searchsorted(y[order], wanted), len(y) - 1)])
    is_in = (y >= ends[:, 0]) & (y <= ends[:, 1])
    for shown, own, label in ((is_in, color, "holds the truth"), (~is_in, WRONG, "misses")):
        some = rows[shown[rows]]
        ax.vlines(y[some], *ends[some].T, color=own, linewidth=1.6, label=label)
    ax.plot([0, y.max()], [0, y.max()], color="black", linewidth=0.8, label="truth")
    ax.set(title=title, xlabel="true brightness", ylabel="interval of brightness")
    ax.legend(loc="upper left", frameon=False)


def main():
    """Train, print tables in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few draws, to see that it runs")
    arguments = parser.parse_args()
    n_draws, n_lamps, max_epochs = (2, 400, 2) if arguments.quick else (200, 3000, 30)
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")

    found = coverage_of_classes(n_draws, max_epochs=max_epochs)
    print("| class | held-out digits | one threshold | one a class | size | size |")
    print("| --- | --- | --- | --- | --- | --- |")
    one, own = found["one threshold"], found["one a class"]
    for k, n in enumerate(SIZES):
        print(
            f"| {k} | {n} | {one[k, 0]:.2f} | {own[k, 0]:.2f} | {one[k, 1]:.1f} | {own[k, 1]:.1f} |"
        )
    ax, places = axes[0], np.arange(len(SIZES))
    ax.bar(places - 0.2, one[:, 0], 0.38, color=BASELINE, label="one threshold")
    ax.bar(places + 0.2, own[:, 0], 0.38, color=METHOD, label="one a class")
    ax.axhline(0.9, color="black", linewidth=0.9, label="promise")
    ax.set_xticks(places, [str(size) for size in SIZES])
    ax.set(
        ylim=(0, 1),
        xlabel="held-out digits of the class",
        ylabel="coverage: sets that hold the label",
        title="Sets of labels\n",
    )
    handles, texts = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        texts,
        loc="lower center",
        bbox_to_anchor=(0.46, 0.98),
        ncols=3,
        frameon=False,
        columnspacing=1.0,
        handlelength=1.2,
    )

    y, intervals, edges = intervals_of_lamps(n_lamps, max_epochs=max_epochs)
    print("\n| range | one width | by range | width | width |\n| --- | --- | --- | --- | --- |")
    one, own = (interval_coverage(y, ends, edges=edges) for ends in intervals.values())
    for place, row in own.iterrows():
        other = one.loc[place]
        covered = f"{other['coverage']:.2f} | {row['coverage']:.2f}"
        widths = f"{other['width']:.2f} | {row['width']:.2f}"
        print(f"| {place.left:.2f} to {place.right:.2f} | {covered} | {widths} |")
    for ax, (name, ends), color in zip(
        axes[1:], intervals.items(), (BASELINE, METHOD), strict=True
    ):
        draw_intervals(ax, y, ends, f"Intervals, {name}", color)
    axes[2].sharey(axes[1])
    for edge in edges:
        axes[2].axvline(edge, color="0.6", linewidth=0.6, linestyle=":", label="edge of a range")
    handles = dict(zip(*reversed(axes[2].get_legend_handles_labels()), strict=True))
    axes[2].legend(handles.values(), handles.keys(), loc="upper left", frameon=False)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.folder / "prediction_sets.png", dpi=110)


if __name__ == "__main__":
    main()
