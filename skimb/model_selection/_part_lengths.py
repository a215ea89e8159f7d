"""How long networks are trained that see a part of the samples."""

from sklearn.base import clone

from skimb.neural_network import CNNClassifier, CNNRegressor, training_length

__all__ = ["for_part"]


def for_part(network, n_samples, n_train):
    """Return a network for a part of the samples, with as many epochs as one for all of them.

    Parameters
    ----------
    network : estimator
        It is left as it is. Estimators other than networks, and networks whose sampler changes the
        number of their samples, get the length that they have by themselves.
    n_samples, n_train : int
        All samples, and those of the part.

    Returns
    -------
    estimator
        A clone.
    """
    part = clone(network)
    if not isinstance(part, CNNClassifier | CNNRegressor) or part.sampler is not None:
        return part
    length = training_length(
        n_samples,
        batch_size=part.batch_size,
        max_epochs=part.max_epochs,
        steps_per_epoch=part.steps_per_epoch,
    )
    steps = max(1, round(length.steps_per_epoch * n_train / n_samples))
    return part.set_params(**length._replace(steps_per_epoch=steps)._asdict())
