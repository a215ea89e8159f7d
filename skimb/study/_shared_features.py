"""Strategies that act on the last layer of one network a run, whose features they share."""

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skimb._strategy_names import BASELINE
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import DecoupledClassifier
from skimb.neural_network.joint_training import fit_heads, predicting_once

__all__ = ["ON_HEADS", "head_classifier", "head_parameters", "shared_heads"]

#: Strategies that a last layer can have. The baseline is one of them: its last layer, too, is
#: trained again, without a remedy. Otherwise the further steps alone would look like a gain of the
#: others.
ON_HEADS = (
    BASELINE,
    *("class_weight", "focal", "focal_weighted", "over", "under", "smote_embedding"),
    *("balanced_batches", "logit_adjusted", "decoupled", "under_over", "over_weighted"),
    *("prior_shift", "threshold"),
)

#: Parameters of a strategy that act on the last layer.
OF_HEADS = (
    *("loss", "class_weight", "max_weight", "reweight_after", "batch_sampling", "sampler"),
    "target_prior",
)


def head_parameters(made):
    """Return clones of the parameters of a network that act on its last layer.

    Parameters
    ----------
    made : CNNClassifier
        The network of a strategy, not fitted.

    Returns
    -------
    dict
    """
    return clone({name: getattr(made, name) for name in OF_HEADS}, safe=False)


def head_classifier(network, made, length):
    """Return the classifier whose last layer is trained as a strategy trains its network.

    Parameters
    ----------
    network : CNNClassifier
        The network of the baseline.
    made : CNNClassifier or DecoupledClassifier
        The estimator that the strategy is, not fitted.
    length : TrainingLength
        The length of the training of each last layer.

    Returns
    -------
    DecoupledClassifier, or a TunedOffsetsClassifierCV around one
        Not fitted.

    Examples
    --------
    >>> from skimb.neural_network import CNNClassifier, training_length
    >>> from skimb.study._shared_features import head_classifier
    >>> length = training_length(6400, batch_size="auto", max_epochs="auto")
    >>> model = head_classifier(CNNClassifier(), CNNClassifier(class_weight="balanced"), length)
    >>> model.class_weight, model.batch_sampling, model.max_epochs * model.steps_per_epoch
    ('balanced', None, 1000)
    """
    if isinstance(made, TunedOffsetsClassifierCV):
        plain = head_classifier(network, network, length)
        return made.set_params(estimator=plain, shared_network=True)
    model = made
    if not isinstance(made, DecoupledClassifier):
        model = DecoupledClassifier(network, **head_parameters(made))
    return model.set_params(**length._asdict())


def shared_heads(task, strategies, network, X, y, groups=None, *, seed):
    """Fit strategies as last layers of a fitted network, all together.

    Parameters
    ----------
    task : ClassificationTask
        The task, which knows what each strategy is.
    strategies : list of Strategy
    network : CNNClassifier
        Fitted on the training part.
    X, y : array-like
        The training part.
    groups : ndarray of shape (n,), int, default=None
        Samples of one group stay together where a threshold is tuned on parts.
    seed : int

    Returns
    -------
    list of DecoupledClassifier or TunedOffsetsClassifierCV
        Fitted; they embed the images that are to be predicted once for all.
    """
    frozen = FrozenEstimator(network)
    made = [task.unfitted(each.name, clone(network), each.settings) for each in strategies]
    heads = [one for one in made if isinstance(one, DecoupledClassifier)]
    # A threshold is that of the baseline's last layer, which need not be among the strategies.
    n_plain = len(made) > len(heads)
    plain = [head_classifier(network, network, task.head_length)] * n_plain
    for one in (*plain, *heads):
        one.set_params(estimator=frozen, random_state=seed)
    fitted = predicting_once(fit_heads([*plain, *heads], X, y))
    rest = iter(fitted[n_plain:])
    return [
        next(rest) if isinstance(one, DecoupledClassifier) else _tuned(one, fitted[0], X, y, groups)
        for one in made
    ]


def _tuned(model, plain, X, y, groups):
    """Tune the decisions of the baseline's last layer."""
    model.set_params(estimator=clone(plain), random_state=plain.random_state)
    return model.tune_fitted(plain, X, y, groups=groups)
