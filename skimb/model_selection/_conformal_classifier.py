"""Sets of labels that hold the true one with a set probability, for the rarest class too."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._class_probabilities import log_probabilities
from skimb._groups import one_of_each
from skimb._messages import shown
from skimb._params import PROBABILISTIC, Interval, fit_context
from skimb._warnings import warn
from skimb.model_selection._calibration_checks import ZERO, warn_of_copies, warn_of_zeros
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._conformal_ranks import conformal_quantile, least_samples
from skimb.model_selection._guarantees import below
from skimb.model_selection._held_out_predictions import fit_and_hold_out, n_fits, read_samples
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of

__all__ = ["ConformalClassifier"]

#: The fraction of samples that is held out where `cv` is None.
HELD_FRACTION = 0.25


class ConformalClassifier(ClassifierWrapper):
    r"""Predict sets of labels that cover each class as often as a confidence level says.

    A set holds every label that cannot be ruled out. Ordinary (marginal) conformal prediction
    covers the true label of most samples, and it may do so by missing the minority class nearly
    always. Here each class has a threshold of its own [1]_, so that for every class, of the samples
    that have it, at least the confidence level have it in their set. The classifier may be wrong,
    overconfident or useless: then the sets are larger, but they still cover.

    A class is in the set where its probability is at least its threshold: of the :math:`n_k`
    held-out samples of the class, the :math:`\lfloor (n_k + 1)(1 - \gamma) \rfloor`-th smallest
    probability of their own class, with the confidence level :math:`\gamma`. Of all sets that cover
    each class, those by thresholds on the true probabilities are the smallest on average [1]_.
    Labels and probabilities that are predicted are those of the classifier.

    Parameters
    ----------
    estimator : classifier
        Any classifier with ``predict_proba``. A classifier that was fitted before is given as
        ``FrozenEstimator(classifier)``, together with samples that it was not trained on.
    confidence_level : float, default=0.9
        The least fraction of the samples of each class whose set holds their class.
    interpolation : float or None, default=None
        It is about classes of so few held-out samples (fewer than 9 for 0.9, 19 for 0.95) that no
        threshold is sure. None: such a class is in every set, which is exact. A number from 0 to 1
        moves its threshold from the one that all classes would share (0) to zero (1), as in [2]_:
        the sets get smaller, and nothing is promised for this class on its own.
    cv : float, int, splitter, iterable or None, default=None
        The samples on which the thresholds are found. A fraction is held out from the training, by
        class (of the groups, where samples have them), and the classifier is not fitted again.
        None: all samples, if `estimator` is a `FrozenEstimator`; otherwise 0.25. A number of folds,
        a splitter or pairs of positions: the probabilities are those of other classifiers, trained
        on the other folds, and the final one is trained on all samples. Coverage is then
        approximate (``is_exact_`` is False).
    random_state : int, RandomState instance or None, default=None
        Drives the split, the choice of one sample of a group, and the classifier where it has no
        `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    thresholds_ : ndarray of shape (n_classes,)
        The least probability with which each class is in a set, a little lower against roundings; 0
        for a class that is in every set.
    marginal_threshold_ : float
        The threshold that all classes would share, were they not told apart.
    n_calibration_ : ndarray of shape (n_classes,), int
        The number of held-out samples of each class; of groups, where these were given.
    is_interpolated_ : ndarray of shape (n_classes,), bool
        The classes for which nothing is promised on their own.
    is_exact_ : bool
        Whether the thresholds belong to the final classifier itself.
    estimator_ : classifier
        The fitted classifier.

    See Also
    --------
    skimb.metrics.set_coverage : The coverage of each class, and the size of the sets.

    Notes
    -----
    The promise is about a new sample of a class, on average over held-out sets: with one held-out
    set of 30 samples of a class, the coverage of this class may well be 0.85 or 0.95. It needs new
    samples of each class to be like the held-out ones of this class; how common the classes are
    does not matter. A class may be in a set while another one is more probable, and a set may be
    empty: then the sample is unlike all classes.

    With groups, a group counts once in each class, by a sample chosen at random: the promise is
    about a sample of a new group. Where the classifier reads images, equal images are in one
    group.

    If samples were resampled before `fit`, copies of held-out samples may be trained on: equal
    images, and what skimb's samplers make lazily, are recognised, but equal rows of a table are
    not. Give the sampler to the network, or put it with the classifier into a Pipeline.

    With interpolation, at most :math:`2(1 - \gamma)` of all samples are not covered, if classes are
    as common as they were among the held-out samples: those missed by their own threshold, and
    those missed by the shared one. The bound is a sum, and seldom reached.

    References
    ----------
    .. [1] Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers With Bounded Error
       Levels, Journal of the American Statistical Association 2019,
       doi:10.1080/01621459.2017.1395341.
    .. [2] Ding, Fermanian and Salmon, Conformal Prediction for Long-Tailed Classification, ICLR
       2026, arXiv:2507.06867.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.model_selection import ConformalClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> rows = X.reshape(len(X), -1) / 16
    >>> clf = ConformalClassifier(LogisticRegression(max_iter=1000), random_state=0).fit(rows, y)
    >>> clf.n_calibration_.tolist()
    [406, 20]
    >>> [clf.classes_[in_set].tolist() for in_set in clf.predict_set(rows[[0, 1, 48]])]
    [[0], [0, 1], [1]]
    """

    _leaves_decisions = True

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "interpolation": [Interval(Real, 0, 1, closed="both"), None],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        confidence_level=0.9,
        interpolation=None,
        cv: Any = None,
        random_state=None,
    ):
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.interpolation = interpolation
        self.cv = cv
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier, and find the thresholds on samples that it was not trained on.

        Parameters
        ----------
        X : array-like of n samples
            In a form that `estimator` reads.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the classifier is trained. The thresholds count each sample once.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split, and count once in each class.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the samples cannot be divided, or y holds a label that a frozen classifier does not
            know.

        Warns
        -----
        UserWarning
            If a class has so few held-out samples, or so many of probability zero, that it is in
            every set. If many held-out samples of a class are equal rows of a table.
        """
        self._begin()
        rng = check_random_state(self.random_state)
        cv = cv_of(self, HELD_FRACTION)
        samples = read_samples(self, X, y, groups)
        metadata = self._metadata(samples, sample_weight, groups)
        task = self._begin_task(samples, n_fits(self, samples, cv))
        held = fit_and_hold_out(self, samples, cv=cv, rng=rng, metadata=metadata, task=task)
        self.is_exact_ = held.is_exact
        # A splitter may hold a sample out repeatedly.
        numbers = held.rows if samples.groups is None else samples.groups[held.rows]
        target = np.searchsorted(self.classes_, samples.y)
        warn_of_copies(samples, target, np.unique(held.rows), dict(enumerate(self.classes_)))
        own = np.exp(held.log_proba[np.arange(len(held.target)), held.target])
        self._find_thresholds(own, held.target, numbers, rng)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _find_thresholds(self, own, target, numbers, rng):
        """Find the least probability of each class from those that samples have of their own."""
        level, n_classes = self.confidence_level, len(self.classes_)
        chosen = one_of_each(numbers, target, rng)
        self.n_calibration_ = np.bincount(target[chosen], minlength=n_classes)
        self.thresholds_ = np.array(
            [_least(own[chosen][target[chosen] == k], level) for k in range(n_classes)]
        )
        of_all = one_of_each(numbers, None, rng)
        self.marginal_threshold_ = _least(own[of_all], level)
        is_few = self.n_calibration_ < least_samples(level)
        if self.interpolation is not None:
            self.thresholds_[is_few] = (1 - self.interpolation) * self.marginal_threshold_
        elif is_few.any():
            warn(
                f"The classes {shown(self.classes_[is_few])} have "
                f"{self.n_calibration_[is_few].tolist()} held-out samples or groups, and "
                f"confidence_level={level:g} takes at least {least_samples(level)}, so they are in "
                "every set. Give more samples of them, hold out a larger fraction (`cv`), or give "
                "a number as `interpolation`."
            )
        is_zero = ~is_few & (self.thresholds_ <= ZERO)
        if is_zero.any():
            warn_of_zeros(self.classes_[is_zero], "they are in every set")
            self.thresholds_[is_zero] = 0.0
        self.is_interpolated_ = is_few & (self.thresholds_ > 0)

    def decision_rule(self) -> None:
        """Return that decisions are those of the classifier; the sets are no part of it.

        Returns
        -------
        None
            The classifier decides, by its own rule where it has one.
        """
        check_is_fitted(self)

    def predict_set(self, X: Any) -> NDArray[np.bool_]:
        """Return which labels are in the set of each sample.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped classifier reads.

        Returns
        -------
        ndarray of bool of shape (n, n_classes)
            Columns in the order of ``classes_``; ``classes_[row]`` are the labels of a set.
        """
        check_is_fitted(self)
        return np.exp(log_probabilities(self.estimator_, X)) >= self.thresholds_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "thresholds_")

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "thresholds_"):
            _check_thresholds(self.thresholds_, len(self.classes_))


def _least(own, level):
    """Return the least probability that a conformal set needs; 0 where nothing is sure."""
    least = max(0.0, -conformal_quantile(-own, level))
    # It is one of the probabilities, which one sample and many may be rounded to differently.
    return max(0.0, below(least)) if least > 0 else 0.0


def _check_thresholds(thresholds, n_classes):
    """Refuse thresholds of a file that are none."""
    is_array = isinstance(thresholds, np.ndarray) and thresholds.dtype.kind == "f"
    if (
        not is_array
        or thresholds.shape != (n_classes,)
        or not np.all((thresholds >= 0) & (thresholds <= 1))
    ):
        raise ValueError(
            f"`thresholds_` must be {n_classes} probabilities, one for each class. Got "
            f"{thresholds!r:.200}."
        )
