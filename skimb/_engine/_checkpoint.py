"""The file from which a training that was killed goes on, to the same result."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import skorch
import torch

from skimb import __version__
from skimb._archives import read_archive, write_archive
from skimb._engine._epoch_tasks import EpochTasks
from skimb._engine._fit_key import digest_of, digest_of_images
from skimb._engine._leftovers import mark_of, remove_leftovers
from skimb._engine._states import (
    decoded,
    encoded,
    load_module,
    load_object,
    module_state,
    object_state,
)
from skimb._warnings import warn

__all__ = ["Checkpoint", "check_checkpoint_folder", "open_checkpoint", "training_key"]

#: The version of the layout of checkpoints: files of other versions are not read.
LAYOUT = 1

#: Settings that do not change a training, or that act through what else is in the key: the parts of
#: the data, the weights of the phases, the plan, the seed and the network before its first step.
NOT_IN_KEY = frozenset(
    {
        "batch_size",
        "channels",
        "checkpoint",
        "class_weight",
        "density",
        "device",
        "image_shape",
        "loss",
        "max_epochs",
        "max_weight",
        "module",
        "module_params",
        "net_callbacks",
        "num_workers",
        "random_state",
        "relevance",
        "reweight_after",
        "sampler",
        "standardize",
        "steps_per_epoch",
        "target_weight",
        "validation_fraction",
        "value_range",
        "verbose",
        "warm_start",
    }
)

#: What a target has learned that its meaning of outputs depends on.
OF_TARGET = ("classes", "class_count", "mean", "scale")

#: Callbacks that only measure and print, like those of scikit-learn.
SHOWING = ("epoch_timer", "print_log")

#: What the system says where a file would be too large.
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

#: The sizes of a checkpoint in units of the network: itself, two averages of the optimiser, the
#: best epoch.
SIZES = 4


def check_checkpoint_folder(folder):
    """Make the folder of checkpoints, and refuse one that cannot be written to.

    Parameters
    ----------
    folder : str or PathLike
        The folder.

    Raises
    ------
    ValueError
        If it is no folder or cannot be made or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ValueError(
            f"`checkpoint`={os.fspath(folder)!r} must be a folder that can be made and written to: "
            f"{reason}. Give another folder."
        ) from exc


def open_checkpoint(network, training):
    """Return the checkpoint of a training, or None where the estimator has no `checkpoint`.

    Parameters
    ----------
    network : nn.Module
        The network before its first step.
    training : Training
        Everything else that decides the result.

    Returns
    -------
    Checkpoint or None
    """
    folder = getattr(training.settings, "checkpoint", None)
    if folder is None:
        return None
    return Checkpoint(folder, training_key(network, training))


def training_key(network, training):
    """Return a digest of all that decides the result of a training, as text.

    Parameters
    ----------
    network : nn.Module
        The network before its first step.
    training : Training
        Everything else that decides the result.

    Returns
    -------
    str
    """
    settings, plan, scores = training.settings, training.plan, training.scores
    parts = [
        part and [digest_of_images(part.images), part.target, part.weight]
        for part in (training.part, training.valid)
    ]
    # These hold data too, and only a part of the target decides anything.
    decides = {
        "versions": [LAYOUT, __version__, torch.__version__, skorch.__version__, np.__version__],
        "target": [
            type(training.target),
            training.target.parameters,
            *(getattr(training.target, name, None) for name in OF_TARGET),
        ],
        "data": parts,
        "held": training.held and [training.held.target, training.held.weight],
        "phases": [[p.start, p.weight, p.loss, p.valid_weight] for p in training.phases],
        "plan": [
            *(plan.target, plan.batch_size, plan.n_epochs, plan.steps, plan.by_sample_count),
            *(plan.batch_sampling, plan.rng),
        ],
        "statistics": training.statistics,
        "augmentation": [training.augmentation.value_range, training.augmentation.counts],
        "image_shape": training.image_shape,
        "device": str(training.device),
        "seed": training.seed,
        "scores": scores and [scores.scorer, scores.watches_loss],
        "rates": training.rates,
        "is_contiguous": training.is_contiguous,
        "network": network,
        "callbacks": _described(settings.net_callbacks),
        "settings": {k: v for k, v in vars(settings).items() if k not in NOT_IN_KEY},
    }
    return digest_of(decides).hex()[:32]


def _described(net_callbacks):
    """Return the classes and parameters of the callbacks of a user."""
    callbacks = [entry[-1] if isinstance(entry, tuple) else entry for entry in net_callbacks or []]
    return [
        callback if isinstance(callback, type) else [type(callback), callback.get_params()]
        for callback in callbacks
    ]


class Checkpoint:
    """The file with the state of a training after its last epoch.

    A net that has one writes it before the first epoch and after each epoch, and reads it before
    the first: a training that was killed goes on. The file is written under a temporary name that
    is then renamed, so it is always that of a whole epoch.

    Parameters
    ----------
    folder : str or PathLike
        A folder that exists.
    key : str
        A digest of all that decides the result of the training.

    Attributes
    ----------
    path : Path
        The file.
    n_epochs : int
        Number of epochs whose state the file has.
    """

    def __init__(self, folder, key):
        self.key = key
        self.path = Path(folder).resolve() / f"skimb-{key}.checkpoint"
        self.n_epochs = 0
        self.is_failing = False

    def resume(self, net):
        """Give a net the state of the file; without a file, write the first.

        Parameters
        ----------
        net : ImageNet
            A net whose training has begun, but not its first epoch.

        Returns
        -------
        int
            The number of epochs that are left.

        Raises
        ------
        OSError
            If the first file cannot be written.
        ValueError
            If a part of the training has state that cannot be kept.
        """
        remove_leftovers(self.path.parent, self.key)
        state = self._read(torch.device(net.device))
        if state is None:
            self._write_first(net)
            return net.max_epochs
        self.n_epochs = len(state["history"])
        _load(net, state)
        if net.verbose:
            print(f"The training goes on after epoch {self.n_epochs}, from {self.path}.")
        # Callbacks of scikit-learn are not in the key: without them the training is not over.
        is_watched = any(isinstance(callback, EpochTasks) for _, callback in net.callbacks_)
        is_over = state["is_over"] or (state["was_asked"] and is_watched)
        return 0 if is_over else net.max_epochs - self.n_epochs

    def keep(self, net, *, is_over, was_asked=False):
        """Write the state of a net after an epoch; a failure is a warning.

        Parameters
        ----------
        net : ImageNet
        is_over : bool
            Whether early stopping has ended the training.
        was_asked : bool, default=False
            Whether a callback of scikit-learn has asked for the end.
        """
        try:
            self.write(net, is_over, was_asked)
        except (OSError, ValueError) as exc:
            if not self.is_failing:
                warn(
                    f"The checkpoint {self.path} could not be written after epoch "
                    f"{len(net.history)}: {exc}. The training goes on; a later fit would go on "
                    f"from the last file, that of epoch {self.n_epochs}."
                )
            self.is_failing = True

    def remove(self):
        """Remove the file, as the fit has ended well."""
        remove_leftovers(self.path.parent, self.key)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _read(self, device):
        try:
            document, arrays = read_archive(self.path, "checkpoint")
            state = decoded(document, arrays, device)
            if state["key"] != self.key:
                # Someone has renamed a file.
                return None
            return state
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            warn(f"The checkpoint cannot be used, so the training starts from the beginning: {exc}")
            return None

    def _write_first(self, net):
        try:
            self.write(net, False, False)
        except FileNotFoundError:
            # Someone empties the folder; the files of later epochs may last.
            self.keep(net, is_over=False)
            return
        except OSError as exc:
            # An equal fit may have a file of this name, so none is removed.
            raise self._refusal(exc) from exc
        try:
            _check_space(self.path.parent, _future_size(net))
        except FileNotFoundError:
            return
        except OSError as exc:
            self.remove()
            raise self._refusal(exc) from exc

    def _refusal(self, exc):
        fix = "Free some space, give" if exc.errno in FULL else "Give"
        error = OSError(
            f"The checkpoint {self.path} cannot be written: {exc.strerror or exc}. {fix} another "
            "folder as `checkpoint`, or use checkpoint=None."
        )
        error.errno = exc.errno
        return error

    def write(self, net, is_over, was_asked):
        """Write the state of a net.

        Parameters
        ----------
        net : ImageNet
        is_over, was_asked : bool
            As in `keep`.

        Raises
        ------
        OSError
            If the file cannot be written; the one before is still there.
        ValueError
            If a part of the training has state that cannot be kept.
        """
        ends = {"is_over": is_over, "was_asked": was_asked}
        state = {"key": self.key, **ends, **_state(net)}
        document, arrays = encoded(state)
        try:
            write_archive(self.path, "checkpoint", document, arrays, name=mark_of(self.key))
        except FileNotFoundError:
            # Someone has emptied or removed the folder in the middle of the write.
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_archive(self.path, "checkpoint", document, arrays, name=mark_of(self.key))
        self.n_epochs = len(net.history)


def _state(net):
    """Return the whole state of a training between two epochs."""
    device = torch.device(net.device)
    return {
        "history": [dict(row) for row in net.history],
        "module": module_state(net.module_),
        "criterion": module_state(net.criterion_),
        "optimizer": net.optimizer_.state_dict(),
        "callbacks": {
            name: object_state(callback, f"the callback {name!r}")
            for name, callback in net.callbacks_
            if name not in SHOWING and not isinstance(callback, EpochTasks)
        },
        "plan": net.plan.state_dict(),
        "recent": net.recent_.state(),
        # How many samples fit in memory, and the largest gradient, for an error of later epochs.
        "fits": net.parts_.size,
        "largest": net.watch_.largest,
        "augmentation": [object_state(step, "`augmentation`") for step in _steps(net)],
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _load(net, state):
    """Give a net that has begun its training the state after an epoch."""
    device = torch.device(net.device)
    callbacks = dict(net.callbacks_)
    for name, values in state["callbacks"].items():
        load_object(callbacks[name], values)
    for callback in callbacks.values():
        # Some change what the net consists of, such as its loss.
        if hasattr(callback, "on_resume"):
            callback.on_resume(net)
    net.history.extend(state["history"])
    load_module(net.module_, state["module"])
    load_module(net.criterion_, state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    net.plan.load_state_dict(state["plan"])
    net.recent_.take(state["recent"])
    if state["fits"] is not None:
        net.parts_.size = state["fits"]
        net.limit_blocks(state["fits"])
    net.watch_.largest = state["largest"]
    for step, values in zip(_steps(net), state["augmentation"], strict=True):
        load_object(step, values)
    # The last: building the parts may have drawn numbers.
    torch.set_rng_state(state["random"])
    if state["cuda_random"] is not None:
        torch.cuda.set_rng_state(state["cuda_random"], device)


def _steps(net) -> list[Any]:
    augmentation = net.augmentation
    if augmentation is None:
        return []
    return [*augmentation.changes, *([augmentation.mixer] if augmentation.mixer else [])]


def _future_size(net):
    """Return about how many bytes a later checkpoint has."""
    tensors = [*net.module_.state_dict().values(), *net.criterion_.state_dict().values()]
    network = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    n_pixels = 4 * int(np.prod(net.recent_.shape[1:])) * net.batch_size
    return SIZES * network + n_pixels * (net.recent_.batches.maxlen or 0)


def _check_space(folder, size):
    """Raise an OSError if a folder has no space for a file beside the one before."""
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # This also sees quotas and limits of the process, which the free space does not show.
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        except (AttributeError, OSError) as exc:
            if getattr(exc, "errno", None) in FULL:
                raise
            if shutil.disk_usage(folder).free < size:
                raise OSError(FULL[0], os.strerror(FULL[0])) from exc
