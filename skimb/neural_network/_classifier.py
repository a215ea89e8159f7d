"""CNNClassifier: a scikit-learn classifier that holds a skorch net."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from skimb._class_prior import raising_unknown_prior
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
from skimb.neural_network._class_means import check_class_means, start_from_class_means
from skimb.neural_network._class_target import ClassTarget
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._incremental import fit_part
from skimb.neural_network._posterior import Posterior

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
    r"""Classify images with a convolutional network, with methods for imbalance as parameters.

    A scikit-learn classifier in every respect: `loss`, `class_weight`, `batch_sampling` and
    `sampler` are hyperparameters that `GridSearchCV` can search. It trains on the GPU where there
    is one.

    Parameters
    ----------
    module : str, nn.Module or callable, default="simple_cnn"
        The network: ``"simple_cnn"``, ``"resnet"``, ``"vgg"`` (see `SimpleCNN`, `ResNet`, `VGG`);
        ``"linear"``, one linear layer on the pixels, the baseline that a network should beat; a
        class or callable, called as ``module(in_channels, n_outputs)``; or an instance, which is
        copied and whose weights are the starting point. An instance made by `pretrained` gets a
        linear layer on top. The network gives one logit per class (two for two classes).
    loss : str, Loss or callable, default="cross_entropy"
        ``"cross_entropy"``, ``"focal"``, ``"asymmetric"``, ``"ldam"``, ``"logit_adjusted"``,
        ``"balanced_softmax"``, ``"vector_scaling"``, ``"poly"``: each is short for an object of
        `skimb.losses` with its defaults. Or such an object, whose parameters can be searched as
        ``loss__gamma``. Or any callable ``(logits, target)``; if it returns a scalar, samples
        cannot be weighted. ``"ldam"`` reads cosines: a network of your own must end in
        `CosineLinear`.
    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        A scheme of `skimb.class_weight.compute_class_weight`, or a dict with a weight for each
        label. Schemes count the training samples after `sampler` and before `batch_sampling`. All
        weights, sample weights included, are rescaled to mean 1 over the training part, so `lr`
        means the same whatever the weights.
    max_weight : float or None, default=None
        The largest weight that the samples of a class may have, where the average sample has weight
        1; at least 1. The weights of the other classes are raised in proportion.
    reweight_after : float, default=0.0
        Fraction of the epochs, in [0, 1), after which `class_weight` and the terms that a loss
        takes from class counts (margins, adjustments) set in (deferred re-weighting). Until then,
        all classes count equally [2]_.
    batch_sampling : {"balanced", "sqrt", "progressive"}, float or None, default=None
        Fractions of the classes in each batch. None: those of the training part; ``"balanced"``:
        equal fractions; ``"sqrt"``: in proportion to the square roots of the counts; a float in
        [0, 1]: between None and balanced; ``"progressive"``: from None in the first epoch to
        balanced in the last [1]_. Each batch holds exact quotas.
    sampler : sampler, list of samplers or None, default=None
        Resamplers in the style of imbalanced-learn, applied to the training part only, after a
        validation part has been held out. Sample weights follow the samples.
    augmentation : str, callable, list of these, or None, default="shift_crop"
        Random changes of the images of each training batch, made after `sampler` and on the device,
        so that repeated samples differ. ``"shift_crop"`` is short for ``FlipCrop(flip=False,
        margin=0.0625)``: images are shifted by at most a sixteenth of their side, and never
        mirrored, as left and right may differ in meaning; images of a single line or column, such
        as the rows of a table become, stay as they are. ``"flip_crop"``, ``"mixup"``, ``"cutmix"``
        and ``"remix"`` are short for ``FlipCrop()``, with which predictions are averaged over an
        image and its mirror image (test-time augmentation), and for `Mixup`, `CutMix` and `Remix`,
        which mix samples and their labels and come last in a list. None: images are not changed. A
        callable (kornia's containers, say) gets float32 images (n, C, H, W), with values in [0, 1]
        where X is uint8 or `value_range` is given, and must return as many images of that shape;
        torch's generator is seeded while it runs.
    target_prior : {"train", "sqrt", "uniform"}, dict or None, default=None
        The class prior for which `predict_proba`, `decision_function` and `predict` are computed.
        None: the decision that the training aimed at, so that weights and samplers keep their
        effect. ``"train"``: the prior of y, which undoes that effect. ``"uniform"`` or a dict by
        label: another prior. ``"sqrt"``: the square roots of the fractions in y, between the two.
        It may also be set after `fit`, without a new training. The correction
        is exact for cross-entropy, with or without label smoothing, focal, Poly-1, LDAM,
        logit-adjusted and vector-scaling losses, whatever the weights and samplers. It is
        approximate with augmentations that mix samples and with the asymmetric loss (set
        `calibration` with these), and with progressive batch sampling, where the class fractions of
        the epoch whose weights are kept are used.
    calibration : {"temperature", "bias_corrected"} or None, default=None
        ``"temperature"``: hold out a validation part, and divide the logits by the number that
        makes its labels most probable [3]_. The predicted class does not change where
        `target_prior` is None. ``"bias_corrected"``: also add a number per class to the logits
        [6]_, which may change the predicted class. Class weights and samplers are already known
        to `target_prior`, for which the held-out classes are weighted; so a bias corrects what is
        left of a wrong class prior, such as a minority class that was learned by heart because it
        was drawn often. Biases of classes with few held-out samples are shrunk towards zero, and
        that of a class without any is zero. They hold for every `target_prior`.
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        A name, or a callable ``optimizer(params, lr=..., weight_decay=...)`` that returns a torch
        optimiser. Weight decay is not applied to biases and to the parameters of normalisation
        layers.
    lr : float, default=1e-3
        The highest learning rate.
    weight_decay : float, default=1e-2
        Weight decay.
    lr_schedule : {"one_cycle", "cosine", "plateau", "constant"} or callable, default="one_cycle"
        ``"one_cycle"`` and ``"cosine"`` end at zero with the last epoch. With early stopping the
        last epoch is not known in advance, so ``"one_cycle"`` becomes ``"plateau"``: a constant
        rate, halved when the loss has not fallen for more than two epochs. A callable takes an
        optimiser and returns a torch scheduler, which steps once per epoch; for example
        ``functools.partial(StepLR, step_size=5)``.
    lr_decay : float or None, default=None
        Layer-wise learning rates, to fine-tune a pretrained network: the rate of each layer is the
        rate of the layer above it times this number, in (0, 1] [4]_. Layers are the elements of the
        outermost containers of the network (its blocks), or its modules.
    freeze : {"features", "gradual"}, int, list of str or None, default=None
        ``"features"``: only the last linear layer trains. A number: this many layers do not train,
        counted from the image. ``"gradual"``: only the last layer trains at first, and the layers
        below join one after another, all of them by the middle of the training [5]_. Frozen
        normalisation layers keep their statistics, and dropout is off in frozen layers. A list:
        patterns of the names of the parameters that do not train, such as ``["features.stem.*"]``.
    head_init : {"random", "class_means"}, default="random"
        The weights with which the last layer of a module of `pretrained` or `low_rank` starts.
        ``"class_means"``: those with which an image belongs to the class whose mean embedding, over
        the training part, is the nearest, in the scale of probabilities. So the first steps need
        not find what the class means tell already, and classes of few samples are told apart from
        the beginning, as with the prototypes of [7]_. Of more than 10,000 samples, at most an equal
        number of each class is embedded. The layer of ``"ldam"`` starts from the class means of
        embeddings of length one.
    max_grad_norm : float or None, default=1.0
        Gradients are clipped at this norm; None: they are not clipped.
    max_epochs : int or "auto", default="auto"
        Number of epochs. ``"auto"``: 20, or as many as make 1000 gradient steps, whichever is more;
        see `training_length`.
    steps_per_epoch : int or None, default=None
        Gradient steps in an epoch. None: as many as it takes to see as many samples as there are.
        With a number, trainings whose samplers change the number of samples stay comparable.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch. ``"auto"``: between 16 and 128, smaller for small data
        sets; see `training_length`. The sizes of the batches of an epoch differ by at most one
        sample.
    early_stopping : bool or "refit", default=False
        Hold out a validation part, stop when its score no longer improves, and restore the best
        weights. ``"refit"``: afterwards, train again on all samples, for the number of epochs that
        was found best and at the same learning rates; `history_` and `validation_indices_` are
        those of the first training.
    validation_fraction : float, default=0.1
        Fraction of each class that is held out; at least 5 samples of each class, where 5 samples
        are not more than a quarter of it.
    scoring : str, callable or None, default=None
        The score that early stopping watches. None: the loss of the validation part, in which the
        classes count as in the training, with the effect of weights, samplers and batches. Or a
        scikit-learn scorer such as ``"balanced_accuracy"``, which is noisy where few samples are
        held out.
    n_iter_no_change : int, default=5
        Epochs without improvement before training stops; an epoch of fewer than 50 gradient steps
        counts as a fraction of an epoch, its steps divided by 50.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: the shape into which the rows of a 2-D X are unfolded (None: images of one
        line), and to which image files and images of Pillow are resized (None: in ``fit`` all of
        them must have the same size). After ``fit``, files and images of Pillow of any size are
        resized to ``image_shape_``, without a warning and also with None; arrays of another height
        or width are refused.
    channels : {"first", "last"} or None, default=None
        The position of the channels of a 4-D X, needed where its shape leaves it open.
    image_column : str, list of str or None, default=None
        X is a frame of pandas or polars, and its images are in this column: paths of files, or
        arrays. All other columns join the image before the last layer of the network: strings,
        categories and booleans are categorical and get a learned embedding, other numbers are
        standardised. Where a number is missing, it becomes the mean, with an indicator for each
        column in which this happens in the training. A missing category is a category of its own,
        and a category that the training did not see has an embedding of zeros. Dates are refused. A
        list: several images a sample, in these columns; they share one network, which must read
        images of one shape.
    image_pooling : {"mean", "concat"}, default="mean"
        How the embeddings of several images of a sample join: their mean, or one after the other.
    table_width : int, default=64
        Number of units of each layer on the columns beside the images.
    table_depth : int, default=1
        Number of layers on these columns, each with ReLU; 0: the columns reach the last layer as
        they are.
    table_dropout : float, default=0.0
        Dropout after each of these layers, in [0, 1).
    table_embedding : int or "auto", default="auto"
        Length of the embedding of each categorical column. ``"auto"``: it grows with the number of
        categories k as 1.6 k^0.56, as in fastai.
    value_range : "auto" or tuple, default="auto"
        ``(low, high)``, such as (0, 4095) for 12 bits in a file of 16: the values that pixels may
        have. Values outside are refused in `fit` and later, and files that hold them are named.
        Augmentations and modules of `pretrained` get pixels rescaled from this range to [0, 1].
        ``"auto"``: any values are allowed, and the range is [0, 255] where X is uint8. Files of
        more than 8 bits per channel keep their values; at prediction a warning is given if files
        have values beyond the range that `fit` saw.
    standardize : "auto", None or tuple, default="auto"
        ``"auto"``: pixels are standardised by the mean and standard deviation of each channel over
        the training part; a module of `pretrained` gets values in [0, 1], which it standardises by
        its own mean and standard deviation. None: pixels stay as they are. ``(mean, sd)``: these
        numbers are used, each a single number or one per channel.
    module_params : dict or None, default=None
        Further keyword arguments of `module`, where it is a class or callable. In grids and in
        `set_params`, ``module__width`` is an entry of it.
    optimizer_params : dict or None, default=None
        Further options of `optimizer`, such as ``{"betas": (0.9, 0.95)}``; ``optimizer__betas`` is
        an entry of it.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    precision : {"auto", "bfloat16", "float32"}, default="auto"
        In which type the layers of the training steps compute, where ``torch.autocast`` allows it;
        weights, losses and predictions stay in float32. ``"auto"``: bfloat16 on a CUDA device that
        has it and on which the steps run as CUDA graphs (docs/guide/gpu.md); otherwise float32. On
        a CPU with hardware for bfloat16, training in it is faster (docs/guide/speed.md).
    compile : bool, default=False
        Whether ``torch.compile`` compiles the network for the training steps. The first steps take
        a minute or more then, and results differ by rounding. On a CPU it needs a C++ compiler.
    num_workers : int, default=0
        Number of processes that decode image files ahead of the training. It has an effect only
        where X holds paths.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit` or `partial_fit`. X must hold
        images of the same shape, and y the same classes. The standardisation of the pixels stays
        unless `standardize` gives it, because the weights belong to it; all else, such as the
        optimiser, the schedule and `history_`, begins again. `module` and `module_params` are not
        read then.
    checkpoint : str or path-like or None, default=None
        A folder, which is made if it is missing. `fit` writes the whole state of the training to a
        file in it after each epoch, and removes the file when it ends well. If the process is
        killed, a later `fit` with equal data, parameters and an equal int as `random_state` goes on
        after the last epoch, to the same result to the bit; image files count as equal
        by path, size and time. A damaged file is not used, with a warning. Callbacks of
        `net_callbacks` go on with the values of their attributes, or with what their methods
        ``state_dict`` and ``load_state_dict`` say; others are refused. ``early_stopping="refit"``
        has a file for each of its two trainings. `partial_fit` writes none.
    net_callbacks : list of skorch callbacks or None, default=None
        They are called during `fit` with skorch's hooks: `EpochScoring`, `Checkpoint`,
        `ProgressBar`, loggers. An entry may be a pair ``(name, callback)``. The objects themselves
        are used, not copies, so their results can be read from them, and `net_` keeps them. With
        callbacks the training waits for the device at each step. They see the first training of
        ``early_stopping="refit"``, not the second. Callbacks of scikit-learn, such as its
        `ProgressBar` and `ScoringMonitor`, are given to `set_callbacks` instead.
    random_state : int, RandomState instance or None, default=None
        Controls initialisation, order, dropout, the validation part and inner samplers. With an
        int, results are bitwise equal in any process, on the CPU and on a CUDA device of one kind
        with one version of torch.
    verbose : int, default=0
        1: print a table with one line per epoch: its number, the losses and scores, the learning
        rate, the seconds it took, and the time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    class_count_ : ndarray of shape (n_classes,)
        Number of samples of each class in y, without those of weight zero.
    class_weight_ : ndarray of shape (n_classes,)
        Class weights before rescaling.
    effective_prior_ : ndarray of shape (n_classes,)
        The class prior of the batches, weights included, in the epoch whose network weights are
        kept.
    predicted_prior_ : ndarray of shape (n_classes,), or None
        The class prior that `predict_proba` speaks for, where it is known.
    n_features_in_ : int
        Number of values in an image, C * H * W; of columns, with `image_column`.
    feature_names_in_ : ndarray of str
        Exists only where X is a data frame with string column names.
    image_shape_ : tuple of int
        ``(C, H, W)``.
    value_range_ : tuple of float
        The least and the largest value of a pixel: as given, or (0, 255) for uint8, or those of X.
    table_encoder_ : object
        Exists only with `image_column`: the encoding of the other columns, with their kinds
        (``kinds_``), ``means_``, ``scales_`` and ``categories_`` in the training part.
    net_ : skorch.NeuralNet
        The trained net. ``net_.predict_proba``, ``predict``, ``score`` and ``partial_fit`` take
        data in the form of `fit`; ``history`` and ``save_params`` are skorch's. The state of the
        optimiser is dropped, so ``partial_fit`` begins with a new one.
    module_ : nn.Module
        The trained network.
    loss_ : callable
        The loss that trained it, with one value per sample.
    history_ : list of dict
        One dict per epoch: ``train_loss``, ``lr``, ``seconds``, and ``class_counts``, the samples
        of each class that its batches held, in the order of `classes_`; with a validation part also
        ``valid_loss``, ``valid_balanced_accuracy``, ``valid_score``, and in the order of `classes_`
        ``valid_precision``, ``valid_recall``, ``valid_f1``, ``valid_confusion_matrix``.
    n_iter_ : int
        Number of epochs that were run.
    validation_indices_ : ndarray of int
        Indices of the samples of X that were held out.
    temperature_ : float
        The number by which logits are divided where `target_prior` is set; 1.0 without
        `calibration`.
    decision_temperature_ : float
        The number by which logits are divided where `target_prior` is None. It differs from
        `temperature_` only if the decision logits of the loss are not those of its posterior.
    biases_ : ndarray of shape (n_classes,)
        The numbers that are added to the logits, after the division, where `target_prior` is set:
        their mean is zero, and all are zero without ``calibration="bias_corrected"``.
    decision_biases_ : ndarray of shape (n_classes,)
        The same where `target_prior` is None.

    Notes
    -----
    Samples that are equal byte for byte, and samples of one group, never stand on both sides of the
    validation split. A class that cannot be split in this way stays in the training part, with a
    warning; early stopping and `calibration` are refused where fewer than two classes can be split.
    Samples that were interpolated or augmented before `fit` cannot be recognised in an ordinary
    array: give the resampler as `sampler` instead of putting it before this estimator, or let it
    return its samples with ``lazy=True``. Then only originals are held out, and samples made from
    them are left out of both parts.

    At prediction a warning is given where images seem to be on another scale than those of the
    training (values in [0, 1] where the training had [0, 255]). This is so in three cases: the mean
    of the images lies outside of the range of the training images by more than the width of that
    range; half of the images reach ten times as far outside; or the images span less than a tenth
    of that range and are much flatter than the training images. For an array, only a part of the
    images is examined.

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
    .. [6] Alexandari et al., Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at
       Label Shift Adaptation, ICML 2020, arXiv:1901.06852.
    .. [7] Shi et al., Long-Tail Learning with Foundation Model: Heavy Fine-Tuning Hurts, ICML 2024,
       arXiv:2309.10019.

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
        "target_prior": [StrOptions({"train", "sqrt", "uniform"}), dict, None],
        "calibration": [StrOptions({"bias_corrected", "temperature"}), None],
        "head_init": [StrOptions({"class_means", "random"})],
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
        lr_schedule: Any = "one_cycle",
        lr_decay=None,
        freeze: Any = None,
        head_init: Any = "random",
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
        image_column: Any = None,
        image_pooling: Any = "mean",
        table_width=64,
        table_depth=1,
        table_dropout=0.0,
        table_embedding: Any = "auto",
        value_range: Any = "auto",
        standardize: Any = "auto",
        module_params=None,
        optimizer_params=None,
        device: Any = "auto",
        precision: Any = "auto",
        compile: Any = False,
        num_workers=0,
        warm_start: Any = False,
        checkpoint: Any = None,
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
        self.head_init = head_init
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
        self.image_column = image_column
        self.image_pooling = image_pooling
        self.table_width = table_width
        self.table_depth = table_depth
        self.table_dropout = table_dropout
        self.table_embedding = table_embedding
        self.value_range = value_range
        self.standardize = standardize
        self.module_params = module_params
        self.optimizer_params = optimizer_params
        self.device = device
        self.precision = precision
        self.compile = compile
        self.num_workers = num_workers
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.net_callbacks = net_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _make_target(self, parameters):
        if self.head_init == "class_means":
            check_class_means(self.module)
        return ClassTarget(parameters)

    def _build(self, training, trained=None):
        network = super()._build(training, trained)
        if self.head_init == "class_means" and trained is None:
            start_from_class_means(network, training)
        return network

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one epoch on some samples, from the present weights.

        For data that come in parts, or do not fit in memory. Each call takes the steps of one epoch
        at the constant rate `lr`, with `augmentation`, `sampler` and `batch_sampling` as in `fit`.
        The optimiser keeps its state from call to call as long as the object lives; a copy or a
        pickle of it begins with a new state. Callbacks of `set_callbacks` are not called. The
        network, its loss, the standardisation of the pixels, `value_range_` and the mean of the
        weights are those of the first call, or of the `fit` before it. `class_count_` and the
        effective prior are those of all calls, so that probabilities hold for `target_prior`. A
        call that fails or is interrupted changes nothing.

        Parameters
        ----------
        X : array-like
            Images in a form of `fit`; in later calls of the same shape.
        y : array-like of shape (n,)
            Labels, all of them in `classes`.
        classes : array-like of shape (n_classes,), default=None
            All labels that y will hold in this and later calls. It is needed in the first call.
        sample_weight : array-like of shape (n,), default=None
            Sample weights; samples of weight zero are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y does not fit, or a parameter needs all samples or the number of epochs:
            schemes of `class_weight` (give a dict), `max_weight`, `calibration`, `early_stopping`,
            `steps_per_epoch`, `reweight_after`, ``batch_sampling='progressive'`` and
            ``freeze='gradual'``.
        """
        return fit_part(self, X, y, sample_weight, classes)

    # ---------------------------------------------------------------------- prediction

    def _log_posterior(self, logits):
        """Turn logits into log-probabilities, float64 of shape (n, n_classes)."""
        return self._posterior().log(logits, self._prior())

    def _posterior(self):
        """Return the conversion of logits into probabilities."""
        return Posterior(
            self.classes_,
            self.class_count_,
            self.loss_,
            self.effective_prior_,
            temperature=self.temperature_,
            decision_temperature=self.decision_temperature_,
            biases=_some(self.biases_),
            decision_biases=_some(self.decision_biases_),
        )

    def _prior(self):
        """Return the prior that is asked for, or None; it may have been set after `fit`."""
        return self._posterior().resolve_prior(self.target_prior, self.calibration)

    @property
    @raising_unknown_prior
    def predicted_prior_(self) -> NDArray[np.float64] | None:
        """The class prior that the probabilities hold for, of shape (n_classes,).

        None where it is not known: with losses that move the decision, and no `target_prior`.
        """
        return self._posterior().prior_of(self._prior())

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of `predict_proba`, finite also where probabilities round to zero.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
        """
        dataset = self._dataset(X)
        return self._log_posterior(self.net_.logits(dataset))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            In the order of `classes_`, for the prior given by `target_prior`.
        """
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
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
        log_proba = self.predict_log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

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
        log_proba = self.predict_log_proba(X)
        return self.classes_[log_proba.argmax(axis=1)]


def _some(biases):
    """Return the biases, or None where all are zero."""
    return biases if biases.any() else None
