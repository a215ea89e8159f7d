"""The steps from images to predictions: those of a fitted estimator and of its wrappers."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb._networks import last_linear
from skimb._params import tuned_label
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier, refuse_foreign_parameters
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._heads import TauNormalizedHead
from skimb.neural_network._onnx_modules import (
    Classify,
    LinearScores,
    LogPosterior,
    RunNetwork,
    Scaled,
    Spread,
    UnitLength,
    Unstandardized,
)
from skimb.neural_network._regressor import CNNRegressor
from skimb.neural_network._vector_scaling_head import VectorScalingHead

__all__ = ["Steps", "steps_of"]

#: What can be exported, for errors.
EXPORTABLE = (
    "a fitted CNNClassifier, CNNRegressor, CNNEmbedder or DecoupledClassifier; "
    "TunedOffsetsClassifierCV, TunedThresholdClassifierCV, FixedThresholdClassifier, another "
    "wrapper with a method `decision_rule`, SpreadCorrectedRegressor, or FrozenEstimator around "
    "one; a fitted search over these; a Pipeline with one of these as the only step that acts at "
    "prediction, or a CNNEmbedder followed by a LogisticRegression or one of these"
)


@dataclass(frozen=True)
class Steps:
    """The steps from images to predictions.

    Parameters
    ----------
    source : estimator
        The fitted estimator that reads the images.
    modules : tuple of nn.Module
        They run one after the other, on float32 images of shape ``(n, C, H, W)``.
    task : {"classification", "regression", "embedding"}
        The meaning of the values that the last of them returns.
    classes : ndarray of shape (n_classes,), default=None
        Labels; the values are their log-probabilities.
    rules : tuple of DecisionRule
        The rules of wrappers, from the innermost to the outermost.
    """

    source: Any
    modules: tuple = ()
    task: str = "embedding"
    classes: Any = None
    rules: tuple = field(default=())

    @property
    def device(self):
        """The device on which the estimator predicts."""
        net = getattr(self.source, "net_", None) or self.source.estimator_.net_
        return torch.device(net.device)

    def then(self, *modules, **changes):
        """Return these steps with further modules at the end."""
        return replace(self, modules=(*self.modules, *modules), **changes)

    def complete(self):
        """Return the modules with the decision at the end."""
        if self.task != "classification":
            return self.modules
        return (*self.modules, Classify(self.rules))


def steps_of(fitted, before=None) -> Any:
    """Return the steps of a fitted estimator.

    Parameters
    ----------
    fitted : estimator
        An estimator of images, or a wrapper around one.
    before : Steps, default=None
        The steps whose embeddings it reads; None: it reads images.

    Returns
    -------
    Steps

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it is none that can be exported.
    """
    if isinstance(fitted, type) or not hasattr(fitted, "get_params"):
        raise _foreign(fitted)
    if isinstance(fitted, FrozenEstimator):
        return steps_of(fitted.estimator, before)
    if isinstance(fitted, FixedThresholdClassifier):
        # It may hold a classifier that was fitted before, and then needs no `fit`.
        inner = getattr(fitted, "estimator_", fitted.estimator)
        return _decided(fitted, steps_of(inner, before), _fixed_threshold)
    if hasattr(fitted, "fit"):
        check_is_fitted(fitted)
    if isinstance(fitted, CalibratedClassifierCV):
        raise ValueError(
            "CalibratedClassifierCV cannot be exported. Let the network calibrate itself, "
            "CNNClassifier(calibration='temperature'), or put it in a BiasCorrectedCalibrator, and "
            "export that."
        )
    if isinstance(fitted, TunedThresholdClassifierCV):
        return _decided(fitted, steps_of(fitted.estimator_, before), _tuned_threshold)
    if callable(getattr(fitted, "decision_rule", None)):
        return _decided(fitted, steps_of(fitted.estimator_, before), _own_rule)
    if callable(getattr(fitted, "spread_correction", None)):
        return steps_of(fitted.estimator_, before).then(Spread(fitted.spread_correction()))
    if hasattr(fitted, "cv_results_"):
        return _of_search(fitted, before)
    if isinstance(fitted, Pipeline):
        return _of_pipeline(fitted, before)
    for kind, make in STEPS.items():
        if isinstance(fitted, kind):
            return make(fitted, before)
    raise _foreign(fitted)


def _foreign(given):
    return ValueError(
        f"`export_onnx` takes {EXPORTABLE}. Got {given!r:.200}. Export the estimator of skimb that "
        "it holds, if it holds one."
    )


# ------------------------------------------------------------------------------ networks


def _of_classifier(fitted, before):
    posterior, prior = fitted._posterior(), fitted._prior()
    steps = _run(fitted, before)
    return steps.then(
        LogPosterior(posterior, prior), task="classification", classes=fitted.classes_
    )


def _of_regressor(fitted, before):
    return _run(fitted, before).then(
        Unstandardized(fitted.y_mean_, fitted.y_scale_), task="regression"
    )


def _run(fitted, before):
    """Return the steps up to the output of a network, which may be a head on embeddings."""
    network = RunNetwork(fitted.net_.module_)
    if before is None:
        return Steps(fitted, (network,))
    return before.then(torch.nn.Unflatten(1, fitted.image_shape_), network)


def _of_embedder(fitted, before):
    _refuse_second(fitted, before)
    if fitted.dtype != "float32":
        raise ValueError(
            f"A file of ONNX gives embeddings of float32, and the embedder has `dtype`="
            f"{fitted.dtype!r}. Set it before: embedder.set_params(dtype='float32')."
        )
    device = torch.device(fitted.net_.device)
    standardized = fitted.net_.module_
    layer = fitted._find_layer(standardized.network, device)
    steps = Steps(fitted, (RunNetwork(standardized, layer, inputs=fitted.layer == "penultimate"),))
    return steps.then(UnitLength()) if fitted.normalize else steps


def _of_decoupled(fitted, before):
    _refuse_second(fitted, before)
    refuse_foreign_parameters(fitted)
    network, head = fitted.estimator_, fitted.head_
    if isinstance(head, CNNClassifier | VectorScalingHead):
        # As in its predictions, a prior that is set after `fit` counts.
        head = copy.copy(head).set_params(target_prior=fitted.target_prior)
    layer = last_linear(
        network.module_.eval(), network.image_shape_, torch.device(network.net_.device)
    )
    embedded = Steps(fitted, (RunNetwork(network.net_.module_, layer),))
    return steps_of(head, embedded)


def _refuse_second(fitted, before):
    if before is not None:
        raise ValueError(
            f"{type(fitted).__name__} reads images, but here it follows {before.source!r:.100}, "
            "which gives embeddings. Export one of the two."
        )


# ------------------------------------------------------------------- heads on embeddings


def _of_tau_normalized(fitted, before):
    return before.then(LinearScores(fitted.weight_), task="classification", classes=fitted.classes_)


def _of_vector_scaling(fitted, before):
    _refuse_images(fitted, before)
    scores = LinearScores(*fitted.layer())
    return before.then(scores, task="classification", classes=fitted.classes_)


def _of_logistic_regression(fitted, before):
    _refuse_images(fitted, before)
    weight, bias = fitted.coef_, np.broadcast_to(fitted.intercept_, len(fitted.coef_))
    if len(weight) == 1:
        # Two classes have the weights of the second alone.
        weight, bias = np.vstack([0 * weight, weight]), np.append(0, bias)
    return before.then(LinearScores(weight, bias), task="classification", classes=fitted.classes_)


def _of_scaler(fitted, before):
    _refuse_images(fitted, before)
    return before.then(Scaled(fitted.mean_ if fitted.with_mean else None, fitted.scale_))


def _refuse_images(fitted, before):
    if before is None or before.task != "embedding":
        raise ValueError(
            f"{fitted!r:.100} is exported only where it reads the embeddings of a CNNEmbedder or "
            "of a DecoupledClassifier. Put it after one, or export a network of skimb: "
            "CNNClassifier('linear') is a linear classifier of pixels."
        )


# ------------------------------------------------------------------------------ wrappers


def _of_search(fitted, before):
    if not hasattr(fitted, "best_estimator_"):
        raise ValueError(
            f"{type(fitted).__name__} was fitted with refit={fitted.refit!r}, so it holds no "
            "estimator to export. Fit it with refit=True."
        )
    return steps_of(fitted.best_estimator_, before)


def _of_pipeline(fitted, before):
    acting = [
        step
        for _, step in fitted.steps
        # Samplers act in `fit` alone.
        if step is not None and step != "passthrough" and not _is_sampler(step)
    ]
    if not acting:
        raise ValueError(
            "The Pipeline has no step that acts at prediction. Give one that ends in a network."
        )
    for step in acting:
        if before is not None and before.task != "embedding":
            raise _foreign(fitted)
        before = steps_of(step, before)
    return before


def _is_sampler(step):
    return hasattr(step, "fit_resample") and not isinstance(step, Pipeline)


def _decided(fitted, steps, make):
    """Return the steps of the inner classifier with the rule of a wrapper at the end."""
    if steps.task != "classification":
        raise ValueError(
            f"{type(fitted).__name__} decides between classes, but its estimator is none of "
            f"classes: its task is {steps.task!r}. Export the estimator that it holds."
        )
    classes = np.asarray(getattr(fitted, "classes_", steps.classes))
    if not np.array_equal(classes, steps.classes):
        raise ValueError(
            f"{type(fitted).__name__} has the classes {shown(classes)}, but its estimator has "
            f"{shown(steps.classes)}. Let both have the same, in the same order."
        )
    rule = make(fitted, classes)
    if rule is None:
        # It leaves the decision to the classifier in it.
        return steps
    rule.check(len(classes))
    return steps.then(rules=(*steps.rules, rule))


def _own_rule(fitted, classes):
    rule = fitted.decision_rule()
    if rule is not None and not isinstance(rule, DecisionRule):
        raise ValueError(
            f"`decision_rule` of {type(fitted).__name__} must return a "
            f"skimb.model_selection.DecisionRule, or None. Got {rule!r:.100}."
        )
    return rule


def _fixed_threshold(fitted, classes):
    threshold = fitted.threshold
    if threshold == "auto":
        threshold = 0.0 if fitted.response_method == "decision_function" else 0.5
    return _threshold(fitted, threshold, fitted.pos_label, classes)


def _tuned_threshold(fitted, classes):
    return _threshold(fitted, fitted.best_threshold_, tuned_label(fitted), classes)


def _threshold(fitted, threshold, label, classes):
    is_odds = fitted.response_method == "decision_function"
    return DecisionRule(
        threshold=float(threshold),
        positive=1 if label is None else int(np.flatnonzero(classes == label)[0]),
        score="log_odds" if is_odds else "probability",
    )


#: The estimators with steps of their own.
STEPS = {
    CNNClassifier: _of_classifier,
    CNNRegressor: _of_regressor,
    CNNEmbedder: _of_embedder,
    DecoupledClassifier: _of_decoupled,
    TauNormalizedHead: _of_tau_normalized,
    VectorScalingHead: _of_vector_scaling,
    LogisticRegression: _of_logistic_regression,
    StandardScaler: _of_scaler,
}
