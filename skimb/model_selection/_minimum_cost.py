"""Decisions of the least expected cost, by Bayes' rule."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skimb._class_prior import resolve_target_prior
from skimb._cost_matrix import read_cost_matrix
from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb._params import PROBABILISTIC, StrOptions, fit_context
from skimb._warnings import warn
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._held_out_predictions import fit_on_all, read_samples
from skimb.model_selection._probability_prior import at_train_prior, prior_of_probabilities

__all__ = ["MinimumCostClassifier"]


class MinimumCostClassifier(ClassifierWrapper):
    r"""Decide for the class of the least expected cost.

    A classifier decides for the most probable class, which is best where all errors cost the same.
    Where they do not, Bayes' rule is to decide for the class j that makes
    :math:`\sum_i P(i \mid x) C_{ij}` least [1]_. Nothing is tuned, and no samples are held out: the
    decisions are as good as the probabilities are, so calibrate the classifier first.

    For two classes without costs of correct decisions, this is a threshold: the second class is
    chosen where its probability is above ``c_FP / (c_FP + c_FN)``.

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``, of images or anything else. It is fitted on all
        samples. One in a `sklearn.frozen.FrozenEstimator` is used as it is.
    cost_matrix : array-like of shape (n_classes, n_classes), DataFrame, dict or None
        The cost of each decision for each true class. An array has the true classes in its rows and
        the predicted ones in its columns, both in the order of the sorted labels: the entry
        ``[i, j]`` is the cost of predicting ``classes_[j]`` where ``classes_[i]`` is true. A
        DataFrame is read by its labels: the true ones are its index, and the predicted ones its
        columns. A dict holds ``{true: {predicted: cost}}``, where correct decisions may be left
        out. Negative costs are gains. None: each error costs 1, and the most probable class is
        chosen.
    target_prior : {"train", "uniform"}, dict or None, default=None
        The class fractions where the classifier is used. The probabilities are moved to them.
        ``"train"``: the class fractions of y, each sample counted once. A dict holds a fraction for
        each label. None: the probabilities stay as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    cost_matrix_ : ndarray of shape (n_classes, n_classes)
        The costs in the order of ``classes_``.
    estimator_ : classifier
        The fitted classifier. Where `target_prior` is given, a network of skimb without one gives
        its probabilities for the class fractions of its training here.
    log_offsets_ : ndarray of shape (n_classes,) or None
        The numbers that are added to the log-probabilities. None: they stay as they are.
    predicted_prior_ : ndarray of shape (n_classes,) or None
        The class fractions for which ``predict_proba`` holds; None where they are not known.

    Notes
    -----
    **Which prior is left behind?** Probabilities are moved from the prior for which they hold, and
    never twice. For most classifiers that is the fraction of each class in y, multiplied by
    ``sample_weight``, by ``class_weight`` and by a sampler of a Pipeline, such as SMOTE, whose
    number of samples is known. Platt scaling and isotonic calibration bring back the fractions in
    y. Naive Bayes and discriminant analysis know their prior, and so do the networks of skimb: one
    with a `target_prior` of its own holds for that prior, and the probabilities of another one are
    first moved to the class fractions of its training, whatever
    its loss and weights. A classifier for which the prior is not known is refused if `target_prior`
    is given.

    For a `FrozenEstimator`, the class fractions of y stand for those of the samples that the
    classifier was trained on, because nothing else is known; networks of skimb know theirs. So y
    must have the same fractions, as a random part of the same data has.

    Without a `target_prior`, a classifier that was trained with weights or on resampled samples
    overstates minority classes, and costs come on top: a warning says so.

    Probabilities and decisions do not agree, by design: ``predict`` is not the most probable class.
    ``decision_function`` is minus the expected cost, where the costs of each true class count from
    its cheapest decision; `predict_cost` is the expected cost itself. Among classes of equal
    expected cost, the first in the order of ``classes_`` is chosen.

    Inside VotingClassifier, StackingClassifier, BaggingClassifier and ``cross_val_predict`` with
    probabilities, scikit-learn replaces the labels by 0, 1, and so on: costs and priors by label
    are refused there, or are those of other classes. Put the ensemble into the wrapper instead.

    References
    ----------
    .. [1] C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import MinimumCostClassifier
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> y = ["ok", "ok", "ok", "crack", "ok", "ok", "crack", "crack"]
    >>> costs = {"crack": {"ok": 10}, "ok": {"crack": 1}}
    >>> clf = MinimumCostClassifier(LogisticRegression(), cost_matrix=costs).fit(X, y)
    >>> clf.predict_proba([[3.0]]).round(2)
    array([[0.26, 0.74]])
    >>> clf.predict_cost([[3.0]]).round(2)
    array([[0.74, 2.55]])
    >>> clf.predict([[3.0]])
    array(['crack'], dtype='<U5')
    """

    _has_own_decisions = True

    _parameter_constraints: dict = {
        "estimator": [PROBABILISTIC],
        "cost_matrix": "no_validation",
        "target_prior": [StrOptions({"train", "uniform"}), Mapping, None],
    }

    cost_matrix_: Any
    log_offsets_: Any
    predicted_prior_: Any

    def __init__(self, estimator, *, cost_matrix, target_prior: Any = None):
        self.estimator = estimator
        self.cost_matrix = cost_matrix
        self.target_prior = target_prior

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier on all samples; a frozen one stays as it is.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the classifier reads.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the classifier is trained, where it takes weights. With metadata
            routing, it gets them if it requests them.
        groups : array-like of shape (n,), default=None
            With metadata routing, the classifier gets them if it requests them. Nothing else reads
            them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `cost_matrix` or `target_prior` does not fit the labels, or the class fractions for
            which the probabilities hold are not known and `target_prior` is given.

        Warns
        -----
        UserWarning
            If the classifier takes no sample weights, if it overstates classes without being asked
            for a prior, or if the costs make one decision the best whatever is true.
        """
        self._begin()
        samples = read_samples(self, X, y, groups)
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        # A classifier that is not fitted is refused with its own message later.
        classes = getattr(self.estimator, "classes_", None) if is_frozen else np.unique(samples.y)
        costs = None
        if classes is not None:
            costs = read_cost_matrix(self.cost_matrix, classes)
            self._target(classes, np.full(len(classes), 1 / len(classes)))
        metadata = self._metadata_of_training(samples, sample_weight, groups)
        task = self._begin_task(samples, 1)
        target = fit_on_all(self, samples, rng=None, metadata=metadata, task=task)
        self.cost_matrix_ = costs
        self._move(target, metadata.get("sample_weight"))
        _warn_of_constant(costs, self.classes_)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _target(self, classes, train) -> Any:
        return resolve_target_prior(self.target_prior, classes=classes, train_prior=train)

    def _move(self, target, weight):
        """Set the offsets that move the probabilities to the prior that is asked for."""
        self.log_offsets_ = None
        if self.target_prior is None:
            found = prior_of_probabilities(self.estimator_, target, weight=weight)
            self.predicted_prior_ = found.prior
            if found.cause is not None:
                warn(
                    f"The probabilities hold for other class fractions than those of the training "
                    f"samples, because of {found.cause}. The costs come on top, so that the same "
                    "imbalance may be corrected twice. Put BiasCorrectedCalibrator around the "
                    "classifier, which also corrects probabilities that are too certain; or give "
                    "`target_prior`: 'train', or the class fractions where the classifier is used; "
                    "or train without that."
                )
            return
        self.estimator_ = at_train_prior(self.estimator_)
        found = prior_of_probabilities(self.estimator_, target, weight=weight)
        wanted = self._target(self.classes_, found.train)
        prior = found.known(
            self.classes_,
            "`target_prior`",
            "Leave that out, or move the probabilities by PriorCorrectedClassifier, which "
            "calibrates them, and give that classifier with target_prior=None.",
        )
        if not np.allclose(wanted, prior, rtol=1e-12, atol=0):
            self.log_offsets_ = np.log(wanted) - np.log(prior)
        self.predicted_prior_ = wanted

    def decision_rule(self) -> DecisionRule:
        """Return the offsets of the prior and the costs, as numbers.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        return DecisionRule(log_offsets=self.log_offsets_, cost_matrix=self.cost_matrix_)

    def predict_cost(self, X: Any) -> NDArray[np.float64]:
        """Return the expected cost of each decision.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the classifier reads.

        Returns
        -------
        ndarray of shape (n, n_classes)
            The entry ``[r, j]`` is the expected cost of deciding for ``classes_[j]`` for sample r.
        """
        check_is_fitted(self)
        return self.predict_proba(X) @ self.cost_matrix_

    def __sklearn_is_fitted__(self):
        # It is set last: a fit that failed leaves nothing that looks fitted.
        return hasattr(self, "predicted_prior_")


def _warn_of_constant(costs, classes):
    """Warn where one decision costs the least, whatever is true."""
    always = (costs <= costs.min(axis=1, keepdims=True)).all(axis=0)
    if len(classes) > 1 and always.any():
        warn(
            f"`cost_matrix` makes {shown(classes[always.argmax()])} a decision of the least cost "
            "whatever is true, so it is always chosen. Rows are true classes, and columns are "
            f"predicted ones. Got {shown(costs)}."
        )
