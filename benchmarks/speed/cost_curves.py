"""Time and memory of fits, searches, predictions, resamplers and inspections as data grow.

Images are grey, 28 x 28, of two classes, 1 % of them of the minority; embeddings have 64 float32
numbers; a continuous target is log-normal. Every point runs in a process of its own. Its peak is
the memory that this process holds at most beyond its input; pages of a mapped file, which the
system may drop, do not count. A point that takes longer than ``--limit`` seconds, and all larger
ones of its curve, are left out and named.

    python benchmarks/speed/cost_curves.py --json benchmarks/results/cost_curves.json
        [--most 1000000] [--limit 600] [--only SMOTE ...] [--threads 1]
    python benchmarks/speed/cost_curves.py --plot benchmarks/results/cost_curves.json

``--plot`` draws docs/guide/cost_curves.png; table.py writes the largest points into a page. Up to
1 GB of disk is needed in the folder for temporary files, and 4 GB of memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from harness import ROOT, about, describe, limit_threads, parser_of
from imblearn.under_sampling import TomekLinks

from skimb import combine, over_sampling, under_sampling
from skimb._files import write_text

SIZES = [1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]

#: Files that are written: beyond, predictions read them several times, and `inspect` has no point.
MOST_FILES = 100_000

#: Training has points up to this size.
MOST_TRAINED = 100_000

SIDE, N_NUMBERS = 28, 64

#: Resamplers of classes, and of ranges of a continuous target.
OF_CLASSES = {
    "RandomOverSampler": over_sampling.RandomOverSampler(random_state=0),
    "AugmentedOverSampler": over_sampling.AugmentedOverSampler(random_state=0),
    "SMOTE": over_sampling.SMOTE(random_state=0),
    "RandomUnderSampler": under_sampling.RandomUnderSampler(random_state=0),
    "ClusterUnderSampler": under_sampling.ClusterUnderSampler(random_state=0),
    "EmbeddedSampler(TomekLinks)": under_sampling.EmbeddedSampler(TomekLinks()),
    "SMOTETomek": combine.SMOTETomek(random_state=0),
    "SMOTEENN": combine.SMOTEENN(random_state=0),
}
OF_RANGES = {
    "RelevanceOverSampler": over_sampling.RelevanceOverSampler(random_state=0),
    "RelevanceSampler": over_sampling.RelevanceSampler(random_state=0),
    "RelevanceUnderSampler": under_sampling.RelevanceUnderSampler(random_state=0),
    "GaussianNoiseOverSampler": over_sampling.GaussianNoiseOverSampler(random_state=0),
    "SMOTER": over_sampling.SMOTER(random_state=0),
    "SMOGN": over_sampling.SMOGN(random_state=0),
}

OF_NETWORKS = {
    "predict": ("array", "memmap", "paths", "embeddings"),
    "fit": ("array", "memmap", "paths", "embeddings"),
    "LossSearchCV": ("array",),
    "inspect_images": ("array", "memmap", "paths"),
}

#: What is measured, and the forms of its input. Only images can be augmented.
CURVES = {
    **OF_NETWORKS,
    **dict.fromkeys(OF_CLASSES, ("array", "embeddings")),
    "AugmentedOverSampler": ("array",),
    **dict.fromkeys(OF_RANGES, ("embeddings",)),
}


# ------------------------------------------------------------------------------- the data


def images_into(images):
    """Fill an array with images of smooth noise, no two of which are equal."""
    rng = np.random.default_rng(0)
    for start in range(0, len(images), 10_000):
        part = images[start : start + 10_000]
        coarse = rng.integers(256, size=(len(part), 7, 7), dtype=np.uint8)
        part[:] = coarse.repeat(4, axis=1).repeat(4, axis=2)
    return images


def images_of(form, n_samples, folder):
    """Return images as an array, a memory map, or paths of PNG files."""
    shape = (n_samples, SIDE, SIDE)
    if form == "array":
        return images_into(np.empty(shape, dtype=np.uint8))
    if form == "memmap":
        file = Path(folder) / "images.npy"
        images_into(np.lib.format.open_memmap(file, "w+", np.uint8, shape)).flush()
        return np.load(file, mmap_mode="r")
    from PIL import Image

    n_files = min(n_samples, MOST_FILES)
    files = [str(Path(folder) / f"{i:06d}.png") for i in range(n_files)]
    for file, image in zip(files, images_of("array", n_files, folder), strict=True):
        Image.fromarray(image).save(file, compress_level=1)
    return np.resize(files, n_samples)


def inputs_of(form, n_samples, folder):
    """Return X, labels and a continuous target."""
    rng = np.random.default_rng(1)
    y = np.zeros(n_samples, dtype=np.intp)
    y[:: min(100, n_samples // 10)] = 1
    if form == "embeddings":
        X = rng.standard_normal((n_samples, N_NUMBERS), dtype=np.float32)
        X[y == 1] += 0.5
        return X, y, np.exp(X[:, 0] + 0.5 * rng.standard_normal(n_samples))
    return images_of(form, n_samples, folder), y, None


def task_of(name, form, n_samples, folder, *, is_short=False):
    """Return what is measured, as a function without arguments; a short one trains little."""
    X, y, target = inputs_of(form, n_samples, folder)
    if name in OF_CLASSES:
        return lambda: OF_CLASSES[name].fit_resample(X, y)
    if name in OF_RANGES:
        return lambda: OF_RANGES[name].fit_resample(X, target)
    if name == "inspect_images":
        from skimb.study import inspect_images

        return lambda: inspect_images(X, y)
    from skimb.losses import FocalLoss
    from skimb.model_selection import LossSearchCV
    from skimb.neural_network import CNNClassifier

    module = "linear" if form == "embeddings" else "simple_cnn"
    network = CNNClassifier(module, device="cpu", random_state=0)
    if is_short:
        network.set_params(max_epochs=1)
    if form == "embeddings":
        network.set_params(augmentation=None)
    if name == "predict":
        fitted = network.set_params(max_epochs=1).fit(X[:1000], y[:1000])
        return lambda: fitted.predict(X)
    if name == "fit":
        return lambda: network.fit(X, y)
    gammas = {"loss": [FocalLoss()], "loss__gamma": [0, 1, 2, 5]}
    grid = {**gammas, "class_weight": [None, "balanced", {0: 1, 1: 10}]}
    return lambda: LossSearchCV(network, grid, cv=3, scoring="balanced_accuracy").fit(X, y)


# ---------------------------------------------------------------------------- the processes


def child(name, form, n_samples):
    """Make the data, say so, run the task once, and print its seconds."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as small:
        # What is loaded at the first use belongs to no point.
        task_of(name, form, 500, small, is_short=True)()
        task = task_of(name, form, n_samples, folder)
        print("ready", flush=True)
        start = time.perf_counter()
        # The result is held until the memory has been read.
        result = task()
        print(time.perf_counter() - start, flush=True)
        del result


def own_memory(pid):
    """Return the bytes that a process holds, without mapped files; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    held = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return 1024 * int(held[0]) if held else 0


def point(name, form, n_samples, limit):
    """Return the seconds and the peak of one point, or None if it takes too long."""
    command = [sys.executable, __file__, "--measure", json.dumps([name, form, n_samples])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start, before = time.monotonic(), own_memory(process.pid)
        peak = before
        # Read from here: a thread beside the task would wait while it computes.
        while process.poll() is None:
            peak = max(peak, own_memory(process.pid))
            if time.monotonic() - start > limit:
                process.kill()
                return None
            time.sleep(0.01)
        found = process.stdout.read()
        if process.returncode:
            raise RuntimeError(f"{name}, {form}, {n_samples} samples: the process failed.")
    return {"seconds": round(float(found), 4), "peak": peak - before}


def sizes_of(name, form, most):
    """Return the sizes of a curve."""
    if name in ("fit", "LossSearchCV"):
        most = min(most, MOST_TRAINED)
    if name == "inspect_images" and form == "paths":
        most = min(most, MOST_FILES)
    return [n_samples for n_samples in SIZES if n_samples <= most]


def measure(arguments, record):
    """Measure all points, each of which is printed and written."""
    for name in arguments.only or CURVES:
        for form in CURVES[name]:
            sizes = sizes_of(name, form, arguments.most)
            for n_samples in sizes:
                found = point(name, form, n_samples, arguments.limit)
                if found is None:
                    left = [n for n in sizes if n >= n_samples]
                    record["left_out"].append({"name": name, "form": form, "sizes": left})
                    print(f"{name}, {form}: left out {left}", flush=True)
                    break
                record["points"].append({"name": name, "form": form, "n": n_samples, **found})
                print(
                    f"{name}, {form}, {n_samples}: {found['seconds']:.3g} s, "
                    f"{found['peak'] / 1e6:.0f} MB",
                    flush=True,
                )
                if arguments.json is not None:
                    write_text(arguments.json, json.dumps(record, indent=1) + "\n")
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(record, indent=1) + "\n")


# -------------------------------------------------------------------------------- the plot

#: Colours that people with any colour vision tell apart (Okabe and Ito), and markers.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00"]
MARKERS = "osD^vP*X"

#: Rows of the figure: title, and which curves.
PANELS = {
    "Predictions, training, inspection": lambda name, form: name in OF_NETWORKS,
    "Resamplers, images 28 x 28": lambda name, form: name in OF_CLASSES and form == "array",
    "Resamplers, embeddings of 64 numbers": lambda name, form: (
        form == "embeddings" and (name in OF_CLASSES or name in OF_RANGES)
    ),
}
LINES = {"array": "-", "memmap": "--", "paths": ":", "embeddings": "-."}


def plot(record, file):
    """Draw time and peak of all curves."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 13), layout="constrained")
    grid = figure.add_gridspec(len(PANELS), 1)
    above = None
    for line, (title, belongs) in enumerate(PANELS.items()):
        row = figure.add_subfigure(grid[line])
        curves = {}
        for each in record["points"]:
            if belongs(each["name"], each["form"]):
                curves.setdefault((each["name"], each["form"]), []).append(each)
        left, right = row.subplots(1, 2)
        if above is not None:
            for ax, other in zip((left, right), above, strict=True):
                ax.sharex(other)
                ax.sharey(other)
        above = left, right
        for (name, form), points in curves.items():
            group = next(g for g in (OF_NETWORKS, OF_CLASSES, OF_RANGES) if name in g)
            place = list(group).index(name)
            style = {
                "color": COLOURS[place],
                "marker": MARKERS[place],
                "linestyle": LINES[form] if line == 0 else "--" if name in OF_RANGES else "-",
                "fillstyle": "none" if name in OF_RANGES else "full",
                "label": f"{name}, {form}" if line == 0 else name,
            }
            sizes = [each["n"] for each in points]
            left.plot(sizes, [each["seconds"] for each in points], **style)
            # An axis of logarithms has no place for less.
            right.plot(sizes, [max(each["peak"] / 1e6, 1) for each in points], **style)
        row.suptitle(title)
        left.set_ylabel("seconds")
        right.set_ylabel("peak beyond the input, MB")
        for ax in (left, right):
            ax.set(xlabel="samples", xscale="log", yscale="log")
            ax.grid(alpha=0.3)
        place = {"loc": "outside lower center", "ncols": 4, "columnspacing": 1.2}
        row.legend(
            *left.get_legend_handles_labels(), **place, fontsize=9, frameon=False, handlelength=2.6
        )
    figure.savefig(file, dpi=110)


def main():
    """Measure, or draw, or run one point for the process that asked for it."""
    parser = parser_of(__doc__, repeats=1)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="samples of the largest point")
    parser.add_argument("--limit", type=float, default=600, help="seconds of a point, at most")
    parser.add_argument("--only", nargs="+", choices=CURVES)
    parser.add_argument("--plot", type=Path, metavar="JSON")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "guide" / "cost_curves.png")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        child(*json.loads(arguments.measure))
        return
    if arguments.plot:
        plot(json.loads(arguments.plot.read_text()), arguments.figure)
        return
    if arguments.quick:
        arguments.most = min(arguments.most, 3000)
    import torch

    limit_threads(arguments.threads)
    record = {"about": about(torch.device("cpu"), arguments), "limit": arguments.limit}
    record |= {"points": [], "left_out": []}
    print(describe(record["about"]), flush=True)
    measure(arguments, record)


if __name__ == "__main__":
    main()
