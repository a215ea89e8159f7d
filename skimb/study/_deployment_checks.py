"""Checks of a deployment before any training: what is asked for must be possible."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skimb._groups import are_shared
from skimb._messages import shown
from skimb.class_weight import minority_class
from skimb.study._cost_scores import COST, FALSE_ALARMS
from skimb.study._deployment import deployment_of
from skimb.study._required_recall import check_required, parts_of_runs

__all__ = ["check_deployment", "check_names", "check_tested", "check_use"]


def check_deployment(task, runs, y_test, groups, *, deploy, costs, require):
    """Check where the strategies of a comparison will be used, before any training.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
    runs : list of Run
    y_test : ndarray of shape (n,)
        The labels of all test samples.
    groups : ndarray of shape (n,), int, or None
        Their groups.
    deploy, costs, require
        As in `skimb.study.compare`.

    Raises
    ------
    ValueError
        If the target holds numbers, or they do not fit the classes, or the test samples are
        too few.
    """
    if not hasattr(task, "classes"):
        raise ValueError(
            "`deploy`, `costs` and `require` are for classes, but y holds numbers. Leave them out."
        )
    deployment_of(task.classes, task.counts, deploy=deploy, costs=costs)
    tested = [run.test for run in runs]
    check_tested(task.classes, [np.searchsorted(task.classes, y_test[rows]) for rows in tested])
    if require is None:
        return
    for part in parts_of_runs(tested):
        rows = np.concatenate([tested[i] for i in part])
        own, kind = rows[y_test[rows] == task.minority], "test samples"
        if groups is not None and are_shared(groups[rows]):
            own, kind = np.unique(groups[own]), "groups of test samples"
        check_required(require, len(own), task.minority, kind=kind)


def check_use(
    y: ArrayLike, y_test: ArrayLike, *, deploy: Any = None, costs: Any = None, require: Any = None
) -> None:
    """Check as much of a deployment as can be known without the splits of a comparison.

    Parameters
    ----------
    y, y_test : array-like of labels
        Those of the training and of all test samples.
    deploy, costs, require
        As in `compare`.

    Raises
    ------
    ValueError
        If they do not fit the classes, or the test samples of the minority class are too few.

    Examples
    --------
    >>> from skimb.study import check_use
    >>> y = ["cat"] * 30 + ["dog"] * 70
    >>> check_use(y, y, costs={"miss": 10, "alarm": 1}, require={"recall": 0.9})
    """
    classes, counts = np.unique(y, return_counts=True)
    deployment_of(classes, counts, deploy=deploy, costs=costs)
    if require is not None:
        minority = minority_class(y)
        check_required(require, int(np.sum(np.asarray(y_test) == minority)), minority)


def check_names(metrics):
    """Refuse scorers whose names are those of the measures of a deployment.

    Parameters
    ----------
    metrics : iterable of str

    Raises
    ------
    ValueError
        If one has such a name.
    """
    for name in (COST, FALSE_ALARMS):
        if name in metrics:
            raise ValueError(
                f"A scorer has the name {name!r}, which is that of a measure of the deployment. "
                "Give it another name."
            )


def check_tested(classes, truth):
    """Refuse test samples among which a class is missing: what its errors cost is not known then.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    truth : list of ndarray of int
        The classes of the test samples of each run.

    Raises
    ------
    ValueError
        If there is none of a class.
    """
    for one in truth:
        missing = np.setdiff1d(np.arange(len(classes)), one)
        if len(missing):
            raise ValueError(
                f"A test part holds no sample of {shown(classes[missing])}, so that what errors on "
                "it cost cannot be told. Give test samples of every class, or fewer folds."
            )
