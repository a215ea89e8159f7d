"""Fits that are stopped: what the estimator then says, and the files from which a fit goes on."""

import traceback
from contextlib import contextmanager

from skimb._engine import DivergenceError
from skimb.neural_network._incremental import Start

__all__ = ["begin_fit", "watched_fit"]

#: What an estimator keeps of its last fit, besides the attributes whose names end with "_".
KEPT = ("_optimizer_state", "_weight_unit", "_stopped_start", "_training_record")


@contextmanager
def begin_fit(estimator):
    """Run a fit from the start that `warm_start` asks for; what the last fit has found is dropped.

    A warm start that fails before its first epoch leaves the estimator as it was. One that is
    stopped later leaves it unfitted, with the start for the next fit.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator that is fitted.

    Yields
    ------
    trainings : list
        As in `watched_fit`.
    start : Start or None
        None: the network is new.
    """
    before = dict(vars(estimator))
    start = Start.of_last(estimator) if estimator.warm_start else None
    _forget(estimator)
    trainings: list = []
    try:
        with watched_fit(estimator, trainings):
            yield trainings, start
    except BaseException:
        _forget(estimator)
        if start is not None:
            if any(training.has_begun for training in trainings):
                estimator._stopped_start = start
            else:
                estimator.__dict__.clear()
                estimator.__dict__.update(before)
        raise


def _forget(estimator):
    """Drop all that the last fit has found."""
    for name in list(vars(estimator)):
        if name in KEPT or name.endswith("_"):
            del estimator.__dict__[name]


@contextmanager
def watched_fit(estimator, trainings):
    """Run a fit; remove its checkpoints if it ends well, and name them if it is stopped.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator that is fitted. If its training is stopped, by an error or an interrupt, it
        has an attribute with the text of the error that it is not fitted.
    trainings : list
        The trainings of the fit, to which the block adds each before it runs.
    """
    estimator.__dict__.pop("_stopped", None)
    try:
        yield
    except BaseException as exc:
        checkpoints = [one.checkpoint for one in trainings if one.checkpoint is not None]
        if isinstance(exc, DivergenceError):
            # The same fit would diverge again.
            _remove(checkpoints)
            raise
        # The last that was written belongs to the training that was stopped.
        kept = next((one for one in reversed(checkpoints) if one.path.exists()), None)
        where = "" if kept is None else _described(kept, trainings[-1])
        if where:
            exc.add_note(f"{type(estimator).__name__}: {where}")
        if trainings or not isinstance(exc, Exception):
            estimator._stopped = (
                f"This {type(estimator).__name__} is not fitted: its last fit was stopped by "
                f"{type(exc).__name__}. {where or 'Call `fit` again.'}"
            )
        if _is_interrupt(exc):
            # They hold the batches that worker processes read ahead, and so keep these alive.
            traceback.clear_frames(exc.__traceback__)
        raise
    _remove(one.checkpoint for one in trainings if one.checkpoint is not None)


def _described(checkpoint, training):
    return (
        f"The checkpoint {checkpoint.path} holds {checkpoint.n_epochs} of {training.n_epochs} "
        "epochs: call `fit` again with the same data, parameters and seed, and it goes on from "
        "there."
    )


def _is_interrupt(exc):
    """Tell whether an error is an interrupt, or came up while one was handled."""
    while exc is not None and isinstance(exc, Exception):
        # A worker that is interrupted while it starts is an error for torch.
        exc = exc.__context__
    return exc is not None


def _remove(checkpoints):
    for checkpoint in checkpoints:
        checkpoint.remove()
