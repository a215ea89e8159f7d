"""Frames of images beside numbers and categories, in the estimators."""

import pickle
from contextlib import nullcontext
from typing import Any

import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from torch import nn

from skimb._frame_images import image_columns
from skimb.ensemble import ImageMetaEstimator, ReBaggRegressor
from skimb.losses import FocalLoss
from skimb.model_selection import (
    AutoBalanceClassifier,
    LossSearchCV,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    FlipCrop,
    export_onnx,
    load,
    save,
)
from skimb.over_sampling import SMOTE, RandomOverSampler

SETTINGS = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}

#: Cases of one kind that the default run leaves out.
MANY = [pytest.mark.slow, pytest.mark.exhaustive]


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Return a frame of 48 samples with paths, other columns of each kind, and missing values."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.RandomState(0)
    pixels = rng.randint(0, 200, size=(48, 8, 8), dtype=np.uint8)
    pixels[::4, 2] += 50
    paths = [str(folder / f"{number:02d}.png") for number in range(48)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    age = rng.randint(20, 80, size=48).astype(float)
    age[::7] = np.nan
    site = rng.choice(["north", "south", "west"], size=48).astype(object)
    site[::9] = None
    return pd.DataFrame(
        {
            "age": age,
            "path": paths,
            "site": site,
            "smokes": np.arange(48) % 3 == 0,
            "grade": pd.Categorical(np.arange(48) % 2),
            "dose": rng.randint(5, size=48),
        }
    )


@pytest.fixture(scope="module")
def labels():
    """Return the labels of the samples."""
    return np.where(np.arange(48) % 4, "often", "rare")


@pytest.fixture(scope="module")
def fitted(frame, labels):
    """Return a fitted classifier."""
    return CNNClassifier(image_column="path", **SETTINGS).fit(frame, labels)


def arrays_of(frame, *columns):
    """Return a frame with arrays in place of paths."""
    read = {name: [np.asarray(Image.open(path)) for path in frame[name]] for name in columns}
    return frame.assign(**read)


def test_frames_are_described_as_scikit_learn_does(frame, fitted):
    assert fitted.n_features_in_ == 6
    assert fitted.feature_names_in_.tolist() == list(frame.columns)
    assert fitted.image_shape_ == (1, 8, 8)
    assert fitted.table_encoder_.kinds_ == {
        "age": "numeric",
        "site": "categorical",
        "smokes": "categorical",
        "grade": "categorical",
        "dose": "numeric",
    }
    assert fitted.table_encoder_.categories_["site"] == ["north", "south", "west", None]


def test_a_frame_of_images_alone_trains_the_network_of_its_paths(frame, labels):
    alone = CNNClassifier(image_column="path", **SETTINGS).fit(frame[["path"]], labels)
    paths = CNNClassifier(**SETTINGS).fit(frame["path"], labels)
    one, other = alone.predict_proba(frame[["path"]]), paths.predict_proba(frame["path"])
    np.testing.assert_array_equal(one, other)


def test_arrays_and_paths_in_the_column_give_equal_predictions(frame, labels, fitted):
    arrays = arrays_of(frame, "path")
    own = CNNClassifier(image_column="path", **SETTINGS).fit(arrays, labels)
    np.testing.assert_array_equal(own.predict_proba(arrays), fitted.predict_proba(frame))
    np.testing.assert_array_equal(fitted.predict_proba(arrays), fitted.predict_proba(frame))


def test_polars_and_pandas_give_equal_predictions(frame, labels, fitted):
    polars = pytest.importorskip("polars")
    columns = {
        name: [*frame[name].astype(object).where(frame[name].notna(), None)] for name in frame
    }
    given = polars.DataFrame(columns).with_columns(polars.col("grade").cast(polars.String))
    own = CNNClassifier(image_column="path", **SETTINGS).fit(given, labels)
    np.testing.assert_array_equal(own.predict_proba(given), fitted.predict_proba(frame))
    assert own.feature_names_in_.tolist() == list(frame.columns)


@pytest.mark.slow
def test_the_columns_decide_where_the_images_say_nothing():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "image": [*np.zeros((120, 4, 4), dtype=np.uint8)],
            "number": rng.randn(120),
            "name": rng.choice(["a", "b", "c"], size=120),
        }
    )
    y = (X["number"] > 0) & (X["name"] != "c")
    settings = {**SETTINGS, "max_epochs": 30, "lr": 0.01}
    clf = CNNClassifier(image_column="image", **settings).fit(X[:80], y[:80])
    assert clf.score(X[80:], y[80:]) > 0.9
    images = X[["image"]]
    alone = CNNClassifier(image_column="image", **settings).fit(images[:80], y[:80])
    assert alone.score(images[80:], y[80:]) == pytest.approx((~y[80:]).mean())


def test_a_row_has_equal_predictions_in_any_company(frame, fitted):
    everything = fitted.predict_proba(frame)
    order = np.random.RandomState(1).permutation(len(frame))
    np.testing.assert_array_equal(fitted.predict_proba(frame.iloc[order]), everything[order])
    np.testing.assert_array_equal(fitted.predict_proba(frame[5:6]), everything[5:6])
    again = frame.set_axis(np.arange(len(frame)) // 2, axis=0)
    np.testing.assert_array_equal(fitted.predict_proba(again), everything)


def test_neither_fit_nor_predict_changes_the_frame(frame, labels):
    before = frame.copy(deep=True)
    clf = CNNClassifier(image_column="path", sampler=RandomOverSampler(), **SETTINGS)
    clf.fit(frame, labels).predict(frame)
    pd.testing.assert_frame_equal(frame, before)


# -------------------------------------------------------------------- missing and unseen values


def test_a_missing_number_is_the_mean_with_its_indicator(frame, fitted):
    encoder = fitted.table_encoder_
    assert encoder.with_indicator_ == ["age"]
    row = frame[1:2]
    mean = encoder.encode(row.assign(age=encoder.means_["age"]).drop(columns="path")).numbers
    missing = encoder.encode(row.assign(age=np.nan).drop(columns="path")).numbers
    assert missing[0, 0] == mean[0, 0] == 0
    assert (mean[0, 2], missing[0, 2]) == (0, 1)
    # No number of this column was missing in the training: it has no indicator.
    one = fitted.predict_proba(row.assign(dose=np.nan))
    other = fitted.predict_proba(row.assign(dose=encoder.means_["dose"]))
    np.testing.assert_array_equal(one, other)


def test_missing_and_unseen_categories_are_levels_of_their_own(frame, fitted):
    row = frame[1:2]
    made = [
        fitted.predict_proba(row.assign(site=pd.Series([site], index=row.index, dtype=object)))
        for site in ("north", "south", None, "east", "elsewhere")
    ]
    assert len({made[i].tobytes() for i in range(4)}) == 4
    # Two unseen ones are not told apart.
    np.testing.assert_array_equal(made[3], made[4])


def test_the_encoding_is_that_of_the_training_part_alone(frame, labels):
    settings = {**SETTINGS, "early_stopping": True, "max_epochs": 1}
    clf = CNNClassifier(image_column="path", validation_fraction=0.25, **settings)
    clf.fit(frame, labels)
    train = np.setdiff1d(np.arange(48), clf.validation_indices_)
    assert len(train) < 48
    encoder = clf.table_encoder_
    assert encoder.means_["dose"] == pytest.approx(frame["dose"].iloc[train].mean())
    assert encoder.scales_["dose"] == pytest.approx(frame["dose"].iloc[train].std(ddof=0))
    # A category and a missing number that only samples of the validation part have.
    held = clf.validation_indices_
    other = frame.astype({"dose": float}).reset_index(drop=True)
    other.loc[held, ["site", "dose"]] = ["held", np.nan]
    clf.fit(other, labels)
    np.testing.assert_array_equal(clf.validation_indices_, held)
    assert clf.table_encoder_.categories_["site"] == ["north", "south", "west", None]
    assert clf.table_encoder_.with_indicator_ == ["age"]


@pytest.mark.parametrize(
    ("constant", "other"),
    [
        (0.0, 1000.0),
        pytest.param(7.5, np.nan, marks=MANY),
        (np.nan, 3.0),
        ("a", "b"),
        pytest.param(True, False, marks=MANY),
    ],
)
def test_a_column_that_was_constant_in_training_has_no_say(frame, labels, constant, other):
    clf = CNNClassifier(image_column="path", **SETTINGS)
    clf.fit(frame.assign(same=constant), labels)
    expected = clf.predict_proba(frame.assign(same=constant))
    np.testing.assert_array_equal(clf.predict_proba(frame.assign(same=other)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-13, pytest.param(1e13, marks=pytest.mark.exhaustive)])
def test_the_unit_of_a_column_does_not_matter(frame, labels, scale):
    numbers = np.random.RandomState(0).rand(48) + (labels == "rare")
    fitted = [
        CNNClassifier(image_column="path", **SETTINGS).fit(frame.assign(number=values), labels)
        for values in (numbers, numbers * scale)
    ]
    one = fitted[0].predict_proba(frame.assign(number=numbers))
    other = fitted[1].predict_proba(frame.assign(number=numbers * scale))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_names_of_samples_are_told_of(frame, labels):
    clf = CNNClassifier(image_column="path", **SETTINGS)
    with pytest.warns(UserWarning, match="'second' has 48 categories in 48 samples"):
        clf.fit(frame.assign(second=frame["path"].to_numpy()[::-1]), labels)


def test_categories_that_come_too_late_are_told_of(frame, labels):
    late = frame["site"] == "west"
    clf = CNNClassifier(image_column="path", **{**SETTINGS, "max_epochs": "auto"})
    clf.partial_fit(frame[~late], labels[~late], classes=["often", "rare"])
    with pytest.warns(UserWarning, match=r"'site' holds categories .*\('west'\)"):
        clf.partial_fit(frame, labels)
    warm = CNNClassifier(image_column="path", warm_start=True, **SETTINGS)
    warm.fit(frame[~late], labels[~late])
    with pytest.warns(UserWarning, match=r"'site' holds categories .*\('west'\)"):
        warm.fit(frame, labels)


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="age"), "yet now missing:\n- age"),
        (lambda f: f.drop(columns="path"), "yet now missing:\n- path"),
        (lambda f: f.assign(more=1), "unseen at fit time:\n- more"),
        (lambda f: f[[*f.columns[::-1]]], "must be in the same order"),
        (lambda f: f.assign(dose="high"), "'dose' held numbers .* now holds"),
        (lambda f: f.assign(site=1.5), "'site' held categories of type str .* now holds number"),
        (lambda f: f["path"].tolist(), "names a column of a frame, but X is a list"),
        (lambda f: f.iloc[3], r"X is a Series.*frame\.iloc\[\[i\]\]"),
        (lambda f: f.iloc[3].to_dict(), r"X is a dict.*pandas\.DataFrame\(\[X\]\)"),
        (lambda f: [f.iloc[3].to_dict()], r"X is a list.*pandas\.DataFrame\(X\)"),
        (lambda f: f.to_numpy(), r"X is a ndarray.*set_output.*ImageMetaEstimator"),
        (lambda f: f.assign(dose=1e300), r"'dose' holds 1e\+300, which is too far"),
        (lambda f: f[:0], "0 sample"),
        (lambda f: f.assign(path=[None, *f["path"][1:]]), "1 of 48 rows of X have no image"),
        (lambda f: f.assign(path=["lost.png", *f["path"][1:]]), r"lost\.png"),
    ],
)
def test_other_frames_are_refused_at_prediction(frame, fitted, change, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(change(frame))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.date_range("2020-01-01", periods=48), r"'odd' holds dates .*\.dt\.month"),
        (pd.to_timedelta(np.arange(48), unit="D"), r"holds durations .*total_seconds"),
        ([pd.Timestamp("2020-01-01").date()] * 48, "holds dates or times"),
        ([object()] * 48, "holds values of type object"),
        ([1, "a"] * 24, r"holds numbers and text.*to_numeric"),
        ([1.0, np.inf] * 24, "holds infinity"),
        ([1.0, 1.7e308] * 24, r"numbers of up to 1\.7e\+308"),
        (np.arange(48) * 1j, "complex"),
        (pd.Categorical(pd.date_range("2020-01-01", periods=48)), "holds dates"),
    ],
)
def test_columns_that_are_neither_numbers_nor_categories_are_refused(
    frame, labels, column, message
):
    with pytest.raises(ValueError, match=message):
        CNNClassifier(image_column="path", **SETTINGS).fit(frame.assign(odd=column), labels)


@pytest.mark.parametrize(
    ("image_column", "change", "message"),
    [
        ("image", lambda f: f, "names the column 'image', but X has no column of this name"),
        (["path", "path"], lambda f: f, "holds a name twice"),
        ([], lambda f: f, "at least one"),
        ([1], lambda f: f, "a list of names"),
        ("path", lambda f: f.to_numpy(), "but X is a ndarray"),
        ("path", lambda f: f["path"], "but X is a Series"),
        ("path", lambda f: f.set_axis(["a", "path", "c", "a", "d", "e"], axis=1), "different"),
        ("path", lambda f: f.set_axis([0, "path", 2, 3, 4, 5], axis=1), "strings"),
        ("dose", lambda f: f.drop(columns="path"), "must hold paths of image files"),
        ("path", lambda f: f.assign(path=["lost.png", *f["path"][1:]]), r"lost\.png"),
    ],
)
def test_frames_without_such_images_are_refused(frame, labels, image_column, change, message):
    clf = CNNClassifier(image_column=image_column, **SETTINGS)
    with pytest.raises(ValueError, match=message):
        clf.fit(change(frame), labels)
    assert not hasattr(clf, "net_")
    assert not hasattr(clf, "table_encoder_")


def test_y_of_another_length_is_refused(frame, labels):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CNNClassifier(image_column="path", **SETTINGS).fit(frame, labels[:-1])


def test_a_network_that_does_not_end_in_a_linear_layer_is_refused(frame, labels):
    def ends_in_softmax(in_channels, n_outputs):
        head = nn.Linear(64 * in_channels, n_outputs)
        return nn.Sequential(nn.Flatten(), head, nn.LogSoftmax(1))

    with pytest.raises(ValueError, match=r"does more after this layer"):
        CNNClassifier(ends_in_softmax, image_column="path", **SETTINGS).fit(frame, labels)


def test_export_refuses_frames(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"reads frames .*neural_network\.save"):
        export_onnx(fitted, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------- several images


@pytest.mark.parametrize("pooling", ["mean", "concat"])
def test_several_images_share_a_network_and_join_their_embeddings(frame, labels, pooling):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])[["path", "back", "dose"]]
    clf = CNNClassifier(image_column=["path", "back"], image_pooling=pooling, **SETTINGS)
    clf.fit(X, labels)
    assert clf.image_shape_ == (1, 8, 8)
    network, pixels = clf.module_.eval(), clf.net_.module_
    embedded = []
    for column in ("path", "back"):
        images = np.stack([np.asarray(Image.open(path)) for path in X[column]])[:, None]
        images = (torch.from_numpy(images).float() - pixels.mean) * pixels.scale
        embedded.append(network.features(images))
    front, back = embedded
    joint = (front + back) / 2 if pooling == "mean" else torch.cat([front, back], dim=1)
    table = torch.from_numpy(clf.table_encoder_.encode(X[["dose"]]).numbers)
    logits = network.head(torch.cat([joint, network.table(table)], dim=1))
    expected = torch.softmax(logits, dim=1).detach().numpy()
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-4)


@pytest.mark.slow
def test_the_order_of_images_matters_where_their_embeddings_are_joined(frame, labels):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])[["path", "back"]]
    swapped = X.rename(columns={"path": "back", "back": "path"})[["path", "back"]]
    settings = {**SETTINGS, "image_column": ["path", "back"]}
    mean = CNNClassifier(**settings).fit(X, labels)
    np.testing.assert_allclose(mean.predict_proba(X), mean.predict_proba(swapped), rtol=1e-4)
    joined = CNNClassifier(image_pooling="concat", **settings).fit(X, labels)
    assert not np.allclose(joined.predict_proba(X), joined.predict_proba(swapped), rtol=1e-3)


def test_images_of_one_sample_must_have_one_shape(frame, labels):
    X = arrays_of(frame.assign(back=frame["path"]), "path", "back")[["path", "back"]]
    X["back"] = [image[:4] for image in X["back"]]
    with pytest.raises(ValueError, match="hold images of different shapes"):
        CNNClassifier(image_column=["path", "back"], **SETTINGS).fit(X, labels)


# ------------------------------------------------------------------- the parts of the training


class TopDown:
    """A step of an augmentation that notes what it gets, and turns images upside down."""

    def __init__(self):
        self.shapes = set()

    def __call__(self, images):
        self.shapes.add(tuple(images.shape[1:]))
        return images.flip(2)

    def views(self, images):
        """Return the images, and upside down."""
        return [images, images.flip(2)]


def test_each_image_of_a_sample_is_augmented_by_itself(frame, labels):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])[["path", "back", "dose"]]
    step = TopDown()
    clf = CNNClassifier(image_column=["path", "back"], augmentation=step, **SETTINGS)
    clf.fit(X, labels)
    assert step.shapes == {(1, 8, 8)}
    upside_down = arrays_of(X, "path", "back")
    for column in ("path", "back"):
        upside_down[column] = [image[::-1].copy() for image in upside_down[column]]
    # Predictions are averaged over both views of each image.
    one, other = clf.predict_proba(X), clf.predict_proba(upside_down)
    np.testing.assert_allclose(one, other, rtol=1e-4)
    # Each view stands beside the row of its own sample: rows that differ do not mix.
    X = X.assign(dose=np.where(np.arange(48) % 2, 300.0, -300.0))
    alone = np.concatenate([clf.decision_function(X[row : row + 1]) for row in range(6)])
    assert np.abs(np.diff(alone)).min() > 1
    np.testing.assert_allclose(clf.decision_function(X[:6]), alone, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "augmentation",
    [
        pytest.param("flip_crop", marks=pytest.mark.exhaustive),
        pytest.param("mixup", marks=pytest.mark.exhaustive),
        pytest.param("cutmix", marks=pytest.mark.exhaustive),
        pytest.param("remix", marks=pytest.mark.exhaustive),
        [FlipCrop(), "mixup"],
    ],
)
def test_all_augmentations_train_on_frames(frame, labels, augmentation):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])
    clf = CNNClassifier(image_column=["path", "back"], augmentation=augmentation, **SETTINGS)
    assert np.isfinite(clf.fit(X, labels).predict_proba(X)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(),
        pytest.param(imblearn.over_sampling.RandomOverSampler(), marks=pytest.mark.exhaustive),
    ],
)
def test_samplers_that_choose_keep_the_columns_of_each_sample(sampler):
    rng = np.random.RandomState(0)
    blank = [*np.zeros((90, 4, 4), dtype=np.uint8)]
    X = pd.DataFrame({"image": blank, "number": rng.randn(90)})
    y = X["number"] > 0.7
    settings = {**SETTINGS, "max_epochs": 30, "lr": 0.01}
    clf = CNNClassifier(sampler=sampler, image_column="image", **settings).fit(X, y)
    # Labels of other rows could not be learned.
    assert clf.score(X, y) > 0.95
    assert clf.effective_prior_.tolist() == [0.5, 0.5]
    # The encoding is that of the samples before.
    assert clf.table_encoder_.means_["number"] == pytest.approx(X["number"].mean())


@pytest.mark.parametrize("sampler", [SMOTE(), imblearn.over_sampling.SMOTE()])
def test_samplers_that_compute_pixels_are_refused(frame, labels, sampler):
    X = arrays_of(frame, "path")
    with pytest.raises(ValueError, match=r"computes with pixels|makes samples of numbers"):
        CNNClassifier(sampler=sampler, image_column="path", **SETTINGS).fit(X, labels)


def test_frozen_features_leave_the_columns_to_the_head(frame, labels):
    def network(in_channels, n_outputs):
        inner = nn.Linear(64 * in_channels, 6)
        return nn.Sequential(nn.Flatten(), inner, nn.ReLU(), nn.Linear(6, n_outputs))

    settings = {**SETTINGS, "image_column": "path", "lr_schedule": "constant"}
    start = CNNClassifier(network, lr=1e-30, weight_decay=0, **settings).fit(frame, labels)
    trained = CNNClassifier(network, freeze="features", **settings).fit(frame, labels)
    before, after = start.module_.state_dict(), trained.module_.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if not name.startswith("features.")}


@pytest.mark.slow
def test_the_part_of_the_columns_is_searchable(frame, labels):
    grid = {
        "table_width": [4, 8],
        "table_depth": [0, 2],
        "table_embedding": [2],
        "loss": [FocalLoss()],
    }
    clf = CNNClassifier(image_column="path", **{**SETTINGS, "max_epochs": 1})
    search = GridSearchCV(clf, grid, cv=2).fit(frame, labels)
    best = search.best_estimator_
    widths = [layer.out_features for layer in best.module_.table.layers if hasattr(layer, "bias")]
    wanted = [best.table_width] * best.table_depth
    assert widths == wanted
    assert {embed.out_features for embed in best.module_.table.embeddings} == {2}


def test_dropout_acts_on_the_columns_in_training_alone(frame, labels):
    clf = CNNClassifier(image_column="path", table_dropout=0.5, **SETTINGS).fit(frame, labels)
    assert any(isinstance(part, nn.Dropout) for part in clf.module_.table.modules())
    np.testing.assert_array_equal(clf.predict_proba(frame), clf.predict_proba(frame))


def test_dropout_changes_the_training(frame, labels):
    settings = {**SETTINGS, "image_column": "path", "augmentation": None, "max_epochs": 1}
    without, with_much = (
        CNNClassifier(table_dropout=dropout, **settings).fit(frame, labels)
        for dropout in (0.0, 0.9)
    )
    assert without.history_[0]["train_loss"] != with_much.history_[0]["train_loss"]
    assert not np.allclose(without.predict_proba(frame), with_much.predict_proba(frame), atol=1e-4)


@pytest.mark.slow
def test_worker_processes_give_equal_results(frame, labels, fitted):
    clf = CNNClassifier(image_column="path", num_workers=1, **SETTINGS).fit(frame, labels)
    np.testing.assert_array_equal(clf.predict_proba(frame), fitted.predict_proba(frame))


# ------------------------------------------------------------- around the estimators, and after


@pytest.mark.slow
def test_importance_of_each_column_by_scikit_learn():
    rng = np.random.RandomState(0)
    is_bright, is_large = rng.rand(2, 120) > 0.5
    images = np.where(is_bright[:, None, None], 220, 20) * np.ones((4, 4))
    X = pd.DataFrame(
        {
            "noise": rng.randn(120),
            "image": [*images.astype(np.uint8)],
            "size": np.where(is_large, 9.0, 1.0),
            "junk": rng.choice(["a", "b"], 120),
        }
    )
    settings = {**SETTINGS, "max_epochs": 10, "lr": 0.01, "augmentation": None}
    clf = CNNClassifier(image_column="image", **settings).fit(X, is_bright & is_large)
    result = permutation_importance(clf, X, is_bright & is_large, n_repeats=3, random_state=0)
    found = dict(zip(X.columns, result.importances_mean, strict=True))
    assert min(found["image"], found["size"]) > 0.1
    assert max(abs(found["noise"]), abs(found["junk"])) < 0.05


def test_folds_and_pipelines_pass_frames_on(frame, labels, fitted):
    settings = {**SETTINGS, "max_epochs": 1}
    pipeline = make_pipeline(
        FunctionTransformer(validate=False), CNNClassifier(image_column="path", **settings)
    )
    made = cross_val_predict(pipeline, frame, labels, cv=2, method="predict_proba")
    for train, test in StratifiedKFold(2).split(frame, labels):
        alone = CNNClassifier(image_column="path", **settings)
        alone.fit(frame.iloc[train], labels[train])
        np.testing.assert_array_equal(made[test], alone.predict_proba(frame.iloc[test]))


@pytest.mark.slow
def test_a_regressor_reads_several_images_and_columns(frame):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])
    y = frame["dose"] * 100.0 + 7
    reg = CNNRegressor(image_column=["path", "back"], **{**SETTINGS, "max_epochs": 15}, lr=0.02)
    assert reg.fit(X, y).score(X, y) > 0.5


def has_values_of_two_stages(model, X, labels):
    """The network is that of a fit by hand, and the head reads its embeddings."""
    alone = clone(model.estimator).fit(X, labels)
    np.testing.assert_array_equal(model.estimator_.embed(X), alone.embed(X))
    expected = model.head_.predict_proba(alone.embed(X))
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def has_values_of_offsets(model, X, labels):
    """The network is that of a fit by hand, and its decisions are moved by the offsets."""
    logs = clone(model.estimator).fit(X, labels).predict_log_proba(X)
    np.testing.assert_array_equal(model.estimator_.predict_log_proba(X), logs)
    expected = model.classes_[(logs + model.offsets_).argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), expected)


def has_values_of_a_search_of_heads(model, X, labels):
    """The best estimator is that of a fit by hand with the best parameters."""
    again = clone(model.best_estimator_).fit(X, labels)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def has_values_of_a_grid_search(model, X, labels):
    """Scores and predictions are those of scikit-learn's search."""
    search = GridSearchCV(model.estimator, model.param_grid, cv=2).fit(X, labels)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(model.cv_results_[name], search.cv_results_[name])
    np.testing.assert_array_equal(model.predict_proba(X), search.predict_proba(X))


OF_SKIMB = {
    "decoupled": (lambda clf: DecoupledClassifier(clf, random_state=0), has_values_of_two_stages),
    "offsets": (
        lambda clf: TunedOffsetsClassifierCV(clf, cv=2, random_state=0),
        has_values_of_offsets,
    ),
    "heads": (
        lambda clf: LossSearchCV(
            DecoupledClassifier(clf, random_state=0), {"class_weight": [None, "balanced"]}, cv=2
        ),
        has_values_of_a_search_of_heads,
    ),
    "end_to_end": (
        lambda clf: LossSearchCV(
            clf.set_params(augmentation=None),
            {"class_weight": [None, "balanced"]},
            cv=2,
            search="end_to_end",
        ),
        has_values_of_a_grid_search,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_SKIMB)
@pytest.mark.parametrize("form", ["paths", pytest.param("arrays", marks=pytest.mark.exhaustive)])
def test_meta_estimators_of_skimb_read_frames(frame, labels, name, form):
    X = arrays_of(frame, "path") if form == "arrays" else frame
    make, has_its_values = OF_SKIMB[name]
    model = make(CNNClassifier(image_column="path", **SETTINGS))
    one_by_one = getattr(model, "search", None) == "end_to_end"
    with pytest.warns(match="columns are read beside") if one_by_one else nullcontext():
        fitted = model.fit(X, labels)
    has_its_values(fitted, X, labels)
    with pytest.raises(ValueError, match="yet now missing"):
        fitted.predict(X.drop(columns="age"))


SEARCHES = {
    "a search of losses": lambda clf: LossSearchCV(clf, {"class_weight": ["balanced"]}, cv=2),
    "a search of class numbers": lambda clf: AutoBalanceClassifier(clf, cv=2, random_state=0),
}
AROUND = SEARCHES | {
    "offsets": lambda clf: TunedOffsetsClassifierCV(clf, cv=2, random_state=0),
    "bagging": lambda clf: ImageMetaEstimator(BaggingClassifier(clf, 2, random_state=0)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "bagging",
        "offsets",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in SEARCHES),
    ],
)
def test_a_frame_of_one_column_of_arrays_stays_a_frame_in_meta_estimators(frame, labels, name):
    X = arrays_of(frame, "path")[["path"]]
    pixels = np.stack(X["path"].tolist())
    alone = AROUND[name](CNNClassifier(**SETTINGS)).fit(pixels, labels)
    model = AROUND[name](CNNClassifier(image_column="path", **SETTINGS)).fit(X, labels)
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(pixels))


@pytest.mark.slow
def test_bags_of_a_frame_of_one_column_of_arrays_are_frames(frame):
    X = arrays_of(frame, "path")[["path"]]
    pixels = np.stack(X["path"].tolist())
    y = np.where(np.arange(48) < 5, 30.0, frame["dose"])
    bags = ReBaggRegressor(CNNRegressor(**SETTINGS), n_estimators=2, random_state=0)
    expected = bags.fit(pixels, y).predict(pixels)
    bags.set_params(estimator__image_column="path").fit(X, y)
    np.testing.assert_array_equal(bags.predict(X), expected)


@pytest.mark.parametrize("frozen", [False, True])
def test_an_embedder_joins_image_and_columns(frame, labels, fitted, frozen):
    clf = CNNClassifier(image_column="path", **SETTINGS)
    embedder = CNNEmbedder(FrozenEstimator(fitted) if frozen else clf, cache=True)
    made = embedder.fit(frame, labels).transform(frame)
    np.testing.assert_array_equal(made, fitted.embed(frame))
    # Another row with the same image is not the one that was kept.
    other = embedder.transform(frame.assign(dose=frame["dose"].to_numpy()[::-1]))
    assert not np.array_equal(made, other)
    assert embedder.n_features_in_ == 6


def test_partial_fit_keeps_the_encoding_of_its_first_call(frame, labels):
    clf = CNNClassifier(image_column="path", **{**SETTINGS, "max_epochs": "auto"})
    clf.partial_fit(frame[:24], labels[:24], classes=["often", "rare"])
    means = dict(clf.table_encoder_.means_)
    clf.partial_fit(frame[24:], labels[24:])
    assert clf.table_encoder_.means_ == means
    assert clf.n_iter_ == 2


def test_a_warm_start_keeps_the_encoding_and_refuses_other_columns(frame, labels):
    clf = CNNClassifier(image_column="path", warm_start=True, **SETTINGS).fit(frame, labels)
    means = dict(clf.table_encoder_.means_)
    clf.fit(frame[:40], labels[:40])
    assert clf.table_encoder_.means_ == means
    with pytest.raises(ValueError, match=r"reads the columns .* beside the images"):
        clf.fit(frame.drop(columns="age"), labels)
    with pytest.raises(ValueError, match=r"reads the columns .* beside the images"):
        clf.set_params(image_column=None).fit(frame["path"], labels)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"image_column": ["path", "back"]}, {"image_column": "path"}),
        ({"image_column": "path"}, {"image_column": ["path", "back"]}),
        ({"image_column": ["path", "back"]}, {"image_pooling": "concat"}),
        ({"image_column": "path"}, {"table_width": 3}),
        ({"image_column": "path"}, {"table_depth": 2}),
        ({"image_column": "path"}, {"table_dropout": 0.5}),
        ({"image_column": "path"}, {"table_embedding": 4}),
    ],
)
def test_a_warm_start_refuses_another_network(frame, labels, before, after):
    X = frame[["path", "site"]].assign(back=frame["path"].to_numpy()[::-1])
    for others in (["site"], []):
        if not others and "image_column" not in after:
            continue
        clf = CNNClassifier(warm_start=True, **before, **SETTINGS)
        clf.fit(X[[*image_columns(clf.image_column), *others]], labels).set_params(**after)
        changed = f"`{next(iter(after))}` was changed since the last fit"
        with pytest.raises(ValueError, match=changed):
            clf.fit(X[[*image_columns(clf.image_column), *others]], labels)


def test_a_second_fit_without_columns_forgets_them(frame, labels, fitted):
    clf = clone(fitted).fit(frame, labels)
    clf.set_params(image_column=None).fit(frame["path"], labels)
    assert not hasattr(clf, "table_encoder_")
    assert clf.predict(frame["path"]).shape == (48,)


@pytest.mark.parametrize("form", ["pickle", "file"])
def test_fitted_estimators_come_back(frame, fitted, form, tmp_path):
    if form == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        save(fitted, tmp_path / "model.skimb")
        again = load(tmp_path / "model.skimb")
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))
    np.testing.assert_array_equal(again.net_.predict_proba(frame), fitted.predict_proba(frame))
    with pytest.raises(ValueError, match="yet now missing"):
        again.predict(frame.drop(columns="age"))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"table_width": 3}, "`table_width`=3 was set"),
        ({"table_depth": 10**7}, "`table_depth`=10000000 was set"),
        ({"table_embedding": 2}, "`table_embedding`=2 was set"),
        ({"table_width": 3, "table_depth": 4}, "`table_depth`=4, `table_width`=3 were set"),
    ],
    ids=["width", "depth", "embedding", "two"],
)
def test_a_file_is_refused_where_the_part_of_the_columns_was_changed(
    fitted, changed, named, tmp_path
):
    other = pickle.loads(pickle.dumps(fitted)).set_params(**changed)
    with pytest.raises(ValueError, match=named):
        save(other, tmp_path / "model.skimb")
    assert not list(tmp_path.iterdir())


def test_a_file_is_refused_where_the_pooling_or_the_dropout_was_changed(frame, labels, tmp_path):
    two = frame.assign(other=frame["path"].to_numpy()[::-1])
    clf = CNNClassifier(
        "linear", image_column=["path", "other"], table_depth=2, max_epochs=1, device="cpu"
    ).fit(two, labels)
    for changed in ({"image_pooling": "concat"}, {"table_dropout": 0.5}):
        (name,) = changed
        other = pickle.loads(pickle.dumps(clf)).set_params(**changed)
        with pytest.raises(ValueError, match=f"`{name}`=.* was set after"):
            save(other, tmp_path / "model.skimb")


def test_the_validation_part_may_be_given(frame, labels):
    clf = CNNClassifier(image_column="path", early_stopping=True, **SETTINGS)
    clf.fit(frame[:32], labels[:32], X_val=frame[32:], y_val=labels[32:])
    assert "valid_loss" in clf.history_[-1]


def test_equal_images_never_stand_on_both_sides_of_a_split(frame, labels):
    twice = pd.concat([frame, frame.assign(dose=9)], ignore_index=True)
    clf = CNNClassifier(image_column="path", early_stopping=True, **SETTINGS)
    held = clf.fit(twice, np.tile(labels, 2)).validation_indices_
    assert set(held % 48) == set(held[held < 48])
    assert len(held) == 2 * len(set(held % 48))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_frames_train_on_cuda(frame, labels):
    X = frame.assign(back=frame["path"].to_numpy()[::-1])
    settings = {**SETTINGS, "device": "cuda", "augmentation": "mixup"}
    one, other = (
        CNNClassifier(image_column=["path", "back"], **settings).fit(X, labels) for _ in range(2)
    )
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    arrays = arrays_of(X, "path", "back")
    np.testing.assert_array_equal(one.predict_proba(arrays), one.predict_proba(X))


class EverySecond(BaseEstimator):
    """A sampler that keeps every second row, and does not tell which."""

    def fit_resample(self, X, y):
        """Return every second row."""
        return X[::2], y[::2]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


def test_a_sampler_that_tells_no_indices_keeps_the_row_of_each_sample():
    # Four rows have one image: it does not say which row was chosen.
    images = [np.full((4, 4), number // 4, dtype=np.uint8) for number in range(40)]
    X = pd.DataFrame({"image": images, "number": np.where(np.arange(40) % 2, 1000.0, 0.0)})
    y = np.arange(40) // 2 % 2
    X.loc[0, "number"] = 1.0
    clf = CNNClassifier(image_column="image", sampler=EverySecond(), **SETTINGS)
    seen = []

    class Looking(Callback):
        def on_train_begin(self, net, X: Any = None, y=None, **kwargs):
            seen.append(X.beside.rows.numbers.clone())

    clf.set_params(net_callbacks=[Looking()]).fit(X, y)
    # The numbers of odd rows, which are far larger, are not among those that train.
    assert seen[0].shape == (20, 1)
    assert seen[0].max() < 0.0


def test_samples_that_share_any_image_stay_together(frame, labels):
    # Each photo is the front of one house and the back of the next one.
    paths = frame["path"].to_numpy()
    X = pd.DataFrame({"front": paths, "back": np.roll(paths, 1), "age": frame["age"]})
    X.loc[np.arange(48) % 4 == 0, "back"] = X["front"]
    y = np.arange(48) // 4 % 2
    clf = CNNClassifier(image_column=["front", "back"], early_stopping=True, **SETTINGS)
    held = clf.fit(X, y).validation_indices_
    assert 0 < len(held) < 48
    chains = pd.Series(np.arange(48) // 4)
    assert set(chains[held]).isdisjoint(chains.drop(held))
