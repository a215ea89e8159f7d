"""CNNRegressor: a scikit-learn regressor that holds a skorch net."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from skimb._params import HasMethods, Interval, StrOptions
from skimb.losses import (
    AbsoluteErrorLoss,
    BalancedMSELoss,
    FocalRLoss,
    HuberLoss,
    SquaredErrorLoss,
)
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._continuous_target import ContinuousTarget
from skimb.neural_network._incremental import fit_part

__all__ = ["CNNRegressor"]

LOSSES = {
    "squared_error": SquaredErrorLoss,
    "absolute_error": AbsoluteErrorLoss,
    "huber": HuberLoss,
    "balanced_mse": BalancedMSELoss,
    "focal_r": FocalRLoss,
}
WEIGHTS = ("inverse", "sqrt", "lds")


class CNNRegressor(RegressorMixin, BaseCNN):
    r"""Predict a number from images with a convolutional network, rare values included.

    A scikit-learn regressor in every respect, like `CNNClassifier`, but for a continuous target
    whose important range is rare: `loss`, `target_weight`, `batch_sampling`, `ranksim` and
    `sampler` are hyperparameters that `GridSearchCV` can search.

    All of them are a trade-off: an improvement in the rare range often costs some accuracy in the
    frequent one. Use `skimb.metrics.shot_report` to see both and to choose.

    Parameters
    ----------
    module : str, nn.Module or callable, default="simple_cnn"
        The network, as in `CNNClassifier`; it gives one number per image, of shape (n, 1). A class
        or callable is called as ``module(in_channels, 1)``.
    loss : str, RegressionLoss or callable, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"balanced_mse"``, ``"focal_r"``:
        each is short for an object of `skimb.losses` with its defaults. Or such an object, whose
        parameters can be searched as ``loss__delta``. Or any callable ``(prediction, target)``,
        both of shape (n,); if it returns a scalar, samples cannot be weighted. All losses see the
        standardised target, of mean 0 and standard deviation 1. With ``"balanced_mse"`` the first
        half of the epochs, at least one epoch (but none if there is only one), is trained by
        squared error, and the error reached there gives its initial noise.
    target_weight : {"inverse", "sqrt", "lds"}, callable or None, default=None
        A scheme of `skimb.relevance.compute_target_weight`, which counts the training samples after
        `sampler`; or a function from values of y to their weights, such as a `Relevance`, which is
        cloned and fitted. All weights, sample weights included, are rescaled to mean 1 over the
        training part.
    density : LabelDensity or None, default=None
        It gives the bins and the kernel for `target_weight`, `batch_sampling` and the balanced
        error; None: ``LabelDensity()``. It is cloned.
    relevance : Relevance, callable or None, default=None
        It decides which values count as rare for ``batch_sampling="relevance"`` and for
        `skimb.study.compare`: values of relevance 0.5 and more. None: values beyond the whiskers of
        a box plot.
    reweight_after : float, default=0.0
        Fraction of the epochs, in [0, 1), after which `target_weight` sets in (deferred
        re-weighting).
    batch_sampling : {"inverse", "sqrt", "lds", "relevance"} or None, default=None
        How often batches hold each sample. None: all samples equally often; a scheme of
        `compute_target_weight`: in proportion to the weight that it gives them; ``"relevance"``:
        each rare or normal range of the target (see `skimb.relevance.relevance_bumps`) makes up an
        equal fraction. Each batch holds exact quotas.
    ranksim : float, default=0.0
        How strongly images with near targets are drawn together in the embedding: the mean over the
        samples of `skimb.losses.ranksim_loss` is multiplied by this number and added to the loss
        [1]_. 0: nothing is added. Ranks are piecewise constant, so a surrogate gradient is used; it
        grows sublinearly with this number and is larger for small batches. The best value depends
        on the network and on `batch_size`, so tune it: from 1 to 100 for ``"simple_cnn"``; networks
        without normalisation layers may diverge above 3.
    sampler : sampler, list of samplers or None, default=None
        Resamplers for continuous targets, such as `skimb.over_sampling.SMOGN`, applied to the
        training part only, after a validation part has been held out. Sample weights follow the
        samples.
    augmentation : str, callable, list of these, or None, default="shift_crop"
        As in `CNNClassifier`: small shifts by default (give None where the target depends on the
        position in the image). ``"remix"`` is not allowed, as it needs classes. The loss of a mixed
        sample is the sum of the losses of both targets, weighted by their fractions.
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        As in `CNNClassifier`.
    lr : float, default=1e-3
        The highest learning rate.
    weight_decay : float, default=1e-2
        Weight decay.
    lr_schedule : {"one_cycle", "cosine", "plateau", "constant"} or callable, default="one_cycle"
        As in `CNNClassifier`; with early stopping ``"one_cycle"`` becomes ``"plateau"``.
    lr_decay : float or None, default=None
        Layer-wise learning rates, as in `CNNClassifier`.
    freeze : {"features", "gradual"}, int, list of str or None, default=None
        Layers that do not train, as in `CNNClassifier`.
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
        Fraction of the samples that is held out, the same for low, middle and high values.
    scoring : str, callable or None, default=None
        The score that early stopping watches. None: the loss of the validation part, weighted by
        `target_weight`. With `sampler`, `batch_sampling` or a balanced loss, that loss would lack
        their effect, so the negative of `balanced_mean_absolute_error` in the bins of the training
        part is used; ``"neg_balanced_mean_absolute_error"`` asks for it in any case. Or a
        scikit-learn scorer.
    n_iter_no_change : int, default=5
        Epochs without improvement before training stops; an epoch of fewer than 50 gradient steps
        counts as a fraction of an epoch, its steps divided by 50.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, as in `CNNClassifier`. After ``fit``, files and images of Pillow of any size
        are resized to ``image_shape_``, without a warning and also with None; arrays of another
        height or width are refused.
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
        ``(low, high)``: the values that pixels may have, as in `CNNClassifier`.
    standardize : "auto", None or tuple, default="auto"
        Standardisation of the pixels, as in `CNNClassifier`.
    module_params, optimizer_params : dict or None, default=None
        Further keyword arguments of `module` and `optimizer`, as in `CNNClassifier`.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    precision : {"auto", "bfloat16", "float32"}, default="auto"
        In which type the layers of the training steps compute, as in `CNNClassifier`.
    compile : bool, default=False
        Whether ``torch.compile`` compiles the network for the training steps, as in
        `CNNClassifier`.
    num_workers : int, default=0
        Number of processes that decode image files ahead of the training. It has an effect only
        where X holds paths.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit` or `partial_fit`, as in
        `CNNClassifier`. `y_mean_` and `y_scale_` stay too.
    checkpoint : str or path-like or None, default=None
        A folder for the state of the training, from which a later equal `fit` goes on if this one
        is killed, as in `CNNClassifier`.
    net_callbacks : list of skorch callbacks or None, default=None
        They are called during `fit` with skorch's hooks, as in `CNNClassifier`.
    random_state : int, RandomState instance or None, default=None
        Controls initialisation, order, dropout, the validation part and inner samplers. With an
        int, results are bitwise equal in any process, on the CPU and on a CUDA device of one kind
        with one version of torch.
    verbose : int, default=0
        1: print a table with one line per epoch: its number, the losses and scores, the learning
        rate, the seconds it took, and the time left.

    Attributes
    ----------
    y_mean_, y_scale_ : float
        Mean and standard deviation of the target over the training part, weighted by
        `sample_weight`. The network predicts the target standardised by them.
    density_ : LabelDensity
        The density of the target, fitted on the training part before `sampler`.
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
        The trained net, which can be used on its own, as in `CNNClassifier`.
    module_ : nn.Module
        The trained network.
    loss_ : callable
        The loss that trained it, with one value per sample, on the standardised target.
    history_ : list of dict
        One dict per epoch: ``train_loss`` (with the term of RankSim), ``lr``, ``seconds``; with a
        validation part also ``valid_loss``, and in units of y ``valid_mean_absolute_error``,
        ``valid_balanced_mean_absolute_error`` and ``valid_score``.
    n_iter_ : int
        Number of epochs that were run.
    validation_indices_ : ndarray of int
        Indices of the samples of X that were held out.

    See Also
    --------
    CNNClassifier : The classifier with the same parameters.
    skimb.ensemble.ReBaggRegressor : An ensemble of regressors on resampled bags.

    Notes
    -----
    Samples that are equal byte for byte, and samples of one group, never stand on both sides of the
    validation split; see `CNNClassifier`.

    References
    ----------
    .. [1] Gong, Mori and Tung, RankSim: Ranking Similarity Regularization for Deep Imbalanced
       Regression, ICML 2022, arXiv:2205.15236.
    .. [2] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNRegressor
    >>> rng = np.random.RandomState(0)
    >>> sigma = rng.normal(5.5, 1.0, size=400)
    >>> X = rng.normal(size=(400, 8, 8)) * sigma[:, None, None]
    >>> reg = CNNRegressor(target_weight="sqrt", random_state=0).fit(X, sigma)
    >>> reg.predict(X[:2]).shape, reg.score(X, sigma) > 0.5
    ((2,), True)
    """

    _named_losses = LOSSES
    _grid_example = (
        "[{'loss': ['squared_error']}, {'loss': [HuberLoss()], 'loss__delta': [0.5, 1]}]"
    )

    _parameter_constraints: dict = {
        **BaseCNN._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), callable],
        "target_weight": [StrOptions(set(WEIGHTS)), callable, None],
        "density": [HasMethods(["fit", "bin_of"]), None],
        "relevance": [HasMethods("fit"), callable, None],
        "batch_sampling": [StrOptions({*WEIGHTS, "relevance"}), None],
        "ranksim": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        module: Any = "simple_cnn",
        *,
        loss: Any = "squared_error",
        target_weight: Any = None,
        density: Any = None,
        relevance: Any = None,
        reweight_after=0.0,
        batch_sampling=None,
        ranksim=0.0,
        sampler=None,
        augmentation: Any = "shift_crop",
        optimizer: Any = "adamw",
        lr=1e-3,
        weight_decay=1e-2,
        lr_schedule: Any = "one_cycle",
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
        self.target_weight = target_weight
        self.density = density
        self.relevance = relevance
        self.reweight_after = reweight_after
        self.batch_sampling = batch_sampling
        self.ranksim = ranksim
        self.sampler = sampler
        self.augmentation = augmentation
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
        return ContinuousTarget(parameters)

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train one epoch on some samples, from the present weights.

        For data that come in parts, or do not fit in memory. Each call takes the steps of one epoch
        at the constant rate `lr`, with `augmentation`, `sampler` and `batch_sampling` as in `fit`.
        The optimiser keeps its state from call to call as long as the object lives; a copy or a
        pickle of it begins with a new state. Callbacks of `set_callbacks` are not called. The
        network, its loss, the standardisation of the pixels and of the target, `density_`,
        `value_range_` and the mean of the weights are those of the first call, or of the `fit`
        before it. A call that fails or is interrupted changes nothing.

        Parameters
        ----------
        X : array-like
            Images in a form of `fit`; in later calls of the same shape.
        y : array-like of shape (n,)
            Values of the target.
        sample_weight : array-like of shape (n,), default=None
            Sample weights; samples of weight zero are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y does not fit, or a parameter needs all samples or the number of epochs:
            schemes of `target_weight` (give a function), `early_stopping`, `steps_per_epoch`,
            `reweight_after` and ``freeze='gradual'``.
        """
        return fit_part(self, X, y, sample_weight)

    # ---------------------------------------------------------------------- prediction

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predicted value of each image.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n,), float64
            In units of y.
        """
        dataset = self._dataset(X)
        return self.net_.target.interpret(self.net_.logits(dataset))
