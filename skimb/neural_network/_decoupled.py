"""DecoupledClassifier: features learned on the data as they are, a head on balanced data."""

import copy
from inspect import signature
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, is_regressor
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skimb._callback_tasks import begin_fit, part_of_fit
from skimb._engine import train_together
from skimb._images import check_images, checked_once, fit_images
from skimb._params import (
    HasMethods,
    Interval,
    StrOptions,
    check_handed_in,
    check_sample_weight,
    fit_context,
    plain,
)
from skimb._routing import metadata_of_estimator, requesting, router_of
from skimb._sub_estimators import seeded_clone
from skimb.class_weight import SCHEMES
from skimb.neural_network._classifier import GRID_EXAMPLE, LOSSES, CNNClassifier
from skimb.neural_network._heads import (
    ScaledLinear,
    TauNormalizedHead,
    fit_head,
    own_layer,
    prepare_head,
    starting_layer,
)
from skimb.neural_network._options import refuse_parameters_of_a_string
from skimb.neural_network._save_methods import SavedToFile
from skimb.neural_network._training_samplers import resample_training_part
from skimb.neural_network._vector_scaling_head import VectorScalingHead

__all__ = ["DecoupledClassifier", "build_head", "fit_heads", "head_batch_sampling"]


#: Parameters of heads that are trained.
HEAD_PARAMETERS = (
    "loss",
    "class_weight",
    "max_weight",
    "reweight_after",
    "batch_sampling",
    "target_prior",
    "lr",
    "max_epochs",
    "steps_per_epoch",
    "batch_size",
)

#: Those of them whose default depends on the other parameters.
RESOLVED = ("batch_sampling", "lr")

#: How a head is trained, and at which rate where `lr` is None. Steps of SGD shrink as the samples
#: are fitted, so a layer keeps what it has learned; Adam's steps do not shrink.
TRAININGS = {"linear": ("sgd", 1e-2), "learnable_scales": ("adamw", 3e-2)}

#: Heads by name, and the parameters that each takes.
HEADS = {
    "linear": {"sampler", *HEAD_PARAMETERS},
    "learnable_scales": {"sampler", *HEAD_PARAMETERS},
    "tau_normalized": {"tau"},
}


def _head_has(method):
    """Return a function that tests whether the head, fitted or not, has a method."""

    def test(estimator):
        head = getattr(estimator, "head_", estimator.head)
        return isinstance(head, str) or hasattr(head, method)

    return test


class DecoupledClassifier(CallbackSupportMixin, ClassifierMixin, SavedToFile, BaseEstimator):
    r"""Train a network on the data as they are, then a new last layer on balanced embeddings.

    Imbalance hurts the last layer of a network far more than its features [1]_. Stage 1 fits
    `estimator` as it is. Stage 2 freezes it, embeds the images, resamples or re-weights the
    embeddings, and makes a new head. Stage 2 takes much less time than stage 1.

    Parameters
    ----------
    estimator : CNNClassifier, FrozenEstimator or None, default=None
        The network. None: ``CNNClassifier()``. A fitted estimator wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is, without stage 1.
    head : {"linear", "learnable_scales", "tau_normalized"} or classifier, default="linear"
        ``"linear"``: a linear layer (cRT). It starts from the last layer of stage 1, moved to the
        class prior of its own training, or at random where stage 1 has no such layer.
        ``"learnable_scales"``: the last layer of stage 1, with each logit multiplied by a trained
        number (LWS). ``"tau_normalized"``: the same layer with rows
        :math:`w_k / \lVert w_k \rVert^\tau` and without its bias; nothing is trained. It relies on
        norms that grow with the size of a class, as they do with ``optimizer="sgd"`` but not with
        Adam [2]_. Or any scikit-learn classifier, which then brings its own loss and weights.
    sampler : sampler, list of samplers or None, default=None
        Resamplers of the embeddings: SMOTE or any other resampler in the style of imbalanced-learn.
    loss : str, Loss or callable, default="cross_entropy"
        Loss of a trained head, as in `CNNClassifier`, such as ``"balanced_softmax"``.
    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        Class weights of a trained head, as in `CNNClassifier`.
    max_weight : float or None, default=None
        The largest weight that the samples of a class may have, as in `CNNClassifier`.
    reweight_after : float, default=0.0
        Fraction of the epochs of a trained head after which the class weights set in, as in
        `CNNClassifier`.
    batch_sampling : {"auto", "balanced", "sqrt", "progressive"}, float or None, default="auto"
        Fractions of the classes in the batches of a trained head, as in `CNNClassifier`.
        ``"auto"``: ``"balanced"``, as published, where neither `sampler` nor `class_weight` is
        given and `loss` does not correct for the class prior; otherwise None.
    tau : float, default=1.0
        How far ``"tau_normalized"`` makes the norms equal, from 0 (not at all) to 1 (fully).
    target_prior : {"train", "sqrt", "uniform"}, dict or None, default=None
        The class prior for which a trained head predicts, as in `CNNClassifier`. The prior of
        ``"tau_normalized"`` is not known and cannot be changed.
    lr : float or None, default=None
        Highest learning rate of a trained head; None: 1e-2 for ``"linear"``, which is trained by
        SGD with momentum, and 3e-2 for ``"learnable_scales"``, by AdamW.
    max_epochs : int or "auto", default="auto"
        Number of epochs of a trained head; ``"auto"``: by the rule of `training_length`.
    steps_per_epoch : int or None, default=None
        Gradient steps in an epoch of a trained head, as in `CNNClassifier`.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch of a trained head; ``"auto"``: by the same rule.
    random_state : int, RandomState instance or None, default=None
        Controls both stages, where `estimator`, `sampler` or `head` have no seed of their own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    estimator_ : CNNClassifier
        The fitted network.
    head_ : classifier
        The fitted head, which reads embeddings.
    n_features_in_ : int
        Number of values in an image, C * H * W.
    image_shape_ : tuple of int
        ``(C, H, W)``.

    References
    ----------
    .. [1] Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
       2020, arXiv:1910.09217.
    .. [2] Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, arXiv:2007.07314,
       appendix E.

    Examples
    --------
    >>> from sklearn.metrics import recall_score
    >>> from sklearn.model_selection import train_test_split
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import DecoupledClassifier
    >>> from skimb.over_sampling import SMOTE
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> clf = DecoupledClassifier(sampler=SMOTE(), random_state=0).fit(X, y)
    >>> recall_score(y_test, clf.predict(X_test)) > 0.8
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "embed"]), None],
        "head": [StrOptions(set(HEADS)), HasMethods(["fit", "predict"])],
        "sampler": [HasMethods("fit_resample"), list, tuple, None],
        "loss": [StrOptions(set(LOSSES)), callable],
        "class_weight": [StrOptions(set(SCHEMES)), dict, None],
        "max_weight": [Interval(Real, 1, None, closed="left"), None],
        "reweight_after": [Interval(Real, 0, 1, closed="left")],
        "batch_sampling": [
            StrOptions({"auto", "balanced", "sqrt", "progressive"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
        "tau": [Interval(Real, 0, 1, closed="both")],
        "target_prior": [StrOptions({"train", "sqrt", "uniform"}), dict, None],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        head: Any = "linear",
        sampler=None,
        loss: Any = "cross_entropy",
        class_weight=None,
        max_weight=None,
        reweight_after=0.0,
        batch_sampling: Any = "auto",
        tau=1.0,
        target_prior=None,
        lr=None,
        max_epochs: Any = "auto",
        steps_per_epoch=None,
        batch_size: Any = "auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.head = head
        self.sampler = sampler
        self.loss = loss
        self.class_weight = class_weight
        self.max_weight = max_weight
        self.reweight_after = reweight_after
        self.batch_sampling = batch_sampling
        self.tau = tau
        self.target_prior = target_prior
        self.lr = lr
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.random_state = random_state

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``loss__gamma`` and the like belong to a loss object.

        Parameters
        ----------
        **params
            New values.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a name is unknown, or belongs to a loss that is a string.
        """
        loss = params.get("loss", self.loss)
        refuse_parameters_of_a_string(params, loss, LOSSES, GRID_EXAMPLE)
        return super().set_params(**params)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **metadata: Any,
    ) -> Self:
        """Run both stages.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
            Images, uint8 or float.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Sample weights, used in both stages. With metadata routing, stage 1 gets what
            `estimator` requests.
        groups : array-like of shape (n,), default=None
            As in `CNNClassifier.fit`, for stage 1.
        **metadata
            With metadata routing, metadata under the names that `estimator` requests, as in
            ``estimator.set_fit_request(sample_weight="weight")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input does not fit. It is raised before any training step.
        """
        self.__dict__.pop("head_", None)
        check_handed_in(self)
        rng = check_random_state(self.random_state)
        given = {"sample_weight": sample_weight, "groups": groups}
        of_network = metadata_of_estimator(self, given, metadata)
        backbone = self._network()
        is_frozen = isinstance(backbone, FrozenEstimator)
        head = build_head(self, rng)
        weighs_rows = isinstance(self.head, str) or has_fit_parameter(head, "sample_weight")
        if sample_weight is not None and not weighs_rows:
            raise ValueError(
                f"{type(head).__name__} takes no `sample_weight`. Give another head, or fit "
                "without weights."
            )
        if is_frozen:
            backbone = backbone.estimator
            check_is_fitted(backbone)
        if is_regressor(backbone):
            raise ValueError(
                f"DecoupledClassifier retrains the head of a classifier. Got {backbone!r}. For a "
                "continuous target, make_pipeline(CNNEmbedder(estimator), head) with a regressor "
                "of your choice as the head."
            )
        # Validated here too, so that errors name this estimator.
        image_shape = backbone.image_shape_ if is_frozen else backbone.image_shape
        images, y = self._read(X, y, backbone, image_shape)
        X = checked_once(X, images)
        task = begin_fit(self, X, y, n_tasks=2 - is_frozen, sample_weight=sample_weight)
        if not is_frozen:
            backbone = seeded_clone(backbone, rng)
            with part_of_fit(task, "train the network", self, backbone, X=X, y=y):
                backbone.fit(X, y, **of_network)
        embedded = backbone.embed(X)
        self.estimator_ = backbone
        # These two are one step each.
        shown = None if self.head in ("linear", "tau_normalized") else head
        with part_of_fit(task, "train the head", self, shown, X=embedded, y=y):
            self._fit_head(head, embedded, y, sample_weight, rng)
        self._take_head(self.head_)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _read(self, X, y, backbone, image_shape):
        """Check images and labels as the network does, and keep what predictions check them by."""
        return fit_images(
            self,
            X,
            y,
            image_shape=image_shape,
            channels=backbone.channels,
            image_column=backbone.image_column,
            value_range=backbone.value_range,
        )

    def _take_head(self, head):
        """Become fitted with a fitted head."""
        if isinstance(head, CNNClassifier):
            # The network warns of images on another scale, so its head need not.
            head._levels = None
        self.head_, self.classes_ = head, head.classes_

    def _network(self):
        if self.estimator is None:
            return requesting(CNNClassifier(), "sample_weight", "groups")
        return self.estimator

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the head and the network request.

        The head is weighted by the requests of this estimator itself.

        Returns
        -------
        MetadataRouter
        """
        return router_of(self, self._network())

    def _fit_head(self, head, embedded, y, sample_weight, rng):
        """Fit the head on the embeddings of the network."""
        backbone = self.estimator_
        if self.head == "linear":
            start = starting_layer(backbone, y)
            self.head_ = fit_head(head, embedded, y, sample_weight, start)
        elif self.head == "learnable_scales":
            shape = embedded.shape[1], 1, 1
            head.set_params(module=ScaledLinear(*own_layer(backbone)), image_shape=shape)
            self.head_ = head.fit(embedded, y, sample_weight)
        elif self.head == "tau_normalized":
            self.head_ = head.take(own_layer(backbone)[0], backbone.classes_)
        else:
            self.head_ = self._fit_classifier(head, embedded, y, sample_weight, rng)

    def _fit_classifier(self, head, embedded, y, sample_weight, rng):
        """Fit a classifier of the user's on resampled embeddings."""
        if self.sampler is not None:
            weight = check_sample_weight(sample_weight, embedded, dtype=np.float64)
            embedded, y, weight = resample_training_part(self.sampler, embedded, y, weight, rng=rng)
            sample_weight = None if sample_weight is None else weight
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return head.fit(embedded, y, **weights)

    def _head_and_embedding(self, X):
        check_is_fitted(self)
        embedded, head = self._embedded(X), self.head_
        # `target_prior` may be set after `fit`, to a prior that the head does not support.
        refuse_foreign_parameters(self)
        if isinstance(head, CNNClassifier | VectorScalingHead):
            # As in CNNClassifier, a prior that is set after `fit` counts.
            head = copy.copy(head).set_params(target_prior=self.target_prior)
        return head, embedded

    def _embedded(self, X):
        images = check_images(self, X, channels=self.estimator_.channels)
        return self.estimator_.embed(checked_once(X, images))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n,)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict(embedded)

    @available_if(_head_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict_proba(embedded)

    @available_if(_head_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict_log_proba(embedded)

    @available_if(_head_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return log-probabilities, or their difference for two classes.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
        """
        head, embedded = self._head_and_embedding(X)
        return head.decision_function(embedded)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "head_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def fit_heads(models: list[Any], X: Any, y: ArrayLike) -> list[Any]:
    """Fit the linear heads of several two-stage classifiers of one frozen network, all together.

    Parameters
    ----------
    models : list of DecoupledClassifier
        Each holds the same ``FrozenEstimator`` of a network, has ``head="linear"``, and a seed.
    X : array-like
        Images, which are embedded once.
    y : ndarray of shape (n,)
        Labels.

    Returns
    -------
    list of DecoupledClassifier
        The same ones, fitted, each with the head that it would have alone.

    Raises
    ------
    ValueError
        If the training of a head fails, as it would alone.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, DecoupledClassifier
    >>> from skimb.neural_network.joint_training import fit_heads
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> network = FrozenEstimator(CNNClassifier(max_epochs=1, random_state=0).fit(X, y))
    >>> models = [
    ...     DecoupledClassifier(network, class_weight=weight, max_epochs=1, random_state=0)
    ...     for weight in ("sqrt", "balanced")
    ... ]
    >>> [model.predict(X).shape for model in fit_heads(models, X, y)]
    [(1704,), (1704,)]
    """
    if not models:
        return models
    network = models[0].estimator.estimator
    for model in models:
        images, labels = model._read(X, y, network, network.image_shape_)
    embedded, start = network.embed(checked_once(X, images)), starting_layer(network, labels)
    pending = []
    for model in models:
        head = build_head(model, check_random_state(model.random_state))
        pending.append(prepare_head(head, embedded, labels, None, start))
    for model, fit, net in zip(models, pending, train_together(pending), strict=True):
        if isinstance(net, Exception):
            raise net
        model.estimator_ = network
        model._take_head(fit.conclude(net, len(net.history) - 1))
    return models


def refuse_foreign_parameters(estimator):
    """Refuse parameters that the head does not have."""
    is_named = isinstance(estimator.head, str)
    own = HEADS[estimator.head] if is_named else {"sampler"}
    if isinstance(estimator.head, VectorScalingHead):
        own = {"sampler", "target_prior"}
    parameters = signature(type(estimator)).parameters
    for name in ("sampler", "tau", *HEAD_PARAMETERS):
        value, default = getattr(estimator, name), parameters[name].default
        if name in own or value is default or value == default:
            continue
        where = " or ".join(repr(head) for head in HEADS if name in HEADS[head])
        fix = "" if is_named else " Set it on the classifier that you gave."
        raise ValueError(
            f"`{name}` belongs to head={where}, and head={estimator.head!r} does not take it.{fix}"
        )


def build_head(estimator: Any, rng: np.random.RandomState) -> Any:
    """Build the head of a two-stage classifier.

    Parameters
    ----------
    estimator : DecoupledClassifier
        The classifier, with its parameters.
    rng : RandomState
        The source of its seed.

    Returns
    -------
    classifier

    Raises
    ------
    ValueError
        If a parameter belongs to another head.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import DecoupledClassifier
    >>> from skimb.neural_network.joint_training import build_head
    >>> build_head(DecoupledClassifier(lr=0.1), np.random.RandomState(0)).lr
    0.1
    """
    refuse_foreign_parameters(estimator)
    if not isinstance(estimator.head, str):
        return seeded_clone(estimator.head, rng)
    if estimator.head == "tau_normalized":
        return TauNormalizedHead(plain(estimator.tau))
    optimizer, lr = TRAININGS[estimator.head]
    return CNNClassifier(
        "linear",
        optimizer=optimizer,
        # The head reads embeddings as the network's own last layer does.
        standardize=None,
        sampler=estimator.sampler,
        batch_sampling=head_batch_sampling(estimator),
        # Embeddings are computed on the device of the network; a linear layer is fast on any
        # device.
        device="cpu",
        random_state=int(rng.randint(np.iinfo(np.int32).max)),
        lr=lr if estimator.lr is None else estimator.lr,
        **{name: getattr(estimator, name) for name in HEAD_PARAMETERS if name not in RESOLVED},
    )


def head_batch_sampling(estimator: Any) -> str | float | None:
    """Return the `batch_sampling` of a head, with ``"auto"`` resolved.

    Parameters
    ----------
    estimator : DecoupledClassifier
        The classifier, with its parameters.

    Returns
    -------
    str, float or None

    Examples
    --------
    >>> from skimb.neural_network import DecoupledClassifier
    >>> from skimb.neural_network.joint_training import head_batch_sampling
    >>> head_batch_sampling(DecoupledClassifier())
    'balanced'
    >>> head_batch_sampling(DecoupledClassifier(class_weight="balanced")) is None
    True
    """
    if estimator.batch_sampling != "auto":
        return estimator.batch_sampling
    loss = LOSSES[estimator.loss]() if isinstance(estimator.loss, str) else estimator.loss
    is_remedied = (
        estimator.sampler is not None
        or estimator.class_weight is not None
        or getattr(loss, "adjusts_prior", False)
    )
    return None if is_remedied else "balanced"
