"""The contract between a training and its target."""

from abc import ABC, abstractmethod

__all__ = ["Target"]


class Target(ABC):
    """The target of a training: what the network sees of it, and what its outputs mean.

    Estimators hand such an object to the engine. The net keeps it, so it holds no sample.
    """

    @abstractmethod
    def read(self, y):
        """Return a target in the form of `fit`, checked, as one number a sample.

        Parameters
        ----------
        y : array-like of shape (n,)
            Labels, or values of a continuous target.

        Returns
        -------
        ndarray of shape (n,)
            Class indices, or values in the unit of y.

        Raises
        ------
        ValueError
            If it holds labels or values that the training could not have seen.
        """

    @abstractmethod
    def original(self, values):
        """Return labels, or values in the unit of y, from what `read` returns."""

    def encode(self, values):
        """Return what the network and its loss see of these numbers, an ndarray of shape (n,)."""
        return values

    @abstractmethod
    def decode(self, values):
        """Return labels, or values in the unit of y, from what `encode` returns."""

    @abstractmethod
    def at(self, training, epoch):
        """Let outputs mean what they mean after an epoch.

        Parameters
        ----------
        training : Training
            The training in progress.
        epoch : int
            Counted from 0.
        """

    @abstractmethod
    def interpret(self, outputs):
        """Return what the outputs of the network mean.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_outputs), float32

        Returns
        -------
        ndarray of shape (n, n_classes) or (n,), float64
            Probabilities, or predictions in the unit of y.
        """

    @abstractmethod
    def predict(self, interpreted):
        """Return predictions, of shape (n,), from what `interpret` returns."""

    def regularizer(self, network, training):
        """Return a function of the labels of a batch that adds to its loss, or None."""
        return None

    def interpret_tensor(self, outputs):
        """Return the same for outputs in a tensor, as the nonlinearity that skorch asks for."""
        return self.interpret(outputs.detach().cpu().numpy())
