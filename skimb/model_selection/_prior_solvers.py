r"""The class prior of unlabelled samples, from the probabilities that a classifier gives them.

Both solvers assume label shift: the fractions of the classes change, and the images of each class
stay as they were. Then the density of the samples is a mixture of the classes, in which the
fractions alone are unknown.

References
----------
.. [1] M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
   Priori Probabilities: A Simple Procedure", Neural Computation 14, 2002.
   DOI 10.1162/089976602753284446
.. [2] Y. Kim, P. Carbonetto, M. Stephens and M. Anitescu, "A Fast Algorithm for Maximum Likelihood
   Estimation of Mixture Proportions Using Sequential Quadratic Programming", Journal of
   Computational and Graphical Statistics 29, 2020. DOI 10.1080/10618600.2019.1689985
.. [3] Z. C. Lipton, Y.-X. Wang and A. Smola, "Detecting and Correcting for Label Shift with Black
   Box Predictors", ICML 2018. arXiv 1802.03916
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

__all__ = ["PriorFit", "matched_prior", "most_likely_prior"]

#: The most by which the mean log-likelihood may stay below its maximum.
TOLERANCE = 1e-11

#: Fractions below this number are zero.
MOST_NOTHING = 1e-9

#: Steps of EM before those of second order, which need a start that is not far off.
N_EM = 3

#: The most steps; each of them raises the likelihood.
MAX_ITER = 500


@dataclass(frozen=True, eq=False)
class PriorFit:
    """The most likely class prior.

    Parameters
    ----------
    prior : ndarray of shape (n_classes,)
        Fractions that sum to 1; those of classes that are not needed are exactly zero.
    n_iter : int
        The number of steps.
    gap : float
        A bound of how far the mean log-likelihood is below its maximum: the likelihood is concave,
        so its gradient gives one.
    """

    prior: np.ndarray
    n_iter: int
    gap: float

    @property
    def absent(self):
        """The positions of the classes whose estimated fraction is zero."""
        return np.flatnonzero(self.prior == 0)


def most_likely_prior(log_proba, log_train_prior, *, weight=None, start=None):
    r"""Maximise the likelihood of unlabelled samples by their class prior.

    The function is :math:`\sum_i w_i \log \sum_k \pi_k \, p_{ik} / \pi^{train}_k`, which is concave
    in :math:`\pi`. Its maximum is that of the EM algorithm of Saerens et al. [1]_. EM is slow where
    the classes overlap or a fraction goes to zero, so a few of its steps are followed by steps of
    second order on the non-negative numbers [2]_, which find zeros exactly. No random numbers are
    used.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Finite log-probabilities.
    log_train_prior : ndarray of shape (n_classes,)
        The logarithm of the class prior for which these probabilities hold.
    weight : ndarray of shape (n,), default=None
        Sample weights, at least zero, with a positive sum. None: all are 1.
    start : ndarray of shape (n_classes,), default=None
        Positive fractions to start from. None: all classes equal.

    Returns
    -------
    PriorFit

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._prior_solvers import most_likely_prior
    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    >>> most_likely_prior(np.log(proba), np.log([0.5, 0.5])).prior.round(8)
    array([0.45462912, 0.54537088])
    """
    n_samples, n_classes = log_proba.shape
    weight = np.ones(n_samples) if weight is None else weight
    used = weight > 0
    weight = weight[used] / weight.sum()
    log_ratio = log_proba[used] - log_train_prior
    # Rows are divided by their largest number, which changes the function by a constant.
    ratio = np.exp(log_ratio - log_ratio.max(axis=1, keepdims=True))
    prior = np.full(n_classes, 1 / n_classes) if start is None else start / start.sum()
    gap, step = np.inf, 0
    for step in range(MAX_ITER):
        mixture = ratio @ prior
        gradient = (weight / mixture) @ ratio
        # For a concave function on the simplex: L(best) <= L(prior) + max(gradient) - 1.
        gap = float(gradient.max() - 1)
        if gap <= TOLERANCE:
            break
        improved = None
        if step >= N_EM:
            improved = _second_order(ratio, weight, prior, mixture, gradient)
        if improved is None:
            improved = prior * gradient
        prior = improved / improved.sum()
    # Steps of EM alone come close to zero without reaching it. A sample that no other class can
    # explain would need a fraction of 1 / n.
    prior = np.where(prior < MOST_NOTHING, 0.0, prior)
    return PriorFit(prior / prior.sum(), step, max(gap, 0.0))


def _second_order(ratio, weight, prior, mixture, gradient):
    """Return the prior after one step of second order, or None where it does not raise L."""
    scaled = ratio * (np.sqrt(weight) / mixture)[:, None]
    hessian = scaled.T @ scaled
    # A ridge far below the precision that is asked for, as two classes may have equal columns.
    hessian[np.diag_indices_from(hessian)] += 1e-13 * hessian.trace()
    try:
        factor = np.linalg.cholesky(hessian)
        # On non-negative numbers, -L + sum has its minimum where they sum to 1. Its quadratic form
        # at the prior, x' H x / 2 - (2 gradient - 1)' x, is a problem of least squares.
        right = solve_triangular(factor, 2 * gradient - 1, lower=True, check_finite=False)
        best = nnls(factor.T, right)[0]
    except (np.linalg.LinAlgError, RuntimeError, ValueError):
        return None
    direction = best - prior
    slope = (1 - gradient) @ direction
    if not slope < 0:
        return None
    value = prior.sum() - weight @ np.log(mixture)
    size = 1.0
    for _ in range(30):
        moved = best if size == 1 else prior + size * direction
        mixed = ratio @ moved
        highest = value + 1e-4 * size * slope
        if (mixed > 0).all() and moved.sum() - weight @ np.log(mixed) <= highest:
            return moved
        size /= 2
    return None


def matched_prior(class_means, mean):
    r"""Find the class prior under which mean scores are those that were seen.

    Under label shift, the mean score of unlabelled samples is :math:`\sum_k \pi_k \mu_k`, where
    :math:`\mu_k` is that of class k among labelled ones. With predicted classes as scores,
    :math:`\mu` is the confusion matrix: black-box shift estimation [3]_. Unlike the likelihood,
    this needs no calibrated probabilities.

    Parameters
    ----------
    class_means : ndarray of shape (n_classes, n_scores)
        The mean scores of each class among labelled samples that the classifier was not trained on.
    mean : ndarray of shape (n_scores,)
        The mean scores of the unlabelled samples.

    Returns
    -------
    ndarray of shape (n_classes,)
        The fractions, at least zero and of sum 1, for which the squares of the differences have the
        least sum.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._prior_solvers import matched_prior
    >>> confusion = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> matched_prior(confusion, np.array([0.25, 0.75]) @ confusion).round(6)
    array([0.25, 0.75])
    """
    differences = (class_means - mean).T
    # For x = s pi with sum(pi) = 1, the least of |A x|^2 + (sum(x) - 1)^2 by s is a / (1 + a), for
    # a = |A pi|^2. So the direction of the least squares on non-negative numbers is exact.
    scale = max(float(np.abs(differences).max()), np.finfo(float).tiny)
    rows = np.vstack([differences / scale, np.ones(len(class_means))])
    found = nnls(rows, np.append(np.zeros(len(differences)), 1.0))[0]
    return found / found.sum()
