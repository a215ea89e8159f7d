"""Rows that were chosen come back as they were, whatever they are kept in."""

from typing import Any

import imblearn.combine
import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skimb.ensemble import ReBaggRegressor
from skimb.neural_network import CNNClassifier, DeepSMOTE
from skimb.over_sampling import (
    SMOTE,
    SMOTER,
    AugmentedOverSampler,
    GaussianNoiseOverSampler,
    RandomOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
    apply_plan,
)
from skimb.under_sampling import (
    ClusterUnderSampler,
    EmbeddedSampler,
    RandomUnderSampler,
    RelevanceUnderSampler,
)

N = 40
LABELS = np.repeat([0, 1], [30, 10])
VALUES = np.r_[np.linspace(0, 1, 34), [9, 10, 11, 12, 13, 14.0]]
RNG = np.random.RandomState(0)
POINTS = RNG.rand(N)
IMAGES = RNG.randint(0, 255, size=(N, 6, 5)).astype(np.uint8)
#: float64 knows every second one only.
LARGE = 2**53 + 1 + 2 * RNG.permutation(N)
CODES = [f"0{code}" for code in 4420 + RNG.permutation(N)]

#: Columns that a conversion to float would change.
TABLES = {
    "category": pd.DataFrame({"a": POINTS, "b": pd.Categorical(RNG.choice(["1", "2"], N))}),
    "str": pd.DataFrame({"a": POINTS, "b": CODES}),
    "string": pd.DataFrame({"a": POINTS, "b": pd.array(CODES, dtype="string")}),
    "object": pd.DataFrame({"a": POINTS, "b": pd.Series(CODES, dtype=object)}),
    "int64": pd.DataFrame({"a": POINTS, "b": LARGE}),
    "Int64": pd.DataFrame({"a": POINTS, "b": pd.array(LARGE, dtype="Int64")}),
    "bool": pd.DataFrame({"a": POINTS, "b": POINTS > 0.5, "c": np.arange(N, dtype=np.uint8)}),
    "sparse": pd.DataFrame(
        {"a": pd.arrays.SparseArray(POINTS, fill_value=0), "b": pd.arrays.SparseArray(np.arange(N))}
    ),
}
TIMES = pd.DataFrame({"a": POINTS, "b": pd.date_range("2020", periods=N)})

SELECTORS = [
    RandomUnderSampler(random_state=0),
    RandomOverSampler(random_state=0),
    ClusterUnderSampler(random_state=0),
    EmbeddedSampler(imblearn.under_sampling.TomekLinks()),
    EmbeddedSampler(imblearn.under_sampling.EditedNearestNeighbours()),
    EmbeddedSampler(
        imblearn.under_sampling.InstanceHardnessThreshold(estimator=DecisionTreeClassifier(), cv=2),
        random_state=0,
    ),
    # It chooses rows, and does not tell which.
    EmbeddedSampler(imblearn.under_sampling.ClusterCentroids(voting="hard"), random_state=0),
]
GENERATORS = [
    SMOTE(random_state=0),
    AugmentedOverSampler(random_state=0),
    EmbeddedSampler(imblearn.over_sampling.BorderlineSMOTE(), random_state=0),
    EmbeddedSampler(imblearn.combine.SMOTETomek(), random_state=0),
]
OF_VALUES = [
    RelevanceUnderSampler(random_state=0),
    RelevanceOverSampler(random_state=0),
    RelevanceSampler(random_state=0),
]
MAKERS_OF_VALUES = [SMOTER(random_state=0, k_neighbors=3), GaussianNoiseOverSampler(random_state=0)]


def name(sampler):
    inner = getattr(sampler, "sampler", None)
    return type(sampler).__name__ + ("" if inner is None else f"-{type(inner).__name__}")


def rows_of(X):
    """Each row of any container as something that can be compared to the bit."""
    if sparse.issparse(X):
        return [row.tolist() for row in X.toarray()]
    if isinstance(X, torch.Tensor):
        return [row.tolist() for row in X.detach().double().numpy()]
    if isinstance(X, pd.DataFrame) and X.shape[1] > 1:
        return list(map(list, zip(*(X[column].tolist() for column in X), strict=True)))
    values = X.to_numpy().ravel() if hasattr(X, "iloc") else X
    return [as_list(value) for value in values]


def as_list(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().double().numpy()
    return value.tolist() if isinstance(value, np.ndarray) else value


def assert_rows(X, X_res, indices):
    assert type(X_res) is type(X)
    old, new = rows_of(X), rows_of(X_res)
    assert len(new) == len(indices)
    assert new == [old[row] for row in indices]
    if hasattr(X, "dtypes"):
        pd.testing.assert_series_equal(pd.Series(X_res.dtypes), pd.Series(X.dtypes))
    elif hasattr(X, "dtype"):
        assert X_res.dtype == X.dtype


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("sampler", SELECTORS, ids=name)
def test_selectors_take_the_rows_of_the_table_and_tell_which(sampler, kind):
    X = TABLES[kind]
    X_res, y_res = sampler.fit_resample(X, LABELS)
    assert_rows(X, X_res, sampler.sample_indices_)
    np.testing.assert_array_equal(y_res, LABELS[sampler.sample_indices_])


@pytest.mark.parametrize("sampler", SELECTORS[:2], ids=name)
def test_who_does_not_compute_takes_times_too(sampler):
    X_res, _ = sampler.fit_resample(TIMES, LABELS)
    assert_rows(TIMES, X_res, sampler.sample_indices_)


@pytest.mark.parametrize("sampler", SELECTORS[2:], ids=name)
def test_times_are_no_points(sampler):
    with pytest.raises(ValueError, match=r"hold none: 'b' \(datetime64"):
        sampler.fit_resample(TIMES, LABELS)


@pytest.mark.parametrize("sampler", SELECTORS[2:], ids=name)
@pytest.mark.parametrize("kind", ["tuple", "category"])
def test_whatever_pandas_says_of_it_the_column_is_named(sampler, kind):
    values = pd.Series([("x", 1), None] if kind == "tuple" else ["x", "y"])
    values = values.astype("object" if kind == "tuple" else "category")
    # Next to a nullable column, pandas casts each column on its own.
    X = pd.DataFrame({"a": pd.array(POINTS, dtype="Float64"), "b": values[np.arange(N) % 2].array})
    with pytest.raises(ValueError, match=r"hold none: 'b' \("):
        sampler.fit_resample(X, LABELS)


def test_an_embedding_reads_the_table_and_its_rows_are_taken():
    X = TABLES["int64"]
    inner = imblearn.under_sampling.ClusterCentroids(voting="hard")
    sampler = EmbeddedSampler(inner, embedder=PCA(1), random_state=0)
    X_res, _ = sampler.fit_resample(X, LABELS)
    assert_rows(X, X_res, sampler.sample_indices_)


@pytest.mark.parametrize("sampler", GENERATORS, ids=name)
@pytest.mark.parametrize("kind", ["category", "str", "object"])
def test_no_row_is_made_of_columns_without_numbers(sampler, kind):
    with pytest.raises(ValueError, match=r"these columns of X hold none: 'b' \("):
        sampler.fit_resample(TABLES[kind], LABELS)


@pytest.mark.parametrize("sampler", GENERATORS, ids=name)
@pytest.mark.parametrize("kind", ["int64", "Int64", "bool"])
def test_rows_beside_those_that_were_made_are_what_they_were(sampler, kind):
    X = TABLES[kind]
    X_res, y_res = sampler.fit_resample(X, LABELS)
    assert list(X_res.dtypes) == list(X.dtypes)
    old = rows_of(X)
    places = [old.index(row) for row in rows_of(X_res)[: sum(LABELS == 0)]]
    assert np.all(np.diff(places) > 0)
    assert len(y_res) == len(X_res) > N / 2


def test_integers_that_are_made_beside_floats_are_rounded_not_cut():
    X = pd.DataFrame({"a": POINTS, "count": np.arange(N) * 10})
    smote = SMOTE(random_state=0)
    X_res, _ = smote.fit_resample(X, LABELS)
    first, second = X["count"].to_numpy()[smote.parents_.T].astype(float)
    exact = first + smote.gaps_ * (second - first)
    np.testing.assert_array_equal(X_res["count"][N:], np.rint(exact))


def test_equal_points_go_with_their_own_label():
    """The two rows of a pair differ in their label and in a digit that no float holds."""
    X = np.repeat(2**53 + 10 * np.arange(20), 2).reshape(-1, 1) + np.tile([0, 1], 20)[:, None]
    y = np.tile([0, 1], 20)
    keep_all = imblearn.FunctionSampler(func=lambda X, y: (X[::-1], y[::-1]))
    sampler = EmbeddedSampler(keep_all)
    X_res, y_res = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X[::-1])
    np.testing.assert_array_equal(y_res, y[::-1])
    np.testing.assert_array_equal(sampler.sample_indices_, np.arange(40)[::-1])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("sampler", SELECTORS, ids=name)
def test_sparse_rows(sampler, container):
    X = container(RNG.randint(0, 3, size=(N, 6)))
    X_res, _ = sampler.fit_resample(X, LABELS)
    assert X_res.dtype == X.dtype
    assert rows_of(X_res) == [rows_of(X)[row] for row in sampler.sample_indices_]


def objects(rows):
    made = np.empty(len(rows), dtype=object)
    made[:] = list(rows)
    return made


#: Images in all that people keep them in.
KEPT = {
    "requires grad": torch.tensor(IMAGES / 255).requires_grad_(),
    "bfloat16": torch.tensor(IMAGES / 255).bfloat16(),
    "objects": objects(IMAGES),
    "Series": pd.Series(objects(IMAGES), name="image"),
    "column": pd.DataFrame({"image": objects(IMAGES)}),
    "list of arrays": list(IMAGES),
    "tuple of arrays": tuple(IMAGES),
    "list of tensors": list(torch.tensor(IMAGES)),
    "lists": IMAGES.tolist(),
}


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("sampler", [*SELECTORS, *OF_VALUES], ids=name)
def test_images_are_chosen_from_whatever_holds_them(sampler, kept):
    X, y = KEPT[kept], VALUES if sampler in OF_VALUES else LABELS
    X_res, _ = sampler.fit_resample(X, y)
    assert_rows(X, X_res, sampler.sample_indices_)


@pytest.mark.slow
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize(
    "sampler",
    [*GENERATORS, DeepSMOTE(max_epochs=1, n_latent=4, random_state=0), *MAKERS_OF_VALUES],
    ids=name,
)
def test_images_are_made_beside_whatever_holds_them(sampler, kept):
    X, y = KEPT[kept], VALUES if sampler in MAKERS_OF_VALUES else LABELS
    X_res, y_res = sampler.fit_resample(X, y)
    assert type(X_res) is type(X)
    old, new = rows_of(X), rows_of(X_res)
    assert len(new) == len(y_res)
    # Below the others stand those that were made; two that clean drop a few of both.
    n_made = len(getattr(sampler, "parents_", np.empty(len(new) - 25)))
    assert n_made > 0
    assert all(row in old for row in new[: len(new) - n_made])
    assert not all(row in old for row in new)
    assert np.shape(new[-1]) == (6, 5)
    if hasattr(X, "dtype"):
        assert X_res.dtype == X.dtype


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            objects([*IMAGES[1:], np.zeros((4, 4))]),
            r"one shape. Sample 0 has shape \(6, 5\), and sample 39",
        ),
        (list(enumerate(CODES)), "strings"),
        (torch.tensor(IMAGES).reshape(N, -1).to_sparse(), "to_dense"),
        ({"a": POINTS}, "Got <class 'dict'>"),
        (None, "Got None"),
    ],
    ids=["shapes", "strings", "sparse tensor", "dict", "None"],
)
@pytest.mark.parametrize("sampler", [SELECTORS[2], GENERATORS[0], MAKERS_OF_VALUES[0]], ids=name)
def test_what_holds_no_rows_of_numbers_is_refused(sampler, X, message):
    with pytest.raises(ValueError, match=message):
        sampler.fit_resample(X, VALUES if sampler in MAKERS_OF_VALUES else LABELS)


LABELS_OF_ANY_KIND = {
    "tuple": tuple(LABELS.tolist()),
    "tuple of str": tuple(LABELS.astype(str).tolist()),
    "list": [2**60 + int(label) for label in LABELS],
    "int64": 2**62 + LABELS,
    "uint64": LABELS.astype(np.uint64) + 2**63,
    "bool": LABELS == 1,
    "objects": LABELS.astype(object),
    "bool objects": (LABELS == 1).astype(object),
    "str": LABELS.astype(str),
    "Int64": pd.Series(2**60 + LABELS, dtype="Int64", name="label"),
    "boolean": pd.Series(LABELS == 1, dtype="boolean"),
    "string": pd.Series(LABELS.astype(str), dtype="string"),
    "category": pd.Series(pd.Categorical(LABELS.astype(str), categories=["1", "0", "none"])),
    "column": pd.DataFrame({"label": LABELS}),
    "tensor": torch.tensor(LABELS),
    "bool tensor": torch.tensor(LABELS == 1),
    "bfloat16": torch.tensor(LABELS).bfloat16(),
    "one-vs-all": np.eye(3, dtype=int)[np.arange(N) % 3],
}


@pytest.mark.parametrize("kind", LABELS_OF_ANY_KIND)
@pytest.mark.parametrize("sampler", [*SELECTORS[:4], *GENERATORS[:3]], ids=name)
def test_labels_of_any_kind_come_back_as_such(sampler, kind):
    y = LABELS_OF_ANY_KIND[kind]
    X = np.random.RandomState(0).rand(N, 3)
    _, y_res = sampler.fit_resample(X, y)
    assert type(y_res) is type(y)
    assert getattr(y_res, "dtype", None) == getattr(y, "dtype", None)
    old, new = rows_of(y), rows_of(y_res)
    indices = getattr(sampler, "sample_indices_", None)
    if indices is not None:
        assert new == [old[row] for row in indices]
    assert all(label in old for label in new)


@pytest.mark.parametrize(
    "y",
    [
        tuple(VALUES.tolist()),
        [int(value * 2**50) * 1000 + 1 for value in VALUES],
        (VALUES * 2**50).astype(np.int64) * 1000 + 1,
        torch.tensor(VALUES).requires_grad_(),
        torch.tensor(VALUES).bfloat16(),
    ],
    ids=["tuple", "list", "int64", "requires grad", "bfloat16"],
)
@pytest.mark.parametrize("sampler", OF_VALUES, ids=name)
def test_values_of_any_kind_come_back_as_such(sampler, y):
    _, y_res = sampler.fit_resample(VALUES[:, np.newaxis], y)
    assert type(y_res) is type(y)
    assert rows_of(y_res) == [rows_of(y)[row] for row in sampler.sample_indices_]


@pytest.mark.parametrize(
    "sampler", [*SELECTORS[:4], *GENERATORS[:1], *OF_VALUES, *MAKERS_OF_VALUES], ids=name
)
@pytest.mark.parametrize("method", ["fit", "fit_resample"])
def test_no_target_is_an_error_that_says_so(sampler, method):
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        getattr(sampler, method)(IMAGES, None)


@pytest.mark.parametrize("sampler", SELECTORS[2:4], ids=name)
def test_objects_stay_objects_in_a_view(sampler):
    X = np.array(list(zip(POINTS, CODES, strict=True)), dtype=object)
    sampler = type(sampler)(**{**sampler.get_params(deep=False), "lazy": True})
    X_res, _ = sampler.fit_resample(X, LABELS)
    assert np.asarray(X_res).tolist() == X[sampler.sample_indices_].tolist()


FURTHER = {
    "numbers beside strings": ([1, "a"] * 20, object),
    "rows of both": ([[1, "a"], ["b", 2]] * 20, object),
    "large integers": (LARGE.tolist(), np.int64),
    "truth values": ((LABELS == 1).tolist(), bool),
    "requires grad": (torch.tensor(POINTS).requires_grad_(), np.float64),
    "bfloat16": (torch.tensor(POINTS).bfloat16(), np.float32),
    "tensors": (list(torch.tensor(IMAGES)), np.uint8),
}


@pytest.mark.parametrize("kind", FURTHER)
@pytest.mark.parametrize("sampler", [RandomOverSampler(random_state=0), SMOTE(random_state=0)])
def test_what_follows_the_rows_keeps_its_type(sampler, kind):
    sampler.fit_resample(IMAGES, LABELS)
    values, dtype = FURTHER[kind]
    followed = apply_plan(sampler, values)
    assert followed.dtype == dtype
    assert followed[:N].tolist() == rows_of(values)


def test_weights_with_a_gap_follow():
    weights = pd.Series(pd.array([pd.NA, *POINTS[1:]], dtype="Float64"))
    smote = SMOTE(random_state=0)
    smote.fit_resample(IMAGES, LABELS)
    followed = apply_plan(smote, weights)
    assert followed.dtype == "Float64"
    assert followed[0] is pd.NA
    assert followed[1] == weights[1]


@pytest.mark.slow
def test_who_chooses_without_telling_may_have_weights_in_a_network():
    """Its rows are those that it got: so the weights are known."""
    silent = imblearn.FunctionSampler(func=lambda X, y: (X[5:], y[5:]), validate=False)
    weight = np.r_[np.full(5, 1e-9), np.linspace(1, 2, N - 5)]
    fitted = CNNClassifier("linear", sampler=silent, max_epochs=1, random_state=0)
    told = CNNClassifier("linear", max_epochs=1, random_state=0, standardize=(0, 255))
    fitted.set_params(standardize=(0, 255)).fit(IMAGES, LABELS, weight)
    told.fit(IMAGES[5:], LABELS[5:], weight[5:])
    np.testing.assert_array_equal(fitted.predict_proba(IMAGES), told.predict_proba(IMAGES))


class _InFloat:
    """A sampler of values that computes in float, and does not tell what it did."""

    def fit_resample(self, X, y):
        X = X.toarray() if sparse.issparse(X) else np.asarray(X)
        return X.astype(np.float64)[-6:] + 0.25, y[-6:]

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self


class _Remembers(DecisionTreeRegressor):
    def fit(self, X, y, sample_weight=None):
        self.seen_ = X
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_bags_keep_integers_beside_rows_that_were_made_in_float(container):
    X = container(LARGE.reshape(-1, 1))
    bags = ReBaggRegressor(_Remembers(), sampler=_InFloat(), n_estimators=2, random_state=0)
    bags.fit(X, VALUES)
    for member in bags.estimators_:
        seen = member.seen_.toarray() if sparse.issparse(X) else np.asarray(member.seen_)
        assert type(member.seen_) is type(X)
        assert seen.dtype == np.int64
        assert np.isin(seen[:10], LARGE).all()


def test_bags_of_tensors():
    X = torch.tensor(VALUES[:, np.newaxis]).requires_grad_()
    bags: Any = ReBaggRegressor(n_estimators=2, random_state=0).fit(X, tuple(VALUES.tolist()))
    assert bags.predict(X).shape == (N,)
    with pytest.raises(ValueError, match="the target y is None"):
        bags.fit(X, None)


@pytest.mark.parametrize(
    ("library", "shape"),
    [("polars", (4, 4)), ("polars", (5,)), ("array", (5,)), ("chunked_array", (5,))],
)
def test_samples_are_made_below_a_column_of_lists(library, shape):
    samples = np.random.RandomState(0).randint(0, 200, (N, *shape))
    if library == "polars":
        column = pytest.importorskip("polars").Series("image", samples.tolist())
    elif library == "array":
        column = pytest.importorskip("pyarrow").array(samples.tolist())
    else:
        column = pytest.importorskip("pyarrow").chunked_array([samples.tolist()])
    found, _ = SMOTE(random_state=0).fit_resample(column, LABELS)
    assert type(found) is type(column)
    rows = found.to_list() if library == "polars" else found.to_pylist()
    np.testing.assert_array_equal(rows, SMOTE(random_state=0).fit_resample(samples, LABELS)[0])


@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(random_state=0),
        RandomUnderSampler(random_state=0),
        ClusterUnderSampler(random_state=0),
        SMOTE(random_state=0),
        RelevanceOverSampler(random_state=0),
    ],
    ids=name,
)
def test_frames_in_the_byte_order_of_other_machines(sampler):
    X = pd.DataFrame(np.random.RandomState(0).randn(N, 3), columns=list("abc"))
    y = pd.Series(np.r_[np.zeros(30), np.arange(10)] if hasattr(sampler, "relevance") else LABELS)
    wanted, y_wanted = sampler.fit_resample(X, y)
    found, y_found = sampler.fit_resample(X.astype(">f8"), y.astype(y.dtype.newbyteorder(">")))
    pd.testing.assert_frame_equal(found, wanted)
    pd.testing.assert_series_equal(y_found, y_wanted, check_dtype=False)


@pytest.mark.slow
def test_a_column_beside_images_in_the_byte_order_of_other_machines():
    images = np.random.RandomState(0).randint(0, 200, (N, 4, 4)).astype(np.uint8)
    frame = pd.DataFrame({"image": list(images), "age": np.arange(N, dtype=np.float64)})
    clf = CNNClassifier(max_epochs=1, image_column="image", random_state=0)
    wanted = clf.fit(frame, LABELS).predict_proba(frame)
    frame["age"] = frame["age"].astype(">f8")
    np.testing.assert_array_equal(clf.fit(frame, LABELS).predict_proba(frame), wanted)
