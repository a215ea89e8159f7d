"""Samples with labels that a classifier was not trained on, and how precisely they are known.

They calibrate the probabilities of the classifier, and say which scores each class gets.
"""

import numpy as np
from scipy.special import log_softmax

from skimb._bias_correction import Correction, fit_correction
from skimb._class_probabilities import least_log_probability

__all__ = ["LabelledScores", "fit_to_prior", "random_weights"]

#: The most by which a draw of the bootstrap may change 1 / T, as a factor.
MOST_CHANGE = 5.0


def random_weights(rng, group, n_draws):
    """Draw random sample weights that stand for other samples of the same classes.

    The weights of a class of n samples are n times a Dirichlet vector with parameter (n - 2) / n.
    So they have the mean 1 and, unlike those of the usual bootstrap, the variance 1 for any n from
    3: means over a few samples are not taken for more precise than they are. No sample has the
    weight zero, so no class vanishes.

    Parameters
    ----------
    rng : Generator
    group : ndarray of int of shape (n,)
        The class of each sample; the weights of each class sum to its number of samples.
    n_draws : int

    Returns
    -------
    ndarray of shape (n_draws, n)

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._labelled_scores import random_weights
    >>> weight = random_weights(np.random.default_rng(0), np.array([0, 1, 1, 1, 1]), 2000)
    >>> weight.mean(axis=0).round(1)
    array([1., 1., 1., 1., 1.])
    >>> weight.var(axis=0).round()
    array([0., 1., 1., 1., 1.])
    """
    counts = np.bincount(group)[group]
    # Two samples would need the parameter zero, which has no density.
    drawn = rng.standard_gamma(np.maximum(1 - 2 / counts, 0.1), size=(n_draws, len(group)))
    drawn = np.maximum(drawn, np.finfo(float).tiny)
    for k in np.unique(group):
        own = group == k
        drawn[:, own] *= own.sum() / drawn[:, own].sum(axis=1, keepdims=True)
    return drawn


def fit_to_prior(log_proba, target, *, prior, weight=None, fits_bias):
    """Fit a calibration on samples whose classes are made to count as in a prior.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Finite log-probabilities.
    target : ndarray of int of shape (n,)
        The position of the class of each sample.
    prior : ndarray of shape (n_classes,)
    weight : ndarray of shape (n,), default=None
        Sample weights.
    fits_bias : bool
        Whether there is a bias for each class.

    Returns
    -------
    correction : Correction
    least : float
        Smaller log-probabilities, such as those of zero, are to be raised to it first.
    """
    least = least_log_probability(log_proba)
    mass = np.bincount(target, weights=weight, minlength=len(prior))
    share = mass / mass.sum()
    if not np.allclose(share, prior, rtol=1e-9, atol=0):
        factor = (prior / np.where(share > 0, share, 1.0))[target]
        weight = factor if weight is None else weight * factor
    raised = np.maximum(log_proba, least)
    return fit_correction(raised, target, weight=weight, fits_bias=fits_bias), least


class LabelledScores:
    """Held-out log-probabilities with labels, and the calibration that is fitted on them.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Finite log-probabilities.
    target : ndarray of int of shape (n,)
        The position of the class of each sample; every class has samples.
    calibration : {"bias_corrected", "temperature"} or None
        What is fitted.
    train_prior : ndarray of shape (n_classes,) or None
        The class prior for which the probabilities hold, where no biases are fitted. None: the
        fractions of the labelled samples.

    Attributes
    ----------
    correction : Correction
    least : float or None
        Smaller log-probabilities, such as those of zero, are raised to it before they are
        corrected. None: nothing is fitted.
    log_prior : ndarray of shape (n_classes,)
        The logarithm of the class prior for which corrected probabilities hold.
    calibrated : ndarray of shape (n, n_classes)
        The corrected log-probabilities.
    """

    def __init__(self, log_proba, target, *, calibration, train_prior=None):
        n_samples, n_classes = log_proba.shape
        self.target, self.calibration = target, calibration
        self.counts = np.bincount(target, minlength=n_classes)
        prior = self.counts / n_samples
        if train_prior is not None and calibration != "bias_corrected":
            prior = train_prior
        self.correction, self.least = Correction(1.0, np.zeros(n_classes)), None
        if calibration is not None:
            self.correction, self.least = fit_to_prior(
                log_proba, target, prior=prior, fits_bias=calibration == "bias_corrected"
            )
        self.log_proba = self.raised(log_proba)
        self.log_prior = np.log(prior)
        self.calibrated = self.corrected(self.log_proba)

    @property
    def n_samples(self):
        """The number of labelled samples."""
        return len(self.target)

    @property
    def n_classes(self):
        """The number of classes."""
        return len(self.counts)

    def raised(self, log_proba):
        """Return log-probabilities of which none is smaller than the least one."""
        return log_proba if self.least is None else np.maximum(log_proba, self.least)

    def corrected(self, log_proba):
        """Return corrected log-probabilities.

        Parameters
        ----------
        log_proba : ndarray of shape (n, n_classes)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return corrected(
            self.raised(log_proba), 1 / self.correction.temperature, self.correction.biases
        )

    def class_means(self, scores, weight=None):
        """Return the mean scores of each class.

        Parameters
        ----------
        scores : ndarray of shape (n, n_scores)
            Scores of the labelled samples.
        weight : ndarray of shape (n,), default=None
            Sample weights, which sum to the number of samples in each class.

        Returns
        -------
        ndarray of shape (n_classes, n_scores)
        """
        weight = np.ones(self.n_samples) if weight is None else weight
        membership = np.zeros((self.n_classes, self.n_samples))
        membership[self.target, np.arange(self.n_samples)] = weight / self.counts[self.target]
        return membership @ scores

    def redrawn_corrections(self, weight):
        """Return the corrections that other labelled samples would have given.

        Each is one step of Newton's method from the correction of all samples, on the samples with
        these weights, so it costs no fit.

        Parameters
        ----------
        weight : ndarray of shape (n_draws, n)
            Sample weights, as `random_weights` gives them.

        Returns
        -------
        inverse : ndarray of shape (n_draws,)
            1 / T.
        biases : ndarray of shape (n_draws, n_classes)
        """
        inverse, biases = 1 / self.correction.temperature, self.correction.biases
        n_draws, n_classes = len(weight), self.n_classes
        if self.calibration is None:
            return np.full(n_draws, inverse), np.tile(biases, (n_draws, 1))
        logits = self.log_proba - self.log_proba.max(axis=1, keepdims=True)
        proba = np.exp(self.calibrated)
        residual = -proba
        residual[np.arange(self.n_samples), self.target] += 1
        mean = (proba * logits).sum(axis=1)
        # The scores of the log-likelihood: its derivatives by 1 / T and by the biases.
        scores = np.column_stack([(residual * logits).sum(axis=1), residual])
        hessian = np.empty((n_classes + 1, n_classes + 1))
        hessian[0, 0] = (proba * (logits - mean[:, None]) ** 2).sum()
        hessian[0, 1:] = hessian[1:, 0] = (proba * (logits - mean[:, None])).sum(axis=0)
        hessian[1:, 1:] = np.diag(proba.sum(axis=0)) - proba.T @ proba
        # The penalty of `fit_correction` has a curvature of at most one sample.
        hessian[np.arange(1, n_classes + 1), np.arange(1, n_classes + 1)] += (
            1 / np.cosh(biases / 2) ** 2
        )
        hessian[0, 0] += 1e-9 * max(hessian[0, 0], 1.0)
        by_weight = (weight - 1) @ scores
        if self.calibration == "temperature":
            steps = by_weight[:, :1] / hessian[0, 0]
            redrawn = np.tile(biases, (n_draws, 1))
        else:
            steps = np.linalg.solve(hessian, by_weight.T).T
            redrawn = biases + steps[:, 1:]
        changed = np.clip(inverse + steps[:, 0], inverse / MOST_CHANGE, inverse * MOST_CHANGE)
        return changed, redrawn


def corrected(log_proba, inverse, biases):
    """Return log-probabilities with a temperature of ``1 / inverse`` and these biases."""
    if inverse == 1 and not biases.any():
        return log_proba
    return log_softmax(log_proba * inverse + biases, axis=1)
