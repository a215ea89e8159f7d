"""SMOTE in the latent space of an auto-encoder, with samples decoded to images."""

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils import check_random_state

from skimb._engine import (
    DivergenceError,
    block_size,
    fill_up,
    resolve_device,
    seeded,
    threads_for,
    train_auto_encoder,
    with_live_threads,
)
from skimb._image_layout import read_layout
from skimb._lost_differences import refuse_lost_differences
from skimb._neighbor_pairs import choose_pairs
from skimb._networks import AutoEncoder, count_multiply_adds
from skimb._params import HasMethods, Interval, StrOptions, plain
from skimb._plans import append_rows
from skimb._rounding import in_dtype
from skimb._sampler_base import ImageSampler

__all__ = ["DeepSMOTE"]


class DeepSMOTE(ImageSampler, BaseOverSampler):
    r"""Make images of the minority classes by interpolating between the codes of two images.

    A small convolutional auto-encoder learns all classes. In its latent space a point is chosen
    between two near neighbours of a class, as in `SMOTE`, and decoded to an image [1]_. A blend of
    two codes looks more like an image than a blend of their pixels.

    Each step adds two reconstruction losses: one on a batch of all classes and one, with the
    encoder detached, on as many images of a single class that is drawn uniformly. The decoder thus
    sees minority classes as often as the majority class. (The authors' code does this; the text of
    the paper permutes those codes, which the code undoes.)

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        How many samples each class has after resampling, as in imbalanced-learn. ``"auto"``: every
        class has as many as the largest one.
    random_state : int, RandomState instance or None, default=None
        Controls the training and the draw of pairs and interpolation factors.
    k_neighbors : int or estimator, default=5
        Number of nearest neighbours to choose from, or an object that finds them, as in `SMOTE`. A
        class with too few samples uses all its other samples, with a warning.
    n_latent : int, default=300
        Length of a code.
    max_epochs : int, default=30
        Number of epochs of the auto-encoder.
    batch_size : int, default=100
        Number of images in a batch.
    lr : float, default=1e-3
        Learning rate of Adam; it falls to zero along a cosine.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, the shape into which the rows of a 2-D X are unfolded. None: images of one
        line.
    channels : {"first", "last"} or None, default=None
        The position of the channels of a 4-D X, needed where its shape leaves it open.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    lazy : bool, default=False
        Where X is an array or tensor, return a view that does not copy it. The view knows the
        parents of its samples, so `CNNClassifier` can hold out a validation part without leaks.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of new samples for each label.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its own index or, if it is synthetic, the index of its first
        parent.
    parents_ : ndarray of shape (m, 2)
        The two samples of X between whose codes each synthetic sample lies.
    gaps_ : ndarray of shape (m,)
        The interpolation factor of each synthetic sample: 0 is the first code, 1 the second.
    module_ : nn.Module
        The auto-encoder, on the CPU.
    losses_ : list of float
        The sum of the two reconstruction losses, averaged over each epoch; they are mean squared
        errors of pixels scaled to [-1, 1].
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    skimb.over_sampling.SMOTE : Interpolates pixels; it is much cheaper.

    References
    ----------
    .. [1] Dablain, Krawczyk and Chawla, DeepSMOTE: Fusing Deep Learning and SMOTE for Imbalanced
       Data, IEEE TNNLS 2022, arXiv:2105.02340.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import DeepSMOTE
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> sampler = DeepSMOTE(sampling_strategy={1: 200}, max_epochs=2, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, X_res.dtype, np.bincount(y_res)
    ((1823, 8, 8), dtype('uint8'), array([1623,  200]))
    """

    _wants_images = True
    _makes_rows = True

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "k_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            HasMethods(["kneighbors", "kneighbors_graph"]),
        ],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"}), None],
        "device": [str, torch.device],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        k_neighbors: Any = 5,
        n_latent=300,
        max_epochs=30,
        batch_size=100,
        lr=1e-3,
        image_shape=None,
        channels=None,
        device: Any = "auto",
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.n_latent = n_latent
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.image_shape = image_shape
        self.channels = channels
        self.device = device
        self.lazy = lazy

    def _fit_resample(self, X, y):
        pairs = choose_pairs(
            y,
            self.sampling_strategy_,
            partial(self._fit_points, X, y),
            k_neighbors=self.k_neighbors,
            random_state=self.random_state,
            name=type(self).__name__,
        )
        self.parents_, self.gaps_ = pairs.parents, pairs.gaps
        self.sample_indices_ = pairs.sample_indices(len(y))
        return self._rows(X, *pairs.parents.T), np.concatenate([y, pairs.labels])

    def _fit_points(self, X, y):
        self._prepare(X, y)
        return partial(self._points, X)

    def _prepare(self, X, y):
        self.__dict__.pop("module_", None)
        self._layout = read_layout(
            X.shape[1:], image_shape=self.image_shape, channels=self.channels
        )
        images = self._layout.to_channels_last(np.asarray(X))
        low, high = float(images.min()), float(images.max())
        if images.dtype.kind in "iu" and images.dtype.itemsize > 4:
            refuse_lost_differences(images, images.astype(np.float64), "X")
        # Far from zero, float32 would lose differences of pixels, so these are taken in float64.
        step = float(np.spacing(np.float32(max(abs(low), abs(high)))))
        self._is_far = high - low < 2**16 * step
        self._center = (low + high) / 2
        self._scale = (high - low) / 2 or 1.0
        device = resolve_device(self.device)
        target = np.unique(y, return_inverse=True)[1]
        rng = np.random.RandomState(
            check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        )
        with (
            seeded(int(rng.randint(np.iinfo(np.int32).max)), device),
            threads_for(0),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            # The first weights are drawn on the host, whatever torch's default device.
            with torch.device("cpu"):
                module = AutoEncoder(self._layout.image_shape, plain(self.n_latent))
            module = module.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's stubs know it for tensors only
            self._work = count_multiply_adds(module, self._layout.image_shape, device)
            # A step is the forward and the backward pass of two batches; a backward pass costs
            # twice a forward pass.
            with threads_for(5 * self._work * plain(self.batch_size)):
                args = module, images, target, rng, device
                self.losses_ = with_live_threads(self._train, *args)
        self.module_ = module.cpu().eval()

    def _train(self, module, images, target, rng, device):
        """Train the auto-encoder; return the loss of each epoch."""
        members = [np.flatnonzero(target == k) for k in range(target.max() + 1)]
        batch_size = plain(self.batch_size)
        n_steps = -(-len(images) // batch_size)

        def draw():
            for indices in np.array_split(rng.permutation(len(images)), n_steps):
                batch = self._read(images[indices]).to(device)
                chosen = rng.permutation(members[rng.randint(len(members))])[:batch_size]
                yield batch, self._read(images[chosen]).to(device)

        try:
            losses = train_auto_encoder(
                module,
                draw,
                n_samples=len(images),
                n_steps=n_steps,
                n_epochs=plain(self.max_epochs),
                lr=plain(self.lr),
                device=device,
            )
        except DivergenceError as exc:
            raise _diverged(exc.found) from exc
        # The loss is checked before each step, but not after the last one.
        if not all(torch.isfinite(values).all() for values in module.parameters()):
            raise _diverged("after the last step, parameters are not finite")
        with torch.no_grad():
            n_samples = block_size(self._work, torch.device("cpu"))
            made = module(self._read(images[:n_samples]).to(device))
        if not torch.isfinite(made).all():
            raise _diverged("after the last step, the images that it makes are not finite")
        return losses

    def _read(self, images):
        """Return images (m, H, W, C) as a tensor (m, C, H, W) with values in [-1, 1]."""
        dtype = np.float64 if self._is_far else np.float32
        values = (images.astype(dtype) - self._center) / self._scale
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).permute(0, 3, 1, 2)

    def _points(self, X, rows):
        return self._codes(X, rows).numpy()

    @torch.no_grad()
    def _codes(self, X, rows):
        images = self._layout.to_channels_last(np.asarray(X[rows]))
        n_samples = block_size(self._work, torch.device("cpu"))
        codes = []
        with threads_for(self._work * n_samples):
            for start in range(0, len(images), n_samples):
                block = self._read(images[start : start + n_samples]).permute(0, 2, 3, 1)
                full = fill_up(block, n_samples).permute(0, 3, 1, 2)
                codes.append(with_live_threads(self._encoded, full)[: len(block)])
        codes = torch.cat(codes)
        if not torch.isfinite(codes).all():
            raise _diverged("the codes that it gives are not finite")
        return codes

    @torch.no_grad()
    def _encoded(self, images):
        return self.module_.encode(images)

    @torch.no_grad()
    def _decoded(self, codes):
        return self.module_.decode(codes)

    @torch.no_grad()
    def _rows(self, X, first, second):
        made = np.empty((len(first), *X.shape[1:]), dtype=X.dtype)
        if not len(first):
            return append_rows(X, made, self.parents_, lazy=self.lazy)
        # A view of the samples as images: writing to it writes to the samples.
        images = self._layout.to_channels_last(made)
        gaps = torch.from_numpy(self.gaps_.astype(np.float32))[:, None]
        parents, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        codes_of = self._codes(X, parents)
        first, second = torch.from_numpy(places.reshape(2, -1))
        n_samples = block_size(self._work, torch.device("cpu"))
        for start in range(0, len(first), n_samples):
            part = slice(start, start + n_samples)
            with threads_for(self._work * n_samples):
                codes = torch.lerp(codes_of[first[part]], codes_of[second[part]], gaps[part])
                decoded = with_live_threads(self._decoded, fill_up(codes, n_samples))[: len(codes)]
            decoded = decoded.permute(0, 2, 3, 1).numpy()
            if not np.isfinite(decoded).all():
                raise _diverged("the images that it makes are not finite")
            values = decoded.astype(np.float64) * self._scale + self._center
            images[part] = in_dtype(values, X.dtype)
        return append_rows(X, made, self.parents_, lazy=self.lazy)


def _diverged(found):
    """Return the error for an auto-encoder that diverged."""
    return ValueError(
        f"The auto-encoder diverged: {found}. Lower `lr`, or look for extreme values in X."
    )
