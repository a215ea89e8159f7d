"""What an estimator is given to run is checked as the estimator itself is, before any work."""

import warnings
from inspect import signature

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from imblearn.utils.testing import all_estimators
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.tree import DecisionTreeRegressor

from skimb._params import Interval, StrOptions
from skimb.combine import SMOTEENN
from skimb.ensemble import ImageMetaEstimator, ReBaggRegressor
from skimb.model_selection import LossSearchCV, MinimumCostClassifier, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier
from skimb.over_sampling import (
    SMOTE,
    AugmentedOverSampler,
    ImageJitter,
    RandomOverSampler,
    RelevanceOverSampler,
)
from skimb.study import compare
from skimb.under_sampling import ClusterUnderSampler, EmbeddedSampler, RandomUnderSampler

TYPO = imblearn.over_sampling.BorderlineSMOTE(kind="typo")


@pytest.fixture
def no_training(monkeypatch):
    """A network that begins to train is an error."""

    def begun(*args, **kwargs):
        raise AssertionError("A network was trained.")

    for module in ("neural_network._cnn", "_engine._training"):
        monkeypatch.setattr(f"skimb.{module}.train", begun)


def some_images(n=60, n_few=20):
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [n - n_few, n_few])
    X = rng.randint(0, 200, size=(n, 6, 6)).astype(np.uint8)
    X[y == 1] += 50
    return X, y


def network(**params):
    return CNNClassifier("linear", max_epochs=1, random_state=0, **params)


def wrong_values():
    """Each sampler of imbalanced-learn with a value for one parameter that it cannot have."""
    for name, kind in all_estimators(type_filter="sampler"):
        for parameter, constraints in kind._parameter_constraints.items():
            if parameter not in signature(kind).parameters or not isinstance(constraints, list):
                continue
            options = [c for c in constraints if isinstance(c, StrOptions)]
            bounds = [c for c in constraints if isinstance(c, Interval) and c.left is not None]
            if parameter == "sampling_strategy" or not (options or bounds):
                continue
            wrong = "typo" if options else bounds[0].left - 1
            needed = {"categorical_features": [0]} if name == "SMOTENC" else {}
            yield pytest.param(kind, {parameter: wrong, **needed}, id=f"{name}-{parameter}")
            break


WRONG = list(wrong_values())


def test_many_samplers_are_tried():
    assert len(WRONG) >= 16


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda sampler: network(sampler=sampler),
        lambda sampler: network(sampler=[RandomOverSampler(), sampler]),
        lambda sampler: EmbeddedSampler(sampler),
        lambda sampler: DecoupledClassifier(
            network(), head=LogisticRegression(), sampler=sampler, random_state=0
        ),
    ],
    ids=["classifier", "list", "embedded", "decoupled"],
)
def test_a_parameter_of_a_sampler_is_checked_before_any_training(kind, wrong, wrapped, no_training):
    X, y = some_images()
    run = wrapped(kind(**wrong))
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of"):
        run.fit_resample(X, y) if hasattr(run, "fit_resample") else run.fit(X, y)


@pytest.mark.parametrize(
    "run",
    [
        network(sampler=RandomOverSampler().set_params(lazy="no")),
        network(sampler=RandomUnderSampler().set_params(replacement="yes")),
        network(sampler=EmbeddedSampler(TYPO)),
        network(sampler=make_pipeline(RandomOverSampler(), SMOTE(k_neighbors=0))),
        network(sampler=SMOTE(embedder=PCA(svd_solver="typo"))),
        network(augmentation=[ImageJitter(shift=7)]),
        DecoupledClassifier(network(sampler=TYPO)),
        DecoupledClassifier(network(), sampler=TYPO),
        CNNEmbedder(network(sampler=TYPO)),
        CNNRegressor("linear", sampler=RelevanceOverSampler(threshold=7), max_epochs=1),
    ],
    ids=lambda run: type(run).__name__,
)
def test_networks_check_all_that_they_are_given(run, no_training):
    X, y = some_images()
    with pytest.raises(ValueError, match="parameter of"):
        run.fit(X, y)


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTE(embedder=PCA(svd_solver="typo")),
        ClusterUnderSampler(embedder=PCA(n_components="typo")),
        EmbeddedSampler(RandomUnderSampler().set_params(lazy="no")),
        EmbeddedSampler(RandomUnderSampler(), embedder=PCA(whiten="no")),
        EmbeddedSampler(imblearn.under_sampling.TomekLinks(), embedder=CNNEmbedder(network(lr=-1))),
        EmbeddedSampler(EmbeddedSampler(TYPO)),
        AugmentedOverSampler(augmentation=ImageJitter().set_params(flip="left")),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_samplers_check_all_that_they_are_given(sampler, no_training):
    X, y = some_images()
    with pytest.raises(ValueError, match="parameter of"):
        sampler.fit_resample(X, y)


@pytest.mark.parametrize(
    "members",
    [
        ReBaggRegressor(DecisionTreeRegressor(criterion="typo")),
        # No bag needs a row that is made: the sampler would never run.
        ReBaggRegressor(sampler=RelevanceOverSampler(threshold=7), max_samples=4, n_estimators=1),
    ],
    ids=["estimator", "sampler"],
)
def test_members_are_checked_though_they_may_not_run(members):
    y = np.r_[np.linspace(0, 1, 40), [9, 10, 11, 12, 13]]
    with pytest.raises(ValueError, match="parameter of"):
        members.fit(y[:, np.newaxis], y)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator", [network(), DecoupledClassifier(network(), random_state=0)], ids=["end", "head"]
)
def test_a_typo_in_a_grid_is_a_fit_that_failed_not_a_candidate(estimator):
    X, y = some_images()
    estimator.set_params(sampler=imblearn.over_sampling.BorderlineSMOTE(random_state=0))
    grid = {"sampler__kind": ["borderline-1", "typo"]}
    search = GridSearchCV(estimator, grid, cv=2, error_score=np.nan, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_a_search_over_losses_does_not_score_a_typo_either(search):
    X, y = some_images()
    sampler = imblearn.over_sampling.BorderlineSMOTE(random_state=0)
    model = network(sampler=sampler)
    if search == "heads":
        model = DecoupledClassifier(network(), sampler=sampler, random_state=0)
    grid = {"sampler__kind": ["borderline-1", "typo"]}
    found = LossSearchCV(model, grid, cv=2, search=search, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.fit(X, y)
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.slow
def test_a_search_that_is_handed_in_checks_its_candidates():
    """Its own estimator may be nonsense before the search has set it."""
    X, y = some_images()
    inner = GridSearchCV(
        make_pipeline(PCA(2, svd_solver="typo"), LogisticRegression()),
        {"pca__svd_solver": ["full", "other typo"]},
        cv=2,
    )

    sampler = SMOTE(embedder=_Searched(inner), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler.fit_resample(X, y)
    scores = sampler.embedder_.search_.cv_results_["mean_test_score"]
    assert np.isnan(scores).tolist() == [False, True]


def test_what_is_frozen_is_fitted_and_is_not_asked():
    X, y = some_images()
    pca = PCA(2).fit(X.reshape(len(X), -1)).set_params(svd_solver="typo")
    SMOTE(embedder=FrozenEstimator(pca), random_state=0).fit_resample(X, y)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ImageMetaEstimator(BaggingClassifier), "`estimator` of ImageMetaEstimator .* Bagging"),
        (
            ImageMetaEstimator(BaggingClassifier(CNNClassifier)),
            "`estimator` of BaggingClassifier must be an object, not a class. Got CNNClassifier: "
            r"give CNNClassifier\(\)",
        ),
        (
            ImageMetaEstimator(StackingClassifier([("a", CNNClassifier)])),
            "`estimators` of StackingClassifier must hold objects, not classes. Got CNNClassifier",
        ),
        (DecoupledClassifier(CNNClassifier), "`estimator` of DecoupledClassifier .* CNNClassifier"),
        (DecoupledClassifier(network(), sampler=SMOTE), "`sampler` of DecoupledClassifier"),
        (CNNClassifier(sampler=SMOTE), r"`sampler` of CNNClassifier .* give SMOTE\(\)"),
        (CNNEmbedder(CNNClassifier), "`estimator` of CNNEmbedder .* Got CNNClassifier"),
        (
            MinimumCostClassifier(CNNClassifier, cost_matrix=None),
            "`estimator` of MinimumCostClassifier",
        ),
        (TunedOffsetsClassifierCV(CNNClassifier), "`estimator` of TunedOffsetsClassifierCV"),
        (ReBaggRegressor(CNNRegressor), "`estimator` of ReBaggRegressor .* Got CNNRegressor"),
        (SMOTE(embedder=PCA), "`embedder` of SMOTE .* Got PCA"),
        (SMOTE(k_neighbors=NearestNeighbors), "`k_neighbors` of SMOTE .* Got NearestNeighbors"),
        (SMOTEENN(smote=SMOTE), "`smote` of SMOTEENN .* Got SMOTE"),
        (EmbeddedSampler(imblearn.under_sampling.TomekLinks), "`sampler` of EmbeddedSampler"),
    ],
    ids=lambda value: repr(value)[:60] if hasattr(value, "fit") else "",
)
def test_a_class_in_the_place_of_an_object_is_named(estimator, message, no_training):
    X, y = some_images()
    run = estimator.fit_resample if hasattr(estimator, "fit_resample") else estimator.fit
    with pytest.raises(ValueError, match=message):
        run(X, y.astype(float) if isinstance(estimator, ReBaggRegressor) else y)


def test_a_comparison_names_a_class_in_the_place_of_an_object():
    with pytest.raises(ValueError, match=r"must be a CNNClassifier .* Got the class CNNClassifier"):
        compare(*some_images(), estimator=CNNClassifier)


def test_who_switches_validation_off_gets_none():
    X, y = some_images()
    sampler = EmbeddedSampler(imblearn.under_sampling.TomekLinks(n_jobs=1.0))
    with config_context(skip_parameter_validation=True):
        sampler.fit_resample(X, y)
    with pytest.raises(ValueError, match="'n_jobs'"):
        sampler.fit_resample(X, y)


class _Searched(PCA):
    """An embedding that a search has found."""

    def __init__(self, search):
        super().__init__()
        self.search = search

    def get_params(self, deep=True):
        return {"search": self.search}

    def fit(self, X, y=None):
        self.search_ = self.search.fit(X, y)
        return self

    def transform(self, X):
        return self.search_.best_estimator_[:-1].transform(X)
