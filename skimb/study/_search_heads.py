"""Candidates of a search, as last layers on the embeddings of one network of each fold."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skimb._label_measures import score_labels
from skimb.neural_network import DecoupledClassifier
from skimb.neural_network.joint_training import (
    build_head,
    prepare_head,
    starting_layer,
    train_together,
)
from skimb.study._shared_features import head_parameters

__all__ = ["CANDIDATES", "Candidate", "EmbeddedFold"]


@dataclass(frozen=True)
class Candidate:
    """A built-in strategy with a strength.

    Parameters
    ----------
    strategy : str
        Its name.
    settings : dict, default={}
        Parameters that it sets in addition to its own, such as ``{"loss__gamma": 5.0}``.

    Examples
    --------
    >>> from skimb.study import Candidate
    >>> Candidate("focal", {"loss__gamma": 5.0}).label
    'focal (gamma 5.0)'
    """

    strategy: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name in tables."""
        values = [
            f"{name.removeprefix('loss__').replace('_', ' ')} {value}"
            for name, value in self.settings.items()
        ]
        return f"{self.strategy} ({', '.join(values)})" if values else self.strategy


#: The strategies of a search and their strengths: weights from the root of the inverse class counts
#: to the inverse, focal losses, logit adjustment from half to twice, samplers, and fractions of the
#: classes in batches, also with weights that set in late and fractions that move.
CANDIDATES = (
    Candidate("class_weight", {"class_weight": "sqrt"}),
    Candidate("class_weight", {"class_weight": "effective"}),
    Candidate("class_weight"),
    Candidate("class_weight", {"reweight_after": 0.6}),
    Candidate("focal", {"loss__gamma": 1.0}),
    Candidate("focal"),
    Candidate("focal", {"loss__gamma": 5.0}),
    Candidate("focal_weighted", {"class_weight": "sqrt"}),
    Candidate("focal_weighted"),
    Candidate("focal_weighted", {"loss__gamma": 5.0}),
    Candidate("logit_adjusted", {"loss__tau": 0.5}),
    Candidate("logit_adjusted"),
    Candidate("logit_adjusted", {"loss__tau": 1.5}),
    Candidate("logit_adjusted", {"loss__tau": 2.0}),
    Candidate("over"),
    Candidate("under"),
    Candidate("under_over"),
    Candidate("over_weighted"),
    Candidate("balanced_batches", {"batch_sampling": "sqrt"}),
    Candidate("balanced_batches", {"batch_sampling": "progressive"}),
    Candidate("balanced_batches"),
)


class EmbeddedFold:
    """A network that was trained on the training part of a fold, and its embeddings of both parts.

    Parameters
    ----------
    network : CNNClassifier
        Fitted on the training part.
    X, y : array-like
        The training part.
    X_test, y_test : array-like
        The test part.
    """

    def __init__(self, network, X, y, X_test, y_test):
        self.network = network
        self.embedded, self.held = network.embed(X), network.embed(X_test)
        self.y, self.y_test = y, y_test
        self.start = starting_layer(network, y)

    def scores(self, task, candidates, scorer, *, seed):
        """Train a head for each candidate, all together, and score them on the test part.

        Parameters
        ----------
        task : ClassificationTask
            The task, which knows what each strategy is.
        candidates : list of Candidate
        scorer : callable
            ``scorer(estimator, X, y)``, of labels.
        seed : int

        Returns
        -------
        ndarray of shape (n_candidates,)
            NaN where a head diverged.
        """
        pending = [
            prepare_head(
                build_head(_head_of(task, candidate, self.network), check_random_state(seed)),
                self.embedded,
                self.y,
                None,
                self.start,
            )
            for candidate in candidates
        ]
        classes, found = task.classes, np.full(len(candidates), np.nan)
        for place, (one, net) in enumerate(zip(pending, train_together(pending), strict=True)):
            if not isinstance(net, Exception):
                head = one.conclude(net, len(net.history) - 1)
                predicted = head.predict(self.held)
                found[place] = score_labels(scorer, predicted, self.y_test, classes)
        return found


def _head_of(task, candidate, network):
    """Return the two-stage classifier whose head is a candidate."""
    made = task.unfitted(candidate.strategy, clone(network), candidate.settings)
    return DecoupledClassifier(**head_parameters(made))
