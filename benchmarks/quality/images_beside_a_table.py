"""What do images add to a table, and a table to images? Solar cells and houses.

    python benchmarks/quality/images_beside_a_table.py FOLDER [--part solar houses] [--seeds 5]
        [--device auto] [--max-epochs N] [--json FILE]

FOLDER holds elpv_solar (index.csv and images of solar cells, of which one column says whether they
are mono- or polycrystalline) and houses (houses.csv, with four columns and four photos of each
house, and its price).

Each seed trains on four fifths and is tested on another fifth; groups (near-duplicates, houses with
a common photo) stay on one side. Figures are means and standard deviations over the seeds.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skimb.datasets import read_images
from skimb.model_selection import BinnedStratifiedKFold
from skimb.neural_network import CNNClassifier, CNNRegressor

PHOTOS = ["frontal_image", "bedroom_image", "kitchen_image", "bathroom_image"]
COLUMNS = ["bedrooms", "bathrooms", "area", "zipcode"]


def read(folder, names, image_shape):
    """Return a list of images; they are decoded once for all trainings."""
    return [*read_images([folder / name for name in names], image_shape=image_shape)]


def load_solar(folder):
    """Return a frame of cells with their image, whether they are defective, and their groups."""
    index = pd.read_csv(folder / "index.csv")
    frame = pd.DataFrame(
        {
            "image": read(folder, index["file"], (1, 64, 64)),
            "cell_type": index["cell_type"],
        }
    )
    return frame, index["label_ge_0.5"].to_numpy(), index["group"].to_numpy()


def load_houses(folder):
    """Return a frame of houses with their photos and columns, their price, and their groups."""
    index = pd.read_csv(folder / "houses.csv")
    photos = {name: read(folder, index[name], (3, 64, 64)) for name in PHOTOS}
    frame = index[COLUMNS].assign(zipcode=index["zipcode"].astype(str), **photos)
    return frame, index["price"].to_numpy(), index["group"].to_numpy()


def solar_contenders(seed, settings):
    """Return the contenders for the cells, and the columns that each reads."""
    network = {"random_state": seed, **settings}
    code = make_column_transformer((OneHotEncoder(), ["cell_type"]))
    boosting = HistGradientBoostingClassifier(random_state=seed)
    return {
        "table only: gradient boosting": (make_pipeline(code, boosting), ["cell_type"]),
        "table only: logistic regression": (
            make_pipeline(code, LogisticRegression()),
            ["cell_type"],
        ),
        "image only": (CNNClassifier(image_column="image", **network), ["image"]),
        "image and table": (
            CNNClassifier(image_column="image", **network),
            ["image", "cell_type"],
        ),
        "image and table, balanced weights": (
            CNNClassifier(image_column="image", class_weight="balanced", **network),
            ["image", "cell_type"],
        ),
    }


def on_logarithm(regressor):
    """Return a regressor that is trained on the logarithm of the price."""
    return TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp)


def house_contenders(seed, settings):
    """Return the contenders for the houses, and the columns that each reads."""
    network = {"random_state": seed, **settings}
    codes = OneHotEncoder(
        min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    table = make_column_transformer((StandardScaler(), COLUMNS[:3]), (codes, ["zipcode"]))
    boosting = HistGradientBoostingRegressor(early_stopping=False, random_state=seed)
    found = {
        "table only: gradient boosting": (make_pipeline(table, boosting), COLUMNS),
        "table only: ridge": (make_pipeline(table, Ridge()), COLUMNS),
        "table only: the network, on blank images": (
            CNNRegressor("linear", image_column="blank", **network),
            [*COLUMNS, "blank"],
        ),
    }
    for pooling in ("mean", "concat"):
        reader = CNNRegressor(image_column=PHOTOS, image_pooling=pooling, **network)
        found[f"four photos only, {pooling}"] = reader, PHOTOS
        found[f"four photos and table, {pooling}"] = reader, [*COLUMNS, *PHOTOS]
    front = CNNRegressor(image_column=PHOTOS[0], **network)
    found["front photo and table"] = front, [*COLUMNS, PHOTOS[0]]
    return {name: (on_logarithm(model), columns) for name, (model, columns) in found.items()}


def study_solar(folder, n_seeds, settings):
    """Return the figures of each contender, one a seed."""
    X, y, groups = load_solar(folder)
    folds = StratifiedGroupKFold(n_seeds, shuffle=True, random_state=0).split(X, y, groups)
    found = {}
    for seed, (train, test) in enumerate(folds):
        for name, (model, columns) in solar_contenders(seed, settings).items():
            start = time.perf_counter()
            fitted = fit(model, X[columns].iloc[train], y[train])
            proba = fitted.predict_proba(X[columns].iloc[test])[:, 1]
            predicted = fitted.predict(X[columns].iloc[test])
            row = {
                "average precision": average_precision_score(y[test], proba),
                "ROC AUC": roc_auc_score(y[test], proba),
                "balanced accuracy": balanced_accuracy_score(y[test], predicted),
                "seconds": time.perf_counter() - start,
            }
            found.setdefault(name, []).append(row)
    return found


def study_houses(folder, n_seeds, settings):
    """Return the figures of each contender, one a seed; errors in thousands."""
    X, y, groups = load_houses(folder)
    X["blank"] = [*np.zeros((len(X), 1, 1), dtype=np.uint8)]
    is_dear = y >= np.quantile(y, 0.9)
    folds = BinnedStratifiedKFold(n_seeds, shuffle=True, random_state=0).split(X, y, groups)
    found = {}
    for seed, (train, test) in enumerate(folds):
        for name, (model, columns) in house_contenders(seed, settings).items():
            start = time.perf_counter()
            fitted = fit(model, X[columns].iloc[train], y[train])
            predicted = fitted.predict(X[columns].iloc[test])
            dear = is_dear[test]
            row = {
                "MAE": mean_absolute_error(y[test], predicted) / 1000,
                "MAE of the dearest tenth": mean_absolute_error(y[test][dear], predicted[dear])
                / 1000,
                "R²": r2_score(y[test], predicted),
                "seconds": time.perf_counter() - start,
            }
            found.setdefault(name, []).append(row)
    return found


def fit(model, X, y):
    """Fit a contender, without warnings of short trainings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def print_table(title, found):
    """Print means and standard deviations over the seeds."""
    measures = list(next(iter(found.values()))[0])
    print(f"\n### {title}\n\n| | {' | '.join(measures)} |\n| --- |" + " --- |" * len(measures))
    for name, rows in found.items():
        cells = []
        for measure in measures:
            values = [row[measure] for row in rows]
            digits = 0 if measure.startswith("MAE") else 1 if measure == "seconds" else 3
            deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--part", nargs="+", choices=["solar", "houses"], default=["solar", "houses"]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = {"device": arguments.device, "max_epochs": arguments.max_epochs or "auto"}
    found = {}
    if "solar" in arguments.part:
        found["solar"] = study_solar(arguments.folder / "elpv_solar", arguments.seeds, settings)
        print_table("Solar cells", found["solar"])
    if "houses" in arguments.part:
        found["houses"] = study_houses(arguments.folder / "houses", arguments.seeds, settings)
        print_table("Houses", found["houses"])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
