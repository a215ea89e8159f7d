"""Batches with given fractions of the classes, for any DataLoader."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from torch.utils.data import Sampler

from skimb._engine import BatchPlan
from skimb._label_columns import sorted_labels
from skimb._params import plain
from skimb._unpacking import plain_vector

__all__ = ["BalancedBatchSampler"]


class BalancedBatchSampler(Sampler):
    """Sample indices of batches that hold an exact fraction of every class.

    It makes the batches of `CNNClassifier` for your own training loop: give it to a DataLoader as
    `batch_sampler`. Within a class no sample is repeated before all have been used. Each pass over
    it is the next epoch. With several processes the samples of each common batch are distributed
    class by class, so all processes have equally many samples, and their numbers of samples of each
    class differ by at most one.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    batch_size : int, default=128
        Number of samples in a batch of one process.
    batch_sampling : {"balanced", "sqrt", "progressive"}, float or None, default="balanced"
        The fractions of the classes, as in `CNNClassifier`.
    n_epochs : int, default=1
        Number of epochs of the whole training; ``"progressive"`` is balanced in the last.
    steps_per_epoch : int or None, default=None
        Number of batches in an epoch. None: as many as it takes to see as many samples as there
        are.
    rank, world_size : int, default=0 and 1
        The number of this process, and the number of all processes. All must have the same
        `random_state`.
    random_state : int, RandomState instance or None, default=None
        Controls the order. It must be an int where there are several processes.

    Raises
    ------
    ValueError
        If a parameter does not fit, a batch of all processes is larger than the data, or some
        labels are text and others are not.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import BalancedBatchSampler
    >>> y = np.repeat(["rest", "few"], [90, 10])
    >>> sampler = BalancedBatchSampler(y, batch_size=20, random_state=0)
    >>> [np.unique(y[batch], return_counts=True)[1].tolist() for batch in sampler]
    [[10, 10], [10, 10], [10, 10], [10, 10], [10, 10]]
    """

    def __init__(
        self,
        y,
        *,
        batch_size=128,
        batch_sampling: Any = "balanced",
        n_epochs=1,
        steps_per_epoch=None,
        rank=0,
        world_size=1,
        random_state=None,
    ):
        y = plain_vector(y)
        # It refuses labels that cannot be sorted.
        sorted_labels({"y": y})
        batch_size, n_epochs, steps_per_epoch = map(plain, (batch_size, n_epochs, steps_per_epoch))
        batch_sampling, rank, world_size = map(plain, (batch_sampling, rank, world_size))
        if not 0 <= rank < world_size:
            raise ValueError(
                f"`rank` must be in [0, world_size). Got rank={rank}, world_size={world_size}."
            )
        if world_size > 1 and not isinstance(random_state, Integral):
            raise ValueError(
                "With several processes `random_state` must be an int, the same in each, or they "
                f"draw different batches. Got {random_state!r}."
            )
        names = ("balanced", "sqrt", "progressive", None)
        is_known = batch_sampling in names
        if isinstance(batch_sampling, int | float):
            is_known = bool(0 <= batch_sampling <= 1)
        if not is_known:
            raise ValueError(
                f"`batch_sampling` must be one of {names} or a float in [0, 1]. "
                f"Got {batch_sampling!r}."
            )
        for name, value in (("batch_size", batch_size), ("n_epochs", n_epochs)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"`{name}` must be a positive int. Got {value!r}.")
        if batch_size * world_size > len(y):
            raise ValueError(
                f"{world_size} batches of {batch_size} are more than the {len(y)} samples of y. "
                "Lower `batch_size`."
            )
        self.batch_size = batch_size
        self.rank, self.world_size = rank, world_size
        self._target = np.unique(y, return_inverse=True)[1]
        self._settings = {
            "batch_size": batch_size * world_size,
            "n_epochs": n_epochs,
            "steps_per_epoch": steps_per_epoch,
            "batch_sampling": batch_sampling,
        }
        self._seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch: the next pass gives its batches, as if all earlier epochs had been made.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        self._plan = BatchPlan(
            self._target, rng=np.random.RandomState(self._seed), **self._settings
        )
        for _ in range(epoch):
            self._plan.epoch()

    def __len__(self) -> int:
        return self._plan.steps

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._plan.epoch():
            # Samples are distributed in the order of the classes. The size of batches without
            # fractions may not be divisible by the number of processes: the remaining samples, of
            # any class, are left out.
            batch = batch[: len(batch) - len(batch) % self.world_size]
            dealt = batch[np.argsort(self._target[batch], kind="stable")]
            yield dealt[self.rank :: self.world_size].tolist()
