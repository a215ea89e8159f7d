"""Offsets on the log-probabilities of classes, which tune decisions for a measure."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state, indexable
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skimb._callback_tasks import begin_fit, part_of_fit
from skimb._decision_rule import DecisionRule
from skimb._groups import checked_groups, held_out_folds
from skimb._images import checked_once, fit_images
from skimb._label_measures import MEASURES, reads_labels, score_labels
from skimb._params import HasMethods, Interval, check_handed_in, fit_context, safe_indexing
from skimb._reading import view_of
from skimb._routing import metadata_of_estimator, requesting, router_of, routes
from skimb._sub_estimators import seeded_clone
from skimb._unpacking import unpacked
from skimb.neural_network import CNNClassifier, training_length

__all__ = [
    "TunedOffsetsClassifierCV",
    "tune_offsets",
]

#: The most offsets that are tried in a turn of a class; the second where each calls a scorer.
MOST_CANDIDATES, MOST_CALLS = 400, 100
#: The most turns of each class.
N_ROUNDS = 5
#: Samples up to which held-out log-probabilities are repeated, each time with other noise.
MOST_NOISY = 50_000
#: Margins, and values of a measure, that differ by less count as equal.
SAME = 1e-9


def tune_offsets(log_proba, y, classes, scoring="f1_macro"):
    """Choose an offset for each class by coordinate ascent.

    Each class has its turn while the offsets of all others stay fixed. It tries the offsets at
    which one more of its own samples is found: quantiles of all samples would be too coarse for a
    minority class.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of samples that the network was not trained on.
    y : ndarray of shape (n,)
        Their labels.
    classes : ndarray of shape (n_classes,)
        Labels in the order of the columns, sorted.
    scoring : {"f1_minority", "f1_macro", "balanced_accuracy"} or scorer, default="f1_macro"
        The measure to maximise. A scorer must use predicted labels only.

    Returns
    -------
    ndarray of shape (n_classes,)
        Offsets of mean zero; all zero where no other offsets score better.
    """
    y = np.asarray(y)
    target = np.searchsorted(classes, y)
    n_classes = len(classes)
    support = np.bincount(target, minlength=n_classes)
    is_named = isinstance(scoring, str)
    most = MOST_CANDIDATES if is_named else MOST_CALLS

    def score(predicted):
        if not is_named:
            return score_labels(scoring, classes[predicted], y, classes)
        hits = np.bincount(target[predicted == target], minlength=n_classes)
        counts = hits[None], np.bincount(predicted, minlength=n_classes)[None]
        return MEASURES[scoring](*counts, support)[0]

    # Of two classes, only the difference of their offsets counts.
    turns = range(n_classes) if n_classes > 2 else [int(support.argmin())]
    offsets = np.zeros(n_classes)
    best = start = score(log_proba.argmax(axis=1))
    for _ in range(N_ROUNDS):
        before = best
        for k in turns:
            shifted = log_proba + offsets
            shifted[:, k] = -np.inf
            rival = shifted.argmax(axis=1)
            # The offset from which a sample is called class k.
            margins = shifted.max(axis=1) - log_proba[:, k]
            candidates = _candidates(margins, margins[target == k], most)
            if is_named:
                counts = _counts(candidates, margins, rival, target, k, n_classes)
                values = MEASURES[scoring](*counts, support)
            else:
                values = np.array(
                    [score(np.where(margins <= candidate, k, rival)) for candidate in candidates]
                )
            highest = values.max()
            if highest > best + SAME:
                ties = candidates[values > highest - SAME]
                best, offsets[k] = highest, ties[np.abs(ties - offsets[k]).argmin()]
        if best <= before:
            break
    offsets -= offsets.mean()
    # Score the predictions themselves: sums of floats differ from the margins in the last bits.
    return offsets if score((log_proba + offsets).argmax(axis=1)) > start else np.zeros(n_classes)


def _candidates(margins, own, most):
    """Return offsets to try: halfway from each own margin to the next, and to the next own one."""
    levels = np.unique(margins)
    levels = levels[np.diff(levels, prepend=-np.inf) > SAME]
    own = np.unique(own)
    if len(own) > most // 2:
        # Evenly by rank, with both ends.
        own = own[np.linspace(0, len(own) - 1, most // 2).round().astype(int)]
    ends = np.array([levels[0] - 1, levels[-1] + 1])
    place = np.searchsorted(levels, own + SAME, side="right")
    following = np.append(levels, ends[1])[place]
    return np.unique(np.concatenate([ends, (own + following) / 2, (own[1:] + own[:-1]) / 2]))


def _counts(candidates, margins, rival, target, k, n_classes):
    """Return the hits and the predictions of each class at each candidate, by cumulative sums."""
    n = len(candidates)
    # The first candidate that calls a sample class k.
    place = np.searchsorted(candidates, margins)

    def table(column, chosen):
        cells = np.bincount(
            place[chosen] * n_classes + column[chosen], minlength=(n + 1) * n_classes
        ).reshape(n + 1, n_classes)
        return cells.cumsum(axis=0)[:n]

    everything = np.ones(len(target), dtype=bool)
    by_rival = np.bincount(rival, minlength=n_classes)
    is_hit = rival == target
    predicted = by_rival - table(rival, everything)
    predicted[:, k] = table(np.full_like(target, k), everything)[:, k]
    hits = np.bincount(rival[is_hit], minlength=n_classes) - table(rival, is_hit)
    hits[:, k] = table(target, target == k)[:, k]
    return hits, predicted


class TunedOffsetsClassifierCV(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Tune the decisions of a network for a measure, by one offset for each class.

    A network decides for the most probable class. For a measure other than accuracy (F1 of the
    minority class, macro F1), other decisions are better. They are found after the training, by
    offsets that are added to the log-probabilities. For two classes this is a decision threshold.

    The offsets are chosen on samples that a network was not trained on. The training part is
    halved, and each half is classified by a network that was trained on the other one, for half
    the gradient steps: both together cost as much as the network itself. Heads refitted on the
    embeddings of one network would cost less, but that network has memorised all samples, and
    where it separates all of them, the offsets cannot be chosen.

    Parameters
    ----------
    estimator : CNNClassifier, FrozenEstimator or None, default=None
        The network. None: ``CNNClassifier()``. A fitted network wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is; only the networks that the offsets are
        chosen with are trained.
    scoring : str, scorer or None, default=None
        The measure to maximise: ``"f1_minority"``, ``"f1_macro"``, ``"balanced_accuracy"``, or a
        scorer of predicted labels. None: ``"f1_minority"`` for two classes, ``"f1_macro"`` for
        more.
    cv : int, default=2
        The number of parts of the training data. Each part is held out once.
    smoothing : float, default=1.0
        Standard deviation of noise that is added to the held-out log-probabilities. The final
        network differs from the networks that the offsets are chosen with, so offsets that depend
        on a single sample of a minority class do not suit it. 0: no noise.
    random_state : int, RandomState instance or None, default=None
        Drives the folds and the noise, and also the network where `estimator` has no
        `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    offsets_ : ndarray of shape (n_classes,)
        The offsets that are added to the log-probabilities; their mean is zero.
    estimator_ : CNNClassifier
        The final network, trained on all samples.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.model_selection import TunedOffsetsClassifierCV
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = TunedOffsetsClassifierCV(CNNClassifier(max_epochs=3), random_state=0).fit(X, y)
    >>> clf.offsets_.shape
    (2,)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_log_proba"]), None],
        "scoring": [str, callable, None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, scoring=None, cv=2, smoothing=1.0, random_state=None):
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.smoothing = smoothing
        self.random_state = random_state

    #: The networks use them; the measure counts each sample once.
    __metadata_request__fit = {"sample_weight": UNUSED}

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, sample_weight=None, **metadata):
        """Choose the offsets, and train the network on all samples.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
            Images.
        y : array-like of shape (n,)
            Labels.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split; so do images that are equal byte
            for byte. With metadata routing, the networks get them too, if `estimator` requests
            them.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the networks are trained. The measure counts each sample once. With
            metadata routing, the networks get them if `estimator` requests them.
        **metadata
            With metadata routing, metadata under the names that `estimator` requests, as in
            ``estimator.set_fit_request(sample_weight="weight")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a class or its groups cannot be divided into the folds, or `scoring` needs more than
            predicted labels.
        """
        self.__dict__.pop("offsets_", None)
        check_handed_in(self)
        rng = check_random_state(self.random_state)
        network = self._network()
        is_frozen = isinstance(network, FrozenEstimator)
        of_networks = self._of_networks(groups, sample_weight, metadata)
        settings = network.estimator if is_frozen else network
        X = view_of(unpacked(X), channels=getattr(settings, "channels", None))
        X, *values = indexable(X, *of_networks.values())
        of_networks = dict(zip(of_networks, values, strict=True))
        images, y = fit_images(
            self,
            X,
            y,
            image_shape=getattr(settings, "image_shape", None),
            channels=getattr(settings, "channels", None),
            image_column=getattr(settings, "image_column", None),
        )
        check_classification_targets(y)
        X = checked_once(X, images)
        scoring = self._scoring(y)
        # Equal images stay together, whatever the other columns of a frame.
        numbers = checked_groups(images, groups)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        folds = held_out_folds(y, numbers, seed, n_folds=self.cv)
        network = network.estimator if is_frozen else seeded_clone(network, rng)
        log_proba = np.empty((len(y), len(np.unique(y))))
        folds = list(folds)
        task = begin_fit(self, X, y, n_tasks=len(folds) + (not is_frozen))
        for train, test in folds:
            part, rows = _for_part(network, len(y), len(train)), safe_indexing(X, train)
            with part_of_fit(task, "fit on a part", self, part, X=rows, y=y[train]):
                own = {name: safe_indexing(value, train) for name, value in of_networks.items()}
                part.fit(rows, y[train], **own)
            log_proba[test] = part.predict_log_proba(safe_indexing(X, test))
        if not is_frozen:
            with part_of_fit(task, "fit on all samples", self, network, X=X, y=y):
                network.fit(X, y, **of_networks)
        self.estimator_ = network
        self.classes_ = self.estimator_.classes_
        if self.smoothing > 0:
            n_copies = int(np.clip(MOST_NOISY // len(y), 1, 20))
            log_proba = np.tile(log_proba, (n_copies, 1))
            log_proba += self.smoothing * rng.standard_normal(log_proba.shape)
            y = np.tile(y, n_copies)
        self.offsets_ = tune_offsets(log_proba, y, self.classes_, scoring)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _network(self) -> Any:
        if self.estimator is None:
            return requesting(CNNClassifier(), "sample_weight", "groups")
        return self.estimator

    def _of_networks(self, groups, sample_weight, metadata):
        """Return the metadata with which the networks are trained."""
        given = {"sample_weight": sample_weight}
        if routes():
            given["groups"] = groups
        return metadata_of_estimator(self, given, metadata)

    def get_metadata_routing(self):
        """Return which metadata the networks request; groups also choose the parts.

        For a network in a `FrozenEstimator`, the requests of the network itself count, because
        networks like it are trained.

        Returns
        -------
        MetadataRouter
        """
        network = self._network()
        is_frozen = isinstance(network, FrozenEstimator)
        return router_of(self, network.estimator if is_frozen else network)

    def _scoring(self, y):
        """Return the measure to maximise: its name, or a scorer."""
        if self.scoring is None:
            return "f1_minority" if len(np.unique(y)) == 2 else "f1_macro"
        if isinstance(self.scoring, str) and self.scoring in MEASURES:
            return self.scoring
        scorer = get_scorer(self.scoring)
        if not reads_labels(scorer, y):
            raise ValueError(
                "`scoring` must use predicted labels only, because offsets change these. Got "
                f"{self.scoring!r}. Give one of {list(MEASURES)}, or a scorer of predicted labels."
            )
        return scorer

    def decision_rule(self):
        """Return the offsets as a `DecisionRule`, by which the classifier is exported.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        return DecisionRule(log_offsets=self.offsets_)

    def predict_log_proba(self, X):
        """Return the log-probabilities after the offsets.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        return self.decision_rule().log_probabilities(self.estimator_.predict_log_proba(X))

    def predict_proba(self, X):
        """Return the probabilities after the offsets.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X):
        """Return log-probabilities; for two classes their difference.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
        """
        log_proba = self.predict_log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

    def predict(self, X):
        """Return the most probable labels after the offsets.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n,)
        """
        log_proba = self.predict_log_proba(X)
        return self.classes_[log_proba.argmax(axis=1)]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offsets_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _for_part(network, n_samples, n_train):
    """Return a network for a part of the samples, with as many epochs as one for all of them."""
    part = clone(network)
    if not isinstance(part, CNNClassifier) or part.sampler is not None:
        return part
    length = training_length(
        n_samples,
        batch_size=part.batch_size,
        max_epochs=part.max_epochs,
        steps_per_epoch=part.steps_per_epoch,
    )
    steps = max(1, round(length.steps_per_epoch * n_train / n_samples))
    return part.set_params(**length._replace(steps_per_epoch=steps)._asdict())
