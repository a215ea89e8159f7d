"""The samples of each batch of a training."""

from typing import Any

import numpy as np

__all__ = ["BatchPlan", "class_fractions"]


def class_fractions(batch_sampling, counts, *, progress=1.0):
    """Return the fraction of each class in a batch.

    Parameters
    ----------
    batch_sampling : {None, "balanced", "sqrt", "progressive"} or float
        As in `CNNClassifier`.
    counts : ndarray of shape (n_classes,)
        Number of samples of each class.
    progress : float, default=1.0
        Fraction of the training that is done, for ``"progressive"``.

    Returns
    -------
    ndarray of shape (n_classes,)
        Fractions that sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._engine._batch_plan import class_fractions
    >>> class_fractions("sqrt", np.array([500, 50, 5])).round(4)
    array([0.7061, 0.2233, 0.0706])
    """
    natural = counts / counts.sum()
    if batch_sampling is None:
        return natural
    if batch_sampling == "sqrt":
        root = np.sqrt(counts)
        return root / root.sum()
    balance = {"balanced": 1.0, "progressive": progress}.get(batch_sampling)
    if balance is None:
        balance = float(batch_sampling)
    return (1 - balance) * natural + balance / len(counts)


class BatchPlan:
    """The samples of each batch of each epoch.

    Without class fractions every sample is used once in an epoch, and the sizes of batches differ
    by at most one sample, so that no batch is left with a single sample. With fractions, each batch
    holds an exact quota of each class (up to one sample, which is carried over to the next batch),
    and within a class no sample is repeated before all have been used.

    Parameters
    ----------
    target : ndarray of shape (n,)
        Class indices.
    batch_size : int
        Largest number of samples in a batch.
    n_epochs : int
        Number of epochs of the whole training, for ``"progressive"``.
    steps_per_epoch : int or None
        Number of batches in an epoch; None: as many as it takes to see n samples.
    batch_sampling : {None, "balanced", "sqrt", "progressive"}, float or ndarray
        As in `CNNClassifier`; or the fraction of each class.
    rng : RandomState
        The source of the order.

    Attributes
    ----------
    drawn : ndarray of shape (n_classes,), int
        The samples of each class in the batches of the last epoch that was drawn.
    """

    def __init__(self, target, *, batch_size, n_epochs, steps_per_epoch, batch_sampling: Any, rng):
        self.target = np.asarray(target)
        self.batch_size = min(batch_size, len(self.target))
        self.n_epochs = n_epochs
        self.steps = steps_per_epoch or -(-len(self.target) // self.batch_size)
        self.by_sample_count = steps_per_epoch is None
        self.batch_sampling = batch_sampling
        self.rng = rng
        self.n_done = 0
        self.drawn = np.zeros(0, dtype=np.intp)
        self._all = _Turns(np.arange(len(self.target)), rng)
        self._counts = np.bincount(self.target)
        self._classes = [
            _Turns(np.flatnonzero(self.target == k), rng) for k in range(self.n_classes)
        ]
        self._owed = np.zeros(self.n_classes)

    @property
    def n_classes(self):
        """Number of classes."""
        return len(self._counts)

    def fractions(self, epoch):
        """Return the fraction of each class in the batches of an epoch, counted from 0."""
        if isinstance(self.batch_sampling, np.ndarray):
            return self.batch_sampling
        progress = epoch / max(1, self.n_epochs - 1)
        return class_fractions(self.batch_sampling, self._counts, progress=progress)

    def epoch(self):
        """Return the batches of the next epoch, each an array of sample indices."""
        self.n_done += 1
        if self.batch_sampling is not None:
            batches = self._by_fractions(self.fractions(self.n_done - 1))
        else:
            n_samples = len(self.target) if self.by_sample_count else self.steps * self.batch_size
            batches = np.array_split(self._all.take(n_samples), self.steps)
        self.drawn = np.bincount(self.target[np.concatenate(batches)], minlength=self.n_classes)
        return batches

    def state_dict(self):
        """Return what changes from epoch to epoch, as plain values and arrays."""
        return {
            "n_done": self.n_done,
            "rng": self.rng.get_state(legacy=False),
            "queues": [turns.queue for turns in (self._all, *self._classes)],
            "owed": self._owed,
        }

    def load_state_dict(self, state):
        """Go on from the result of `state_dict`."""
        self.n_done, self._owed = state["n_done"], state["owed"]
        self.rng.set_state(state["rng"])
        for turns, queue in zip((self._all, *self._classes), state["queues"], strict=True):
            turns.queue = queue

    def _by_fractions(self, fractions):
        quotas = np.empty((self.steps, self.n_classes), dtype=np.intp)
        for quota in quotas:
            # Each class gets the whole samples that it is owed; the rest goes to the largest debts.
            self._owed += fractions * self.batch_size
            quota[:] = np.maximum(np.floor(self._owed + 1e-9), 0)
            debt = self._owed - quota
            for _ in range(self.batch_size - quota.sum()):
                k = debt.argmax()
                quota[k] += 1
                debt[k] -= 1
            for _ in range(quota.sum() - self.batch_size):
                k = np.where(quota > 0, debt, np.inf).argmin()
                quota[k] -= 1
                debt[k] += 1
            self._owed = debt
        drawn = [turns.take(n) for turns, n in zip(self._classes, quotas.sum(axis=0), strict=True)]
        parts = [np.split(rows, quotas[:-1, k].cumsum()) for k, rows in enumerate(drawn)]
        return [np.concatenate(batch) for batch in zip(*parts, strict=True)]


class _Turns:
    """Samples that take turns: none is repeated before all have been used."""

    def __init__(self, rows, rng):
        self.rows, self.rng = rows, rng
        self.queue = rows[:0]

    def take(self, n):
        parts, missing = [self.queue], n - len(self.queue)
        while missing > 0:
            parts.append(self.rng.permutation(self.rows))
            missing -= len(self.rows)
        ready = np.concatenate(parts)
        self.queue = ready[n:]
        return ready[:n]
