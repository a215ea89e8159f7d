"""Images per second of an epoch over image files: skimb, torch's DataLoader with Pillow, a cache.

The same images are written as JPEG (quality 90) and as PNG, and read in shuffled batches of 128 at
one size: by skimb as a fit on paths does it, with threads and without and with two workers, and
from the folder of decoded pixels of ``read_images(cache=...)``; and by torch's DataLoader over a
data set that opens, converts and resizes each image with Pillow, without and with two workers.
Contenders are interleaved; a row has the median of the images per second, its ratio to the
DataLoader without workers, and the seconds of the processor for 1000 images. A second DataLoader
without workers shows how far noise alone goes.

With --decoders, single calls of other decoders of JPEG that are installed are timed on one thread,
with the resizing of each library, and their pixels are compared with Pillow's.

    python benchmarks/speed/decoding.py [FOLDER] [--images 2000] [--side 64] [--repeats 5]
        [--decoders] [--json FILE] [--quick]

FOLDER holds images at any depth. Without it, they are pieces of 400 x 300 of scikit-learn's two
photographs.
"""

import argparse
import importlib
import json
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from joblib import cpu_count
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset

from skimb._engine._image_data import BatchIterator, dataset_of
from skimb._image_files import ImageFiles
from skimb.datasets import StoredImages, read_images

BATCH_SIZE = 128

#: The contender that ratios refer to.
BASE = "DataLoader, Pillow"


def written(folder, source, n_images):
    """Write the images as JPEG and PNG; return the paths of each format."""
    rng = np.random.RandomState(0)
    if source is None:
        photographs = [Image.fromarray(image) for image in load_sample_images().images]
        corners = rng.randint((240, 127), size=(n_images, 2))
        images = (
            photographs[i % 2].crop((left, top, left + 400, top + 300))
            for i, (left, top) in enumerate(corners)
        )
    else:
        found = sorted(path for path in source.rglob("*") if path.suffix in (".jpg", ".png"))
        chosen = rng.permutation(len(found))[:n_images]
        images = (Image.open(found[i]).convert("RGB") for i in chosen)
    paths = {"JPEG": [], "PNG": []}
    formats: dict[str, dict[str, Any]] = {"JPEG": {"quality": 90}, "PNG": {}}
    for i, image in enumerate(images):
        for name, options in formats.items():
            paths[name].append(str(folder / f"{i}.{name.lower()}"))
            image.save(paths[name][-1], **options)
    return {name: np.array(found, dtype=object) for name, found in paths.items()}


class PillowImages(Dataset):
    """What a tutorial of torch does: open, convert, resize."""

    def __init__(self, paths, side):
        self.paths, self.side = paths, side

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        with Image.open(self.paths[row]) as image:
            image = image.convert("RGB")
        if image.size != (self.side, self.side):
            image = image.resize((self.side, self.side), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


class Shuffled:
    """One epoch over all rows, shuffled, as a plan of batches."""

    def __init__(self, n_rows):
        self.n_rows = n_rows

    def epoch(self):
        """Return the rows of each batch."""
        rows = np.random.RandomState(0).permutation(self.n_rows)
        return np.split(rows, np.arange(BATCH_SIZE, self.n_rows, BATCH_SIZE))


def skimb_epoch(images, n_workers=0, n_threads=None):
    """Read an epoch as a fit does."""
    before = os.environ.pop("OMP_NUM_THREADS", None)
    if n_threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(n_threads)
    batches = BatchIterator(
        dataset_of(images), BATCH_SIZE, Shuffled(len(images)), num_workers=n_workers
    )
    n_read = sum(len(batch) for batch, _ in batches)
    os.environ.pop("OMP_NUM_THREADS", None)
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before
    return n_read


def loader_epoch(dataset, n_workers=0):
    """Read an epoch through torch's DataLoader."""
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=n_workers)
    return sum(len(batch) for batch in loader)


def contenders(paths, side, folder):
    """Return the ways to read an epoch, by name."""
    shape = 3, side, side
    files = ImageFiles(paths, shape)
    kept = StoredImages(read_images(paths, image_shape=shape, n_jobs=-1, cache=folder / "kept"))
    pillow = PillowImages(paths, side)
    return {
        BASE: partial(loader_epoch, pillow),
        "identical control": partial(loader_epoch, pillow),
        "DataLoader, Pillow, 2 workers": partial(loader_epoch, pillow, 2),
        "skimb, 1 thread": partial(skimb_epoch, files, n_threads=1),
        f"skimb, {cpu_count()} threads": partial(skimb_epoch, files),
        "skimb, 2 workers": partial(skimb_epoch, files, 2),
        "skimb, cache": partial(skimb_epoch, kept),
    }


def measured(ways, n_images, repeats):
    """Return a row for each way: images per second, ratio, seconds of the processor."""
    rates, processor = {name: [] for name in ways}, {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            before, begin = sum(os.times()[:4]), time.perf_counter()
            assert way() == n_images
            rates[name].append(n_images / (time.perf_counter() - begin))
            processor[name].append((sum(os.times()[:4]) - before) * 1000 / n_images)
    base = statistics.median(rates[BASE])
    return {
        name: {
            "images_per_second": statistics.median(found),
            "ratio": statistics.median(found) / base,
            "spread": (max(found) - min(found)) / statistics.median(found),
            "processor_seconds_per_1000": min(processor[name]),
        }
        for name, found in rates.items()
    }


def draft_difference(paths, side):
    """Return how far the pixels of a JPEG that is decoded at a smaller scale are from the others.

    skimb lets libjpeg decode at the scale that leaves at least twice the wanted side.
    """
    ours = read_images(paths, image_shape=(3, side, side)).astype(int)
    whole = np.stack([PillowImages(paths, side)[i].permute(1, 2, 0) for i in range(len(paths))])
    return {
        "mean": float(np.abs(ours - whole).mean()),
        "largest": int(np.abs(ours - whole).max()),
    }


# ------------------------------------------------------------------------- other decoders


def decoders(side):
    """Return functions of a path that decode a JPEG and resize it, for the libraries installed."""
    size = side, side

    def resized(pixels):
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))

    def pillow(path, *, scaled=False):
        with Image.open(path) as image:
            if scaled:
                image.draft("RGB", (2 * side, 2 * side))
            image = image.convert("RGB")
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR))

    found = {"Pillow": pillow, "Pillow, draft": partial(pillow, scaled=True)}
    if simplejpeg := _library("simplejpeg"):
        found["simplejpeg"] = lambda path: resized(
            simplejpeg.decode_jpeg(Path(path).read_bytes(), "RGB")
        )
        found["simplejpeg, scaled"] = lambda path: resized(
            simplejpeg.decode_jpeg(
                Path(path).read_bytes(), "RGB", min_height=2 * side, min_width=2 * side
            )
        )
    if imagecodecs := _library("imagecodecs"):
        found["imagecodecs"] = lambda path: resized(
            imagecodecs.jpeg8_decode(Path(path).read_bytes())
        )
    if kornia := _library("kornia_rs"):
        found["kornia-rs, its resize"] = lambda path: np.asarray(
            kornia.resize(kornia.read_image_jpeg(path, "rgb"), size, "bilinear")
        )
    if cv2 := _library("cv2"):
        found["OpenCV, its resize"] = lambda path: cv2.resize(
            cv2.imread(path), size, interpolation=cv2.INTER_AREA
        )[..., ::-1]
    return found


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def compared(paths, side, repeats):
    """Return for each decoder its time as a ratio to Pillow's, and how far its pixels differ."""
    ways = decoders(side)
    seconds, expected = {name: [] for name in ways}, None
    rows = {}
    for repeat in range(repeats):
        for name, decode in ways.items():
            begin = time.process_time()
            pixels = [decode(path) for path in paths]
            seconds[name].append(time.process_time() - begin)
            if repeat == 0:
                pixels = np.stack(pixels).astype(int)
                expected = pixels if expected is None else expected
                rows[name] = {"mean_difference": float(np.abs(pixels - expected).mean())}
    for name, found in seconds.items():
        rows[name]["speed-up"] = min(seconds["Pillow"]) / min(found)
    return rows


# ------------------------------------------------------------------------- the script


def show(title, rows):
    """Print a table in Markdown."""
    print(f"\n### {title}\n")
    names = list(next(iter(rows.values())))
    print("| | " + " | ".join(name.replace("_", " ") for name in names) + " |")
    print("| --- |" + " --- |" * len(names))
    for label, row in rows.items():
        print(f"| {label} | " + " | ".join(f"{row[name]:.3g}" for name in names) + " |")


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--decoders", action="store_true", help="time other decoders of JPEG")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.repeats = 64, 1
    torch.set_num_threads(1)
    versions = {"torch": torch.__version__, "Pillow": PIL.__version__, "cores": cpu_count()}
    # The name of a folder says which images these are; its path is that of a machine.
    named = {"json": None, "folder": arguments.folder and arguments.folder.resolve().name}
    result = {"versions": versions, "arguments": vars(arguments) | named}
    print(versions)
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), arguments.folder, arguments.images)
        for name, found in paths.items():
            ways = contenders(found, arguments.side, Path(folder))
            result[name] = measured(ways, len(found), arguments.repeats)
            show(f"{name}, {arguments.side} x {arguments.side}", result[name])
        result["draft"] = draft_difference(paths["JPEG"][:200], arguments.side)
        print(f"\ndecoding at a smaller scale changes pixels by {result['draft']}")
        if arguments.decoders:
            result["decoders"] = compared(paths["JPEG"][:500], arguments.side, arguments.repeats)
            show("decoders of JPEG, one thread", result["decoders"])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2, default=str))


if __name__ == "__main__":
    main()
