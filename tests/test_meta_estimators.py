"""Meta-estimators of scikit-learn and imbalanced-learn on images, as they are and adapted."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.ensemble import (
    BalancedBaggingClassifier,
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from imblearn.over_sampling import SMOTE
from imblearn.over_sampling import RandomOverSampler as PlainOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from imblearn.under_sampling import RandomUnderSampler as PlainUnderSampler
from PIL import Image
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import NotFittedError

import skimb._image_files
from skimb._lazy_rows import ResampledRows
from skimb.datasets import ImageSource
from skimb.ensemble import ImageMetaEstimator, ReBaggRegressor
from skimb.ensemble._row_numbers import HeldSamples
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, load, save
from skimb.under_sampling import RandomUnderSampler

ROWS, Y = load_digits(return_X_y=True, n_class=3)
ROWS, Y = ROWS[:60].astype(np.uint8), Y[:60]
X = ROWS.reshape(-1, 8, 8)
BINARY = (Y == 0).astype(int)
UNLABELLED = np.where(np.arange(60) % 3, Y, -1)
GROUPS = np.arange(60) // 4
SEVERAL = np.c_[Y == 0, Y == 1].astype(int)

QUICK = {"max_epochs": 1, "batch_size": 32, "augmentation": None, "random_state": 0}


def network(**params):
    return CNNClassifier(**{**QUICK, **params})


def regressor(**params):
    return CNNRegressor(**{**QUICK, **params})


def is_read_by_network():
    """Tell whether the function that calls this one was called by an estimator on images."""
    frame = sys._getframe(2)
    while frame is not None:
        if "skimb/neural_network" in frame.f_code.co_filename.replace("\\", "/"):
            return True
        frame = frame.f_back
    return False


class Watched(ImageSource):
    """Images that only an estimator on images may read, and only batch by batch."""

    image_shape, dtype = (1, 8, 8), np.dtype(np.uint8)

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def take(self, indices):
        return Watched(self.rows[indices])

    def batch(self, indices):
        assert is_read_by_network(), "images were read outside of the network"
        return X[self.rows[indices]][..., None]

    def keys(self):
        return self.rows.tolist()

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all images were read at once")


@pytest.fixture
def watch(monkeypatch):
    """Let views and files fail where they are read outside of an estimator on images."""
    make, decode = ResampledRows.__array__, skimb._image_files.decode

    def watched_make(self, dtype=None, copy=None):
        assert is_read_by_network(), "a view was made outside of the network"
        return make(self, dtype, copy)

    def watched_decode(path, image_shape):
        assert is_read_by_network(), "a file was read outside of the network"
        return decode(path, image_shape)

    monkeypatch.setattr(ResampledRows, "__array__", watched_make)
    monkeypatch.setattr(skimb._image_files, "decode", watched_decode)
    # The stack of another thread does not tell who reads.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """The same images in each form."""
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{place:03}.png") for place in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    np.save(folder / "images.npy", X)
    every_row = np.arange(len(X))
    return {
        "channels": X[..., None],
        "list": list(X),
        "tensor": torch.from_numpy(X.copy()),
        "memmap": np.load(folder / "images.npy", mmap_mode="r"),
        # Each sample is a copy of one of X.
        "view": ResampledRows(X, every_row, every_row, np.zeros(len(X))),
        "source": Watched(every_row),
        "paths": paths,
        "array of paths": np.array(paths),
        "Series of paths": pd.Series(paths),
        "frame of paths": pd.DataFrame({"path": paths}),
    }


# ------------------------------------------------------------ as they are


def fit_predict(estimator, X, y, method="predict_proba"):
    return getattr(estimator.fit(X, y), method)(X)


AS_THEY_ARE = {
    "cross_validate": lambda X: cross_validate(network(), X, Y, cv=2, error_score="raise")[
        "test_score"
    ],
    "cross_validate, groups": lambda X: cross_validate(
        network(), X, Y, groups=GROUPS, cv=GroupKFold(2), scoring="neg_log_loss"
    )["test_score"],
    "cross_val_predict": lambda X: cross_val_predict(network(), X, Y, cv=2, method="predict_proba"),
    "learning_curve": lambda X: learning_curve(
        network(),
        X,
        Y,
        cv=2,
        train_sizes=[0.5, 1.0],
        shuffle=True,
        random_state=0,
        scoring="neg_log_loss",
    )[2],
    "validation_curve": lambda X: validation_curve(
        network(), X, Y, param_name="lr", param_range=[0.001, 0.01], cv=2, scoring="neg_log_loss"
    )[1],
    "permutation_test_score": lambda X: permutation_test_score(
        network(), X, Y, cv=2, n_permutations=2, scoring="neg_log_loss"
    )[1],
    "GridSearchCV": lambda X: fit_predict(
        GridSearchCV(network(), {"lr": [0.001, 0.01]}, cv=2, error_score="raise"), X, Y
    ),
    "RandomizedSearchCV": lambda X: fit_predict(
        RandomizedSearchCV(
            network(), {"lr": [0.001, 0.01]}, n_iter=2, cv=2, random_state=0, error_score="raise"
        ),
        X,
        Y,
    ),
    "HalvingGridSearchCV": lambda X: fit_predict(
        HalvingGridSearchCV(
            network(),
            {"lr": [0.001, 0.01]},
            cv=2,
            min_resources=30,
            factor=2,
            random_state=0,
            error_score="raise",
        ),
        X,
        Y,
    ),
    "TunedThresholdClassifierCV": lambda X: fit_predict(
        TunedThresholdClassifierCV(network(), cv=2, random_state=0), X, BINARY
    ),
    "FixedThresholdClassifier": lambda X: fit_predict(
        FixedThresholdClassifier(network(), threshold=0.3), X, BINARY, "predict"
    ),
    "CalibratedClassifierCV": lambda X: fit_predict(CalibratedClassifierCV(network(), cv=2), X, Y),
    "VotingClassifier": lambda X: fit_predict(
        VotingClassifier([("a", network()), ("b", network(lr=0.01))], voting="soft"), X, Y
    ),
    "StackingClassifier": lambda X: fit_predict(
        StackingClassifier([("a", network()), ("b", network(lr=0.01))], cv=2), X, Y
    ),
    "OneVsRestClassifier": lambda X: fit_predict(OneVsRestClassifier(network()), X, Y),
    "MultiOutputClassifier": lambda X: fit_predict(
        MultiOutputClassifier(network()), X, SEVERAL, "predict"
    ),
    "VotingRegressor": lambda X: fit_predict(
        VotingRegressor([("a", regressor()), ("b", regressor(lr=0.01))]), X, Y, "predict"
    ),
    "StackingRegressor": lambda X: fit_predict(
        StackingRegressor([("a", regressor()), ("b", regressor(lr=0.01))], cv=2), X, Y, "predict"
    ),
    "MultiOutputRegressor": lambda X: fit_predict(
        MultiOutputRegressor(regressor()), X, SEVERAL, "predict"
    ),
    "TransformedTargetRegressor": lambda X: fit_predict(
        TransformedTargetRegressor(regressor(), func=np.log1p, inverse_func=np.expm1),
        X,
        Y,
        "predict",
    ),
}

FORMS = (
    "channels",
    "list",
    "tensor",
    "memmap",
    "view",
    "source",
    "paths",
    "array of paths",
    "Series of paths",
    "frame of paths",
)


#: Cases of one kind that the default run leaves out.
MANY = [pytest.mark.slow, pytest.mark.exhaustive]


def mostly_exhaustive(names, always):
    return [pytest.param(name, marks=[] if name in always else MANY) for name in names]


@pytest.mark.parametrize(
    "name",
    mostly_exhaustive(
        AS_THEY_ARE, {"GridSearchCV", "StackingClassifier", "TunedThresholdClassifierCV"}
    ),
)
def test_meta_estimators_that_take_images_as_they_are_read_none_of_them(name, forms, watch):
    result = AS_THEY_ARE[name](forms["source"])
    np.testing.assert_array_equal(result, AS_THEY_ARE[name](X))


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_meta_estimators_take_every_form_as_it_is(name, form, forms, watch):
    np.testing.assert_array_equal(AS_THEY_ARE[name](forms[form]), AS_THEY_ARE[name](X))


@pytest.mark.slow
def test_permutation_importance_takes_a_frame_of_images(forms, watch):
    fitted, frame = network(max_epochs=10).fit(forms["frame of paths"], Y), forms["frame of paths"]
    result = permutation_importance(fitted, frame, Y, n_repeats=2, random_state=0)
    assert result.importances.shape == (1, 2)
    assert result.importances_mean[0] > 0.2
    # The same of images in memory: they are held, not copied, by the frame.
    images = pd.DataFrame({"image": list(X)})
    fitted = network(max_epochs=10).fit(images, Y)
    again = permutation_importance(fitted, images, Y, n_repeats=2, random_state=0)
    np.testing.assert_array_equal(again.importances, result.importances)


@pytest.fixture(scope="module")
def frame(forms):
    """Images with other columns, of which one is noise."""
    noise = np.random.RandomState(0).permutation(len(X))
    return pd.DataFrame({"noise": noise, "path": forms["paths"], "kind": np.array([*"abc"])[Y]})


@pytest.mark.slow
@pytest.mark.parametrize("name", mostly_exhaustive(AS_THEY_ARE, {"GridSearchCV"}))
def test_a_frame_of_images_gives_what_its_images_give_in_every_meta_estimator(
    name, frame, monkeypatch, watch
):
    images = AS_THEY_ARE[name](frame["path"])
    monkeypatch.setitem(QUICK, "image_column", "path")
    np.testing.assert_array_equal(AS_THEY_ARE[name](frame[["path"]]), images)
    # A constant column says nothing, and other columns something.
    np.testing.assert_array_equal(AS_THEY_ARE[name](frame[["path"]].assign(same=1)), images)
    if np.ndim(images) == 2 and images.dtype.kind == "f":
        assert not np.array_equal(AS_THEY_ARE[name](frame), images)


def with_table(**params):
    return network(image_column="path", **params)


@pytest.mark.slow
def test_meta_estimators_take_frames_with_images_as_they_are(frame, watch):
    halves = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    found = cross_val_predict(with_table(), frame, Y, cv=halves, method="predict_proba")
    fitted = with_table().fit(frame[:30], Y[:30])
    np.testing.assert_array_equal(found[30:], fitted.predict_proba(frame[30:]))
    voting = VotingClassifier([("a", with_table()), ("b", with_table(lr=0.01))], voting="soft")
    assert voting.fit(frame, Y).predict_proba(frame).shape == (60, 3)


@pytest.mark.slow
def test_permutation_importance_tells_which_column_matters(frame):
    fitted = with_table(max_epochs=20).fit(frame, Y)
    result = permutation_importance(fitted, frame, Y, n_repeats=2, random_state=0)
    importance = dict(zip(frame.columns, result.importances_mean, strict=True))
    assert max(importance["path"], importance["kind"]) > 0.1 > abs(importance["noise"])


# ------------------------------------------------------------ adapted

ADAPTED = {
    "BaggingClassifier": lambda member: BaggingClassifier(member, n_estimators=2, random_state=0),
    "BaggingClassifier of a Pipeline": lambda member: BaggingClassifier(
        make_sampling_pipeline(RandomUnderSampler(lazy=True, random_state=0), member),
        n_estimators=2,
        random_state=0,
    ),
    "AdaBoostClassifier": lambda member: AdaBoostClassifier(member, n_estimators=2, random_state=0),
    "EasyEnsembleClassifier": lambda member: EasyEnsembleClassifier(2, member, random_state=0),
    "EasyEnsembleClassifier of AdaBoost": lambda member: EasyEnsembleClassifier(
        2, AdaBoostClassifier(member, n_estimators=2), random_state=0
    ),
    "BalancedBaggingClassifier": lambda member: BalancedBaggingClassifier(
        member, 2, random_state=0
    ),
    "RUSBoostClassifier": lambda member: RUSBoostClassifier(member, n_estimators=2, random_state=0),
    "SelfTrainingClassifier": lambda member: SelfTrainingClassifier(
        member, threshold=0.4, max_iter=2
    ),
    "OneVsOneClassifier": lambda member: OneVsOneClassifier(member),
    "OutputCodeClassifier": lambda member: OutputCodeClassifier(
        member, code_size=4, random_state=0
    ),
    "CalibratedClassifierCV of bagging": lambda member: CalibratedClassifierCV(
        BaggingClassifier(member, n_estimators=2, random_state=0), cv=2
    ),
    "StackingClassifier of bagging": lambda member: StackingClassifier(
        [("bagging", BaggingClassifier(member, 2, random_state=0)), ("member", member)], cv=2
    ),
    "BaggingRegressor": lambda member: BaggingRegressor(member, 2, random_state=0),
    "AdaBoostRegressor": lambda member: AdaBoostRegressor(member, n_estimators=2, random_state=0),
}


def adapted_prediction(name, X, *, is_adapted=True, **params):
    member = regressor(**params) if name.endswith("Regressor") else network(**params)
    target = UNLABELLED if name == "SelfTrainingClassifier" else Y
    meta = ADAPTED[name](member)
    meta = ImageMetaEstimator(meta) if is_adapted else meta
    has_proba = hasattr(meta, "predict_proba")
    return fit_predict(meta, X, target, "predict_proba" if has_proba else "predict")


@pytest.mark.parametrize(
    "name",
    mostly_exhaustive(
        ADAPTED,
        {
            "BaggingClassifier",
            "EasyEnsembleClassifier",
            "RUSBoostClassifier",
            "SelfTrainingClassifier",
            "AdaBoostRegressor",
        },
    ),
)
def test_the_adapter_gives_what_the_meta_estimator_gives_for_flat_images(name, forms, watch):
    result = adapted_prediction(name, forms["source"])
    # A meta-estimator that takes tables only gets images as rows, of which networks make images.
    expected = adapted_prediction(name, ROWS, is_adapted=False, image_shape=(1, 8, 8))
    np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ADAPTED)
def test_the_adapter_takes_every_form(name, form, forms, watch):
    result = adapted_prediction(name, forms[form])
    np.testing.assert_array_equal(result, adapted_prediction(name, X))


@pytest.mark.slow
@pytest.mark.parametrize("name", mostly_exhaustive(ADAPTED, {"SelfTrainingClassifier"}))
def test_a_frame_of_images_gives_what_its_images_give_in_the_adapter(
    name, frame, monkeypatch, watch
):
    images = adapted_prediction(name, frame["path"])
    monkeypatch.setitem(QUICK, "image_column", "path")
    np.testing.assert_array_equal(adapted_prediction(name, frame[["path"]]), images)
    np.testing.assert_array_equal(adapted_prediction(name, frame[["path"]].assign(same=1)), images)
    assert adapted_prediction(name, frame).shape == images.shape


# ------------------------------------------------------------ the adapter as an estimator

BAGGED = "Bags are drawn from the samples, and scikit-learn's bagging fails this check itself."


@pytest.mark.conformance
@pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")
@parametrize_with_checks(
    [ImageMetaEstimator(AdaBoostClassifier(LogisticRegression(), n_estimators=3))]
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.conformance
@parametrize_with_checks(
    [ImageMetaEstimator(BaggingRegressor(Ridge(), n_estimators=3, random_state=0))],
    expected_failed_checks=lambda adapter: {
        "check_sample_weight_equivalence_on_dense_data": BAGGED,
        "check_sample_weight_equivalence_on_sparse_data": BAGGED,
    },
)
def test_scikit_learn_of_a_regressor(estimator, check):
    check(estimator)


def bagging(member=None, **params):
    params = {"n_estimators": 2, "random_state": 0, **params}
    return ImageMetaEstimator(BaggingClassifier(member or network(), **params))


@pytest.mark.slow
def test_nested_parameters_have_their_names_and_are_searched():
    model = clone(bagging()).set_params(estimator__estimator__lr=0.5, estimator__n_estimators=3)
    assert model.estimator.estimator.lr == model.get_params()["estimator__estimator__lr"] == 0.5
    grid = {"estimator__estimator__lr": [1e-5, 0.02], "estimator__estimator__max_epochs": [5]}
    search = GridSearchCV(bagging(), grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_["estimator__estimator__lr"] == 0.02
    assert search.best_estimator_.estimator_.estimators_[1].lr == 0.02
    # The estimator that was given is not touched.
    assert not hasattr(search.estimator.estimator.estimator, "net_")


def test_the_fitted_members_take_images():
    model = bagging().fit(X, Y)
    members = model.estimator_.estimators_
    mean = np.mean([member.predict_proba(X) for member in members], axis=0)
    np.testing.assert_allclose(mean, model.predict_proba(X), rtol=1e-12)
    assert len(members[0].history_) == 1
    assert isinstance(members[0].estimator, CNNClassifier)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.n_features_in_ == 64
    assert model.score(X, Y) == np.mean(model.predict(X) == Y)


def test_an_adapter_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        bagging().predict(X)
    assert not hasattr(bagging(), "classes_")
    assert not hasattr(bagging(), "transform")
    assert not hasattr(ImageMetaEstimator(BaggingRegressor(regressor())), "predict_proba")


@pytest.mark.slow
def test_out_of_bag_predictions_are_made_from_images():
    model = bagging(n_estimators=10, oob_score=True).fit(X, Y)
    flat = BaggingClassifier(
        network(image_shape=(1, 8, 8)), n_estimators=10, oob_score=True, random_state=0
    ).fit(ROWS, Y)
    np.testing.assert_array_equal(
        model.estimator_.oob_decision_function_, flat.oob_decision_function_
    )


def test_a_fit_that_fails_leaves_the_adapter_unfitted():
    model = bagging().fit(X, Y)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, Y[:-1])
    assert not hasattr(model, "classes_")
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_sample_weights_are_routed():
    weights = np.where(Y == 0, 5.0, 1.0)
    with config_context(enable_metadata_routing=True):
        model = bagging().set_fit_request(sample_weight=True)
        model.estimator.estimator.set_fit_request(sample_weight=True)
        found = cross_val_predict(
            model, X, Y, cv=KFold(2), params={"sample_weight": weights}, method="predict_proba"
        )
    half = bagging().fit(X[30:], Y[30:], sample_weight=weights[30:])
    np.testing.assert_array_equal(found[:30], half.predict_proba(X[:30]))


def test_groups_reach_the_splitter_around_the_adapter_and_are_refused_by_it():
    with config_context(enable_metadata_routing=True):
        found = cross_val_predict(
            bagging(), X, Y, cv=GroupKFold(2), params={"groups": GROUPS}, method="predict_proba"
        )
        train, test = next(GroupKFold(2).split(X, Y, GROUPS))
        alone = bagging().fit(X[train], Y[train])
        np.testing.assert_array_equal(found[test], alone.predict_proba(X[test]))
        with pytest.raises(TypeError, match=r"groups.*Accepted arguments.*sample_weight"):
            bagging().set_fit_request(groups=True)
    with pytest.raises(TypeError, match="'groups'"):
        bagging().fit(X, Y, **{"groups": GROUPS})


def test_sample_weights_reach_the_meta_estimator():
    weights = np.where(Y == 0, 5.0, 1.0)
    boosting = AdaBoostClassifier(network(), n_estimators=2, random_state=0)
    model = ImageMetaEstimator(boosting).fit(X, Y, sample_weight=weights)
    # AdaBoost takes images as arrays.
    np.testing.assert_array_equal(
        model.predict_proba(X), boosting.fit(X, Y, weights).predict_proba(X)
    )
    with pytest.raises(ValueError, match="EasyEnsembleClassifier takes no `sample_weight`"):
        ImageMetaEstimator(EasyEnsembleClassifier(2, network())).fit(X, Y, sample_weight=weights)


@pytest.mark.slow
def test_unlabelled_images_get_labels_by_self_training():
    training = SelfTrainingClassifier(network(max_epochs=30), threshold=0.6, max_iter=3)
    model = ImageMetaEstimator(training).fit(X, UNLABELLED)
    found = model.estimator_.transduction_[UNLABELLED == -1]
    assert (found == Y[UNLABELLED == -1]).mean() > 0.8
    assert model.estimator_.labeled_iter_.max() >= 1


def test_rows_of_a_frame_keep_their_columns():
    frame = pd.DataFrame({"size": ROWS.sum(axis=1), "top": ROWS[:, :32].sum(axis=1)})
    model = bagging(LogisticRegression(max_iter=500)).fit(frame, Y)
    assert model.feature_names_in_.tolist() == ["size", "top"]
    np.testing.assert_array_equal(
        model.predict(frame),
        bagging(LogisticRegression(max_iter=500)).fit(frame.values, Y).predict(frame.values),
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["top", "size"]])


@pytest.mark.slow
def test_the_members_of_bagging_get_the_rows_of_a_frame_with_images(frame, watch):
    model = bagging(with_table()).fit(frame, Y)
    assert model.feature_names_in_.tolist() == ["noise", "path", "kind"]
    for member, drawn in zip(
        model.estimator_.estimators_, model.estimator_.estimators_samples_, strict=True
    ):
        alone = clone(member.estimator).fit(frame, Y, np.bincount(drawn, minlength=60))
        np.testing.assert_array_equal(member.predict_proba(frame), alone.predict_proba(frame))
    balanced = EasyEnsembleClassifier(2, with_table(), random_state=0)
    found = fit_predict(ImageMetaEstimator(balanced), frame, BINARY)
    polars = pytest.importorskip("polars")
    again = fit_predict(ImageMetaEstimator(balanced), polars.from_pandas(frame), BINARY)
    np.testing.assert_array_equal(again, found)


def test_a_frozen_estimator_is_used_as_it_is():
    fitted = network(max_epochs=20).fit(X, Y)
    model = ImageMetaEstimator(BaggingClassifier(FrozenEstimator(fitted), 2)).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X))
    # The estimator that was handed in looks nothing up.
    np.testing.assert_array_equal(fitted.predict(X[:5]), fitted.predict(X)[:5])


# ------------------------------------------------------------ samples are not kept, copied or mixed


@pytest.mark.slow
def test_a_fitted_adapter_holds_no_images():
    images = np.random.RandomState(0).randint(0, 255, size=(300, 32, 32), dtype=np.uint8)
    y = np.arange(300) % 3 - 1
    # Boosting stops where the labels cannot be learned.
    images[y == 1, :16] //= 4
    sizes = {}
    for n in (20, 300):
        for meta in (
            BaggingClassifier(network(module="linear"), n_estimators=2, random_state=0),
            EasyEnsembleClassifier(2, network(module="linear"), random_state=0),
            RUSBoostClassifier(network(module="linear"), n_estimators=2, random_state=0),
            SelfTrainingClassifier(network(module="linear")),
        ):
            fitted = ImageMetaEstimator(meta).fit(images[:n], y[:n])
            fitted.predict(images[:n])
            sizes[type(meta), n] = len(pickle.dumps(fitted))
    for kind in {kind for kind, _ in sizes}:
        # 280 images more are 286,720 bytes; labels, weights and row numbers are small.
        assert sizes[kind, 300] - sizes[kind, 20] < 60_000, kind


def test_copies_predict_equally_and_have_their_own_networks():
    model = bagging().fit(X, Y)
    expected = model.predict_proba(X)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        assert again.estimator_.estimators_[0].estimator is not (
            model.estimator_.estimators_[0].estimator
        )


@pytest.mark.parametrize(
    "meta",
    [
        BaggingClassifier(network(), n_estimators=2),
        pytest.param(
            EasyEnsembleClassifier(2, AdaBoostClassifier(network(), n_estimators=2)),
            marks=pytest.mark.slow,
        ),
        SelfTrainingClassifier(network(), threshold=0.4),
    ],
    ids=["BaggingClassifier", "EasyEnsembleClassifier", "SelfTrainingClassifier"],
)
def test_an_adapter_is_saved_to_a_file(meta, tmp_path):
    model = ImageMetaEstimator(meta).fit(X, UNLABELLED)
    save(model, tmp_path / "model.skimb")
    again = load(tmp_path / "model.skimb")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert type(again.estimator) is type(meta)


def test_a_meta_estimator_that_cannot_be_saved_is_refused(tmp_path):
    model = ImageMetaEstimator(RUSBoostClassifier(network(), n_estimators=2)).fit(X, Y)
    with pytest.raises(ValueError, match=r"RUSBoostClassifier cannot be written .* pickle"):
        save(model, tmp_path / "model.skimb")
    assert not (tmp_path / "model.skimb").exists()


@pytest.mark.slow
def test_threads_that_predict_at_once_do_not_mix_their_images():
    model = bagging(network(max_epochs=10)).fit(X, Y)
    parts = [X[start : start + 7] for start in range(0, 49, 7)]
    expected = [model.predict_proba(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict_proba, parts * 5))
    for result, wanted in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(result, wanted)


class Memory(ClassifierMixin, BaseEstimator):
    """Tells whether its samples are mapped from a file that another process wrote."""

    def fit(self, X, y, sample_weight=None):
        self.classes_, self.is_mapped_ = np.unique(y), isinstance(X, np.memmap)
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        self.was_mapped_ = isinstance(X, np.memmap)
        return np.full(len(X), int(isinstance(X, np.memmap)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def test_held_samples_that_come_back_from_a_process_are_the_original():
    held = HeldSamples(X)
    # As a worker gets it, where the original is not.
    sent = pickle.dumps(held)
    assert pickle.loads(sent) is held
    token = held.token
    del held
    copied = pickle.loads(sent)
    assert copied.token == token
    np.testing.assert_array_equal(copied.rows([[2.0], [0.0]]), X[[2, 0]])
    # As the worker returns it: without the samples.
    returned = pickle.dumps(copied)
    assert len(returned) < 200 < len(sent)
    with pytest.raises(ValueError, match="held by another process"):
        pickle.loads(returned).rows([[0.0]])


def test_a_process_that_does_not_own_the_samples_sends_none(monkeypatch):
    held = HeldSamples(X)
    full = pickle.dumps(held)
    monkeypatch.setattr("os.getpid", lambda: held.owner + 1)
    assert len(pickle.dumps(held)) < 200 < len(full)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_processes_map_images_and_give_the_same_result():
    expected = bagging().fit(X, Y).predict_proba(X)
    model = bagging(n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    # Two megabytes, which are not sent to the processes, and do not come back with the members.
    many = np.zeros((32_768, 8, 8), dtype=np.uint8)
    model = bagging(Memory(), n_jobs=2).fit(many, np.arange(len(many)) % 2)
    assert [member.is_mapped_ for member in model.estimator_.estimators_] == [True, True]
    assert model.predict(many).all()
    assert len(pickle.dumps(model)) < 20_000


# ------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (BaggingClassifier(), r"BaggingClassifier, which holds none\. Its default reads tables"),
        (EasyEnsembleClassifier(), "EasyEnsembleClassifier, which holds none"),
        (BalancedRandomForestClassifier(), r"holds none\. .* make_pipeline\(CNNEmbedder\(\), "),
        (network(), "CNNClassifier, which holds none. An estimator that takes images needs no"),
        (make_pipeline(BaggingClassifier(network())), "Pipeline, which holds none"),
        (
            GridSearchCV(BaggingClassifier(network()), {"estimator__lr": [1]}),
            "GridSearchCV is a search, which takes images as they are. Put the adapter into it",
        ),
        (ReBaggRegressor(regressor()), "ReBaggRegressor takes images as it is"),
        (CNNEmbedder(network()), "CNNEmbedder takes images as it is"),
        (bagging(), "ImageMetaEstimator takes images as it is"),
        (
            StackingClassifier([("a", BaggingClassifier(network()))], passthrough=True),
            r"StackingClassifier\(passthrough=True\) hands X to its final estimator",
        ),
        (
            BaggingClassifier(network(), max_features=0.3),
            r"BaggingClassifier\(max_features=0\.3\) draws columns .* Use max_features=1\.0\.",
        ),
        (
            BaggingRegressor(regressor(), max_features=np.int64(1)),
            r"=1\) draws columns",
        ),
        (
            BalancedBaggingClassifier(network(), bootstrap_features=True),
            r"BalancedBaggingClassifier\(bootstrap_features=True\) draws columns of X",
        ),
        (
            VotingClassifier([("a", BaggingClassifier(DecisionTreeClassifier(), max_features=9))]),
            r"BaggingClassifier\(max_features=9\) draws columns",
        ),
        (RFE(network()), "RFE chooses columns of X, and images have none"),
        (SelectFromModel(network()), "SelectFromModel chooses columns"),
        (
            BalancedBaggingClassifier(network(), sampler=SMOTE()),
            "`sampler` of BalancedBaggingClassifier is a SMOTE, which computes with samples",
        ),
        (BaggingClassifier(network(lr=-1)), "'lr' parameter of CNNClassifier must be a float"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_other_estimators_are_refused_before_any_work(estimator, message):
    with pytest.raises(ValueError, match=message):
        ImageMetaEstimator(estimator).fit(X, Y)


@pytest.mark.parametrize(
    ("meta", "target", "message"),
    [
        (ClassifierChain(network()), SEVERAL, r"\(60, 2\)\. .* MultiOutputClassifier"),
        (
            BalancedBaggingClassifier(network(), 2, sampler=PlainOverSampler(shrinkage=1.0)),
            Y,
            "numbers that are not those of rows of X",
        ),
    ],
    ids=["columns are added", "numbers are computed with"],
)
def test_meta_estimators_that_compute_with_row_numbers_are_noticed(meta, target, message):
    with pytest.raises(ValueError, match=message):
        ImageMetaEstimator(meta).fit(X, target)


def test_members_that_read_samples_may_draw_among_their_values():
    tree = make_pipeline(FunctionTransformer(_flat), DecisionTreeClassifier(max_features=0.3))
    assert bagging(tree, max_features=np.float64(1.0)).fit(X, Y).predict(X).shape == (60,)


@pytest.mark.parametrize(
    "member",
    [
        network(class_weight={"ill": 5.0, "well": 1.0}),
        network(target_prior={"ill": 0.5, "well": 0.5}),
        make_pipeline(FunctionTransformer(), network(class_weight={"ill": 5.0, "well": 1.0})),
        network(sampler=RandomUnderSampler(sampling_strategy={"well": 3})),
    ],
    ids=["weights", "prior", "in a pipeline", "of a sampler"],
)
def test_a_dict_by_label_is_told_that_the_classes_are_numbered(member):
    y = np.where(BINARY, "ill", "well")
    with pytest.raises(
        ValueError, match=r"number the classes from 0.* Here they are \[0, 1\]: give"
    ):
        bagging(member).fit(X, y)


def test_other_errors_of_members_and_dicts_of_numbers_are_told_nothing_of_it():
    assert bagging(network(class_weight={0: 1.0, 1: 5.0})).fit(X, np.where(BINARY, "ill", "well"))
    wrong = network(class_weight={0: 1.0, 1: -1.0})
    with pytest.raises(ValueError, match="not negative") as error:
        bagging(wrong).fit(X, BINARY)
    assert "number the classes" not in str(error.value)
    # This one hands the labels on as they are.
    voting = AdaBoostClassifier(network(class_weight={"ill": 1.0}), n_estimators=1)
    with pytest.raises(ValueError, match=r"no entry for \['well'\]") as error:
        ImageMetaEstimator(voting).fit(X, np.where(BINARY, "ill", "well"))
    assert "number the classes" not in str(error.value)


def test_a_frame_that_became_an_array_is_told_of_the_adapter(frame):
    with pytest.raises(ValueError, match=r"X is a ndarray.* skimb\.ensemble\.ImageMetaEstimator"):
        BaggingClassifier(with_table(), n_estimators=2).fit(frame, Y)


def test_samplers_that_choose_at_random_need_no_images(forms, watch):
    expected = None
    for sampler in (PlainUnderSampler(random_state=0), RandomUnderSampler(random_state=0)):
        meta = BalancedBaggingClassifier(network(), 2, sampler=sampler, random_state=0)
        result = fit_predict(ImageMetaEstimator(meta), forms["source"], Y)
        expected = result if expected is None else expected
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("folder", [None, "images"])
def test_no_samples_are_refused(folder):
    with pytest.raises(ValueError, match=r"X must hold samples.* load_image_folder"):
        bagging().fit(folder, Y)


def test_images_of_another_shape_are_refused_by_the_network():
    model = bagging().fit(X, Y)
    with pytest.raises(ValueError, match=r"fitted on images of shape \(C, H, W\) = \(1, 8, 8\)"):
        model.predict(np.zeros((3, 9, 9), dtype=np.uint8))
    with pytest.raises(ValueError, match="inconsistent"):
        bagging().fit(X, Y[:-1])


def test_trees_on_flattened_images_see_the_images():
    flatten = FunctionTransformer(_flat)
    model = bagging(make_pipeline(flatten, DecisionTreeClassifier())).fit(X, Y)
    flat = BaggingClassifier(DecisionTreeClassifier(), n_estimators=2, random_state=0)
    assert (model.predict(X) == flat.fit(ROWS, Y).predict(ROWS)).mean() > 0.9


def _flat(images):
    return images.reshape(len(images), -1)
