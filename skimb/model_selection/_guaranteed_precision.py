"""A classifier whose precision for one class is guaranteed."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._decision_rule import DecisionRule
from skimb._groups import one_of_each
from skimb._messages import shown
from skimb._params import PROBABILISTIC, Interval, fit_context, plain_params
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._guarantee_samples import (
    HELD_OUT_FRACTION,
    calibrate,
    class_of_interest,
)
from skimb.model_selection._guarantees import (
    below,
    check_prior,
    lower_bound,
    precision_bound,
    rule_of,
)
from skimb.model_selection._held_out_predictions import n_fits, read_samples
from skimb.model_selection._precision_thresholds import (
    allowed_alarms,
    best_precision,
    candidate_ranks,
)
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of

__all__ = ["GuaranteedPrecisionClassifier"]

#: The part of the allowed errors that goes to the prior where it is estimated.
PRIOR_SHARE = 0.25


class GuaranteedPrecisionClassifier(ClassifierWrapper):
    """Be right in at least a given fraction of the predictions of a class.

    The class is predicted where its probability reaches a threshold, otherwise the most probable of
    the other classes. The threshold is the lowest of ten candidates, and so finds the most samples
    of the class, for which the precision on new samples is at least `precision`, in at least
    `confidence_level` of all calibration sets. The classifier was not trained on the calibration
    samples. This holds for any classifier and any distribution, as long as new samples of each
    class are like those of the calibration set. If no threshold qualifies, `fit` refuses, and says
    the best that can be promised.

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``. In a `sklearn.frozen.FrozenEstimator` it is used as it
        is: all samples of `fit` are calibration samples, and must not be those that it was trained
        on.
    label : label of a class, default=None
        The class that is predicted with care. None: the class with the fewest samples in y.
    precision : float, default=0.9
        The fraction of its predictions that are to be right, between 0 and 1.
    prior : float or None, default=None
        The fraction of the class among new samples, which the precision depends on. The other
        classes are taken to be mixed as in y. None: y is a random sample of the population, from
        which the prior is estimated; its lower bound of Clopper and Pearson takes a quarter of the
        allowed errors. If the classes of y were collected separately or resampled, give the prior.
    confidence_level : float, default=0.95
        The probability that the precision on new samples is as high, between 0 and 1.
    cv : float, int, splitter, iterable or None, default=None
        A float: this fraction of each class is held out for the calibration, and the classifier is
        trained on the others, once. None: a fraction of 0.3. A number of folds, a splitter or pairs
        of positions: the final classifier is trained on all samples, and the scores come from
        classifiers that were trained on parts; the guarantee is then approximate, and `fit` warns.
        It is not read with a `FrozenEstimator`.
    random_state : int, RandomState instance or None, default=None
        Drives the split, the samples that are drawn from groups, and the classifier where it has no
        `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    label_ : object
        The class that is predicted with care.
    threshold_ : float
        The least probability of the class for which it is predicted.
    prior_ : float
        The prior for which the precision is guaranteed: `prior`, or the lower bound of that of y.
        It is guaranteed for all larger priors too.
    guaranteed_recall_ : float
        A lower bound of the recall, at a confidence of `confidence_level`.
    recall_ : float
        The fraction of the calibration samples of the class that is found.
    is_exact_ : bool
        Whether the guarantee is valid as it is; with folds it is approximate.
    n_calibration_ : int
        Calibration samples of the class; with groups, those among one sample of each group.
    n_others_ : int
        Calibration samples of the other classes; with groups, those among one sample of each group.
    n_false_alarms_ : int
        Those of them for which the class is predicted.
    false_alarm_rate_ : float
        Their fraction.
    estimator_ : classifier
        The fitted classifier.

    See Also
    --------
    GuaranteedRecallClassifier : Guarantees the recall.

    Notes
    -----
    With groups, one random sample of each group counts, of whatever class, so that groups of many
    samples count as much as others. Precision, recall, prior and false alarms are all about this
    population: a random sample of a random group. Give `prior` for it too: the mean over groups of
    the fraction of the class. Where the
    classifier reads images, equal images are in one group; equal rows of a table are not
    recognised, and each of them counts.

    If the classifier is trained on samples that were resampled before, copies of calibration
    samples may be among them. Give the sampler to the classifier, or put both in a Pipeline.

    Inside VotingClassifier, StackingClassifier, BaggingClassifier and ``cross_val_predict`` with
    probabilities, scikit-learn replaces the labels by 0, 1, and so on, and `label` then means
    another class. Put the ensemble into the wrapper instead.

    Several thresholds are tried, each by an exact test of its recall and its false alarms together,
    with Bonferroni's correction.

    References
    ----------
    A. N. Angelopoulos et al., "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
    Control", arXiv 2110.01052.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import GuaranteedPrecisionClassifier
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat(["ill", "well"], [400, 4000])
    >>> X = rng.normal(size=(4400, 1)) + 3 * (y == "ill")[:, None]
    >>> clf = GuaranteedPrecisionClassifier(
    ...     LogisticRegression(), label="ill", precision=0.8, prior=0.1, random_state=0
    ... )
    >>> clf = clf.fit(X, y)
    >>> round(clf.guaranteed_recall_, 2), clf.n_false_alarms_, clf.n_others_
    (0.69, 12, 1200)
    """

    _has_own_decisions = True

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "label": "no_validation",
        "precision": [Interval(Real, 0, 1, closed="neither")],
        "prior": [Interval(Real, 0, 1, closed="neither"), None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        label: Any = None,
        precision=0.9,
        prior=None,
        confidence_level=0.95,
        cv=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.label = label
        self.precision = precision
        self.prior = prior
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
            If `label` is no class, there are too few calibration samples, or no threshold
            qualifies.

        Warns
        -----
        UserWarning
            If `cv` gives folds: the guarantee is approximate. If many calibration samples of the
            class are equal rows of a table.
        """
        self._begin()
        rng = check_random_state(self.random_state)
        samples = read_samples(self, X, y, groups)
        interest = class_of_interest(self, samples)
        asked = plain_params(self)
        prior, errors = asked.prior, 1 - asked.confidence_level
        if prior is None:
            drawn = interest.is_own
            if samples.groups is not None:
                drawn = drawn[one_of_each(samples.groups, None, rng)]
            least = lower_bound(drawn.sum(), len(drawn), 1 - PRIOR_SHARE * errors)
            # Without any sample of the class, there is nothing to promise anyway.
            prior = max(float(least), np.finfo(float).tiny)
            errors *= 1 - PRIOR_SHARE
        wanted = (
            f"a precision of {asked.precision:g} for class {shown(interest.label)}, at a prior of "
            f"{prior:.3g} and with a confidence of {asked.confidence_level:g}"
        )

        def allowed(n_own, n_others):
            return allowed_alarms(
                n_own, n_others, precision=asked.precision, prior=prior, errors=errors
            )

        def check(n_own, n_others, source):
            if (allowed(n_own, n_others) >= 0).any():
                return
            none = np.zeros(len(candidate_ranks(n_own)), dtype=int)
            best = best_precision(none, n_own, n_others, prior=prior, errors=errors)
            raise ValueError(
                f"There are too few calibration samples for {wanted}: {n_own} of the class, and "
                f"{n_others} of the other classes{source}. If no false alarm is found, these "
                f"numbers can promise a precision of at most {best:.3f}. Give more samples, above "
                "all of the other classes, or ask for less."
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
        )
        own, others, self.is_exact_ = found.own, found.others, found.is_exact
        ranks = candidate_ranks(len(own))
        thresholds = np.array([below(score) for score in np.sort(own)[-ranks]])
        alarms = len(others) - np.searchsorted(np.sort(others), thresholds)
        passes = np.flatnonzero(alarms <= allowed(len(own), len(others)))
        if not len(passes):
            best = best_precision(alarms, len(own), len(others), prior=prior, errors=errors)
            # A fit that fails leaves nothing.
            self._begin()
            raise ValueError(
                f"No threshold of this classifier guarantees {wanted}. The best that these "
                f"{len(own)} calibration samples of the class and {len(others)} of the other "
                f"classes promise is a precision of {best:.3f}. Ask for less, or give more samples "
                "or a better classifier."
            )
        chosen = passes[-1]
        self.label_ = interest.label
        self.threshold_ = float(thresholds[chosen])
        self.prior_ = float(prior)
        self.n_calibration_ = len(own)
        self.n_others_ = len(others)
        self.n_false_alarms_ = int(alarms[chosen])
        self.false_alarm_rate_ = self.n_false_alarms_ / len(others)
        self.recall_ = float((own >= self.threshold_).mean())
        # The threshold is one of several.
        level = 1 - (1 - asked.confidence_level) / len(ranks)
        self.guaranteed_recall_ = float(lower_bound(ranks[chosen], len(own), level))
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
        """Return a lower bound of the precision for another prior of the class.

        The guarantee bounds the quotient of the rate of false alarms and the recall, which do not
        depend on the prior.

        Parameters
        ----------
        prior : float
            The fraction of the class among new samples, between 0 and 1.

        Returns
        -------
        float
            The precision that is guaranteed with a confidence of `confidence_level`; for ``prior_``
            it is `precision`.

        Raises
        ------
        ValueError
            If `prior` is not between 0 and 1.
        """
        check_is_fitted(self)
        check_prior(prior)
        # It may come from a file.
        check_prior(self.prior_)
        ratio = self.prior_ / (1 - self.prior_) * (1 - self.precision) / self.precision
        return precision_bound(1.0, ratio, prior)
