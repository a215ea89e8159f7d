"""A last layer that starts from the class means of the embeddings of the training part."""

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from skimb._engine import dataset_of
from skimb._networks import CosineLinear, PretrainedBackbone, last_linear
from skimb.neural_network._untrained_net import untrained_net

__all__ = ["check_class_means", "nearest_means", "start_from_class_means"]

#: Most samples that are embedded: a start needs no more.
MOST_SAMPLES = 10_000


def check_class_means(module):
    """Refuse networks whose embeddings say nothing yet.

    Parameters
    ----------
    module : object
        As in `CNNClassifier`.

    Raises
    ------
    ValueError
        If it is not the result of `pretrained` or `low_rank`.
    """
    if not isinstance(module, PretrainedBackbone):
        raise ValueError(
            "head_init='class_means' starts from the embeddings of a trained network, to which "
            f"skimb adds the last layer. Got `module`={module!r}: give pretrained(...), which "
            "takes a network of your own too, or use head_init='random'."
        )


def start_from_class_means(network, training):
    """Set the weights of the last layer by the class means of the embeddings.

    Parameters
    ----------
    network : nn.Module
        The network, in training mode and on the device.
    training : Training
        The training, whose part is embedded: at most `MOST_SAMPLES`, equally many of each class
        where there are more.
    """
    device, part = training.device, training.part
    options = training.target.network_options(training)
    n_classes, prior = options["n_outputs"], options["prior"]
    labels = np.asarray(part.target)
    rows = _some_of_each(labels, n_classes)
    head = last_linear(network.eval(), training.image_shape, device)
    net = untrained_net(
        network,
        training.statistics,
        image_shape=training.image_shape,
        device=device,
        dataset=training.read,
        is_contiguous=training.is_contiguous,
    )
    embedded = net.values_at(head, dataset_of(part.images.take(rows)), inputs=True)
    embedded, labels = embedded.astype(np.float64), labels[rows]
    with torch.no_grad():
        if isinstance(head, CosineLinear):
            lengths = np.linalg.norm(embedded, axis=1, keepdims=True)
            directions = embedded / np.where(lengths > 0, lengths, 1)
            head.weight.copy_(torch.from_numpy(_class_means(directions, labels, n_classes)))
        else:
            weight, bias = nearest_means(embedded, labels, n_classes)
            if prior is not None:
                bias += np.log(prior)
            head.weight.copy_(torch.from_numpy(weight))
            head.bias.copy_(torch.from_numpy(bias - bias.mean()))
    network.train()


def _some_of_each(labels, n_classes):
    """Return rows in their order, of each class an equal number at most, evenly spaced."""
    most = max(1, MOST_SAMPLES // n_classes)
    chosen = []
    for index in range(n_classes):
        rows = np.flatnonzero(labels == index)
        chosen.append(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.intp)])
    return np.sort(np.concatenate(chosen))


def _class_means(values, labels, n_classes):
    """Return the mean of each class; that of all samples for a class without any."""
    means = np.tile(values.mean(axis=0), (n_classes, 1))
    for index in np.unique(labels):
        means[index] = values[labels == index].mean(axis=0)
    return means


def nearest_means(values, labels, n_classes):
    """Return the linear functions by which a sample belongs to the class of the nearest mean.

    The distance is that of features with equal variances within the classes. As logits, with the
    logarithms of the class prior added, the functions have the scale of a posterior: for two
    classes, that of normal distributions along the line between the means. With B and W, the
    covariances between and within the classes, the functions of independent features are
    multiplied by tr(B) / tr(B W), as correlated features say the same thing several times.

    Linear discriminant analysis uses all of W, which takes many more samples than there are
    features. A pretrained network often has more features than the images of a small set.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64
        The embeddings.
    labels : ndarray of int of shape (n,)
        The classes.
    n_classes : int
        Number of classes. A class without samples has the mean of all samples.

    Returns
    -------
    weight : ndarray of shape (n_classes, d)
    bias : ndarray of shape (n_classes,)
    """
    middle, means = values.mean(axis=0), _class_means(values, labels, n_classes)
    residuals = values - means[labels]
    scale = residuals.std(axis=0)
    scale[scale == 0] = 1
    from_middle = (means - middle) / scale
    fractions = np.bincount(labels, minlength=n_classes) / len(labels)
    # The number of threads would decide the order of sums.
    with threadpool_limits(1, user_api="blas"):
        along = (residuals / scale) @ from_middle.T
    between = fractions @ np.sum(from_middle**2, axis=1)
    within = fractions @ np.mean(along**2, axis=0)
    weight = from_middle / scale
    if within > 0:
        weight *= between / within
    # Between two means the functions are equal halfway.
    return weight, -np.sum(weight * (means + middle), axis=1) / 2
