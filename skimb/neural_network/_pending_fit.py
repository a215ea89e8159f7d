"""A fit that is prepared, and trained later: alone or together with others."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from skimb._engine import train, training_mode
from skimb.neural_network._stopped_fits import watched_fit

__all__ = ["PendingFit", "pend"]


def pend(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> "PendingFit":
    """Check everything, and return a fit whose training has not begun.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator to fit.
    X, y, sample_weight, groups
        As in its `fit`.

    Returns
    -------
    PendingFit

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import pend
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> pending = pend(CNNClassifier(max_epochs=2, random_state=0), X, y)
    >>> pending.training.plan.n_epochs
    2
    """
    training = estimator._prepare(X, y, sample_weight, groups)
    with training_mode(training):
        network = estimator._build(training)
    return PendingFit(estimator, network, training)


@dataclass(eq=False)
class PendingFit:
    """A fit whose training has not begun; it is trained alone or together with others.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator to fit.
    network : nn.Module
        The network, on the device.
    training : Training
        Everything else that the training needs.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import pend
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> pend(CNNClassifier(max_epochs=2, random_state=0), X, y).train().n_iter_
    2
    """

    estimator: Any
    network: Any
    training: Any

    def train(self) -> Any:
        """Train the network alone, and complete the fit; return the estimator."""
        with watched_fit(self.estimator, [self.training]):
            with training_mode(self.training):
                net, epoch = train(self.network, self.training)
            return self.conclude(net, epoch)

    def conclude(self, net: Any, epoch: int) -> Any:
        """Give the estimator its trained net.

        Parameters
        ----------
        net : ImageNet
            The net, which has the weights of that epoch.
        epoch : int
            Counted from 0.

        Returns
        -------
        estimator
        """
        self.training.target.conclude(self.training, net, epoch)
        self.estimator._conclude(self.training, net, epoch)
        return self.estimator
