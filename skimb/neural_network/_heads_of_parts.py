"""Last layers of one network that are trained on parts of its samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skimb._class_probabilities import log_probabilities
from skimb._engine import train_together
from skimb.neural_network._decoupled import build_head
from skimb.neural_network._heads import prepare_head, starting_layer

__all__ = ["heads_of_parts"]


def heads_of_parts(
    fitted: Any,
    X: Any,
    y: NDArray[Any],
    splits: list[tuple[NDArray[Any], NDArray[Any]]],
    sample_weight: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return log-probabilities of held-out samples by last layers that were not trained on them.

    The network stays as it is: it has seen all samples.

    Parameters
    ----------
    fitted : DecoupledClassifier
        Fitted on X and y, with ``head="linear"``; its last layer is trained again on each part.
    X : array-like
        Images, which are embedded once.
    y : ndarray of shape (n,)
        Labels.
    splits : list of (ndarray, ndarray)
        Positions of the samples to train on, which hold every class, and of the others.
    sample_weight : ndarray of shape (n,), default=None

    Returns
    -------
    ndarray of shape (m, n_classes), float64
        In the order of the held-out samples of all splits.

    Raises
    ------
    ValueError
        If the training of a last layer fails.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, DecoupledClassifier
    >>> from skimb.neural_network.joint_training import heads_of_parts
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> fitted = DecoupledClassifier(CNNClassifier(max_epochs=1), max_epochs=1, random_state=0)
    >>> fitted.fit(X, y).predict(X[:2]).shape
    (2,)
    >>> rows = np.arange(len(y))
    >>> heads_of_parts(fitted, X, y, [(rows[rows % 4 > 0], rows[rows % 4 == 0])]).shape
    (426, 2)
    """
    network = fitted.estimator_
    embedded, start = network.embed(X), starting_layer(network, y)
    pending = [
        prepare_head(
            build_head(fitted, check_random_state(fitted.random_state)),
            embedded[train],
            y[train],
            None if sample_weight is None else sample_weight[train],
            start,
        )
        for train, _ in splits
    ]
    found = []
    for (_, held), fit, net in zip(splits, pending, train_together(pending), strict=True):
        if isinstance(net, Exception):
            raise net
        head = fit.conclude(net, len(net.history) - 1)
        # Held-out samples are on the scale of the others.
        head._levels = None
        found.append(log_probabilities(head, embedded[held], fitted.classes_))
    return np.concatenate(found)
