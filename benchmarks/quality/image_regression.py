"""What helps where the target of real images is rare? Solar cells and houses.

    python benchmarks/quality/image_regression.py FOLDER [--part solar houses] [--seeds 5]
        [--repeats 3] [--remedies NAME ...] [--jobs 1] [--plot solar.png] [--json FILE]

FOLDER holds elpv_solar (index.csv and images of cells with their defect probability, 0, 1/3, 2/3 or
1) and houses (houses.csv, with columns and four photos of each house, and its price).

``solar`` trains a CNNRegressor on the images, once for each remedy and seed, on the split that
index.csv names, which keeps near-duplicates together. All take the same number of steps.

``houses`` cross-validates, by groups of houses that share a photo, and scores the predictions of
all folds of a repeat together: a network on the photos alone, and two regressors of scikit-learn on
the columns, without and with what a network makes of the photos; each for the price and for its
logarithm, and with remedies for the dear houses.

Figures are means and standard deviations over seeds or repeats. Changes are those of the absolute
error of a row, averaged over seeds or repeats, against the row of the table that is named, with the
standard error over the test rows.
"""

import argparse
import json
import tempfile
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from joblib import Parallel, delayed
from PIL import Image
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from skimb.datasets import read_images
from skimb.ensemble import ReBaggRegressor
from skimb.losses import BalancedMSELoss
from skimb.metrics import prediction_slope, sera_score
from skimb.model_selection import BinnedStratifiedKFold, SpreadCorrectedRegressor
from skimb.neural_network import CNNEmbedder, CNNRegressor
from skimb.over_sampling import SMOGN, SMOTER, RelevanceOverSampler
from skimb.relevance import LabelDensity, Relevance, compute_target_weight
from skimb.under_sampling import RelevanceUnderSampler

mpl.use("agg")
import matplotlib.pyplot as plt

# ------------------------------------------------------------------------------ solar cells

#: The values of the defect probability, a bin for each.
VALUES = {"0": 0.0, "1/3": 1 / 3, "2/3": 2 / 3, "1": 1.0}
BINS = LabelDensity(bins=(np.arange(5) - 0.5) / 3)
#: The two middle values are the rare ones.
DOUBT = Relevance([(0, 0), (1 / 3, 1), (2 / 3, 1), (1, 0)])
CELLS = {"max_epochs": 6, "batch_size": 64, "augmentation": None, "lr": 3e-3}

SOLAR = {
    "none": {},
    "absolute_error": {"loss": "absolute_error"},
    "target_weight=sqrt": {"target_weight": "sqrt"},
    "target_weight=lds": {"target_weight": "lds"},
    "target_weight=inverse": {"target_weight": "inverse"},
    "batch_sampling=inverse": {"batch_sampling": "inverse"},
    "batch_sampling=relevance": {"batch_sampling": "relevance", "relevance": DOUBT},
    "balanced_mse batch": {"loss": "balanced_mse"},
    "balanced_mse binned": {"loss": BalancedMSELoss(form="binned")},
    "ranksim 10": {"ranksim": 10.0},
    "ranksim 10, inverse": {"ranksim": 10.0, "target_weight": "inverse"},
    "RelevanceOverSampler": {"sampler": RelevanceOverSampler(relevance=DOUBT)},
    "RelevanceUnderSampler": {"sampler": RelevanceUnderSampler(relevance=DOUBT)},
    "SMOGN": {"sampler": SMOGN(relevance=DOUBT)},
}
#: No remedy in the training, but predictions that are moved away from a centre afterwards.
SPREAD = "spread corrected"


def load_cells(folder):
    """Return training images, targets and groups, and test images and targets."""
    table = pd.read_csv(folder / "index.csv")
    X = read_images([folder / name for name in table["file"]], image_shape=(1, 32, 32))
    y = np.round(table["defect_probability"].to_numpy() * 3) / 3
    is_train = (table["split"] == "train").to_numpy()
    groups = table["group"].to_numpy()
    return X[is_train], y[is_train], groups[is_train], X[~is_train], y[~is_train]


def cell_network(name, seed, n_rows):
    """Return the network of a remedy; all take as many steps."""
    n_steps = -(-n_rows // CELLS["batch_size"])
    return CNNRegressor(**{**CELLS, **SOLAR[name]}, steps_per_epoch=n_steps, random_state=seed)


def fit_cells(X, y, groups, X_test, name, seed):
    """Train one network; return what it predicts for the test images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name != SPREAD:
            return cell_network(name, seed, len(y)).fit(X, y).predict(X_test)
        # Each of the four values of y has a bin of its own by default, too.
        network = cell_network("none", seed, len(y))
        spread_out = SpreadCorrectedRegressor(network, clip=(0, 1), random_state=seed)
        return spread_out.fit(X, y, groups=groups).predict(X_test)


def study_cells(folder, n_seeds, n_jobs, wanted=None):
    """Return the test targets, and predictions of each remedy, of shape (n_seeds, n_rows)."""
    X, y, groups, X_test, y_test = load_cells(folder)
    names = those_wanted([*SOLAR, SPREAD], wanted)
    tasks = list(product(names, range(n_seeds)))
    made = Parallel(n_jobs=n_jobs)(
        delayed(fit_cells)(X, y, groups, X_test, *task) for task in tasks
    )
    found = {"the mean of y": np.full((n_seeds, len(y_test)), y.mean())}
    rows = np.reshape(made, (len(names), n_seeds, len(y_test)))
    return y, y_test, found | dict(zip(names, rows, strict=True))


def print_cells(y, y_test, found):
    """Print errors by value, and what they do not say; predictions are clipped to [0, 1]."""
    places, test_places = (BINS.fit(y).bin_of(values) for values in (y, y_test))
    print(f"\n### Solar cells: {len(y)} training rows, {len(y_test)} test rows\n")
    print_head("", VALUES)
    for part, rows in (("training", places), ("test", test_places)):
        print(f"| {part} rows | {' | '.join(map(str, np.bincount(rows)))} |")
    print()
    print_head("remedy", ["MAE", *(f"at {value}" for value in VALUES), "balanced MAE", "change"])
    plain = np.abs(found["none"].clip(0, 1) - y_test).mean(axis=0)
    for name, raw in found.items():
        error = np.abs(raw.clip(0, 1) - y_test)
        by_value = [error[:, test_places == k].mean(axis=1) for k in range(len(VALUES))]
        cells = [spread(part, 3) for part in (error.mean(axis=1), *by_value)]
        cells += [spread(np.mean(by_value, axis=0), 3)]
        cells += [
            "" if name == "none" else balanced_change(error.mean(axis=0) - plain, test_places)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print()
    print_head("remedy", ["RMSE", "slope", "rank correlation", "out of [0, 1]", "MAE unclipped"])
    for name, raw in found.items():
        predicted = raw.clip(0, 1)
        cells = [spread(np.sqrt(((predicted - y_test) ** 2).mean(axis=1)), 3)]
        cells += [spread([prediction_slope(y_test, row) for row in predicted], 2)]
        ranks = [spearmanr(y_test, row).statistic for row in raw if np.ptp(row) > 0]
        cells += [spread(ranks, 3) if ranks else ""]
        # Those that were spread were clipped with it.
        cells += (
            ["", ""]
            if name == SPREAD
            else [f"{np.mean(raw != predicted):.0%}", f"{np.abs(raw - y_test).mean():.3f}"]
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def balanced_change(difference, places):
    """Return the mean over the values of the mean difference there, with its standard error."""
    parts = [difference[places == k] for k in np.unique(places)]
    deviation = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / len(parts)
    return f"{np.mean([part.mean() for part in parts]):+.3f} ± {deviation:.3f}"


def draw_cells(y_test, found, path, names):
    """Draw what the first seed predicts for each value of the target, one panel a remedy."""
    figure, axes = plt.subplots(
        1, len(names), figsize=(2.6 * len(names), 3), sharey=True, layout="constrained"
    )
    places = BINS.fit(y_test).bin_of(y_test)
    rng = np.random.RandomState(0)
    for ax, name in zip(axes, names, strict=True):
        predicted = found[name][0].clip(0, 1)
        color = "#6E6E6E" if name == "none" else "#009E73"
        x = places + rng.uniform(-0.3, 0.3, size=len(places))
        ax.scatter(x, predicted, s=4, color=color, alpha=0.4, linewidth=0)
        for k, value in enumerate(VALUES.values()):
            ax.plot([k - 0.4, k + 0.4], [value, value], color="0.3", linewidth=1)
            ax.plot(k, predicted[places == k].mean(), "o", color="black", markersize=5)
        ax.set(title=name, xlabel="defect probability", xticks=range(4), xticklabels=list(VALUES))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("predicted")
    figure.savefig(path, dpi=120)


# ---------------------------------------------------------------------------------- houses

NUMBERS = ["bedrooms", "bathrooms", "area"]
PHOTOS = ("frontal", "bedroom", "kitchen", "bathroom")
TARGETS = {"price": None, "log": (np.log, np.exp)}
HEADS = {
    "ridge": Ridge(),
    "boosting": HistGradientBoostingRegressor(early_stopping=False, random_state=0),
}


def small_cnn(in_channels, n_outputs):
    """Return a network for 428 photos: four convolutions, 64 features."""
    layers, widths = [], (16, 32, 64, 64)
    for depth, n_channels in enumerate(widths):
        stride = 2 if depth == 0 else 1
        layers += [
            nn.Conv2d(in_channels, n_channels, 3, stride=stride, padding=1, bias=False),
            *(nn.MaxPool2d(2), nn.BatchNorm2d(n_channels), nn.ReLU()),
        ]
        in_channels = n_channels
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, *pool, nn.Linear(widths[-1], n_outputs))


def photo_network(seed, **params):
    """Return a network that reads the four photos of a house."""
    return CNNRegressor(
        small_cnn,
        image_shape=(3, 64, 64),
        max_epochs=10,
        steps_per_epoch=14,
        batch_size=32,
        augmentation=None,
        lr=5e-3,
        random_state=seed,
        **params,
    )


class CrossFitted(TransformerMixin, BaseEstimator):
    """A column of what a regressor predicts for rows that it has not seen.

    A network has its training photos by heart, and a regressor on top would trust what it says of
    them. So for the training rows the column is predicted by cross-validation.
    """

    def __init__(self, estimator, cv=3):
        self.estimator = estimator
        self.cv = cv

    def fit(self, X, y):
        """Train on all rows, for those to come."""
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    def transform(self, X):
        """Predict new rows."""
        return self.estimator_.predict(X)[:, np.newaxis]

    def fit_transform(self, X, y=None, **params):
        """Train on all rows, and predict each of them by a network that has not seen it."""
        folds = KFold(self.cv, shuffle=True, random_state=0)
        self.fit(X, y)
        return cross_val_predict(self.estimator, X, y, cv=folds)[:, np.newaxis]


def columns(kind, seed):
    """Return what turns a frame of houses into numbers."""
    codes = OneHotEncoder(
        min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    table = [("numbers", StandardScaler(), NUMBERS), ("zipcode", codes, ["zipcode"])]
    embedder = make_pipeline(CNNEmbedder(photo_network(seed)), StandardScaler())
    crossed = make_pipeline(CrossFitted(photo_network(seed)), StandardScaler())
    parts = {
        "table": table,
        "table + embedding": [*table, ("photos", embedder, "photos")],
        "table + cross-fitted": [*table, ("photos", crossed, "photos")],
    }
    return ColumnTransformer(parts[kind])


KINDS = ("table", "table + embedding", "table + cross-fitted")
#: Features with which all remedies are tried.
TRIED = ("table", "table + cross-fitted")
#: Weights by price, samplers of the joined features, and bags of rows of them.
REMEDIES = (
    "none",
    "weights sqrt",
    "weights inverse",
    "RelevanceOverSampler",
    "SMOTER",
    "bagging",
    "ReBagg",
    SPREAD,
)
#: What the network on the photos alone tries.
PHOTO_REMEDIES = (
    "none",
    "target_weight=sqrt",
    "target_weight=inverse",
    "batch_sampling=relevance",
    "RelevanceOverSampler",
    SPREAD,
)


def transformed(relevance, target):
    """Return the relevance of what a regressor is trained on."""
    return relevance if TARGETS[target] is None else partial(_of_logarithm, relevance)


def _of_logarithm(relevance, values):
    return relevance(np.exp(values))


def on_scale(regressor, target):
    """Return a regressor that is trained on the price or its logarithm, and predicts prices."""
    if TARGETS[target] is None:
        return regressor
    func, inverse_func = TARGETS[target]
    return TransformedTargetRegressor(regressor, func=func, inverse_func=inverse_func)


def spread_predictions(regressor, target, seed, cv=5):
    """Return a regressor whose predicted prices are moved away from a centre."""
    return SpreadCorrectedRegressor(on_scale(regressor, target), cv=cv, random_state=seed)


def tabular(head, target, remedy, relevance, seed):
    """Return a regressor of what `columns` gives, and what turns prices into weights of rows."""
    rare = transformed(relevance, target)
    regressor, steps, weigh = clone(HEADS[head]), [], None
    if remedy == "RelevanceOverSampler":
        steps = [("sampler", RelevanceOverSampler(relevance=rare, random_state=seed))]
    elif remedy == "SMOTER":
        steps = [("sampler", SMOTER(relevance=rare, random_state=seed))]
    elif remedy in ("bagging", "ReBagg"):
        # Where nothing is rare, bags are drawn as the data are: what averaging does by itself.
        rare = np.zeros_like if remedy == "bagging" else rare
        regressor = ReBaggRegressor(regressor, relevance=rare, random_state=seed)
    elif remedy == SPREAD:
        return spread_predictions(regressor, target, seed), weigh
    elif remedy != "none":
        weigh = partial(compute_target_weight, remedy.removeprefix("weights "))
    return on_scale(Pipeline([*steps, ("regressor", regressor)]), target), weigh


def photographic(target, remedy, relevance, seed):
    """Return a network on the photos alone."""
    rare = transformed(relevance, target)
    params = {
        "none": {},
        "target_weight=sqrt": {"target_weight": "sqrt"},
        "target_weight=inverse": {"target_weight": "inverse"},
        "batch_sampling=relevance": {"batch_sampling": "relevance", "relevance": rare},
        "RelevanceOverSampler": {"sampler": RelevanceOverSampler(relevance=rare)},
    }
    if remedy == SPREAD:
        return spread_predictions(photo_network(seed), target, seed, cv=2)
    return on_scale(photo_network(seed, **params[remedy]), target)


def load_houses(folder, scratch):
    """Return a frame of houses, prices, and groups; write a picture of each house's four photos."""
    table = pd.read_csv(folder / "houses.csv")
    shots = [
        read_images([folder / name for name in table[f"{photo}_image"]], image_shape=(3, 32, 32))
        for photo in PHOTOS
    ]
    rows = np.concatenate(shots[:2], axis=2), np.concatenate(shots[2:], axis=2)
    paths = [str(scratch / f"{house}.png") for house in table["house_id"]]
    for path, picture in zip(paths, np.concatenate(rows, axis=1), strict=True):
        Image.fromarray(picture).save(path)
    frame = table[[*NUMBERS, "zipcode"]].assign(photos=paths)
    return frame, table["price"].to_numpy(dtype=np.float64), table["group"].to_numpy()


def fit_houses(frame, y, groups, train, test, relevance, seed, wanted=None):
    """Return what each contender predicts for the test part of a fold."""
    X, y, groups = frame.iloc[train], y[train], groups[train]

    def fit(model, X, remedy, **weights):
        return model.fit(X, y, **({"groups": groups} if remedy == SPREAD else weights))

    X_test = frame.iloc[test]
    found: dict[tuple, np.ndarray] = {("the mean of y",): np.full(len(test), y.mean())}
    with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore")
        for target, remedy in product(TARGETS, those_wanted(PHOTO_REMEDIES, wanted)):
            model = photographic(target, remedy, relevance, seed)
            fit(model, X["photos"].to_numpy(), remedy)
            found["photos", target, remedy] = model.predict(X_test["photos"].to_numpy())
        for kind, (target, scale) in product(KINDS, TARGETS.items()):
            # The first step of a pipeline, taken once for all that may follow.
            first = columns(kind, seed)
            made = first.fit_transform(X, y if scale is None else scale[0](y))
            made_test = first.transform(X_test)
            remedies = those_wanted(REMEDIES, wanted) if kind in TRIED else ("none",)
            for head, remedy in product(HEADS, remedies):
                model, weigh = tabular(head, target, remedy, relevance, seed)
                weights = {} if weigh is None else {"regressor__sample_weight": weigh(y)}
                predicted = fit(model, made, remedy, **weights).predict(made_test)
                found[kind, head, target, remedy] = predicted
    return found


def study_houses(folder, n_repeats, n_jobs, wanted=None):
    """Return prices, relevance, and predictions of each contender, (n_repeats, n_rows)."""
    with tempfile.TemporaryDirectory() as scratch:
        frame, y, groups = load_houses(folder, Path(scratch))
        # What is dear is a matter of the use of predictions, not learnt from a training part.
        relevance = Relevance(points=Relevance().fit(y).points_).fit(y)
        splits = [
            (repeat, train, test)
            for repeat in range(n_repeats)
            for train, test in BinnedStratifiedKFold(shuffle=True, random_state=repeat).split(
                frame, y, groups
            )
        ]
        made = Parallel(n_jobs=n_jobs)(
            delayed(fit_houses)(frame, y, groups, train, test, relevance, repeat, wanted)
            for repeat, train, test in splits
        )
    found = {name: np.empty((n_repeats, len(y))) for name in made[0]}
    for (repeat, _, test), predicted in zip(splits, made, strict=True):
        for name, values in predicted.items():
            found[name][repeat, test] = values
    return y, relevance, found


def figures(y, relevance, found, name):
    """Return errors in thousands, SERA over that of the mean, and slope, one a repeat."""
    is_dear = relevance(y) >= 0.5
    error = np.abs(found[name] - y) / 1000
    base = sera_score(y, found["the mean of y",][0], relevance=relevance)
    return {
        "MAE": error.mean(axis=1),
        "dear": error[:, is_dear].mean(axis=1),
        "others": error[:, ~is_dear].mean(axis=1),
        "SERA": [sera_score(y, row, relevance=relevance) / base for row in found[name]],
        "slope": [prediction_slope(y, row) for row in found[name]],
    }


def change(y, rows, found, name, base):
    """Return how much larger errors are than those of another, in thousands, as text."""
    error = {which: np.abs(found[which] - y)[:, rows].mean(axis=0) for which in (name, base)}
    difference = (error[name] - error[base]) / 1000
    deviation = difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.0f} ± {deviation:.0f}"


def print_rows(y, relevance, found, rows):
    """Print figures of contenders, each with the contender to which it is compared."""
    is_dear = relevance(y) >= 0.5
    heads = ["MAE", "dear", "others", "SERA", "slope", "change of MAE", "change, dear"]
    print_head("", heads)
    for label, name, base in rows:
        if name not in found:
            continue
        made = figures(y, relevance, found, name)
        cells = [spread(made[key], 0) for key in ("MAE", "dear", "others")]
        cells += [spread(made[key], 2) for key in ("SERA", "slope")]
        for part in (np.ones(len(y), dtype=bool), is_dear):
            cells += ["" if base in (None, name) else change(y, part, found, name, base)]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


def print_houses(y, relevance, found):
    """Print what the photos and the remedies do."""
    is_dear = relevance(y) >= 0.5
    print(
        f"\n### Houses: {len(y)} rows, {is_dear.sum()} of them dear, from "
        f"{y[is_dear].min():.0f}; errors in thousands\n\n#### Photos alone\n"
    )
    rows = [("the mean of y", ("the mean of y",), None)]
    rows += [
        (f"{target}, {remedy}", ("photos", target, remedy), ("photos", target, "none"))
        for target, remedy in product(TARGETS, PHOTO_REMEDIES)
    ]
    print_rows(y, relevance, found, rows)
    print("\n#### What photos add to the table, without a remedy\n")
    rows = [
        (f"{head}, {target}: {kind}", (kind, head, target, "none"), ("table", head, target, "none"))
        for head, target, kind in product(HEADS, TARGETS, KINDS)
    ]
    print_rows(y, relevance, found, rows)
    for kind in TRIED:
        print(f"\n#### Remedies on {kind}: error of the dear / of the others\n")
        print_compact(
            lambda name, _: " / ".join(
                spread(figures(y, relevance, found, name)[part], 0) for part in ("dear", "others")
            ),
            kind,
            found,
        )
    print(f"\n#### Remedies on {TRIED[0]}: SERA / slope\n")
    print_compact(
        lambda name, _: " / ".join(
            f"{np.mean(figures(y, relevance, found, name)[key]):.2f}" for key in ("SERA", "slope")
        ),
        TRIED[0],
        found,
    )
    print(f"\n#### Remedies on {TRIED[0]}: change for the dear / for the others\n")
    print_compact(
        lambda name, base: " / ".join(
            change(y, part, found, name, base) for part in (is_dear, ~is_dear) if name != base
        ),
        TRIED[0],
        found,
    )


def print_compact(cell, kind, found):
    """Print what a cell says of a contender and of the one without a remedy, a row a remedy."""
    print_head("", [f"{head}, {target}" for head, target in product(HEADS, TARGETS)])
    names = {name[-1] for name in found if name[0] == kind}
    for remedy in (each for each in REMEDIES if each in names):
        cells = [
            cell((kind, head, target, remedy), (kind, head, target, "none"))
            for head, target in product(HEADS, TARGETS)
        ]
        print(f"| {remedy} | {' | '.join(cells)} |", flush=True)


# ------------------------------------------------------------------------------------ main


def those_wanted(names, wanted):
    """Return the names of remedies that were asked for, and always that of none."""
    return [name for name in names if wanted is None or name in ("none", *wanted)]


def print_head(name, heads):
    """Print the head of a table."""
    print(f"| {name} | {' | '.join(heads)} |")
    print("| --- |" + " --- |" * len(heads))


def spread(values, digits):
    """Return mean and standard deviation, as text."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0
    return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--part", nargs="+", choices=["solar", "houses"], default=["solar", "houses"]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--remedies", nargs="+", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {}
    if "solar" in arguments.part:
        y, y_test, found = study_cells(
            arguments.folder / "elpv_solar",
            arguments.seeds,
            arguments.jobs,
            arguments.remedies,
        )
        print_cells(y, y_test, found)
        results["solar"] = {"y": y_test.tolist()}
        results["solar"] |= {name: rows.tolist() for name, rows in found.items()}
        if arguments.plot is not None:
            names = ["none", "target_weight=inverse", "balanced_mse batch", "SMOGN"]
            draw_cells(y_test, found, arguments.plot, names)
    if "houses" in arguments.part:
        y, relevance, found = study_houses(
            arguments.folder / "houses",
            arguments.repeats,
            arguments.jobs,
            arguments.remedies,
        )
        print_houses(y, relevance, found)
        results["houses"] = {"y": y.tolist()}
        results["houses"] |= {", ".join(name): rows.tolist() for name, rows in found.items()}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
