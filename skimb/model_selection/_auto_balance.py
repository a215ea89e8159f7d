"""AutoBalanceClassifier: a loss whose numbers for each class are searched on held-out samples."""

import copy
import time
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, indexable
from sklearn.utils.validation import check_is_fitted

from skimb._callback_tasks import part_of_fit
from skimb._class_prior import raising_unknown_prior, resolve_target_prior
from skimb._decision_rule import DecisionRule
from skimb._groups import checked_groups
from skimb._images import checked_once, fit_images
from skimb._label_columns import check_labels
from skimb._messages import shown
from skimb._params import HasMethods, Interval, StrOptions, fit_context, safe_indexing
from skimb._reading import view_of
from skimb._routing import requesting
from skimb._sub_estimators import seeded_clone
from skimb._unpacking import unpacked_rows
from skimb._warnings import warn
from skimb.losses import VectorScalingLoss
from skimb.model_selection._aims import AIMS, build_aim
from skimb.model_selection._auto_balance_choice import LEAST_HELD, Choice, choose_numbers
from skimb.model_selection._class_numbers import ATTRIBUTES, class_counts, class_numbers
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._end_to_end_choice import Trainings, choose_end_to_end
from skimb.model_selection._head_search import Fold
from skimb.model_selection._held_out_splits import Samples, class_splits, lineage_of
from skimb.model_selection._part_lengths import for_part
from skimb.model_selection._wrapped_fits import CV_VALUES, cv_of, wrapped_by
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import VectorScalingHead, starting_layer

__all__ = ["AutoBalanceClassifier"]

#: Strengths of the logit adjustment that are tried where `tau_grid` is None.
TAU_GRID = np.arange(13) / 4

#: The splits where `cv` is None: folds for a search over heads, a fraction for one end to end.
DEFAULT_CV = {"head": 3, "end_to_end": 0.2}


class AutoBalanceClassifier(ClassifierWrapper):
    r"""Search the scales and shifts of the classes in the loss for an aim, on held-out samples.

    The vector-scaling loss multiplies the logit of class k by :math:`\Delta_k` and adds
    :math:`\iota_k` in the training. Logit adjustment fixes both by the class counts. A class may
    also be hard without being rare, and the aim may be another one than the balanced error.
    AutoBalance [1]_ searches the numbers by a bilevel optimisation: a network is trained for given
    numbers, and these move along the gradient of the aim on held-out samples. Here, the numbers of
    all classes follow from a few parameters: weights of the log frequency and the difficulty of
    each class [2]_.

    The result is compared with logit adjustment of the best strength, on held-out samples that
    neither was tuned on. Logit adjustment is taken unless the gain exceeds the noise.

    Parameters
    ----------
    estimator : CNNClassifier, FrozenEstimator or None, default=None
        The network. None: ``CNNClassifier()``. With a fitted network in a
        `sklearn.frozen.FrozenEstimator`, X and y of `fit` must be samples that it was not trained
        on; only its last layer is replaced, and no network is trained. Its `target_prior` is that
        of the final model. A `calibration`, and the `class_weight` of ``module="linear"``, would
        be lost with the last layer, and are refused unless the final model is a whole network.
    search : {"head", "end_to_end"}, default="head"
        ``"head"``: only the last layer is trained for each setting of the numbers, on embeddings
        that are computed once. This training is convex, and the gradient is exact. It takes seconds
        beyond the training of the networks. ``"end_to_end"``: as published, the numbers move while
        a whole network is trained.
    aim : {"balanced", "worst"}, cost matrix or callable, default="balanced"
        What is minimised. ``"balanced"``: the mean error of the classes. ``"worst"``: the largest
        error of a class. A cost matrix: the mean cost of the decisions; an array, whose rows are
        the true classes, or a frame by label. A callable: ``aim(logits, target)`` gets tensors of
        logits and class positions and returns a scalar tensor, which is differentiable; smaller is
        better.
    attributes : str, int or array-like, default="auto"
        What the numbers of a class follow from. ``"log_frequency"``; ``"difficulty"``, which is its
        mean loss after logit adjustment on held-out samples; or ``"auto"``: both. ``"groups"``, or
        their number: groups of classes of similar frequency, with interpolation between them.
        ``"free"``: each class has two numbers of its own. Or attributes of shape (n_classes,
        n_attributes), in the order of the sorted labels.
    cv : int, float, splitter, iterable or None, default=None
        The held-out samples. A number of folds: one network is trained for each fold, on the
        others. A fraction: one network is trained on the other samples. None: 3 for
        ``search="head"``, 0.2 for ``"end_to_end"``. With a `FrozenEstimator`, only heads are
        trained on the folds.
    final : {"auto", "two_stage", "end_to_end"}, default="auto"
        The final model, trained on all samples with the numbers that were found. ``"two_stage"``:
        the network as it is, then a new last layer. ``"end_to_end"``: the whole network by the new
        loss. ``"auto"``: as it was searched.
    tau_grid : array-like of float, default=None
        Strengths of the logit adjustment to compare with, from 0 on: a negative one would favour
        the majority classes. None: 0, 0.25, ..., 3.
    random_state : int, RandomState instance or None, default=None
        Drives the folds, and the networks where `estimator` has no `random_state`.
    verbose : int, default=0
        Whether to print the result of the comparison.

    Attributes
    ----------
    chosen_ : {"autobalance", "logit_adjustment"}
        The numbers that the final model was trained with.
    multiplier_, offset_ : ndarray of shape (n_classes,)
        The scales and shifts of its loss.
    tau_ : float
        The best strength of the logit adjustment.
    search_results_ : dict
        The aim of both on held-out samples that they were not tuned on (``"autobalance"``,
        ``"logit_adjustment"``), the ``"gain"`` and its ``"standard_error"``; the aim for each
        strength of the grid (``"tau_grid"``, ``"tau_measures"``), the ``"difficulty"`` of each
        class, and the ``"parameters"`` that were found. A search over heads also gives the
        ``"penalty"`` of the heads, the best strength for the last layer of the network itself
        (``"tau_of_network"``) and the ``"seconds"`` that it took, the embedding included.
    history_ : list of dict
        The smooth aim on held-out samples in the course of the search.
    n_trainings_ : int
        Number of networks that were trained, the final one included.
    estimator_ : DecoupledClassifier or CNNClassifier
        The final model.
    classes_ : ndarray of shape (n_classes,)
        Labels.

    Notes
    -----
    With three folds, the networks of the folds take twice the steps of the final one, so that a fit
    takes three times as long as that of the network alone. ``cv=0.2`` takes 1.8 times as long.
    ``search="end_to_end"`` trains three networks, two of them on the samples that are not held out;
    the gradients of the search take one half to nine tenths of the time of one of them. One half of
    the held-out samples moves the numbers, the other half judges them. The strength of the logit
    adjustment is tuned after the training, on the logits of a network that was trained at strength
    1. The final network is trained by the loss at the strength that was found: another training
    than the one that was judged.

    The samples that judge take no part in the search of the numbers, of the strength and of the
    difficulty. The penalty and the temperature of heads come from all held-out samples, and are the
    same for both sides of the comparison. Each held-out sample counts once, whatever its weight.
    The noise of the gain is that of the groups: samples of one group, and equal images, are drawn
    together. With fewer than five samples of a class that judge, those of a group counted once,
    only the strength of the logit adjustment is tuned, and a warning says so.

    References
    ----------
    .. [1] Li et al., AutoBalance: Optimized Loss Functions for Imbalanced Data, NeurIPS 2021,
       arXiv:2201.01212.
    .. [2] Zhang et al., Class-attribute Priors: Adapting Optimization to Heterogeneity and Fairness
       Objective, AAAI 2024, arXiv:2401.14343.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.model_selection import AutoBalanceClassifier
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = AutoBalanceClassifier(CNNClassifier(max_epochs=3), random_state=0).fit(X, y)
    >>> clf.multiplier_.shape, clf.n_trainings_
    ((2,), 4)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "embed"]), None],
        "search": [StrOptions({"head", "end_to_end"})],
        "aim": [StrOptions(set(AIMS)), callable, "array-like", dict],
        "attributes": [
            StrOptions(set(ATTRIBUTES)),
            Interval(Integral, 2, None, closed="left"),
            "array-like",
        ],
        "cv": CV_VALUES,
        "final": [StrOptions({"auto", "two_stage", "end_to_end"})],
        "tau_grid": ["array-like", None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        search="head",
        aim: Any = "balanced",
        attributes: Any = "auto",
        cv: Any = None,
        final="auto",
        tau_grid=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.search = search
        self.aim = aim
        self.attributes = attributes
        self.cv = cv
        self.final = final
        self.tau_grid = tau_grid
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Search the numbers, compare them with logit adjustment, and train the final model.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), paths or frame
            Images, as in `CNNClassifier.fit`.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples in all trainings. Samples of weight zero are left out.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split, as do images that are equal byte
            for byte. With metadata routing, the networks get them too, if `estimator` requests
            them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input does not fit, the parameters exclude each other, or a training part of `cv`
            lacks a class. It is raised before any training step.
        """
        self._begin()
        rng = check_random_state(self.random_state)
        network: Any = wrapped_by(self)
        is_frozen = isinstance(network, FrozenEstimator)
        inner: Any = network.estimator if is_frozen else network
        self._check_network(inner, is_frozen)
        samples, metadata, labels = self._read(inner, X, y, sample_weight, groups)
        target = np.searchsorted(labels, samples.y)
        counts = class_counts(target, len(labels), metadata.get("sample_weight"))
        if inner.target_prior is not None:
            fractions = counts / counts.sum()
            resolve_target_prior(inner.target_prior, classes=labels, train_prior=fractions)
        aim, grid = build_aim(self.aim, labels), self._grid()
        class_numbers(self._attributes(), counts, n_groups=self._n_groups())
        splits = self._folds(samples, labels, rng)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        if not is_frozen:
            network = seeded_clone(network, rng)
        task = self._begin_task(samples, n_tasks=2 * len(splits) * (1 - is_frozen) + 2)
        self.n_trainings_ = 0
        arguments = (inner if is_frozen else network, samples, metadata, labels, splits, task)
        if not splits:
            choice = Choice(
                "logit_adjustment", np.ones(len(counts)), np.log(counts / counts.sum()), 1.0, {}, []
            )
            penalty = 1.0
        elif self.search == "head":
            folds, seconds = self._embedded(*arguments)
            choice, penalty = choose_numbers(
                folds,
                aim,
                attributes=self._attributes(),
                counts=counts,
                grid=grid,
                seed=seed,
                n_groups=self._n_groups(),
                groups=np.concatenate([fold.groups for fold in folds]),
                begin=time.perf_counter() - seconds,
            )
        else:
            choice, penalty = self._searched_end_to_end(arguments, aim, counts, grid, rng), 1.0
        self._warn_of_few(choice.n_judged, labels)
        self._take(choice)
        final = self._final(network, penalty)
        self._fit_final(final, samples, metadata, task)
        task.call_on_fit_task_end(estimator=self)
        return self

    # ------------------------------------------------------------------------ input

    def _default_estimator(self):
        return requesting(CNNClassifier(), "sample_weight", "groups")

    def _check_network(self, inner, is_frozen):
        if not isinstance(inner, CNNClassifier):
            raise ValueError(
                "`estimator` must be a CNNClassifier, or a fitted one in a FrozenEstimator. Got "
                f"{inner!r:.100}."
            )
        self._refuse_ignored(inner)
        if not is_frozen:
            return
        check_is_fitted(inner)
        if self.search == "end_to_end" or self.final == "end_to_end":
            raise ValueError(
                "search='end_to_end' and final='end_to_end' train whole networks, and a "
                "FrozenEstimator stays as it is. Give the network itself, or search='head' with "
                "final='auto'."
            )

    def _refuse_ignored(self, inner):
        """Refuse what would be lost where the last layer is replaced."""
        if self._trains_whole():
            return
        if inner.calibration is not None:
            raise ValueError(
                f"The last layer of the network is replaced, so that "
                f"calibration={inner.calibration!r} of `estimator` would have no effect. Set it to "
                "None, and calibrate the whole: "
                "BiasCorrectedCalibrator(AutoBalanceClassifier(...)). Or give final='end_to_end'."
            )
        if inner.class_weight is not None and inner.module == "linear":
            raise ValueError(
                "The only layer of module='linear' is replaced, so that "
                f"class_weight={shown(inner.class_weight)} of `estimator` would have no effect. "
                "Set it to None: the search finds the numbers of the classes; or give them as "
                "costs (`aim`), as `sample_weight`, or with final='end_to_end'."
            )

    def _read(self, inner, X, y, sample_weight, groups):
        """Return the samples of positive weight, what the networks get in addition, and labels."""
        (X,) = indexable(view_of(unpacked_rows(X), channels=inner.channels))
        options = {
            name: getattr(inner, name)
            for name in ("image_shape", "channels", "image_column", "value_range")
        }
        images, y = fit_images(self, X, y, **options)
        check_labels(y)
        numbers = checked_groups(images, groups)
        X = checked_once(X, images)
        samples = Samples(X, y, numbers, lineage_of(images))
        metadata = self._metadata(samples, sample_weight, groups)
        X, y, *values = indexable(samples.X, y, *metadata.values())
        metadata = dict(zip(metadata, values, strict=True))
        weight = metadata.get("sample_weight")
        if weight is not None and np.any(weight == 0):
            kept = np.flatnonzero(weight)
            empty = np.setdiff1d(y, y[kept])
            if len(empty):
                raise ValueError(
                    f"`sample_weight` leaves no sample of the classes {shown(empty)}: all their "
                    "weights are zero. Remove these samples, or give one of them a positive weight."
                )
            metadata = {name: safe_indexing(value, kept) for name, value in metadata.items()}
            lineage = None if samples.lineage is None else samples.lineage[kept]
            samples = Samples(safe_indexing(X, kept), y[kept], numbers[kept], lineage)
        labels = np.unique(samples.y)
        if len(labels) < 2:
            raise ValueError(
                "AutoBalanceClassifier needs at least two classes, but y holds one class only: "
                f"{shown(labels)}."
            )
        return samples, metadata, labels

    def _trains_whole(self):
        """Whether the final model is a whole network, trained by the loss that was found."""
        return (self.search if self.final == "auto" else self.final) == "end_to_end"

    def _attributes(self):
        return "groups" if isinstance(self.attributes, Integral) else self.attributes

    def _n_groups(self):
        return int(self.attributes) if isinstance(self.attributes, Integral) else None

    def _grid(self):
        if self.tau_grid is None:
            return TAU_GRID
        grid = np.asarray(self.tau_grid, dtype=np.float64)
        if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or grid.min() < 0:
            raise ValueError(
                f"`tau_grid` must be a list of finite numbers from 0 on, with at least one. Got "
                f"{self.tau_grid!r:.100}."
            )
        return grid

    def _folds(self, samples, labels, rng):
        """Return pairs of positions; none where no class can be divided."""
        cv = cv_of(self, DEFAULT_CV[self.search])
        divided = [len(np.unique(samples.groups[samples.y == label])) > 1 for label in labels]
        if not any(divided):
            warn(
                "No class has two samples or groups, so none can be held out: the logit adjustment "
                "of strength 1 is taken. Give more samples."
            )
            return []
        return class_splits(samples, cv, rng)

    def _warn_of_few(self, n_judged, labels):
        if n_judged is None or (n_judged >= LEAST_HELD).all():
            return
        few = n_judged < LEAST_HELD
        of_half = "" if self.search == "head" else ", the half of those held out,"
        warn(
            f"Fewer than {LEAST_HELD} samples of the classes {shown(labels[few])} would judge the "
            f"numbers of the classes{of_half} ({n_judged[few].tolist()}; those of one group, or "
            "equal images, count once). These are too few for a search. Only the strength of the "
            "logit adjustment is tuned."
        )

    # ------------------------------------------------------------------------ the search

    def _embedded(self, network, samples, metadata, labels, splits, task):
        """Train a network for each fold, unless it is given; return its embeddings.

        The second result are the seconds that this took, without the training.
        """
        X, y, n_samples = samples.X, samples.y, len(samples.y)
        target, weight = np.searchsorted(labels, y), metadata.get("sample_weight")
        is_given = isinstance(self.estimator, FrozenEstimator)
        begin = time.perf_counter()
        embedded: Any = network.embed(X) if is_given else None
        seconds, folds = time.perf_counter() - begin, []
        for train, held in splits:
            part: Any = network
            begin = time.perf_counter()
            if not is_given:
                part = self._fit_part(
                    for_part(network, n_samples, len(train)), train, samples, metadata, task
                )
                begin = time.perf_counter()
                embedded = part.embed(X)
            folds.append(
                Fold.of(
                    embedded[train],
                    target[train],
                    embedded[held],
                    target[held],
                    len(labels),
                    weight=None if weight is None else weight[train],
                    anchor=starting_layer(part, y[train]),
                    groups=samples.groups[held],
                )
            )
            seconds += time.perf_counter() - begin
        return folds, seconds

    def _fit_part(self, part, train, samples, metadata, task):
        rows, labels = safe_indexing(samples.X, train), samples.y[train]
        own = {name: safe_indexing(value, train) for name, value in metadata.items()}
        with part_of_fit(task, "fit on a part", self, part, X=rows, y=labels):
            part.fit(rows, labels, **own)
        self.n_trainings_ += 1
        return part

    def _searched_end_to_end(self, arguments, aim, counts, grid, rng):
        network, samples, metadata, labels, splits, task = arguments
        trainings = Trainings(
            [for_part(network, len(samples.y), len(train)) for train, _ in splits],
            samples,
            splits,
            sample_weight=metadata.get("sample_weight"),
            rng=rng,
            part=lambda name: part_of_fit(task, name, self),
        )
        choice = choose_end_to_end(
            trainings,
            aim,
            labels=labels,
            attributes=self._attributes(),
            counts=counts,
            grid=grid,
            seed=int(rng.randint(np.iinfo(np.int32).max)),
            n_groups=self._n_groups(),
        )
        self.n_trainings_ += trainings.n_done
        return choice

    def _take(self, choice):
        self.chosen_ = choice.chosen
        self.multiplier_, self.offset_ = choice.multiplier, choice.offset
        self.tau_ = choice.tau
        self.search_results_, self.history_ = choice.results, choice.history
        if self.verbose:
            figures = {k: v for k, v in choice.results.items() if isinstance(v, float)}
            print(f"{self.chosen_}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))

    # ------------------------------------------------------------------------ the final model

    def _final(self, network, penalty):
        numbers = {"multiplier": self.multiplier_, "offset": self.offset_}
        if self._trains_whole():
            return network.set_params(loss=VectorScalingLoss(**numbers))
        head = VectorScalingHead(**numbers, penalty=penalty)
        prior = getattr(network, "estimator", network).target_prior
        return DecoupledClassifier(network, head=head, target_prior=prior)

    def _fit_final(self, final, samples, metadata, task):
        X, y = samples.X, samples.y
        if isinstance(final, DecoupledClassifier):
            network: Any = final.estimator
            if not isinstance(network, FrozenEstimator):
                with part_of_fit(task, "fit on all samples", self, network, X=X, y=y):
                    network.fit(X, y, **metadata)
                self.n_trainings_ += 1
                network = FrozenEstimator(network)
            anchor = starting_layer(network.estimator, y)
            final.set_params(estimator=network, head__anchor=anchor)
            with part_of_fit(task, "train the head", self, final, X=X, y=y):
                final.fit(X, y, metadata.get("sample_weight"))
        else:
            with part_of_fit(task, "fit on all samples", self, final, X=X, y=y):
                final.fit(X, y, **metadata)
            self.n_trainings_ += 1
        self.estimator_ = final
        self.classes_ = final.classes_

    @property
    @raising_unknown_prior
    def predicted_prior_(self) -> NDArray[np.float64] | None:
        """The class prior that the probabilities hold for, of shape (n_classes,).

        The `target_prior` of the network where it has one. None where it is not known: with scales
        of the classes that differ.
        """
        check_is_fitted(self)
        final: Any = self.estimator_
        if not isinstance(final, DecoupledClassifier):
            return final.predicted_prior_
        head = copy.copy(final.head_).set_params(target_prior=final.target_prior)
        return head.predicted_prior_

    def decision_rule(self) -> DecisionRule:
        """Return the rule of the most probable class, by which the classifier is exported.

        Returns
        -------
        DecisionRule
        """
        check_is_fitted(self)
        return DecisionRule()
