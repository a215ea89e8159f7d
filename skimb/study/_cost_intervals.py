"""Intervals of the costs of strategies: what another draw of test images could have shown."""

import numpy as np
from scipy.sparse import csr_array

from skimb._class_intervals import wilson_interval
from skimb._strategy_names import CONSTANT
from skimb.study._bootstrap import Images, number_of_resamples
from skimb.study._cost_scores import CostScores

__all__ = ["cost_interval", "cost_intervals"]


def cost_intervals(decisions):
    """Return 95 % intervals of the cost of 1000 images of each strategy.

    They are quantiles over resamples of the test images, or of their groups. An image that is
    tested in several runs is drawn with all that was decided for it. Where a class has few errors,
    or few hits, resamples have few other numbers of them: so each end is at least as far away as
    the intervals of Wilson [1]_ of the mean costs of the classes, put together as those of
    independent parts [2]_.

    Parameters
    ----------
    decisions : Decisions

    Returns
    -------
    ndarray of shape (2, n_strategies)

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       Journal of the American Statistical Association 22(158), 1927,
       doi:10.1080/01621459.1927.10502953.
    .. [2] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a
       general approach", Statistics in Medicine 27 (2008).
    """
    deployment = decisions.deployment
    found = list(decisions.outcomes.values())
    n_strategies, n_runs, n_classes = len(found), len(found[0]), len(deployment.prior)
    every = np.unique(np.concatenate([one.rows for one in found[0]]))
    rows, columns, data = [], [], []
    truth = np.zeros(len(every), dtype=int)
    for r, one in enumerate(found[0]):
        place = np.searchsorted(every, one.rows)
        truth[place] = one.truth
        for s in range(n_strategies):
            rows.append((s * n_runs + r) * n_classes + one.truth)
            columns.append(place)
            data.append(deployment.cost_matrix[one.truth, found[s][r].predicted])
        rows.append((n_strategies * n_runs + r) * n_classes + one.truth)
        columns.append(place)
        data.append(np.ones(len(place)))
    shape = n_strategies + 1, n_runs, n_classes
    parts = csr_array(
        (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))),
        shape=(int(np.prod(shape)), len(every)),
    )
    groups = None if decisions.groups is None else np.asarray(decisions.groups)[every]
    cells = None
    if n_runs == 1:
        table = np.stack([found[0][0].truth, *(one[0].predicted for one in found)], axis=1)
        cells = np.unique(table, axis=0, return_inverse=True)[1].ravel()
        cells = cells[np.argsort(found[0][0].rows, kind="stable")]
    units = np.arange(len(every)) if groups is None else groups
    n_units = np.array([len(np.unique(units[truth == k])) for k in range(n_classes)])
    # The constant calls every image the same class by its making, not by chance.
    is_constant = [decisions.chosen[name].name == CONSTANT for name in decisions.strategies]
    return _intervals(
        deployment,
        Images(parts, groups, cells=cells),
        shape,
        n_units,
        by_chance=~np.array(is_constant),
        random_state=decisions.protocol["seeds"],
    )


def cost_interval(deployment, truth, predicted):
    """Return the 95 % interval of the cost of 1000 images of one model, as `cost_intervals` does.

    Parameters
    ----------
    deployment : Deployment
    truth, predicted : ndarray of shape (n,), int
        Positions of classes.

    Returns
    -------
    low, high : float
    """
    n_classes = len(deployment.prior)
    parts = CostScores(deployment.prior, deployment.cost_matrix).parts(truth, predicted)
    low, high = _intervals(
        deployment,
        Images(parts, None, cells=truth * n_classes + predicted),
        (2, 1, n_classes),
        np.bincount(truth, minlength=n_classes),
        by_chance=np.array([True]),
        random_state=0,
    )
    return float(low[0]), float(high[0])


def _intervals(deployment, images, shape, n_units, *, by_chance, random_state):
    """Return the ends of the intervals of all strategies, of shape (2, n_strategies).

    Parameters
    ----------
    deployment : Deployment
    images : Images
        Their sums are the costs of each strategy, run and class, and then the numbers of images.
    shape : (n_strategies + 1, n_runs, n_classes)
    n_units : ndarray of shape (n_classes,), int
        The independent images, or groups, of each class.
    by_chance : ndarray of shape (n_strategies,), bool
        Whether it is chance where a strategy makes no error of a class, or no other decision.
    random_state : int or sequence of int

    Returns
    -------
    ndarray of shape (2, n_strategies)
    """
    n_resamples = number_of_resamples([images], shape[0] - 1)
    sums = images.resampled_sums(n_resamples, random_state=random_state)
    drawn = np.concatenate([_mean_costs(deployment, one.reshape(-1, *shape)) for one in sums])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    now = images.sums.reshape(1, *shape)
    cost = _mean_costs(deployment, now)[0]
    below, above = _reach_of_rates(deployment, now[0], n_units) * by_chance
    return np.stack([cost - np.maximum(cost - low, below), cost + np.maximum(high - cost, above)])


def _mean_costs(deployment, sums):
    """Return the mean cost over the runs of each strategy, of shape (n, n_strategies).

    A resample may leave a run without a class: the other runs stand for it then.
    """
    costs, support = sums[:, :-1], sums[:, -1:]
    is_there = np.broadcast_to(support > 0, costs.shape)
    means = np.divide(costs, support, out=np.zeros(costs.shape), where=is_there)
    n_there = is_there.sum(axis=2)
    of_class = means.sum(axis=2) / np.maximum(n_there, 1)
    weight = deployment.prior * (n_there > 0)
    return 1000 * (weight * of_class).sum(axis=-1) / weight.sum(axis=-1)


def _reach_of_rates(deployment, sums, n_units):
    """Return how far the cost may reach below and above, by the mean costs of the classes.

    The mean cost of a class lies between its least and its largest cost, as a rate does between 0
    and 1, and no costs between these vary more than those of hits and errors with the same mean.

    Returns
    -------
    ndarray of shape (2, n_strategies)
    """
    least, most = deployment.cost_matrix.min(axis=1), deployment.cost_matrix.max(axis=1)
    costs, support = sums[:-1].sum(axis=1), sums[-1].sum(axis=0)
    span = np.where(most > least, most - least, 1)
    rates = np.clip((costs / np.maximum(support, 1) - least) / span, 0, 1)
    low, high = wilson_interval(rates * n_units, n_units)
    weight = 1000 * deployment.prior * (most - least)
    return np.sqrt(np.square(weight * np.stack([rates - low, high - rates])).sum(axis=-1))
