"""Images per second through pretrained networks: CNNEmbedder, a loop by hand, and ONNX Runtime.

A vision transformer (ViT-Ti/16), a ResNet-18 and MobileNetV2 of transformers embed random images of
their own size, in batches of 128. Their weights are random, which does not change the time.
Repeats are interleaved, and the ratio is that of the fastest repeats. A second, identical loop
shows how far noise alone goes.

    python benchmarks/speed/backbone.py [--quick] [--repeats 7] [--device cpu] [--json FILE]

On the CPU all have equally many threads (--threads, by default one for each core). On CUDA there is
no ONNX Runtime; the loop by hand also runs in channels-last memory, and with bfloat16 there, and so
does CNNEmbedder under torch's autocast.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers

import skimb
from skimb._engine import resolve_device
from skimb.neural_network import CNNEmbedder, export_onnx, pretrained

BATCH = 128


def configurations(side):
    """Return the class and the configuration of each network."""
    return {
        "ViT-Ti/16": (
            transformers.ViTModel,
            transformers.ViTConfig(
                hidden_size=192,
                num_hidden_layers=12,
                num_attention_heads=3,
                intermediate_size=768,
                image_size=side,
            ),
        ),
        "ResNet-18": (
            transformers.ResNetModel,
            transformers.ResNetConfig(
                depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"
            ),
        ),
        "MobileNetV2": (
            transformers.MobileNetV2Model,
            transformers.MobileNetV2Config(image_size=side, tf_padding=False),
        ),
    }


def made(name, side):
    """Return the network with random weights, as it comes from a folder."""
    kind, config = configurations(side)[name]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        kind(config).save_pretrained(folder)
        return pretrained(folder, image_size=side)


def by_hand(backbone, device, *, channels_last, bfloat16=False):
    """Return a function from images (n, H, W, 3) to embeddings, as one would write it."""
    network = backbone.network.to(device)
    mean, sd = backbone.mean.to(device), backbone.sd.to(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)  # pyright: ignore[reportCallIssue]

    def embed(X):
        found = []
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            for start in range(0, len(X), BATCH):
                batch = torch.from_numpy(X[start : start + BATCH]).to(device)
                images = (batch.permute(0, 3, 1, 2).float() / 255 - mean) / sd
                found.append(network(images.contiguous(memory_format=layout)).float())
        return torch.cat(found).cpu().numpy()

    return embed


def by_skimb(backbone, X, device, *, bfloat16=False):
    """Return the `transform` of a fitted CNNEmbedder."""
    embedder = CNNEmbedder(backbone, device=device).fit(X[:1])

    def embed(X):
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            return embedder.transform(X)

    return embed


def by_onnx(backbone, X, n_threads):
    """Return a function that embeds with ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "backbone.onnx")
        export_onnx(CNNEmbedder(backbone, device="cpu").fit(X[:1]), path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def embed(X):
        return np.concatenate(
            [
                np.asarray(session.run(None, {"images": X[start : start + BATCH]})[0])
                for start in range(0, len(X), BATCH)
            ]
        )

    return embed


def contenders(name, side, X, device, n_threads):
    """Return the ways to embed, each with a network of its own."""
    ways = {
        "by hand": by_hand(made(name, side), device, channels_last=False),
        "identical control": by_hand(made(name, side), device, channels_last=False),
        "by hand, channels-last": by_hand(made(name, side), device, channels_last=True),
        "skimb": by_skimb(made(name, side), X, device),
    }
    if device.type == "cpu":
        return ways | {"ONNX Runtime": by_onnx(made(name, side), X, n_threads)}
    return ways | {
        "by hand, channels-last, bfloat16": by_hand(
            made(name, side), device, channels_last=True, bfloat16=True
        ),
        "skimb, bfloat16": by_skimb(made(name, side), X, device, bfloat16=True),
    }


def seconds(embed, X, device):
    """Time one call; waits for the device."""
    start = time.perf_counter()
    embed(X)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(name, side, n_images, repeats, device, n_threads):
    """Return images per second and the ratio of seconds to the loop by hand, for each way."""
    X = np.random.RandomState(0).randint(0, 256, (n_images, side, side, 3)).astype(np.uint8)
    ways = contenders(name, side, X, device, n_threads)
    expected = ways["by hand"](X[:BATCH])
    differences = {
        way: float(np.abs(embed(X[:BATCH]) - expected).max() / np.abs(expected).max())
        for way, embed in ways.items()
    }
    times = {way: [] for way in ways}
    for _ in range(repeats):
        for way, embed in ways.items():
            times[way].append(seconds(embed, X, device))
    base = min(times["by hand"])
    return {
        way: {
            "images_per_second": n_images / min(values),
            "ratio": min(values) / base,
            "median_ratio": float(np.median(values) / np.median(times["by hand"])),
            "difference": differences[way],
            "seconds": values,
        }
        for way, values in times.items()
    }


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few images, pixels and repeats")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, help="by default 512, on CUDA 8192")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    is_cuda = device.type == "cuda"
    side, repeats = arguments.side, arguments.repeats
    n_images = arguments.images or (8192 if is_cuda else 512)
    if arguments.quick:
        side, repeats, n_images = 64, 2, 64
    torch.set_num_threads(arguments.threads)
    # skimb chooses its threads by the work, up to this number.
    os.environ["OMP_THREAD_LIMIT"] = str(arguments.threads)
    transformers.utils.logging.disable_progress_bar()
    label = (
        torch.cuda.get_device_name(device)
        if is_cuda
        else f"CPU ({platform.machine()}), {arguments.threads} thread(s)"
    )
    versions = {
        module.__name__: module.__version__ for module in (torch, transformers, onnxruntime, skimb)
    }
    print(f"{label}, {versions}, {n_images} images of {side} pixels, {repeats} repeats\n")
    print("| network | way | images per second | seconds, as a ratio | of medians | difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = {}
    for name in configurations(side):
        found[name] = measure(name, side, n_images, repeats, device, arguments.threads)
        for way, told in found[name].items():
            print(
                f"| {name} | {way} | {told['images_per_second']:.1f} | {told['ratio']:.2f} | "
                f"{told['median_ratio']:.2f} | {told['difference']:.0e} |",
                flush=True,
            )
    if arguments.json is not None:
        told = {"device": label, "versions": versions, "side": side, "images": n_images}
        arguments.json.write_text(json.dumps(told | {"networks": found}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
