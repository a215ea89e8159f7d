"""The steps of an export, run by torch without the exporter: they predict what estimators predict.

The exporter takes seconds, and what it makes of these steps is tested in test_onnx.py.
"""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as imblearn_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from torch import nn

from skimb.losses import CrossEntropyLoss, FocalLoss, VectorScalingLoss
from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    DecisionRule,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    LossSearchCV,
    MinimumCostClassifier,
    PriorCorrectedClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    export_onnx,
)
from skimb.neural_network._onnx_modules import Classify, Pixels
from skimb.neural_network._onnx_steps import steps_of
from skimb.over_sampling import RandomOverSampler

STEPS = 4


def network(module: Any = "simple_cnn", **options):
    return CNNClassifier(
        module, **{"max_epochs": 1, "steps_per_epoch": STEPS, "random_state": 0} | options
    )


@pytest.fixture(scope="module")
def data():
    """Three classes of noise on different grey levels."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [70, 20, 10])
    X = (60 * y[:, None, None] + 40 + 50 * rng.rand(100, 8, 8)).astype(np.uint8)
    return X, np.array(["cat", "dog", "owl"])[y]


@pytest.fixture(scope="module")
def two(data):
    X, y = data
    return X[20:90], y[20:90]


@pytest.fixture(scope="module")
def fitted(data):
    return network().fit(*data)


@pytest.fixture(scope="module")
def fitted_two(two):
    return network().fit(*two)


def run(fitted, X) -> Any:
    """Return the outputs of the steps of a fitted estimator."""
    steps = steps_of(fitted)
    layout, _ = steps.source._input_form
    graph = nn.Sequential(Pixels(layout, steps.source.image_shape_), *steps.complete()).eval()
    with torch.no_grad():
        made = graph(torch.from_numpy(np.ascontiguousarray(X)))
    if steps.task != "classification":
        return made.numpy()
    return steps.classes[made[0].numpy()], made[1].numpy()


def assert_predicts(fitted, X):
    label, proba = run(fitted, X)
    np.testing.assert_allclose(proba, fitted.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, fitted.predict(X))


LOSSES = [
    "cross_entropy",
    "focal",
    "asymmetric",
    "ldam",
    "logit_adjusted",
    "balanced_softmax",
    "vector_scaling",
    "poly",
    CrossEntropyLoss(label_smoothing=[0.1, 0.3, 0.0]),
    FocalLoss(gamma=0.5),
    VectorScalingLoss(multiplier=[1.2, 0.8, 0.9], offset=[0.0, -1.0, 0.5]),
    nn.CrossEntropyLoss(reduction="none"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: getattr(loss, "lower", str(loss).lower)())
def test_every_loss_and_prior_is_inside(data, loss):
    clf = network("linear", loss=loss).fit(*data)
    for prior in (None, "train", "sqrt", "uniform", {"cat": 0.1, "dog": 0.1, "owl": 0.8}):
        # A prior that is set after `fit` counts.
        assert_predicts(clf.set_params(target_prior=prior), data[0])


@pytest.mark.parametrize("prior", [None, "uniform"])
def test_temperatures_are_inside(data, prior):
    clf = network(
        "linear", calibration="temperature", loss="logit_adjusted", target_prior=prior
    ).fit(*data)
    assert clf.temperature_ != 1
    assert clf.decision_temperature_ != clf.temperature_
    assert_predicts(clf, data[0])


@pytest.mark.parametrize("prior", [None, "uniform"])
def test_biases_are_inside(data, prior):
    clf = network(
        "linear", calibration="bias_corrected", loss="logit_adjusted", target_prior=prior
    ).fit(*data)
    assert clf.biases_.any()
    assert clf.decision_biases_.any()
    assert_predicts(clf, data[0])


def test_views_of_an_augmentation_are_inside(data):
    clf = network(augmentation="flip_crop").fit(*data)
    assert clf.net_.module_.views is not None
    assert_predicts(clf, data[0])


@pytest.mark.parametrize("standardize", ["auto", None, (10.0, 20.0)])
def test_the_standardisation_is_inside(data, standardize):
    assert_predicts(network("linear", standardize=standardize).fit(*data), data[0])


def test_images_have_the_layout_of_fit(data):
    X, y = data
    colour = np.repeat(X[..., None], 3, axis=3)
    for form in (X, colour, np.moveaxis(colour, 3, 1), X.reshape(len(X), -1), X / 255):
        clf = network().fit(form, y)
        steps = steps_of(clf)
        layout = {2: "NF", 3: "NHW", 4: "NHWC" if form.shape[-1] == 3 else "NCHW"}[form.ndim]
        kind = "uint8" if form.dtype == np.uint8 else "float32"
        assert steps.source._input_form == (layout, kind)
        assert_predicts(clf, form)


def test_values_far_from_zero_keep_their_differences(data):
    X, _ = data
    y = 1e9 + X.mean((1, 2))
    reg = CNNRegressor("linear", max_epochs=1, random_state=0).fit(X, y)
    np.testing.assert_allclose(run(reg, X) - 1e9, reg.predict(X) - 1e9, atol=1e-3)
    assert np.ptp(run(reg, X)) > 1


@pytest.mark.parametrize("layer", ["penultimate", "features.norms.1"])
@pytest.mark.parametrize("normalize", [False, True])
def test_embeddings_are_those_of_the_layer(fitted, data, layer, normalize):
    embedder = CNNEmbedder(FrozenEstimator(fitted), layer=layer, normalize=normalize).fit(data[0])
    np.testing.assert_allclose(run(embedder, data[0]), embedder.transform(data[0]), atol=1e-5)


def test_embeddings_are_averaged_over_views(data):
    clf = network(augmentation="flip_crop").fit(*data)
    embedder = CNNEmbedder(FrozenEstimator(clf)).fit(data[0])
    np.testing.assert_allclose(run(embedder, data[0]), embedder.transform(data[0]), atol=1e-5)


HEADS = [
    {"max_epochs": 1},
    {"head": "learnable_scales", "loss": "focal", "max_epochs": 1},
    {"head": "tau_normalized", "tau": 0.7},
    {"head": LogisticRegression(class_weight="balanced")},
    {"head": make_pipeline(StandardScaler(), LogisticRegression())},
    {"sampler": RandomOverSampler(), "target_prior": "uniform", "max_epochs": 1},
]


@pytest.mark.parametrize("options", HEADS, ids=range(len(HEADS)))
def test_a_retrained_head_is_inside(fitted, fitted_two, data, two, options):
    for inner, (X, y) in ((fitted, data), (fitted_two, two)):
        clf = DecoupledClassifier(FrozenEstimator(inner), random_state=0, **options).fit(X, y)
        assert_predicts(clf, X)


@pytest.mark.parametrize("response", ["auto", "predict_proba", "decision_function"])
@pytest.mark.parametrize("label", ["dog", "cat", None])
def test_a_fixed_threshold_is_inside(fitted_two, two, response, label):
    X, y = two
    for threshold in ("auto", 0.2, 0.9):
        clf = FixedThresholdClassifier(
            FrozenEstimator(fitted_two),
            threshold=threshold,
            pos_label=label,
            response_method=response,
        )
        if label is None:
            # scikit-learn takes the last class, but not for labels that are strings.
            numbers = network("linear").fit(X, (y == "dog").astype(int))
            clf.set_params(estimator=FrozenEstimator(numbers))
        # A classifier that was fitted before needs no `fit`.
        assert_predicts(clf, X)
        assert_predicts(clf.fit(X, y if label else (y == "dog").astype(int)), X)


@pytest.mark.parametrize("label", ["dog", "cat"])
def test_a_tuned_threshold_is_inside(fitted_two, two, label):
    scorer = make_scorer(f1_score, pos_label=label)
    clf = TunedThresholdClassifierCV(
        FrozenEstimator(fitted_two), scoring=scorer, cv="prefit", refit=False
    ).fit(*two)
    assert_predicts(clf, two[0])
    clf.best_threshold_ = 0.9
    assert_predicts(clf, two[0])


def test_tuned_offsets_are_inside(fitted, data):
    clf = TunedOffsetsClassifierCV(FrozenEstimator(fitted), random_state=0).fit(*data)
    clf.offsets_ = np.array([-2.0, 0.5, 1.5])
    assert_predicts(clf, data[0])
    assert (clf.predict(data[0]) != fitted.predict(data[0])).any()
    np.testing.assert_array_equal(clf.decision_rule().log_offsets, clf.offsets_)


@pytest.mark.parametrize("final", ["two_stage", "end_to_end"])
def test_searched_numbers_of_the_classes_are_inside(data, final):
    clf = AutoBalanceClassifier(network("linear"), cv=2, final=final, random_state=0)
    assert_predicts(clf.fit(*data), data[0])


@pytest.mark.parametrize("prior", [None, "train", {"cat": 0.1, "dog": 0.1, "owl": 0.8}])
def test_costs_and_their_prior_are_inside(fitted, data, prior):
    costs = [[0, 1, 5], [2, 0, 3], [1, 4, 0]]
    clf = MinimumCostClassifier(FrozenEstimator(fitted), cost_matrix=costs, target_prior=prior)
    assert_predicts(clf.fit(*data), data[0])
    assert (clf.predict(data[0]) != fitted.predict(data[0])).any()
    assert_predicts(make_pipeline(clf.set_params(estimator=network())).fit(*data), data[0])


def test_a_classifier_of_sets_predicts_as_the_one_in_it(fitted, data):
    clf = ConformalClassifier(FrozenEstimator(fitted)).fit(*data)
    assert_predicts(clf, data[0])
    np.testing.assert_array_equal(run(clf, data[0])[1], run(fitted, data[0])[1])


@pytest.mark.parametrize("kind", ["costs", "threshold"])
def test_a_classifier_of_sets_is_exported_with_the_decisions_of_the_one_in_it(
    fitted, fitted_two, data, two, kind
):
    if kind == "costs":
        X, y = data
        costs = 1 - np.eye(3)
        costs[2] *= 30
        inner = MinimumCostClassifier(FrozenEstimator(fitted), cost_matrix=costs).fit(X, y)
        plain = fitted
    else:
        X, y = two
        inner = FixedThresholdClassifier(FrozenEstimator(fitted_two), threshold=0.2).fit(X, y)
        plain = fitted_two
    clf = ConformalClassifier(FrozenEstimator(inner), confidence_level=0.5).fit(X, y)
    assert clf.decision_rule() is None
    assert_predicts(clf, X)
    np.testing.assert_array_equal(run(clf, X)[0], inner.predict(X))
    assert (inner.predict(X) != plain.predict(X)).any()


def test_a_regressor_of_intervals_names_the_one_to_export(data):
    X, _ = data
    network = CNNRegressor("linear", max_epochs=1, random_state=0)
    reg = ConformalRegressor(network, confidence_level=0.5, random_state=0).fit(X, X.mean((1, 2)))
    with pytest.raises(ValueError, match="Export the estimator of skimb that it holds"):
        steps_of(reg)
    np.testing.assert_allclose(run(reg.estimator_, X), reg.predict(X), rtol=1e-5)


@pytest.mark.parametrize("clip", ["range", (0.0, 300.0), None], ids=str)
def test_the_spread_of_predictions_is_inside(data, clip):
    X, _ = data
    y = X.mean((1, 2))
    network = CNNRegressor("linear", max_epochs=1, random_state=0).fit(X, y)
    reg = SpreadCorrectedRegressor(network, clip=clip, random_state=0).tune_fitted(network, X, y)
    # Some predictions are moved, some are brought to a bound, and one is beyond it before.
    reg.slope_, reg.centre_ = 1.5, float(np.median(y))
    X = np.concatenate([X, np.zeros_like(X[:1]), np.full_like(X[:1], 255)])
    plain, corrected = network.predict(X), reg.predict(X)
    assert np.abs(corrected - plain).max() > 1
    assert (corrected == y.max()).any() == (clip == "range")
    np.testing.assert_allclose(run(reg, X), corrected, rtol=1e-5, atol=1e-3)


def test_a_calibration_is_inside(fitted, data):
    clf = BiasCorrectedCalibrator(FrozenEstimator(fitted)).fit(*data)
    assert clf.temperature_ != 1
    assert np.abs(clf.predict_proba(data[0]) - fitted.predict_proba(data[0])).max() > 0.01
    assert_predicts(clf, data[0])


@pytest.mark.parametrize("calibration", ["bias_corrected", None])
def test_a_corrected_prior_is_inside(fitted, data, calibration):
    clf = PriorCorrectedClassifier(
        FrozenEstimator(fitted), target_prior="estimate", calibration=calibration
    ).fit(*data)
    clf.target_prior_ = np.array([0.1, 0.2, 0.7])
    assert np.abs(clf.predict_proba(data[0]) - fitted.predict_proba(data[0])).max() > 0.01
    assert_predicts(clf, data[0])


@pytest.mark.parametrize("label", ["dog", "cat", "owl"])
def test_guaranteed_thresholds_are_inside(fitted, data, label):
    X, y = data
    frozen = FrozenEstimator(fitted)
    for clf in (
        GuaranteedRecallClassifier(frozen, label=label, recall=0.5),
        GuaranteedPrecisionClassifier(frozen, label=label, precision=0.1, prior=0.5),
    ):
        assert_predicts(clf.fit(X, y), X)
        # Another threshold decides differently.
        clf.threshold_ = 0.95
        assert_predicts(clf, X)
        assert (clf.predict(X) == label).sum() < 100


class Wrapper(ClassifierMixin, BaseEstimator):
    """A wrapper that skimb does not know: it has `decision_rule` and `estimator_`."""

    def __init__(self, estimator, rule: Any = None):
        self.estimator = estimator
        self.rule = rule

    def fit(self, X, y):
        self.estimator_ = self.estimator
        self.classes_ = self.estimator_.classes_
        return self

    def decision_rule(self):
        return self.rule

    def predict_proba(self, X):
        return np.exp(self.rule.log_probabilities(np.log(self.estimator_.predict_proba(X))))

    def predict(self, X):
        return self.classes_[self.rule.decide(np.log(self.estimator_.predict_proba(X)))]


RULES = {
    "empty": DecisionRule(),
    "least": DecisionRule(least_log_probability=-1.0, temperature=2.0),
    "prior": DecisionRule(log_offsets=[-1, 0, 2]),
    "decisions": DecisionRule(log_offsets=[-1, 0, 2], changes_probabilities=False),
    "threshold": DecisionRule(threshold=0.2, positive=2),
    "odds": DecisionRule(threshold=-1.0, positive=0, score="log_odds", log_offsets=[0, 1, 0]),
    "costs": DecisionRule(cost_matrix=[[0, 1, 1], [5, 0, 1], [9, 9, 0]], log_offsets=[0, 1, 0]),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_wrapper_from_outside_joins_by_its_rule(fitted, data, rule):
    clf = Wrapper(fitted, RULES[rule]).fit(*data)
    assert_predicts(clf, data[0])
    assert_predicts(Wrapper(clf, RULES["prior"]).fit(*data), data[0])
    assert_predicts(Wrapper(clf, RULES["threshold"]).fit(*data), data[0])


@pytest.mark.parametrize("large", [1.0, 1e16])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_decisions_scores_and_steps_agree_where_expected_costs_are_equal(n_classes, large):
    # Costs are whole numbers and probabilities are multiples of 1/20, so that many are equal.
    rng = np.random.RandomState(0)
    proba = np.array([rng.multinomial(20, p) for p in rng.dirichlet(np.ones(n_classes), 5000)]) / 20
    log_proba = np.log(np.maximum(proba, 1e-300))
    costs = rng.randint(0, 6, size=(n_classes, n_classes)) * (1 - np.eye(n_classes))
    costs[0] += large - 1
    rule = DecisionRule(cost_matrix=costs)
    least = (20 * proba).round() @ (costs - costs.min(axis=1, keepdims=True))
    assert ((least == least.min(axis=1, keepdims=True)).sum(axis=1) > 1).any()
    decided = rule.decide(log_proba)
    np.testing.assert_array_equal(decided, least.argmin(axis=1))
    np.testing.assert_array_equal(decided, rule.scores(log_proba).argmax(axis=1))
    np.testing.assert_array_equal(decided, Classify([rule])(torch.from_numpy(log_proba))[0])


def test_a_wrapper_with_a_wrong_rule_is_refused(fitted, data):
    with pytest.raises(ValueError, match="must return"):
        steps_of(Wrapper(fitted, "rule").fit(*data))
    with pytest.raises(ValueError, match="2 classes"):
        steps_of(Wrapper(fitted, DecisionRule(log_offsets=[0, 1])).fit(*data))
    clf = Wrapper(fitted, DecisionRule()).fit(*data)
    clf.classes_ = clf.classes_[::-1]
    with pytest.raises(ValueError, match="same order"):
        steps_of(clf)


PIPELINES = ["sampler", "passthrough", "nested", "frozen", "embedder", "scaled", "unscaled"]
PIPELINES += ["network", "grid", "random", "inside"]


def pipelines(fitted):
    frozen = FrozenEstimator(fitted)
    embedder = CNNEmbedder(frozen)
    return {
        "sampler": imblearn_pipeline(RandomOverSampler(random_state=0), network("linear")),
        "passthrough": Pipeline([("a", "passthrough"), ("b", None), ("net", network("linear"))]),
        "nested": make_pipeline(make_pipeline(network("linear"))),
        "frozen": make_pipeline(frozen),
        "embedder": imblearn_pipeline(embedder, SMOTE(k_neighbors=2), LogisticRegression()),
        "scaled": make_pipeline(embedder, StandardScaler(), LogisticRegression()),
        "unscaled": make_pipeline(
            embedder, StandardScaler(with_mean=False, with_std=False), LogisticRegression()
        ),
        "network": make_pipeline(embedder, network("linear", loss="focal")),
        "grid": GridSearchCV(network("linear"), {"lr": [0.01]}, cv=2),
        "random": RandomizedSearchCV(network("linear"), {"lr": [0.01]}, cv=2, n_iter=1),
        "inside": make_pipeline(embedder, GridSearchCV(LogisticRegression(), {"C": [0.1]}, cv=2)),
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_and_searches_are_seen_through(fitted, data, name):
    clf = pipelines(fitted)[name].fit(*data)
    assert_predicts(clf, data[0])


def test_a_threshold_around_a_pipeline_is_inside(fitted_two, two):
    pipeline = make_pipeline(CNNEmbedder(FrozenEstimator(fitted_two)), LogisticRegression())
    clf = FixedThresholdClassifier(pipeline, threshold=0.8, pos_label="dog").fit(*two)
    assert_predicts(clf, two[0])


@pytest.mark.slow
def test_a_search_over_losses_is_seen_through(data):
    search = LossSearchCV(network("linear"), {"loss": ["focal"]}, cv=2).fit(*data)
    assert_predicts(search, data[0])


# ------------------------------------------------------------------------------- refusals


def test_an_estimator_that_is_not_fitted_is_refused(tmp_path, fitted):
    unfitted = [
        network(),
        CNNRegressor(),
        CNNEmbedder(),
        DecoupledClassifier(),
        MinimumCostClassifier(network(), cost_matrix=None),
        TunedOffsetsClassifierCV(),
        FixedThresholdClassifier(network()),
        TunedThresholdClassifierCV(network()),
        GridSearchCV(network(), {"lr": [0.1]}),
        make_pipeline(network()),
        FrozenEstimator(network()),
    ]
    for estimator in unfitted:
        with pytest.raises(NotFittedError):
            export_onnx(estimator, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_refused_with_the_fix(tmp_path, fitted, data):
    X, y = data
    rows = X.reshape(len(X), -1)
    embedder = CNNEmbedder(FrozenEstimator(fitted))
    wrong = {
        "a fitted CNNClassifier": SVC().fit(rows, y),
        "takes a fitted": "a word",
        "embeddings of a CNNEmbedder": LogisticRegression().fit(rows[:, :2] / 255, y),
        "calibration='temperature'": CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X, y),
        "refit=True": GridSearchCV(network("linear"), {"lr": [0.1]}, cv=2, refit=False).fit(X, y),
        "MinMaxScaler": make_pipeline(embedder, MinMaxScaler(), LogisticRegression()).fit(X, y),
        "KNeighbors|SVC": DecoupledClassifier(FrozenEstimator(fitted), head=SVC()).fit(X, y),
        "no step": Pipeline([("a", "passthrough")]).fit(X, y),
    }
    for message, estimator in wrong.items():
        with pytest.raises(ValueError, match=message):
            export_onnx(estimator, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="Got <class"):
        export_onnx(CNNClassifier, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_wrong_options_and_paths_are_refused_before_any_work(tmp_path, fitted):
    with pytest.raises(ValueError, match="`dtype` must be"):
        export_onnx(fitted, tmp_path / "a.onnx", dtype="float16")
    with pytest.raises(ValueError, match="does not exist"):
        export_onnx(fitted, tmp_path / "none" / "a.onnx")
    with pytest.raises(ValueError, match="it is a folder"):
        export_onnx(fitted, tmp_path)


def test_a_network_beyond_the_limit_of_the_format_is_refused(tmp_path, fitted, monkeypatch):
    monkeypatch.setattr("skimb.neural_network._onnx.MOST_BYTES", 2**24 + 1000)
    with pytest.raises(ValueError, match="at most 2 GB"):
        export_onnx(fitted, tmp_path / "a.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_the_extra(tmp_path, fitted, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"skimb\[onnx\]"):
        export_onnx(fitted, tmp_path / "a.onnx")


class Uncopied(nn.Module):
    """A network that cannot be copied once it is told so."""

    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.head = nn.Linear(64, n_outputs)
        self.refuses = False

    def forward(self, x):
        return self.head(x.flatten(1))

    def __deepcopy__(self, memo):
        if self.refuses:
            raise TypeError("no copies")
        made = Uncopied(1, self.head.out_features)
        made.load_state_dict(self.state_dict())
        return made


def test_a_network_that_cannot_be_copied_is_refused(tmp_path, data):
    clf = network(Uncopied).fit(*data)
    clf.module_.refuses = True
    with pytest.raises(ValueError, match="no copies"):
        export_onnx(clf, tmp_path / "a.onnx")


def test_a_label_that_is_no_unicode_is_refused(data, tmp_path):
    X, y = data
    clf = network("linear").fit(X, np.where(y == "owl", "o\udce9", y))
    with pytest.raises(ValueError, match="no valid Unicode"):
        export_onnx(clf, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
