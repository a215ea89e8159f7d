"""Sets larger than the memory that a process may have train and predict in it."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(sys.platform != "linux", reason="the limit is set by Linux alone"),
]

#: 160 MiB of images, and a limit of 112 or 144 MiB above the memory that the process holds before.
SCRIPT = """
    import ctypes
    import gc
    import resource
    import sys
    import warnings
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import torch
    from PIL import Image
    from torch import nn

    from skimb.datasets import DatasetImages, StoredImages
    from skimb.neural_network import CNNClassifier
    from skimb.over_sampling import RandomOverSampler

    kind, dtype, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    warnings.simplefilter("ignore")
    # Predictions work on hundreds of images at once, whatever their number.
    SIDE = {"paths": 128, "frame": 128, "data set": 64}.get(kind, 32)
    N_SAMPLES = 160 * 2**20 // (SIDE * SIDE * np.dtype(dtype).itemsize)
    SHAPE = N_SAMPLES, SIDE, SIDE


    class Small(nn.Module):
        def __init__(self, n_channels, n_outputs):
            super().__init__()
            self.head = nn.Linear(64 * n_channels, n_outputs)

        def forward(self, images):
            return self.head(nn.functional.adaptive_avg_pool2d(images, 8).flatten(1))


    class Decoded:
        def __len__(self):
            return N_SAMPLES

        def __getitem__(self, row):
            return np.full(SHAPE[1:], row % 200, dtype), 0


    def fill(array):
        for start in range(0, N_SAMPLES, 1024):
            rows = np.arange(start, min(start + 1024, N_SAMPLES)) % 200
            array[start : start + 1024] = np.ones((len(rows), SIDE, SIDE)) * rows[:, None, None]


    def made():
        if kind == "array":
            images = np.empty(SHAPE, dtype)
            fill(images)
            return images
        if kind in ("map", "plain map"):
            path = folder / "images.npy"
            images = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), SHAPE)
            fill(images)
            images.flush()
            images = np.load(path, mmap_mode="r")
            return StoredImages(images) if kind == "map" else images
        if kind == "HDF5":
            import h5py

            with h5py.File(folder / "images.h5", "w") as file:
                fill(file.create_dataset("images", SHAPE, dtype, chunks=(64, SIDE, SIDE)))
            return h5py.File(folder / "images.h5", "r")["images"]
        if kind == "zarr":
            import zarr

            options = dict(shape=SHAPE, dtype=dtype, chunks=(64, SIDE, SIDE))
            fill(zarr.create_array(store=folder / "images.zarr", **options))
            return zarr.open_array(folder / "images.zarr", mode="r")
        if kind == "data set":
            return DatasetImages(Decoded())
        paths = [str(folder / f"{i}.png") for i in range(N_SAMPLES)]
        for i, path in enumerate(paths):
            Image.new("L", (SIDE, SIDE), color=i % 200).save(path)
        if kind == "frame":
            rows = np.arange(N_SAMPLES)
            kinds = np.array([*"abcd"])[rows % 4]
            return pd.DataFrame({"path": paths, "size": rows % 7.0, "kind": kinds})
        return paths


    X, y = made(), np.arange(N_SAMPLES) % 200 > 150
    params = dict(batch_size=32, max_epochs=1, steps_per_epoch=8, random_state=0)
    clf = CNNClassifier(Small, early_stopping=True, sampler=RandomOverSampler(), **params)
    if kind in ("array", "plain map"):
        # Samplers get the training part of an array as one array.
        clf.set_params(sampler=None)
    clf.set_params(image_column="path" if kind == "frame" else None)
    # Libraries and threads are loaded before the limit is set.
    clf.fit(X[:40], y[120:160]).predict(X[:40])
    # What is free and not given back would count as held, and be space above the limit.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status") as file:
        held = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
    # Some hundred larger images are more megabytes.
    limit = held + (144 if SIDE == 128 else 112) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    try:
        np.ones(160 * 2**20, np.uint8)
    except MemoryError:
        print("limited")
    assert clf.fit(X, y).predict(X).shape == (N_SAMPLES,)
    print("trained")
"""


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("array", "uint8"),
        ("plain map", "uint8"),
        ("map", "uint8"),
        ("map", "float32"),
        ("HDF5", "float32"),
        ("zarr", "uint8"),
        ("data set", "uint16"),
        ("paths", "uint8"),
        ("frame", "uint8"),
    ],
)
def test_a_set_larger_than_the_memory_trains_and_predicts(kind, dtype, tmp_path):
    if kind in ("HDF5", "zarr"):
        pytest.importorskip({"HDF5": "h5py", "zarr": "zarr"}[kind])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), kind, dtype, tmp_path],
        # Each thread that has its own arena holds some megabytes, by chance.
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["limited", "trained"]
