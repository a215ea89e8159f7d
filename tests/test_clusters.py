"""Searches and comparisons on a cluster of dask: two workers, each a process."""

import os
import pickle
import signal

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skimb.datasets import read_images
from skimb.losses import FocalLoss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier
from skimb.study import compare

dask = pytest.importorskip("dask", reason="dask is not installed: pip install skimb[dask]")
distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")

pytestmark = pytest.mark.slow

#: dask drops copies of arrays that lie on several workers, unless told otherwise.
KEEPING_COPIES = {"distributed.scheduler.active-memory-manager.start": False}

NETWORK = CNNClassifier(max_epochs=1, batch_size=32, augmentation=None, random_state=0)

rng = np.random.RandomState(0)
Y = (np.arange(120) % 4 == 0).astype(int)
X = rng.randint(0, 200, size=(120, 16, 16)).astype(np.uint8)
X[Y == 1, :4] += 50
FOLDS = list(StratifiedKFold(3).split(X, Y))


def grid_search(network):
    grid = {"class_weight": [None, "balanced"], "lr": [0.001, 0.01]}
    search = GridSearchCV(network, grid, scoring="average_precision", cv=FOLDS, refit=False)
    return search.fit(X, Y).cv_results_["mean_test_score"]


def loss_search(network):
    grid = {"loss": [FocalLoss()], "loss__gamma": [0, 2], "class_weight": [None, "balanced"]}
    search = LossSearchCV(network, grid, scoring="average_precision", cv=FOLDS, refit=False)
    return search.fit(X, Y).cv_results_["mean_test_score"]


def comparison(network, **options):
    result = compare(
        X,
        Y,
        strategies=["class_weight", "focal"],
        estimator=network,
        cv=FOLDS,
        scoring={"precision": get_scorer("average_precision")},
        random_state=0,
        **options,
    )
    scores = result.to_dict()["strategies"]
    return np.array([scores[name]["precision"]["values"] for name in result.strategies])


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set(KEEPING_COPIES),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=60
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("search", [grid_search, loss_search, comparison])
def test_scores_are_those_of_one_process_and_images_are_sent_once(search, client, monkeypatch):
    expected = search(NETWORK)
    scattered, submitted = [], []

    def scatter(value, *, send=client.scatter, **options):
        scattered.append(len(pickle.dumps(value)))
        return send(value, **options)

    def submit(function, *, tasks, send=client.submit, **options):
        submitted.append(len(pickle.dumps(tasks)))
        return send(function, tasks=tasks, **options)

    monkeypatch.setattr(client, "scatter", scatter)
    monkeypatch.setattr(client, "submit", submit)
    with joblib.parallel_config("dask", client=client):
        found = search(NETWORK)
    np.testing.assert_array_equal(found, expected)
    assert len(submitted) >= 3
    assert X.nbytes < sum(scattered) < 1.5 * X.nbytes
    assert max(submitted) < 0.5 * X.nbytes


def test_images_are_read_by_threads_whatever_the_engine(client, tmp_path):
    paths = []
    for i in range(4):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(np.full((4, 4), 10 * i, dtype=np.uint8)).save(paths[-1])
    with joblib.parallel_config("dask", client=client):
        found = read_images(paths, n_jobs=2)
    assert found[:, 0, 0, 0].tolist() == [0, 10, 20, 30]


class Deadly:
    """An augmentation that changes nothing, and kills the worker that calls it the nth time."""

    def __init__(self, file, n):
        self.file, self.n, self.main = file, n, os.getpid()

    def __call__(self, images):
        if os.getpid() != self.main:
            with open(self.file, "ab") as file:
                file.write(b".")
                file.flush()
                if file.tell() == self.n:
                    os.kill(os.getpid(), signal.SIGKILL)
        return images


@pytest.mark.exhaustive
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("search", [grid_search, loss_search, comparison])
def test_a_worker_that_is_killed_changes_no_score(search, n, client, tmp_path):
    calls = tmp_path / "calls"
    network = clone(NETWORK).set_params(augmentation=Deadly(str(calls), n))
    expected = search(network)
    client.wait_for_workers(2)
    # scikit-learn's search is not begun again, so all that its jobs share lies on both workers.
    shared = [X, Y, *(rows for fold in FOLDS for rows in fold)] if search is grid_search else None
    with joblib.parallel_config("dask", client=client, scatter=shared):
        found = search(network)
    np.testing.assert_array_equal(found, expected)
    assert calls.stat().st_size >= n
