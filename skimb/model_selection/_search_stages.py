"""The two stages of a search over heads: a network for each fold, and heads on its embeddings."""

import time

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._engine import DivergenceError
from skimb._params import safe_indexing
from skimb._routing import routes
from skimb._sub_estimators import seeded_clone
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import build_head, starting_layer, train_together

__all__ = [
    "OF_BOTH",
    "fit_and_embed",
    "fitted_or_errors",
    "or_error",
    "seeded",
    "two_stage",
    "weighted_samples",
    "with_parameters",
]

#: Parameters that a head and a whole network have in common.
OF_BOTH = (
    "loss",
    "class_weight",
    "max_weight",
    "reweight_after",
    "batch_sampling",
    "sampler",
    "target_prior",
)


def two_stage(network, given):
    """Return a two-stage classifier with a network as its first stage."""
    inner = network.estimator if isinstance(network, FrozenEstimator) else network
    if not isinstance(inner, CNNClassifier):
        raise ValueError(
            "`estimator` must be a CNNClassifier, a DecoupledClassifier, or a fitted "
            f"CNNClassifier in a FrozenEstimator. Got {network!r}."
        )
    if given and network is inner:
        try:
            check_is_fitted(inner)
        except NotFittedError as exc:
            raise NotFittedError(
                "backbone='given' needs a fitted network, and this CNNClassifier is not fitted. "
                "Fit it, and give it as FrozenEstimator(fitted), which cloning does not reset."
            ) from exc
        network = FrozenEstimator(network)
    elif routes() and network is inner:
        # It gets all that was routed to it here, whatever the names were outside.
        network = clone(network).set_fit_request(sample_weight=True, groups=True)
    own = {name: getattr(inner, name) for name in OF_BOTH if name != "sampler"}
    return DecoupledClassifier(network, random_state=inner.random_state, **own)


def with_parameters(model, candidate):
    """Return a clone of a model with the parameters of a candidate."""
    return clone(model).set_params(**clone(candidate, safe=False))


def weighted_samples(indices, y, sample_weight):
    """Leave out samples of weight zero, as each training does, unless a class would vanish."""
    if sample_weight is None:
        return indices
    kept = indices[sample_weight[indices] > 0]
    return kept if len(np.unique(y[kept])) == len(np.unique(y[indices])) else indices


def seeded(model):
    """Return a model with a seed, so that candidates differ only in their parameters."""
    if model.random_state is not None:
        return model
    seed = check_random_state(None).randint(np.iinfo(np.int32).max)
    return clone(model).set_params(random_state=seed)


def or_error(prepare, *args):
    """Return the result of `prepare`, or the error, which `error_score` deals with later."""
    try:
        return prepare(*args)
    except Exception as exc:
        return exc


def fit_and_embed(model, caller, job, X, y):
    """Train stage 1 on a fold; return embeddings of X, the start of the heads, and the seconds.

    If the network diverges, the error is returned instead of the embeddings.
    """
    begin = time.perf_counter()
    train, metadata, task = job
    part, target = safe_indexing(X, train), y[train]
    rng = check_random_state(clone(model).random_state)
    # As in DecoupledClassifier: the head draws first.
    build_head(model, rng)
    network = CNNClassifier() if model.estimator is None else model.estimator
    try:
        network = seeded_clone(network, rng)
        with task.propagate_callback_context(network):
            task.call_on_fit_task_begin(estimator=caller, X=part, y=target)
            network.fit(part, target, **metadata)
            task.call_on_fit_task_end(estimator=caller, X=part, y=target)
    except DivergenceError as exc:
        return exc, None, time.perf_counter() - begin
    start = starting_layer(network, target)
    return network.embed(X), start, time.perf_counter() - begin


def fitted_or_errors(trainees):
    """Train networks together, and return their estimators; for those that failed, the error."""
    nets = iter(train_together([one for one in trainees if not isinstance(one, Exception)]))
    fitted = []
    for trainee in trainees:
        if isinstance(trainee, Exception):
            fitted.append(trainee)
            continue
        net = next(nets)
        if not isinstance(net, Exception):
            net = or_error(trainee.conclude, net, len(net.history) - 1)
        fitted.append(net)
    return fitted
