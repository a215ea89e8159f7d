"""Near copies among images: recall and precision of planted copies, and the time of each part.

    python benchmarks/quality/near_duplicates.py DATA [--quick]

DATA is a folder with ``elpv_solar`` and ``cats_dogs``, each with an ``index.csv``; without it only
synthetic images are used. Copies of random images are planted: one change each of JPEG (quality 50
to 90), brightness (0.7 to 1.3), a flip, a turn, or a crop that keeps 85 to 100 % of the width and
of the height. A pair is right if both images come from the same original, or from originals that
the index of the set lists as copies. Recall is over planted copies; precision over all pairs found.
Recall and precision: synthetic images 0.999 and 1.000, solar cells 0.951 and 0.991 (about
half of the pairs that count as false show the same grains, as slices of one block of silicon do),
cats and dogs 0.994 and 1.000.

    python benchmarks/quality/near_duplicates.py [DATA] --time N

measures the time on N synthetic images instead, part by part (the reading is that of 3000 files,
multiplied), or, where DATA has ``fashion_mnist``, of as many of its images. Seconds of CPU, and by
the clock, on two cores:

- 20,000 synthetic images: reading 7.1 (5.7), searching 5.9 (3.2), checking 10,667 pairs 0.7 (0.5);
- 100,000: reading 18.9 (19.4), searching 40.8 (21.5), checking 210,507 pairs 12.9 (7.5);
- 10,000 of Fashion-MNIST: 35.0 (19.2) in all; 60,000: 272.9 (150.1).

Images that resemble each other, as garments do, are the slow case: most candidates are checked.
"""

import argparse
import csv
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from fashion_mnist import load
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from skimb.study import inspect_images
from skimb.study._inspect._alignment import align
from skimb.study._inspect._candidates import find_candidates
from skimb.study._inspect._descriptors import WINDOWS
from skimb.study._inspect._samples import read_samples

KINDS = ("jpeg", "brightness", "flip", "turn", "crop 95", "crop 90", "crop 85")


def planted(image, kind, rng):
    """Return a changed copy of an image."""
    if kind == "jpeg":
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=int(rng.randint(50, 91)))
        return Image.open(buffer)
    if kind == "brightness":
        return ImageEnhance.Brightness(image).enhance(rng.choice([0.7, 0.85, 1.15, 1.3]))
    if kind == "flip":
        return image.transpose(Image.Transpose(rng.choice([0, 1])))
    if kind == "turn":
        return image.transpose(Image.Transpose(rng.choice([2, 3, 4])))
    least = int(kind.split()[1]) / 100
    width, height = image.size
    kept = rng.uniform(least, least + 0.05)
    across, down = round(width * kept), round(height * kept)
    left, top = rng.randint(0, width - across + 1), rng.randint(0, height - down + 1)
    image = image.crop((left, top, left + across, top + down))
    return image.resize((width, height), Image.Resampling.BICUBIC) if rng.rand() < 0.5 else image


def synthetic(folder, n_images, seed=0, side=64):
    """Write images of blobs of several sizes; return their paths."""
    rng, files = np.random.RandomState(seed), []
    for i in range(n_images):
        noise: Any = sum(
            weight * gaussian_filter(rng.randn(side, side), sigma) * sigma
            for sigma, weight in ((2, 1.0), (5, 1.5), (12, 2.0))
        )
        pixels = 30 + 180 * (noise - noise.min()) / np.ptp(noise)
        files.append(str(Path(folder) / f"{i}.jpg"))
        Image.fromarray(pixels.astype(np.uint8)).save(files[-1], quality=92)
    return files


def listed(data, name, n_images, rng):
    """Return paths of a real set, and the original of each: a group of known copies, or itself."""
    with open(Path(data) / name / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [rows[i] for i in rng.permutation(len(rows))[:n_images]]
    files = [str(Path(data) / name / row["file"]) for row in rows]
    column = "group" if name == "elpv_solar" else "dup_group"
    return files, [row[column] or row["file"] for row in rows]


def measure(name, files, original, n_planted, rng):
    """Plant copies, inspect, and print recall by kind and precision."""
    with tempfile.TemporaryDirectory() as folder:
        sources = rng.permutation(len(files))[:n_planted]
        kinds = np.array(KINDS)[np.arange(len(sources)) % len(KINDS)]
        copies = []
        for i, kind in zip(sources, kinds, strict=True):
            copies.append(str(Path(folder) / f"{len(copies)}.png"))
            planted(Image.open(files[i]), kind, rng).save(copies[-1])
        start = time.perf_counter()
        found = inspect_images([*files, *copies], n_jobs=-1)
        seconds = time.perf_counter() - start
    pairs = {(pair.first, pair.second) for pair in found.pairs}
    origin = [*original, *(original[i] for i in sources)]
    is_found = np.array([(int(i), len(files) + k) in pairs for k, i in enumerate(sources)])
    right = sum(origin[first] == origin[second] for first, second in pairs)
    of_known = [
        found.groups[i] == found.groups[j]
        for i in range(len(files))
        for j in range(i)
        if original[i] == original[j]
    ]
    print(f"{name}: {len(files)} images, {len(copies)} planted copies, {seconds:.0f} s")
    print(f"  recall {is_found.mean():.3f}, precision {right / max(1, len(pairs)):.3f}", end="")
    print(f" ({len(pairs)} pairs, {len(pairs) - right} not planted and not listed)")
    print("  " + ", ".join(f"{kind} {is_found[kinds == kind].mean():.2f}" for kind in KINDS))
    print(f"  listed pairs found: {sum(of_known)} of {len(of_known)}")
    print(f"  limit of the misfit: {found.copies.threshold:.3f}", flush=True)


def measure_time_of_garments(folder, n_images):
    """Print the seconds of an inspection of images of Fashion-MNIST."""
    images, _ = load(folder, "train")
    clock = Clock()
    found = inspect_images(images[:n_images], n_jobs=-1)
    print(f"{len(images[:n_images])} images of Fashion-MNIST, seconds of all processors")
    print(f"  (and by the clock): {clock.words()}; {len(found.pairs)} pairs")


def measure_time(n_images):
    """Print the seconds of each part on synthetic images."""
    with tempfile.TemporaryDirectory() as folder:
        files = synthetic(folder, min(n_images, 3000))
        clock = Clock()
        samples = read_samples(files, None, n_jobs=-1)
        reading = clock.words(n_images / len(files))
    rng = np.random.RandomState(0)
    # More images than were drawn: sums of two of these.
    one, other = rng.randint(len(files), size=(2, n_images))
    small = (samples.small[one] // 2 + samples.small[other][:, ::-1] // 2).astype(np.uint8)
    clock = Clock()
    candidates = find_candidates(small, n_jobs=-1)
    searching = clock.words()
    clock = Clock()
    align(small, candidates, WINDOWS, n_jobs=-1)
    checking = clock.words()
    print(f"{n_images} images, seconds of all processors (and by the clock):")
    print(f"  reading {reading}, searching {searching}, ", end="")
    print(f"checking {len(candidates)} pairs {checking}", flush=True)


class Clock:
    """Seconds of all processors and by the clock, from its creation on."""

    def __init__(self):
        self.start = time.process_time(), time.perf_counter()

    def words(self, times=1):
        """Say how many seconds went by, multiplied by a factor."""
        now = time.process_time(), time.perf_counter()
        used, passed = ((end - start) * times for end, start in zip(now, self.start, strict=True))
        return f"{used:.1f} ({passed:.1f})"


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--time", type=int, metavar="N")
    arguments = parser.parse_args()
    if arguments.time is not None:
        garments = None if arguments.data is None else Path(arguments.data) / "fashion_mnist"
        if garments is not None and garments.exists():
            measure_time_of_garments(garments, arguments.time)
        else:
            measure_time(arguments.time)
        return
    rng = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as folder:
        files = synthetic(folder, 150 if arguments.quick else 3000)
        measure("synthetic", files, files, 70 if arguments.quick else 700, rng)
    if arguments.data is None:
        return
    for name, n_images in (("elpv_solar", 2624), ("cats_dogs", 25000)):
        n_images = 1000 if arguments.quick else n_images
        files, original = listed(arguments.data, name, n_images, rng)
        measure(name, files, original, 140 if arguments.quick else 700, rng)


if __name__ == "__main__":
    main()
