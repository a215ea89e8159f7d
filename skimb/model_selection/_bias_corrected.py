"""Calibration of any classifier: one temperature, and one bias per class."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._bias_correction import fit_correction
from skimb._class_probabilities import class_positions, least_log_probability
from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb._params import PROBABILISTIC, StrOptions, check_sample_weight, fit_context
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._held_out_predictions import fit_and_hold_out, n_fits, read_samples
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of

__all__ = ["BiasCorrectedCalibrator"]


class BiasCorrectedCalibrator(ClassifierWrapper):
    r"""Correct the probabilities of a classifier by one temperature, and one bias per class.

    The probabilities become :math:`\mathrm{softmax}(\log p / T + b)`, where the numbers make the
    labels of samples most probable that the classifier was not trained on [1]_. The temperature
    makes all classes more or less certain together. The biases move probability from one class to
    another, which is needed after class weights, SMOTE or other resampling: a classifier that was
    trained on balanced classes gives probabilities for balanced classes, and these become
    probabilities for the class prior of y. So the decisions of the corrected classifier are the
    most probable classes, and favour the majority class as y does; costs, another class prior or
    offsets on top of it favour others.

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``. In a `sklearn.frozen.FrozenEstimator` it is used as it
        is: all samples of `fit` serve the calibration, and must not be those that it was trained
        on.
    method : {"bias_corrected", "temperature"}, default="bias_corrected"
        ``"temperature"``: no biases, so that the most probable class stays the same.
    cv : int, float, splitter, iterable or None, default=None
        How samples are held out. None: five folds. A number of folds, a splitter or pairs of
        positions: the calibration uses the probabilities of all held-out samples together, and the
        final classifier is trained on all samples. A float: this fraction of each class is held
        out (of each class's groups, where samples have them), and the classifier is trained on the
        others, once. It is not read with a `FrozenEstimator`. The predictions of a sample that a
        splitter holds out repeatedly share the weight of one.
    random_state : int, RandomState instance or None, default=None
        Drives the folds, and the classifier where it has no `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    temperature_ : float
        The number by which log-probabilities are divided; above 1 for a classifier that is too
        certain.
    biases_ : ndarray of shape (n_classes,)
        The numbers that are added after that, of mean zero. They are zero for
        ``method="temperature"``.
    predicted_prior_ : ndarray of shape (n_classes,) or None
        The class prior for which the corrected probabilities hold: the fractions of the held-out
        samples, weights included. None for ``method="temperature"``, which leaves the prior as it
        is, and if a class has no held-out samples.
    least_log_probability_ : float
        Smaller log-probabilities, such as that of zero, are raised to it first: half of the
        smallest positive probability of a held-out sample, and at most half of ``1 / n_classes``.
    n_held_out_ : ndarray of int of shape (n_classes,)
        How many held-out samples of each class there were. Samples of weight zero do not count.
    estimator_ : classifier
        The fitted classifier.
    n_features_in_ : int
        Only if the classifier has it.

    See Also
    --------
    skimb.neural_network.CNNClassifier : Its `calibration` does the same inside of a network, for
        any class prior.
    sklearn.calibration.CalibratedClassifierCV : Its method "temperature" has no biases; its methods
        "sigmoid" and "isotonic" calibrate each class for itself.

    Notes
    -----
    A class with few held-out samples says little about its bias, which is therefore shrunk: by a
    penalty worth two samples, one in the class and one outside of it. Among hundreds of samples it
    is lost. The bias of a class without held-out samples is zero; in folds, this is so for classes
    with a single sample or group. A penalty of one sample in all keeps the temperature above zero
    where all samples are classified correctly.

    Trees and neighbours give probabilities of zero, by which they mean less than their smallest
    positive ones. The logarithm of zero would outweigh all other samples, so zeros become half of
    the smallest positive probability.

    If samples were resampled before `fit`, copies of held-out samples may be trained on: equal
    images, and what skimb's samplers make lazily, are recognised, but equal rows of a table are
    not. Give the sampler to the network, or put it with the classifier into a Pipeline.

    References
    ----------
    .. [1] Alexandari et al., Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at
       Label Shift Adaptation, ICML 2020, arXiv:1901.06852.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import BiasCorrectedCalibrator
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat(["common", "rare"], [950, 50])
    >>> X = rng.normal(size=(1000, 1)) + 2 * (y == "rare")[:, None]
    >>> weighted = LogisticRegression(class_weight="balanced")
    >>> clf = BiasCorrectedCalibrator(weighted, random_state=0).fit(X, y)
    >>> weighted.fit(X, y).predict_proba(X)[:, 1].mean().round(2)
    np.float64(0.18)
    >>> clf.predict_proba(X)[:, 1].mean().round(2)
    np.float64(0.05)
    >>> clf.n_held_out_
    array([950,  50])
    """

    #: They count in the calibration too.
    __metadata_request__fit = {"sample_weight": None}

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "method": [StrOptions({"bias_corrected", "temperature"})],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, *, method="bias_corrected", cv=None, random_state=None):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier, and the correction of its probabilities.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the classifier reads.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights, at least zero. They count in the calibration, and in the training of the
            classifier where it takes weights.
        groups : array-like of shape (n,), default=None
            Samples that belong together are held out together.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the samples cannot be divided, or fewer than two classes have held-out samples of
            positive weight.

        Warns
        -----
        UserWarning
            If the classifier takes no sample weights.
        """
        self._begin()
        rng = check_random_state(self.random_state)
        samples = read_samples(self, X, y, groups)
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, samples.X, dtype=np.float64, ensure_non_negative=True
            )
        cv = cv_of(self, 5)
        metadata = self._metadata_of_training(samples, sample_weight, groups)
        task = self._begin_task(samples, n_fits(self, samples, cv))

        def check(rows):
            """Refuse held-out samples of a single class, before any training."""
            is_frozen = isinstance(self.estimator, FrozenEstimator)
            labels = self.estimator.classes_ if is_frozen else np.unique(samples.y)
            target = class_positions(samples.y, labels)
            weight = np.ones(len(target)) if sample_weight is None else sample_weight
            counts = np.bincount(target[rows][weight[rows] > 0], minlength=len(labels))
            if np.count_nonzero(counts) < 2:
                raise ValueError(
                    "A calibration needs held-out samples of at least two classes, but there are "
                    f"{counts.tolist()} of the classes {shown(labels)} (n_samples="
                    f"{len(target)} in all). Give samples of more classes, or positive weights."
                )

        held = fit_and_hold_out(
            self, samples, cv=cv, rng=rng, metadata=metadata, task=task, check=check
        )
        once = held.weights()
        weight = once if sample_weight is None else sample_weight[held.rows] * once
        n_held = np.bincount(held.target, once * (weight > 0), minlength=len(self.classes_))
        self.n_held_out_ = np.rint(n_held).astype(np.intp)
        self.least_log_probability_ = least_log_probability(held.log_proba)
        correction = fit_correction(
            np.maximum(held.log_proba, self.least_log_probability_),
            held.target,
            weight=weight,
            fits_bias=self.method == "bias_corrected",
        )
        self.temperature_, self.biases_ = correction.temperature, correction.biases
        self.predicted_prior_ = None
        if self.method == "bias_corrected":
            mass = np.bincount(held.target, weights=weight, minlength=len(self.classes_))
            # The fraction of a class without held-out samples is not known.
            self.predicted_prior_ = mass / mass.sum() if mass.all() else None
        task.call_on_fit_task_end(estimator=self)
        return self

    def __sklearn_is_fitted__(self):
        # It is set last: a fit that failed leaves nothing that looks fitted.
        return hasattr(self, "predicted_prior_")

    def decision_rule(self) -> DecisionRule:
        """Return the temperature and the biases, and the least log-probability.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        rule = DecisionRule(
            temperature=self.temperature_,
            # A temperature alone leaves the class prior as it is.
            log_offsets=self.biases_ if np.any(self.biases_) else None,
            least_log_probability=self.least_log_probability_,
        )
        # The numbers may come from a file.
        rule.check(len(self.classes_))
        return rule
