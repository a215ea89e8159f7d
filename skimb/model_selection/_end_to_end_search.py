"""The bilevel search of the numbers of the loss through the whole network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skimb._params import safe_indexing
from skimb._sub_estimators import seeded_clone
from skimb.model_selection._outer_steps import HeldSamples, OuterSteps, SearchedLoss
from skimb.neural_network import CNNClassifier
from skimb.neural_network.joint_training import pend

__all__ = ["NEVER", "EndToEndResult", "search_end_to_end"]

#: The number of training steps for each step of the numbers where these do not move.
NEVER = float("inf")

#: Parameters of the classifier that the training of the search does not use.
NOT_SEARCHED = {
    "early_stopping": False,
    "calibration": None,
    "warm_start": False,
    "checkpoint": None,
    "net_callbacks": None,
    "target_prior": None,
    "verbose": 0,
}


@dataclass
class EndToEndResult:
    """The result of a search through the whole network.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        The parameters of the numbers of the classes that were found.
    history : list of dict
        One record for each outer step: ``epoch``, ``step``, ``aim`` (its smooth form, before the
        step), ``hypergradient_norm``, ``n_products``, ``is_convex``, ``is_finite``, and
        ``parameters`` after the step.
    logits : ndarray of shape (n_judged, n_classes)
        The outputs of the network of the search for the samples that judge it.
    estimator : CNNClassifier
        The classifier of the search, trained on the training part.
    seconds : float
        Time of the outer steps, which is part of the time of the training.
    """

    parameters: np.ndarray
    history: list
    logits: np.ndarray
    estimator: Any
    seconds: float


def search_end_to_end(
    estimator,
    X,
    y,
    train,
    held,
    numbers,
    aim,
    *,
    rng,
    sample_weight=None,
    judged=None,
    temperature=1.0,
    parameters=None,
    start=0.4,
    every=None,
    lr=0.1,
    n_products=10,
):
    """Search the numbers of the loss while a network trains on one part of the samples.

    The bilevel search of Li et al. [1]_: the network minimises the training loss, and the numbers
    of that loss move along the implicit gradient of the aim on the held-out part. It is one
    training of the classifier, with a loss whose numbers change.

    Parameters
    ----------
    estimator : CNNClassifier
        The classifier, not fitted. Its `loss` is replaced; `early_stopping`, `calibration`,
        `warm_start`, `checkpoint`, `net_callbacks` and `target_prior` are not used.
    X : array-like
        Images in a form of its `fit`, whose rows can be chosen.
    y : ndarray of shape (n,)
        Labels.
    train, held : ndarray of int
        The samples of the training part, which holds all classes, and of the held-out part.
    numbers : ClassNumbers
        The numbers of the classes, in the order of the labels, as a function of parameters.
    aim : Aim
        The aim on the held-out part.
    rng : RandomState
        The source of the seed of the training and of the choice of held-out samples.
    sample_weight : ndarray of shape (n,), default=None
        Weights of the samples in the training loss.
    judged : ndarray of int, default=None
        The samples for which the outputs of the network are returned; None: the held-out part.
    temperature : float, default=1.0
        The number by which logits are divided before the smooth form of the decisions reads them.
    parameters : ndarray of shape (n_parameters,), default=None
        Where the search starts; None: ``numbers.start()``.
    start : float, default=0.4
        The fraction of the training after which the numbers move. Before, the weights are too far
        from a minimum of the training loss.
    every : int or NEVER, default=None
        Number of training steps for each step of the numbers; None: as many as make 30 steps of
        the numbers, between 10 and the 20 of the paper. NEVER: the numbers stay.
    lr : float, default=0.1
        Learning rate of the numbers, which falls to zero as a cosine.
    n_products : int, default=10
        The largest number of products with the Hessian in one step.

    Returns
    -------
    EndToEndResult

    References
    ----------
    .. [1] Li et al., AutoBalance: Optimized Loss Functions for Imbalanced Data, NeurIPS 2021,
       arXiv:2201.01212.
    """
    if not isinstance(estimator, CNNClassifier):
        raise ValueError(
            "search='end_to_end' trains whole networks, so `estimator` must be a CNNClassifier "
            f"that is not fitted. Got {type(estimator).__name__}; search='head' takes any "
            "classifier that embeds images."
        )
    parameters = np.asarray(numbers.start() if parameters is None else parameters, dtype=float)
    with torch.no_grad():
        first = [values.numpy() for values in numbers(torch.from_numpy(parameters))]
    trained = seeded_clone(estimator, rng).set_params(loss=SearchedLoss(*first), **NOT_SEARCHED)
    weight = None if sample_weight is None else safe_indexing(sample_weight, train)
    pending = pend(trained, safe_indexing(X, train), y[train], weight)
    training = pending.training
    dataset = training.read(safe_indexing(X, held), y[held])
    steps = OuterSteps(
        numbers,
        aim,
        HeldSamples(dataset, np.random.RandomState(rng.randint(np.iinfo(np.int32).max))),
        parameters,
        temperature=temperature,
        n_steps=training.plan.n_epochs * training.plan.steps,
        batch_size=training.plan.batch_size,
        start=start,
        every=every,
        lr=lr,
        n_products=n_products,
    )
    training.observers.append(steps)
    pending.train()
    if judged is not None:
        dataset = training.read(safe_indexing(X, judged), y[judged])
    return EndToEndResult(
        parameters=steps.parameters.numpy().copy(),
        history=steps.records,
        logits=trained.net_.logits(dataset),
        estimator=trained,
        seconds=steps.seconds,
    )
