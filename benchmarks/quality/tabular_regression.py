"""What helps where a table's target is rare? Real sets, two regressors, every remedy.

Cross-validation by repeated `BinnedStratifiedKFold`. What is rare is settled once for each set, by
the box plot of its target; filling in, weighting and resampling see the training part alone. The
predictions of all folds of a repeat are scored together; figures are the mean and the standard
deviation over the repeats. Prints for each set and regressor a table, and for each regressor one
of all sets: the mean absolute error of rare and of normal rows, each over that without a remedy,
and the mean over the sets of that which is balanced over the range, over that without a remedy.

    python benchmarks/quality/tabular_regression.py FOLDER [--repeats 3] [--remedies NAME ...]
        [--json FILE]

FOLDER holds abalone.csv, ames_housing.csv, autompg.csv, bank8fm.csv, california_housing.csv and
cpu_small.csv; those that are not there are left out.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from skimb.ensemble import ReBaggRegressor
from skimb.metrics import (
    balanced_mean_absolute_error,
    prediction_slope,
    regression_scoring,
    sera_score,
)
from skimb.model_selection import BinnedStratifiedKFold, SpreadCorrectedRegressor
from skimb.over_sampling import (
    SMOGN,
    SMOTER,
    GaussianNoiseOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
)
from skimb.relevance import Relevance, compute_target_weight, fit_relevance
from skimb.under_sampling import RelevanceUnderSampler

#: Name of a set: its target, and columns that only name the row.
SETS = {
    "abalone": ("Class_Rings", ()),
    "ames_housing": ("SalePrice", ("Id",)),
    "autompg": ("class", ()),
    "bank8fm": ("rej", ()),
    "california_housing": ("medianHouseValue", ()),
    "cpu_small": ("usr", ()),
}
CATEGORIES = make_column_selector(dtype_exclude="number")
NUMBERS = make_column_selector(dtype_include="number")
METRICS = (
    *("MAE", "RMSE", "SERA / none", "balanced / none", "MAE rare", "MAE normal", "slope"),
    "seconds",
)


def load(path):
    """Return rows and target of a set."""
    target, names = SETS[path.stem]
    table = pd.read_csv(path).drop(columns=list(names))
    y = table.pop(target).to_numpy(dtype=np.float64)
    for column in CATEGORIES(table):
        table[column] = table[column].astype(object).where(table[column].notna(), "missing")
    return table.astype(dict.fromkeys(NUMBERS(table), np.float64)), y


def boosting(seed):
    """Return gradient boosting of trees."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    # Without an early stop: repeated rows would stand on both sides of its validation.
    trees = HistGradientBoostingRegressor(early_stopping=False, random_state=seed)
    encoder = make_column_transformer((codes, CATEGORIES), remainder="passthrough")
    return Pipeline([("encoder", encoder), ("regressor", trees)])


def linear(seed):
    """Return ridge regression."""
    dummies = OneHotEncoder(handle_unknown="ignore")
    encoder = make_column_transformer((dummies, CATEGORIES), (StandardScaler(), NUMBERS))
    return Pipeline([("encoder", encoder), ("regressor", Ridge())])


MODELS = {"boosting": boosting, "linear": linear}


def weighted(model, scheme):
    """Return what fits a model to rows that weigh by a scheme."""
    return lambda X, y: model.fit(X, y, regressor__sample_weight=compute_target_weight(scheme, y))


def resampled(model, sampler):
    """Return what fits a model to rows that a sampler made of X and y."""
    return lambda X, y: model.fit(*sampler.fit_resample(X, y))


def spread(model, relevance, seed):
    """Return what spreads the predictions of a model for the relevant values."""

    def fit(X, y):
        scorer = regression_scoring(y, relevance=relevance)["neg_sera"]
        return SpreadCorrectedRegressor(model, scoring=scorer, random_state=seed).fit(X, y)

    return fit


def remedies(make, relevance, seed):
    """Return what fits each contender, by name."""
    found = {"none": make(seed).fit}
    for scheme in ("inverse", "sqrt", "lds"):
        found[f"weights {scheme}"] = weighted(make(seed), scheme)
    for sampler in (
        RelevanceOverSampler,
        RelevanceUnderSampler,
        RelevanceSampler,
        GaussianNoiseOverSampler,
        SMOTER,
        SMOGN,
    ):
        chosen = sampler(relevance=relevance, random_state=seed)
        found[sampler.__name__] = resampled(make(seed), chosen)

    def bags(**params):
        return ReBaggRegressor(make(None), random_state=seed, **params).fit

    # Nothing is rare: bags as the data are, to tell what averaging does by itself.
    found["bagging"] = bags(relevance=np.zeros_like)
    found["ReBagg"] = bags(relevance=relevance)
    found["ReBagg variation"] = bags(relevance=relevance, strategy="variation")
    found["ReBagg SMOTER"] = bags(relevance=relevance, sampler=SMOTER(relevance=relevance))
    found["spread corrected"] = SpreadCorrectedRegressor(make(seed), random_state=seed).fit
    found["spread corrected, SERA"] = spread(make(seed), relevance, seed)
    return found


def predictions(X, y, train, test, make, relevance, seed, wanted=None):
    """Return what each remedy predicts for the test part of a fold, and its seconds on a thread."""
    for message in ("Found unknown categories", "None of the", "Bump"):
        warnings.filterwarnings("ignore", message=message)
    medians = X.iloc[train].median(numeric_only=True)
    X_train, X_test = (X.iloc[rows].fillna(medians) for rows in (train, test))
    found = {}
    for name, fit in remedies(make, relevance, seed).items():
        if wanted is not None and name not in ("none", *wanted):
            continue
        begin = time.perf_counter()
        with threadpool_limits(1):
            predicted = fit(X_train, y[train]).predict(X_test)
        found[name] = predicted, time.perf_counter() - begin
    return found


def study(X, y, make, n_repeats, n_jobs, wanted=None):
    """Return the figures of each remedy, one for each repeat."""
    # What is rare is a matter of the use of predictions, not learnt from a training part.
    relevance = Relevance(points=Relevance().fit(y).points_)
    phi = fit_relevance(relevance, y)
    rare = phi(y) >= 0.5
    splits = [
        (repeat, train, test)
        for repeat in range(n_repeats)
        for train, test in BinnedStratifiedKFold(shuffle=True, random_state=repeat).split(X, y)
    ]
    made = Parallel(n_jobs=n_jobs)(
        delayed(predictions)(X, y, train, test, make, relevance, repeat, wanted)
        for repeat, train, test in splits
    )
    figures = {name: {metric: [] for metric in METRICS} for name in made[0]}
    for repeat in range(n_repeats):
        base = None
        for name, rows in figures.items():
            predicted, seconds = np.empty(len(y)), []
            for (which, _, test), found in zip(splits, made, strict=True):
                if which == repeat:
                    predicted[test] = found[name][0]
                    seconds.append(found[name][1])
            error = np.abs(predicted - y)
            sera = sera_score(y, predicted, relevance=phi)
            balanced = balanced_mean_absolute_error(y, predicted)
            base = (sera, balanced) if base is None else base
            rows["MAE"].append(error.mean())
            rows["RMSE"].append(np.sqrt(np.mean(error**2)))
            rows["SERA / none"].append(sera / base[0])
            rows["balanced / none"].append(balanced / base[1])
            rows["MAE rare"].append(error[rare].mean())
            rows["MAE normal"].append(error[~rare].mean())
            rows["slope"].append(prediction_slope(y, predicted))
            rows["seconds"].append(np.mean(seconds))
    return figures, int(rare.sum())


def written(values):
    """Return mean and standard deviation, to three digits of the mean."""
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    digits = max(0, 2 - int(np.floor(np.log10(max(abs(mean), 1e-12)))))
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def print_table(figures):
    """Print the figures of a set."""
    print("| remedy | " + " | ".join(METRICS) + " |")
    print("| --- |" + " --- |" * len(METRICS))
    for name, rows in figures.items():
        cells = [written(rows[metric]) for metric in METRICS[:-1]]
        print(f"| {name} | {' | '.join(cells)} | {np.mean(rows['seconds']):.2f} |", flush=True)


def print_summary(by_set):
    """Print errors of rare and normal rows over those without a remedy; the balanced one too."""
    print("| remedy | " + " | ".join(by_set) + " | mean | balanced |")
    print("| --- |" + " --- |" * (len(by_set) + 2))
    for name in next(iter(by_set.values())):
        ratios = np.array(
            [
                [
                    np.mean(np.divide(figures[name][metric], figures["none"][metric]))
                    for metric in ("MAE rare", "MAE normal")
                ]
                for figures in by_set.values()
            ]
        )
        cells = [f"{rare:.2f} / {normal:.2f}" for rare, normal in [*ratios, ratios.mean(axis=0)]]
        cells += [
            f"{np.mean([np.mean(of[name]['balanced / none']) for of in by_set.values()]):.2f}"
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--remedies", nargs="+", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {}
    for model in arguments.models:
        by_set = results[model] = {}
        for path in (arguments.folder / f"{name}.csv" for name in arguments.sets):
            if not path.exists():
                continue
            X, y = load(path)
            figures, n_rare = study(
                X, y, MODELS[model], arguments.repeats, arguments.jobs, arguments.remedies
            )
            by_set[path.stem] = figures
            print(f"\n### {path.stem}, {model}: {len(y)} rows, {n_rare} rare\n")
            print_table(figures)
        print(f"\n### All sets, {model}: MAE of rare / of normal rows, over that of none\n")
        print_summary(by_set)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
