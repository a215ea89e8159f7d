"""The parts of an exported network as modules of torch: pixels, network, probabilities, decision.

Each does what an estimator does with numpy, in the same order, so that torch can write all of it
into one graph.
"""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from skimb._decision_rule import SAME, TINY
from skimb._networks import hidden_values, in_memory
from skimb.losses import Loss

__all__ = [
    "Classify",
    "LinearScores",
    "LogPosterior",
    "Pixels",
    "RunNetwork",
    "Scaled",
    "Spread",
    "UnitLength",
    "Unstandardized",
]


class Pixels(nn.Module):
    """Bring an array of images into the form that networks read.

    Parameters
    ----------
    layout : {"NHW", "NHWC", "NCHW", "NF"}
        Its axes.
    image_shape : tuple of int
        ``(C, H, W)``.
    """

    def __init__(self, layout, image_shape):
        super().__init__()
        self.layout, self.image_shape = layout, image_shape

    def forward(self, images):
        """Return float32 images ``(n, C, H, W)``."""
        if self.layout == "NHW":
            images = images.unsqueeze(1)
        elif self.layout == "NHWC":
            images = images.permute(0, 3, 1, 2)
        elif self.layout == "NF":
            images = images.unflatten(1, self.image_shape)
        # A user's module may depend on strides, which are those of the training.
        return in_memory(images.to(torch.float32), torch.channels_last)


class RunNetwork(nn.Module):
    """Run the network of a fitted estimator, with its standardisation and its views.

    Parameters
    ----------
    standardized : Standardized
        The network; a copy of it is kept, on the CPU and in evaluation mode.
    layer : nn.Module, default=None
        The layer of the network whose values are wanted; None: the output of the whole.
    inputs : bool, default=True
        Whether to return the input of the layer, and not its output.

    Raises
    ------
    ValueError
        If the network cannot be copied.
    """

    def __init__(self, standardized, layer=None, *, inputs=True):
        super().__init__()
        self.layer, self.inputs = None, inputs
        if layer is not None:
            self.layer = next(name for name, part in standardized.named_modules() if part is layer)
        try:
            self.module = copy.deepcopy(standardized).to("cpu").eval()
        # A user's module may fail to be copied for any reason.
        except Exception as exc:
            raise ValueError(
                f"The network {type(standardized.network).__name__} cannot be copied for the "
                f"export: {exc}. Let copy.deepcopy work on it."
            ) from exc

    def forward(self, images):
        """Return the values ``(n, d)`` of images ``(n, C, H, W)``."""
        module = self.module
        if module.is_active:
            images = (images - module.mean) * module.scale
        # The number of images is not known, but the number of views is.
        views = [images] if module.views is None else module.views(images)
        read = images if len(views) == 1 else torch.cat(views)
        layout = torch.contiguous_format if module.is_contiguous else torch.channels_last
        values = self._values(in_memory(read, layout))
        return values if len(views) == 1 else values.unflatten(0, (len(views), -1)).mean(0)

    def _values(self, images):
        if self.layer is None:
            return self.module.network(images)
        layer = self.module.get_submodule(self.layer)
        with hidden_values(layer, inputs=self.inputs) as last:
            self.module.network(images)
        return last[0]


class UnitLength(nn.Module):
    """Scale embeddings to length 1."""

    def forward(self, values):
        """Return rows of length 1; a row of zeros stays as it is."""
        return F.normalize(values, dim=1)


class Scaled(nn.Module):
    """Standardise the columns of embeddings, as scikit-learn's `StandardScaler` does.

    Parameters
    ----------
    mean, scale : ndarray of shape (d,), or None
    """

    def __init__(self, mean, scale):
        super().__init__()
        self.register_buffer("mean", _doubles(0.0 if mean is None else mean))
        self.register_buffer("scale", _doubles(1.0 if scale is None else scale))

    def forward(self, values):
        """Return ``(values - mean) / scale``."""
        return ((values.double() - self.mean) / self.scale).float()


class LinearScores(nn.Module):
    """Linear scores of the classes, and the logarithm of their softmax.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, d)
    bias : ndarray of shape (n_classes,), default=None
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight, bias=None):
        super().__init__()
        self.register_buffer("weight", _doubles(weight))
        self.register_buffer("bias", None if bias is None else _doubles(bias))

    def forward(self, values):
        """Return log-probabilities ``(n, n_classes)``, float64."""
        return F.log_softmax(F.linear(values.double(), self.weight, self.bias), dim=1)


class LogPosterior(nn.Module):
    """Turn logits into log-probabilities for a class prior; see `Posterior`.

    Parameters
    ----------
    posterior : Posterior
        The conversion of a fitted classifier.
    prior : ndarray of shape (n_classes,) or None
        As `Posterior.resolve_prior` returns it.
    """

    def __init__(self, posterior, prior):
        super().__init__()
        self.loss, self.map = None, None
        if isinstance(posterior.loss, Loss):
            self.loss = copy.deepcopy(posterior.loss).to("cpu")
            self.map = "decision_logits" if prior is None else "effective_logits"
        temperature, shift = posterior.decision_temperature, posterior.decision_biases
        if prior is not None:
            temperature = posterior.temperature
            shift = np.log(prior) - np.log(posterior.effective_prior)
            if posterior.biases is not None:
                shift = shift + posterior.biases
        self.register_buffer("temperature", _doubles(temperature))
        self.register_buffer("shift", None if shift is None else _doubles(shift))

    def forward(self, logits):
        """Return log-probabilities ``(n, n_classes)``, float64."""
        # In float32, because onnxruntime has no softplus of float64.
        if self.map is not None:
            logits = getattr(self.loss, self.map)(logits)
        logits = logits.double() / self.temperature
        return F.log_softmax(logits if self.shift is None else logits + self.shift, dim=1)


class Unstandardized(nn.Module):
    """Turn the output of a regressor into values in the unit of y.

    Parameters
    ----------
    mean, scale : float
    """

    def __init__(self, mean, scale):
        super().__init__()
        # float32 would lose the differences of values that are far from zero; the exporter writes
        # Python's numbers as float32.
        self.register_buffer("mean", _doubles(mean))
        self.register_buffer("scale", _doubles(scale))

    def forward(self, outputs):
        """Return values ``(n,)``, float64."""
        return outputs[:, 0].double() * self.scale + self.mean


class Spread(nn.Module):
    """Move values away from a centre, within bounds.

    Parameters
    ----------
    correction : SpreadCorrection
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, correction):
        super().__init__()
        for name in ("slope", "centre", "low", "high"):
            self.register_buffer(name, _doubles(getattr(correction, name)))
        self.holds_all = correction.holds_all

    def forward(self, values):
        """Return values ``(n,)``, float64."""
        moved = self.centre + self.slope * (values - self.centre)
        if self.holds_all:
            return torch.minimum(torch.maximum(moved, self.low), self.high)
        low, high = torch.minimum(values, self.low), torch.maximum(values, self.high)
        return torch.minimum(torch.maximum(moved, low), high)


class Classify(nn.Module):
    """Choose classes by the rules of wrappers, from the innermost to the outermost.

    Parameters
    ----------
    rules : list of DecisionRule
    """

    def __init__(self, rules):
        super().__init__()
        self.rules = rules

    def forward(self, log_proba):
        """Return class indices ``(n,)`` and probabilities ``(n, n_classes)``, float32."""
        scores = log_proba
        for rule in self.rules:
            scores = _scores(rule, log_proba)
            if rule.shifts and rule.changes_probabilities:
                log_proba = _shifted(rule, log_proba)
        return scores.argmax(dim=1), log_proba.exp().float()


def _scores(rule, log_proba):
    """Return the same as `DecisionRule.scores`."""
    shifted = _shifted(rule, log_proba)
    if rule.cost_matrix is not None:
        expected = shifted.exp() @ _doubles(rule.relative_costs)
        least = expected.amin(dim=1, keepdim=True)
        # The exporter leaves out a factor that is close to one, such as 1 + SAME.
        return -torch.where(expected - least <= least * _doubles(SAME), least, expected)
    if rule.threshold is None:
        return shifted
    positive, n_classes = rule.positive, log_proba.shape[1]
    others = shifted[:, [k for k in range(n_classes) if k != positive]]
    value = shifted[:, positive : positive + 1]
    value = (
        value - others.logsumexp(dim=1, keepdim=True) if rule.score == "log_odds" else value.exp()
    )
    gap = value - _doubles(rule.threshold)
    # Not `clamp_min(TINY)`: Python's numbers are written as float32, in which it would be zero.
    chosen = torch.where(gap >= 0, gap.maximum(_doubles(TINY)), gap)
    own = torch.arange(n_classes) == positive
    return torch.where(own, chosen, shifted - others.amax(dim=1, keepdim=True))


def _shifted(rule, log_proba):
    if not rule.shifts:
        return log_proba
    offsets = 0.0 if rule.log_offsets is None else _doubles(rule.log_offsets)
    if rule.least_log_probability is not None:
        log_proba = log_proba.maximum(_doubles(rule.least_log_probability))
    scaled = log_proba if rule.temperature == 1 else log_proba / rule.temperature
    return F.log_softmax(scaled + offsets, dim=1)


def _doubles(values):
    return torch.tensor(np.asarray(values, dtype=np.float64))
