"""Offsets on the log-probabilities of classes, which tune decisions for a measure."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state, indexable
from sklearn.utils.validation import check_is_fitted

from skimb._decision_rule import DecisionRule
from skimb._label_measures import MEASURES, reads_labels
from skimb._messages import shown
from skimb._params import (
    PROBABILISTIC,
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
    plain,
)
from skimb._routing import metadata_of_estimator, requesting, routes
from skimb._sub_estimators import takes_images
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._held_out_heads import fit_and_hold_out_heads
from skimb.model_selection._held_out_predictions import fit_and_hold_out, n_fits, read_samples
from skimb.model_selection._held_out_splits import folds_of
from skimb.model_selection._offset_search import can_change, shrink_offsets, tune_offsets
from skimb.model_selection._part_lengths import for_part
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of, last_step, wrapped_by
from skimb.neural_network import CNNClassifier, DecoupledClassifier

__all__ = ["TunedOffsetsClassifierCV"]

#: Samples up to which held-out log-probabilities are repeated, each time with other noise; the
#: second where their spread is computed.
MOST_NOISY, MOST_NOISY_OF_SPREAD = 50_000, 10_000
#: Folds where `cv` is None: of classifiers of images, and of others.
FOLDS_OF_IMAGES, FOLDS = 2, 5


class TunedOffsetsClassifierCV(ClassifierWrapper):
    """Tune the decisions of a classifier for a measure, by one offset for each class.

    A classifier decides for the most probable class. For a measure other than accuracy (F1 of the
    minority class, macro F1), other decisions are better. They are found after the training, by
    offsets that are added to the log-probabilities. For two classes this is a decision threshold,
    as scikit-learn's `TunedThresholdClassifierCV` finds it; offsets are for any number of classes.

    The offsets are chosen on samples that a classifier was not trained on. Those of a network are
    halved, and each half is classified by a network that was trained on the other one, for half
    the gradient steps: both together cost as much as the network itself. Heads refitted on the
    embeddings of one network would cost less, but that network has memorised all samples, and
    where it separates all of them, the offsets cannot be chosen; see `shared_network`.

    If samples were resampled before `fit`, copies of held-out samples may be trained on: equal
    images, and what skimb's samplers make lazily, are recognised, but equal rows of a table are
    not. Give the sampler to the network, or put it with the classifier into a Pipeline.

    Parameters
    ----------
    estimator : classifier, FrozenEstimator or None, default=None
        A classifier with ``predict_proba``, or a Pipeline that ends in one. None:
        ``CNNClassifier()``. A fitted classifier wrapped in `sklearn.frozen.FrozenEstimator` is used
        as it is: then the samples of `fit` must be ones that it was not trained on.
    scoring : str, scorer or None, default=None
        The measure to maximise: ``"f1_minority"``, ``"f1_macro"``, ``"balanced_accuracy"``, or a
        scorer that reads predictions alone. One that needs probabilities gets those after the
        offsets; where no offset can change its value, as with ``"roc_auc"`` of two classes, it is
        refused. None: ``"f1_minority"`` for two classes, ``"f1_macro"`` for more.
    cv : float, int, splitter, iterable or None, default=None
        The samples that the offsets are chosen on. None: all samples with a `FrozenEstimator`, two
        folds for a classifier of images, five folds for others. A number of folds, a splitter of
        scikit-learn, or pairs of positions: each fold is classified by a classifier that was
        trained on the others, and the final one is trained on all samples. A fraction: these
        samples are held out (a fraction of the groups, where samples have them), and the classifier
        is trained on the others, once. A sample that a splitter holds out repeatedly counts as
        often in the measure.
    smoothing : "auto" or float, default="auto"
        Standard deviation of noise that is added to the held-out log-probabilities. ``"auto"``: 1
        for classifiers of images that are trained on folds. Such a network differs from the final
        one, so offsets that depend on a single sample of a minority class do not suit it. For
        others 0, which is no noise.
    random_state : int, RandomState instance or None, default=None
        Drives the folds and the noise, and also the classifier where it has no `random_state`.
    shared_network : bool, default=False
        For a `DecoupledClassifier` with a linear head as `estimator`: train its network once, on
        all samples, and on the parts only last layers, of five folds where `cv` is None. That is
        much quicker than networks of halves. The features have seen the held-out samples, so their
        probabilities are too certain; the offsets were as good nevertheless where it was tried
        (coats and shirts of Fashion-MNIST, eight trainings).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    offsets_ : ndarray of shape (n_classes,)
        The offsets that are added to the log-probabilities; their mean is zero.
    offsets_spread_ : ndarray of shape (n_classes,)
        The standard error of each offset, by the jackknife over folds: the offsets are tuned again
        without each fold in turn. NaN for a class without held-out samples, and where the samples
        cannot be divided into folds. The true best offset may well be two of these away.
    n_held_out_ : ndarray of shape (n_classes,)
        The number of held-out samples of each class.
    estimator_ : classifier
        The final classifier.

    Notes
    -----
    The offset of a class of fewer than ten held-out samples is moved towards the mean of the
    offsets, the more so the larger its standard error is in comparison with its distance from that
    mean: the distance :math:`d` is multiplied by :math:`d^2 / (d^2 + s^2 / n)`, where s is the
    standard deviation of the margins within classes. A class without held-out samples keeps an
    offset of zero.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.model_selection import TunedOffsetsClassifierCV
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = TunedOffsetsClassifierCV(CNNClassifier(max_epochs=3), random_state=0).fit(X, y)
    >>> clf.offsets_.shape
    (2,)

    Any classifier will do:

    >>> from sklearn.naive_bayes import GaussianNB
    >>> flat = X.reshape(len(X), -1)
    >>> clf = TunedOffsetsClassifierCV(GaussianNB(), scoring="balanced_accuracy", random_state=0)
    >>> clf.fit(flat, y).n_held_out_
    array([1623,   81])
    """

    _parameter_constraints: dict = {
        "estimator": [
            PROBABILISTIC,
            HasMethods(["fit", "predict_log_proba"]),
            None,
        ],
        "scoring": [str, callable, None],
        "cv": CV_VALUES,
        "smoothing": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
        "shared_network": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        scoring: Any = None,
        cv: Any = None,
        smoothing: Any = "auto",
        random_state=None,
        shared_network=False,
    ):
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.smoothing = smoothing
        self.random_state = random_state
        self.shared_network = shared_network

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **metadata: Any,
    ) -> Self:
        """Choose the offsets, and train the classifier on all samples.

        Parameters
        ----------
        X : array-like of n samples
            Images in any form, or whatever the classifier reads.
        y : array-like of shape (n,)
            Labels.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split; so do images that are equal byte
            for byte. With metadata routing, the classifiers get them too, if `estimator` requests
            them.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the classifiers are trained. The measure counts each sample once.
            With metadata routing, the classifiers get them if `estimator` requests them.
        **metadata
            With metadata routing, metadata under the names that `estimator` requests, as in
            ``estimator.set_fit_request(sample_weight="weight")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If fewer than two classes can be held out, the groups cannot be divided into the folds,
            or no offset can change the value of `scoring`.
        """
        return self._fit(X, y, groups, sample_weight, metadata)

    @fit_context(prefer_skip_nested_validation=False)
    def tune_fitted(
        self,
        fitted: Any,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Choose the offsets for a classifier that was trained on these very samples before.

        It becomes ``estimator_`` and is not trained again; classifiers like `estimator` are trained
        on parts of the samples, as in `fit`. The result is that of `fit` where `fitted` is what
        `fit` would have trained.

        Parameters
        ----------
        fitted : classifier
            Fitted on X and y.
        X, y, groups, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`, or if `cv` is a fraction or `estimator` a `FrozenEstimator`: both train
            nothing on parts.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skimb.datasets import load_imbalanced_digits
        >>> from skimb.model_selection import TunedOffsetsClassifierCV
        >>> X, y = load_imbalanced_digits(return_X_y=True)
        >>> X = X.reshape(len(X), -1)
        >>> fitted = GaussianNB().fit(X, y)
        >>> clf = TunedOffsetsClassifierCV(GaussianNB(), random_state=0)
        >>> clf.tune_fitted(fitted, X, y).estimator_ is fitted
        True
        """
        if isinstance(plain(self.cv), float) or isinstance(self.estimator, FrozenEstimator):
            raise ValueError(
                "`tune_fitted` trains classifiers on parts of the samples, for which neither a "
                "fraction as `cv` nor a FrozenEstimator as `estimator` will do. Give a number of "
                "folds, and the classifier itself."
            )
        check_is_fitted(fitted)
        return self._fit(X, y, groups, sample_weight, {}, fitted)

    def _fit(self, X, y, groups, sample_weight, metadata, fitted=None):
        self._begin()
        rng = check_random_state(self.random_state)
        wrapped = wrapped_by(self)
        if self.shared_network:
            _check_has_head(wrapped)
        samples = read_samples(self, X, y, groups)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, samples.X, ensure_non_negative=True)
        given: dict = {"sample_weight": sample_weight}
        if routes():
            given["groups"] = groups
        own = metadata_of_estimator(self, given, metadata)
        _, *values = indexable(samples.X, *own.values())
        own = dict(zip(own, values, strict=True))
        is_frozen = isinstance(wrapped, FrozenEstimator)
        classes = wrapped.classes_ if is_frozen else np.unique(samples.y)
        scoring = self._scoring(samples.y, classes)
        is_network = takes_images(last_step(wrapped))
        cv = cv_of(self, FOLDS_OF_IMAGES if is_network and not self.shared_network else FOLDS)
        if isinstance(cv, Integral) and not is_frozen:
            check_divisible(samples.y, samples.groups)
        n_all = 1 if self.shared_network else n_fits(self, samples, cv)
        task = self._begin_task(samples, n_all - (fitted is not None))
        options: Any = {"cv": cv, "rng": rng, "metadata": own, "task": task, "fitted": fitted}
        if self.shared_network:
            held = fit_and_hold_out_heads(self, samples, **options)
        else:
            # The one that a fraction is held out from is the final one.
            shortened = None if isinstance(cv, float) else for_part
            held = fit_and_hold_out(self, samples, shortened=shortened, **options)
        # In the order of the samples, whatever the folds.
        order = np.argsort(held.rows, kind="stable")
        log_proba, target, folds = held.log_proba[order], held.target[order], held.folds[order]
        # A splitter may hold a sample out repeatedly.
        once = np.unique(held.rows[order], return_index=True)[1]
        self.n_held_out_ = np.bincount(target[once], minlength=len(self.classes_))
        if (self.n_held_out_ > 0).sum() < 2:
            raise ValueError(
                "Offsets are chosen on held-out samples of two classes or more, but these are all "
                f"of class {shown(self.classes_[self.n_held_out_ > 0])}. Give other samples, or "
                "another `cv`."
            )
        smoothing = self.smoothing
        if smoothing == "auto":
            smoothing = 1.0 if is_network and not held.is_exact else 0.0
        n_copies, noisy = 1, log_proba
        if smoothing > 0:
            n_copies = int(np.clip(MOST_NOISY // len(target), 1, 20))
            noisy = np.tile(log_proba, (n_copies, 1))
            noisy += smoothing * rng.standard_normal(noisy.shape)

        def tuned(copies, rows):
            """Return offsets that are tuned on some of the held-out samples."""
            chosen = np.tile(rows, copies)
            labels = self.classes_[np.tile(target, copies)[chosen]]
            return tune_offsets(noisy[: len(chosen)][chosen], labels, self.classes_, scoring)

        every = np.ones(len(target), dtype=bool)
        offsets = tuned(n_copies, every)
        self.offsets_ = shrink_offsets(offsets, log_proba[once], target[once])
        if held.is_exact:
            folds = _parts(samples, held.rows[order], rng)
        n_copies = int(np.clip(MOST_NOISY_OF_SPREAD // len(target), 1, n_copies))
        left = [
            shrink_offsets(tuned(n_copies, folds != fold), log_proba[once], target[once])
            for fold in np.unique(folds[folds >= 0])
        ]
        self.offsets_spread_ = np.full(len(self.classes_), np.nan)
        if len(left) > 1:
            spread = np.sqrt((len(left) - 1) * np.var(left, axis=0))
            self.offsets_spread_ = np.where(self.n_held_out_ > 0, spread, np.nan)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _default_estimator(self):
        return requesting(CNNClassifier(), "sample_weight", "groups")

    def _scoring(self, y, classes) -> Any:
        """Return the measure to maximise: its name, or a scorer."""
        if self.scoring is None:
            return "f1_minority" if len(classes) == 2 else "f1_macro"
        if isinstance(self.scoring, str) and self.scoring in MEASURES:
            return self.scoring
        scorer = get_scorer(self.scoring)
        if not reads_labels(scorer, y) and not can_change(scorer, y, classes):
            raise ValueError(
                f"No offset changes the value of `scoring`, {self.scoring!r}: it reads the order "
                "of the samples by their probabilities, which stays as it is. Give one of "
                f"{list(MEASURES)}, or a scorer of predicted labels or of the probabilities "
                "themselves, such as 'neg_log_loss'."
            )
        return scorer

    def decision_rule(self) -> DecisionRule:
        """Return the offsets as a `DecisionRule`, by which the classifier is exported.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        return DecisionRule(log_offsets=self.offsets_)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offsets_")


def _check_has_head(wrapped):
    """Refuse, before any training, a classifier without a last layer to train on parts."""
    if not isinstance(wrapped, DecoupledClassifier) or wrapped.head != "linear":
        raise ValueError(
            "`shared_network` trains last layers on parts of the samples, which needs a "
            f"DecoupledClassifier with head='linear' as `estimator`. Got {wrapped!r}. Wrap the "
            "network: DecoupledClassifier(CNNClassifier(), batch_sampling=None)."
        )


def check_divisible(y, groups, n_folds=None, *, n_classes=2):
    """Refuse, before any training, samples that cannot be held out.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,), int, or None
        The group of each sample; equal images are in one group.
    n_folds : int, default=None
        The number of folds that samples are divided into. None: the caller divides them.
    n_classes : int, default=2
        How many classes it must be possible to hold out.

    Raises
    ------
    ValueError
        If fewer classes have two samples or groups, or the groups cannot be divided into folds so
        that each training part holds every class.
    """
    numbers = np.arange(len(y)) if groups is None else groups
    labels = np.unique(y)
    n_groups = np.array([len(np.unique(numbers[y == label])) for label in labels])
    if (n_groups > 1).sum() < n_classes:
        raise ValueError(
            f"Class {shown(labels[n_groups.argmin()])} has a single sample or group (of n_samples="
            f"{len(y)}), and offsets are chosen on held-out samples of two classes or more. Give "
            "at least two samples or groups of every class."
        )
    if n_folds is not None:
        # Many shuffles are tried, so that it hardly depends on the seed whether one is found.
        folds_of(y, groups, n_folds, seed=0)


def _parts(samples, rows, rng):
    """Return a number for each held-out sample, by which they are divided where no fold does it."""
    groups = None if samples.groups is None else samples.groups[rows]
    parts = np.full(len(rows), -1)
    try:
        splits = folds_of(samples.y[rows], groups, FOLDS, int(rng.randint(np.iinfo(np.int32).max)))
    except ValueError:
        return np.zeros(len(rows), dtype=np.intp)
    for number, (_, held) in enumerate(splits):
        parts[held] = number
    return parts
