"""Decisions by their cost: ``python docs/guide/costs.py`` writes costs.png.

Images of noise, of which 2 % have a faint crack. A crack that is missed costs 10, a false alarm 1.
The script prints the cost of 1000 new images for each way to decide, in the world of the training
and in another one where cracks are more frequent. The least possible cost is known, because the
images are simulated.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import BASELINE, METHOD, OTHER_METHOD
from scipy.special import expit, logit
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import TunedThresholdClassifierCV

from skimb.inspection import DecisionCurveDisplay
from skimb.metrics import cost_scoring, expected_cost
from skimb.model_selection import MinimumCostClassifier
from skimb.neural_network import CNNClassifier

mpl.use("agg")
import matplotlib.pyplot as plt

COSTS = {"ok": {"crack": 1}, "crack": {"ok": 10}}
#: The fraction of cracks in the training, and in the other world.
HERE, ELSEWHERE = 0.02, 0.2
CRACK = 0.95 * np.eye(8)[:, ::-1]
#: The ways to decide, and their colours: a darker one for the decision that knows more.
WAYS = {
    "most probable class": BASELINE,
    "tuned threshold": OTHER_METHOD,
    "least expected cost": METHOD,
    "least expected cost, prior known": "#00624A",
}
REFERENCES = ("least possible", "no image looked at")


def world(n, fraction, seed):
    """Return images, labels, and the true probability of a crack."""
    rng = np.random.RandomState(seed)
    is_crack = rng.rand(n) < fraction
    X = rng.randn(n, 8, 8) + is_crack[:, None, None] * CRACK
    log_odds = logit(fraction) + (X * CRACK).sum((1, 2)) - (CRACK**2).sum() / 2
    return X.astype(np.float32), np.where(is_crack, "crack", "ok"), expit(log_odds)


def network(seed):
    """Return a network with calibrated probabilities."""
    return CNNClassifier(
        "linear",
        lr=1e-2,
        max_epochs=20,
        batch_size=64,
        calibration="temperature",
        random_state=seed,
    )


def run(seed, n_train, n_test):
    """Return the cost of 1000 images, by world and way to decide; and a network with test data."""
    X, y, _ = world(n_train, HERE, seed)
    plain = network(seed).fit(X, y)
    frozen = FrozenEstimator(plain)
    tuned = TunedThresholdClassifierCV(
        network(seed), scoring=cost_scoring(y, cost_matrix=COSTS), cv=2, random_state=seed
    ).fit(X, y)
    by_cost = MinimumCostClassifier(frozen, cost_matrix=COSTS).fit(X, y)
    moved = MinimumCostClassifier(
        frozen, cost_matrix=COSTS, target_prior={"crack": ELSEWHERE, "ok": 1 - ELSEWHERE}
    ).fit(X, y)
    models = dict(zip(WAYS, (plain, tuned, by_cost, moved), strict=True))
    paid = {}
    for fraction in (HERE, ELSEWHERE):
        X_test, y_test, p = world(n_test, fraction, 1000 + seed)
        for name, model in models.items():
            if model is not moved or fraction == ELSEWHERE:
                cost = expected_cost(y_test, model.predict(X_test), cost_matrix=COSTS)
                paid[fraction, name] = 1000 * cost
        paid[fraction, "least possible"] = 1000 * np.minimum(10 * p, 1 - p).mean()
        paid[fraction, "no image looked at"] = 1000 * min(10 * fraction, 1 - fraction)
    X_test, y_test, _ = world(n_test, HERE, 2000 + seed)
    return paid, (plain, X_test, y_test)


def main():
    """Train, print a table in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument(
        "--quick", action="store_true", help="few images and one seed, to see that it runs"
    )
    arguments = parser.parse_args()
    n_seeds, n_train, n_test = (1, 600, 500) if arguments.quick else (5, 8000, 20_000)
    runs = [run(seed, n_train, n_test) for seed in range(n_seeds)]
    print("| decision | 2 % cracks, as in the training | 20 % cracks |")
    print("| --- | --- | --- |")
    for name in (*WAYS, *REFERENCES):
        cells = []
        for fraction in (HERE, ELSEWHERE):
            values = [paid[fraction, name] for paid, _ in runs if (fraction, name) in paid]
            cells.append(f"{np.mean(values):.0f} ± {np.std(values):.0f}" if values else "")
        print(f"| {name} | {' | '.join(cells)} |")
    figure, (left, *right) = plt.subplots(
        1, 3, figsize=(10.5, 4), layout="constrained", width_ratios=[1.2, 0.9, 1.25]
    )
    plain, X_test, y_test = runs[0][1]
    left.set_prop_cycle(color=[METHOD])
    DecisionCurveDisplay.from_estimator(plain, X_test, y_test, classes=["crack"], ax=left)
    left.axvline(1 / 11, color="black", linewidth=1, linestyle=":")
    left.text(1 / 10.3, -0.004, "the costs\nof this page", fontsize=9)
    left.set(xlabel="threshold probability", ylabel="net benefit")
    for ax, fraction in zip(right, (HERE, ELSEWHERE), strict=True):
        shown = [name for name in WAYS if (fraction, name) in runs[0][0]]
        for place, name in enumerate(shown):
            values = [paid[fraction, name] for paid, _ in runs]
            ax.bar(place, np.mean(values), color=WAYS[name])
            ax.plot(np.full(len(values), place), values, "o", color="black", markersize=3)
        for name, style in zip(REFERENCES, ("--", ":"), strict=True):
            cost = np.mean([paid[fraction, name] for paid, _ in runs])
            ax.axhline(cost, color="black", linewidth=1.2, linestyle=style, label=name)
        # Space for the legend above the bars.
        ax.set_ylim(0, 1.25 * ax.get_ylim()[1])
        ax.legend(frameon=False, fontsize=8.5, loc="upper right")
        texts = [name.replace(" ", "\n") for name in shown]
        ax.set_xticks(range(len(texts)), texts, fontsize=8.5)
        ax.set(title=f"{100 * fraction:.0f} % cracks", ylabel="cost of 1000 images")
        ax.spines[["top", "right"]].set_visible(False)
    figure.get_layout_engine().set(w_pad=0.12)
    figure.savefig(arguments.folder / "costs.png", dpi=100)


if __name__ == "__main__":
    main()
