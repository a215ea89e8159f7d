"""CNNClassifier: a plain scikit-learn classifier that holds a skorch net."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from skimb._params import Interval, StrOptions
from skimb.class_weight import SCHEMES
from skimb.losses import (
    AsymmetricLoss,
    BalancedSoftmaxLoss,
    CrossEntropyLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    PolyLoss,
    VectorScalingLoss,
)
from skimb.neural_network._class_target import ClassTarget, Posterior
from skimb.neural_network._cnn import BaseCNN

__all__ = ["GRID_EXAMPLE", "LOSSES", "CNNClassifier"]

LOSSES = {
    "cross_entropy": CrossEntropyLoss,
    "focal": FocalLoss,
    "asymmetric": AsymmetricLoss,
    "ldam": LDAMLoss,
    "logit_adjusted": LogitAdjustedLoss,
    "balanced_softmax": BalancedSoftmaxLoss,
    "vector_scaling": VectorScalingLoss,
    "poly": PolyLoss,
}
#: How parameters of a loss are searched.
GRID_EXAMPLE = "[{'loss': ['cross_entropy']}, {'loss': [FocalLoss()], 'loss__gamma': [0, 1, 2, 5]}]"


class CNNClassifier(ClassifierMixin, BaseCNN):
    r"""Classify images with a convolutional network, with remedies for imbalance as parameters.

    A scikit-learn classifier in every respect: `loss`, `class_weight`, `batch_sampling` and
    `sampler` are hyperparameters that `GridSearchCV` can search. It trains on the GPU where there
    is one.

    Parameters
    ----------
    module : str, nn.Module or callable, default="simple_cnn"
        The network: ``"simple_cnn"``, ``"resnet"``, ``"vgg"`` (see `SimpleCNN`, `ResNet`, `VGG`);
        ``"linear"``, one linear layer on the pixels, the floor that a network should beat; a class
        or callable, called as ``module(in_channels, n_outputs)``; or an instance, which is copied
        and whose weights are the start, such as `pretrained` makes, which gets a linear layer on
        top. It gives one logit a class (two for two classes).
    loss : str, Loss or callable, default="cross_entropy"
        ``"cross_entropy"``, ``"focal"``, ``"asymmetric"``, ``"ldam"``, ``"logit_adjusted"``,
        ``"balanced_softmax"``, ``"vector_scaling"``, ``"poly"``: short for an object of
        `skimb.losses` with its defaults. Such an object, whose parameters can be searched as
        ``loss__gamma``. Or any callable ``(logits, target)``; one that returns a scalar cannot be
        weighted. ``"ldam"`` reads cosines: a network of your own must end in `CosineLinear`.
    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        A scheme of `skimb.class_weight.compute_class_weight`, or a weight by label. Schemes count
        the training rows after `sampler`, before `batch_sampling`. Weights, those of rows
        included, are rescaled to mean 1 over the training part: `lr` means the same whatever the
        weights.
    max_weight : float or None, default=None
        What the rows of a class may weigh at most, where the average row weighs 1; at least 1. The
        other classes are raised in proportion.
    reweight_after : float, default=0.0
        Share of the epochs, in [0, 1), after which `class_weight` and what a loss takes from class
        counts (margins, adjustments) set in; until then, all classes count alike [2]_.
    batch_sampling : {"balanced", "sqrt", "progressive"}, float or None, default=None
        Shares of the classes in each batch: None as they are; ``"balanced"`` equal; ``"sqrt"`` by
        the square roots of the counts; a float in [0, 1] between None and balanced;
        ``"progressive"`` from None in the first epoch to balanced in the last [1]_. Each batch
        holds exact quotas.
    sampler : sampler, list of samplers or None, default=None
        Resamplers in the style of imbalanced-learn, applied to the training part only, after a
        validation part has been held out. Sample weights follow the rows.
    augmentation : str, callable, list of these, or None, default="shift_crop"
        Changes the images of each training batch at random, after `sampler` and on the device:
        repeated samples differ. ``"shift_crop"`` is short for ``FlipCrop(flip=False,
        margin=0.0625)``: images are shifted by at most a sixteenth of their side, and never
        mirrored, as left and right may differ in meaning; images of a single line or column,
        which rows of a table become, stay as they are. ``"flip_crop"``, ``"mixup"``, ``"cutmix"``
        and ``"remix"`` are short for ``FlipCrop()``, after which predictions are averaged over an
        image and its mirror image, and `Mixup`, `CutMix`, `Remix`, which mix rows and their labels
        and come last in a list. None: images are trained on as they are. A callable (kornia's
        containers, say) gets float32 images (n, C, H, W), with values in [0, 1] where X is uint8
        or `value_range` is given, and returns as many of that shape; torch's generator is seeded
        while it runs.
    target_prior : {"train", "uniform"}, dict or None, default=None
        The class prior that `predict_proba`, `decision_function` and `predict` speak for. None:
        the decision that the training aimed at, so that weights and samplers keep their effect.
        ``"train"``: the prior of y, which undoes that effect. ``"uniform"`` or a dict by label:
        another prior. May be set after `fit` too, without training anew. Exact, whatever weights
        and samplers, for cross-entropy, focal, Poly-1, LDAM, logit-adjusted and vector-scaling
        losses; near with label smoothing, mixed rows and asymmetric focusing, which want
        `calibration`, and with progressive batches, whose last epoch counts.
    calibration : {"temperature"} or None, default=None
        ``"temperature"``: hold out a validation part, and divide the logits by the number that
        makes its labels most probable [3]_. The most probable class stays where `target_prior` is
        None.
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        A name, or ``optimizer(params, lr=..., weight_decay=...)`` returning a torch optimiser.
        Biases and the parameters of norms do not decay.
    lr : float, default=1e-3
        The highest learning rate.
    weight_decay : float, default=1e-2
        Weight decay.
    lr_schedule : {"one_cycle", "cosine", "plateau", "constant"} or callable, default="one_cycle"
        ``"one_cycle"`` and ``"cosine"`` end at zero with the last epoch. As early stopping leaves
        that epoch open, ``"one_cycle"`` becomes ``"plateau"`` there: a constant rate, halved when
        the loss has not fallen for more than two epochs. A callable makes a torch scheduler of an
        optimiser, such as ``functools.partial(StepLR, step_size=5)``, which steps once an epoch.
    lr_decay : float or None, default=None
        Layer-wise learning rates, to tune a trained network gently: that of each layer is that of
        the layer above it times this number, in (0, 1] [4]_. Layers are the elements of the
        outermost containers of the network (its blocks), or its modules.
    freeze : {"features", "gradual"}, int, list of str or None, default=None
        ``"features"``: only the last linear layer trains. A number: so many layers do not, counted
        from the image. ``"gradual"``: the last one trains alone at first, and one layer after
        another joins from above, all by the middle of the training [5]_. Frozen norms keep what
        they remember, and frozen layers drop nothing out. A list: patterns of the names of
        parameters, such as ``["features.stem.*"]``, which do not train.
    max_grad_norm : float or None, default=1.0
        Gradients are clipped at this norm; None: not at all.
    max_epochs : int or "auto", default="auto"
        Epochs. ``"auto"``: 20, or as many as make 1000 gradient steps, whichever is more; see
        `training_length`.
    steps_per_epoch : int or None, default=None
        Gradient steps an epoch. None: as many as it takes to see as many samples as there are. A
        number makes trainings comparable whose samplers change the number of samples.
    batch_size : int or "auto", default="auto"
        Samples in a batch at most. ``"auto"``: between 16 and 128, smaller for small sets, by the
        same rule. Batches of an epoch are of equal size up to one sample.
    early_stopping : bool or "refit", default=False
        Hold out a validation part, stop when its score no longer improves, and restore the best
        weights. ``"refit"``: then train again on all samples, for the epochs that were found best
        and at the same rates; `history_` and `validation_indices_` are those of the first training.
    validation_fraction : float, default=0.1
        Fraction of each class that is held out; at least 5 samples of a class where these are not
        more than a quarter of it.
    scoring : str, callable or None, default=None
        What early stopping watches. None: the loss of the validation part, in which the classes
        count as in the training, weights, samplers and batches included. Or a scikit-learn scorer
        such as ``"balanced_accuracy"``, which few held-out samples make jump.
    n_iter_no_change : int, default=5
        Epochs without improvement before training stops; an epoch of fewer than 50 gradient steps
        counts for its part of 50.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: what the rows of a 2-D X unfold to (None: images of one line), and what
        image files are resized to (None: all must have one size).
    channels : {"first", "last"} or None, default=None
        Where the channels of a 4-D X stand, when its shape leaves that open.
    value_range : "auto" or tuple, default="auto"
        ``(low, high)``, such as (0, 4095) for 12 bits in a file of 16: the values that pixels may
        have. What lies outside is refused, files by name, in `fit` and later; and it is the scale
        on which an augmentation and a module of `pretrained` get values in [0, 1]. ``"auto"``:
        any values; [0, 255] is that scale where X is uint8. Files of more than 8 bits a channel
        keep their values, and later ones beyond the range of those that `fit` saw are told of by a
        warning.
    standardize : "auto", None or tuple, default="auto"
        ``"auto"``: by the mean and standard deviation of each channel over the training part; a
        module of `pretrained` gets values in [0, 1], which it standardises by its own.
        None: pixels as they are. ``(mean, sd)``: given numbers, one or one a channel.
    module_params : dict or None, default=None
        Further keyword arguments of `module`, where it is a class or callable. In grids and in
        `set_params`, ``module__width`` is an entry of it.
    optimizer_params : dict or None, default=None
        Further options of `optimizer`, such as ``{"betas": (0.9, 0.95)}``; ``optimizer__betas`` is
        an entry of it.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    num_workers : int, default=0
        Processes that decode image files ahead of the training. It acts where X holds paths.
    net_callbacks : list of skorch callbacks or None, default=None
        Called during `fit` with skorch's hooks: `EpochScoring`, `Checkpoint`, `ProgressBar`,
        loggers. An entry may be a pair ``(name, callback)``. The objects themselves are used, so
        that what they have found can be read from them, and `net_` keeps them. Callbacks that act
        on batches make a training wait for the device at each step.
    random_state : int, RandomState instance or None, default=None
        Drives initialisation, order, dropout, the validation part and inner samplers. With an int,
        results on the CPU are equal to the bit in any process.
    verbose : int, default=0
        1: print a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    class_count_ : ndarray of shape (n_classes,)
        Rows of each class in y, those of weight zero left out.
    class_weight_ : ndarray of shape (n_classes,)
        Class weights before rescaling.
    effective_prior_ : ndarray of shape (n_classes,)
        The class prior that the batches showed, weights included, in the epoch whose weights are
        kept.
    n_features_in_ : int
        Values in an image, C * H * W.
    feature_names_in_ : ndarray of str
        Only where X is a frame with string column names.
    image_shape_ : tuple of int
        ``(C, H, W)``.
    value_range_ : tuple of float
        The least and the largest value of a pixel: as given, or (0, 255) for uint8, or those of X.
    net_ : skorch.NeuralNet
        The trained net. ``net_.predict_proba``, ``predict``, ``score`` and ``partial_fit`` take
        data in the form of `fit`; ``history`` and ``save_params`` are skorch's. The state of the
        optimiser is dropped, so ``partial_fit`` begins with a new one.
    module_ : nn.Module
        The trained network.
    loss_ : callable
        The loss that trained it, one value a row.
    history_ : list of dict
        One an epoch: ``train_loss``, ``lr``, ``seconds``; with a validation part also
        ``valid_loss``, ``valid_balanced_accuracy``, ``valid_score``, and in the order of
        `classes_` ``valid_precision``, ``valid_recall``, ``valid_f1``,
        ``valid_confusion_matrix``.
    n_iter_ : int
        Epochs that were run.
    validation_indices_ : ndarray of int
        Rows of X that were held out.
    temperature_ : float
        What logits are divided by where `target_prior` is set; 1.0 without `calibration`.
    decision_temperature_ : float
        The same where it is None; another number only where a loss decides by other logits than
        those of its posterior.

    Notes
    -----
    Rows equal byte for byte, and rows of one group, never stand on both sides of the validation
    split; a class that cannot be split so stays in the training part, with a warning. Rows that
    were interpolated or augmented before `fit` cannot be recognised in a plain array: give the
    resampler as `sampler` instead of putting it before this estimator, or let it return its rows
    with ``lazy=True``. Then only originals are held out, and rows made of them are left out.

    Images on another scale than those of the training (values in [0, 1] where it had [0, 255]) are
    told of by a warning at prediction: their mean lies more than the whole range of the training
    images beyond that, or half of them reach ten times as far beyond; or they span less than a
    tenth of it, flatter by far than the training images are. Of an array a sample is looked at.

    References
    ----------
    .. [1] Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
       2020, arXiv:1910.09217.
    .. [2] Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
       NeurIPS 2019, arXiv:1906.07413.
    .. [3] Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.
    .. [4] Bao et al., BEiT: BERT Pre-Training of Image Transformers, ICLR 2022, arXiv:2106.08254.
    .. [5] Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018,
       arXiv:1801.06146.

    Examples
    --------
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> from sklearn.model_selection import train_test_split
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> clf = CNNClassifier(loss="focal", class_weight="balanced", random_state=0).fit(X, y)
    >>> balanced_accuracy_score(y_test, clf.predict(X_test)) > 0.8
    True
    """

    _named_losses = LOSSES
    _grid_example = GRID_EXAMPLE

    _parameter_constraints: dict = {
        **BaseCNN._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), callable],
        "class_weight": [StrOptions(set(SCHEMES)), dict, None],
        "max_weight": [Interval(Real, 1, None, closed="left"), None],
        "batch_sampling": [
            StrOptions({"balanced", "sqrt", "progressive"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
        "target_prior": [StrOptions({"train", "uniform"}), dict, None],
        "calibration": [StrOptions({"temperature"}), None],
    }

    def __init__(
        self,
        module: Any = "simple_cnn",
        *,
        loss: Any = "cross_entropy",
        class_weight=None,
        max_weight=None,
        reweight_after=0.0,
        batch_sampling=None,
        sampler=None,
        augmentation: Any = "shift_crop",
        target_prior=None,
        calibration=None,
        optimizer: Any = "adamw",
        lr=1e-3,
        weight_decay=1e-2,
        lr_schedule="one_cycle",
        lr_decay=None,
        freeze: Any = None,
        max_grad_norm=1.0,
        max_epochs: Any = "auto",
        steps_per_epoch=None,
        batch_size: Any = "auto",
        early_stopping: Any = False,
        validation_fraction=0.1,
        scoring: Any = None,
        n_iter_no_change=5,
        image_shape=None,
        channels=None,
        value_range: Any = "auto",
        standardize: Any = "auto",
        module_params=None,
        optimizer_params=None,
        device: Any = "auto",
        num_workers=0,
        net_callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.module = module
        self.loss = loss
        self.class_weight = class_weight
        self.max_weight = max_weight
        self.reweight_after = reweight_after
        self.batch_sampling = batch_sampling
        self.sampler = sampler
        self.augmentation = augmentation
        self.target_prior = target_prior
        self.calibration = calibration
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.lr_decay = lr_decay
        self.freeze = freeze
        self.max_grad_norm = max_grad_norm
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.image_shape = image_shape
        self.channels = channels
        self.value_range = value_range
        self.standardize = standardize
        self.module_params = module_params
        self.optimizer_params = optimizer_params
        self.device = device
        self.num_workers = num_workers
        self.net_callbacks = net_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _make_target(self, parameters):
        return ClassTarget(parameters)

    # ---------------------------------------------------------------------- prediction

    def _log_posterior(self, logits):
        """Turn logits into log-probabilities, float64 of shape (n, n_classes)."""
        posterior = Posterior(
            self.classes_,
            self.class_count_,
            self.loss_,
            self.effective_prior_,
            temperature=self.temperature_,
            decision_temperature=self.decision_temperature_,
        )
        # `target_prior` may have been set after `fit`.
        return posterior.log(logits, posterior.resolve_prior(self.target_prior, self.calibration))

    def predict_log_proba(self, X):
        """Return the logarithms of `predict_proba`, finite where those round to zero.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
        """
        dataset = self._dataset(X)
        return self._log_posterior(self.net_.logits(dataset))

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            In the order of `classes_`, for the prior that `target_prior` names.
        """
        return np.exp(self.predict_log_proba(X))

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
        log_proba = self.predict_log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

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
        log_proba = self.predict_log_proba(X)
        return self.classes_[log_proba.argmax(axis=1)]
