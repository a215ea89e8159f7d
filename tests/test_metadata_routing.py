"""Sample weights and groups reach those that request them, and no one else."""

from collections import defaultdict

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skimb.datasets import load_imbalanced_digits
from skimb.ensemble import ReBaggRegressor
from skimb.metrics import imbalance_scoring, regression_scoring
from skimb.model_selection import (
    AutoBalanceClassifier,
    BinnedStratifiedKFold,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    LossSearchCV,
    MinimumCostClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import CNNClassifier, CNNEmbedder, DecoupledClassifier
from skimb.over_sampling import RandomOverSampler

#: What arrived: who, and what it got, in the order of the calls.
SEEN = defaultdict(list)


@pytest.fixture(autouse=True)
def routing():
    SEEN.clear()
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def data():
    """Images, labels, weights that tell their samples, and groups of four."""
    X, y = load_imbalanced_digits(return_X_y=True)
    chosen = np.sort(np.concatenate([np.flatnonzero(y == 1)[:80], np.flatnonzero(y == 0)[:160]]))
    X, y = X[chosen], y[chosen]
    # Each group has one label.
    groups = np.empty(240, dtype=int)
    groups[np.argsort(y, kind="stable")] = np.arange(240) // 4
    return X, y, 1 + np.arange(240) / 1000, groups


class Recording(CNNClassifier):
    """A network that keeps what its ``fit`` and ``score`` get."""

    def fit(self, X, y, sample_weight=None, groups=None):
        SEEN["fit"].append((len(X), sample_weight, groups))
        return super().fit(X, y, sample_weight, groups)

    def score(self, X, y, sample_weight=None):
        SEEN["score"].append((len(X), sample_weight))
        return super().score(X, y, sample_weight)


def network(**requests):
    """Return an untrained network that requests these metadata in ``fit``."""
    one = Recording(max_epochs=1, steps_per_epoch=1, batch_size=16, random_state=0)
    return one.set_fit_request(**requests)


def recorded_score(y_true, y_pred, sample_weight=None):
    SEEN["scorer"].append((len(y_true), sample_weight))
    return accuracy_score(y_true, y_pred, sample_weight=sample_weight)


def scorer(request):
    return make_scorer(recorded_score).set_score_request(sample_weight=request)


class RecordingFolds(BinnedStratifiedKFold):
    """A splitter that keeps the groups that it gets."""

    def split(self, X, y=None, groups=None):
        SEEN["split"].append(groups)
        return super().split(X, y, groups)


def are_those_of(values, wanted):
    """Tell whether values are some of those wanted, each in its own place in the order."""
    places = np.searchsorted(wanted, values)
    return np.array_equal(wanted[places], values) and bool(np.all(np.diff(places) > 0))


BOTH = {"sample_weight": True, "groups": True}


# ------------------------------------------------------------------------ scikit-learn's tools


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by_fit", "by_score"),
    [(True, True), pytest.param(True, False, marks=pytest.mark.exhaustive), (False, True)],
)
def test_cross_validate_hands_each_part_its_own_weights(data, by_fit, by_score):
    X, y, weight, groups = data
    cross_validate(
        network(sample_weight=by_fit, groups=by_fit),
        X,
        y,
        cv=StratifiedGroupKFold(2),
        scoring=scorer(by_score),
        params={"sample_weight": weight, "groups": groups},
    )
    folds = list(StratifiedGroupKFold(2).split(X, y, groups))
    for (train, test), fitted, scored in zip(folds, SEEN["fit"], SEEN["scorer"], strict=True):
        if by_fit:
            np.testing.assert_array_equal(fitted[1], weight[train])
            np.testing.assert_array_equal(fitted[2], groups[train])
        else:
            assert fitted == (len(train), None, None)
        if by_score:
            np.testing.assert_array_equal(scored[1], weight[test])
        else:
            assert scored == (len(test), None)


@pytest.mark.slow
def test_a_search_over_a_pipeline_reaches_the_network_in_it(data):
    X, y, weight, groups = data
    pipeline = make_pipeline(FunctionTransformer(), network(**BOTH))
    search = GridSearchCV(
        pipeline, {"recording__lr": [0.01]}, cv=StratifiedGroupKFold(2), scoring=scorer(True)
    )
    search.fit(X, y, sample_weight=weight, groups=groups)
    assert len(SEEN["fit"]) == 3
    np.testing.assert_array_equal(SEEN["fit"][-1][1], weight)
    np.testing.assert_array_equal(SEEN["fit"][-1][2], groups)
    for _, part in SEEN["scorer"]:
        assert are_those_of(part, weight)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["threshold", "calibration"])
def test_tools_that_tune_decisions_hand_weights_to_the_network(data, kind):
    X, y, weight, groups = data
    cv = StratifiedGroupKFold(2)
    tool = CalibratedClassifierCV(network(**BOTH), cv=cv)
    if kind == "threshold":
        tool = TunedThresholdClassifierCV(network(**BOTH), cv=cv, scoring=scorer(True))
    tool.fit(X, y, sample_weight=weight, groups=groups)
    assert len(SEEN["fit"]) >= 2
    for _, part, own in SEEN["fit"]:
        assert are_those_of(part, weight)
        np.testing.assert_array_equal(own, groups[np.searchsorted(weight, part)])


@pytest.mark.slow
def test_the_score_of_a_network_is_weighted_where_it_requests_it(data):
    X, y, weight, _ = data
    one = network(sample_weight=False).set_score_request(sample_weight=True)
    cross_validate(one, X, y, cv=2, params={"sample_weight": weight})
    assert all(are_those_of(part, weight) for _, part in SEEN["score"])
    assert [part for _, part, _ in SEEN["fit"]] == [None, None]


# ------------------------------------------------------------------------ imbalanced-learn


@pytest.mark.slow
def test_a_pipeline_of_imbalanced_learn_hands_metadata_to_a_network(data):
    X, y, weight, groups = data
    pipeline = make_imblearn_pipeline(FunctionTransformer(), network(**BOTH))
    pipeline.fit(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(SEEN["fit"][0][1], weight)
    np.testing.assert_array_equal(SEEN["fit"][0][2], groups)


@pytest.mark.slow
def test_weights_that_a_resampler_in_a_pipeline_left_behind_are_refused_with_the_way(data):
    X, y, weight, _ = data
    pipeline = make_imblearn_pipeline(
        RandomOverSampler(random_state=0), network(sample_weight=True)
    )
    with pytest.raises(ValueError, match=r"does not resample weights.*sampler="):
        pipeline.fit(X, y, sample_weight=weight)
    inside = network(sample_weight=True).set_params(sampler=RandomOverSampler(random_state=0))
    make_pipeline(inside).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(SEEN["fit"][-1][1], weight)


# ------------------------------------------------------------------------ estimators in others

HOLDERS = {
    "embedder": CNNEmbedder,
    "decoupled": lambda one: DecoupledClassifier(one, max_epochs=1, random_state=0),
    "autobalance": lambda one: AutoBalanceClassifier(one, cv=2, random_state=0),
    "offsets": lambda one: TunedOffsetsClassifierCV(one, random_state=0),
}

#: Those whose `fit` takes metadata under other names too.
WITH_OTHER_NAMES = [name for name in HOLDERS if name != "autobalance"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(BOTH, marks=pytest.mark.exhaustive),
        {"sample_weight": True, "groups": False},
    ],
)
@pytest.mark.parametrize("name", HOLDERS)
def test_a_network_in_an_estimator_gets_what_it_requests(data, name, wanted):
    X, y, weight, groups = data
    holder = HOLDERS[name](network(**wanted))
    given = {"sample_weight": weight, "groups": groups}
    if name == "embedder":
        # Nobody else uses groups there, and scikit-learn refuses what nobody uses.
        given = {key: value for key, value in given.items() if wanted[key]}
    holder.fit(X, y, **given)
    assert len(SEEN["fit"]) == (3 if name in ("autobalance", "offsets") else 1)
    for n_rows, part, own in SEEN["fit"]:
        assert (part is not None) == wanted["sample_weight"]
        assert (own is not None) == wanted["groups"]
        if part is not None:
            assert len(part) == n_rows
            assert are_those_of(part, weight)
        if own is not None:
            places = np.searchsorted(weight, np.asarray(part))
            np.testing.assert_array_equal(own, groups[places])


@pytest.mark.parametrize("name", HOLDERS)
def test_metadata_that_a_network_neither_requests_nor_refuses_are_an_error(data, name):
    X, y, weight, groups = data
    for given in ({"sample_weight": weight}, {"groups": groups}):
        with pytest.raises(UnsetMetadataPassedError, match=rf"{next(iter(given))}.*Recording"):
            HOLDERS[name](network()).fit(X, y, **given)
    assert SEEN["fit"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_OTHER_NAMES)
def test_other_names_go_through_a_pipeline_into_the_network(data, name):
    X, y, weight, _ = data
    steps = make_pipeline(HOLDERS[name](network(sample_weight="of_images")))
    steps.fit(X, y, of_images=weight)
    assert all(are_those_of(part, weight) for _, part, _ in SEEN["fit"])
    with pytest.raises(TypeError, match="nonsense"):
        HOLDERS[name](network()).fit(X, y, nonsense=weight)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_OTHER_NAMES)
def test_without_routing_an_estimator_hands_weights_on_and_refuses_other_names(data, name):
    X, y, weight, groups = data
    holder = HOLDERS[name](network())
    with config_context(enable_metadata_routing=False):
        holder.fit(X, y, sample_weight=weight, groups=groups)
        with pytest.raises(TypeError, match=r"unexpected metadata: \['of_images'\].*set_config"):
            holder.fit(X, y, of_images=weight)
    assert all(are_those_of(part, weight) for _, part, _ in SEEN["fit"])
    # Offsets use the groups for their own parts only.
    assert all((own is None) == (name == "offsets") for _, _, own in SEEN["fit"])


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [BOTH, {"sample_weight": True, "groups": False}])
def test_a_network_whose_decisions_count_costs_gets_what_it_requests(data, wanted):
    X, y, weight, groups = data
    clf = MinimumCostClassifier(network(**wanted), cost_matrix=None, target_prior="train")
    clf.fit(X, y, sample_weight=weight, groups=groups)
    ((_, part, own),) = SEEN["fit"]
    np.testing.assert_array_equal(part, weight)
    assert (own is not None) == wanted["groups"]
    SEEN.clear()
    with pytest.raises(UnsetMetadataPassedError, match=r"sample_weight.*Recording"):
        MinimumCostClassifier(network(), cost_matrix=None).fit(X, y, sample_weight=weight)
    assert SEEN["fit"] == []


@pytest.mark.parametrize(
    "holder",
    [
        AutoBalanceClassifier(),
        CNNEmbedder(),
        DecoupledClassifier(),
        TunedOffsetsClassifierCV(),
        ReBaggRegressor(),
    ],
)
def test_an_estimator_that_nobody_gave_requests_what_it_takes(holder):
    assert holder.get_metadata_routing().consumes("fit", ["sample_weight"]) == {"sample_weight"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [GuaranteedPrecisionClassifier, GuaranteedRecallClassifier])
def test_a_network_under_a_guarantee_gets_what_it_requests(data, kind):
    X, y, weight, groups = data
    is_recall = kind is GuaranteedRecallClassifier
    modest = {"recall": 0.5} if is_recall else {"precision": 0.1, "prior": 0.5}
    # The groups also choose the calibration samples.
    holder = kind(network(**BOTH), random_state=0, **modest).set_fit_request(groups=True)
    make_pipeline(FunctionTransformer(), holder).fit(X, y, sample_weight=weight, groups=groups)
    ((n_rows, part, own),) = SEEN["fit"]
    assert 160 <= n_rows < 180
    assert are_those_of(part, weight)
    np.testing.assert_array_equal(own, groups[np.searchsorted(weight, part)])
    with pytest.raises(UnsetMetadataPassedError, match=r"sample_weight.*Recording"):
        kind(network(), **modest).fit(X, y, sample_weight=weight)
    silent = kind(network(), random_state=0, **modest)
    with config_context(enable_metadata_routing=False):
        silent.fit(X, y, sample_weight=weight, groups=groups)
    assert are_those_of(SEEN["fit"][-1][1], weight)
    assert SEEN["fit"][-1][2] is None


@pytest.mark.slow
def test_the_head_of_two_stages_is_weighted_though_the_network_is_not(data):
    X, y, weight, _ = data
    weight = weight * np.where(y == 1, 50, 1)
    holder = DecoupledClassifier(
        network(sample_weight=False), head=LogisticRegression(), random_state=0
    )
    plain = clone(holder).fit(X, y).predict_proba(X)
    weighted = clone(holder).fit(X, y, sample_weight=weight).predict_proba(X)
    assert [part for _, part, _ in SEEN["fit"]] == [None, None]
    assert not np.allclose(plain, weighted)


def test_a_trained_network_in_two_stages_requests_nothing(data):
    X, y, _, _ = data
    fitted = network().fit(X, y)
    routing = CNNEmbedder(FrozenEstimator(fitted)).get_metadata_routing()
    assert routing.consumes("fit", ["sample_weight", "groups"]) == set()


@pytest.mark.slow
def test_weights_reach_an_embedder_and_the_classifier_after_it(data):
    X, y, weight, groups = data
    pipeline = make_pipeline(
        CNNEmbedder(network(sample_weight=False, groups=True)),
        LogisticRegression().set_fit_request(sample_weight=True),
    )
    weight = weight * np.where(y == 1, 50, 1)
    pipeline.fit(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(SEEN["fit"][0][2], groups)
    assert SEEN["fit"][0][1] is None
    head = LogisticRegression().fit(pipeline[0].transform(X), y, sample_weight=weight)
    np.testing.assert_allclose(head.coef_, pipeline[1].coef_)


@pytest.mark.slow
@pytest.mark.parametrize("cv", [None, 2])
@pytest.mark.parametrize("wanted", [BOTH, {"sample_weight": True, "groups": False}], ids=str)
def test_a_classifier_of_sets_hands_on_what_its_network_requests(data, wanted, cv):
    X, y, weight, groups = data
    clf = ConformalClassifier(network(**wanted), confidence_level=0.5, cv=cv, random_state=0)
    clf.fit(X, y, sample_weight=weight, groups=groups)
    assert len(SEEN["fit"]) == (1 if cv is None else 3)
    for n_rows, part, own in SEEN["fit"]:
        assert len(part) == n_rows
        assert are_those_of(part, weight)
        assert (own is not None) == wanted["groups"]
        if own is not None:
            np.testing.assert_array_equal(own, groups[np.searchsorted(weight, part)])


# ------------------------------------------------------------------------ bags, splitters, scorers


class RecordingRidge(RegressorMixin, BaseEstimator):
    """A regressor that keeps its weights."""

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        self.ridge_ = Ridge().fit(X, y)
        return self

    def predict(self, X):
        return self.ridge_.predict(X)


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 3))
    return X, np.exp(X[:, 0]), np.arange(1.0, 201), np.arange(200) // 2


@pytest.mark.parametrize(
    ("make", "n_train"),
    [
        (lambda inner: ConformalRegressor(inner, ranges=1, random_state=0), 150),
        (lambda inner: SpreadCorrectedRegressor(inner, random_state=0), 200),
    ],
    ids=["intervals", "spread"],
)
def test_a_wrapper_of_a_regressor_hands_weights_on_where_they_are_requested(table, make, n_train):
    X, y, weight, groups = table
    inner = RecordingRidge().set_fit_request(sample_weight=True)
    reg = make(inner).fit(X, y, sample_weight=weight, groups=groups)
    assert len(reg.estimator_.weight_) == n_train
    assert are_those_of(reg.estimator_.weight_, weight)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make(RecordingRidge()).fit(X, y, sample_weight=weight)
    refusing = RecordingRidge().set_fit_request(sample_weight=False)
    with pytest.raises(TypeError, match="not routed to any object"):
        make(refusing).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("asked", [True, "of_bags"])
def test_members_of_bags_get_weights_if_they_request_them(table, asked):
    X, y, weight, _ = table
    member = RecordingRidge().set_fit_request(sample_weight=asked)
    bags = ReBaggRegressor(member, n_estimators=2, random_state=0)
    bags.fit(X, y, **{asked if isinstance(asked, str) else "sample_weight": weight})
    for one, rows in zip(bags.estimators_, bags.estimators_samples_, strict=True):
        np.testing.assert_array_equal(one.weight_, weight[rows])
    with pytest.raises(UnsetMetadataPassedError, match=r"RecordingRidge\.fit"):
        ReBaggRegressor(RecordingRidge()).fit(X, y, sample_weight=weight)
    ReBaggRegressor(n_estimators=1).fit(X, y, sample_weight=weight)
    refusing = ReBaggRegressor(RecordingRidge().set_fit_request(sample_weight=False))
    with pytest.raises(TypeError, match="not routed to any object"):
        refusing.fit(X, y, sample_weight=weight)


def test_our_splitter_gets_groups_without_being_asked_and_others_do_not(table):
    X, y, _, groups = table
    cross_validate(Ridge(), X, y, cv=RecordingFolds(2), params={"groups": groups})
    np.testing.assert_array_equal(SEEN["split"][0], groups)
    silent = RecordingFolds(2).set_split_request(groups=False)
    with pytest.raises(TypeError, match="groups"):
        cross_validate(Ridge(), X, y, cv=silent, params={"groups": groups})


@pytest.mark.slow
def test_every_scorer_of_labels_and_of_numbers_weighs_where_it_is_asked(data, table):
    X, y, weight, _ = data
    weight = np.where(np.arange(len(y)) % 3 == 0, 9.0, 0.3)
    # Labels by chance: each class has hits and misses.
    y = np.random.RandomState(0).permutation(y)
    model = LogisticRegression(max_iter=10_000, C=1e-7, class_weight="balanced")
    model.set_fit_request(sample_weight=False)
    sets = [(imbalance_scoring(y), model, X.reshape(len(X), -1), y, weight)]
    numbers, values, *_ = table
    spread = np.where(np.arange(200) % 3 == 0, 9.0, 0.3)
    ridge = Ridge().set_fit_request(sample_weight=False)
    sets.append((regression_scoring(values), ridge, numbers, values, spread))
    differ = []
    for scorers, estimator, samples, target, weights in sets:
        for name, one in scorers.items():
            with pytest.raises(UnsetMetadataPassedError, match="score"):
                cross_validate(
                    estimator, samples, target, scoring=one, params={"sample_weight": weights}
                )
            asking = clone(one, safe=False).set_score_request(sample_weight=True)
            folds = [(np.arange(0, len(target), 2), np.arange(1, len(target), 2))]
            found = cross_validate(
                estimator,
                samples,
                target,
                cv=folds,
                scoring=asking,
                params={"sample_weight": weights},
            )["test_score"][0]
            train, test = folds[0]
            fitted = clone(estimator).fit(samples[train], target[train])
            expected = one(fitted, samples[test], target[test], sample_weight=weights[test])
            assert found == expected, name
            plain = one(fitted, samples[test], target[test])
            differ.append(found != plain)
    # Recalls of one class do not always change with weights.
    assert np.mean(differ) > 0.7


# ------------------------------------------------------------------------ LossSearchCV


def loss_search(one, **params):
    return LossSearchCV(one, {"loss": ["cross_entropy"]}, cv=StratifiedGroupKFold(2), **params)


@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_a_search_over_losses_asks_each_of_several_scorers(data, search):
    X, y, weight, _ = data
    scoring = {"one": scorer(True), "other": make_scorer(recorded_score)}
    found = loss_search(network(sample_weight=True), scoring=scoring, refit="one", search=search)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        found.fit(X, y, sample_weight=weight)
    assert SEEN["fit"] == []


@pytest.mark.slow
def test_a_search_over_losses_hands_each_what_it_requests(data):
    X, y, weight, groups = data
    found = loss_search(network(sample_weight=True, groups=False), scoring=scorer(True))
    found.fit(X, y, sample_weight=weight, groups=groups)
    assert len(SEEN["fit"]) == 3
    for _, part, own in SEEN["fit"]:
        assert are_those_of(part, weight)
        assert own is None
    folds = StratifiedGroupKFold(2).split(X, y, groups)
    for (_, test), (_, part) in zip(folds, SEEN["scorer"], strict=True):
        np.testing.assert_array_equal(part, weight[test])


def two_stages_of_which_one_is_weighted():
    return DecoupledClassifier(
        CNNClassifier(max_epochs=1, random_state=0).set_fit_request(sample_weight=False),
        max_epochs=1,
        random_state=0,
    ).set_fit_request(sample_weight=True)


def searched(search_class, data, **params):
    X, y, weight, _ = data
    scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    model = two_stages_of_which_one_is_weighted()
    search = search_class(model, {"loss": ["cross_entropy"]}, cv=2, scoring=scoring, **params)
    search.fit(X, y, sample_weight=weight * np.where(y == 1, 90, 1))
    return search.cv_results_["mean_test_score"], search.predict_proba(X)


@pytest.mark.slow
def test_the_network_of_two_stages_speaks_for_itself_in_a_search(data):
    found, expected = searched(LossSearchCV, data), searched(GridSearchCV, data)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    np.testing.assert_array_equal(found[1], expected[1])
    X, y, weight, _ = data
    both = two_stages_of_which_one_is_weighted()
    both.estimator.set_fit_request(sample_weight=True)
    both.fit(X, y, sample_weight=weight * np.where(y == 1, 90, 1))
    assert not np.array_equal(both.predict_proba(X), found[1])


@pytest.mark.slow
@pytest.mark.exhaustive
def test_other_processes_pass_the_same_metadata_on(data):
    found, expected = searched(LossSearchCV, data, n_jobs=2), searched(LossSearchCV, data)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
