"""Time, memory and disk of the embedding cache: by default a million images, 768 numbers each.

The network is one small layer, so what counts is the cache: `transform` fills a folder, and a
second process reads the embeddings from it, all at once and 10,000 at a time.

    python benchmarks/speed/embedding_cache.py [--images 1000000] [--features 768] [--folder DIR]
        [--dtype float16] [--json FILE]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skimb.neural_network import CNNEmbedder, pretrained

#: Images that are asked for at a time, where they are read in parts.
PART = 10_000


def embedder(folder, n_features, dtype):
    """Return an embedder whose network takes hardly any time."""
    layer = nn.Linear(48, n_features)
    with torch.no_grad():
        for values in layer.parameters():
            values.copy_(torch.linspace(-1, 1, values.numel()).reshape(values.shape))
    backbone = pretrained(nn.Sequential(nn.Flatten(), layer), image_size=4)
    return CNNEmbedder(backbone, cache=folder, dtype=dtype, channels="last", device="cpu")


def step(task, folder, n_images, n_features, dtype):
    """Do one task, and return its seconds and its peak of memory above what was there before."""
    X = np.random.RandomState(0).randint(0, 256, (n_images, 4, 4, 3), dtype=np.uint8)
    fitted = embedder(folder, n_features, dtype).fit(X[:1])
    before = peak()
    start = time.perf_counter()
    if task == "in parts":
        for first in range(0, n_images, PART):
            fitted.transform(X[first : first + PART])
    else:
        fitted.transform(X)
    return {"seconds": time.perf_counter() - start, "megabytes": peak() - before}


def peak():
    """Return the peak memory of the process in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e3
    )


def main():
    """Print a line for each task; each runs in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--folder", help="where the cache is made; by default, a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = arguments.images, arguments.features, arguments.dtype
    if arguments.task is not None:
        print(json.dumps(step(arguments.task, arguments.folder, *sizes)))
        return
    found = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        options = [f"--images={sizes[0]}", f"--features={sizes[1]}", f"--dtype={sizes[2]}"]
        for task in ("fill", "read", "in parts"):
            command = [sys.executable, __file__, *options, f"--folder={folder}", f"--task={task}"]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[task] = json.loads(told)
            print(
                f"{task:<9} {found[task]['seconds']:8.1f} s, "
                f"{sizes[0] / found[task]['seconds']:9.0f} images a second, "
                f"peak {found[task]['megabytes']:7.0f} MB more",
                flush=True,
            )
        disk = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    embeddings = sizes[0] * sizes[1] * np.dtype(sizes[2]).itemsize / 1e6
    print(f"on disk {disk:.0f} MB; the embeddings alone are {embeddings:.0f} MB")
    if arguments.json is not None:
        told = {"images": sizes[0], "features": sizes[1], "dtype": sizes[2]}
        told |= {"megabytes_on_disk": disk, "megabytes_of_embeddings": embeddings}
        arguments.json.write_text(json.dumps(told | {"tasks": found}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
