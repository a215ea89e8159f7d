"""Time of an epoch, against hand-written loops in four forms, on a CUDA device or a CPU.

Each loop trains the same network on images that lie on the device, with AdamW and batches of 128:
in float32; in TF32 and channels-last memory; in bfloat16 (autocast) and channels-last memory; and
as the last one, with the whole step captured in a CUDA graph. skimb trains with its defaults, and
once more with ``precision="float32"``. A second table is the time of a prediction of images on the
host, whose loop computes in bfloat16.

    python benchmarks/speed/step_graph.py [--repeats 3] [--rows 12800] [--json FILE]

A CPU has neither TF32 nor graphs, and the default of skimb is float32 there. So with
``--device cpu`` the second line of skimb is that of ``precision="bfloat16"``, and predictions are
left out.

    python benchmarks/speed/step_graph.py --device cpu --rows 256 [--repeats 3] [--json FILE]
"""

import warnings
from functools import partial

import numpy as np
import torch
from harness import Benchmark, parser_of, target
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F

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

    def predict(self, images):
        """Return the probabilities of images on the host, there."""
        self.network.eval()
        made = []
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            for part in images.split(512):
                pixels = part.to(self.device).permute(0, 3, 1, 2).float() / 255
                made.append(torch.softmax(self.network((pixels - 0.5) / 0.25).float(), 1))
        self.network.train()
        return torch.cat(made).cpu().numpy()


def with_tf32(function, *, is_allowed=True):
    """Return a function whose products and convolutions may round to TF32, or not."""

    def call():
        torch.backends.cuda.matmul.allow_tf32 = is_allowed
        torch.backends.cudnn.allow_tf32 = is_allowed
        return function()

    return call


def last_epoch(module, X, y, device, precision):
    """Train by skimb; return the time of the last of four epochs: in the first, it records."""
    model = CNNClassifier(
        module,
        max_epochs=4,
        batch_size=BATCH,
        augmentation=None,
        precision=precision,
        device=device,
        random_state=0,
    ).fit(X, y)
    return {"seconds": model.history_[-1]["seconds"]}


def measure(benchmark, name, n_rows):
    """Add a table of an epoch, and on a CUDA device one of a prediction."""
    module, side, n_channels = CASES[name]
    device, on_cuda = benchmark.device, benchmark.device.type == "cuda"
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(n_rows, side, side, n_channels)).astype(np.uint8)
    y = rng.randint(0, 2, size=n_rows)
    data = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    narrow = Loop(module, *data, is_tuned=True, is_narrow=True)
    plain, tuned = Loop(module, *data, is_tuned=False), Loop(module, *data, is_tuned=True)
    contenders = {
        "float32": with_tf32(plain.epoch, is_allowed=False),
        f"{'TF32' if on_cuda else 'float32'}, channels-last": with_tf32(tuned.epoch),
        "bfloat16, channels-last": with_tf32(narrow.epoch),
    }
    targets = []
    if on_cuda:
        graph = Loop(module, *data, is_tuned=True, is_narrow=True, is_captured=True)
        contenders["bfloat16, channels-last, graph"] = with_tf32(graph.epoch)
        targets = [target("skimb", "bfloat16, channels-last, graph", 1.15)]
    for precision in ("auto", "float32" if on_cuda else "bfloat16"):
        label = "skimb" if precision == "auto" else f"skimb, {precision}"
        contenders[label] = with_tf32(partial(last_epoch, module, X, y, device, precision))
    benchmark.compare(f"An epoch: {name}, {n_rows} images", contenders, targets=targets)
    if not on_cuda:
        return
    model = CNNClassifier(module, max_epochs=1, augmentation=None, device=device).fit(X, y)
    loop = "a loop in bfloat16"
    benchmark.compare(
        f"A prediction: {name}, {n_rows} images",
        {
            loop: partial(narrow.predict, torch.from_numpy(X)),
            "skimb": lambda: model.predict_proba(X),
        },
        targets=[target("skimb", loop, 1.1)],
    )


def main():
    """Parse the arguments and run."""
    parser = parser_of(__doc__, repeats=3, has_device=True)
    parser.set_defaults(device="cuda")
    parser.add_argument("--rows", type=int, default=12_800)
    arguments = parser.parse_args()
    benchmark = Benchmark(arguments)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for name in CASES:
        measure(benchmark, name, 2 * BATCH if arguments.quick else arguments.rows)


if __name__ == "__main__":
    main()
