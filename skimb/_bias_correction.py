r"""Calibration by one temperature and one bias per class.

The corrected probabilities are :math:`\mathrm{softmax}(\log p / T + b)`: bias-corrected temperature
scaling [1]_. A temperature alone makes all classes more or less certain together. It cannot move
probability from one class to another, as it would have to after class weights, over-sampling or
another wrong class prior; the biases can.

A bias is known only as well as its class has samples. So each one is shrunk towards zero by a
penalty that is worth a fixed number of samples, :data:`PRIOR_SAMPLES`: it decides where a class has
a few samples, and is lost among hundreds.

References
----------
.. [1] A. Alexandari, A. Kundaje and A. Shrikumar, "Maximum Likelihood with Bias-Corrected
   Calibration is Hard-To-Beat at Label Shift Adaptation", ICML 2020. arXiv 1901.06852
.. [2] S. Greenland and M. A. Mansournia, "Penalization, bias reduction, and default priors in
   logistic and related categorical and survival regressions", Statistics in Medicine 34, 2015.
   DOI 10.1002/sim.6537
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

__all__ = ["Correction", "fit_correction"]

#: The penalty on the bias of a class is worth so many samples: one in the class and one outside of
#: it, the log-F(m, m) prior of [2]_ for m = 2. The penalty of a bias b is ``m log cosh(b / 2)``.
#: Near zero, it shrinks a bias by about n / (n + m / 4), for n samples of the class that are not
#: certain; far from zero, it moves the expected number of samples by at most m / 2, so that it does
#: not hold back a large bias, as a squared penalty would. In simulations of classes of 3 to 10
#: samples, 2 was better than 0 for biases of up to 1, and within noise of 1 and 4.
PRIOR_SAMPLES = 2.0

#: The least and the largest temperature. Logarithms of zero arrive as -708: the largest
#: temperature makes these 0.65.
TEMPERATURES = (float(np.exp(-5)), float(np.exp(7)))


@dataclass(frozen=True, eq=False)
class Correction:
    """A calibration: probabilities become ``softmax(log_proba / temperature + biases)``.

    Parameters
    ----------
    temperature : float
        A positive number.
    biases : ndarray of shape (n_classes,)
        One number per class, of mean zero.
    """

    temperature: float
    biases: np.ndarray


def fit_correction(log_proba, target, *, weight=None, fits_bias=True, offsets=None):
    r"""Find the temperature and the biases that make the labels of held-out samples most probable.

    The problem is convex in 1 / T and b, and it is solved by L-BFGS-B with the exact gradient,
    always from the same start, so that equal samples give equal results.

    - The bias of a class is shrunk towards zero by a penalty that is worth two samples: see
      :data:`PRIOR_SAMPLES`. Weights count relative to each other, and the number of samples of a
      class is Kish's effective one, :math:`(\sum w)^2 / \sum w^2`. A class without samples has the
      bias zero.
    - Labels are smoothed by a total of one sample, which is distributed as the classes are: if all
      samples were classified correctly, hard labels would let the temperature go to zero. The
      number of samples of each class stays as it is.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Finite log-probabilities, or logits, of samples that the classifier was not trained on.
    target : ndarray of int of shape (n,)
        The position of the class of each sample.
    weight : ndarray of shape (n,), default=None
        Sample weights, at least zero. None: all are 1.
    fits_bias : bool, default=True
        Whether biases are fitted. Otherwise they are zero: temperature scaling.
    offsets : ndarray of shape (n_classes,), default=None
        Known numbers that are added after the temperature, such as the logarithm of the quotient of
        two class priors: :math:`\log p / T + o + b`. They are not shrunk. None: zeros.

    Returns
    -------
    Correction
        A temperature of 1 without biases if no sample has a positive weight.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._bias_correction import fit_correction
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.dirichlet([1.0, 1.0, 1.0], size=3000)
    >>> target = (rng.random(3000)[:, None] > proba.cumsum(axis=1)).sum(axis=1)
    >>> wrong = np.log(proba) * 2 + [1.0, 0.0, -1.0]
    >>> found = fit_correction(wrong, target)
    >>> round(found.temperature, 1)
    2.1
    >>> found.biases.round(1)
    array([-0.5,  0. ,  0.5])
    """
    log_proba = np.asarray(log_proba, dtype=np.float64)
    n_samples, n_classes = log_proba.shape
    offsets = np.zeros(n_classes) if offsets is None else np.asarray(offsets, dtype=np.float64)
    weight = np.ones(n_samples) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (weight > 0).any():
        return Correction(1.0, np.zeros(n_classes))
    # Weights are relative, and squares of small ones would vanish.
    weight = weight / weight.max()
    fitted = _Likelihood(log_proba, target, weight, offsets, fits_bias=fits_bias)
    lowest, highest = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    scale = fitted.scale
    bounds = [(lowest * scale[0], highest * scale[0])] + [(None, None)] * (len(scale) - 1)
    start = np.zeros(len(scale))
    start[0] = scale[0]
    found: Any = minimize(
        lambda values: fitted.value_and_gradient(values / scale, scale),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-14, "gtol": 1e-6, "maxcor": 30},
    )
    inverse, *free = found.x / scale
    return Correction(float(1 / np.clip(inverse, lowest, highest)), fitted.biases(np.array(free)))


class _Likelihood:
    """The negative penalised log-likelihood of held-out labels.

    Parameters
    ----------
    log_proba, target, weight, offsets, fits_bias
        As in `fit_correction`; weights are at most 1.
    """

    def __init__(self, log_proba, target, weight, offsets, *, fits_bias):
        n_classes = log_proba.shape[1]
        used = weight > 0
        # Rows are moved by their largest number: softmax does not change, and sums stay small.
        self.logits = log_proba[used] - log_proba[used].max(axis=1, keepdims=True)
        self.weight, self.offsets = weight[used], offsets
        target = np.asarray(target)[used]
        mass = np.bincount(target, weights=self.weight, minlength=n_classes)
        squares = np.bincount(target, weights=self.weight**2, minlength=n_classes)
        self.present = np.flatnonzero(mass > 0)
        # The effective number of samples, and the weight that one of them has.
        unit = (self.weight**2).sum() / mass.sum()
        n_effective = mass.sum() / unit
        # A smoothed label: (1 - smoothing) at its class, and the rest by `spread`.
        smoothing = 1 / (n_effective + 1)
        spread = (mass + unit / n_classes) / (mass.sum() + unit)
        self.label_mass = (1 - smoothing) * mass + smoothing * mass.sum() * spread
        own = self.logits[np.arange(len(target)), target]
        self.label_logit = float(
            self.weight @ ((1 - smoothing) * own + smoothing * (self.logits @ spread))
        )
        #: One sample of the class in units of weight, where it has samples.
        per_sample = squares[self.present] / mass[self.present]
        self.penalty = PRIOR_SAMPLES * per_sample
        self.fits_bias = fits_bias and len(self.present) > 1
        # In these units the curvature is about 1 in every direction.
        variance = self.weight @ self.logits.var(axis=1)
        scale = [np.sqrt(max(variance, unit))]
        if self.fits_bias:
            scale.extend(np.sqrt(mass[self.present] + self.penalty / 4))
        self.scale = np.array(scale)

    def biases(self, free):
        """Return the biases, of mean zero, for one free number per class that has samples."""
        biases = np.zeros(len(self.offsets))
        if self.fits_bias:
            biases[self.present] = free - free.mean()
        return biases

    def value_and_gradient(self, values, scale):
        """Return the function and its gradient by the scaled values: 1 / T, then free numbers."""
        inverse, biases = values[0], self.biases(values[1:])
        scores = inverse * self.logits + (self.offsets + biases)
        total = logsumexp(scores, axis=1)
        value = self.weight @ total - inverse * self.label_logit
        value -= (self.offsets + biases) @ self.label_mass
        proba = np.exp(scores - total[:, None]) * self.weight[:, None]
        gradient = np.empty(len(values))
        gradient[0] = (proba * self.logits).sum() - self.label_logit
        if self.fits_bias:
            shrunk = biases[self.present]
            # log cosh without overflow; at zero it is zero.
            log_cosh = np.logaddexp(shrunk / 2, -shrunk / 2) - np.log(2)
            value += self.penalty @ log_cosh
            by_bias = (proba.sum(axis=0) - self.label_mass)[self.present]
            by_bias += self.penalty / 2 * np.tanh(shrunk / 2)
            gradient[1:] = by_bias - by_bias.mean()
        return value, gradient / scale
