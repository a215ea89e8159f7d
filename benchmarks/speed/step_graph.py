"""Time of an epoch on a CUDA device, against hand-written loops in four forms.

Each loop trains the same network on images that lie on the device, with AdamW and batches of 128:
in float32; in TF32 and channels-last memory; in bfloat16 (autocast) and channels-last memory; and
as the last one, with the whole step captured in a CUDA graph. skimb trains with its defaults, and
once more with ``precision="float32"``. Contenders are interleaved, and ratios are those of the
fastest repeats; the float32 loop runs twice, as a control. A last column is the time of a
prediction against a loop in bfloat16.

    python benchmarks/speed/step_graph.py [--repeats 3] [--rows 12800] [--json FILE]

On a CPU (``--device cpu``) the loop with a graph is left out: that shows only that all else runs.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F

from skimb._engine._runtime import resolve_device
from skimb.neural_network import CNNClassifier, ResNet, SimpleCNN

#: The name of the network, side and channels.
CASES = {
    "resnet18, 64x64x3": ("resnet", 64, 3),
    "resnet32, 32x32x3": ("resnet", 32, 3),
    "simple_cnn, 64x64x3": ("simple_cnn", 64, 3),
    "simple_cnn, 28x28x1": ("simple_cnn", 28, 1),
    "simple_cnn, 8x8x1": ("simple_cnn", 8, 1),
}

NETWORKS = {"resnet": ResNet, "simple_cnn": SimpleCNN}

BATCH = 128


class Loop:
    """A hand-written training loop.

    Parameters
    ----------
    module : str
        The name of the network.
    images : Tensor of shape (n, H, W, C), uint8
        The images, on the device.
    target : Tensor of shape (n,)
    is_tuned : bool
        Whether memory is channels-last and products may use TF32.
    is_narrow : bool
        Whether layers compute in bfloat16.
    is_captured : bool
        Whether the step is a CUDA graph.
    """

    def __init__(self, module, images, target, *, is_tuned, is_narrow=False, is_captured=False):
        torch.manual_seed(0)
        self.images, self.target = images, target
        self.is_tuned, self.is_narrow = is_tuned, is_narrow
        self.device = images.device
        _, height, width, n_channels = images.shape
        network = NETWORKS[module](n_channels, 2, image_shape=(n_channels, height, width))
        self.network = network.to(self.device)
        self.rows = torch.zeros(BATCH, dtype=torch.int64, device=self.device)
        if is_tuned:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), fused=True, capturable=is_captured
        )
        self.graph = self.captured() if is_captured else None

    def batch(self):
        """Return the images and targets of the rows."""
        pixels = self.images.index_select(0, self.rows).permute(0, 3, 1, 2).float() / 255
        if not self.is_tuned:
            pixels = pixels.contiguous()
        return (pixels - 0.5) / 0.25, self.target.index_select(0, self.rows)

    def step(self):
        """Take a step on the rows."""
        self.optimizer.zero_grad(set_to_none=True)
        images, target = self.batch()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_narrow):
            outputs = self.network(images)
        F.cross_entropy(outputs.float(), target).backward()
        self.optimizer.step()

    def captured(self):
        """Return the step as a graph, after three steps one by one."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.step()
        return graph

    def epoch(self):
        """Go once over all images, in whole batches."""
        order = torch.randperm(len(self.images), device=self.device)
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            self.rows.copy_(rows)
            if self.graph is None:
                self.step()
            else:
                self.graph.replay()

    def predict(self):
        """Return the probabilities of all images on the host."""
        self.network.eval()
        made = []
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            for part in self.images.split(512):
                pixels = part.permute(0, 3, 1, 2).float() / 255
                made.append(torch.softmax(self.network((pixels - 0.5) / 0.25).float(), 1))
        self.network.train()
        return torch.cat(made).cpu().numpy()


def seconds(function, device):
    """Return the time of a call and its result; waits for the device."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    start = time.perf_counter()
    result = function()
    wait()
    return time.perf_counter() - start, result


def with_tf32(is_allowed):
    """Let products and convolutions round to TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = is_allowed
    torch.backends.cudnn.allow_tf32 = is_allowed


def measure(module, side, n_channels, *, n_rows, repeats, device):
    """Return the fastest times of an epoch and of a prediction by contender, in seconds."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(n_rows, side, side, n_channels)).astype(np.uint8)
    y = rng.randint(0, 2, size=n_rows)
    data = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    loops = {
        "float32": Loop(module, *data, is_tuned=False),
        "control": Loop(module, *data, is_tuned=False),
        "tf32": Loop(module, *data, is_tuned=True),
        "bfloat16": Loop(module, *data, is_tuned=True, is_narrow=True),
    }
    if device.type == "cuda":
        loops["graph"] = Loop(module, *data, is_tuned=True, is_narrow=True, is_captured=True)
    times = {}
    for _ in range(repeats):
        for name, loop in loops.items():
            with_tf32(loop.is_tuned)
            times.setdefault(name, []).append(seconds(loop.epoch, device)[0])
        with_tf32(is_allowed=True)
        for name, precision in (("skimb", "auto"), ("skimb, float32", "float32")):
            model = CNNClassifier(
                module,
                max_epochs=4,
                batch_size=BATCH,
                augmentation=None,
                precision=precision,
                device=device,
                random_state=0,
            ).fit(X, y)
            # The last of four epochs: in the first one, steps are recorded.
            times.setdefault(name, []).append(model.history_[-1]["seconds"])
        predict = seconds(loops["bfloat16"].predict, device)[0]
        times.setdefault("predict, bfloat16 loop", []).append(predict)
        predict = seconds(lambda model=model: model.predict_proba(X), device)[0]
        times.setdefault("predict, skimb", []).append(predict)
    return {name: min(values) for name, values in times.items()}


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Time steps on a CUDA device.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12_800)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"torch {torch.__version__}, {label}, {arguments.rows} images, batches of {BATCH}")
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    found = {}
    for name, case in CASES.items():
        times = measure(*case, n_rows=arguments.rows, repeats=arguments.repeats, device=device)
        found[name] = times
        base = times["float32"]
        ratios = "  ".join(f"{key} {value / base:.2f}" for key, value in times.items())
        print(f"{name}: float32 loop {1e3 * base:.0f} ms an epoch; ratios: {ratios}", flush=True)
        if "graph" in times:
            print(
                f"    skimb {times['skimb'] / times['graph']:.2f} of the graph (target 1.15); "
                f"prediction {times['predict, skimb'] / times['predict, bfloat16 loop']:.2f} of "
                "the bfloat16 loop (target 1.10)",
                flush=True,
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"device": label, "seconds": found}, indent=1))


if __name__ == "__main__":
    main()
