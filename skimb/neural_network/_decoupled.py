"""DecoupledClassifier: learn the features as the data are, the classifier as they should be."""

import copy
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skimb._images import check_images, checked_once, fit_images
from skimb._params import HasMethods, Interval, StrOptions, check_sample_weight, fit_context
from skimb._resampling import seeded_clone
from skimb.class_weight import SCHEMES
from skimb.neural_network._classifier import LOSSES, CNNClassifier, refuse_parameters_of_a_string
from skimb.neural_network._resample import resample_training_part

__all__ = ["DecoupledClassifier"]


def _head_has(method):
    """Make the test whether the head, fitted or not, has a method."""

    def test(estimator):
        head = getattr(estimator, "head_", estimator.head)
        return head == "linear" or hasattr(head, method)

    return test


class DecoupledClassifier(ClassifierMixin, BaseEstimator):
    """Train a network as the data are, then its last layer anew on balanced embeddings.

    Imbalance hurts the last layer of a network far more than its features [1]_. Stage 1 fits
    `estimator` as it is; stage 2 freezes it, embeds the images, resamples or re-weights the
    embeddings, and trains a new head. Stage 2 takes a fraction of the time of stage 1.

    Parameters
    ----------
    estimator : CNNClassifier, FrozenEstimator or None, default=None
        The network. None: ``CNNClassifier()``. A fitted one wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is, without stage 1.
    head : "linear" or classifier, default="linear"
        ``"linear"``: a linear layer trained by `loss`. Or any scikit-learn classifier, which then
        brings its own loss and weights.
    sampler : sampler, list of samplers or None, default=None
        Resamplers of the embeddings: SMOTE and every other in the style of imbalanced-learn.
    loss : str, Loss or callable, default="cross_entropy"
        Loss of the linear head, as in `CNNClassifier`.
    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        Class weights of the linear head, as in `CNNClassifier`.
    target_prior : {"train", "uniform"}, dict or None, default=None
        The class prior that the linear head speaks for, as in `CNNClassifier`.
    lr : float, default=3e-2
        Highest learning rate of the linear head.
    max_epochs : int, default=30
        Epochs of the linear head.
    random_state : int, RandomState instance or None, default=None
        Drives both stages, where `estimator`, `sampler` or `head` have no seed of their own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    estimator_ : CNNClassifier
        The fitted network.
    head_ : classifier
        The fitted head; it reads embeddings.
    n_features_in_ : int
        Values in an image, C * H * W.
    image_shape_ : tuple of int
        ``(C, H, W)``.

    References
    ----------
    .. [1] Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
       2020, arXiv:1910.09217.

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
        "head": [StrOptions({"linear"}), HasMethods(["fit", "predict"])],
        "sampler": [HasMethods("fit_resample"), list, tuple, None],
        "loss": [StrOptions(set(LOSSES)), callable],
        "class_weight": [StrOptions(set(SCHEMES)), dict, None],
        "target_prior": [StrOptions({"train", "uniform"}), dict, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
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
        target_prior=None,
        lr=3e-2,
        max_epochs=30,
        random_state=None,
    ):
        self.estimator = estimator
        self.head = head
        self.sampler = sampler
        self.loss = loss
        self.class_weight = class_weight
        self.target_prior = target_prior
        self.lr = lr
        self.max_epochs = max_epochs
        self.random_state = random_state

    def set_params(self, **params):
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
        refuse_parameters_of_a_string(params, params.get("loss", self.loss))
        return super().set_params(**params)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Run both stages.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
            Images, uint8 or float.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Row weights, of both stages.
        groups : array-like of shape (n,), default=None
            As in `CNNClassifier.fit`, for stage 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input does not fit; before any training step.
        """
        self.__dict__.pop("head_", None)
        rng = check_random_state(self.random_state)
        backbone = CNNClassifier() if self.estimator is None else self.estimator
        is_frozen = isinstance(backbone, FrozenEstimator)
        head = self._build_head(rng)
        if is_frozen:
            backbone = backbone.estimator
            check_is_fitted(backbone)
        # Validated here too, so that errors name this estimator.
        image_shape = backbone.image_shape_ if is_frozen else backbone.image_shape
        images, y = fit_images(self, X, y, image_shape=image_shape, channels=backbone.channels)
        X = checked_once(X, images)
        if not is_frozen:
            backbone = seeded_clone(backbone, rng).fit(X, y, sample_weight, groups)
        embedded = backbone.embed(X)
        self.estimator_ = backbone
        if isinstance(head, CNNClassifier):
            # One channel a feature: each is standardised on its own.
            head.set_params(image_shape=(embedded.shape[1], 1, 1))
        elif self.sampler is not None:
            classes, target = np.unique(y, return_inverse=True)
            weight = check_sample_weight(sample_weight, embedded, dtype=np.float64)
            embedded, target, weight = resample_training_part(
                self.sampler, embedded, target, weight, classes=classes, rng=rng
            )
            y, sample_weight = classes[target], None if sample_weight is None else weight
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.head_ = head.fit(embedded, y, **weights)
        self.classes_ = self.head_.classes_
        return self

    def _build_head(self, rng):
        if self.head != "linear":
            defaults = signature(type(self)).parameters
            for name in ("loss", "class_weight", "target_prior", "lr", "max_epochs"):
                if getattr(self, name) != defaults[name].default:
                    raise ValueError(
                        f"`{name}` belongs to head='linear'. Set it on the head that you gave, "
                        f"{type(self.head).__name__}."
                    )
            return seeded_clone(self.head, rng)
        return CNNClassifier(
            "linear",
            loss=self.loss,
            class_weight=self.class_weight,
            sampler=self.sampler,
            target_prior=self.target_prior,
            lr=self.lr,
            max_epochs=self.max_epochs,
            # An embedding is made where the network lies; a linear layer is quick anywhere.
            device="cpu",
            random_state=int(rng.randint(np.iinfo(np.int32).max)),
        )

    def _head_and_embedding(self, X):
        check_is_fitted(self)
        images = check_images(self, X, channels=self.estimator_.channels)
        head = self.head_
        if isinstance(head, CNNClassifier):
            # As in CNNClassifier, a prior that is set after fit counts.
            head = copy.copy(head).set_params(target_prior=self.target_prior)
        return head, self.estimator_.embed(checked_once(X, images))

    def predict(self, X):
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n,)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict(embedded)

    @available_if(_head_has("predict_proba"))
    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict_proba(embedded)

    @available_if(_head_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        head, embedded = self._head_and_embedding(X)
        return head.predict_log_proba(embedded)

    @available_if(_head_has("decision_function"))
    def decision_function(self, X):
        """Return log-probabilities; for two classes their difference.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

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
