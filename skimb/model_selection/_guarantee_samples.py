"""Scores of calibration samples: of one class, and of all others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skimb._class_probabilities import class_positions
from skimb._groups import are_shared, one_of_each
from skimb._messages import encoding_hint, shown
from skimb._warnings import warn
from skimb.class_weight import minority_class
from skimb.model_selection._calibration_checks import warn_of_copies
from skimb.model_selection._held_out_predictions import fit_and_hold_out

__all__ = [
    "HELD_OUT_FRACTION",
    "ClassOfInterest",
    "Scores",
    "calibrate",
    "class_of_interest",
]

#: The fraction of each class that is held out where `cv` is None.
HELD_OUT_FRACTION = 0.3


@dataclass(frozen=True, eq=False)
class ClassOfInterest:
    """The class that a guarantee is about.

    Parameters
    ----------
    position : int
        Its position in ``classes_``.
    label : object
        Its label, as a type of Python where that is possible.
    is_own : ndarray of bool of shape (n,)
        Which samples of `fit` are of the class.
    """

    position: int
    label: Any
    is_own: np.ndarray


@dataclass(frozen=True, eq=False)
class Scores:
    """Probabilities of a class for samples that the classifier was not trained on.

    Parameters
    ----------
    own : ndarray of float64 of shape (n_own,)
        For samples of the class.
    others : ndarray of float64 of shape (n_others,)
        For samples of other classes.
    is_joint : ndarray of bool of shape (n_own,)
        Which of `own` were drawn as the one sample of their group, out of all its samples. These
        and `others` describe one population: a random sample of a random group.
    is_exact : bool
        Whether the final classifier gave them.
    """

    own: np.ndarray
    others: np.ndarray
    is_joint: np.ndarray
    is_exact: bool


def class_of_interest(owner, samples):
    """Return the class that the parameter `label` of a wrapper names.

    Parameters
    ----------
    owner : estimator
        The wrapper, with `label` and `estimator`.
    samples : Samples

    Returns
    -------
    ClassOfInterest

    Raises
    ------
    ValueError
        If there is no such class, or y holds labels that a frozen classifier does not know.
    """
    y = samples.y
    classes = np.unique(y)
    if isinstance(owner.estimator, FrozenEstimator):
        check_is_fitted(owner.estimator)
        classes = owner.estimator.classes_
    target = class_positions(y, classes)
    wanted = minority_class(y) if owner.label is None else owner.label
    labels = classes.tolist()
    # An array as label would be compared element by element.
    places = [k for k, one in enumerate(labels) if np.ndim(wanted) == 0 and one == wanted]
    if not places:
        raise ValueError(
            f"`label` must be one of the classes, which are {shown(labels)}, or None for the class "
            f"with the fewest samples. Got {shown(wanted)}."
            f"{encoding_hint(labels, [wanted] if np.ndim(wanted) == 0 else [])}"
        )
    position = places[0]
    return ClassOfInterest(position, labels[position], target == position)


def calibrate(owner, samples, interest, *, cv, rng, metadata, task, check, per_class=False):
    """Fit the classifier of a wrapper; return scores of samples that it was not trained on.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the parameter `estimator`.
    samples : Samples
    interest : ClassOfInterest
    cv : float, int, splitter or list of pairs
        As `cv_of` returns it.
    rng : RandomState
        The source of the split, and of the samples that are drawn from groups.
    metadata : dict
        What the classifier gets in ``fit``, by name.
    task : CallbackContext
        The task of the wrapper's fit.
    check : callable
        ``check(n_own, n_others, source)`` may refuse the numbers of calibration samples of the
        class and of the other classes, before anything is fitted. `source` is the part of a
        sentence that says where they come from.
    per_class : bool, default=False
        Whether a group of which a sample of another class was drawn gives one of the class too.

    Returns
    -------
    Scores
        Of one sample of each group.

    Warns
    -----
    UserWarning
        If they come from folds, or many of the class are equal to other samples.
    """
    drawn, n_joint = [], []
    groups = samples.groups
    # Of the groups with samples of the class, and of the others, the same fraction is held out.
    own_groups = interest.is_own if groups is None else np.isin(groups, groups[interest.is_own])

    def draw(rows):
        # A splitter may hold samples out repeatedly.
        rows = np.unique(rows)
        is_own = interest.is_own[rows]
        # Once for both classes, so that both are parts of one population.
        joint = rows if groups is None else rows[one_of_each(groups[rows], None, rng)]
        is_joint = interest.is_own[joint]
        own, others = joint[is_joint], joint[~is_joint]
        n_joint.append(len(own))
        if per_class and groups is not None:
            left = rows[is_own & ~np.isin(groups[rows], groups[own])]
            own = np.append(own, left[one_of_each(groups[left], None, rng)])
        drawn.extend((own, others))
        source = ""
        if isinstance(cv, float) and not isinstance(owner.estimator, FrozenEstimator):
            what, n_own = "samples", int(interest.is_own.sum())
            if groups is not None and are_shared(groups):
                what, n_own = "groups", len(np.unique(groups[interest.is_own]))
            source = f" (a fraction of {cv:g} is held out of {n_own} {what}, as `cv` says)"
        check(*map(len, drawn), source)

    held = fit_and_hold_out(
        owner,
        samples,
        cv=cv,
        rng=rng,
        metadata=metadata,
        task=task,
        check=draw,
        strata=own_groups.astype(np.intp),
    )
    if not held.is_exact:
        warn(
            "With folds the guarantee is approximate: the threshold was chosen with "
            "classifiers that were trained on parts of the samples, and the final classifier was "
            "trained on all of them. For an exact guarantee give a fraction as `cv`, or a fitted "
            "classifier in a FrozenEstimator together with samples that it was not trained on."
        )
    calibration = np.concatenate(drawn)
    kind = interest.is_own.astype(np.intp)
    warn_of_copies(samples, kind, calibration, {1: interest.label})
    score = np.empty(len(samples.y))
    # In reverse order: of samples that were held out repeatedly, the first prediction counts.
    score[held.rows[::-1]] = np.exp(held.log_proba[::-1, interest.position])
    own, others = (score[rows] for rows in drawn)
    return Scores(own, others, np.arange(len(own)) < n_joint[0], held.is_exact)
