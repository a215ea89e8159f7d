"""Logits of a network become class probabilities for any prior; temperatures and biases."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from skimb._bias_correction import fit_correction
from skimb._class_prior import resolve_target_prior, shift_log_posterior
from skimb._engine import by_blocks
from skimb._messages import shown
from skimb.losses import Loss

__all__ = ["Posterior"]


class Posterior:
    """The conversion of logits into class probabilities, for any prior.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels.
    class_count : ndarray of shape (n_classes,)
        Samples of each class in y.
    loss : callable
        The loss that trained the network.
    effective_prior : ndarray of shape (n_classes,)
        The class prior of its batches.
    temperature, decision_temperature : float, default=1.0
        The numbers by which logits are divided: `temperature` where a prior is asked for,
        `decision_temperature` where none is.
    biases, decision_biases : ndarray of shape (n_classes,) or None, default=None
        Numbers that are added to the logits after the temperature, in the same two cases. None:
        zeros.
    """

    def __init__(
        self,
        classes,
        class_count,
        loss,
        effective_prior,
        *,
        temperature=1.0,
        decision_temperature=1.0,
        biases: Any = None,
        decision_biases: Any = None,
    ):
        self.classes, self.class_count = classes, class_count
        self.loss, self.effective_prior = loss, effective_prior
        self.temperature, self.decision_temperature = temperature, decision_temperature
        self.biases: Any = biases
        self.decision_biases: Any = decision_biases

    @property
    def train_prior(self):
        """The fraction of each class in y."""
        return self.class_count / self.class_count.sum()

    def resolve_prior(self, target_prior, calibration):
        """Return the prior that is asked for, or None for the decision that was trained.

        Parameters
        ----------
        target_prior, calibration
            As in `CNNClassifier`.

        Raises
        ------
        ValueError
            If that prior cannot be reached.
        """
        if target_prior is None and calibration is None:
            return None
        asked = f"target_prior={target_prior!r} with calibration={calibration!r}"
        if getattr(self.loss, "weight", None) is not None:
            raise ValueError(
                "`loss` has class weights of its own, so the class prior of its "
                f"probabilities is not known, and {asked} cannot be reached. Give the weights as "
                "`class_weight` instead."
            )
        if np.any(self.effective_prior == 0):
            raise ValueError(
                f"{asked} needs every class in the training, but `class_weight` is zero for "
                f"{shown(self.classes[self.effective_prior == 0])}, or `partial_fit` has not "
                "seen them yet."
            )
        if target_prior is None:
            return None
        return resolve_target_prior(
            target_prior, classes=self.classes, train_prior=self.train_prior
        )

    def prior_of(self, prior):
        """Return the class prior for which the probabilities hold, or None where it is not known.

        Parameters
        ----------
        prior : ndarray of shape (n_classes,) or None
            As `resolve_prior` returns it.
        """
        if prior is not None:
            return prior
        loss = self.loss
        adjusts = getattr(loss, "adjusts_prior", False) or getattr(loss, "weight", None) is not None
        return None if adjusts or _moves_decision(loss) else self.effective_prior

    def log(self, logits, prior):
        """Return log-probabilities.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
            The outputs of the network.
        prior : ndarray of shape (n_classes,) or None
            As `resolve_prior` returns it.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
        """
        logits = self._mapped(logits, prior)
        if prior is None:
            logits = logits / self.decision_temperature
            if self.decision_biases is not None:
                logits = logits + self.decision_biases
            return log_softmax(logits, axis=1)
        logits = logits / self.temperature
        if self.biases is not None:
            logits = logits + self.biases
        return shift_log_posterior(logits, source=self.effective_prior, target=prior)

    def _mapped(self, logits, prior):
        """Return the logits whose softmax is the posterior, or the decision without a prior."""
        logits = logits.astype(np.float64)
        if isinstance(self.loss, Loss):
            mapped = "decision_logits" if prior is None else "effective_logits"
            logits = by_blocks(getattr(self.loss, mapped), logits)
        return logits

    def fit_temperatures(self, logits, part):
        """Set the temperatures that make the labels of a held-out part most probable.

        scikit-learn's temperature scaling assumes the class prior of the held-out part; here the
        classes are weighted by the prior that is asked for. Labels are smoothed as in Platt
        scaling: if all samples were classified correctly, hard labels would make the temperature go
        to zero.

        `fit_correction` without biases is another fit of a temperature, with its own smoothing and
        limits, for probabilities that may be zero. This one stays as it is, so that networks keep
        the predictions of earlier versions.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
            The outputs of the network.
        part : Part
            The held-out samples, with their original weights.
        """
        n_samples, n_classes = logits.shape
        soft = np.full((n_samples, n_classes), 1 / (n_samples + n_classes))
        soft[np.arange(n_samples), part.target] = (n_samples + 1) / (n_samples + n_classes)

        def best(name, prior, counted):
            weight = _counted_weight(part, counted)

            def surprise(log_temperature):
                setattr(self, name, np.exp(log_temperature))
                return -np.average((soft * self.log(logits, prior)).sum(axis=1), weights=weight)

            found = minimize_scalar(surprise, bounds=(-5, 5), method="bounded")
            return float(np.exp(found.x))

        self.temperature = best("temperature", self.train_prior, self.train_prior)
        self.decision_temperature = self.temperature
        if not _moves_decision(self.loss):
            return
        self.decision_temperature = best("decision_temperature", None, self._decision_prior())

    def fit_biases(self, logits, part):
        """Set the temperatures, and a bias per class, in the same way; see `fit_correction`.

        The logits are moved to the prior that is asked for, and the classes are weighted by it. So
        a bias is what is left of a wrong prior: it is zero where `effective_prior` is right. The
        same biases hold for every other prior.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
            The outputs of the network.
        part : Part
            The held-out samples, with their original weights.
        """
        prior = self.train_prior
        found = fit_correction(
            self._mapped(logits, prior),
            part.target,
            weight=_counted_weight(part, prior),
            offsets=np.log(prior) - np.log(self.effective_prior),
        )
        self.temperature = self.decision_temperature = found.temperature
        self.biases = self.decision_biases = found.biases
        if not _moves_decision(self.loss):
            return
        found = fit_correction(
            self._mapped(logits, None),
            part.target,
            weight=_counted_weight(part, self._decision_prior()),
        )
        self.decision_temperature, self.decision_biases = found.temperature, found.biases

    def _decision_prior(self):
        """Return the class prior for which the decision logits of the loss are meant."""
        if getattr(self.loss, "adjusts_prior", False):
            # Such a loss balances the classes.
            return np.full(len(self.classes), 1 / len(self.classes))
        return self.effective_prior


def _counted_weight(part, prior):
    """Weigh held-out samples so that classes count by a prior, not by their held-out numbers."""
    held = np.bincount(part.target, weights=part.weight, minlength=len(prior))
    return part.weight * (prior / np.maximum(held, np.finfo(float).tiny))[part.target]


def _moves_decision(loss):
    """Return whether the decision logits of a loss differ from the logits of its posterior."""
    return isinstance(loss, Loss) and type(loss).decision_logits is not Loss.decision_logits
