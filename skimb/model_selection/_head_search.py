"""The bilevel search of AutoBalance over the last layer, on embeddings that are computed once.

For given numbers of the classes, the training of a linear head is convex and has one minimum. The
aim on held-out samples is therefore a smooth function of the numbers, and its gradient is exact: by
the implicit function theorem, with one linear system that conjugate gradients solve.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from skimb.neural_network.joint_training import HeadProblem

__all__ = ["PENALTIES", "Fold", "HeadSearch"]

#: The penalties that are tried, from the last layer of the network, with a bias that moves, to
#: heads that are free.
PENALTIES = (1e4, 1.0, 0.1, 1e-2, 1e-3)

#: The ridge on the parameters of the search, measured from their start.
RIDGE = 1e-3

#: The most evaluations of the aim in a search.
MOST_EVALUATIONS = 24

#: The smooth form of decisions reads logits at this fraction of the temperature at which they are
#: calibrated, so that it is near to the decisions.
SHARPNESS = 0.5

#: The residual of the implicit gradient.
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Fold:
    """A network's embeddings: of the samples that heads are trained on, and of held-out ones.

    Parameters
    ----------
    problem : HeadProblem
        The training of a head.
    rows : ndarray of shape (m, n_axes + 1)
        Held-out embeddings along the axes of the problem.
    base : ndarray of shape (m, n_classes)
        The logits of the anchor for them.
    target : ndarray of int of shape (m,)
        The position of the class of each held-out sample.
    groups : ndarray of int of shape (m,)
        The group of each held-out sample.
    """

    problem: Any
    rows: np.ndarray
    base: np.ndarray
    target: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(
        cls,
        embedded,
        target,
        held,
        held_target,
        n_classes,
        *,
        weight=None,
        anchor=None,
        groups: Any = None,
    ):
        """Return the fold of embeddings.

        Parameters
        ----------
        embedded : ndarray of shape (n, d)
            Embeddings of the samples that heads are trained on.
        target : ndarray of int of shape (n,)
        held : ndarray of shape (m, d)
            Embeddings of samples that the network was not trained on.
        held_target : ndarray of int of shape (m,)
        n_classes : int
        weight : ndarray of shape (n,), default=None
            Weights of the samples that heads are trained on.
        anchor : (coef, intercept), default=None
            As in `HeadProblem`.
        groups : ndarray of int of shape (m,), default=None
            The group of each held-out sample; None: each stands alone.

        Returns
        -------
        Fold
        """
        groups = np.arange(len(held_target)) if groups is None else groups
        target, held_target = (np.asarray(each, np.int64) for each in (target, held_target))
        problem = HeadProblem(embedded, target, n_classes, weight=weight, anchor=anchor)
        with threadpool_limits(1, user_api="blas"):
            rows, base = problem.rows_of(held), problem.base_of(held)
        return cls(problem, rows, base, held_target, groups)

    def held(self, mask):
        """Return the fold with some of the held-out samples.

        Parameters
        ----------
        mask : ndarray of bool of shape (m,)

        Returns
        -------
        Fold
        """
        own = (self.rows[mask], self.base[mask], self.target[mask], self.groups[mask])
        return Fold(self.problem, *own)

    def thirds(self, seed):
        """Return the number, from 0 to 2, of the third of each held-out sample.

        Classes are divided evenly, and groups stay together.

        Parameters
        ----------
        seed : int

        Returns
        -------
        ndarray of int of shape (m,)
        """
        numbers = np.zeros(len(self.target), dtype=np.intp)
        folds = StratifiedGroupKFold(3, shuffle=True, random_state=seed)
        for part, (_, rows) in enumerate(folds.split(self.rows, self.target, self.groups)):
            numbers[rows] = part
        return numbers


class HeadSearch:
    """The aim on held-out samples as a function of the parameters of `ClassNumbers`.

    Parameters
    ----------
    folds : list of Fold
    numbers : ClassNumbers
    aim : Aim
    penalty : float
        The penalty of the heads.
    temperature : float, default=1.0
        The number by which held-out logits are divided so that they are calibrated. It changes no
        decision.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._aims import build_aim
    >>> from skimb.model_selection._class_numbers import class_numbers
    >>> from skimb.model_selection._head_search import Fold, HeadSearch
    >>> rng = np.random.RandomState(0)
    >>> target = (rng.rand(400) < 0.1).astype(int)
    >>> X = rng.randn(400, 3) * (1 + target[:, np.newaxis]) + target[:, np.newaxis]
    >>> fold = Fold.of(X[:200], target[:200], X[200:], target[200:], 2)
    >>> numbers, aim = class_numbers("free", [360, 40]), build_aim("balanced", np.arange(2))
    >>> search = HeadSearch([fold], numbers, aim, penalty=1e-2)
    >>> start = search.value_and_gradient(numbers.start())[0]
    >>> found = search.minimize(numbers.start())
    >>> bool(search.value_and_gradient(found)[0] < start)
    True
    """

    def __init__(self, folds, numbers, aim, *, penalty, temperature=1.0):
        self.folds, self.numbers, self.aim = folds, numbers, aim
        self.penalty, self.temperature = penalty, temperature
        #: The last heads: those of the next parameters are near.
        self._heads = [None] * len(folds)
        self.history = []

    def value_and_gradient(self, parameters, start=None):
        """Return the aim and its gradient by the parameters.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
        start : ndarray of shape (n_parameters,), default=None
            The parameters from which the ridge is measured; None: no ridge.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_parameters,)
        """
        leaf = torch.tensor(parameters, dtype=torch.float64, device="cpu", requires_grad=True)
        outputs = self.numbers(leaf)
        multiplier, offset = (output.detach().numpy() for output in outputs)
        share = 1 / len(self.folds)
        value, slopes = 0.0, np.zeros((2, len(multiplier)))
        with threadpool_limits(1, user_api="blas"):
            for i, fold in enumerate(self.folds):
                own, of_fold = self._of_fold(i, fold, multiplier, offset)
                value += share * own
                slopes += share * of_fold
        torch.autograd.backward(outputs, [torch.from_numpy(slope) for slope in slopes])
        gradient = np.asarray(leaf.grad)
        if start is not None:
            value += RIDGE / 2 * float(((parameters - start) ** 2).sum())
            gradient = gradient + RIDGE * (parameters - start)
        return value, gradient

    def _of_fold(self, i, fold, multiplier, offset):
        """Return the aim of one fold, and its derivatives by multipliers and offsets."""
        problem = fold.problem
        problem.set_penalty(self.penalty)
        head = self._heads[i] = problem.solve(multiplier, self._heads[i])
        logits = problem.raw_logits(fold.rows, fold.base, head, multiplier, offset)
        value, slope = self._aim(logits, fold.target)
        here = problem.curvature(head, multiplier)
        direction = here.solve(fold.rows.T @ slope, tolerance=TOLERANCE)
        of_multiplier = -(slope * (fold.base - offset)).sum(axis=0) / multiplier**2
        of_multiplier -= here.mixed(direction)
        # Offsets move the raw logits, and not the head: it answers by its base.
        return value, np.stack([of_multiplier, -slope.sum(axis=0) / multiplier])

    def _aim(self, logits, target):
        """Return the smooth aim and its derivative by the logits."""
        values = torch.from_numpy(logits).requires_grad_(True)
        scaled = values / (SHARPNESS * self.temperature)
        value = self.aim.decisions(scaled, torch.from_numpy(target))
        value.backward()
        return float(value.detach()), np.asarray(values.grad)

    def minimize(self, start):
        """Return the parameters of the least aim that is found.

        Parameters
        ----------
        start : ndarray of shape (n_parameters,)
            The parameters to begin with, from which the ridge is measured.

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        self.history = []
        if not len(start):
            return start
        best = [np.inf, start]

        def function(parameters):
            value, gradient = self.value_and_gradient(parameters, start)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                # A line search steps back from here.
                return 1e300, np.zeros_like(gradient)
            self.history.append(value)
            if value < best[0]:
                best[:] = value, parameters.copy()
            return value, gradient

        low, high = self.numbers.bounds()
        minimize(
            function,
            np.clip(start, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxfun": MOST_EVALUATIONS, "maxiter": MOST_EVALUATIONS, "ftol": 1e-5},
        )
        return best[1]

    def logits(self, multiplier, offset):
        """Return the raw logits of all held-out samples, one fold after the other.

        Parameters
        ----------
        multiplier, offset : ndarray of shape (n_classes,)

        Returns
        -------
        ndarray of shape (m, n_classes)
        """
        made = []
        with threadpool_limits(1, user_api="blas"):
            for i, fold in enumerate(self.folds):
                fold.problem.set_penalty(self.penalty)
                head = self._heads[i] = fold.problem.solve(multiplier, self._heads[i])
                made.append(fold.problem.raw_logits(fold.rows, fold.base, head, multiplier, offset))
        return np.concatenate(made)


def calibrated_temperature(logits, target):
    """Return the temperature at which the balanced cross-entropy of logits is smallest.

    Parameters
    ----------
    logits : ndarray of shape (m, n_classes)
        Log-likelihoods of the classes.
    target : ndarray of int of shape (m,)

    Returns
    -------
    float
        Between 1/8 and 64.
    """
    counts = np.bincount(target, minlength=logits.shape[1])
    weight = 1 / counts[target]

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
        return -np.average(scaled[np.arange(len(target)), target], weights=weight)

    found = minimize_scalar(loss, bounds=(-np.log(8), np.log(64)), method="bounded")
    return float(np.exp(found.x))
