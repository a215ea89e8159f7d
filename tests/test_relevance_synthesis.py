"""Rows that SMOTER, SMOGN and noise make for the rare ranges of a target."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from skimb._distances import by_range, half_medians, nearest
from skimb.over_sampling import SMOGN, SMOTER, GaussianNoiseOverSampler
from skimb.over_sampling._recipes import Recipe, perturbed
from skimb.relevance import Relevance

MAKERS = [SMOTER, SMOGN, GaussianNoiseOverSampler]

#: Above 10, y is rare.
HIGH = Relevance([(0, 0.0), (20, 1.0)])


def table(n=200, n_rare=40, n_features=2, seed=0):
    """Numbers, and a target of which so many rows are rare."""
    rng = np.random.RandomState(seed)
    y = np.r_[rng.uniform(0, 9, n - n_rare), rng.uniform(11, 20, n_rare)]
    return rng.randn(n, n_features), rng.permutation(y)


def made_rows(maker, X, y):
    """Return the rows that a maker makes, and their targets."""
    X_res, y_res = maker.fit_resample(X, y)
    n_kept = len(y_res) - len(maker.parents_)
    rows = X_res.iloc[n_kept:] if hasattr(X_res, "iloc") else np.asarray(X_res)[n_kept:]
    return rows, np.asarray(y_res)[n_kept:]


def distance(a, b, codes_a=(), codes_b=()):
    """The distance of two rows, in a loop."""
    squares = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    return (squares + sum(p != q for p, q in zip(codes_a, codes_b, strict=True))) ** 0.5


# ------------------------------------------------------------------------- distances


@pytest.mark.parametrize("n_categories", [0, 2])
def test_distances_are_those_of_a_loop(n_categories, monkeypatch):
    monkeypatch.setattr("skimb._distances.DISTANCES_AT_ONCE", 100)
    rng = np.random.RandomState(0)
    points, codes = rng.randn(30, 3) + 1e6, rng.randint(3, size=(30, n_categories))
    loop = np.array(
        [[distance(*pair) for pair in zip_rows(points, codes, i)] for i in range(len(points))]
    )
    neighbors, distances = nearest(points, codes, 4)
    np.testing.assert_allclose(half_medians(points, codes), np.median(loop, axis=1) / 2, rtol=1e-6)
    np.fill_diagonal(loop, np.inf)
    np.testing.assert_allclose(np.sort(distances), np.sort(loop)[:, :4], rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(loop, neighbors, 1), distances, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e8, 1.7e9])
def test_far_from_zero_neighbours_are_the_same(offset):
    # As many columns are searched by brute force, where products lose what is small.
    points, codes = np.random.RandomState(0).randn(60, 20), np.empty((60, 0), dtype=int)
    far = points + offset
    np.testing.assert_array_equal(nearest(far, codes, 3)[0], nearest(far - offset, codes, 3)[0])


def zip_rows(points, codes, i):
    return [(points[i], points[j], codes[i], codes[j]) for j in range(len(points))]


def test_categories_alone_have_distances_too():
    codes = np.array([[0, 0], [0, 1], [1, 1], [0, 0]])
    neighbors, distances = nearest(np.empty((4, 0)), codes, 1)
    assert (neighbors[0], neighbors[3]) == (3, 0)
    np.testing.assert_allclose(distances[:, 0], [0, 1, 1, 0])


def test_a_constant_column_has_no_range():
    found = by_range(np.array([[1, 5, 0], [1, 10, 4], [1, 15, 1]], dtype=np.uint8))
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 0.5, 1], [0, 1, 0.25]])


# ------------------------------------------------------------------------- between two rows


def test_rows_lie_on_segments_between_near_neighbours():
    X, y = table()
    smoter = SMOTER(relevance=HIGH, random_state=0, k_neighbors=3)
    made, values = made_rows(smoter, X, y)
    first, second = smoter.parents_.T
    gaps = smoter.gaps_
    np.testing.assert_allclose(made, X[first] + gaps[:, None] * (X[second] - X[first]))
    np.testing.assert_allclose(values, (1 - gaps) * y[first] + gaps * y[second])
    # Each of the 40 rare rows is the seed of one or two of the 60 rows that are made.
    assert len(made) == 60
    assert set(np.bincount(first, minlength=200)[y > 10]) == {1, 2}
    rare = np.flatnonzero(y > 10)
    for seed, mate in smoter.parents_:
        others = rare[rare != seed]
        nearest_three = others[np.argsort([distance(X[seed], X[row]) for row in others])[:3]]
        assert mate in nearest_three
    assert {g for seed, g in smoter.parents_ if seed == rare[0]} <= set(rare)


@settings(deadline=None, max_examples=25)
@given(
    dtype=st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_synthetic_rows_lie_between_their_parents(dtype, seed):
    rng = np.random.RandomState(seed)
    limits = (
        (0, 2) if np.issubdtype(dtype, np.floating) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    )
    X = rng.uniform(*limits, size=(40, 4, 3)).astype(dtype)
    y = np.r_[rng.uniform(0, 9, 30), rng.uniform(11, 20, 10)]
    smoter = SMOTER(relevance=HIGH, random_state=seed)
    made, values = made_rows(smoter, X, y)
    first, second = X[smoter.parents_[:, 0]], X[smoter.parents_[:, 1]]
    assert np.all((made >= np.minimum(first, second)) & (made <= np.maximum(first, second)))
    exact = first + smoter.gaps_[:, None, None] * (second.astype(float) - first.astype(float))
    tolerance = 0.5 + 1e-2 if np.issubdtype(dtype, np.integer) else 1e-6
    assert np.abs(made - exact).max() <= tolerance
    assert np.all(y[smoter.parents_] > 10)
    parents = np.sort(y[smoter.parents_], axis=1)
    assert np.all((values >= parents[:, 0] - 1e-9) & (values <= parents[:, 1] + 1e-9))


def test_the_embedder_decides_who_is_a_neighbour():
    """Embedded by their first pixel, rows mate by it, however far the other pixels lie."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(60, 4, 4)).astype(np.uint8)
    y = np.r_[rng.uniform(0, 9, 40), rng.uniform(11, 20, 20)]
    X[40:, 0, 0] = np.repeat([0, 255], 10)
    smoter = SMOTER(relevance=HIGH, random_state=0, embedder=FirstValue())
    smoter.fit_resample(X, y)
    first, second = X[smoter.parents_.T, 0, 0]
    np.testing.assert_array_equal(first, second)
    # A frame goes to the embedder as it is.
    frame = pd.DataFrame(X.reshape(60, -1)).rename(columns=str).assign(site="x")
    of_frame = clone(smoter)
    of_frame.fit_resample(frame, y)
    np.testing.assert_array_equal(of_frame.parents_, smoter.parents_)


class FirstValue(BaseEstimator):
    """A transformer that keeps the first value of a row."""

    def fit(self, X, y=None):
        assert y is not None
        return self

    def transform(self, X):
        return np.asarray(X)[:, :1].astype(float)


def test_embedders_fitted_or_not():
    X, y = table(n_features=6)
    pca = PCA(2, random_state=0)
    fresh = SMOGN(relevance=HIGH, random_state=0, embedder=pca)
    X_fresh, _ = fresh.fit_resample(X, y)
    assert not hasattr(pca, "components_")
    assert fresh.embedder_.components_.shape == (2, 6)
    frozen = SMOGN(relevance=HIGH, random_state=0, embedder=FrozenEstimator(pca.fit(X)))
    np.testing.assert_array_equal(X_fresh, frozen.fit_resample(X, y)[0])


def test_frames_are_compared_by_range_and_arrays_as_they_are():
    X, y = table(n_features=3)
    stretched = X * [1, 1000, 1]
    makers = {
        "array": (SMOTER(), X, stretched),
        "frame": (SMOTER(), pd.DataFrame(X), pd.DataFrame(stretched)),
        "euclidean": (SMOTER(metric="euclidean"), pd.DataFrame(X), pd.DataFrame(stretched)),
        "heom": (SMOTER(metric="heom"), X, stretched),
    }
    parents = {}
    for name, (maker, *rows) in makers.items():
        maker.set_params(relevance=HIGH, random_state=0)
        parents[name] = [maker.fit_resample(row, y) and maker.parents_ for row in rows]
    for name, depends in [("array", True), ("frame", False), ("euclidean", True), ("heom", False)]:
        assert np.array_equal(*parents[name]) == (not depends)
    np.testing.assert_array_equal(parents["array"], parents["euclidean"])
    np.testing.assert_array_equal(parents["frame"], parents["heom"])


# ------------------------------------------------------------------------- noise


def test_noise_by_hand():
    """Of 0 and 2 the deviation is sqrt(2), of 1 and 1 it is 0; the source draws ones."""

    class Ones:
        def standard_normal(self, shape):
            return np.ones(shape)

    one, both = np.array([1]), np.array([0, 0])
    recipe = Recipe(one, one, np.zeros(1), np.array([0.5]), range_of=both)
    made = perturbed(np.array([[0.0, 1.0], [2.0, 1.0]]), recipe, Ones())
    np.testing.assert_allclose(made, [[2 + 0.5 * 2**0.5, 1]])
    made = perturbed(np.array([[0, 1], [2, 1]], dtype=np.uint8), recipe, Ones())
    np.testing.assert_array_equal(made, [[3, 1]])


def test_noise_is_in_standard_deviations_of_the_bump():
    X, y = table(n=3000, n_rare=1000)
    X[y > 10] *= [5, 1]
    noise = GaussianNoiseOverSampler(relevance=HIGH, sampling_strategy=5.0, random_state=0)
    made, values = made_rows(noise, X, y)
    first, second = noise.parents_.T
    np.testing.assert_array_equal(first, second)
    assert np.all(noise.gaps_ == 0)
    assert np.all(np.bincount(first, minlength=3000)[y > 10] == 4)
    rare = y > 10
    drawn = np.column_stack([made - X[first], values - y[first]])
    drawn /= 0.1 * np.r_[X[rare].std(axis=0, ddof=1), y[rare].std(ddof=1)]
    # 4000 draws: the error of a mean is 0.016, that of a deviation 0.011.
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.07)
    np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(3), atol=0.07)


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
@pytest.mark.parametrize("maker", [SMOGN, GaussianNoiseOverSampler])
def test_noise_of_targets_of_any_magnitude_is_that_of_others(maker, exponent):
    """A power of two changes no digit."""
    X, y = table()
    X_res, y_res = maker(random_state=0).fit_resample(X, y * y)
    found, values = maker(random_state=0).fit_resample(X, np.ldexp(y * y, exponent))
    np.testing.assert_array_equal(found, X_res)
    np.testing.assert_array_equal(np.ldexp(values, -exponent), y_res)


def test_columns_of_any_magnitude_have_their_own_noise():
    X, y = table()
    noise = GaussianNoiseOverSampler(relevance=HIGH, random_state=0)
    plain = noise.fit_resample(X, y)[0]
    found = noise.fit_resample(np.ldexp(X, [1000, 0]), y)[0]
    np.testing.assert_array_equal(np.ldexp(found, [-1000, 0]), plain)


@pytest.mark.parametrize("exponent", [-100, 100])
@pytest.mark.parametrize("maker", [SMOTER, SMOGN])
def test_neighbours_of_float32_of_any_magnitude_are_the_same(maker, exponent):
    X, y = table()
    X = X.astype(np.float32)
    parents = []
    for rows in (X.astype(float), np.ldexp(X, exponent)):
        found = maker(relevance=HIGH, random_state=0)
        made, _ = found.fit_resample(rows, y)
        assert np.isfinite(made).all()
        parents.append(found.parents_)
    np.testing.assert_array_equal(*parents)


@pytest.mark.parametrize("maker", [SMOTER, SMOGN])
def test_rows_whose_squares_overflow_are_refused(maker):
    X, y = table()
    with pytest.raises(ValueError, match=r"those of X reach .* so that squares overflow. Divide"):
        maker(relevance=HIGH).fit_resample(X * 1e300, y)


@pytest.mark.parametrize(("perturbation", "spread"), [(0.02, 0.02), (10.0, np.sqrt(2) / 20)])
def test_smogn_of_rows_that_are_equally_far_is_noise(perturbation, spread):
    """All pairs are as far apart as the median, sqrt(2) / 10: none is nearer than half of that."""
    X = np.concatenate([np.zeros((900, 400)), np.eye(400) / 10])
    y = np.r_[np.linspace(0, 9, 900), np.linspace(11, 20, 400)]
    smogn = SMOGN(relevance=HIGH, perturbation=perturbation, random_state=0)
    made, values = made_rows(smogn, X, y)
    first, second = smogn.parents_.T
    np.testing.assert_array_equal(first, second)
    drawn = (made - X[first]) / X[900:].std(axis=0, ddof=1)
    assert drawn.std() == pytest.approx(spread, rel=0.02)
    assert ((values - y[first]) / y[900:].std(ddof=1)).std() == pytest.approx(spread, rel=0.15)


def test_smogn_of_near_neighbours_is_smoter():
    X, y = table()
    makers = [maker(relevance=HIGH, k_neighbors=1, random_state=0) for maker in (SMOTER, SMOGN)]
    results = [maker.fit_resample(X, y) for maker in makers]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    np.testing.assert_array_equal(makers[0].parents_, makers[1].parents_)


def test_smogn_blends_the_near_and_perturbs_the_far():
    X, y = table(n_features=3)
    smogn = SMOGN(relevance=HIGH, k_neighbors=20, random_state=0, sampling_strategy=10.0)
    made, values = made_rows(smogn, X, y)
    rare = np.flatnonzero(y > 10)
    loop = np.array([[distance(X[i], X[j]) for j in rare] for i in rare])
    half = dict(zip(rare, np.median(loop, axis=1) / 2, strict=True))
    first, second = smogn.parents_.T
    is_blend = first != second
    for seed, mate in smogn.parents_[is_blend]:
        assert distance(X[seed], X[mate]) < half[seed]
    exact = X[first] + smogn.gaps_[:, None] * (X[second] - X[first])
    np.testing.assert_allclose(made[is_blend], exact[is_blend])
    # Each of the 20 nearest is drawn as often: those that are far give the share of noise.
    far = [np.mean(np.sort(row)[1:21] >= half[i]) for i, row in zip(rare, loop, strict=True)]
    assert np.mean(~is_blend) == pytest.approx(np.mean(far), abs=0.06)
    noise = (values - y[first])[~is_blend] / y[rare].std(ddof=1)
    assert noise.std() == pytest.approx(0.02, rel=0.15)


def test_integers_are_clipped_and_do_not_wrap_around():
    X = np.zeros((60, 8), np.uint8)
    X[40:, ::2], X[50:, 1::2] = 255, 250
    y = np.r_[np.linspace(0, 9, 40), np.linspace(11, 20, 20)]
    noise = GaussianNoiseOverSampler(
        relevance=HIGH, perturbation=0.3, sampling_strategy=20.0, random_state=0
    )
    made, _ = made_rows(noise, X, y)
    before = X[noise.parents_[:, 0]].astype(float)
    # Of 255 nothing is left to deviate; 0 and 250 deviate by 39.5 grey levels or so.
    assert np.all(made[:, ::2] == 255)
    assert np.abs(made - before).max() < 200
    assert {0, 255} <= set(made[:, 1])
    smoter = SMOTER(relevance=HIGH, k_neighbors=19, random_state=0)
    made, _ = made_rows(smoter, X, y)
    first, second = X[smoter.parents_.T].astype(float)
    exact = first + smoter.gaps_[:, None] * (second - first)
    assert np.abs(made - exact).max() <= 0.5


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("maker", MAKERS)
def test_the_largest_integers_do_not_wrap_around(maker, dtype):
    largest = np.iinfo(dtype).max
    y = np.r_[np.linspace(0, 9, 40), np.linspace(11, 20, 20)]
    X = np.column_stack([np.full(60, largest, dtype), np.arange(60, dtype=dtype)])
    for rows in (X, pd.DataFrame(X)):
        made, _ = made_rows(maker(relevance=HIGH, random_state=0), rows, y)
        # The nearest float below is 1024 or 2048 away.
        assert np.asarray(made)[:, 0].min() >= largest - 2048


# ------------------------------------------------------------------------- tables


def test_numbers_are_numbers_in_columns_of_objects():
    X, y = table()
    rows = pd.DataFrame({"x": X[:, 0], "n": np.arange(200), "kind": ["u", "v"] * 100})
    for maker in MAKERS:
        expected, _ = made_rows(maker(relevance=HIGH, random_state=0), rows, y)
        made: Any = made_rows(maker(relevance=HIGH, random_state=0), rows.astype(object), y)[0]
        assert made.dtypes.eq(object).all()
        pd.testing.assert_frame_equal(made.infer_objects(), expected)
    with pytest.raises(
        ValueError, match=r"SMOTER makes samples of numbers: .*categorical_features"
    ):
        SMOTER(relevance=HIGH).fit_resample(rows.astype(object).to_numpy(), y)


def test_a_column_of_strings_holds_categories_if_that_is_said():
    y = table()[1]
    rows = pd.DataFrame({"kind": ["u", "v"] * 100})
    with pytest.raises(ValueError, match=r"one column of X holds strings.*categorical_features"):
        SMOTER(relevance=HIGH).fit_resample(rows, y)
    made, _ = made_rows(SMOTER(relevance=HIGH, categorical_features=["kind"]), rows, y)
    assert set(made["kind"]) == {"u", "v"}


def test_categories_by_names_of_several_levels():
    X, y = table(n_features=3)
    names = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")])
    rows = pd.DataFrame(X.round(), columns=names)
    smoter = SMOTER(relevance=HIGH, categorical_features=[("a", "y")], random_state=0)
    made, _ = made_rows(smoter, rows, y)
    by_place = SMOTER(relevance=HIGH, categorical_features=[1], random_state=0)
    pd.testing.assert_frame_equal(made, made_rows(by_place, rows, y)[0])


def mixed(n=200):
    """A frame of every kind of column."""
    X, y = table(n)
    rng = np.random.RandomState(1)
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame["age"] = rng.randint(0, 100, size=n).astype("int8")
    frame["rooms"] = pd.array(rng.randint(1, 9, size=n), dtype="Int64")
    frame["share"] = rng.rand(n).astype("float32")
    frame["colour"] = rng.choice(["red", "green", "blue"], size=n)
    frame["kind"] = pd.Categorical(rng.choice(["x", "y"], size=n), categories=["x", "y", "z"])
    frame["is_new"] = rng.rand(n) < 0.5
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.randint(5, size=n), unit="D")
    frame["site"] = rng.choice(np.array(["n", None], dtype=object), size=n)
    # The bumps share no category of this.
    frame["range"] = np.where(y > 10, "high", "low")
    return frame, y


CATEGORIES = ["colour", "kind", "is_new", "day", "site", "range"]


@pytest.mark.parametrize("maker", MAKERS)
def test_tables_keep_their_columns_and_categories(maker):
    frame, y = mixed()
    maker = maker(relevance=HIGH, random_state=0)
    X_res, y_res = maker.fit_resample(frame, pd.Series(y, name="price"))
    pd.testing.assert_series_equal(X_res.dtypes, frame.dtypes)
    assert X_res.index.equals(y_res.index)
    assert y_res.name == "price"
    kept = maker.sample_indices_[: len(X_res) - len(maker.parents_)]
    pd.testing.assert_frame_equal(
        X_res.iloc[: len(kept)], frame.iloc[kept].reset_index(drop=True), check_index_type=False
    )
    made = X_res.iloc[len(kept) :]
    assert set(made["range"]) == {"high"}
    for name in CATEGORIES:
        assert set(made[name].dropna()) <= set(frame.loc[y > 10, name].dropna())
    assert made["site"].isna().any()
    if maker.__class__ is SMOTER:
        first, second = (frame.iloc[rows].reset_index(drop=True) for rows in maker.parents_.T)
        for name in CATEGORIES[:-1]:
            values, of_first, of_second = (
                part[name].astype(object).map(lambda value: "missing" if pd.isna(value) else value)
                for part in (made.reset_index(drop=True), first, second)
            )
            is_first, is_second = values == of_first, values == of_second
            assert (is_first | is_second).all()
            assert 0.2 < is_first[is_first != is_second].mean() < 0.8
        exact = first["age"] + maker.gaps_ * (second["age"] - first["age"].astype(float))
        np.testing.assert_allclose(made["age"], exact, atol=0.51)


def test_neighbours_in_a_table_are_those_of_a_loop():
    frame, y = mixed()
    smoter = SMOTER(relevance=HIGH, k_neighbors=2, random_state=0)
    smoter.fit_resample(frame, y)
    rare = frame[y > 10]
    numbers = rare[["a", "b", "age", "rooms", "share"]].astype(float)
    numbers = ((numbers - numbers.min()) / (numbers.max() - numbers.min())).to_numpy()
    codes = np.column_stack([pd.factorize(rare[name].astype(object))[0] for name in CATEGORIES])
    place = {row: i for i, row in enumerate(rare.index)}
    for seed, mate in smoter.parents_:
        found = [distance(*pair) for pair in zip_rows(numbers, codes, place[seed])]
        found[place[seed]] = np.inf
        assert found[place[mate]] <= np.sort(found)[1] + 1e-9


def test_categories_of_noise_are_drawn_by_their_frequencies():
    rng = np.random.RandomState(0)
    y = np.r_[np.linspace(0, 9, 700), np.linspace(11, 20, 300)]
    X = pd.DataFrame({"x": rng.randn(1000), "town": np.repeat(["n", "s", "w"], [700, 60, 240])})
    noise = GaussianNoiseOverSampler(relevance=HIGH, sampling_strategy=10.0, random_state=0)
    made, _ = made_rows(noise, X, y)
    assert "n" not in set(made["town"])
    assert (made["town"] == "s").mean() == pytest.approx(0.2, abs=0.03)
    # Whatever the seed's own.
    is_south = (X["town"] == "s").to_numpy()[noise.parents_[:, 0]]
    assert (made["town"][is_south] == "s").mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_table_may_hold_categories_alone(maker):
    y = np.r_[np.linspace(0, 9, 20), np.linspace(11, 20, 8)]
    X = pd.DataFrame({"town": np.repeat(["n", "s"], [20, 8]), "is_old": np.arange(28) % 2 == 0})
    made, _ = made_rows(maker(relevance=HIGH, random_state=0), X, y)
    assert set(made["town"]) == {"s"}
    assert len(set(made["is_old"])) == 2


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, object])
def test_arrays_with_categories(maker, dtype):
    rng = np.random.RandomState(0)
    _, y = table()
    X = rng.randint(0, 200, size=(200, 4)).astype(dtype)
    X[:, 2] = rng.choice(["a", "b"] if dtype is object else [3, 40, 150], size=200)
    maker = maker(relevance=HIGH, random_state=0)
    results = [
        clone(maker).set_params(categorical_features=given).fit_resample(X, y)[0]
        for given in ([2], [-2], [False, False, True, False], np.array([2]))
    ]
    for result in results:
        assert (result.dtype, result.shape[1]) == (dtype, 4)
        assert set(result[:, 2]) <= set(X[:, 2])
        np.testing.assert_array_equal(result, results[0])
    names = clone(maker).set_params(categorical_features=["two"])
    frame = pd.DataFrame(X, columns=["nil", "one", "two", "three"]).infer_objects()
    np.testing.assert_allclose(
        names.fit_resample(frame, y)[0].drop(columns="two").to_numpy(dtype=float),
        results[0][:, [0, 1, 3]].astype(float),
        atol=0.51,
    )
    lazy = clone(maker).set_params(categorical_features=[2], lazy=True)
    np.testing.assert_array_equal(lazy.fit_resample(X, y)[0], results[0])


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([4], "positions or names of some. Whole numbers are"),
        ([True, False], "a mask of all columns"),
        (["x9"], r"Got \['x9'\]"),
        ([0.5], "must be 'auto'"),
    ],
)
def test_categories_that_are_not_there(categories, message):
    X, y = table(n_features=4)
    for rows in (X, pd.DataFrame(X)):
        with pytest.raises(ValueError, match=message):
            SMOTER(relevance=HIGH, categorical_features=categories).fit_resample(rows, y)


def test_what_has_no_distance():
    X, y = table(n_features=4)
    with pytest.raises(ValueError, match="`metric='euclidean'` compares numbers"):
        SMOTER(relevance=HIGH, metric="euclidean", categorical_features=[1]).fit(X, y)
    frame = pd.DataFrame(X, columns=list("pqrs")).assign(c="x")
    with pytest.raises(ValueError, match="must hold numbers: could not convert"):
        SMOTER(relevance=HIGH, categorical_features=[0]).fit(frame, y)
    with pytest.raises(ValueError, match=r"samples of X are of shape \(2, 2\)"):
        SMOTER(relevance=HIGH, categorical_features=[0]).fit(X.reshape(-1, 2, 2), y)


# ------------------------------------------------------------------------- few rows


@pytest.mark.parametrize("maker", [SMOTER, SMOGN])
def test_a_small_bump_uses_the_neighbours_it_has(maker):
    X, y = table(n=40, n_rare=3)
    maker = maker(relevance=HIGH, random_state=0)
    message = (
        r"from 1\d\.\d+ to 1\d\.\d+ has 3 samples only: SMO\w+ uses 2 neighbours there instead"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        _, y_res = maker.fit_resample(X, y)
    assert np.sum(y_res > 10) == 20
    assert caught[0].filename == __file__


@pytest.mark.parametrize("maker", MAKERS)
def test_a_single_rare_row_is_repeated(maker):
    X, y = table(n=40, n_rare=1)
    with pytest.warns(UserWarning, match=r"has one sample only: \w+ copies it"):
        made, values = made_rows(maker(relevance=HIGH, random_state=0), X, y)
    assert len(made) == 19
    np.testing.assert_array_equal(made, np.tile(X[y > 10], (19, 1)))
    np.testing.assert_array_equal(values, np.tile(y[y > 10], 19))


@pytest.mark.parametrize("maker", MAKERS)
def test_rows_that_are_all_equal(maker):
    _, y = table()
    X = np.ones((200, 3))
    frame = pd.DataFrame(X, columns=["p", "q", "r"]).assign(c="x")
    maker = maker(relevance=HIGH, random_state=0)
    assert np.all(maker.fit_resample(X, y)[0] == 1)
    assert maker.fit_resample(frame, y)[0].nunique().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_to_do(maker):
    X, y = table(n=80, n_rare=40)
    maker = maker(relevance=HIGH)
    X_res, y_res = maker.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X)
    np.testing.assert_array_equal(y_res, y)
    assert maker.parents_.shape == (0, 2)
    assert maker.gaps_.shape == (0,)
    frame, _ = maker.fit_resample(pd.DataFrame(X), y)
    np.testing.assert_array_equal(frame, X)
