"""The common parts of all losses: the check of input, the reduction, and the two templates."""

import inspect
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from skimb._params import check_table
from skimb._unpacking import as_array, is_tensor

__all__ = [
    "Loss",
    "RegressionLoss",
    "as_numbers",
    "check_predictions",
    "class_indices",
    "positive_values",
    "reduce_loss",
    "reduce_rows",
]

REDUCTIONS = ("none", "mean", "sum")


def class_indices(logits, target):
    """Return targets as torch indexes by them; refuse shapes that would broadcast.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        One logit per class.
    target : Tensor of shape (n,), integer
        Class indices.

    Returns
    -------
    Tensor of shape (n,), int64

    Raises
    ------
    ValueError
        If the shapes do not fit, or `target` is not integer.
    """
    if logits.ndim != 2 or target.ndim != 1 or len(logits) != len(target):
        raise ValueError(
            "A loss takes logits of shape (n, n_classes) and targets of shape (n,). Got "
            f"{tuple(logits.shape)} and {tuple(target.shape)}."
        )
    if target.is_floating_point() or target.is_complex():
        raise ValueError(
            f"Targets must be class indices of an integer type. Got {target.dtype}; "
            "use target.long()."
        )
    return target.long()


def positive_values(name, values):
    """Return numbers, one for each class, as a tensor of floats.

    Parameters
    ----------
    name : str
        Their name in errors.
    values : Tensor or array-like of shape (n_classes,)
        The numbers.

    Returns
    -------
    Tensor of shape (n_classes,)
        In the precision of `values` if they are floats, otherwise in float64.

    Raises
    ------
    ValueError
        If one of them is not positive.
    """
    values = torch.as_tensor(values)
    values = values if values.is_floating_point() else values.double()
    if not (values > 0).all():
        raise ValueError(f"`{name}` must be positive. Got {values.tolist()}.")
    return values


def reduce_loss(values, target, *, weight=None, reduction="none"):
    """Weight and reduce the values of a loss.

    The weighted mean divides by the number of samples, not by the sum of their weights. Torch
    divides by the latter, which cancels the weights in a batch of one class.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One value per sample.
    target : Tensor of shape (n,)
        Class indices.
    weight : Tensor of shape (n_classes,), default=None
        One weight per class.
    reduction : {"none", "mean", "sum"}, default="none"
        The result: the n values, their mean or their sum.

    Returns
    -------
    Tensor of shape (n,) or ()

    Raises
    ------
    ValueError
        If `reduction` is none of the three.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"`reduction` must be one of {REDUCTIONS}. Got {reduction!r}.")
    if weight is not None:
        values = values * torch.as_tensor(weight, dtype=values.dtype, device=values.device)[target]
    if reduction == "mean":
        return values.mean()
    return values.sum() if reduction == "sum" else values


def as_numbers(values):
    """Return numbers of a user, as a scalar, sequence, array or tensor, as an array.

    Parameters
    ----------
    values : float, array-like or Tensor
        The numbers; a sequence may hold tensors.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    TypeError or ValueError
        If they are no numbers.
    """
    if isinstance(values, list | tuple):
        values = [as_array(value) for value in values]
    return np.asarray(as_array(values), dtype=np.float64)


class ParametersMixin:
    """Lets scikit-learn clone an ``nn.Module``, by the parameters of its ``__init__``.

    Put it before ``nn.Module``. ``__init__`` stores its parameters as they are. A subclass says in
    a table what they may be, and estimators check it before a fit, as scikit-learn's do.
    """

    _parameter_constraints: dict[str, Any] = {}

    def _validate_params(self):
        params = self.get_params(deep=False)
        check_table(self._parameter_constraints, params, caller_name=type(self).__name__)

    def _without_tensors(self):
        """Make arrays of tensors where its table says array-like.

        The exporter to ONNX would trace a tensor, and not know its values.
        """
        for name, allowed in self._parameter_constraints.items():
            value = getattr(self, name)
            entries = value if isinstance(value, list | tuple) else [value]
            if "array-like" in allowed and any(map(is_tensor, entries)):
                setattr(self, name, as_numbers(value))
        return self

    @classmethod
    def _parameters_of_init(cls):
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of ``__init__``, as scikit-learn's estimators do.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of parameters, for example ``density__bins``.

        Returns
        -------
        dict
        """
        own = {name: getattr(self, name) for name in self._parameters_of_init()}
        nested = {
            f"{name}__{inner}": found
            for name, value in own.items()
            if deep and hasattr(value, "get_params") and not isinstance(value, type)
            for inner, found in value.get_params().items()
        }
        return own | nested

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

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
            If a name is unknown.
        """
        known = self._parameters_of_init()
        for name, value in params.items():
            own, _, inner = name.partition("__")
            if own not in known or (inner and not hasattr(getattr(self, own), "set_params")):
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}. "
                    f"Valid parameters are: {known}."
                )
            if inner:
                getattr(self, own).set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def extra_repr(self) -> str:
        """Name the parameters that differ from their defaults."""
        defaults = inspect.signature(type(self).__init__).parameters
        return ", ".join(
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if repr(value) != repr(defaults[name].default)
        )


class Loss(ParametersMixin, nn.Module):
    """Template of a loss that is an ``nn.Module`` and clones like a scikit-learn estimator.

    A subclass has an ``__init__`` that only stores its parameters, `reduction` among them, and a
    ``forward(logits, target)``. `fit` counts the classes for losses that need the counts. It is
    called on a clone, so that one object can be used in many fits.

    Attributes
    ----------
    counts_ : Tensor of shape (n_classes,), float64, or None
        Number of samples of each class that `fit` saw. It moves to a device together with the loss.
    needs_cosine_head : bool, default=False
        Whether the logits must be cosines, as `skimb.neural_network.CosineLinear` gives them.
    adjusts_prior : bool, default=False
        Whether the loss corrects for the class prior, so that class weights or balanced batches in
        addition would correct twice.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skimb.losses import FocalLoss
    >>> clone(FocalLoss(gamma=1.0)).set_params(gamma=5.0)
    FocalLoss(gamma=5.0)
    """

    reduction: str
    needs_cosine_head = False
    adjusts_prior = False

    def __init__(self):
        super().__init__()
        self.register_buffer("counts_", None)

    def fit(self, y: Any) -> Self:
        """Count the classes.

        Parameters
        ----------
        y : array-like of shape (n,)
            Class indices of the training part.

        Returns
        -------
        self
        """
        # An empty class counts as one sample, because the logarithm is taken.
        self.counts_ = torch.bincount(torch.as_tensor(y, device="cpu").long()).clamp_min(1).double()
        return self

    def fit_counts(self, counts: ArrayLike) -> Self:
        """Do what `fit` does, from the number of samples of each class.

        Parameters
        ----------
        counts : array-like of int of shape (n_classes,)
            Number of samples of each class in the training part.

        Returns
        -------
        self
        """
        counts = torch.as_tensor(counts, device="cpu")
        if type(self).fit is not Loss.fit:
            # A loss that fits in its own way reads labels.
            return self.fit(torch.repeat_interleave(torch.arange(len(counts)), counts))
        self.counts_ = counts.clamp_min(1).double()
        return self

    def class_counts(self) -> Tensor:
        """Return `counts_`, or say that `fit` has not been called.

        Returns
        -------
        Tensor of shape (n_classes,), float64
        """
        if self.counts_ is None:
            name = type(self).__name__
            raise ValueError(
                f"{name} has not seen the labels. Call {name}.fit(y) with the class indices of the "
                "training samples first."
            )
        return self.counts_

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Return the logits whose softmax is the class posterior.

        If the network was trained by this loss alone on enough data, the softmax of the mapped
        logits gives the probabilities of the classes among the training samples. For proper losses
        this is the identity.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
            The output of the network.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return logits

    def decision_logits(self, logits: Tensor) -> Tensor:
        """Return the logits whose argmax is the decision rule of the original method.

        Some losses shift the decision on purpose, for example by an adjustment for the class prior.
        These logits keep the shift, and `effective_logits` removes it. For other losses the two are
        equal.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
            The output of the network.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return self.effective_logits(logits)


class RegressionLoss(ParametersMixin, nn.Module):
    """Template of a loss of predictions and a continuous target.

    It is like `Loss`, but ``forward(prediction, target, weight=None)`` takes one number per sample,
    and `fit` takes the values of the target. A loss that needs no knowledge of the target inherits
    `fit`.

    Attributes
    ----------
    adjusts_prior : bool, default=False
        Whether the loss corrects for rare values, so that weights or batch sampling in addition
        would correct twice.
    reads_batch : bool, default=False
        Whether the value of a sample depends on the other samples of its batch.
    lr : float or None, default=None
        Learning rate of the parameters of the loss, if it has any.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skimb.losses import HuberLoss
    >>> clone(HuberLoss(delta=0.5)).set_params(delta=2.0)
    HuberLoss(delta=2.0)
    """

    reduction: str
    adjusts_prior = False
    reads_batch = False
    lr: float | None = None

    def fit(self, y: Any) -> Self:
        """Use the values of the target, if the loss needs them.

        Parameters
        ----------
        y : array-like of shape (n,)
            Values of the training samples.

        Returns
        -------
        self
        """
        return self


def check_predictions(prediction, target):
    """Refuse shapes that would broadcast to a meaningless result.

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.

    Raises
    ------
    ValueError
        If shapes differ, or the target is not float.
    """
    if prediction.ndim != 1 or prediction.shape != target.shape:
        raise ValueError(
            "A loss of a continuous target takes predictions and targets of shape (n,). Got "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}; a network that gives (n, 1) "
            "needs prediction.squeeze(1)."
        )
    if not target.is_floating_point():
        raise ValueError(
            f"Targets must be of a float type. Got {target.dtype}; use target.float()."
        )


def reduce_rows(values, *, weight=None, reduction="none"):
    """Weight and reduce the values of a loss; the weighted mean divides by the number of samples.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One value per sample.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        As in `reduce_loss`.

    Returns
    -------
    Tensor of shape (n,) or ()

    Raises
    ------
    ValueError
        If the weights are not as many as the samples, or `reduction` is none of the three.
    """
    if weight is not None:
        weight = torch.as_tensor(weight, dtype=values.dtype, device=values.device)
        if weight.shape != values.shape:
            raise ValueError(
                f"`weight` must have one entry for each of the {len(values)} samples. Got shape "
                f"{tuple(weight.shape)}."
            )
        values = values * weight
    return reduce_loss(values, None, reduction=reduction)
