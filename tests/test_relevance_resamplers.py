"""Resamplers of continuous targets: how many rows, which, and in what container."""

from typing import Any

import imblearn.pipeline
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from skimb.over_sampling import (
    SMOGN,
    SMOTER,
    GaussianNoiseOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
    apply_plan,
)
from skimb.relevance import Relevance
from skimb.under_sampling import RelevanceUnderSampler

SELECTORS = [RelevanceOverSampler, RelevanceSampler, RelevanceUnderSampler]
MAKERS = [SMOTER, SMOGN, GaussianNoiseOverSampler]

#: Six normal rows, 1 to 3, and five rare ones: their relevance is 0.5, 0.5, 1, 1, 1.
SKEWED = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])

#: Bumps of 2 rare, 12 normal and 4 rare rows.
BOTH_ENDS = np.array([-9.0, -8, *np.linspace(-1, 1, 12), 6, 7, 8, 9])
ENDS = Relevance([(-4, 1), (0, 0), (4, 1)])


def skewed(n=90, shape=(6, 5), dtype: Any = np.uint8):
    """Images of noise, and a target that is rare at both ends, 15 rows of 90 each."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(n, *shape)).astype(dtype)
    return X, rng.permutation(np.sinh(np.linspace(-4, 4, n)))


def counts(resampler, y):
    X = np.arange(len(y), dtype=np.float64)[:, np.newaxis]
    X_res, y_res = resampler.fit_resample(X, y)
    assert len(X_res) == len(y_res) == resampler.bumps_["after"].sum()
    return resampler.bumps_["after"].tolist()


# ------------------------------------------------------------------------- how many


@pytest.mark.parametrize(
    ("resampler", "expected"),
    [
        # As many copies as there are normal rows, 6, for the one rare bump.
        (RelevanceOverSampler(), [6, 5 + 6]),
        # 6^2 / 5 = 7.2 copies.
        (RelevanceOverSampler(sampling_strategy="extreme"), [6, 5 + 7]),
        (RelevanceOverSampler(sampling_strategy=2.0), [6, 10]),
        (RelevanceOverSampler(sampling_strategy=[3.0]), [6, 15]),
        # As many normal rows as there are rare ones.
        (RelevanceUnderSampler(), [5, 5]),
        # 5^2 / 6 = 4.17 rows.
        (RelevanceUnderSampler(sampling_strategy="extreme"), [4, 5]),
        (RelevanceUnderSampler(sampling_strategy=0.5), [3, 5]),
        (RelevanceUnderSampler(sampling_strategy=0.01), [1, 5]),
        # 11 / 2 = 5.5, rounded to even.
        *[(maker(), [6, 6]) for maker in MAKERS],
        # 12 rows as 1/6 to 1/5: 12 * 5/11 = 5.45 and 12 * 6/11 = 6.55.
        *[(maker(sampling_strategy="extreme"), [5, 7]) for maker in MAKERS],
        *[(maker(sampling_strategy=3.0), [6, 15]) for maker in MAKERS],
        *[(maker(sampling_strategy=[0.5, 2.0]), [3, 10]) for maker in MAKERS],
    ],
    ids=repr,
)
def test_counts_of_two_bumps_by_hand(resampler, expected):
    if "k_neighbors" in resampler.get_params():
        resampler.set_params(k_neighbors=2)
    assert counts(resampler, SKEWED) == expected
    assert resampler.bumps_["before"].tolist() == [6, 5]
    assert resampler.bumps_[["low", "high"]].to_numpy().tolist() == [[1, 3], [4, 20]]
    assert resampler.bumps_["is_rare"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("resampler", "expected"),
    [
        # 12 copies in two equal parts.
        (RelevanceOverSampler(), [2 + 6, 12, 4 + 6]),
        # 12^2 / 2 and 12^2 / 4 copies.
        (RelevanceOverSampler(sampling_strategy="extreme"), [2 + 72, 12, 4 + 36]),
        (RelevanceOverSampler(sampling_strategy=[3.0, 2.0]), [6, 12, 8]),
        (RelevanceUnderSampler(), [2, 6, 4]),
        # A rare bump has 3 rows in the mean: 3^2 / 12 is less than one row.
        (RelevanceUnderSampler(sampling_strategy="extreme"), [2, 1, 4]),
        (RelevanceUnderSampler(sampling_strategy=[0.25]), [2, 3, 4]),
        (SMOTER(k_neighbors=1), [6, 6, 6]),
        # 18 rows as 1/2 to 1/12 to 1/4, which is 6 : 1 : 3.
        (SMOTER(k_neighbors=1, sampling_strategy="extreme"), [11, 2, 5]),
        (SMOTER(k_neighbors=1, sampling_strategy=[1, 0.5, 2]), [2, 6, 8]),
    ],
    ids=repr,
)
def test_counts_of_three_bumps_by_hand(resampler, expected):
    assert counts(resampler.set_params(relevance=ENDS), BOTH_ENDS) == expected


def test_a_rare_majority_leaves_the_normal_rows_as_they_are():
    y = np.array([0.0, 0.1, *range(6, 20)])
    for name in ("balance", "extreme"):
        assert counts(RelevanceUnderSampler(relevance=ENDS, sampling_strategy=name), y) == [2, 14]


def test_over_sampling_keeps_the_originals_and_copies_the_rare():
    over = RelevanceOverSampler(random_state=0)
    X_res, y_res = over.fit_resample(SKEWED[:, None], SKEWED)
    np.testing.assert_array_equal(y_res[:11], SKEWED)
    assert set(y_res[11:]) <= {4, 5, 12, 20}
    np.testing.assert_array_equal(X_res[:, 0], y_res)


def test_under_sampling_keeps_all_rare_rows_and_no_row_twice():
    under = RelevanceUnderSampler(random_state=0, sampling_strategy="extreme")
    under.fit_resample(SKEWED[:, None], SKEWED)
    kept = under.sample_indices_
    assert set(kept) >= {6, 7, 8, 9, 10}
    assert np.all(np.diff(kept) > 0)


def test_shares_of_relevance_by_hand():
    """Of 11 rows, 8 are of relevance below 1, and 5 of one above 0."""
    wercs = RelevanceSampler(over=3.0, under=0.95, random_state=0)
    wercs.fit_resample(SKEWED[:, None], SKEWED)
    kept, copies = np.split(wercs.sample_indices_, [3])
    assert kept.tolist() == [8, 9, 10]
    assert len(copies) == 33
    assert set(copies) <= {6, 7, 8, 9, 10}
    half = RelevanceSampler(random_state=0)
    half.fit_resample(SKEWED[:, None], SKEWED)
    # 5.5, rounded to even, go and come.
    assert len(half.sample_indices_) == 11 - 6 + 6
    assert set(half.sample_indices_) >= {8, 9, 10}


def test_rows_come_and_go_in_proportion_to_their_relevance():
    y = np.repeat([0.0, 2.0, 4.0], [600, 300, 100])
    relevance = Relevance([(0, 0.0), (2, 0.25), (4, 1.0)])
    wercs = RelevanceSampler(relevance=relevance, over=40.0, under=0.1, random_state=0)
    wercs.fit_resample(y[:, None], y)
    kept, copies = np.split(y[wercs.sample_indices_], [900])
    # 300 * 0.25 : 100 * 1.
    assert np.mean(copies == 2) == pytest.approx(75 / 175, abs=0.01)
    assert not np.any(copies == 0)
    # Of 100 rows that go, 600 : 300 * 0.75 are the odds at first.
    assert np.sum(kept == 0) == pytest.approx(600 - 100 * 600 / 825, abs=12)
    assert np.sum(kept == 4) == 100


# ------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_nothing_rare(resampler):
    with pytest.raises(ValueError, match="No value of y lies beyond the whiskers"):
        resampler().fit_resample(np.ones((3, 1)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("value", "message"), [(1.0, "every value"), (0.2, "no value")])
def test_all_alike(value, message):
    relevance = Relevance([(0, value)])
    with pytest.raises(
        ValueError, match=rf"{message} of y, \[1, 20\], has a relevance of at least threshold=0.5"
    ):
        SMOTER(relevance=relevance).fit_resample(SKEWED[:, None], SKEWED)
    with pytest.raises(
        ValueError, match=rf"all values of y, \[1, 20\], have the same relevance {value:g}"
    ):
        RelevanceSampler(relevance=relevance).fit(SKEWED[:, None], SKEWED)


@pytest.mark.parametrize(
    ("resampler", "message"),
    [
        (RelevanceOverSampler(sampling_strategy=0.5), r"in \[1, inf\]. Got 0.5"),
        (RelevanceUnderSampler(sampling_strategy=[1.5]), r"in \[0, 1\]. Got \[1.5\]"),
        (SMOTER(sampling_strategy=[1.0, 0.0]), r"positive and, for SMOTER, in \[0, inf\]"),
        (SMOTER(sampling_strategy=[2.0]), "each of the 2 ranges of y that SMOTER changes"),
        (RelevanceOverSampler(sampling_strategy=[2, 2]), "each of the 1 ranges"),
        (SMOTER(sampling_strategy="both"), "'sampling_strategy' parameter"),
        (SMOTER(sampling_strategy=["balance"]), r"must be 'balance', .*Got \['balance'\]"),
        (SMOTER(sampling_strategy=[[1], [2, 3]]), r"must be 'balance', .*Got \[\[1\], \[2, 3\]\]"),
        (SMOTER(sampling_strategy=True), "must be 'balance', .*Got True"),
        (SMOTER(threshold=0.0), "'threshold' parameter"),
        (SMOTER(metric="overlap"), "'metric' parameter"),
        (SMOGN(perturbation=0), "'perturbation' parameter"),
        (RelevanceSampler(under=1.0), "'under' parameter"),
        (SMOTER(relevance="box"), "'relevance' parameter"),
    ],
    ids=repr,
)
def test_parameters_that_do_not_fit(resampler, message):
    with pytest.raises(ValueError, match=message):
        resampler.fit(SKEWED[:, None], SKEWED)


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_data_that_do_not_fit(resampler):
    X, y = skewed()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        resampler().fit_resample(X, y[:-1])
    with pytest.raises(ValueError, match="y contains NaN"):
        resampler().fit_resample(X, np.where(y > 5, np.nan, y))
    with pytest.raises(ValueError, match="could not convert"):
        resampler().fit_resample(X, np.full(len(X), "old"))
    with pytest.raises(ValueError, match=r"y must hold numbers\. It holds times"):
        resampler().fit_resample(X, pd.to_timedelta(pd.Series(y), unit="D"))
    with pytest.raises(TypeError, match="sample_weight"):
        resampler().fit_resample(X, y, sample_weight=y)


@pytest.mark.parametrize("resampler", MAKERS)
def test_rows_that_cannot_be_computed_with(resampler):
    X, y = skewed(shape=(3,), dtype=np.float32)
    with pytest.raises(TypeError, match="which sparse X cannot hold"):
        resampler().fit_resample(sparse.csr_array(X), y)
    with pytest.raises(TypeError, match="which sparse X cannot hold"):
        resampler().fit_resample(pd.DataFrame.sparse.from_spmatrix(sparse.csr_array(X)), y)
    paths = [f"{i}.png" for i in range(90)]
    for given_paths in (paths, pd.Series(paths), pd.DataFrame({"path": paths})):
        with pytest.raises(ValueError, match=r"(?i)paths.*read them first"):
            resampler().fit_resample(given_paths, y)
    for rows in (pd.DataFrame(X), X.tolist()):
        with pytest.raises(ValueError, match="`lazy=True` takes arrays and tensors, but X is a"):
            resampler(lazy=True).fit_resample(rows, y)
    X[0, 0] = np.nan
    for rows in (X, pd.DataFrame(X)):
        with pytest.raises(ValueError, match="NaN"):
            resampler().fit_resample(rows, y)


# ------------------------------------------------------------------------- containers


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((30,), np.float64),
        ((30,), np.int16),
        ((6, 5), np.uint8),
        ((6, 5), bool),
        ((3, 6, 5), np.float16),
        ((2, 3, 4, 5), np.float32),
    ],
)
def test_any_dimension_and_dtype(resampler, shape, dtype):
    X, y = skewed(shape=shape, dtype=dtype)
    fitted = resampler(random_state=0)
    X_res, y_res = fitted.fit_resample(X, y)
    assert (X_res.dtype, X_res.shape[1:]) == (dtype, shape)
    chosen = fitted.sample_indices_[: len(X_res) - len(getattr(fitted, "parents_", ()))]
    np.testing.assert_array_equal(X_res[: len(chosen)], X[chosen])
    np.testing.assert_array_equal(y_res[: len(chosen)], y[chosen])
    view, y_view = clone(fitted).set_params(lazy=True).fit_resample(X, y)
    assert not isinstance(view, np.ndarray)
    np.testing.assert_array_equal(view, X_res)
    np.testing.assert_array_equal(y_view, y_res)


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_a_view_of_a_view_knows_its_ancestors(resampler):
    X, y = skewed(n=150)
    first = RelevanceUnderSampler(sampling_strategy=0.8, random_state=0)
    eager, y_eager = resampler(random_state=1).fit_resample(*first.fit_resample(X, y))
    view, y_view = first.set_params(lazy=True).fit_resample(X, y)
    second = resampler(random_state=1, lazy=True)
    view, y_view = second.fit_resample(view, y_view)
    np.testing.assert_array_equal(view, eager)
    np.testing.assert_array_equal(y_view, y_eager)
    ancestors = first.sample_indices_[second.sample_indices_]
    assert np.all(view.ancestry().toarray()[np.arange(len(view)), ancestors])
    not_lazy = resampler(random_state=1).fit_resample(*first.fit_resample(X, y))
    assert isinstance(not_lazy[0], np.ndarray)
    np.testing.assert_array_equal(not_lazy[0], eager)


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_memmaps_lists_and_tensors(resampler, tmp_path):
    X, y = skewed()
    expected, y_expected = resampler(random_state=0).fit_resample(X, y)
    mapped = np.memmap(tmp_path / "images", dtype=np.uint8, mode="w+", shape=X.shape)
    mapped[:] = X
    np.testing.assert_array_equal(resampler(random_state=0).fit_resample(mapped, y)[0], expected)
    rows, values = resampler(random_state=0).fit_resample(X.tolist(), y.tolist())
    assert isinstance(rows, list)
    assert isinstance(values, list)
    # Of Python's integers, which have no range to be clipped to.
    np.testing.assert_array_equal(np.clip(rows, 0, 255), expected)
    rows, values = resampler(random_state=0).fit_resample(torch.tensor(X), torch.tensor(y))
    assert isinstance(rows, torch.Tensor)
    assert (rows.dtype, values.dtype) == (torch.uint8, torch.float64)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(values, y_expected)


@pytest.mark.parametrize("resampler", SELECTORS)
def test_selectors_take_paths_frames_and_sparse_rows(resampler):
    _, y = skewed()
    paths = [f"{i}.png" for i in range(90)]
    fitted = resampler(random_state=0)
    for given_paths in (paths, np.array(paths), pd.Series(paths), pd.DataFrame({"path": paths})):
        chosen, _ = fitted.fit_resample(given_paths, y)
        assert type(chosen) is type(given_paths)
        expected = np.array(paths)[fitted.sample_indices_]
        np.testing.assert_array_equal(np.ravel(chosen), expected)
    rows = sparse.csr_array(np.diag(np.arange(1.0, 91)))
    chosen, _ = fitted.fit_resample(rows, y)
    np.testing.assert_array_equal(
        np.ravel(chosen.max(axis=1).toarray()) - 1, fitted.sample_indices_
    )
    table = pd.DataFrame({"x": np.arange(90, dtype="int8"), "path": paths}, index=paths)
    chosen, values = fitted.fit_resample(table, pd.Series(y, index=paths, name="age"))
    assert (list(chosen.columns), chosen["x"].dtype, values.name) == (["x", "path"], np.int8, "age")
    np.testing.assert_array_equal(chosen["x"], fitted.sample_indices_)
    assert values.index.equals(chosen.index)
    if resampler is RelevanceUnderSampler:
        assert chosen.index.tolist() == chosen["path"].tolist()


@pytest.mark.parametrize("dtype", ["int64", "int8", "float32", "Int64", "Float64", "object"])
def test_targets_of_any_number(dtype):
    X = np.arange(11.0)[:, np.newaxis]
    y = pd.Series(SKEWED, name="age").astype(dtype)
    for selector in SELECTORS:
        fitted = selector(random_state=0)
        _, y_res = fitted.fit_resample(X, y)
        assert (y_res.dtype, y_res.name) == (y.dtype, "age")
        assert y_res.tolist() == SKEWED[fitted.sample_indices_].tolist()
    for maker in MAKERS:
        _, y_res = (
            maker(random_state=0, sampling_strategy=3.0)
            .set_params(**({} if maker is GaussianNoiseOverSampler else {"k_neighbors": 2}))
            .fit_resample(X, y)
        )
        assert y_res.dtype == (y.dtype if dtype in ("float32", "Float64") else np.float64)
        assert y_res.name == "age"
        np.testing.assert_array_equal(y_res[:11].astype(float), SKEWED)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("container", ["array", "chunked_array"])
def test_targets_that_are_made_are_floats_in_pyarrow_too(maker, container):
    pyarrow = pytest.importorskip("pyarrow")
    X, y = skewed()
    y = (y * 10).round().astype(int)
    given = getattr(pyarrow, container)(y if container == "array" else [y])
    wanted = maker(random_state=0).fit_resample(X, y)[1]
    found = maker(random_state=0).fit_resample(X, given)[1]
    assert isinstance(found, pyarrow.Array if container == "array" else pyarrow.ChunkedArray)
    assert np.any(wanted % 1)
    np.testing.assert_array_equal(found.to_numpy(), wanted)


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_a_frame_of_one_column_comes_back(resampler):
    X, y = skewed()
    expected = resampler(random_state=0).fit_resample(X, pd.Series(y, name="age"))[1]
    found = resampler(random_state=0).fit_resample(X, pd.DataFrame({"age": y}))[1]
    pd.testing.assert_frame_equal(found, expected.to_frame())


def test_one_row_stays_whatever_goes():
    wercs = RelevanceSampler(over=0.0, under=0.97, relevance=Relevance([(0, 0), (20, 0.5)]))
    assert len(wercs.fit_resample(SKEWED[:, None], SKEWED)[1]) == 1


def test_a_relevance_is_fitted_to_each_y():
    seen = Relevance().fit(SKEWED)
    X, y = skewed()
    sampler = RelevanceOverSampler(relevance=seen).fit(X, y)
    np.testing.assert_array_equal(sampler.relevance_.points_, Relevance().fit(y).points_)
    kept = RelevanceOverSampler(relevance=Relevance(points=seen.points_)).fit(X, y)
    np.testing.assert_array_equal(kept.relevance_.points_, seen.points_)


def test_a_relevance_of_ones_own_need_not_return_itself():
    class Above(BaseEstimator):
        def fit(self, y):
            self.median_ = np.median(y)

        def __call__(self, y):
            return (y > self.median_).astype(float)

    sampler = RelevanceOverSampler(relevance=Above()).fit(SKEWED[:, None], SKEWED)
    assert sampler.bumps_["before"].tolist() == [6, 5]


def test_a_column_for_a_target_warns():
    with pytest.warns(UserWarning, match="column-vector"):
        RelevanceOverSampler().fit_resample(SKEWED[:, None], SKEWED[:, None])


# ------------------------------------------------------------------------- promises


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), selector=st.sampled_from(SELECTORS))
def test_selectors_invent_no_row_whatever_the_order(seed, selector):
    rng = np.random.RandomState(seed)
    X, y = rng.randn(60, 2, 2), rng.standard_t(2, size=60)
    fitted = selector(random_state=seed)
    try:
        X_res, y_res = fitted.fit_resample(X, y)
    except ValueError as exc:
        assert "whiskers" in str(exc)  # noqa: PT017 - a draw without an extreme value
        return
    np.testing.assert_array_equal(X_res, X[fitted.sample_indices_])
    np.testing.assert_array_equal(y_res, y[fitted.sample_indices_])
    order = rng.permutation(60)
    moved = clone(fitted)
    moved.fit_resample(X[order], y[order])
    assert len(moved.sample_indices_) == len(fitted.sample_indices_)
    if selector is not RelevanceSampler:
        pd.testing.assert_frame_equal(moved.bumps_, fitted.bumps_)


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_equal_seeds_give_equal_rows_and_others_do_not(resampler):
    X, y = skewed()
    runs = [resampler(random_state=seed).fit_resample(X, y) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    assert not np.array_equal(runs[0][1], runs[2][1])


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_what_belongs_to_the_rows_follows(resampler):
    X, y = skewed(shape=(3,), dtype=np.float64)
    fitted = resampler(random_state=0)
    X_res, y_res = fitted.fit_resample(X, y)
    followed = apply_plan(fitted, X)
    has_noise = np.full(len(y_res), False)
    if resampler in MAKERS:
        n_chosen = len(y_res) - len(fitted.parents_)
        has_noise[n_chosen:] = fitted.parents_[:, 0] == fitted.parents_[:, 1]
        assert np.all(fitted.gaps_[has_noise[n_chosen:]] == 0)
    np.testing.assert_allclose(followed[~has_noise], X_res[~has_noise])
    np.testing.assert_array_equal(followed[has_noise], X[fitted.sample_indices_[has_noise]])
    np.testing.assert_allclose(apply_plan(fitted, y)[~has_noise], y_res[~has_noise])
    groups = np.arange(90) // 3
    np.testing.assert_array_equal(apply_plan(fitted, groups), groups[fitted.sample_indices_])
    np.testing.assert_allclose(apply_plan(fitted, sparse.csr_array(X)).toarray(), followed)
    with pytest.raises(ValueError, match=rf"that {resampler.__name__} got: 90. Got 89"):
        apply_plan(fitted, groups[:-1])


@pytest.mark.parametrize("resampler", [*SELECTORS, *MAKERS])
def test_in_a_pipeline_and_a_search(resampler):
    rng = np.random.RandomState(0)
    X = rng.randn(200, 3)
    y = np.exp(X @ [1, 0.5, 0] + 0.1 * rng.randn(200))
    pipeline = imblearn.pipeline.Pipeline([("resampler", resampler()), ("regressor", Ridge())])
    relevance = Relevance([(1, 0), (4, 1)])
    grid = {
        "resampler__relevance": [relevance],
        "resampler__random_state": [0],
        "resampler__threshold": [0.3, 0.7],
        "regressor__alpha": [0.1, 1.0],
    }
    if resampler is RelevanceSampler:
        del grid["resampler__threshold"]
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.predict(X).shape == (200,)
    X_res, y_res = clone(search.best_estimator_["resampler"]).fit_resample(X, y)
    by_hand = Ridge(alpha=search.best_params_["regressor__alpha"]).fit(X_res, y_res)
    np.testing.assert_allclose(search.predict(X), by_hand.predict(X))
