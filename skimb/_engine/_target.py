"""The contract between a training and its target."""

from abc import ABC, abstractmethod

__all__ = ["Target"]


class Target(ABC):
    """The target of a training: its form for the network, and the meaning of outputs.

    Estimators pass such an object to the engine. The net keeps it, so it must not hold samples.
    """

    @abstractmethod
    def read(self, y):
        """Return a target in the form of `fit`, checked, as one number per sample.

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
            If it holds labels or values that cannot occur in the training.
        """

    @abstractmethod
    def original(self, values):
        """Return labels, or values in the unit of y, from the result of `read`."""

    def encode(self, values):
        """Return the form of these numbers for the network and its loss, of shape (n,)."""
        return values

    @abstractmethod
    def decode(self, values):
        """Return labels, or values in the unit of y, from the result of `encode`."""

    @abstractmethod
    def at(self, training, epoch):
        """Set the meaning of the outputs after an epoch.

        Parameters
        ----------
        training : Training
            The training in progress.
        epoch : int
            Counted from 0.
        """

    @abstractmethod
    def interpret(self, outputs):
        """Return the meaning of the outputs of the network.

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
        """Return predictions, of shape (n,), from the result of `interpret`."""

    def regularizer(self, network, training):
        """Return a function of the labels of a batch whose result is added to the loss, or None."""
        return None

    def drawn_counts(self, plan):
        """Return the samples of each class in the batches of an epoch, or None without classes.

        Parameters
        ----------
        plan : BatchPlan
            The plan that has drawn them.

        Returns
        -------
        list of int, or None
        """
        return None

    def interpret_tensor(self, outputs):
        """Return the same as `interpret` for a tensor, as the nonlinearity of skorch."""
        return self.interpret(outputs.detach().cpu().numpy())
