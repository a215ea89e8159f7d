"""A classifier whose recall of one class is guaranteed."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb._params import PROBABILISTIC, Interval, fit_context, plain_params
from skimb.model_selection._calibration_checks import ZERO, warn_of_zeros
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._guarantee_samples import (
    HELD_OUT_FRACTION,
    calibrate,
    class_of_interest,
)
from skimb.model_selection._guarantees import (
    below,
    check_counts,
    check_prior,
    clopper_pearson,
    lower_bound,
    precision_bound,
    recall_bound,
    recall_rank,
    recall_refusal,
    recall_threshold,
    rule_of,
    upper_bound,
)
from skimb.model_selection._held_out_predictions import n_fits, read_samples
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of

__all__ = ["GuaranteedRecallClassifier"]


class GuaranteedRecallClassifier(ClassifierWrapper):
    """Find at least a given fraction of a class, with a confidence that is exact.

    The class is predicted where its probability reaches a threshold, otherwise the most probable of
    the other classes. The threshold is one of the scores of the class in a calibration set, which
    the classifier was not trained on: the largest for which the recall on new samples is at least
    `recall`, in at least `confidence_level` of all calibration sets. This holds for any classifier
    and any distribution, as long as new samples of the class are like those of the calibration set;
    the class prior may differ. If there are too few samples, `fit` refuses, and says how many it
    takes: 29, 59 and 299 of the class for a recall of 0.90, 0.95 and 0.99, with a confidence of
    95 %.

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``. In a `sklearn.frozen.FrozenEstimator` it is used as it
        is: all samples of `fit` are calibration samples, and must not be those that it was trained
        on.
    label : label of a class, default=None
        The class to be found. None: the class with the fewest samples in y.
    recall : float, default=0.9
        The fraction of its samples that is to be found, between 0 and 1.
    confidence_level : float, default=0.95
        The probability that the recall on new samples is as high, between 0 and 1.
    cv : float, int, splitter, iterable or None, default=None
        A float: this fraction of each class is held out for the calibration, and the classifier is
        trained on the others, once; it is not trained again on all samples, because then no samples
        would be left that it has not seen. None: a fraction of 0.3. A number of folds, a splitter
        or pairs of positions: the final classifier is trained on all samples, and the scores come
        from classifiers that were trained on parts; the guarantee is then approximate, and `fit`
        warns. It is not read with a `FrozenEstimator`.
    random_state : int, RandomState instance or None, default=None
        Drives the split, the samples that are drawn from groups, and the classifier where it has no
        `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    label_ : object
        The class to be found.
    threshold_ : float
        The least probability of the class for which it is predicted.
    guaranteed_recall_ : float
        The recall that is guaranteed, at least `recall`.
    is_exact_ : bool
        Whether the confidence is exact; with folds it is approximate.
    n_calibration_ : int
        Calibration samples of the class; with groups, one of each group that has any.
    rank_ : int
        The threshold is their score of this rank, the lowest being 1.
    n_joint_ : int
        Those of them that were drawn as the one sample of their group, out of all its samples.
    n_joint_lower_ : int
        The number of these of a lower rank.
    n_others_ : int
        Calibration samples of the other classes; with groups, those among one sample of each group.
    n_false_alarms_ : int
        Those of them for which the class is predicted.
    false_alarm_rate_ : float
        Their fraction; nan without samples of other classes.
    false_alarm_interval_ : tuple of float
        The interval of Clopper and Pearson of this fraction, at `confidence_level`.
    estimator_ : classifier
        The fitted classifier.

    See Also
    --------
    GuaranteedPrecisionClassifier : Guarantees the precision.

    Notes
    -----
    With groups, one random sample of each group counts. The guarantee is then about a random sample
    of the class from a random group that has any: the mean over these groups of the fraction that
    is found, in which a group with many samples counts as much as any other. False alarms, and
    `guaranteed_precision` with its prior, are about a random sample, of whatever class, of a random
    group; groups with samples of both classes count there by their fractions. Where the
    classifier reads images, equal images are in one group. Equal rows of a table are not
    recognised: each of them counts, as a sample of its own.

    If the samples were resampled before `fit`, copies of calibration samples may be among those
    that the classifier is trained on, and nothing is promised. Give the sampler to the classifier,
    or put both in a Pipeline. `fit` warns where many rows of the class are equal.

    Inside VotingClassifier, StackingClassifier, BaggingClassifier and ``cross_val_predict`` with
    probabilities, scikit-learn replaces the labels by 0, 1, and so on, and `label` then means
    another class. Put the ensemble into the wrapper instead.

    References
    ----------
    S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of
    Mathematical Statistics 12 (1941), doi:10.1214/aoms/1177731788.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import GuaranteedRecallClassifier
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat(["ill", "well"], [200, 1000])
    >>> X = rng.normal(size=(1200, 1)) + 2 * (y == "ill")[:, None]
    >>> clf = GuaranteedRecallClassifier(LogisticRegression(), label="ill", random_state=0)
    >>> clf = clf.fit(X, y)
    >>> clf.n_calibration_, clf.rank_, round(clf.guaranteed_recall_, 3)
    (60, 2, 0.923)
    >>> round(clf.false_alarm_rate_, 3)
    0.273
    """

    _has_own_decisions = True

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "label": "no_validation",
        "recall": [Interval(Real, 0, 1, closed="neither")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        label: Any = None,
        recall=0.9,
        confidence_level=0.95,
        cv=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.label = label
        self.recall = recall
        self.confidence_level = confidence_level
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
        """Fit the classifier, and choose the threshold on samples that it was not trained on.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the classifier reads.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the classifier is trained. In the calibration each sample counts
            once.
        groups : array-like of shape (n,), default=None
            Samples of one group are on one side of the split, and one of them counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `label` is no class, or there are too few calibration samples of it.

        Warns
        -----
        UserWarning
            If `cv` gives folds: the guarantee is approximate. If many calibration samples of the
            class are equal rows of a table. If the threshold is a probability of zero, so that the
            class is predicted for every sample.
        """
        self._begin()
        asked = plain_params(self)
        rng = check_random_state(self.random_state)
        samples = read_samples(self, X, y, groups)
        interest = class_of_interest(self, samples)
        what = "samples" if groups is None else "groups with samples"
        kind = f"{what} of class {shown(interest.label)}"

        def check(n_own, n_others, source):
            if recall_rank(n_own, asked.recall, asked.confidence_level) < 1:
                raise ValueError(
                    recall_refusal(n_own, asked.recall, asked.confidence_level, kind, source)
                )

        cv = cv_of(self, HELD_OUT_FRACTION)
        task = self._begin_task(samples, n_fits(self, samples, cv))
        found = calibrate(
            self,
            samples,
            interest,
            cv=cv,
            rng=rng,
            metadata=self._metadata(samples, sample_weight, groups),
            task=task,
            check=check,
            per_class=True,
        )
        own, others, self.is_exact_ = found.own, found.others, found.is_exact
        level = asked.confidence_level
        self.label_ = interest.label
        self.threshold_ = below(recall_threshold(own, asked.recall, level))
        if self.threshold_ <= ZERO:
            warn_of_zeros([self.label_], "it is predicted for every sample")
        self.n_calibration_ = len(own)
        self.rank_ = recall_rank(len(own), asked.recall, level)
        self.guaranteed_recall_ = recall_bound(len(own), self.rank_, level)
        is_lower = found.is_joint[np.argsort(own, kind="stable")[: self.rank_ - 1]]
        self.n_joint_, self.n_joint_lower_ = int(found.is_joint.sum()), int(is_lower.sum())
        self.n_others_ = len(others)
        self.n_false_alarms_ = int((others >= self.threshold_).sum())
        self.false_alarm_rate_ = self.n_false_alarms_ / len(others) if len(others) else np.nan
        self.false_alarm_interval_ = clopper_pearson(self.n_false_alarms_, len(others), level)
        task.call_on_fit_task_end(estimator=self)
        return self

    def decision_rule(self) -> DecisionRule:
        """Return the threshold on the probability of the class.

        Returns
        -------
        DecisionRule
        """
        return rule_of(self)

    def guaranteed_precision(self, prior: float) -> float:
        """Return a lower bound of the precision for a prior of the class.

        It follows from two bounds of Clopper and Pearson, of the recall and of the rate of false
        alarms, each at a confidence of ``(1 + confidence_level) / 2``. With groups, both count one
        sample of each group, out of all its samples. Where groups have samples of the class and of
        others, the bounds are those of a threshold that does not depend on the calibration samples,
        and the confidence is approximate.

        Parameters
        ----------
        prior : float
            The fraction of the class among new samples, between 0 and 1; with groups, the mean over
            groups. The other classes are taken to be mixed as in the calibration set.

        Returns
        -------
        float
            The precision that is guaranteed with a confidence of `confidence_level`.

        Raises
        ------
        ValueError
            If `prior` is not between 0 and 1.
        """
        check_is_fitted(self)
        check_prior(prior)
        check_counts(self.n_joint_lower_, self.n_joint_, "`n_joint_lower_` and `n_joint_`")
        check_counts(self.n_false_alarms_, self.n_others_, "`n_false_alarms_` and `n_others_`")
        each = (1 + self.confidence_level) / 2
        # As many as are not of a lower rank: the bound is that of a rank where all are joint.
        n_found = self.n_joint_ - self.n_joint_lower_
        recall = float(lower_bound(n_found, self.n_joint_, each))
        alarms = float(upper_bound(self.n_false_alarms_, self.n_others_, each))
        return precision_bound(recall, alarms, prior)
