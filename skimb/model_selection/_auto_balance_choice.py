"""Whether the numbers that AutoBalance found are better than logit adjustment, beyond noise."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from skimb.model_selection._class_numbers import class_numbers, difficulty_of_classes
from skimb.model_selection._head_search import PENALTIES, HeadSearch, calibrated_temperature

__all__ = [
    "LEAST_HELD",
    "Choice",
    "adjusted",
    "choose",
    "choose_numbers",
    "n_independent",
    "tune_tau",
]

#: With fewer samples of a class by which numbers are judged, only the strength of the logit
#: adjustment is tuned.
LEAST_HELD = 5

#: The most searches at a time.
MOST_THREADS = 4

#: Draws of the paired bootstrap, and the number of standard errors that a gain must exceed: the
#: one-sided limit of 95 %.
N_DRAWS, N_ERRORS = 200, 1.645


@dataclass
class Choice:
    """The result of a search.

    Parameters
    ----------
    chosen : {"autobalance", "logit_adjustment"}
    multiplier, offset : ndarray of shape (n_classes,)
        The numbers of the loss that is chosen.
    tau : float
        The best strength of the logit adjustment.
    results : dict
        The figures of both.
    history : list of dict
        The smooth aim at each evaluation of the search over all held-out samples.
    n_judged : ndarray of int of shape (n_classes,), default=None
        The number of groups of each class by which the numbers would be judged, where these are too
        few for a search or the numbers have no parameters.
    """

    chosen: str
    multiplier: np.ndarray
    offset: np.ndarray
    tau: float
    results: dict
    history: list
    n_judged: Any = None


def adjusted(logits, log_prior, tau):
    """Return logits for a strength of the logit adjustment.

    Parameters
    ----------
    logits : ndarray of shape (m, n_classes)
        Log-likelihoods of the classes: logits for a strength of 1.
    log_prior : ndarray of shape (n_classes,)
    tau : float

    Returns
    -------
    ndarray of shape (m, n_classes)
    """
    return logits + (1 - tau) * log_prior


def tune_tau(aim, logits, target, log_prior, grid):
    """Return the best strength of the logit adjustment.

    Parameters
    ----------
    aim : Aim
    logits : ndarray of shape (m, n_classes)
        Log-likelihoods of the classes, for held-out samples.
    target : ndarray of int of shape (m,)
    log_prior : ndarray of shape (n_classes,)
    grid : ndarray of shape (n_taus,)

    Returns
    -------
    tau : float
        Of equally good ones, that nearest to 1.
    measures : list of float
        The measure of the aim for each strength.
    """
    measures = [aim.measure(adjusted(logits, log_prior, tau), target) for tau in grid]
    best = np.flatnonzero(np.array(measures) <= min(measures) + 1e-12)
    return float(grid[best[np.abs(grid[best] - 1).argmin()]]), measures


def n_independent(target, groups, n_classes):
    """Return the number of groups of each class: samples of one group are not independent.

    Parameters
    ----------
    target : ndarray of int of shape (m,)
    groups : ndarray of shape (m,)
    n_classes : int

    Returns
    -------
    ndarray of int of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._auto_balance_choice import n_independent
    >>> n_independent(np.array([0, 0, 0, 1]), np.array([7, 7, 8, 9]), 2).tolist()
    [2, 1]
    """
    _, member = np.unique(groups, return_inverse=True)
    pairs = np.unique(np.column_stack([target, member]), axis=0)
    return np.bincount(pairs[:, 0], minlength=n_classes)


def gain_and_error(aim, better, reference, target, seed, *, groups=None):
    """Return by how much logits are better than others, and the standard error of that.

    Parameters
    ----------
    aim : Aim
    better, reference : ndarray of shape (m, n_classes)
        Logits of the same held-out samples.
    target : ndarray of int of shape (m,)
    seed : int
    groups : ndarray of shape (m,), default=None
        The group of each sample; None: each stands alone.

    Returns
    -------
    gain, error : float
        The error comes from a paired bootstrap of the groups, within each class. A group of several
        classes counts with its first one.
    """
    groups = np.arange(len(target)) if groups is None else groups
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    gain = aim.measure(reference, target) - aim.measure(better, target)
    rng = np.random.RandomState(seed)
    strata = [np.flatnonzero(target[first] == k) for k in np.unique(target[first])]
    times = np.zeros(len(first), dtype=np.intp)
    draws = []
    for _ in range(N_DRAWS):
        for own in strata:
            times[own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)))
        weight = times[member]
        draws.append(aim.measure(reference, target, weight) - aim.measure(better, target, weight))
    return gain, float(np.std(draws, ddof=1))


def choose(aim, found, tau, logits, target, log_prior, *, groups, tuned, seed, results, history):
    """Take the numbers that were found, if they gain more than noise over logit adjustment.

    Parameters
    ----------
    aim : Aim
    found : (multiplier, offset)
        The numbers of the search over all held-out samples.
    tau : float
        The best strength over all held-out samples.
    logits : (ndarray, ndarray)
        Logits of held-out samples by numbers of a search, and by a tuned strength of the logit
        adjustment, where neither has seen these samples.
    target : ndarray of int of shape (m,)
    log_prior : ndarray of shape (n_classes,)
    groups : ndarray of shape (m,)
        The group of each of these samples.
    tuned : list of float
        The measures of the grid over all held-out samples, for the results.
    seed : int
    results : dict
        Further results.
    history : list of dict

    Returns
    -------
    Choice
    """
    searched, reference = logits
    gain, error = gain_and_error(aim, searched, reference, target, seed, groups=groups)
    chosen = "autobalance" if gain > N_ERRORS * error else "logit_adjustment"
    results = {
        "autobalance": aim.measure(searched, target),
        "logit_adjustment": aim.measure(reference, target),
        "gain": gain,
        "standard_error": error,
        "tau_measures": tuned,
        **results,
    }
    multiplier, offset = found
    if chosen == "logit_adjustment":
        multiplier, offset = np.ones_like(log_prior), tau * log_prior
    return Choice(chosen, multiplier, offset, tau, results, history)


def choose_numbers(
    folds, aim, *, attributes, counts, grid, seed, n_groups=None, groups: Any = None, begin=None
):
    """Search the numbers of the classes over heads, and compare them with logit adjustment.

    Parameters
    ----------
    folds : list of Fold
        The embeddings of each network.
    aim : Aim
    attributes
        As in `class_numbers`.
    counts : ndarray of shape (n_classes,)
        The number, or the weight, of all training samples of each class.
    grid : ndarray of shape (n_taus,)
        Strengths of the logit adjustment.
    seed : int
        That of the bootstrap, and of the parts of held-out samples.
    n_groups : int, default=None
        As in `class_numbers`.
    groups : ndarray of shape (m,), default=None
        The group of each held-out sample, one fold after the other; None: each stands alone.
    begin : float, default=None
        The time from which ``"seconds"`` is counted, by `time.perf_counter`; None: now.

    Returns
    -------
    choice : Choice
    penalty : float
        The penalty of the heads.
    """
    begin = time.perf_counter() if begin is None else begin
    n_classes = len(counts)
    log_prior = np.log(counts / counts.sum())
    target = np.concatenate([fold.target for fold in folds])
    groups = np.arange(len(target)) if groups is None else groups
    n_judged = n_independent(target, groups, n_classes)
    penalty, logits, temperature, of_network = _plain_heads(folds, aim, log_prior)
    tau, tuned = tune_tau(aim, logits, target, log_prior, grid)

    def numbers_by(mask):
        """Return the numbers of the classes by the difficulty in some of the samples."""
        difficulty = difficulty_of_classes(
            logits[mask] / temperature,
            target[mask],
            n_classes,
            prior=np.full(n_classes, 1 / n_classes),
        )
        return class_numbers(attributes, counts, difficulty, n_groups=n_groups), difficulty

    numbers, difficulty = numbers_by(np.ones(len(target), dtype=bool))
    results = {
        "tau_grid": grid.tolist(),
        "tau_of_network": tune_tau(aim, of_network, target, log_prior, grid)[0],
        "penalty": penalty,
        "difficulty": difficulty.tolist(),
    }
    parts = _parts(folds, seed) if n_judged.min() >= LEAST_HELD else []
    if len(parts) < 2 or numbers.n_parameters == 0:
        results |= {"logit_adjustment": min(tuned), "tau_measures": tuned}
        results["seconds"] = time.perf_counter() - begin
        neutral = np.ones(n_classes)
        return (
            Choice("logit_adjustment", neutral, tau * log_prior, tau, results, [], n_judged),
            penalty,
        )

    def search_over(mask):
        """Search over some of the held-out samples, and tune the strength on the same."""
        strength, _ = tune_tau(aim, logits[mask], target[mask], log_prior, grid)
        some, own = _chosen(folds, mask), numbers_by(mask)[0]
        search = HeadSearch(some, own, aim, penalty=penalty, temperature=temperature)
        return search, search.minimize(own.nearest(strength)), strength

    masks = [np.ones(len(target), dtype=bool), *(~part for part in parts)]
    # Each search runs in a thread of its own, as it would alone.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(MOST_THREADS) as threads:
        (search, parameters, _), *others = threads.map(search_over, masks)
        history = [{"evaluation": i, "aim": value} for i, value in enumerate(search.history)]
        searched, reference = np.empty_like(logits), np.empty_like(logits)
        for judged, (other, found, strength) in zip(parts, others, strict=True):
            of_judged = HeadSearch(_chosen(folds, judged), other.numbers, aim, penalty=penalty)
            searched[judged] = of_judged.logits(*other.numbers.values(found))
            reference[judged] = adjusted(logits[judged], log_prior, strength)
    results["parameters"] = dict(zip(numbers.parameter_names, parameters.tolist(), strict=True))
    found = numbers.values(parameters)
    choice = choose(
        aim,
        found,
        tau,
        (searched, reference),
        target,
        log_prior,
        groups=groups,
        tuned=tuned,
        seed=seed,
        results=results,
        history=history,
    )
    choice.results["seconds"] = time.perf_counter() - begin
    return choice, penalty


def _plain_heads(folds, aim, log_prior):
    """Return the best penalty of plain heads, their logits, and the temperature of these.

    The last result are the logits of the last layers of the networks.
    """
    target = np.concatenate([fold.target for fold in folds])
    best: Any = (np.inf, None)
    of_network: Any = None
    search = HeadSearch(folds, None, aim, penalty=PENALTIES[0])
    for penalty in PENALTIES:
        search.penalty = penalty
        logits = search.logits(np.ones_like(log_prior), log_prior)
        of_network = logits if of_network is None else of_network
        temperature = calibrated_temperature(logits, target)
        value = aim.smooth(logits / temperature, target)
        if value < best[0]:
            best = value, (penalty, logits, temperature)
    return *best[1], of_network


def _parts(folds, seed):
    """Return parts of all held-out samples, as masks: those of each network, or thirds of one's."""
    sizes = [len(fold.target) for fold in folds]
    owner = np.repeat(np.arange(len(folds)), sizes)
    if len(folds) == 1:
        owner = folds[0].thirds(seed)
    return [owner == part for part in np.unique(owner)]


def _chosen(folds, mask):
    """Return folds with some of their held-out samples; without the folds that have none."""
    ends = np.cumsum([len(fold.target) for fold in folds])
    masks = np.split(mask, ends[:-1])
    return [fold.held(own) for fold, own in zip(folds, masks, strict=True) if own.any()]
