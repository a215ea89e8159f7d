"""CNNEmbedder: a transformer from images to embeddings."""

import copy
import os
import pickle
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skimb._callback_tasks import begin_fit, part_of_fit
from skimb._engine import dataset_of, resolve_device
from skimb._image_files import as_paths, is_paths
from skimb._images import check_images, checked_once, fit_images, warn_of_other_pixels
from skimb._networks import PretrainedBackbone, last_linear, lay_out, unit_scale
from skimb._params import HasMethods, StrOptions, check_handed_in, fit_context
from skimb._pixel_values import levels_of
from skimb._reading import resizes
from skimb._routing import metadata_of_estimator, requesting, router_of
from skimb._sub_estimators import seeded_clone
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._embedded_files import (
    checked_files,
    column_form,
    columns_of_paths,
    paths_in_row_order,
)
from skimb.neural_network._embedding_cache import check_cache, embed_once, open_cache
from skimb.neural_network._net_input import NetInput
from skimb.neural_network._save_methods import SavedToFile
from skimb.neural_network._untrained_net import untrained_net

__all__ = ["CNNEmbedder", "copied_backbone"]


class CNNEmbedder(
    SavedToFile,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Turn images into embeddings, the features that a network has learned.

    Imbalance hurts the last layer of a network far more than its features [1]_. Embeddings form a
    table with one row per image. scikit-learn's classifiers, and resamplers that need distances,
    work on this table, and a search over them takes seconds. In a `ColumnTransformer` the embedder
    can read a column of image paths, next to columns of numbers and categories; a trained network
    reads several columns of paths.

    Parameters
    ----------
    estimator : estimator or None, default=None
        The network. A `CNNClassifier` (None: one with its defaults) or `CNNRegressor` is trained on
        X and y; a fitted one wrapped in `sklearn.frozen.FrozenEstimator` is used as it is. The
        result of `pretrained` embeds without any training, and without y.
    layer : str, default="penultimate"
        ``"penultimate"``: the input of the last linear layer (with `pretrained`: the output of the
        network). Or the name of a module of the network, as given by ``named_modules``: the output
        of that module. Feature maps are averaged over their pixels.
    normalize : bool, default=False
        Scale each embedding to length 1, so that distances compare directions.
    dtype : {"float32", "float16"}, default="float32"
        The dtype of the embeddings, in the cache too. ``"float16"`` takes half of the memory and of
        the disk, and has three digits; values beyond 65504 are refused. Many estimators of
        scikit-learn turn it into float64.
    cache : bool, str, Path or None, default=None
        Keep embeddings, so that no image is embedded twice by the same weights. True: in the memory
        of each process (up to 1 GiB, shared by all embedders). A path: in this folder, which
        several processes may share and which remains after they end. Samples are identified by
        their content, files by their bytes, and networks by their weights; empty the folder after
        you change the code of a network. Files that a process has checked are not decoded again for
        another check, unless they have changed. If the database in the folder is damaged, it is
        renamed and a new one is begun; if it is locked or full, it is not used. In these cases a
        warning is given, and the embeddings are computed. Only the owner can read the database.
        A call that is interrupted keeps what it has embedded, but for a few thousand images.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, for `pretrained` only, as in `CNNClassifier`. None: files are resized to the
        size on which the network was trained.
    channels : {"first", "last"} or None, default=None
        As in `CNNClassifier`, for `pretrained` only.
    value_range : tuple or None, default=None
        ``(low, high)``, as in `CNNClassifier`, for `pretrained` only; None is ``"auto"``.
    device : str or torch.device, default=None
        As in `CNNClassifier`, for `pretrained` only; None is ``"auto"``.
    random_state : int, RandomState instance or None, default=None
        Controls the training where `estimator`, or an object that it holds, has no seed of its own.
        None: the seeds of `estimator` are used.

    Attributes
    ----------
    estimator_ : CNNClassifier, CNNRegressor or PretrainedBackbone
        The fitted network.
    n_features_in_ : int
        Number of values in an image, C * H * W; for paths the number of columns.
    feature_names_in_ : ndarray of str of shape (n_columns,)
        The names of the columns, where X is a frame that has several of them.
    image_shape_ : tuple of int
        ``(C, H, W)``.
    value_range_ : tuple of float
        As in `CNNClassifier`.

    References
    ----------
    .. [1] Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
       2020, arXiv:1910.09217.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.metrics import recall_score
    >>> from sklearn.model_selection import train_test_split
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, CNNEmbedder
    >>> from skimb.over_sampling import SMOTE
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> embedder = CNNEmbedder(CNNClassifier(random_state=0))
    >>> pipeline = make_pipeline(embedder, SMOTE(random_state=0), LogisticRegression(max_iter=999))
    >>> recall_score(y_test, pipeline.fit(X, y).predict(X_test)) > 0.8
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "embed"]), FrozenEstimator, PretrainedBackbone, None],
        "layer": [str],
        "normalize": ["boolean"],
        "dtype": [StrOptions({"float16", "float32"})],
        "cache": ["boolean", str, os.PathLike, None],
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"}), None],
        "value_range": [StrOptions({"auto"}), tuple, list, None],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        layer="penultimate",
        normalize=False,
        dtype: Any = "float32",
        cache: Any = None,
        image_shape=None,
        channels=None,
        value_range: Any = None,
        device: Any = None,
        random_state=None,
    ):
        self.estimator = estimator
        self.layer = layer
        self.normalize = normalize
        self.dtype = dtype
        self.cache = cache
        self.image_shape = image_shape
        self.channels = channels
        self.value_range = value_range
        self.device = device
        self.random_state = random_state

    #: The network uses them, not the embedder.
    __metadata_request__fit = {"sample_weight": UNUSED, "groups": UNUSED}

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **metadata: Any,
    ) -> Self:
        """Train the network, or use the trained one.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
            Images, as in `CNNClassifier.fit`. A trained network reads frames of several columns of
            paths too.
        y : array-like of shape (n,), default=None
            Labels, needed where the network is trained.
        sample_weight, groups : array-like of shape (n,), default=None
            As in `CNNClassifier.fit`, where the network is trained. With metadata routing, the
            network gets what `estimator` requests.
        **metadata
            With metadata routing, metadata under the names that `estimator` requests, as in
            ``estimator.set_fit_request(sample_weight="weight")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input does not fit (raised before any training step), or if the network has no
            such layer.
        """
        self.__dict__.pop("net_", None)
        check_handed_in(self)
        check_cache(self.cache)
        given = {"sample_weight": sample_weight, "groups": groups}
        of_network = metadata_of_estimator(self, given, metadata)
        frame: Any = column_form(X)
        X = frame
        self._n_columns = self._number_of_columns(X)
        if self._n_columns > 1:
            X = as_paths(frame.to_numpy().ravel())
        if isinstance(self.estimator, PretrainedBackbone):
            images = self._take_backbone(self.estimator, X)
        else:
            images = self._fit_estimator(X, y, of_network)
        if self._n_columns > 1:
            paths_in_row_order(self, frame, reset=True)
        try:
            self._n_features_out = self._try_on(images[:1]).shape[1] * self._n_columns
        except BaseException:
            del self.net_
            raise
        return self

    def _number_of_columns(self, X):
        """Return the number of images in a row of X."""
        n_columns = 1 if self._names_columns() else columns_of_paths(X)
        if n_columns == 1:
            return 1
        if isinstance(self.estimator, FrozenEstimator | PretrainedBackbone):
            return n_columns
        raise ValueError(
            f"X has {n_columns} columns of paths, {', '.join(map(repr, X.columns))}, and a network "
            "that is trained here reads one image a row. Name the columns, "
            "CNNClassifier(image_column=[...]); give each column an embedder of its own; or give a "
            "trained network for all of them: FrozenEstimator(fitted) or pretrained(...)."
        )

    def _names_columns(self):
        """Tell whether the network itself finds the images in a frame."""
        network = getattr(self.estimator, "estimator", self.estimator)
        return getattr(network, "image_column", None) is not None

    def _checked(self, X, image_shape):
        """Return paths as files, of which those that were checked before are not decoded again."""
        is_known = self.cache and not self._names_columns() and is_paths(X)
        return checked_files(X, image_shape) if is_known else X

    def _network(self) -> Any:
        if self.estimator is None:
            return requesting(CNNClassifier(), "sample_weight", "groups")
        return self.estimator

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the network requests.

        Returns
        -------
        MetadataRouter
        """
        return router_of(self, self._network(), callers=("fit", "fit_transform"))

    def _take_backbone(self, backbone, X):
        image_shape = self.image_shape
        if image_shape is None and backbone.image_size is not None and resizes(X):
            image_shape = (3, *backbone.image_size)
        images, _ = fit_images(
            self,
            self._checked(X, image_shape),
            image_shape=image_shape,
            channels=self.channels,
            value_range=self.value_range or "auto",
        )
        self._levels = levels_of(images)
        device = resolve_device(self.device or "auto")
        self.estimator_ = copied_backbone(backbone, device)
        self._channels = self.channels
        self.net_ = untrained_net(
            self.estimator_,
            unit_scale(images, self._given_range),
            image_shape=self.image_shape_,
            device=device,
            dataset=NetInput(self.channels, None).learn_from(self),
        )
        begin_fit(self, X, None, n_tasks=0).call_on_fit_task_end(estimator=self)
        return images

    def _fit_estimator(self, X, y, of_network):
        for name in ("image_shape", "channels", "value_range", "device"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}` belongs to embedders of a `pretrained` network. Set it on the "
                    "estimator instead."
                )
        network = self._network()
        is_frozen = isinstance(network, FrozenEstimator)
        if is_frozen:
            network = network.estimator
            if not hasattr(network, "embed"):
                raise ValueError(
                    "`estimator` must be a CNNClassifier or CNNRegressor, a fitted one in a "
                    f"FrozenEstimator, or the result of `pretrained`. Got {self.estimator!r}."
                )
            check_is_fitted(network)
        elif y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: the "
                "network is trained on the labels. Give y, or a trained network: "
                "FrozenEstimator(fitted) or pretrained(...)."
            )
        # Validated here too, so that errors name this estimator.
        image_shape = network.image_shape_ if is_frozen else network.image_shape
        images, y = fit_images(
            self,
            self._checked(X, image_shape) if is_frozen else X,
            None if is_frozen else y,
            image_shape=image_shape,
            channels=network.channels,
            image_column=network.image_column,
            value_range=network.value_range,
        )
        X = checked_once(X, images)
        task = begin_fit(
            self, X, y, n_tasks=int(not is_frozen), sample_weight=of_network.get("sample_weight")
        )
        if not is_frozen:
            if self.random_state is None:
                # The objects that the network holds get their seeds from the network.
                network = clone(network)
            else:
                network = seeded_clone(network, check_random_state(self.random_state))
            with part_of_fit(task, "train the network", self, network, X=X, y=y):
                network.fit(X, y, **of_network)
        task.call_on_fit_task_end(estimator=self)
        self.estimator_, self._channels, self.net_ = network, network.channels, network.net_
        # The range and the levels of the network's training count.
        self.value_range_, self._levels = network.value_range_, network._levels
        self.__dict__.pop("table_encoder_", None)
        if hasattr(network, "table_encoder_"):
            self.table_encoder_ = network.table_encoder_
            images = images.encoded(network.table_encoder_)
        return images

    def transform(self, X: Any) -> Any:
        """Return the embeddings of images.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw, or a frame with the columns that it saw.

        Returns
        -------
        ndarray of shape (n, d) and dtype `dtype`
            With several columns of paths, the embeddings of the images of a row stand one after
            another, in the order of the columns.
        """
        check_is_fitted(self)
        X = column_form(X)
        # Embedders of earlier versions have one.
        n_columns = getattr(self, "_n_columns", 1)
        if n_columns > 1:
            X = paths_in_row_order(self, X, reset=False)
        X = self._checked(X, self.image_shape_)
        images = check_images(self, X, channels=self._channels)
        warn_of_other_pixels(self, images)
        embedded = self._embed(images)
        return embedded.reshape(-1, n_columns * embedded.shape[1])

    def _try_on(self, images):
        """Embed images in channels-last memory or, where that fails, in contiguous memory."""
        try:
            return self._embed(images)
        except RuntimeError:
            # The network of an estimator has been tried there.
            if not isinstance(self.estimator, PretrainedBackbone):
                raise
            lay_out(self.estimator_, torch.contiguous_format)
            self.net_.module_.is_contiguous = True
            return self._embed(images)

    def _embed(self, images):
        cache = open_cache(self.cache, self.dtype)
        if cache is None:
            embedded = self._rounded(images)
        else:
            embedded = embed_once(cache, images, self._network_key(images), self._rounded)
        if not self.normalize:
            return embedded
        lengths_one = normalize(embedded.astype(np.float32, copy=False), copy=False)
        return lengths_one.astype(self.dtype, copy=False)

    def _rounded(self, images):
        """Return the embeddings of images in the dtype that was asked for."""
        embedded = self._run(images)
        if self.dtype == "float32":
            return embedded
        largest = np.abs(embedded).max(initial=0)
        if largest > np.finfo(self.dtype).max:
            raise ValueError(
                f"The embeddings reach {largest:.4g}, and dtype='float16' holds values up to "
                "65504. Use dtype='float32'."
            )
        return embedded.astype(self.dtype)

    def _run(self, images):
        """Return the output of the layer, or the input of the last layer, for each image."""
        dataset = dataset_of(images)
        layer = self._find_layer(self.net_.module_.network, torch.device(self.net_.device))
        if layer is None:
            return self.net_.logits(dataset)
        return self.net_.values_at(layer, dataset, inputs=self.layer == "penultimate")

    def _find_layer(self, network, device):
        """Return the layer whose values are wanted, or None for the output of the whole network."""
        if self.layer != "penultimate":
            try:
                return network.get_submodule(self.layer)
            except AttributeError as exc:
                names = [
                    name
                    for name, part in network.named_modules()
                    if name and not isinstance(part, nn.ModuleList | nn.ModuleDict)
                ]
                raise ValueError(
                    f"The network {type(network).__name__} has no layer {self.layer!r}. "
                    f"Its layers: {', '.join(names)}."
                ) from exc
        if isinstance(network, PretrainedBackbone):
            return None
        return last_linear(network.eval(), self.image_shape_, device)

    def _network_key(self, images):
        """Return a digest of the network: structure, weights, layer, and how images are read."""
        module = self.net_.module_
        parts = [(name, _described(part)) for name, part in module.named_modules()]
        described = parts, self.layer, repr(module.views), images.shape[1:], str(images.dtype)
        if self.dtype != "float32":
            described += (self.dtype,)
        digest = blake2b(repr(described).encode(), digest_size=32)
        for name, values in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(_content(values))
        return digest.digest()

    def __getstate__(self):
        state: dict[str, Any] = {**vars(self)}
        if "net_" in state and isinstance(state.get("estimator_"), PretrainedBackbone):
            # It is a part of the net, which knows its device; twice it would double a pickle.
            del state["estimator_"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "net_" in vars(self) and "estimator_" not in vars(self):
            self.estimator_ = self.net_.module_.network

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        is_trained = isinstance(self.estimator, FrozenEstimator | PretrainedBackbone)
        tags.target_tags.required = not is_trained
        # The network computes in float32, whatever the dtype of X.
        tags.transformer_tags.preserves_dtype = []
        return tags


def copied_backbone(backbone, device):
    """Return a copy of a pretrained network, which embeds on the device."""
    return copy.deepcopy(backbone).to(device).eval()


def _described(module):
    """Return the class of a module and its simple attributes, which are not part of its weights."""
    plain = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and _is_plain(value)
    }
    return type(module).__module__, type(module).__qualname__, sorted(plain.items())


def _content(values):
    """Return the bytes of a tensor of any dtype, or of the extra state of a module."""
    if not isinstance(values, torch.Tensor):
        return pickle.dumps(values)
    # numpy knows no bfloat16.
    flat = values.detach().cpu().contiguous().reshape(-1)
    return str(values.dtype).encode() + flat.view(torch.uint8).numpy().tobytes()


def _is_plain(value):
    if isinstance(value, tuple | list):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, str | bytes | bool | int | float | torch.dtype)
