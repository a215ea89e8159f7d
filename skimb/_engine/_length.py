"""The length of a training, by the number of its samples."""

from numbers import Integral
from typing import Any, NamedTuple

__all__ = ["TrainingLength", "epochs_of_patience", "still_falls", "training_length"]

#: The least number of gradient steps of a training, and of epochs.
LEAST_STEPS, LEAST_EPOCHS = 1000, 20
#: The batch sizes between which "auto" chooses, and the least number of steps in an epoch.
SMALLEST_BATCH, LARGEST_BATCH, STEPS_OF_AN_EPOCH = 16, 128, 25

#: A training still falls if its loss decreases from the third to the last quarter of its epochs by
#: more than a fraction of its first value: `LITTLE` below `LEAST_STEPS`, otherwise `MUCH`. Even the
#: last steps of a long training lower the loss, as the learning rate goes to zero.
MUCH, LITTLE = 0.05, 0.01
#: An epoch of fewer gradient steps counts as less than one epoch of patience.
STEPS_OF_PATIENCE = 50


class TrainingLength(NamedTuple):
    """The length of a training, as `training_length` returns it.

    Parameters
    ----------
    batch_size : int
        Largest number of samples in a batch.
    max_epochs : int
        Largest number of epochs.
    steps_per_epoch : int
        Number of gradient steps in an epoch.
    """

    batch_size: int
    max_epochs: int
    steps_per_epoch: int

    @property
    def n_steps(self) -> int:
        """Number of gradient steps of the whole training."""
        return self.max_epochs * self.steps_per_epoch


def training_length(
    n_samples: int,
    *,
    batch_size: Any = "auto",
    max_epochs: Any = "auto",
    steps_per_epoch: int | None = None,
) -> TrainingLength:
    """Return how long a network is trained on a number of samples.

    The number of gradient steps decides how well a network is trained, not the number of epochs: 20
    epochs with batches of 128 are only 160 steps on 900 samples, after which a network has learned
    little. Therefore small data sets get smaller batches and more epochs. The numbers are fixed
    before the training.

    Parameters
    ----------
    n_samples : int
        Number of samples of the training part, after resampling.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch. ``"auto"``: the largest of 16, 32, 64 and 128 that
        makes at least 25 steps in an epoch; 16 where none does.
    max_epochs : int or "auto", default="auto"
        Number of epochs. ``"auto"``: 20, or as many as make 1000 gradient steps, whichever is more.
    steps_per_epoch : int, default=None
        Number of gradient steps in an epoch. None: as many as it takes to see as many samples as
        there are.

    Returns
    -------
    TrainingLength
        With ``batch_size``, ``max_epochs``, ``steps_per_epoch`` and their product, ``n_steps``.

    Raises
    ------
    ValueError
        If a number is not a positive integer.

    Examples
    --------
    >>> from skimb.neural_network import training_length
    >>> training_length(900)
    TrainingLength(batch_size=32, max_epochs=35, steps_per_epoch=29)
    >>> training_length(900, batch_size=128, max_epochs=20).n_steps
    160
    >>> training_length(12_000)
    TrainingLength(batch_size=128, max_epochs=20, steps_per_epoch=94)
    """
    numbers = {
        "n_samples": n_samples,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "steps_per_epoch": steps_per_epoch,
    }
    value: Any
    for name, value in numbers.items():
        is_open = value is None if name == "steps_per_epoch" else value == "auto"
        is_number = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
        if not is_number and (name == "n_samples" or not is_open):
            raise ValueError(f"`{name}` must be a positive integer. Got {value!r}.")
    if batch_size == "auto":
        batch_size = SMALLEST_BATCH
        while 2 * batch_size <= min(LARGEST_BATCH, n_samples // STEPS_OF_AN_EPOCH):
            batch_size *= 2
    batch_size = min(int(batch_size), int(n_samples))
    steps = int(steps_per_epoch or -(-n_samples // batch_size))
    if max_epochs == "auto":
        max_epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS // steps))
    return TrainingLength(batch_size, int(max_epochs), steps)


def epochs_of_patience(n_epochs, steps_per_epoch):
    """Return how many epochs a patience lasts when short epochs count less.

    After only a few gradient steps, scores differ mostly by chance, so an epoch of fewer than 50
    steps does not count as a whole one.

    Parameters
    ----------
    n_epochs : int
        The patience, in epochs of at least 50 gradient steps.
    steps_per_epoch : int
        Number of gradient steps in an epoch.

    Returns
    -------
    int

    Examples
    --------
    >>> from skimb._engine._length import epochs_of_patience
    >>> epochs_of_patience(5, steps_per_epoch=20), epochs_of_patience(5, steps_per_epoch=100)
    (13, 5)
    """
    return -(-n_epochs * STEPS_OF_PATIENCE // min(STEPS_OF_PATIENCE, steps_per_epoch))


def still_falls(losses, n_steps):
    """Return whether the loss of a training still fell when it ended.

    Parameters
    ----------
    losses : sequence of float
        The mean loss of each epoch.
    n_steps : int
        Gradient steps of the whole training.

    Returns
    -------
    bool
        False for fewer than two epochs, which are too few to decide.

    Examples
    --------
    >>> from skimb._engine._length import still_falls
    >>> still_falls([0.7, 0.6, 0.5, 0.4], 160), still_falls([0.7, 0.1, 0.01, 0.009], 160)
    (True, False)
    """
    if len(losses) < 2:
        return False
    quarter = max(1, len(losses) // 4)
    before = sum(losses[-2 * quarter : -quarter]) / quarter
    fall = before - sum(losses[-quarter:]) / quarter
    return fall > (MUCH if n_steps >= LEAST_STEPS else LITTLE) * abs(losses[0])
