"""Peak memory of a fit and of a prediction, above that of the process with its input, by form of X.

Each form of the same images is measured in a process of its own. After the imports, a small fit and
the reading of the input, the kernel's mark of the largest resident set is reset. A row has what a
fit over several epochs and a prediction take above the memory of that moment:

- "peak": the largest resident set, which counts pages of mapped files too. The kernel drops these
  as it needs memory, so a map seems to take its whole size where memory is not short;
- "own": the largest part of it that belongs to the process alone, sampled every few milliseconds;
- "growth": how much more of it there is after the last epoch than after the first.

The network is small, because the images are what is measured.

    python benchmarks/speed/memory.py [--images 100000] [--side 64] [--epochs 4] [--forms array,map]
        [--folder FOLDER] [--json FILE] [--quick]

FOLDER keeps the files for a further run; otherwise they are temporary. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

FORMS = ("array", "channels first", "lazy view", "map", "stored map", "paths", "paths with cache")

#: Seconds between two samples of the memory.
PERIOD = 0.005


def made(folder, n_images, side):
    """Write an array and JPEG files of the same images, if they are not there."""
    path = folder / f"images {n_images} {side}.npy"
    files = folder / f"files {n_images} {side}"
    if path.exists() and files.exists():
        return
    files.mkdir(exist_ok=True)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n_images, side, side, 3))
    rng = np.random.RandomState(0)
    for start in range(0, n_images, 1000):
        # Smooth images: noise would make large files, which are slow to decode.
        rows = slice(start, min(start + 1000, n_images))
        coarse = rng.randint(256, size=(rows.stop - start, 4, 4, 3), dtype=np.uint8)
        for row, values in enumerate(coarse, start):
            image = Image.fromarray(values).resize((side, side))
            image.save(files / f"{row:07}.jpg")
            images[row] = np.asarray(image)
    images.flush()


def kibibytes(name):
    """Return a field of the state of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))


class Watch:
    """The largest memory that belongs to the process alone, which a thread samples."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.before = kibibytes("VmRSS"), kibibytes("RssAnon")
        self.largest, self.is_over = self.before[1], threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()
        self.begin = time.perf_counter()
        return self

    def _sample(self):
        while not self.is_over.wait(PERIOD):
            self.largest = max(self.largest, kibibytes("RssAnon"))

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.begin
        self.is_over.set()
        self.thread.join()

    def megabytes(self):
        """Return the peak and the own memory above those before, in MB."""
        found = kibibytes("VmHWM") - self.before[0], self.largest - self.before[1]
        return [kib * 1024 / 1e6 for kib in found]


def measure(form, folder, n_images, side, n_epochs):
    """Print the figures of one form as JSON; this process is for nothing else."""
    import torch
    from sklearn.exceptions import ConvergenceWarning
    from skorch.callbacks import Callback
    from torch import nn

    from skimb.datasets import StoredImages, read_images
    from skimb.neural_network import CNNClassifier
    from skimb.over_sampling import RandomOverSampler

    class Small(nn.Module):
        def __init__(self, n_channels, n_outputs):
            super().__init__()
            self.head = nn.Linear(64 * n_channels, n_outputs)

        def forward(self, images):
            return self.head(nn.functional.adaptive_avg_pool2d(images, 8).flatten(1))

    own = []

    class AtEpochEnd(Callback):
        def on_epoch_end(self, net, **kwargs):
            own.append(kibibytes("RssAnon") * 1024 / 1e6)

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    path = folder / f"images {n_images} {side}.npy"
    y = np.arange(n_images) % 4 == 0
    if form == "array":
        X = np.load(path)
    elif form == "channels first":
        X = np.ascontiguousarray(np.load(path, mmap_mode="r").transpose(0, 3, 1, 2))
    elif form == "lazy view":
        sampler = RandomOverSampler(random_state=0, lazy=True)
        X, y = sampler.fit_resample(np.load(path), y)
    elif form == "map":
        X = np.load(path, mmap_mode="r")
    elif form == "stored map":
        X = StoredImages(np.load(path, mmap_mode="r"))
    else:
        X = sorted(str(file) for file in (folder / f"files {n_images} {side}").iterdir())
        if form == "paths with cache":
            X = read_images(X, cache=folder / "cache", n_jobs=-1)
    clf = CNNClassifier(Small, batch_size=128, random_state=0, net_callbacks=[AtEpochEnd()])
    small = np.zeros((64, side, side, 3), np.uint8)
    clf.set_params(max_epochs=1).fit(small, np.arange(64) % 2).predict(small)
    own.clear()
    clf.set_params(max_epochs=n_epochs)
    with Watch() as fit:
        clf.fit(X, y)
    with Watch() as prediction:
        clf.predict(X)
    row = {"input": n_images * side * side * 3 / 1e6}
    row["fit, peak"], row["fit, own"] = fit.megabytes()
    row["growth"] = own[-1] - own[0]
    row["predict, peak"], row["predict, own"] = prediction.megabytes()
    row |= {"fit, seconds": fit.seconds, "predict, seconds": prediction.seconds}
    print(json.dumps(row))


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measured", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.epochs = 2000, 2
    sizes = arguments.images, arguments.side
    if arguments.measured is not None:
        measure(arguments.measured, arguments.folder, *sizes, arguments.epochs)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        made(folder, *sizes)
        rows = {}
        for form in arguments.forms.split(","):
            command = [sys.executable, __file__, "--measured", form, "--folder", folder]
            command += ["--images", sizes[0], "--side", sizes[1], "--epochs", arguments.epochs]
            done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
            rows[form] = json.loads(done.stdout.splitlines()[-1])
            if len(rows) == 1:
                print("| MB | " + " | ".join(rows[form]) + " |")
                print("| --- |" + " --- |" * len(rows[form]))
            values = " | ".join(f"{value:.0f}" for value in rows[form].values())
            print(f"| {form} | {values} |", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
