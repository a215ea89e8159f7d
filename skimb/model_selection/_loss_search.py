"""LossSearchCV: search losses, weights and samplers on embeddings that are computed once."""

import time
from functools import partial
from numbers import Real
from operator import itemgetter
from typing import Any, Self

import numpy as np
from joblib import parallel_config
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import (
    Bunch,
    check_array,
    check_random_state,
    column_or_1d,
    indexable,
)
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from skimb._callback_tasks import begin_fit, part_of_fit
from skimb._params import (
    HasMethods,
    StrOptions,
    check_parameters,
    check_sample_weight,
    fit_context,
    requests_of,
    safe_indexing,
)
from skimb._reading import view_of
from skimb._routing import metadata_of_estimator, routes
from skimb._shared_jobs import results_of_jobs
from skimb._unpacking import unpacked, unpacked_rows, vector_of
from skimb._warnings import warn
from skimb.model_selection._search_metadata import SearchMetadata
from skimb.model_selection._search_stages import (
    OF_BOTH,
    fit_and_embed,
    fitted_or_errors,
    or_error,
    seeded,
    two_stage,
    weighted_samples,
    with_parameters,
)
from skimb.model_selection._trained_candidates import (
    TrainedCandidate,
    TrainedFolds,
    results_by_parameters,
)
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import (
    build_head,
    head_batch_sampling,
    pend,
    prepare_head,
    starting_layer,
    why_alone,
    why_slower,
)

__all__ = ["LossSearchCV"]

#: Attributes that `fit` sets, and that the next `fit` removes first.
FITTED = (
    "best_estimator_",
    "best_index_",
    "best_params_",
    "best_score_",
    "feature_names_in_",
    "refit_time_",
)

#: Parameters that belong to the head where a `DecoupledClassifier` is searched.
OF_HEAD = ("lr", "max_epochs", "batch_size")

#: Metadata that the training uses.
METADATA = ("sample_weight", "groups")


class LossSearchCV(GridSearchCV):
    r"""Search over losses, class weights and samplers, on embeddings that are computed once.

    Imbalance hurts the last layer of a network far more than its features [1]_. The backbone is
    therefore trained once per fold, with the parameters of `estimator`, and all images are
    embedded. Only the last layer is searched: the heads of all candidates and all folds train
    together, as one batched matrix product, and each becomes what it would become alone. A search
    of twelve settings costs little more than one.

    In everything else it is a `GridSearchCV`: `cv_results_`, several scorers, rules for `refit`.

    Parameters
    ----------
    estimator : CNNClassifier, DecoupledClassifier or FrozenEstimator
        The model that is searched. A `CNNClassifier` is used as the backbone, with its parameters.
        The heads take over its `loss`, `class_weight`, `max_weight`, `reweight_after`,
        `batch_sampling` and `target_prior`; otherwise they are those of a `DecoupledClassifier`
        with its defaults. A `DecoupledClassifier` also says how heads are trained. A fitted
        `CNNClassifier` in a `sklearn.frozen.FrozenEstimator` is a backbone that is already
        trained (``backbone="given"``).
    param_grid : dict or list of dict
        Parameters of the head and their values, as in `GridSearchCV`: ``loss`` and its parameters
        (``loss__gamma``), ``class_weight``, ``max_weight``, ``reweight_after``,
        ``batch_sampling``, ``sampler`` (of embeddings) and its parameters, ``target_prior``;
        with a `DecoupledClassifier` also its ``lr``, ``max_epochs``, ``batch_size``. With
        ``search="end_to_end"``, all parameters of `CNNClassifier` are allowed.
    backbone : {"fit", "given"}, default="fit"
        ``"fit"``: the backbone is trained on the training part of each fold. ``"given"``:
        `estimator` holds a fitted backbone, which embeds each image once for all folds. If it was
        trained on these images, the scores are too good, by as much as it has memorised them.
    search : {"heads", "end_to_end"}, default="heads"
        ``"heads"``: only the last layer is trained for each candidate. ``"end_to_end"``: the whole
        network is trained for every candidate. All candidates train in one vectorised pass where
        that is faster, which is the case for tiny networks; otherwise they train one by one, and a
        warning says so.
    final : {"two_stage", "end_to_end"}, default="two_stage"
        The model that `refit` trains after a search over heads. ``"two_stage"``: a
        `DecoupledClassifier`, as it was searched. ``"end_to_end"``: the whole network from the
        start, with the best parameters. After ``search="end_to_end"``, `refit` always trains the
        whole network.
    scoring, cv, refit, n_jobs, error_score, return_train_score, verbose
        As in `GridSearchCV`. `n_jobs` is the number of backbones that are trained in parallel.
        Scores are computed from precomputed embeddings, so a custom scorer receives sample indices
        as X. scikit-learn's scorers ignore X and are unaffected.

    Attributes
    ----------
    cv_results_ : dict
        As in `GridSearchCV`. The time of work that was done for several candidates at once is
        divided equally among them.
    best_estimator_ : DecoupledClassifier or CNNClassifier
        The refitted model, trained on all samples.
    best_params_, best_index_, best_score_, scorer_, n_splits_, refit_time_, multimetric_
        As in `GridSearchCV`.
    is_vectorized_ : bool
        Whether the candidates were trained together.

    References
    ----------
    .. [1] Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
       2020, arXiv:1910.09217.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.losses import FocalLoss
    >>> from skimb.metrics import imbalance_scoring
    >>> from skimb.model_selection import LossSearchCV
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> grid = {"loss": [FocalLoss()], "loss__gamma": [0, 1, 2, 5],
    ...         "class_weight": [None, "balanced", {0: 1, 1: 10}]}
    >>> search = LossSearchCV(CNNClassifier(max_epochs=5, random_state=0), grid, cv=3,
    ...                       scoring=imbalance_scoring(y), refit="f1_minority").fit(X, y)
    >>> search.cv_results_["mean_test_f1_minority"].shape
    (12,)
    >>> bool(search.best_score_ > 0.8)
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"])],
        "param_grid": [dict, list],
        "backbone": [StrOptions({"fit", "given"})],
        "search": [StrOptions({"heads", "end_to_end"})],
        "final": [StrOptions({"two_stage", "end_to_end"})],
        "scoring": [str, callable, list, tuple, dict, None],
        "cv": ["cv_object"],
        "refit": ["boolean", str, callable],
        "n_jobs": [int, np.integer, None],
        "error_score": [StrOptions({"raise"}), Real],
        "return_train_score": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        backbone="fit",
        search="heads",
        final="two_stage",
        scoring: Any = None,
        cv: Any = None,
        refit: Any = True,
        n_jobs=None,
        error_score: Any = np.nan,
        return_train_score=False,
        verbose=0,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.backbone = backbone
        self.search = search
        self.final = final
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **metadata: Any,
    ) -> Self:
        """Run the search.

        Metadata are passed on as in `GridSearchCV`: with scikit-learn's metadata routing, to the
        training, the scorers and the splitter as each of them requests them; without it, as
        described below.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
            Images, as in `CNNClassifier.fit`.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Sample weights. Without metadata routing, they are used in the training, as in
            `CNNClassifier.fit`, and by the scorers that take weights.
        groups : array-like of shape (n,), default=None
            The group of each sample. Without metadata routing, only `cv` gets them. A network that
            holds out a validation part needs them too: enable routing, and call
            ``estimator.set_fit_request(groups=True)``.
        **metadata
            With metadata routing, the same metadata under other names, as in
            ``estimator.set_fit_request(sample_weight="weight_of_training")``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter of the grid changes the backbone or is not known, or if the input is not
            valid; it is raised before any training step. As in `GridSearchCV`, the error is an
            `UnsetMetadataPassedError`, a subclass, where metadata are given that were neither
            requested nor refused.
        """
        for name in FITTED:
            self.__dict__.pop(name, None)
        candidates = list(ParameterGrid(self.param_grid))
        if not candidates:
            raise ValueError(
                "`param_grid` holds no candidate. Give at least one value for each parameter."
            )
        model = self._model(candidates)
        self._check_scoring()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        metadata |= {"sample_weight": sample_weight, "groups": groups}
        metadata = {name: value for name, value in metadata.items() if value is not None}
        settings = getattr(model, "estimator", model)
        X = view_of(unpacked_rows(X), channels=getattr(settings, "channels", None))
        X, y, *values = indexable(X, unpacked(y, "y"), *metadata.values())
        y = check_array(column_or_1d(vector_of(y)), ensure_2d=False, dtype=None, input_name="y")
        metadata = dict(zip(metadata, values, strict=True))
        routed = self._routed(metadata)
        of_training = dict(routed.estimator.fit)
        if "sample_weight" in of_training:
            of_training["sample_weight"] = check_sample_weight(
                of_training["sample_weight"], y, dtype=np.float64
            )
        cv = check_cv(self.cv, y, classifier=True)
        # Indices, whatever the splitter gave: it may give masks or small integers.
        indices = np.arange(len(y))
        splits = [
            (indices[train], indices[test])
            for train, test in cv.split(X, y, **routed.splitter.split)
        ]
        weight = of_training.get("sample_weight")
        task = begin_fit(self, X, y, n_tasks=1 + bool(self.refit), sample_weight=weight)
        run = self._search_heads if self.search == "heads" else self._search_end_to_end
        run(model, candidates, X, y, splits, SearchMetadata(metadata, of_training), task)
        if self.refit and not hasattr(self, "best_estimator_"):
            begin, best = time.perf_counter(), self._final_estimator(model)
            with part_of_fit(task, "refit-with-best-params", self, best, X=X, y=y):
                self.best_estimator_ = best.fit(X, y, **of_training)
            self.refit_time_ = time.perf_counter() - begin
        task.call_on_fit_task_end(estimator=self)
        if self.refit and hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    # ------------------------------------------------------------------------ metadata

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which objects request which metadata, as `GridSearchCV` does.

        For a network in a `FrozenEstimator`, the requests of the network itself count, because
        its heads are trained.

        Returns
        -------
        MetadataRouter
        """
        router = super().get_metadata_routing()
        trained, mapping = self._requesting(), MethodMapping().add(caller="fit", callee="fit")
        router.add(estimator=trained, method_mapping=mapping)
        if self.scoring is None:
            mapping = MethodMapping().add(caller="score", callee="score")
            router.add(scorer=trained, method_mapping=mapping.add(caller="fit", callee="score"))
        return router

    def _requesting(self):
        """Return the estimator whose requests for metadata count."""
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        return self.estimator.estimator if is_frozen else self.estimator

    def _routed(self, metadata):
        """Return the metadata that the training and the splitter get."""
        if routes():
            routed = process_routing(self, "fit", **metadata)
            self._check_requests_of_scorers(routed)
        else:
            fit = {name: value for name, value in metadata.items() if name != "groups"}
            split = {"groups": metadata.get("groups")}
            routed = Bunch(estimator=Bunch(fit=fit), splitter=Bunch(split=split))
        trained, names = self._requesting(), set(routed.estimator.fit)
        if routes() and isinstance(trained, DecoupledClassifier):
            # Its network may have requested metadata under other names.
            own = set(requests_of(trained, "fit"))
            names = (names & own) | set(
                process_routing(trained, "fit", **routed.estimator.fit).estimator.fit
            )
        unknown = sorted(names - set(METADATA))
        if unknown:
            raise ValueError(
                f"Networks and heads are trained with the metadata {list(METADATA)}. Got {unknown} "
                "too. Use GridSearchCV for an estimator that takes them."
            )
        return routed

    def _check_requests_of_scorers(self, routed):
        """Refuse metadata that a scorer of several neither requests nor refuses.

        scikit-learn's search would refuse them after the first training.
        """
        if self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring):
            return
        scorer = check_scoring(self.estimator, self.scoring)
        process_routing(scorer, "score", **routed.scorer.score)

    # ------------------------------------------------------------------------ what is searched

    def _model(self, candidates):
        """Return the estimator whose parameters are searched; refuse one that cannot be."""
        model, given = self.estimator, self.backbone == "given"
        if self.search == "end_to_end":
            if given or not isinstance(model, CNNClassifier):
                raise ValueError(
                    "search='end_to_end' trains whole networks. Give a CNNClassifier, with "
                    f"backbone='fit'. Got {type(model).__name__}, backbone={self.backbone!r}."
                )
        else:
            if not isinstance(model, DecoupledClassifier):
                model = two_stage(model, given)
            is_frozen = isinstance(model.estimator, FrozenEstimator)
            if is_frozen != given:
                raise ValueError(
                    "backbone='given' needs a fitted CNNClassifier in a FrozenEstimator, and "
                    "backbone='fit' needs a CNNClassifier that it can train. Got "
                    f"{model.estimator!r}."
                )
            if model.head != "linear":
                raise ValueError(
                    f"A search over heads trains linear heads only. Got head={model.head!r}. "
                    "Use GridSearchCV to search it."
                )
            if given:
                check_is_fitted(model.estimator)
            for name in sorted({name for candidate in candidates for name in candidate}):
                self._check_name(name, model)
            if self.final == "end_to_end" and model.sampler is not None:
                self._refuse_sampler()
        # A clone: random states of the user's own objects stay as they are.
        model = clone(model)
        for candidate in candidates:
            check_parameters(with_parameters(model, candidate))
        return model

    def _refuse_sampler(self):
        raise ValueError(
            "A `sampler` is searched on embeddings, and final='end_to_end' would apply it to "
            "images, which is a different method. Use final='two_stage', or search='end_to_end'."
        )

    def _check_scoring(self):
        """Refuse now scorers that scikit-learn's search would refuse after the training."""
        check_scoring(self.estimator, self.scoring)
        if self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring):
            return
        if self.refit is False or callable(self.refit) or self.refit in list(self.scoring):
            return
        raise ValueError(
            "For multi-metric scoring, the parameter refit must be set to a scorer key, or to a "
            f"callable, or to False. Got {self.refit!r}; scorers: {list(self.scoring)}."
        )

    def _check_name(self, name, model):
        first = name.split("__")[0]
        of_head = OF_HEAD if isinstance(self.estimator, DecoupledClassifier) else ()
        if first in (*OF_BOTH, *of_head):
            if first == "sampler" and self.final == "end_to_end":
                self._refuse_sampler()
            if first in of_head and self.final == "end_to_end":
                raise ValueError(
                    f"`{name}` belongs to heads, and the network that final='end_to_end' trains "
                    "has no separate head. Leave it out of `param_grid`, or use final='two_stage'."
                )
            return
        if first in CNNClassifier().get_params() or first == "estimator":
            raise ValueError(
                f"`{name}` changes the backbone, which is trained once per fold for all candidates."
                f" Heads are searched over {list(OF_BOTH)}. To search `{name}`, use "
                "search='end_to_end' or GridSearchCV."
            )
        # This raises the error of scikit-learn that names an unknown parameter.
        clone(model).set_params(**{name: None})
        raise ValueError(
            f"`{name}` cannot be searched over linear heads. Search one of "
            f"{[*OF_BOTH, *of_head]}, or use GridSearchCV."
        )

    def _final_estimator(self, model):
        """Return the unfitted model that `refit` trains."""
        best = clone(model).set_params(**clone(self.best_params_, safe=False))
        if self.search == "end_to_end" or self.final == "two_stage":
            return best
        network = CNNClassifier() if best.estimator is None else clone(best.estimator)
        if isinstance(network, FrozenEstimator):
            network = clone(network.estimator)
        own = {name: getattr(best, name) for name in {n.split("__")[0] for n in self.best_params_}}
        if "batch_sampling" in own:
            own["batch_sampling"] = head_batch_sampling(best)
        return network.set_params(**own)

    # ------------------------------------------------------------------------ over heads

    def _search_heads(self, model, candidates, X, y, splits, metadata, task):
        n_tasks = 0 if self.backbone == "given" else len(splits)
        options = {"max_subtasks": n_tasks, "sequential_subtasks": False}
        with part_of_fit(task, "search", self, **options) as search:
            self._search_on_embeddings(model, candidates, X, y, splits, metadata, search)

    def _search_on_embeddings(self, model, candidates, X, y, splits, metadata, task):
        backbones = self._backbones(model, X, y, splits, metadata, task)
        begin = time.perf_counter()
        model, trainees = seeded(model), []
        for (train, _), (embedded, start, _) in zip(splits, backbones, strict=True):
            if isinstance(embedded, Exception):
                # Where the network of a fold diverges, no candidate has a score there.
                trainees += [embedded] * len(candidates)
                continue
            kept = weighted_samples(train, y, metadata.of_training.get("sample_weight"))
            codes, weight = embedded[kept], metadata.of_samples(kept).get("sample_weight")
            for candidate in candidates:
                one = with_parameters(model, candidate)
                head = build_head(one, check_random_state(one.random_state))
                trainees.append(or_error(prepare_head, head, codes, y[kept], weight, start))
        heads = fitted_or_errors(trainees)
        seconds = time.perf_counter() - begin
        self._report(f"{len(heads)} heads", seconds)
        self.is_vectorized_ = True
        bank = TrainedFolds(splits, heads, [embedded for embedded, _, _ in backbones])
        spent = np.array([seconds for _, _, seconds in backbones]) / len(candidates)
        self._score(bank, candidates, y, metadata, spent + seconds / len(heads))

    def _backbones(self, model, X, y, splits, metadata, task):
        """Return for each fold embeddings of all samples, the start of the heads, and the seconds.

        Where a network diverged, its error is returned instead of its embeddings.
        """
        if self.backbone == "given":
            begin = time.perf_counter()
            network = model.estimator.estimator
            embedded, start = network.embed(X), starting_layer(network, y)
            seconds = time.perf_counter() - begin
            self._report("embedding", seconds)
            return [(embedded, start, seconds / len(splits))] * len(splits)
        # Made here: tasks in other processes cannot add to the tree of this one.
        tasks = [task.subcontext(task_name="backbone", task_id=fold) for fold in range(len(splits))]
        # Here too: other processes do not know whether routing is enabled.
        of_networks = [
            metadata_of_estimator(model, metadata.of_samples(train), {}) for train, _ in splits
        ]
        jobs = [
            (train, given, task)
            for task, given, (train, _) in zip(tasks, of_networks, splits, strict=True)
        ]
        done = results_of_jobs(
            partial(fit_and_embed, model, self), jobs, shared=[X, y], n_jobs=self.n_jobs
        )
        made = [result for _, result in sorted(done, key=itemgetter(0))]
        for fold, (_, _, seconds) in enumerate(made):
            self._report(f"backbone of fold {fold}", seconds)
        return made

    # ------------------------------------------------------------------------ end to end

    def _search_end_to_end(self, model, candidates, X, y, splits, metadata, task):
        begin = time.perf_counter()
        model, trainees = seeded(model), []
        if isinstance(X, np.ndarray) and X.dtype.kind in "fiu" and X.dtype != np.uint8:
            # Once, not once a candidate: otherwise each would have a copy of the samples.
            X = X.astype(np.float32, copy=False)
        for train, _ in splits:
            kept = weighted_samples(train, y, metadata.of_training.get("sample_weight"))
            part, own = safe_indexing(X, kept), metadata.of_samples(kept)
            own = [own.get(name) for name in METADATA]
            for candidate in candidates:
                trainee = or_error(pend, with_parameters(model, candidate), part, y[kept], *own)
                is_sound = not isinstance(trainee, Exception)
                reason = (why_alone(trainee) or why_slower(trainee)) if is_sound else None
                if reason is not None:
                    self._search_one_by_one(model, X, y, splits, metadata, task, reason)
                    return
                trainees.append(trainee)
        with part_of_fit(task, "search", self, X=X, y=y):
            networks = fitted_or_errors(trainees)
        seconds = time.perf_counter() - begin
        self._report(f"{len(networks)} networks", seconds)
        self.is_vectorized_ = True
        bank = TrainedFolds(splits, networks, [X] * len(splits))
        spent = np.full(len(splits), seconds / len(networks))
        self._score(bank, candidates, y, metadata, spent)

    def _search_one_by_one(self, model, X, y, splits, metadata, task, reason):
        warn(
            f"The networks of the candidates are trained one by one: {reason}.",
        )
        search = self._plain_search(model, self.param_grid, splits, self.refit, self.n_jobs)
        with part_of_fit(task, "search one by one", self, search, X=X, y=y):
            search.fit(X, y, **metadata.consumed_by(search))
        self.is_vectorized_ = False
        self._take_over(search, search.cv_results_, list(search.cv_results_["params"]))
        if self.refit:
            self.best_estimator_ = search.best_estimator_
            self.refit_time_ = search.refit_time_

    # ------------------------------------------------------------------------ scores

    def _plain_search(self, estimator, param_grid, splits, refit, n_jobs=None):
        return GridSearchCV(
            estimator,
            param_grid,
            scoring=self.scoring,
            cv=splits,
            refit=refit,
            n_jobs=n_jobs,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
        )

    def _score(self, bank, candidates, y, metadata, fit_times):
        """Let scikit-learn score the trained estimators, and choose by its rules."""

        def as_searched(results):
            return results_by_parameters(results, candidates, fit_times)

        rule = self.refit
        refit = (lambda results: rule(as_searched(results))) if callable(rule) else rule
        numbers = {"number": range(len(candidates))}
        candidate = TrainedCandidate(bank)
        if routes():
            # The training is over; without a scorer, the estimator's own requests for `score` hold.
            asked = requests_of(self._requesting(), "score")
            candidate.set_fit_request(sample_weight=False)
            candidate.set_score_request(sample_weight=asked.get("sample_weight"))
        search = self._plain_search(candidate, numbers, splits=bank.splits, refit=refit)
        # Here: jobs in other processes would each be sent all embeddings and heads.
        with parallel_config("sequential"):
            search.fit(np.arange(len(y)), y, **metadata.consumed_by(search))
        self._take_over(search, as_searched(search.cv_results_), candidates)

    def _take_over(self, search, results, candidates):
        """Take over the results of a search by scikit-learn."""
        self.cv_results_ = results
        self.n_splits_, self.multimetric_ = search.n_splits_, search.multimetric_
        self.scorer_ = search.scorer_
        if self.scoring is None:
            # The scorer of the search would keep the estimators that it scored.
            self.scorer_ = check_scoring(self.estimator)
        for name in ("best_index_", "best_score_"):
            if hasattr(search, name):
                setattr(self, name, getattr(search, name))
        if hasattr(self, "best_index_"):
            self.best_params_ = candidates[self.best_index_]

    def _report(self, what, seconds):
        if self.verbose:
            print(f"{what}: {seconds:.1f} s")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
