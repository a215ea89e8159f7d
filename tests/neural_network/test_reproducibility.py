"""Equal seeds give equal bits: in any process or thread, and for a row in any company."""

import os
import pickle
import random
import subprocess
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from skimb._engine._blocks import block_size, by_blocks, fill_up, has_ragged_weights
from skimb._engine._runtime import seeded
from skimb._process import exclusive
from skimb.losses import FocalLoss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    DeepSMOTE,
)
from skimb.over_sampling import SMOTE, AugmentedOverSampler
from skimb.testing import check_loss

SIZES = [1, 2, 3, 5, 7, 16, 17, 31, 33, 64, 65, 100, 128, 150, 257, 300]
BACKENDS = ["sequential", "threading", "loky", "multiprocessing"]


class Dropping(nn.Sequential):
    """A network that draws at every step, and whose activations have no round size."""

    def __init__(self, n_channels, n_outputs, n_pixels=64):
        super().__init__(
            nn.Flatten(),
            nn.Linear(n_channels * n_pixels, 37),
            nn.SiLU(),
            nn.Dropout(0.5),
            nn.Linear(37, n_outputs),
        )


def flat(n_channels, n_outputs):
    return Dropping(n_channels, n_outputs)


def flat_of_143(n_channels, n_outputs):
    return Dropping(n_channels, n_outputs, 143)


def noise(n, *shape, seed=0):
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, size=(n, *shape)).astype(np.uint8)


X = noise(300, 8, 8)
X_ODD = noise(300, 13, 11)
SMALL, Y = X[:60], np.repeat([0, 1, 1, 1, 1, 1], 10)


def network(module: Any = "simple_cnn", **params):
    params = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu", **params}
    return CNNClassifier(module, **params)


# ------------------------------------------------------------------------------ in any company


def assert_equal_in_any_company(predict, X):
    expected = predict(X)
    for n in SIZES:
        np.testing.assert_array_equal(predict(X[:n]), expected[:n], err_msg=f"{n} rows")
    for start, n in ((1, 1), (7, 33), (101, 150), (299, 1)):
        part = slice(start, start + n)
        np.testing.assert_array_equal(predict(X[part]), expected[part], err_msg=f"at {start}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "augmentation"),
    [
        ("linear", None),
        ("linear", "flip_crop"),
        ("simple_cnn", None),
        ("simple_cnn", "flip_crop"),
        pytest.param("resnet", None, marks=pytest.mark.exhaustive),
        pytest.param("vgg", None, marks=pytest.mark.exhaustive),
        (flat, "flip_crop"),
    ],
)
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_a_row_gets_the_same_prediction_in_any_company(kind, module, augmentation):
    model = kind(
        module, augmentation=augmentation, max_epochs=1, batch_size=32, random_state=0, device="cpu"
    ).fit(SMALL, Y)
    assert_equal_in_any_company(getattr(model, "predict_proba", model.predict), X)


@pytest.mark.parametrize("standardize", ["auto", None])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("module", ["linear", flat_of_143])
def test_rows_that_do_not_fill_vectors_do_not_matter(module, dtype, standardize):
    """Rows of 143 pixels: each begins at another alignment."""
    images = X_ODD.astype(dtype)
    clf = network(module, standardize=standardize, max_epochs=1).fit(images[:60], Y)
    assert_equal_in_any_company(clf.predict_proba, images)


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"layer": "features.norms.0"}, {"normalize": True}])
@pytest.mark.parametrize("augmentation", [None, "flip_crop"])
def test_a_row_gets_the_same_embedding_in_any_company(augmentation, params):
    clf = network(augmentation=augmentation, max_epochs=1).fit(SMALL, Y)
    embedder = CNNEmbedder(FrozenEstimator(clf), **params).fit(X)
    assert_equal_in_any_company(embedder.transform, X)


@pytest.mark.parametrize("head", ["linear", "learnable_scales", "tau_normalized"])
def test_a_row_gets_the_same_values_from_any_head(head):
    backbone = network(flat, max_epochs=1).fit(SMALL, Y)
    model = DecoupledClassifier(
        FrozenEstimator(backbone),
        head=head,
        random_state=0,
        **({} if head == "tau_normalized" else {"max_epochs": 1}),
    ).fit(SMALL, Y)
    assert_equal_in_any_company(model.predict_proba, X)


@pytest.mark.parametrize("target_prior", [None, "uniform"])
def test_what_a_loss_makes_of_logits_does_not_depend_on_company(target_prior):
    clf = network(loss=FocalLoss(gamma=1.5), target_prior=target_prior).fit(SMALL, Y)
    assert_equal_in_any_company(clf.predict_log_proba, X)


def test_networks_that_were_trained_together_predict_alike_in_any_company():
    grid = {"loss": ["cross_entropy", "focal"]}
    search = LossSearchCV(
        network("linear", augmentation=None), grid, cv=2, search="end_to_end"
    ).fit(SMALL, Y)
    assert_equal_in_any_company(search.predict_proba, X)


def test_codes_do_not_depend_on_company():
    sampler = DeepSMOTE(max_epochs=1, n_latent=7, random_state=0, device="cpu")
    sampler.fit_resample(SMALL, Y)
    assert_equal_in_any_company(lambda images: sampler._points(images, np.arange(len(images))), X)


@pytest.mark.slow
def test_what_is_predicted_side_by_side_is_what_is_predicted_in_turn():
    """Large work, in several threads where the caller has them."""
    images = noise(1000, 28, 28)
    clf = network(early_stopping=True, max_epochs=1).fit(images[:60], Y)
    found, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found.append((clf.predict_proba(images), clf.embed(images)))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_validation_part_is_scored_by_what_predict_gives():
    clf = network(early_stopping=True, scoring="neg_log_loss", max_epochs=3).fit(
        X, np.arange(300) % 2
    )
    held = clf.validation_indices_
    proba = clf.predict_proba(X[held])
    expected = np.log(proba[np.arange(len(held)), held % 2]).mean()
    assert max(epoch["valid_score"] for epoch in clf.history_) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("work", [0, 640, 3e5, 4e6, 6e7, 2e8, 4e9])
def test_blocks_are_powers_of_two_of_bounded_work(work):
    n_rows = block_size(work, torch.device("cpu"))
    assert n_rows in (8, 16, 32, 64, 128, 256, 512)
    assert n_rows <= 16 or n_rows * work < 3e8


def test_many_small_layers_want_more_rows():
    shallow, deep = (block_size(4e6, torch.device("cpu"), n_layers) for n_layers in (3, 33))
    assert 8 <= shallow < deep <= 64


def test_rows_are_filled_up_in_memory_of_their_own():
    rows = torch.arange(12.0).reshape(4, 3)[1:]
    full = fill_up(rows, 5)
    assert full.tolist() == [[3, 4, 5], [6, 7, 8], [9, 10, 11], [9, 10, 11], [9, 10, 11]]
    assert full.data_ptr() % 64 == 0


def test_products_are_those_of_the_plain_layer():
    layer = nn.Linear(37, 3)
    rows = np.random.RandomState(0).rand(300, 37).astype(np.float32)
    found = by_blocks(layer, rows)
    with torch.no_grad():
        np.testing.assert_allclose(found, layer(torch.from_numpy(rows)).numpy(), atol=1e-6)
    assert has_ragged_weights(layer)
    assert not has_ragged_weights(nn.Linear(64, 3))


# ------------------------------------------------------------------------------ in any thread


def state(model):
    """Return the weights of a fitted network and what it predicts."""
    values = [tensor.cpu().numpy() for tensor in model.module_.state_dict().values()]
    return [*values, getattr(model, "predict_proba", model.predict)(X)]


def fitted(model):
    return state(clone(model).fit(SMALL, Y))


def embedded(model):
    return [CNNEmbedder(clone(model), normalize=True).fit_transform(SMALL, Y)]


def two_stages(model):
    return [
        DecoupledClassifier(clone(model), max_epochs=2, random_state=0)
        .fit(SMALL, Y)
        .predict_proba(X)
    ]


def sampled(sampler):
    made = clone(sampler).fit_resample(SMALL, Y)
    return list(made)


def searched(model):
    grid = {"loss": ["cross_entropy", "focal"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = LossSearchCV(clone(model), grid, cv=2, n_jobs=2).fit(SMALL, Y)
    return [search.cv_results_["mean_test_score"], search.predict_proba(X)]


class Noisy(nn.Module):
    """An augmentation that draws from torch's generator."""

    def forward(self, images):
        return images + 0.1 * torch.randn_like(images)


JOBS = {
    "dropout": (fitted, network(flat)),
    "augmentation": (fitted, network(augmentation=["flip_crop", "mixup"], early_stopping=True)),
    "sampler": (fitted, network(sampler=SMOTE(), calibration="temperature")),
    "sampler that augments": (
        fitted,
        network(sampler=AugmentedOverSampler(augmentation=Noisy()), max_epochs=1),
    ),
    "sampler on embeddings": (
        fitted,
        network(sampler=SMOTE(embedder=CNNEmbedder(network(flat, max_epochs=1)))),
    ),
    "regressor": (
        fitted,
        CNNRegressor(flat, max_epochs=2, batch_size=16, random_state=0, device="cpu"),
    ),
    "embedder": (embedded, network(flat)),
    "two stages": (two_stages, network(flat)),
    "auto-encoder": (sampled, DeepSMOTE(max_epochs=2, random_state=0, device="cpu")),
    "search": (searched, network(flat)),
}


@pytest.fixture(scope="module")
def expected():
    return {name: job(model) for name, (job, model) in JOBS.items()}


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_gives_the_same_bits(backend, expected):
    """Jobs of all kinds side by side, so that those in threads overlap."""
    names = [*JOBS, *JOBS]
    if backend == "multiprocessing":
        # scikit-learn's search for neighbours hangs in a fork whose parent has used OpenMP.
        names = [name for name in names if "sampler" not in name and name != "auto-encoder"]
    before = generators()
    # No more than small work: see below for large work in forks.
    made = Parallel(n_jobs=3, backend=backend)(delayed(JOBS[n][0])(JOBS[n][1]) for n in names)
    assert generators() == before
    for name, values in zip(names, made, strict=True):
        for one, two in zip(values, expected[name], strict=True):
            np.testing.assert_array_equal(one, two, err_msg=name)


def generators():
    return (
        torch.get_rng_state().numpy().tobytes(),
        pickle.dumps(np.random.get_state()),
        random.getstate(),
        torch.get_num_threads(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_vote_within_a_search_gives_the_same_bits(backend):
    """Joblib turns the inner jobs into threads."""
    members = [(str(i), network(flat, random_state=i)) for i in range(3)]
    grid = {"0__lr": [1e-3, 1e-2]}
    found = []
    for n_jobs in (1, 2):
        vote = VotingClassifier(members, voting="soft", n_jobs=n_jobs)
        search = GridSearchCV(vote, grid, cv=2, scoring="neg_log_loss", n_jobs=n_jobs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if n_jobs == 1:
                search.fit(SMALL, Y)
            else:
                with parallel_config(backend=backend):
                    search.fit(SMALL, Y)
        found.append((search.cv_results_["mean_test_score"], search.predict_proba(X)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_fit_and_predictions_in_other_threads_do_not_disturb_each_other():
    # Two threads' work where there are cores for it; predictions run with one.
    images, y = noise(64, 32, 32, 3), np.tile([0, 1], 32)
    model = network(batch_size=64)
    alone = clone(model).fit(images, y).predict_proba(images)
    predictor = network(flat).fit(SMALL, Y)
    expected, before, stop, seen = predictor.predict_proba(X), generators(), threading.Event(), []

    def predict():
        while not stop.is_set():
            seen.append(np.array_equal(predictor.predict_proba(X), expected))

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        beside = [clone(model).fit(images, y).predict_proba(images) for _ in range(2)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(seen)
    assert generators() == before
    for proba in beside:
        np.testing.assert_array_equal(proba, alone)


@pytest.mark.parametrize("what", ["loss check", "augmentation"])
def test_whoever_seeds_the_global_generators_waits_for_a_training(what):
    done = threading.Event()

    def other():
        if what == "loss check":
            check_loss(FocalLoss())
        else:
            AugmentedOverSampler(augmentation=Noisy(), random_state=0).fit_resample(SMALL, Y)
        done.set()

    with seeded(0, torch.device("cpu")):
        expected = torch.rand(3)
    with seeded(0, torch.device("cpu")):
        thread = threading.Thread(target=other)
        thread.start()
        assert not done.wait(0.3)
        assert torch.equal(torch.rand(3), expected)
    thread.join(60)
    assert done.is_set()


# ------------------------------------------------------------------------------ without deadlocks


def in_time(function, seconds=60):
    """Run a function, and fail where it never returns."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive()


def test_a_scorer_may_train_networks_in_jobs():
    def scorer(estimator, X, y):
        made = Parallel(n_jobs=2, prefer="threads")(
            delayed(fitted)(network(flat)) for _ in range(2)
        )
        np.testing.assert_array_equal(made[0][-1], made[1][-1])
        return 1.0

    model = network(early_stopping=True, scoring=scorer, max_epochs=1)
    in_time(lambda: model.fit(X, np.arange(300) % 2))


class Asking(nn.Module):
    """A network that asks another one in its forward pass."""

    def __init__(self, asked):
        super().__init__()
        self.asked = [asked]
        self.layer = nn.Linear(2, 2)

    def forward(self, images):
        pixels = images[:, 0].detach().numpy()
        return self.layer(torch.from_numpy(self.asked[0].predict_proba(pixels)).float())


def test_a_network_may_ask_another_one():
    inner = network(flat, standardize=None).fit(SMALL.astype(np.float32), Y)
    images = np.tile(SMALL, (8, 1, 1)).astype(np.float32)
    model = network(Asking(inner), standardize=None, max_epochs=1)

    def run():
        model.fit(SMALL.astype(np.float32), Y)
        # As if a block were large work: blocks are read side by side.
        model.net_.block_work_ = 150_000_000
        torch.set_num_threads(2)
        model.predict_proba(images)

    before = torch.get_num_threads()
    try:
        in_time(run)
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_files_are_decoded_by_workers_while_other_threads_train(tmp_path):
    paths = []
    for i, image in enumerate(SMALL):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    model = network(num_workers=2, max_epochs=1)
    expected = clone(model).fit(paths, Y).predict_proba(paths)

    def run():
        made = Parallel(n_jobs=2, backend="threading")(
            delayed(lambda: clone(model).fit(paths, Y).predict_proba(paths))() for _ in range(2)
        )
        for proba in made:
            np.testing.assert_array_equal(proba, expected)

    in_time(run, 120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
def test_a_fork_does_not_wait_for_a_thread_of_its_parent():
    """In a process of its own: a fork takes over all that happens in this one."""
    code = """
import os, threading, time
from skimb._process import exclusive
held, done = threading.Event(), threading.Event()
def hold():
    with exclusive():
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    with exclusive():
        os._exit(7)
begin = time.monotonic()
while time.monotonic() - begin < 20:
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
    time.sleep(0.05)
else:
    os.kill(child, 9)
    os.waitpid(child, 0)
done.set()
assert pid and os.waitstatus_to_exitcode(status) == 7
# One that holds the lock itself goes on in the child, and lets go of it.
with exclusive():
    child = os.fork()
if child == 0:
    with exclusive():
        os._exit(8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
def test_large_work_in_forks_neither_hangs_nor_differs():
    """OpenMP's threads are not there in a fork, which would wait for them."""
    code = """
import numpy as np
from joblib import Parallel, delayed, parallel_config
from PIL import Image
from skimb.neural_network import CNNClassifier
rng = np.random.RandomState(0)
X, y = rng.randint(0, 256, size=(64, 32, 32, 3)).astype(np.uint8), np.tile([0, 1], 32)
def run():
    clf = CNNClassifier(max_epochs=1, batch_size=64, random_state=0, device="cpu")
    clf.fit(X, y)
    # Blocks of large work.
    clf.net_.block_work_ = 10**9
    return clf.predict_proba(X)
expected = run()
for proba in Parallel(n_jobs=2, backend="multiprocessing")(delayed(run)() for _ in range(2)):
    np.testing.assert_array_equal(proba, expected)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_a_block_may_hold_another_and_is_drop_training_of_after_an_error():
    with pytest.raises(ZeroDivisionError), exclusive(), exclusive():
        raise ZeroDivisionError
    taken = []

    def take():
        with exclusive():
            taken.append(True)

    in_time(take, 10)
    assert taken
