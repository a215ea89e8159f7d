"""Compare what this checkout computes with what another commit computes, to the bit.

    python benchmarks/same_results.py --against 21c85f0

Each configuration below is fitted in both, on this machine. Predictions and histories must be
equal to the bit; those of auto-encoders and of networks that are trained together, within noise.
A change of the code that is not meant to change results is checked by this script.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent

#: Configurations whose sums may be taken in another order, and by how much values may differ.
NEAR = {"deep_smote": 0.1, "search_heads": 0.02, "search_end_to_end": 0.05}


def data(n_samples=240, *, continuous=False):
    """Return images of digits (the 8 against the rest) and labels, or a continuous target."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X * 15).astype(np.uint8).reshape(-1, 8, 8)
    order = np.random.RandomState(0).permutation(len(X))[:n_samples]
    X, y = X[order], y[order]
    if continuous:
        return X, np.exp(y / 1.5) + X.mean(axis=(1, 2)) / 50.0
    return X, np.where(y == 8, "eight", "other")


def photos(n_samples=90, side=18):
    """Return made colour images of three classes."""
    rng = np.random.RandomState(1)
    y = np.arange(n_samples) % 3
    X = rng.randint(0, 200, size=(n_samples, side, side, 3))
    X[np.arange(n_samples), :, 4, y] += 50
    return X.astype(np.uint8), y


def own_loss(logits, target):
    """Return one value a sample: the squared distance from the one-hot label."""
    import torch

    return ((logits.softmax(1) - torch.eye(logits.shape[1])[target]) ** 2).sum(1)


def own_optimizer(params, lr, weight_decay):
    """Return a torch optimiser of the caller's own."""
    import torch

    return torch.optim.RMSprop(params, lr=lr, weight_decay=weight_decay)


def own_network(in_channels, n_outputs):
    """Return a network that reads contiguous images only, with dropout."""
    from torch import nn

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(in_channels, 8, 3, padding=1)
            self.dropout = nn.Dropout(0.3)
            self.last = nn.Linear(8 * 64, n_outputs)

        def forward(self, x):
            x = self.convolution(x).relu()
            return self.last(self.dropout(x.view(len(x), -1)))

    return Viewing()


def blocks():
    """Return a network of several layers, to freeze and to slow down."""
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, 2),
        )


def classifier(**parameters):
    """Return what a classifier of these parameters computes."""
    from skimb.neural_network import CNNClassifier

    fit = parameters.pop("fit", {})
    X, y = parameters.pop("data", None) or data()
    defaults = {"max_epochs": 3, "batch_size": 32, "random_state": 0}
    clf = CNNClassifier(**{**defaults, **parameters}).fit(X, y, **fit)
    return {"proba": clf.predict_proba(X), "embedded": clf.embed(X)} | history(clf)


def regressor(**parameters):
    """Return what a regressor of these parameters computes."""
    from skimb.neural_network import CNNRegressor

    X, y = data(continuous=True)
    defaults = {"max_epochs": 4, "batch_size": 32, "random_state": 0}
    reg = CNNRegressor(**{**defaults, **parameters}).fit(X, y)
    return {"predicted": reg.predict(X)} | history(reg)


def history(estimator):
    """Return the history of a fit, one array a column."""
    columns = {name for record in estimator.history_ for name in record} - {"seconds"}
    return {
        name: np.array([np.ravel(record[name]) for record in estimator.history_])
        for name in sorted(columns)
    }


def files(folder):
    """Return paths of image files, and labels."""
    from PIL import Image

    X, y = data(120)
    paths = [Path(folder) / f"{i:03d}.png" for i in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return [str(path) for path in paths], y


def from_files():
    """Return what a classifier computes that decodes files."""
    from skimb.neural_network import CNNClassifier

    with tempfile.TemporaryDirectory() as folder:
        paths, y = files(folder)
        clf = CNNClassifier(max_epochs=2, batch_size=32, early_stopping=True, random_state=0)
        return {"proba": clf.fit(paths, y).predict_proba(paths)} | history(clf)


def decoupled(**parameters):
    """Return what a classifier in two stages computes."""
    from skimb.neural_network import CNNClassifier, DecoupledClassifier

    X, y = data()
    cnn = CNNClassifier(max_epochs=2, batch_size=32)
    clf = DecoupledClassifier(cnn, random_state=0, **parameters).fit(X, y)
    return {"proba": clf.predict_proba(X)}


def embedded():
    """Return what an embedder computes."""
    from skimb.neural_network import CNNClassifier, CNNEmbedder

    X, y = data()
    embedder = CNNEmbedder(CNNClassifier(max_epochs=2, batch_size=32, random_state=0))
    return {"embedded": embedder.fit(X, y).transform(X)}


def deep_smote():
    """Return the images that DeepSMOTE makes."""
    from skimb.neural_network import DeepSMOTE

    X, y = data()
    sampler = DeepSMOTE(max_epochs=3, n_latent=16, batch_size=50, random_state=0)
    made, labels = sampler.fit_resample(X, y)
    return {"images": made / 255.0, "losses": np.array(sampler.losses_), "y": labels == "eight"}


def search(**parameters):
    """Return the scores of a search."""
    from skimb.losses import FocalLoss
    from skimb.model_selection import LossSearchCV
    from skimb.neural_network import CNNClassifier

    X, y = data()
    cnn = parameters.pop("cnn", {})
    found = LossSearchCV(
        CNNClassifier(max_epochs=3, batch_size=32, random_state=0, **cnn),
        [
            {"loss": ["cross_entropy"], "class_weight": [None, "balanced"]},
            {"loss": [FocalLoss()], "loss__gamma": [1.0, 2.0]},
        ],
        cv=3,
        scoring="balanced_accuracy",
        **parameters,
    ).fit(X, y)
    return {
        "scores": found.cv_results_["mean_test_score"],
        "proba": found.best_estimator_.predict_proba(X),
    }


def over_sampled():
    """Return a sampler for classes."""
    from skimb.over_sampling import SMOTE

    return SMOTE()


def relevance_over_sampled():
    """Return a sampler for a continuous target."""
    from skimb.over_sampling import SMOTER

    return SMOTER()


def configurations():
    """Return each configuration by name, as a function without arguments."""
    n_samples = len(data()[1])
    weights = np.random.RandomState(5).rand(n_samples)
    groups = np.arange(n_samples) // 4
    return {
        "default": lambda: classifier(),
        "focal_weighted_balanced": lambda: classifier(
            loss="focal", class_weight="balanced", batch_sampling="balanced", target_prior="train"
        ),
        "ldam_deferred": lambda: classifier(
            loss="ldam", class_weight="effective", reweight_after=0.5
        ),
        "early_stopping": lambda: classifier(
            early_stopping=True, max_epochs=6, n_iter_no_change=1, class_weight="sqrt"
        ),
        "early_stopping_scored": lambda: classifier(
            early_stopping=True, scoring="balanced_accuracy", lr_schedule="cosine"
        ),
        "refit": lambda: classifier(early_stopping="refit", max_epochs=5),
        "calibrated": lambda: classifier(calibration="temperature", loss="logit_adjusted"),
        "mixup": lambda: classifier(augmentation="mixup", batch_sampling=0.5),
        "remix": lambda: classifier(augmentation=["flip_crop", "remix"]),
        "test_time_augmentation": lambda: classifier(augmentation="flip_crop"),
        "smote_weights": lambda: classifier(sampler=over_sampled(), fit={"sample_weight": weights}),
        "gradual": lambda: classifier(
            module=blocks(), freeze="gradual", lr_decay=0.5, max_epochs=4, augmentation=None
        ),
        "features_frozen": lambda: classifier(module=blocks(), freeze="features"),
        "resnet": lambda: classifier(module="resnet", data=photos(), max_epochs=1),
        "vgg": lambda: classifier(module="vgg", data=photos(48), max_epochs=1, max_grad_norm=None),
        "residual_stages": lambda: classifier(data=photos(48, side=40), max_epochs=1),
        "linear_sgd": lambda: classifier(
            module="linear", optimizer="sgd", lr_schedule="cosine", batch_sampling="progressive"
        ),
        "plateau": lambda: classifier(lr_schedule="plateau", max_epochs=8, steps_per_epoch=2),
        "own_parts": lambda: classifier(
            module=own_network, loss=own_loss, optimizer=own_optimizer, lr_schedule="constant"
        ),
        "groups": lambda: classifier(fit={"groups": groups}, standardize=None),
        "files": from_files,
        "regressor": lambda: regressor(),
        "balanced_mse": lambda: regressor(loss="balanced_mse", early_stopping=True),
        "balanced_mse_kept": lambda: regressor(loss="balanced_mse", reweight_after=0.5),
        "ranksim": lambda: regressor(ranksim=10.0, target_weight="lds", early_stopping="refit"),
        "smoter": lambda: regressor(
            loss="huber", sampler=relevance_over_sampled(), batch_sampling="sqrt"
        ),
        "regression_deferred": lambda: regressor(
            target_weight="inverse", reweight_after=0.5, augmentation="mixup"
        ),
        "decoupled_smote": lambda: decoupled(sampler=over_sampled(), max_epochs=3),
        "decoupled_scales": lambda: decoupled(head="learnable_scales", max_epochs=3),
        "decoupled_tau": lambda: decoupled(head="tau_normalized"),
        "embedder": embedded,
        "deep_smote": deep_smote,
        "search_heads": lambda: search(),
        "search_end_to_end": lambda: search(
            search="end_to_end",
            final="end_to_end",
            cnn={"augmentation": None, "module": "linear"},
        ),
    }


def write(path, names):
    """Compute the configurations and write everything into one file."""
    arrays = {}
    for name, compute in configurations().items():
        if names and name not in names:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays |= {f"{name}/{part}": values for part, values in compute().items()}
    np.savez(path, **arrays)


def compute_in(tree, path, names):
    """Run this script on the code of a checkout."""
    command = [sys.executable, str(Path(__file__).resolve()), "--write", str(path), *names]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(tree)}, cwd=tree)
    return dict(np.load(path))


def differences(before, now):
    """Return the configurations that differ, and by how much."""
    found = {}
    for part in sorted(before.keys() | now.keys()):
        name = part.split("/")[0]
        one, other = before.get(part), now.get(part)
        if part.endswith("/class_counts") and one is None:
            # Earlier commits do not record them.
            continue
        if one is None or other is None or one.shape != other.shape:
            found[part] = "stands in one only, or has another shape"
            continue
        if np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            continue
        distance = float(np.abs(one.astype(float) - other.astype(float)).max())
        if distance > NEAR.get(name, 0.0):
            found[part] = f"differs by up to {distance:.3g}"
    return found


def main():
    parser = argparse.ArgumentParser(description="Compare the results of two commits.")
    parser.add_argument("names", nargs="*", help="configurations; all by default")
    parser.add_argument("--against", default="HEAD", help="the commit to compare with")
    parser.add_argument("--keep", help="a file that keeps what that commit computes")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        return write(options.write, options.names)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(options.keep) if options.keep else Path(folder) / "before.npz"
        if kept.exists():
            before = dict(np.load(kept))
        else:
            tree = Path(folder) / "tree"
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "-q", "--detach", str(tree), options.against], check=True)
            try:
                before = compute_in(tree, kept, options.names)
            finally:
                subprocess.run([*git, "remove", "--force", str(tree)], check=True)
        now = compute_in(ROOT, Path(folder) / "now.npz", options.names)
    if options.names:
        before = {part: v for part, v in before.items() if part.split("/")[0] in options.names}
    found = differences(before, now)
    for part, said in found.items():
        print(f"{part}: {said}")
    n_names = len({part.split("/")[0] for part in before})
    print(f"{n_names} configurations, {len(before)} arrays, {len(found)} of them differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
