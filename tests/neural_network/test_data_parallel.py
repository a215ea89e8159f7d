"""data_parallel: two processes train one network, which is that of one process."""

import os
import socket
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from torch import nn

from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import CNNClassifier, CNNRegressor, data_parallel

pytestmark = pytest.mark.slow


class WithDropout(nn.Module):
    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(), nn.Linear(64, n_outputs)
        )

    def forward(self, x):
        return self.layers(x)


def common(**params):
    # Batches of 33: the shares of the processes differ in size.
    return {"max_epochs": 2, "batch_size": 33, "random_state": 0, "augmentation": None} | params


#: Trainings that are shared, and become those of one process.
NETWORKS = {
    "weights": CNNClassifier(**common(class_weight="balanced", early_stopping=True)),
    "mixed": CNNClassifier(**common(augmentation=["shift_crop", "mixup"], loss="focal")),
    # Adam would divide the smallest gradients, which are rounding errors, by their size.
    "frozen": CNNClassifier("vgg", **common(optimizer="sgd", max_grad_norm=0.1, freeze=2)),
    "numbers": CNNRegressor(**common(target_weight="sqrt", optimizer="sgd")),
}

#: A training in which the processes draw masks of their own, and then common mixtures of images.
DROPOUT = CNNClassifier(WithDropout, **common(augmentation="mixup"))

#: Fits that are refused, and what the error says.
REFUSED = {
    "checkpoint": (CNNClassifier(**common(checkpoint="folder")), "checkpoint"),
    "no seed": (CNNClassifier(**common(random_state=None)), "an int as `random_state`"),
    "batch": (CNNRegressor(**common(loss="balanced_mse")), "compares the samples"),
    "ranks": (CNNRegressor(**common(ranksim=1.0)), "compares the samples"),
}


def samples():
    X, y = load_imbalanced_digits(return_X_y=True)
    return X[:200], y[:200]


def trained(network, accelerator=None):
    """Return all numbers of a fit."""
    with nullcontext() if accelerator is None else data_parallel(accelerator):
        X, y = samples()
        network.fit(X, y)
    numbers = {name: each.numpy() for name, each in network.module_.state_dict().items()}
    names = [name for name in ("train_loss", "valid_loss") if name in network.history_[0]]
    numbers["history"] = np.array([[row[name] for name in names] for row in network.history_])
    predict = getattr(network, "predict_proba", network.predict)
    return numbers | {"predictions": predict(X)}


def main(folder):
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    place = accelerator.process_index
    for name, network in [*NETWORKS.items(), ("dropout", DROPOUT)]:
        np.savez(f"{folder}/{name} {place}.npz", **trained(network, accelerator))
    errors = {}
    for name, (network, _) in REFUSED.items():
        try:
            trained(network, accelerator)
        except ValueError as error:
            errors[name] = str(error)
    np.savez(f"{folder}/errors {place}.npz", **errors)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The results of two processes."""
    pytest.importorskip("accelerate", reason="accelerate is not installed: skimb[accelerate]")
    folder = tmp_path_factory.mktemp("results")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launched = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-W", "ignore", __file__, str(folder)]
    with open(folder / "messages", "w") as messages:
        processes = [
            subprocess.Popen(
                command,
                env=os.environ | launched | {"RANK": place, "LOCAL_RANK": place},
                stderr=messages,
            )
            for place in "01"
        ]
        try:
            statuses = [process.wait(timeout=300) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert statuses == [0, 0], (folder / "messages").read_text()
    return folder


def results(folder, name):
    return [dict(np.load(folder / f"{name} {place}.npz")) for place in "01"]


@pytest.mark.parametrize("name", [*NETWORKS, "dropout"])
def test_both_processes_end_with_the_same_bits(name, folder):
    first, second = results(folder, name)
    assert set(first) == set(second)
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key], err_msg=key)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_that_of_one_process(name, folder):
    expected = trained(NETWORKS[name])
    found, _ = results(folder, name)
    assert set(found) == set(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", REFUSED)
def test_fits_that_would_not_be_those_of_one_process_are_refused_in_each(name, folder):
    for errors in results(folder, "errors"):
        assert REFUSED[name][1] in str(errors[name])


def test_one_process_trains_as_without_it():
    accelerate = pytest.importorskip("accelerate", reason="skimb[accelerate] is not installed")
    network = CNNClassifier(**common(max_epochs=1))
    expected, found = trained(network), trained(network, accelerate.Accelerator(cpu=True))
    np.testing.assert_array_equal(found["predictions"], expected["predictions"])


def test_an_accelerator_that_does_not_know_the_other_processes_is_refused(monkeypatch):
    accelerate = pytest.importorskip("accelerate", reason="skimb[accelerate] is not installed")
    accelerator = accelerate.Accelerator(cpu=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="2 processes were launched"), data_parallel(accelerator):
        pass


if __name__ == "__main__":
    main(sys.argv[1])
