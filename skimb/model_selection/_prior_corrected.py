"""A classifier whose probabilities and decisions are moved to another class prior."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._class_prior import resolve_target_prior
from skimb._class_probabilities import class_positions, log_probabilities
from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb._params import PROBABILISTIC, StrOptions, check_sample_weight, fit_context
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._held_out_predictions import (
    fit_and_hold_out,
    fit_on_all,
    n_fits,
    read_samples,
)
from skimb.model_selection._labelled_scores import corrected, fit_to_prior
from skimb.model_selection._prior_estimation import absent_message
from skimb.model_selection._prior_solvers import most_likely_prior
from skimb.model_selection._probability_prior import prior_of_probabilities
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of

__all__ = ["PriorCorrectedClassifier"]


class PriorCorrectedClassifier(ClassifierWrapper):
    r"""Move the probabilities and the decisions of a classifier to another class prior.

    A classifier speaks for the fractions of the classes in its training. Where it is used, they may
    be others: a hospital sees more ill patients than a screening, or all classes are to count the
    same. Bayes' rule moves the probabilities without a further training:
    :math:`P'(y \mid x) \propto P(y \mid x) \, \pi'_y / \pi_y`. It holds as long as the images of
    each class are those of the training.

    The rule needs probabilities that are calibrated for a known prior. So they are calibrated
    first, on samples that the classifier was not trained on, by a temperature and a bias per class
    [1]_. This also repairs a classifier that was trained on resampled or weighted samples (SMOTE in
    a Pipeline, for instance), whose probabilities speak for a prior that nobody knows exactly.

    If samples were resampled before `fit`, copies of held-out samples may be trained on: equal
    images, and what skimb's samplers make lazily, are recognised, but equal rows of a table are
    not. Give the sampler to the network, or put it with the classifier into a Pipeline.

    Parameters
    ----------
    estimator : classifier or FrozenEstimator
        Any classifier with ``predict_proba``. A fitted one in `sklearn.frozen.FrozenEstimator` is
        used as it is, and `fit` needs samples that it was not trained on.
    target_prior : {"uniform", "sqrt", "train", "estimate"} or dict by label
        The class prior to speak for. ``"uniform"``: all classes equal, for balanced accuracy.
        ``"train"``: that of the training samples, which is `train_prior` if it is given, and
        otherwise the fractions in y, each sample counted once. ``"sqrt"``: the square roots of
        these, which lie between the two. ``"estimate"``: the same as ``"train"`` until `adapt`
        estimates it on unlabelled samples.
    train_prior : {"uniform"}, dict by label or None, default=None
        The class prior that the probabilities are taken for, and that of the training samples. With
        calibration, the held-out samples are weighted to it. None: with biases, the fractions in
        y. Without, the prior for which the probabilities hold, as `MinimumCostClassifier` finds it
        from weights, samplers, and networks that know theirs; where it is not known, `fit` refuses.
    calibration : {"bias_corrected", "temperature"} or None, default="bias_corrected"
        ``"bias_corrected"``: a temperature and one bias per class. ``"temperature"``: a temperature
        alone, which leaves the prior as it is. None: the probabilities are trusted.
    cv : int, float, splitter, iterable or None, default=None
        The samples to calibrate on. A number of folds, or a splitter: a classifier is fitted for
        each fold, and the final one on all samples. A fraction: these samples are held out (a
        fraction of the groups, where samples have them), and the classifier is fitted once, on the
        others. None: 5 folds. With a FrozenEstimator, all samples calibrate. The predictions of a
        sample that a splitter holds out repeatedly share the weight of one.
    random_state : int, RandomState instance or None, default=None
        Drives the folds, and the classifier where it has no `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    estimator_ : classifier
        The fitted classifier.
    train_prior_ : ndarray of shape (n_classes,)
        The class prior that its calibrated probabilities speak for.
    target_prior_ : ndarray of shape (n_classes,)
        The class prior that the predictions of this classifier speak for.
    predicted_prior_ : ndarray of shape (n_classes,)
        The same, by the name under which other estimators ask for it.
    temperature_ : float
        The number by which log-probabilities are divided.
    biases_ : ndarray of shape (n_classes,)
        The numbers that are added after that, by the calibration alone.
    least_log_probability_ : float or None
        Smaller log-probabilities, such as those of zero by trees, are raised to it before they are
        divided: half of the smallest positive probability. None without calibration.

    Notes
    -----
    Inside VotingClassifier, StackingClassifier, BaggingClassifier and ``cross_val_predict`` with
    probabilities, scikit-learn replaces the labels by 0, 1, and so on: priors by label are refused
    there, or are those of other classes. Put the ensemble into the wrapper instead.

    References
    ----------
    .. [1] A. Alexandari, A. Kundaje and A. Shrikumar, "Maximum Likelihood with Bias-Corrected
       Calibration is Hard-To-Beat at Label Shift Adaptation", ICML 2020. arXiv 1901.06852

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import PriorCorrectedClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["healthy", "ill"], [900, 100])
    >>> X = rng.standard_normal((1000, 2)) + 1.5 * (y == "ill")[:, None]
    >>> clf = PriorCorrectedClassifier(
    ...     LogisticRegression(), target_prior={"healthy": 0.6, "ill": 0.4}, random_state=0
    ... ).fit(X, y)
    >>> clf.train_prior_, clf.target_prior_
    (array([0.9, 0.1]), array([0.6, 0.4]))

    The prior of unlabelled samples is estimated with ``target_prior="estimate"``:

    >>> new = rng.standard_normal((400, 2)) + 1.5 * (rng.random(400) < 0.3)[:, None]
    >>> clf = PriorCorrectedClassifier(
    ...     LogisticRegression(), target_prior="estimate", random_state=0
    ... ).fit(X, y)
    >>> bool(0.2 < clf.adapt(new).target_prior_[1] < 0.4)
    True
    """

    train_prior_: Any
    target_prior_: Any

    #: They count in the calibration and in the training prior too.
    __metadata_request__fit = {"sample_weight": None}

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "target_prior": [StrOptions({"uniform", "sqrt", "train", "estimate"}), Mapping],
        "train_prior": [StrOptions({"uniform"}), Mapping, None],
        "calibration": [StrOptions({"bias_corrected", "temperature"}), None],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        target_prior,
        train_prior=None,
        calibration: str | None = "bias_corrected",
        cv: Any = None,
        random_state=None,
    ):
        self.estimator = estimator
        self.target_prior = target_prior
        self.train_prior = train_prior
        self.calibration = calibration
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
        """Fit the classifier, and calibrate it on samples that it was not trained on.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the classifier reads.
        y : array-like of shape (n,)
            Labels, in the fractions of the training prior: the samples as they were collected, not
            resampled ones.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples. They count in the calibration, where a sample of weight 2 counts
            as two, and in the training of the classifier where it takes weights. With metadata
            routing, it gets them if it requests them. Whatever prior the weighted samples have, the
            probabilities are moved from it to `target_prior`.
        groups : array-like of shape (n,), default=None
            Samples of one group stay in one fold; so do images that are equal byte for byte.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the samples cannot be divided into folds, a prior lacks a label, or the prior for
            which the probabilities hold is not known where it is needed.

        Warns
        -----
        UserWarning
            If the classifier takes no sample weights.
        """
        self._begin()
        rng = check_random_state(self.random_state)
        samples = read_samples(self, X, y, groups)
        metadata = self._metadata_of_training(samples, sample_weight, groups)
        weight = np.ones(len(samples.y))
        if sample_weight is not None:
            weight = check_sample_weight(
                sample_weight, samples.X, dtype=np.float64, ensure_non_negative=True
            )
        self._check_priors(np.unique(samples.y))
        cv = cv_of(self, 5)
        calibrates = self.calibration is not None
        task = self._begin_task(samples, n_fits(self, samples, cv) if calibrates else 1)
        given = {"rng": rng, "metadata": metadata, "task": task}
        if calibrates:
            held = fit_and_hold_out(self, samples, cv=cv, **given)
            target = class_positions(samples.y, self.classes_)
        else:
            held, target = None, fit_on_all(self, samples, **given)
        in_training = self._set_train_prior(target, weight, metadata.get("sample_weight"))
        self.temperature_, self.biases_ = 1.0, np.zeros(len(self.classes_))
        self.least_log_probability_ = None
        if held is not None:
            # `train_prior` may differ from y, and single samples are never held out in folds.
            correction, self.least_log_probability_ = fit_to_prior(
                held.log_proba,
                held.target,
                prior=self.train_prior_,
                weight=weight[held.rows] * held.weights(),
                fits_bias=self.calibration == "bias_corrected",
            )
            self.temperature_, self.biases_ = correction.temperature, correction.biases
        self.target_prior_ = self._resolved_target(self.classes_, in_training)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _check_priors(self, labels):
        """Refuse priors for other labels, before the training."""
        if isinstance(self.estimator, FrozenEstimator):
            labels = np.asarray(self.estimator.classes_)
        resolve_target_prior(self.train_prior, classes=labels, name="train_prior")
        # The training prior is not known yet.
        self._resolved_target(labels, np.full(len(labels), 1 / len(labels)))

    def _resolved_target(self, classes, train_prior) -> Any:
        if self._estimates():
            return train_prior
        return resolve_target_prior(self.target_prior, classes=classes, train_prior=train_prior)

    def _estimates(self):
        return isinstance(self.target_prior, str) and self.target_prior == "estimate"

    def _set_train_prior(self, target, weight, own_weight):
        """Set the prior of the calibrated probabilities; return that of the training samples."""
        mass = np.bincount(target, weights=weight, minlength=len(self.classes_))
        given = resolve_target_prior(self.train_prior, classes=self.classes_, name="train_prior")
        has_biases = self.calibration == "bias_corrected"
        missing = self.classes_[mass == 0]
        if len(missing) and (given is None or has_biases):
            raise ValueError(
                f"y holds no samples (of positive weight) of the classes {shown(missing)}, which "
                "the classifier knows. Give samples of every class, or `train_prior` with "
                "calibration=None."
            )
        if given is not None:
            self.train_prior_ = given
            return given
        found = prior_of_probabilities(self.estimator_, target, weight=own_weight)
        if has_biases:
            self.train_prior_ = mass / mass.sum()
        else:
            self.train_prior_ = found.known(
                self.classes_,
                f"calibration={self.calibration!r}",
                "Give them as `train_prior`, or use calibration='bias_corrected'; a network can "
                "also get a `target_prior` of its own.",
            )
        return found.train

    def adapt(self, X: Any) -> Self:
        """Estimate the class prior of unlabelled samples, and speak for it from now on.

        The prior is the most likely one of these samples, by `estimate_prior` without its interval
        and its test: call that function to know how far the estimate can be trusted. `fit` forgets
        it.

        Parameters
        ----------
        X : array-like of n samples
            Unlabelled samples, as they come where the classifier is used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `target_prior` is not "estimate", or the estimate is degenerate: a class has the
            fraction zero, and could never be predicted.
        """
        check_is_fitted(self)
        if not self._estimates():
            raise ValueError(
                f"`adapt` needs target_prior='estimate', but it is {shown(self.target_prior)}. "
                "Set it, and fit again."
            )
        log_proba = log_probabilities(self.estimator_, X)
        if not len(log_proba):
            raise ValueError("`X` has no samples. Give at least one unlabelled sample.")
        if self.least_log_probability_ is not None:
            log_proba = np.maximum(log_proba, self.least_log_probability_)
        calibrated = corrected(log_proba, 1 / self.temperature_, self.biases_)
        found = most_likely_prior(calibrated, np.log(self.train_prior_))
        if len(found.absent):
            raise ValueError(
                absent_message(self.classes_[found.absent], len(log_proba))
                + " If the class is rare but possible, give `target_prior` as a dict, with a small "
                "fraction for it."
            )
        self.target_prior_ = found.prior
        return self

    @property
    def predicted_prior_(self) -> NDArray[np.float64]:
        """The class prior that the predictions speak for."""
        return self.target_prior_

    def __sklearn_is_fitted__(self):
        # It is set last: a fit that failed leaves nothing that looks fitted.
        return hasattr(self, "target_prior_")

    def decision_rule(self) -> DecisionRule:
        """Return the temperature, and the sum of biases and of the change of the prior, as numbers.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        # Numbers of a damaged file become offsets that are not finite, which the rule refuses.
        with np.errstate(divide="ignore", invalid="ignore"):
            offsets = self.biases_ + np.log(self.target_prior_) - np.log(self.train_prior_)
        rule = DecisionRule(
            temperature=self.temperature_,
            log_offsets=offsets if offsets.any() else None,
            least_log_probability=self.least_log_probability_,
        )
        rule.check(len(self.classes_))
        return rule
