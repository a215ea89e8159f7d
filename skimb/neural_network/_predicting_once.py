"""Fitted classifiers whose network sees the samples that are to be predicted once."""

import copy
from typing import Any

from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier

__all__ = ["predicting_once"]


class _Once:
    """A function of X that remembers its last result.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function):
        self.function = function
        # X is kept too: so long as it is, nothing else has its identity.
        self.known = None

    def __call__(self, X):
        if self.known is None or self.known[0] is not X:
            self.known = X, self.function(X)
        return self.known[1]


def predicting_once(fitted: list[Any]) -> list[Any]:
    """Return stand-ins of fitted classifiers that pass X through their network once.

    ``predict``, ``predict_proba`` and ``decision_function`` each pass X through the network. A
    stand-in does so with the first of them, and answers the others from what it remembers, to the
    bit. Last layers of one network share its embeddings.

    Parameters
    ----------
    fitted : list of classifier
        Networks, two-stage classifiers, and wrappers of skimb around them; others are returned as
        they are.

    Returns
    -------
    list of classifier
        Copies that share everything with the classifiers; X counts as the same only if it is the
        same object.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import predicting_once
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> [once] = predicting_once([CNNClassifier(max_epochs=1, random_state=0).fit(X, y)])
    >>> bool((once.predict(X) == once.classes_[once.predict_proba(X).argmax(axis=1)]).all())
    True
    """
    embeddings = {}
    return [_stand_in(each, embeddings) for each in fitted]


def _stand_in(fitted, embeddings):
    if isinstance(fitted, DecoupledClassifier):
        if "_embedded" in vars(fitted):
            return fitted
        made = copy.copy(fitted)
        made._embedded = embeddings.setdefault(id(fitted.estimator_), _Once(fitted._embedded))
        return made
    if isinstance(fitted, CNNClassifier):
        made = copy.copy(fitted)
        made.predict_log_proba = _Once(fitted.predict_log_proba)
        return made
    # What an estimator from outside does with X is not known.
    is_own = type(fitted).__module__.startswith("skimb.")
    inner = getattr(fitted, "estimator_", None) if is_own else None
    if inner is None or (made := _stand_in(inner, embeddings)) is inner:
        return fitted
    outer = copy.copy(fitted)
    outer.estimator_ = made
    return outer
