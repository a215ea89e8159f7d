"""Files of pipelines, searches, calibrations and ensembles around a network."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from torch import nn

from skimb.ensemble import ReBaggRegressor
from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    LossSearchCV,
    MinimumCostClassifier,
    PriorCorrectedClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, load, save
from skimb.neural_network._saved_equality import are_copies
from skimb.over_sampling import SMOTE, RandomOverSampler

X = np.random.RandomState(0).rand(60, 8, 8).astype(np.float32)
Y = np.arange(60) % 5 // 3
ROWS = X.reshape(60, -1)


def quick(module="linear", **params):
    defaults = {"max_epochs": 1, "batch_size": 30, "random_state": 0, "standardize": None}
    return CNNClassifier(module, **{**defaults, **params})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


def check_round_trip(fitted, path, data=X):
    save(fitted, path)
    again = load(path)
    assert type(again) is type(fitted)
    names = ("predict_proba", "predict_log_proba", "decision_function", "predict", "transform")
    names += ("predict_set", "predict_interval")
    n_compared = 0
    for name in names:
        if hasattr(fitted, name):
            first, second = (np.asarray(getattr(one, name)(data)) for one in (fitted, again))
            assert first.dtype == second.dtype, name
            assert np.array_equal(first, second), name
            n_compared += 1
    assert n_compared
    assert repr(again) == repr(fitted)
    clone(again)
    return again


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), PCA(8), quick()),
        make_imbalanced_pipeline(RandomOverSampler(random_state=0), quick()),
        make_imbalanced_pipeline(CNNEmbedder(quick()), SMOTE(), LogisticRegression()),
        make_pipeline(FunctionTransformer(np.log1p), quick()),
        FixedThresholdClassifier(quick(), threshold=0.3, response_method="predict_proba"),
        TunedThresholdClassifierCV(quick(), cv=2, random_state=0, store_cv_results=True),
        TunedThresholdClassifierCV(quick(), cv=2, scoring="f1", random_state=0),
        BiasCorrectedCalibrator(quick(), cv=2, random_state=0),
        PriorCorrectedClassifier(quick(), target_prior={0: 0.2, 1: 0.8}, cv=2, random_state=0),
        CalibratedClassifierCV(quick(), cv=2),
        CalibratedClassifierCV(quick(), cv=StratifiedKFold(2), method="isotonic"),
        CalibratedClassifierCV(quick(), cv=2, method="temperature", ensemble=False),
        AutoBalanceClassifier(quick(), cv=2, random_state=0),
        AutoBalanceClassifier(quick(), cv=2, final="end_to_end", random_state=0),
        AutoBalanceClassifier(quick(), search="end_to_end", cv=0.5, random_state=0),
        MinimumCostClassifier(quick(), cost_matrix=[[0, 1], [9, 0]], target_prior="uniform"),
        MinimumCostClassifier(
            make_imbalanced_pipeline(SMOTE(random_state=0), LogisticRegression()),
            cost_matrix={0: {1: 1}, 1: {0: 5}},
            target_prior={0: 0.5, 1: 0.5},
        ),
        TunedOffsetsClassifierCV(quick(), random_state=0),
        ConformalClassifier(quick(), confidence_level=0.5, random_state=0),
        ConformalClassifier(make_pipeline(StandardScaler(), quick()), interpolation=0.5, cv=2),
        GuaranteedRecallClassifier(quick(), recall=0.5, random_state=0),
        GuaranteedPrecisionClassifier(quick(), precision=0.1, prior=0.5, random_state=0),
        VotingClassifier([("a", quick()), ("b", LogisticRegression())], voting="soft"),
        BaggingClassifier(quick(), n_estimators=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_estimators_around_a_network_come_back(model, path):
    check_round_trip(clone(model).fit(ROWS, Y), path, ROWS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature_", 0.0),
        ("biases_", np.array([np.nan, 0.0])),
        ("biases_", np.ones(3)),
        ("least_log_probability_", np.inf),
    ],
)
def test_numbers_of_a_calibration_that_fit_nothing_are_refused(name, value, path):
    model = BiasCorrectedCalibrator(quick(), cv=2, random_state=0).fit(X, Y)
    setattr(model, name, value)
    save(model, path)
    with pytest.raises(ValueError, match=r"temperature|log_offsets|least_log_probability"):
        load(path).predict_proba(X)


def test_a_frame_of_costs_comes_back_as_a_dict(path):
    labels = np.array(["no", "yes"])[Y]
    costs = pd.DataFrame([[0.0, 2.0], [9.0, 0.0]], index=["no", "yes"], columns=["no", "yes"])
    model = MinimumCostClassifier(quick(), cost_matrix=costs).fit(X, labels)
    save(model, path)
    again = load(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.cost_matrix == {"no": {"no": 0.0, "yes": 2.0}, "yes": {"no": 9.0, "yes": 0.0}}
    assert np.array_equal(clone(again).fit(X, labels).cost_matrix_, costs)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost_matrix_", np.array([[0.0, np.nan], [1.0, 0.0]])),
        ("cost_matrix_", np.ones((3, 3))),
        ("cost_matrix_", "none"),
        ("log_offsets_", np.zeros(3)),
        ("log_offsets_", np.array([0.0, np.inf])),
    ],
)
def test_damaged_numbers_of_a_decision_are_refused(path, name, value):
    model = MinimumCostClassifier(quick(), cost_matrix=[[0, 1], [9, 0]]).fit(X, Y)
    setattr(model, name, value)
    save(model, path)
    with pytest.raises(ValueError, match="numbers of the decisions"):
        load(path)


def test_a_tuned_threshold_knows_its_positive_label(path):
    labels = np.array(["no", "yes"])[Y]
    scorer = make_scorer(f1_score, pos_label="yes")
    model = TunedThresholdClassifierCV(quick(), cv=2, scoring=scorer, random_state=0)
    model.fit(X, labels)
    with pytest.warns(UserWarning, match="scoring"):
        save(model, path)
    with pytest.warns(UserWarning, match="scoring"):
        again = load(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.best_threshold_ == model.best_threshold_


@pytest.mark.parametrize("name", ["threshold_", "label_"])
def test_a_guarantee_with_damaged_numbers_is_refused(name, path):
    model = GuaranteedRecallClassifier(quick(), recall=0.5, random_state=0).fit(X, Y)
    assert again_with(model, path).guaranteed_precision(0.1) == model.guaranteed_precision(0.1)
    setattr(model, name, np.nan)
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        again_with(model, path).predict(X)


def again_with(model, path):
    save(model, path)
    return load(path)


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(quick(), {"lr": [1e-3, 1e-2]}, cv=2),
        LossSearchCV(quick(), {"class_weight": [None, "balanced"]}, cv=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_a_search_is_saved_by_its_best_estimator(search, path):
    search = clone(search).fit(X, Y)
    save(search, path)
    again = load(path)
    assert type(again) is type(search.best_estimator_)
    assert np.array_equal(again.predict_proba(X), search.predict_proba(X))


def test_a_search_without_a_best_estimator_is_refused(path):
    search = GridSearchCV(quick(), {"lr": [1e-3]}, cv=2, refit=False).fit(X, Y)
    with pytest.raises(ValueError, match=r"refit=False.*Fit it with refit=True"):
        save(search, path)
    assert not path.exists()


def test_an_ensemble_of_regressors_comes_back(path):
    network = CNNRegressor("linear", max_epochs=1, random_state=0)
    model = ReBaggRegressor(network, n_estimators=2, random_state=0)
    check_round_trip(model.fit(X, np.exp(X.mean((1, 2)) * 20)), path)


def test_intervals_around_a_network_come_back(path):
    network = CNNRegressor("linear", max_epochs=1, random_state=0)
    model = ConformalRegressor(network, confidence_level=0.5, ranges=2, random_state=0)
    check_round_trip(model.fit(X, np.exp(X.mean((1, 2)) * 20)), path)


@pytest.mark.parametrize("clip", ["range", (0.0, np.inf), None], ids=str)
def test_a_spread_around_a_network_comes_back(clip, path):
    network = CNNRegressor("linear", max_epochs=1, random_state=0)
    model = SpreadCorrectedRegressor(network, clip=clip, random_state=0)
    again = check_round_trip(model.fit(X, np.exp(X.mean((1, 2)) * 20)), path)
    assert again.spread_correction() == model.spread_correction()


@pytest.mark.parametrize(
    ("name", "value"),
    [("slope_", -1.0), ("slope_", np.nan), ("centre_", "5"), ("bounds_", (2.0, 1.0))],
)
def test_damaged_numbers_of_a_spread_are_refused(name, value, path):
    network = CNNRegressor("linear", max_epochs=1, random_state=0)
    model = SpreadCorrectedRegressor(network, random_state=0).fit(X, X.mean((1, 2)))
    setattr(model, name, value)
    save(model, path)
    with pytest.raises(ValueError, match=f"`{name}`.* must|`{name}` a finite number"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "name", "numbers"),
    [
        ("classes", "thresholds_", [0.5]),
        ("classes", "thresholds_", [0.5, np.nan]),
        ("classes", "thresholds_", [0.5, 2.0]),
        ("numbers", "edges_", [np.inf]),
        ("numbers", "half_widths_", [1.0, -1.0]),
        ("numbers", "half_widths_", [1.0]),
    ],
)
def test_conformal_numbers_of_a_file_are_checked(kind, name, numbers, path):
    if kind == "classes":
        fitted = ConformalClassifier(quick(), confidence_level=0.5, random_state=0).fit(X, Y)
    else:
        network = CNNRegressor("linear", max_epochs=1, random_state=0)
        fitted = ConformalRegressor(network, confidence_level=0.5, ranges=2, random_state=0)
        fitted.fit(X, X.mean((1, 2)))
    setattr(fitted, name, np.array(numbers))
    save(fitted, path)
    with pytest.raises(ValueError, match=f"`{name}` must"):
        load(path)


def test_images_beside_columns_come_back(path):
    frame = pd.DataFrame(ROWS).rename(columns=lambda i: f"p{i}")
    frame["site"] = np.array(["north", "south", "west"])[np.arange(60) % 3]
    pixels = [name for name in frame if name != "site"]
    model = make_pipeline(
        make_column_transformer(
            (CNNEmbedder(quick()), pixels),
            (OneHotEncoder(sparse_output=False), ["site"]),
            remainder="drop",
        ),
        LogisticRegression(),
    )
    check_round_trip(model.fit(frame, Y), path, frame)


def test_output_of_frames_and_requests_for_metadata_come_back(path):
    embedder = CNNEmbedder(quick()).fit(X, Y).set_output(transform="pandas")
    save(embedder, path)
    pd.testing.assert_frame_equal(load(path).transform(X), embedder.transform(X))
    with sklearn.config_context(enable_metadata_routing=True):
        fitted = quick().set_fit_request(sample_weight=True, groups="site").fit(X, Y)
        save(fitted, path)
        again = load(path)
        assert str(again.get_metadata_routing()) == str(fitted.get_metadata_routing())


def test_a_cache_of_a_pipeline_is_not_in_the_file(path, tmp_path):
    model = make_pipeline(
        StandardScaler(), quick(), memory=str(tmp_path / ("long" * 30) / "cache")
    ).fit(ROWS, Y)
    with pytest.warns(UserWarning, match=r"memory \('.*\.\.\..*cache', now None\)"):
        save(model, path)
    with pytest.warns(UserWarning, match="memory"):
        assert load(path).memory is None


def test_samplers_in_a_pipeline_do_not_bring_their_samples(path):
    model = make_imbalanced_pipeline(SMOTE(random_state=0), quick()).fit(ROWS, Y)
    save(model, path)
    assert ROWS[0, :4].tobytes() not in path.read_bytes()


@pytest.mark.parametrize(
    ("model", "fix"),
    [
        (make_pipeline(CNNEmbedder(quick()), KNeighborsClassifier()), "LogisticRegression"),
        (make_pipeline(CNNEmbedder(quick()), SVC()), "LogisticRegression"),
        (make_pipeline(CNNEmbedder(quick()), RandomForestClassifier(2)), "LogisticRegression"),
        (make_pipeline(FunctionTransformer(lambda X: X), quick()), "func"),
    ],
    ids=["neighbors", "svm", "forest", "function"],
)
def test_estimators_that_cannot_be_written_are_refused_before_anything_is(model, fix, path):
    model.fit(X if "cnnembedder" in model.named_steps else ROWS, Y)
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=f"nothing was written.*{fix}"):
        save(model, path)
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.iterdir())) == 1


def test_another_version_of_scikit_learn_warns_for_its_own_estimators(path, monkeypatch):
    monkeypatch.setattr("skimb.neural_network._saving.sklearn.__version__", "1.7.0")
    save(make_pipeline(StandardScaler(), quick()).fit(ROWS, Y), path)
    save(quick().fit(X, Y), path.with_name("alone"))
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match=r"from version 1\.7\.0") as caught:
        load(path)
    assert [vars(w.message)["estimator_name"] for w in caught] == ["StandardScaler", "Pipeline"]
    load(path.with_name("alone"))


# ------------------------------------------------------- several objects for one role


def of_relu(in_channels, n_outputs, activation: type[nn.Module] = nn.ReLU):
    first, last = nn.Linear(in_channels * 64, 8), nn.Linear(8, n_outputs)
    return nn.Sequential(nn.Flatten(), first, activation(), last)


def of_tanh(in_channels, n_outputs):
    return of_relu(in_channels, n_outputs, nn.Tanh)


def scaled(factor):
    return lambda images: images * factor


class Weighted(nn.Module):
    """A loss of a user's own, which does not show its option."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target, reduction="none") * self.weight


@pytest.mark.parametrize(
    ("role", "first", "second"),
    [
        ("module", of_relu, of_tanh),
        ("module", partial(of_relu), partial(of_relu, activation=nn.Tanh)),
        ("module", of_relu(1, 2), of_tanh(1, 2)),
        ("module", nn.Sequential(of_relu(1, 2)), nn.Sequential(of_relu(1, 2, nn.Softsign))),
        ("loss", Weighted(1.0), Weighted(2.0)),
        ("augmentation", scaled(0.9), scaled(0.5)),
    ],
    ids=["functions", "partials", "instances", "nested", "losses", "augmentations"],
)
def test_different_objects_for_one_role_are_refused_as_load_gets_one(role, first, second, path):
    networks = [
        (name, quick(**{"module": "linear", role: value}))
        for name, value in (("a", first), ("b", second))
    ]
    model = VotingClassifier(networks, voting="soft").fit(ROWS, Y)
    with pytest.raises(ValueError, match=f"different objects as `{role}`.*file of its own"):
        save(model, path)
    assert not path.exists()


class Masked(nn.Module):
    """A network with a buffer that no file has."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", torch.tensor(mask), persistent=False)
        self.layer = nn.Linear(64, 2)

    def forward(self, x):
        return self.layer(x.flatten(1)) * self.mask


def test_copies_differ_in_weights_alone():
    assert are_copies(of_relu(1, 2), of_relu(1, 2))
    assert not are_copies(of_relu(1, 2), of_relu(1, 3))
    assert are_copies(Masked([1.0, 1.0]), Masked([1.0, 1.0]))
    assert not are_copies(Masked([1.0, 1.0]), Masked([1.0, 2.0]))
    assert are_copies(nn.LazyLinear(2), nn.LazyLinear(2))
    assert not are_copies(nn.LazyLinear(2), nn.LazyLinear(3))
    assert are_copies([np.arange(3), {"a": (1, None)}], [np.arange(3), {"a": (1, None)}])
    assert not are_copies([np.arange(3)], [np.arange(3.0)])
    assert are_copies(Weighted(1.0).forward, Weighted(1.0).forward)
    assert not are_copies(Weighted(1.0).forward, Weighted(2.0).forward)
    first, second = [], []
    first.append(first)
    second.append(second)
    assert are_copies(first, second)


@pytest.mark.parametrize(
    "given",
    [
        {"module": of_relu},
        {"module": partial(of_relu, activation=nn.Tanh)},
        {"module": of_tanh(1, 2)},
        {"loss": Weighted(2.0)},
        {"augmentation": scaled(0.9)},
    ],
    ids=["function", "partial", "instance", "loss", "augmentation"],
)
def test_one_object_may_stand_for_its_copies(given, path):
    model = BaggingClassifier(quick(**{"module": "linear", **given}), n_estimators=2)
    model.set_params(random_state=0).fit(ROWS, Y)
    save(model, path)
    again = load(path, **given)
    assert np.array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))


# ---------------------------------------------------------------- classes of one's own


class Shifted(ClassifierMixin, BaseEstimator):
    """A wrapper of a user's own, which can be saved."""

    def __init__(self, estimator, shift=0.1):
        self.estimator = estimator
        self.shift = shift

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X):
        return self.estimator_.predict_proba(X) + self.shift

    def to_saved(self):
        return {"estimator": self.estimator, "shift": self.shift, "fitted": self.estimator_}

    @classmethod
    def from_saved(cls, state):
        made = cls(state["estimator"], state["shift"])
        made.estimator_ = state["fitted"]
        made.classes_ = made.estimator_.classes_
        return made


class Foreign(ClassifierMixin, BaseEstimator):
    """A wrapper of a user's own that cannot be saved."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self


def test_a_class_of_ones_own_joins_by_two_methods(path):
    model = make_pipeline(StandardScaler(), Shifted(quick())).fit(ROWS, Y)
    save(model, path)
    again = load(path, classes=[Shifted])
    assert np.array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))
    assert isinstance(again[-1], Shifted)
    with pytest.raises(ValueError, match=r"load\(path, classes=\[Shifted\]\)"):
        load(path)


def test_the_error_for_a_class_of_a_function_names_code_that_runs(path):
    class Local(Shifted):
        pass

    save(Local(quick()).fit(X, Y), path)
    with pytest.raises(ValueError, match=r"load\(path, classes=\[Local\]\)"):
        load(path)
    assert isinstance(load(path, classes=[Local]), Local)


def test_a_class_without_these_methods_is_refused_with_the_fix(path):
    with pytest.raises(ValueError, match=r"Foreign.*to_saved.*from_saved"):
        save(Foreign().fit(X, Y), path)


def test_an_object_that_stands_twice_is_written_once(path):
    network = quick("simple_cnn").fit(X, Y)
    model = VotingClassifier([("a", quick())], voting="soft").fit(ROWS, Y)
    model.estimators_ = [network, network]
    save(network, path)
    size = path.stat().st_size
    save(model, path)
    assert path.stat().st_size < 1.2 * size
    first, second = load(path).estimators_
    assert first is second
    assert torch.equal(first.module_.head.weight, network.module_.head.weight)
    assert accuracy_score(Y, first.predict(X)) == accuracy_score(Y, network.predict(X))
