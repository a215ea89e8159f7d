"""Word of each epoch of every training in this process, for those who show progress."""

from contextlib import contextmanager

__all__ = ["epochs_told_to", "tell_epoch"]

#: Functions of the number of epochs that are done and of all epochs of a training.
LISTENERS = []


@contextmanager
def epochs_told_to(listener):
    """Let a function know of each epoch that any network in this process trains meanwhile.

    It is no part of a network: clones, files and results are the same with it and without.

    Parameters
    ----------
    listener : callable
        A function ``(epoch, n_epochs)``, which is called when a training begins, with 0, and
        after each epoch.

    Examples
    --------
    >>> from skimb._engine import epochs_told_to
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> with epochs_told_to(lambda epoch, n_epochs: print(epoch, "of", n_epochs)):
    ...     _ = CNNClassifier(max_epochs=2, random_state=0).fit(X[:60], y[:60])
    0 of 2
    1 of 2
    2 of 2
    """
    LISTENERS.append(listener)
    try:
        yield
    finally:
        LISTENERS.remove(listener)


def tell_epoch(epoch, n_epochs):
    """Tell all listeners how far a training is.

    Parameters
    ----------
    epoch, n_epochs : int
        The number of epochs that are done, and of all.
    """
    for listener in LISTENERS:
        listener(epoch, n_epochs)
