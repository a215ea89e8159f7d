"""The methods `save` and `load` of estimators that hold a network."""

from os import PathLike
from typing import Any, Self

__all__ = ["SavedToFile"]


class SavedToFile:
    """Give an estimator the methods `save` and `load`, short for the functions of these names.

    A pickle is read on machines without the device too: then its network is on the CPU.
    """

    def __setstate__(self, state):
        super().__setstate__(state)  # pyright: ignore[reportAttributeAccessIssue]
        net, device = vars(self).get("net_"), vars(self).get("device")
        # The net has warned.
        if net is not None and device not in (None, "auto") and str(net.device) == "cpu":
            self.device = device if str(device) == "cpu" else "cpu"

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted estimator to a file, as `skimb.neural_network.save` does.

        Parameters
        ----------
        path : str or Path
            The file. One that exists is replaced, but only by a complete one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a part of it cannot be written. Then nothing is.
        """
        # The file of functions knows all estimators, and so imports this module.
        from skimb.neural_network._saving import save

        save(self, path)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        module: Any = None,
        loss: Any = None,
        augmentation: Any = None,
    ) -> Self:
        """Read a fitted estimator of this class, as `skimb.neural_network.load` does.

        Parameters
        ----------
        path : str or Path
            A file of `save`.
        module, loss, augmentation : object, default=None
            Objects of your own that the estimator was fitted with; they are not in the file.

        Returns
        -------
        estimator

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds an estimator of another class, is damaged, or needs an object that is not
            given.
        """
        from skimb.neural_network._saving import load

        loaded = load(path, module=module, loss=loss, augmentation=augmentation, classes=(cls,))
        if not isinstance(loaded, cls):
            raise ValueError(
                f"{path} holds a fitted {type(loaded).__name__}, and a {cls.__name__} is wanted. "
                "skimb.neural_network.load reads estimators of any class."
            )
        return loaded
