"""The network that the arguments ask for."""

from typing import Any

from skimb._command_line._streams import say

__all__ = ["choose_augmentation_of", "network_of"]


def network_of(arguments, is_regression, parameters=None):
    """Return the network of the constructor, changed where the arguments ask for it.

    Parameters
    ----------
    arguments : Namespace
    is_regression : bool
    parameters : dict, default=None
        Parameters of a comparison that count where the arguments say nothing.

    Returns
    -------
    CNNClassifier or CNNRegressor
    """
    from skimb.neural_network import CNNClassifier, CNNRegressor

    recipe: dict[str, Any] = {**(parameters or {}), "device": arguments.device}
    if arguments.epochs is not None:
        recipe["max_epochs"] = arguments.epochs
    if arguments.precision is not None:
        recipe["precision"] = arguments.precision
    if arguments.augmentation not in (None, "auto"):
        recipe["augmentation"] = {"none": None}.get(arguments.augmentation, arguments.augmentation)
    return (CNNRegressor if is_regression else CNNClassifier)().set_params(**recipe)


def choose_augmentation_of(estimator, data, seed):
    """Set the augmentation that suits the training images, and say so in one line.

    Parameters
    ----------
    estimator : CNNClassifier or CNNRegressor
    data : Inputs
    seed : int

    Returns
    -------
    dict
        The choice, as `skimb.study.choose_augmentation` returns it.
    """
    from skimb.study import choose_augmentation

    name, choice = choose_augmentation(estimator, data.X, data.y, data.groups, seed=seed)
    losses = ", ".join(f"{key} {loss:.4g}" for key, loss in choice["losses"].items())
    say(
        f"augmentation: {choice['measure']} of {choice['n_held_out']} held-out training images: "
        f"{losses}; {choice['code']}"
    )
    estimator.set_params(augmentation=name)
    return choice
