"""The choice whether training images are mirrored, decided on images that are held out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_regressor

from skimb._params import safe_indexing
from skimb.neural_network import CNNClassifier
from skimb.study._origin import expression_of
from skimb.study._splits import hold_out_fifth

__all__ = ["choose_augmentation"]

#: The default of the constructors.
DEFAULT_AUGMENTATION = CNNClassifier().augmentation

#: The augmentation that is tried in addition to the default.
WITH_FLIPS = "flip_crop"


def choose_augmentation(
    estimator: Any, X: Any, y: ArrayLike, groups: ArrayLike | None = None, *, seed: int
) -> Any:
    """Train a network with mirrored images and one without, and take the better.

    They are compared by the log loss of a fifth of the images that is held out (numbers: by the
    absolute error). Every image counts in it, and it is smooth: where a minority class has ten of
    the held-out images, one of them moves balanced accuracy by 0.05. Mirrored images are taken
    where they are better by more than one standard error; a tie goes to the default.

    Parameters
    ----------
    estimator : CNNClassifier or CNNRegressor
        The baseline. It is left as it is.
    X, y : array-like
        The training images; test images must not be among them.
    groups : array-like of shape (n,), default=None
        Samples of one group stay on one side; so do equal images.
    seed : int
        The seed of the split and of both networks.

    Returns
    -------
    name : str
        A value for `augmentation`.
    choice : dict
        ``losses`` by name, ``measure``, ``n_held_out``, and ``code``, the line for the constructor.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import choose_augmentation
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> name, choice = choose_augmentation(CNNClassifier(max_epochs=1), X, y, seed=0)
    >>> sorted(choice["losses"]), choice["n_held_out"]
    (['flip_crop', 'shift_crop'], 341)
    """
    y = np.asarray(y)
    is_number = is_regressor(estimator)
    train, test = hold_out_fifth(X, y, groups, is_regression=is_number, seed=seed)
    X_train, X_test = (safe_indexing(X, rows) for rows in (train, test))
    losses = {}
    for name in (DEFAULT_AUGMENTATION, WITH_FLIPS):
        network = clone(estimator).set_params(augmentation=name, random_state=seed)
        network.fit(X_train, y[train])
        if is_number:
            losses[name] = np.abs(network.predict(X_test) - y[test])
        else:
            log_proba = network.predict_log_proba(X_test)
            column = np.searchsorted(network.classes_, y[test])
            losses[name] = -log_proba[np.arange(len(test)), column]
    gain = losses[DEFAULT_AUGMENTATION] - losses[WITH_FLIPS]
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    chosen = WITH_FLIPS if gain.mean() > error else DEFAULT_AUGMENTATION
    return chosen, {
        "losses": {name: float(values.mean()) for name, values in losses.items()},
        "measure": "absolute error" if is_number else "log loss",
        "n_held_out": len(test),
        "code": expression_of(clone(estimator).set_params(augmentation=chosen)),
    }
