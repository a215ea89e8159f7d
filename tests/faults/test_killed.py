"""A fit that is killed goes on from its checkpoint, to the same result to the bit."""

import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import fits
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skimb._engine import Checkpoint
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier

CONFIGURATIONS = [*fits.CLASSIFIERS, *fits.REGRESSORS]


def die(monkeypatch, one, X, y, n_writes):
    """Fit until so many checkpoints are written; return whether the fit died."""
    with monkeypatch.context() as patch:
        fits.die_after(patch, n_writes)
        try:
            one.fit(X, y)
        except fits.Death:
            return True
    return False


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_fit_that_dies_again_and_again_ends_like_one_that_never_did(name, monkeypatch, tmp_path):
    X, y = fits.data_of(name)
    unbroken = fits.fitted(fits.estimator(name).fit(X, y), X)
    n_deaths = 0
    # Each process does one more epoch than the one before it.
    while die(monkeypatch, fits.estimator(name, checkpoint=tmp_path), X, y, 2):
        n_deaths += 1
    one = fits.estimator(name, checkpoint=tmp_path)
    # The last of them has ended well and removed the file; this time the fit dies near its end.
    died = die(monkeypatch, one, X, y, n_deaths)
    resumed = one if not died else fits.estimator(name, checkpoint=tmp_path).fit(X, y)
    fits.assert_same(fits.fitted(resumed, X), unbroken)
    assert n_deaths >= 2
    assert not list(tmp_path.iterdir())


def flat(value, path, found, above=()):
    """Write all values that an object reaches into a dict, by their paths."""
    if isinstance(value, torch.Tensor):
        found[path] = str(value.dtype), value.stride(), value.detach().cpu().float().numpy()
        found[path + ".requires_grad"] = value.requires_grad
    elif isinstance(value, np.ndarray):
        found[path] = value
    elif isinstance(value, np.random.RandomState):
        found[path] = value.get_state(legacy=False)["state"]
    elif isinstance(value, torch.Generator):
        found[path] = value.get_state().numpy()
    elif isinstance(value, str | int | float | np.generic | None):
        found[path] = value
    elif any(value is one for one in above) or isinstance(
        value, Checkpoint | types.FunctionType | types.BuiltinFunctionType | type
    ):
        return
    elif isinstance(value, dict):
        for number, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str | int) else number
            flat(inner, f"{path}[{name}]", found, (*above, value))
    elif isinstance(value, list | tuple | set) or hasattr(value, "popleft"):
        for number, inner in enumerate(value):
            flat(inner, f"{path}[{number}]", found, (*above, value))
    elif hasattr(value, "__dict__"):
        flat(vars(value), path, found, above)


#: What may differ: seconds, a printed table, numbers of handles, caches of skorch and torch.
MAY_DIFFER = ("dur", "epoch_start_time_", "print_log", "listeners_", "_opt_called", "_handle")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_part_of_a_training_that_goes_on_differs(name, monkeypatch, tmp_path):
    X, y = fits.data_of(name)
    snapshots = {"unbroken": {}, "resumed": {}}
    keep = Checkpoint.keep

    def look(self, net, **ends):
        # Before the file is written, after all callbacks.
        found = {"torch": torch.get_rng_state().numpy()}
        flat(vars(net), "net", found)
        snapshots[which].setdefault(len(net.history), found)
        keep(self, net, **ends)

    monkeypatch.setattr(Checkpoint, "keep", look)
    which = "unbroken"
    fits.estimator(name, checkpoint=tmp_path).fit(X, y)
    which = "resumed"
    die(monkeypatch, fits.estimator(name, checkpoint=tmp_path), X, y, 3)
    snapshots["resumed"].clear()
    fits.estimator(name, checkpoint=tmp_path).fit(X, y)
    # After two epochs the fit died: the third is the first of a training that goes on.
    unbroken, resumed = snapshots["unbroken"][3], snapshots["resumed"][3]
    differing = []
    for path in sorted(unbroken.keys() | resumed.keys()):
        try:
            np.testing.assert_equal(resumed.get(path, "nothing"), unbroken.get(path, "nothing"))
        except AssertionError:
            differing.append(path)
    assert [path for path in differing if not any(word in path for word in MAY_DIFFER)] == []
    assert any("optimizer_" in path for path in unbroken)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import fits
from skimb import _archives
from skimb._engine import Checkpoint

name, folder, moment, n_files = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
save, keep, n_written = _archives.save_file, Checkpoint.keep, 0


def save_file(arrays, path, metadata):
    global n_written
    save(arrays, path, metadata)
    n_written += 1
    if n_written == n_files and moment == "in mid-write":
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    if n_written == n_files and moment == "before the file has its name":
        os.kill(os.getpid(), signal.SIGKILL)


def kept(self, net, **ends):
    keep(self, net, **ends)
    if n_written == n_files and moment == "between two epochs":
        os.kill(os.getpid(), signal.SIGKILL)


_archives.save_file, Checkpoint.keep = save_file, kept
X, y = fits.data_of(name)
fits.estimator(name, checkpoint=folder).fit(X, y)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system knows no SIGKILL")
@pytest.mark.parametrize(
    ("name", "moment", "n_files"),
    [
        ("deferred", "in mid-write", 3),
        pytest.param("refit", "between two epochs", 7, marks=pytest.mark.exhaustive),
        pytest.param(
            *("batch norms stopped", "before the file has its name", 4),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("balanced error", "in mid-write", 1, marks=pytest.mark.exhaustive),
    ],
)
def test_a_process_that_is_killed_leaves_a_file_to_go_on_from(name, moment, n_files, tmp_path):
    X, y = fits.data_of(name)
    folder = tmp_path / "checkpoints"
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(__file__).parent)]
    command += [name, str(folder), moment, str(n_files)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [path.name for path in folder.iterdir()]
    # An incomplete file has a temporary name; the file of the epoch before is whole.
    assert any(path.endswith(".part") for path in left) == (moment != "between two epochs")
    assert any(path.endswith(".checkpoint") for path in left) == (n_files > 1)
    read = []
    with pytest.MonkeyPatch.context() as patch:
        resume = Checkpoint.resume
        patch.setattr(
            Checkpoint,
            "resume",
            lambda self, net: (resume(self, net), read.append(self.n_epochs))[0],
        )
        resumed = fits.estimator(name, checkpoint=folder).fit(X, y)
    # The first file is that of epoch 0, and the file that was not finished is lost.
    assert read[0] == (n_files - 1 if moment == "between two epochs" else max(n_files - 2, 0)) or (
        name == "refit"
    )
    fits.assert_same(fits.fitted(resumed, X), fits.fitted(fits.estimator(name).fit(X, y), X))
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_a_fit_that_prints_goes_on_too(monkeypatch, tmp_path, capsys):
    X, y = fits.images()
    clf = fits.estimator("early stopping", checkpoint=tmp_path, verbose=1)
    assert die(monkeypatch, clf, X, y, 3)
    resumed = clf.fit(X, y)
    assert "The training goes on after epoch 2, from " in capsys.readouterr().out
    unbroken = fits.estimator("early stopping").fit(X, y)
    fits.assert_same(fits.fitted(resumed, X), fits.fitted(unbroken, X))


class Asking:
    """A callback of scikit-learn that asks for the end of the training."""

    max_propagation_depth = None

    def __init__(self, n_epochs):
        self.n_epochs, self.n_seen = n_epochs, 0

    def setup(self, estimator, context):
        """Do nothing."""

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, **kwargs):
        """Count the epochs."""
        self.n_seen += context.task_name == "epoch"
        return self.n_seen == self.n_epochs


@pytest.mark.slow
@pytest.mark.parametrize("is_watched", [True, False])
def test_the_end_that_a_callback_asked_for_counts_where_there_are_callbacks(
    is_watched, monkeypatch, tmp_path
):
    X, y = fits.images()
    clf = fits.estimator("plain", checkpoint=tmp_path).set_callbacks(Asking(2))
    # The file before the first epoch, and those of two epochs.
    assert die(monkeypatch, clf, X, y, 3)
    again = fits.estimator("plain", checkpoint=tmp_path)
    if is_watched:
        again.set_callbacks(Asking(2))
    again.fit(X, y)
    assert again.n_iter_ == (2 if is_watched else 4)
    if not is_watched:
        fits.assert_same(fits.fitted(again, X), fits.fitted(fits.estimator("plain").fit(X, y), X))


@pytest.mark.slow
def test_the_second_training_of_refit_goes_on_without_the_first(monkeypatch, tmp_path):
    X, y = fits.images()
    n_first = fits.estimator("refit").fit(X, y).n_iter_
    # One file before each training.
    assert die(monkeypatch, fits.estimator("refit", checkpoint=tmp_path), X, y, n_first + 3)
    assert len(list(tmp_path.iterdir())) == 2
    n_epochs = []
    keep = Checkpoint.keep
    monkeypatch.setattr(
        Checkpoint,
        "keep",
        lambda self, net, **ends: (
            n_epochs.append(len(net.history)),
            keep(self, net, **ends),
        ),
    )
    fits.estimator("refit", checkpoint=tmp_path).fit(X, y)
    # Of the first training nothing is repeated, and of the second no epoch that was complete.
    assert n_epochs[0] == 2
    assert n_epochs == list(range(2, n_epochs[-1] + 1))


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_fit_on_files_goes_on_with_any_number_of_workers(num_workers, monkeypatch, tmp_path):
    paths, y = fits.files(tmp_path / "images")
    settings = {"max_epochs": 3, "augmentation": "flip_crop"}
    unbroken = fits.estimator("default", **settings).fit(paths, y)
    settings["checkpoint"] = folder = tmp_path / "checkpoints"
    assert die(
        monkeypatch, fits.estimator("default", num_workers=num_workers, **settings), paths, y, 2
    )
    resumed = fits.estimator("default", num_workers=2 - num_workers, **settings).fit(paths, y)
    fits.assert_same(fits.fitted(resumed, paths), fits.fitted(unbroken, paths))
    assert not list(folder.iterdir())


def keys(folder):
    return {path.name for path in Path(folder).iterdir()}


def key_of(monkeypatch, folder, X, y, *, others=(), **parameters):
    """Return the name of the file of a fit that dies before its first epoch."""
    for path in Path(folder).glob("*"):
        path.unlink()
    kind = CNNRegressor if np.asarray(y).dtype.kind == "f" else CNNClassifier
    one = kind(**{**fits.SETTINGS, "checkpoint": folder, **parameters})
    with monkeypatch.context() as patch:
        fits.die_after(patch, 1)
        with pytest.raises(fits.Death):
            one.fit(X, y, *others)
    (name,) = keys(folder)
    return name


@pytest.mark.slow
def test_the_name_of_a_file_follows_all_that_decides_the_result(monkeypatch, tmp_path):
    X, y = fits.images()
    other = X.copy()
    other[-1, 0, 0] += 1
    swapped = y.copy()
    swapped[[0, 5]] = swapped[[5, 0]]
    weight = np.ones(len(y))
    heavy = np.r_[weight[:-1], 2.0]
    rng = np.random.RandomState(0)
    distinct = [
        key_of(monkeypatch, tmp_path, X, y),
        key_of(monkeypatch, tmp_path, other, y),
        key_of(monkeypatch, tmp_path, X, swapped),
        key_of(monkeypatch, tmp_path, X, y, others=[heavy]),
        key_of(monkeypatch, tmp_path, X, y, others=[None, np.arange(len(y)) // 3]),
        key_of(monkeypatch, tmp_path, X, rng.rand(len(y))),
        *(
            key_of(monkeypatch, tmp_path, X, y, **{name: value})
            for name, value in {
                "random_state": 1,
                "lr": 2e-3,
                "weight_decay": 0.0,
                "max_epochs": 5,
                "batch_size": 17,
                "optimizer": "adam",
                "optimizer_params": {"betas": (0.8, 0.9)},
                "lr_schedule": "cosine",
                "loss": "focal",
                "class_weight": "balanced",
                "batch_sampling": 0.5,
                "augmentation": "mixup",
                "max_grad_norm": 2.0,
                "early_stopping": True,
                "module": "linear",
                "standardize": None,
                "target_prior": "uniform",
            }.items()
        ),
    ]
    assert len(set(distinct)) == len(distinct)
    equal = [
        key_of(monkeypatch, tmp_path, X.copy(order="F"), y.copy()),
        key_of(monkeypatch, tmp_path, X, y, others=[weight]),
        key_of(monkeypatch, tmp_path, X, y, verbose=0, num_workers=1),
    ]
    assert set(equal) == {distinct[0]}


def test_a_file_that_changes_is_another_file(monkeypatch, tmp_path):
    paths, y = fits.files(tmp_path / "images")
    folder = tmp_path / "checkpoints"
    before = key_of(monkeypatch, folder, paths, y)
    assert key_of(monkeypatch, folder, paths, y) == before
    os.utime(paths[3], ns=(0, 0))
    assert key_of(monkeypatch, folder, paths, y) != before


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_a_damaged_file_is_told_of_and_not_used(damage, monkeypatch, tmp_path):
    X, y = fits.images()
    unbroken = fits.fitted(fits.estimator("plain").fit(X, y), X)
    assert die(monkeypatch, fits.estimator("plain", checkpoint=tmp_path), X, y, 3)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) * 2 // 3]
    elif damage == "flipped":
        content[len(content) * 2 // 3] ^= 1
    else:
        content = b"" if damage == "empty" else b"not a checkpoint" * 100
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="starts from the beginning") as caught:
        again = fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    assert str(path) in str(caught[0].message)
    fits.assert_same(fits.fitted(again, X), unbroken)


@pytest.mark.slow
def test_the_file_of_another_fit_under_this_name_is_not_used(monkeypatch, tmp_path):
    X, y = fits.images()
    assert die(monkeypatch, fits.estimator("plain", checkpoint=tmp_path, lr=0.5), X, y, 3)
    (other,) = tmp_path.iterdir()
    name = key_of(monkeypatch, tmp_path / "own", X, y, **fits.CLASSIFIERS["plain"])
    other.replace(tmp_path / name)
    again = fits.estimator("plain", checkpoint=tmp_path).fit(X, y)
    fits.assert_same(fits.fitted(again, X), fits.fitted(fits.estimator("plain").fit(X, y), X))


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_random_numbers_that_cannot_be_repeated_are_refused(random_state, tmp_path):
    X, y = fits.images()
    clf = CNNClassifier(checkpoint=tmp_path / "checkpoints", random_state=random_state)
    with pytest.raises(ValueError, match="`checkpoint` needs random_state to be an int"):
        clf.fit(X, y)
    assert not (tmp_path / "checkpoints").exists()


def test_a_step_that_cannot_be_copied_is_refused(tmp_path):
    X, y = fits.images()

    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        def __call__(self, images):
            return images

    clf = fits.estimator("plain", checkpoint=tmp_path, augmentation=Locked())
    with pytest.raises(ValueError, match="steps of `augmentation` that can be copied"):
        clf.fit(X, y)


def test_a_callback_with_state_that_cannot_be_kept_is_refused(tmp_path):
    X, y = fits.images()

    class Locked(Callback):
        def __init__(self):
            self.lines = iter([1, 2])

        def on_epoch_end(self, net, **kwargs):
            next(self.lines)

    clf = fits.estimator("plain", checkpoint=tmp_path, net_callbacks=[Locked()])
    with pytest.raises(ValueError, match=r"cannot keep the state of the callback.*load_state_dict"):
        clf.fit(X, y)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_checkpoints_work_in_searches_pipelines_and_wrappers(monkeypatch, tmp_path):
    X, y = fits.images()
    network = fits.estimator("default", checkpoint=tmp_path, max_epochs=2)
    search = GridSearchCV(network, {"lr": [1e-3, 1e-2]}, cv=2, n_jobs=2).fit(X, y)
    assert not list(tmp_path.iterdir())
    plain = search.best_estimator_.__class__(
        **{**search.best_estimator_.get_params(), "checkpoint": None}
    )
    np.testing.assert_array_equal(search.predict_proba(X), plain.fit(X, y).predict_proba(X))
    for wrapper in (
        make_pipeline(network),
        DecoupledClassifier(network, random_state=0, max_epochs=1),
        CNNEmbedder(network, random_state=0),
    ):
        assert die(monkeypatch, wrapper, X, y, 2)
        assert len(list(tmp_path.iterdir())) == 1
        wrapper.fit(X, y)
        assert not list(tmp_path.iterdir())


def test_networks_with_checkpoints_train_one_by_one(tmp_path):
    from skimb.neural_network.joint_training import pend, why_alone

    X, y = fits.images()
    network = fits.estimator("plain", module="linear", checkpoint=tmp_path)
    assert why_alone(pend(network, X, y)) == "checkpoints are kept for each network"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "name", ["mixup", "deferred", "batch norms stopped", "balanced error", "own network", "RankSim"]
)
def test_a_fit_on_a_cuda_device_goes_on(name, monkeypatch, tmp_path):
    X, y = fits.data_of(name)
    unbroken = fits.estimator(name, device="cuda").fit(X, y)
    assert die(monkeypatch, fits.estimator(name, device="cuda", checkpoint=tmp_path), X, y, 3)
    resumed = fits.estimator(name, device="cuda", checkpoint=tmp_path).fit(X, y)
    assert not list(tmp_path.iterdir())
    proba = fits.fitted(unbroken, X)["predicted"]
    np.testing.assert_array_equal(fits.fitted(resumed, X)["predicted"], proba)
    assert len(resumed.history_) == len(unbroken.history_)
