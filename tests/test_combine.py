"""Samplers that over-sample with SMOTE and then clean, on images."""

import numpy as np
import pytest
from imblearn import combine as theirs
from imblearn import over_sampling as their_over_sampling
from imblearn.under_sampling import AllKNN, ClusterCentroids, EditedNearestNeighbours, TomekLinks
from sklearn.base import clone
from sklearn.decomposition import PCA

from skimb import combine
from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE, AugmentedOverSampler, EmbeddedSampler, apply_plan
from skimb.under_sampling import RandomUnderSampler

NAMES = ["SMOTEENN", "SMOTETomek"]
CLEANER = {"SMOTEENN": "enn", "SMOTETomek": "tomek"}
SHAPES = {"2-D": (64,), "3-D": (8, 8), "4-D": (1, 8, 8)}


@pytest.fixture(scope="module")
def table():
    """Three classes that overlap; the smallest has the first label."""
    rng = np.random.RandomState(0)
    y = rng.choice(3, p=[0.1, 0.2, 0.7], size=150)
    return rng.normal(size=(150, 4)) + 0.7 * y[:, None], np.array(["a", "b", "c"])[y]


@pytest.fixture(scope="module")
def digits():
    X, y = load_imbalanced_digits(return_X_y=True)
    # Noise, so that there is something to clean.
    X = np.clip(X[:300] + np.random.RandomState(0).normal(0, 60, (300, 8, 8)), 0, 255)
    return X.astype(np.uint8), np.where(y[:300] == 1, "eight", "other")


def in_our_order(X, y, results):
    """Put the results of imbalanced-learn into our order: of X, then of the samples made."""
    smoted, _ = their_over_sampling.SMOTE(random_state=0).fit_resample(X, y)
    place = {row.tobytes(): i for i, row in enumerate(smoted)}
    order = np.argsort([place[row.tobytes()] for row in results[0]])
    return results[0][order], results[1][order]


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_those_of_imbalanced_learn_in_the_order_of_x(table, name):
    found = getattr(combine, name)(random_state=0).fit_resample(*table)
    raw = getattr(theirs, name)(random_state=0).fit_resample(*table)
    X, y = table
    expected = in_our_order(X, y, raw)
    assert len(expected[0]) < 3 * np.sum(table[1] == "c")
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, other)
    if name == "SMOTETomek":
        np.testing.assert_array_equal(found[0], raw[0])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_images_of_integers_are_rounded_before_they_are_cleaned(digits, name, shape):
    X, y = digits
    sampler = getattr(combine, name)(random_state=0)
    found, labels = sampler.fit_resample(X.reshape(len(X), *shape), y)
    smoted, smoted_labels = their_over_sampling.SMOTE(random_state=0).fit_resample(
        X.reshape(len(X), -1).astype(float), y
    )
    cleaner = {"SMOTEENN": EditedNearestNeighbours, "SMOTETomek": TomekLinks}[name](
        sampling_strategy="all"
    )
    expected, expected_labels = cleaner.fit_resample(np.rint(smoted), smoted_labels)
    order = np.argsort(cleaner.sample_indices_)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected[order].reshape(-1, *shape))
    np.testing.assert_array_equal(labels, expected_labels[order])
    if name == "SMOTEENN":
        assert len(found) < len(smoted)


@pytest.mark.parametrize("name", NAMES)
def test_weights_follow_the_samples_that_stay(digits, name):
    X, y = digits
    sampler = getattr(combine, name)(random_state=0)
    found, labels = sampler.fit_resample(X, y)
    rebuilt = apply_plan(sampler, X.astype(np.float64))
    np.testing.assert_array_equal(np.rint(rebuilt).astype(np.uint8), found)
    np.testing.assert_array_equal(apply_plan(sampler, y), labels)
    assert len(sampler.parents_) == len(sampler.gaps_)
    assert len(sampler.parents_) < np.sum(y == "other")


@pytest.mark.parametrize("name", NAMES)
def test_a_lazy_view_is_made_of_the_same_images(digits, name):
    X, y = digits
    expected, _ = getattr(combine, name)(random_state=0).fit_resample(X, y)
    view, _ = getattr(combine, name)(random_state=0, lazy=True).fit_resample(X, y)
    assert not isinstance(view, np.ndarray)
    np.testing.assert_array_equal(np.asarray(view), expected)
    assert np.shares_memory(view.root, X)


@pytest.mark.parametrize(
    ("strategy", "n_eights"),
    [(0.5, 0.5), ({"eight": 40}, 40), (lambda y: {"eight": 30}, 30), ("minority", 1)],
)
@pytest.mark.parametrize("name", NAMES)
def test_the_strategy_is_that_of_the_over_sampling(digits, name, strategy, n_eights):
    X, y = digits
    n_others = int(np.sum(y == "other"))
    n_eights = n_eights if n_eights > 1 else int(n_eights * n_others)
    sampler = getattr(combine, name)(sampling_strategy=strategy, random_state=0)
    sampler.fit_resample(X, y)
    assert sampler.smote_.sampling_strategy_ == {"eight": n_eights - np.sum(y == "eight")}
    assert sampler.sampling_strategy_ == sampler.smote_.sampling_strategy_


@pytest.mark.parametrize("smote", [SMOTE, their_over_sampling.SMOTE], ids=["ours", "theirs"])
@pytest.mark.parametrize("name", NAMES)
def test_an_over_sampler_that_is_handed_in_keeps_its_parameters(table, name, smote):
    given = smote(k_neighbors=2, random_state=4, sampling_strategy={"a": 90})
    sampler = getattr(combine, name)(smote=given)
    found, _ = sampler.fit_resample(*table)
    theirs_given = their_over_sampling.SMOTE(**given.get_params()) if smote is not SMOTE else None
    theirs_given = theirs_given or their_over_sampling.SMOTE(
        k_neighbors=2, random_state=4, sampling_strategy={"a": 90}
    )
    expected, _ = getattr(theirs, name)(smote=theirs_given).fit_resample(*table)
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))
    assert sampler.smote_.k_neighbors == 2
    assert not hasattr(given, "sampling_strategy_")


def test_another_cleaner_and_its_strategy_count(table):
    cleaner = AllKNN(sampling_strategy=["c"], n_neighbors=4)
    sampler = combine.SMOTEENN(enn=cleaner, random_state=0)
    _, labels = sampler.fit_resample(*table)
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    assert counts["a"] == counts["b"] == np.sum(table[1] == "c")
    assert counts["c"] < np.sum(table[1] == "c")
    assert isinstance(sampler.enn_, AllKNN)


def test_both_steps_find_neighbours_in_the_embedding(digits):
    X, y = digits
    sampler = combine.SMOTEENN(embedder=PCA(3, random_state=0), random_state=0)
    found, labels = sampler.fit_resample(X, y)
    smote = SMOTE(embedder=PCA(3, random_state=0), random_state=0)
    smoted, smoted_labels = smote.fit_resample(X, y)
    points = sampler.embedder_.transform(smoted.reshape(len(smoted), -1))
    cleaner = EditedNearestNeighbours(sampling_strategy="all")
    cleaner.fit_resample(points, smoted_labels)
    kept = np.sort(cleaner.sample_indices_)
    np.testing.assert_array_equal(found, smoted[kept])
    np.testing.assert_array_equal(labels, smoted_labels[kept])


def test_images_that_are_changed_copies_are_cleaned_too(digits):
    X, y = digits
    sampler = combine.SMOTETomek(smote=AugmentedOverSampler(random_state=0)).fit(X, y)
    X_res, y_res = sampler.fit_resample(X, y)
    assert X_res.shape[1:] == (8, 8)
    assert len(sampler.sample_indices_) == len(y_res)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"smote": their_over_sampling.ADASYN()}, r"over-sampler of skimb.*EmbeddedSampler\(ADASY"),
        ({"smote": EmbeddedSampler(their_over_sampling.ADASYN())}, "over-sampler of skimb"),
        ({"smote": RandomUnderSampler()}, "over-sampler of skimb"),
        (
            {"enn": ClusterCentroids(sampling_strategy={"other": 9})},
            "ClusterCentroids makes samples",
        ),
        ({"enn": "edited"}, "'enn' parameter"),
        ({"n_jobs": 0.5}, "'n_jobs' parameter"),
        ({"smote": SMOTE(k_neighbors=0)}, "'k_neighbors' parameter of SMOTE"),
    ],
)
def test_parts_that_do_not_fit_are_refused(digits, params, message):
    with pytest.raises(ValueError, match=message):
        combine.SMOTEENN(**params).fit_resample(*digits)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_refused_with_the_way_to_read_them(name):
    with pytest.raises(ValueError, match=r"read_images\(paths"):
        getattr(combine, name)().fit_resample(["a.png"] * 4, [0, 0, 0, 1])


@pytest.mark.slow
def test_a_network_trains_on_the_cleaned_images_with_weights(digits):
    X, y = digits
    network = CNNClassifier(
        sampler=combine.SMOTEENN(random_state=0), max_epochs=2, augmentation=None, random_state=0
    )
    plain = clone(network).fit(X, y).predict_proba(X)
    weighted = clone(network).fit(X, y, sample_weight=np.linspace(0.2, 2, len(y)))
    assert not np.array_equal(weighted.predict_proba(X), plain)
