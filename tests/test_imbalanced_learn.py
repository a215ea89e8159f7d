"""What users of imbalanced-learn bring: its samplers, its parameters and its metrics, on images."""

import numpy as np
import pandas as pd
import pytest
from imblearn import FunctionSampler
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.datasets import make_imbalance
from imblearn.metrics import (
    classification_report_imbalanced,
    geometric_mean_score,
    make_index_balanced_accuracy,
)
from imblearn.over_sampling import SMOTE as THEIR_SMOTE
from imblearn.over_sampling import RandomOverSampler as TheirRandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import (
    EditedNearestNeighbours,
    InstanceHardnessThreshold,
    RepeatedEditedNearestNeighbours,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from skimb.datasets import ImageSource, load_imbalanced_digits
from skimb.metrics import imbalance_scoring, per_class_report
from skimb.neural_network import CNNClassifier, DeepSMOTE
from skimb.over_sampling import (
    SMOTE,
    AugmentedOverSampler,
    EmbeddedSampler,
    RandomOverSampler,
    apply_plan,
)
from skimb.under_sampling import ClusterUnderSampler, RandomUnderSampler

SHAPES = {"2-D": (64,), "3-D": (8, 8), "4-D": (1, 8, 8)}


@pytest.fixture(scope="module")
def digits():
    X, y = load_imbalanced_digits(return_X_y=True)
    return X[:500], np.where(y[:500] == 1, "eight", "other")


@pytest.fixture(scope="module")
def table():
    """Three classes of floats that overlap."""
    rng = np.random.RandomState(0)
    y = rng.choice(3, p=[0.7, 0.2, 0.1], size=200)
    return rng.normal(size=(200, 5)) + 0.7 * y[:, None], y


# ------------------------------------------------------------------------ smoothed bootstrap


@pytest.mark.parametrize("seed", [0, np.random.RandomState(3)])
@pytest.mark.parametrize(
    ("strategy", "shrinkage"),
    [("auto", 1.0), ("auto", 0), ("all", 0.3), ({1: 60, 2: 45}, {1: 0.5, 2: 2})],
)
def test_shrinkage_of_floats_equals_that_of_imbalanced_learn(table, strategy, shrinkage, seed):
    results = []
    for sampler_class in (RandomOverSampler, TheirRandomOverSampler):
        # Both start from one state.
        source = np.random.RandomState(3) if isinstance(seed, np.random.RandomState) else seed
        sampler = sampler_class(
            sampling_strategy=strategy, shrinkage=shrinkage, random_state=source
        )
        results.append((*sampler.fit_resample(*table), sampler.sample_indices_, sampler.shrinkage_))
    for found, expected in zip(*results, strict=True):
        if isinstance(expected, dict):
            assert found == expected
        else:
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("shape", "n", "width"), [((8, 8), 400, 0.88), ((28, 28), 100, 0.99)])
def test_the_noise_of_images_is_nearly_shrinkage_times_the_deviation_of_the_class(shape, n, width):
    X = np.random.RandomState(0).normal(100, 10, (n, *shape))
    y = np.repeat([0, 1], [20, n - 20])
    sampler = RandomOverSampler(sampling_strategy={0: 2000}, shrinkage=0.1, random_state=0)
    resampled, _ = sampler.fit_resample(X, y)
    noise = resampled[n:] - X[sampler.parents_[:, 0]]
    found = np.mean(noise.std(axis=0) / (0.1 * X[:20].std(axis=0)))
    assert found == pytest.approx(width, abs=0.01)


def test_shrinkage_in_blocks_draws_the_same_noise(table, monkeypatch):
    expected, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(*table)
    monkeypatch.setattr("skimb.over_sampling._random.VALUES_AT_ONCE", 16)
    found, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(*table)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int16", "uint8", "int64", "bool"])
def test_shrinkage_keeps_the_dtype_and_rounds_integers(table, dtype):
    X = (table[0] > 0) if dtype == "bool" else np.abs(table[0] * 9).astype(dtype)
    found, _ = RandomOverSampler(shrinkage=0.5, random_state=0).fit_resample(X, table[1])
    # float16 is computed in float64 there too.
    expected, _ = TheirRandomOverSampler(shrinkage=0.5, random_state=0).fit_resample(
        X.astype("float64"), table[1]
    )
    assert found.dtype == dtype
    if np.dtype(dtype).kind == "f":
        tolerance = 1e-2 if dtype == "float16" else 1e-5
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        np.testing.assert_array_equal(found, np.rint(expected).clip(low, high).astype(dtype))
        assert len(np.unique(found[len(X) :], axis=0)) > 1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shrinkage_of_images_is_clipped_and_does_not_wrap_around(digits, shape):
    X, y = digits
    X = X.reshape(len(X), *shape)
    sampler = RandomOverSampler(shrinkage=1.0, random_state=0)
    found, labels = sampler.fit_resample(X, y)
    noisy, _ = TheirRandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(
        X.reshape(len(X), -1).astype(float), y
    )
    assert noisy.min() < -0.5
    np.testing.assert_array_equal(found, np.rint(noisy).clip(0, 255).reshape(-1, *shape))
    assert found.dtype == np.uint8
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {
        "eight": np.sum(y == "other"),
        "other": np.sum(y == "other"),
    }


def test_a_lazy_view_with_shrinkage_holds_the_same_images_and_their_parents(digits):
    X, y = digits
    expected, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(X, y)
    sampler = RandomOverSampler(shrinkage=1.0, random_state=0, lazy=True)
    view, _ = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(np.asarray(view), expected)
    assert view.root is X or np.shares_memory(view.root, X)
    np.testing.assert_array_equal(sampler.parents_[:, 0], sampler.sample_indices_[len(X) :])
    ancestors = view.ancestry()[np.arange(len(X), len(view))]
    np.testing.assert_array_equal(ancestors.indices, sampler.parents_[:, 0])


def test_weights_follow_copies_with_noise_and_a_later_fit_without_it_forgets_parents(digits):
    X, y = digits
    sampler = RandomOverSampler(shrinkage=1.0, random_state=0)
    sampler.fit_resample(X, y)
    weight = np.arange(len(X), dtype=float)
    np.testing.assert_array_equal(apply_plan(sampler, weight), weight[sampler.sample_indices_])
    sampler.set_params(shrinkage=None).fit_resample(X, y)
    assert not hasattr(sampler, "parents_")
    assert sampler.shrinkage_ is None


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_samples_get_the_noise_of_dense_ones(table, kind):
    X = np.where(np.abs(table[0]) < 0.5, 0, table[0])
    expected, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(X, table[1])
    found, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(kind(X), table[1])
    assert type(found) is kind
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-10, atol=1e-12)


def test_columns_of_a_frame_get_noise_and_keep_their_types(table):
    X = pd.DataFrame({"size": table[0][:, 0] * 10, "count": np.arange(200)})
    found, _ = RandomOverSampler(shrinkage=1.0, random_state=0).fit_resample(X, table[1])
    assert found.dtypes.equals(X.dtypes)
    assert not found["size"][200:].isin(X["size"]).any()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array(["a.png", "b.png", "c.png"] * 2), r"X holds paths.*read_images.*shrinkage=None"),
        (
            pd.DataFrame({"n": range(6), "site": list("abcabc")}),
            "these columns of X hold none: 'site'.*shrinkage=None",
        ),
    ],
)
def test_shrinkage_refuses_what_has_no_values_to_add_noise_to(X, message):
    with pytest.raises(ValueError, match=message):
        RandomOverSampler(shrinkage=1.0).fit_resample(X, [0, 0, 0, 0, 1, 1])
    RandomOverSampler().fit_resample(X, [0, 0, 0, 0, 1, 1])


def test_shrinkage_refuses_images_that_are_read_on_demand():
    class Source(ImageSource):
        image_shape, dtype = (1, 4, 4), np.dtype("uint8")

        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def take(self, indices):
            return Source(self.values[indices])

        def batch(self, indices):
            return self.values[indices]

        def keys(self):
            return self.values.reshape(len(self.values), -1)

    source = Source(np.zeros((6, 4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"images of a Source.*numpy.asarray\(X\)"):
        RandomOverSampler(shrinkage=1.0).fit_resample(source, [0, 0, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("shrinkage", "message"),
    [
        ({"other": 1}, r"no factor for \['eight'\]"),
        ({"eight": -1}, r"numbers >= 0. Got \{'eight': -1\}"),
        ({"eight": np.nan}, "numbers >= 0"),
        (-1.0, "'shrinkage' parameter"),
    ],
)
def test_a_shrinkage_that_does_not_fit_is_refused(digits, shrinkage, message):
    with pytest.raises(ValueError, match=message):
        RandomOverSampler(shrinkage=shrinkage).fit_resample(*digits)


def test_shrinkage_by_label_goes_through_an_embedded_sampler(digits):
    X, y = digits
    found, _ = EmbeddedSampler(
        TheirRandomOverSampler(shrinkage={"eight": 1.0}, random_state=0)
    ).fit_resample(X, y)
    expected, _ = RandomOverSampler(shrinkage={"eight": 1.0}, random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------------ neighbours


@pytest.mark.parametrize(
    "neighbors",
    [
        NearestNeighbors(n_neighbors=4),
        NearestNeighbors(n_neighbors=6, metric="manhattan"),
        NearestNeighbors(n_neighbors=3, algorithm="ball_tree", metric="chebyshev"),
    ],
)
def test_objects_that_find_neighbours_do_as_in_imbalanced_learn(table, neighbors):
    found, _ = SMOTE(k_neighbors=neighbors, random_state=0).fit_resample(*table)
    expected, _ = THEIR_SMOTE(k_neighbors=neighbors, random_state=0).fit_resample(*table)
    np.testing.assert_array_equal(found, expected)
    assert not hasattr(neighbors, "n_samples_fit_")


def test_an_object_with_too_many_neighbours_uses_those_that_a_class_has(table):
    X, y = np.concatenate([table[0][table[1] == 0], table[0][table[1] == 1][:3]]), None
    y = np.repeat([0, 1], [np.sum(table[1] == 0), 3])
    with pytest.warns(UserWarning, match="uses 2 neighbours there instead of k_neighbors=9"):
        found, _ = SMOTE(k_neighbors=NearestNeighbors(n_neighbors=10), random_state=0).fit_resample(
            X, y
        )
    expected, _ = SMOTE(k_neighbors=2, random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [(NearestNeighbors(n_neighbors=1), "at least 2.*NearestNeighbors"), ("many", "k_neighbors")],
)
def test_neighbours_that_cannot_be_found_are_refused(digits, neighbors, message):
    with pytest.raises(ValueError, match=message):
        SMOTE(k_neighbors=neighbors).fit_resample(*digits)


def test_codes_of_images_find_neighbours_by_an_object_too(digits):
    found = []
    for neighbors in (5, NearestNeighbors(n_neighbors=6)):
        sampler = DeepSMOTE(k_neighbors=neighbors, max_epochs=1, n_latent=4, random_state=0)
        found.append(sampler.fit_resample(*digits)[0])
    np.testing.assert_array_equal(*found)


def test_grids_reach_the_metric_of_the_neighbours():
    sampler = SMOTE(k_neighbors=NearestNeighbors(n_neighbors=4))
    assert sampler.set_params(k_neighbors__p=1).k_neighbors.p == 1


# ------------------------------------------------------------------------ combined samplers


@pytest.mark.parametrize(("combined", "part"), [(SMOTEENN, "enn"), (SMOTETomek, "tomek")])
def test_combined_samplers_of_imbalanced_learn_take_our_smote(table, combined, part):
    found = combined(smote=SMOTE(random_state=1, k_neighbors=3)).fit_resample(*table)
    expected = combined(smote=THEIR_SMOTE(random_state=1, k_neighbors=3)).fit_resample(*table)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert getattr(combined(), part) is None


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("combined", [SMOTEENN, SMOTETomek])
def test_combined_samplers_with_our_smote_resample_images_when_embedded(digits, combined, shape):
    X, y = digits
    images = X.reshape(len(X), *shape)
    sampler = EmbeddedSampler(combined(smote=SMOTE(random_state=0)))
    found, labels = sampler.fit_resample(images, y)
    expected, their_labels = combined(random_state=0).fit_resample(
        X.reshape(len(X), -1).astype(float), y
    )
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(labels, their_labels)
    np.testing.assert_array_equal(found, np.rint(expected).reshape(-1, *shape))


def test_being_an_instance_of_theirs_takes_nothing_from_their_class():
    assert isinstance(SMOTE(), THEIR_SMOTE)
    assert not isinstance(RandomOverSampler(), THEIR_SMOTE)
    assert THEIR_SMOTE not in SMOTE.__mro__


# ------------------------------------------------------------------------ strategies

OVER = [
    RandomOverSampler(random_state=0),
    SMOTE(random_state=0),
    AugmentedOverSampler(random_state=0),
    RandomOverSampler(shrinkage=0.1, random_state=0),
    DeepSMOTE(random_state=0, max_epochs=1, n_latent=4),
]
UNDER = [RandomUnderSampler(random_state=0), ClusterUnderSampler(random_state=0)]


def named(samplers):
    return [pytest.param(one, id=f"{type(one).__name__}{n}") for n, one in enumerate(samplers)]


@pytest.mark.parametrize(
    ("strategy", "n_eights"),
    [
        (0.5, 0.5),
        ("minority", 1),
        ("not majority", 1),
        ("all", 1),
        ("auto", 1),
        ({"eight": 100}, 100),
        (lambda y: {"eight": 2 * int(np.sum(y == "eight"))}, 44),
    ],
)
@pytest.mark.parametrize("sampler", named(OVER))
def test_over_samplers_take_every_form_of_a_strategy(digits, sampler, strategy, n_eights):
    X, y = digits[0][:300], digits[1][:300]
    n_others = int(np.sum(y == "other"))
    if callable(strategy):
        n_eights = 2 * int(np.sum(y == "eight"))
    elif n_eights <= 1:
        n_eights = int(n_eights * n_others)
    sampler = sampler.set_params(sampling_strategy=strategy)
    X_res, labels = sampler.fit_resample(X, y)
    assert np.sum(labels == "eight") == n_eights
    assert np.sum(labels == "other") == n_others
    assert sampler.sampling_strategy_["eight"] == n_eights - np.sum(y == "eight")
    np.testing.assert_array_equal(X_res[: len(X)], X)


@pytest.mark.parametrize(
    ("strategy", "n_others"),
    [
        (0.5, 2),
        ("majority", 1),
        ("not minority", 1),
        ("all", 1),
        ("auto", 1),
        ({"other": 50}, 50),
        (lambda y: {"other": 40}, 40),
    ],
)
@pytest.mark.parametrize("sampler", named(UNDER))
def test_under_samplers_take_every_form_of_a_strategy(digits, sampler, strategy, n_others):
    X, y = digits
    n_eights = int(np.sum(y == "eight"))
    _, labels = sampler.set_params(sampling_strategy=strategy).fit_resample(X, y)
    assert np.sum(labels == "eight") == n_eights
    assert np.sum(labels == "other") == (n_others if n_others > 2 else n_others * n_eights)


@pytest.mark.parametrize("sampler", named([*OVER, *UNDER]))
def test_a_list_is_for_samplers_that_clean(digits, sampler):
    with pytest.raises(ValueError, match="'sampling_strategy' parameter"):
        sampler.set_params(sampling_strategy=["eight"]).fit_resample(*digits)


def test_a_list_names_the_labels_that_are_cleaned(digits):
    X, y = digits
    cleaner = EditedNearestNeighbours(sampling_strategy=["other"])
    _, labels = EmbeddedSampler(cleaner).fit_resample(X, y)
    assert np.sum(labels == "eight") == np.sum(y == "eight")
    assert np.sum(labels == "other") < np.sum(y == "other")


# ------------------------------------------------------------------------ images


def test_a_function_sampler_without_validation_takes_images(digits):
    X, y = digits
    function = FunctionSampler(func=lambda X, y: (X[::2], y[::2]), validate=False)
    X_res, _ = function.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X[::2])
    through, _ = EmbeddedSampler(FunctionSampler(func=lambda X, y: (X[::2], y[::2]))).fit_resample(
        X, y
    )
    np.testing.assert_array_equal(through, X[::2])


def test_make_imbalance_takes_indices_of_images_as_rows(digits):
    X, y = digits
    rows, y_few = make_imbalance(
        np.arange(len(X))[:, None], y, sampling_strategy={"eight": 5, "other": 50}, random_state=0
    )
    assert X[rows.ravel()].shape == (55, 8, 8)
    np.testing.assert_array_equal(y[rows.ravel()], y_few)


def test_metrics_of_imbalanced_learn_read_our_labels(digits):
    _, y = digits
    predicted = np.where(np.random.RandomState(0).rand(len(y)) < 0.9, y, "other")
    predicted[y == "other"] = np.where(np.arange(np.sum(y == "other")) % 9, "other", "eight")
    report = classification_report_imbalanced(y, predicted, output_dict=True)
    ours = per_class_report(y, predicted)
    for label in ("eight", "other"):
        assert report[label]["rec"] == pytest.approx(ours.loc[label, "recall"])
        assert report[label]["pre"] == pytest.approx(ours.loc[label, "precision"])
    geometric = geometric_mean_score(y, predicted)
    assert geometric == pytest.approx(np.sqrt(ours["recall"].prod()))
    balanced = make_index_balanced_accuracy(alpha=0.1, squared=True)(geometric_mean_score)
    numbers = [np.where(labels == "eight", 1, 0) for labels in (y, predicted)]
    assert balanced(y, predicted) == pytest.approx(balanced(*numbers))


def test_the_geometric_mean_of_our_scorers_is_that_of_imbalanced_learn(digits):
    X, y = digits
    model = LogisticRegression(max_iter=10_000).fit(X[:200].reshape(200, -1), y[:200])
    X, y = X[200:].reshape(300, -1), y[200:]
    found = imbalance_scoring(y)["geometric_mean"](model, X, y)
    assert 0 < found < 1
    assert found == pytest.approx(geometric_mean_score(y, model.predict(X)))


@pytest.mark.slow
def test_hardness_of_instances_is_measured_by_a_network(digits):
    X, y = digits
    network = CNNClassifier(max_epochs=2, image_shape=(1, 8, 8), random_state=0)
    hard = InstanceHardnessThreshold(estimator=network, cv=2, random_state=0)
    X_res, y_res = EmbeddedSampler(hard).fit_resample(X, y)
    assert X_res.shape[1:] == (8, 8)
    assert X_res.dtype == np.uint8
    assert np.sum(y_res == "other") < np.sum(y == "other")


@pytest.mark.slow
def test_a_pipeline_of_imbalanced_learn_trains_a_network_on_resampled_images(digits):
    X, y = digits
    cleaned = EmbeddedSampler(RepeatedEditedNearestNeighbours(), embedder=PCA(10, random_state=0))
    network = CNNClassifier(max_epochs=2, random_state=0)
    pipeline = make_pipeline(cleaned, SMOTE(random_state=0), network).fit(X, y)
    X_res, y_res = SMOTE(random_state=0).fit_resample(*cleaned.fit_resample(X, y))
    expected = CNNClassifier(max_epochs=2, random_state=0).fit(X_res, y_res)
    np.testing.assert_array_equal(pipeline.predict_proba(X), expected.predict_proba(X))


@pytest.mark.slow
def test_a_network_is_trained_on_copies_with_noise(digits):
    X, y = digits
    sampler = RandomOverSampler(shrinkage=0.2, random_state=0)
    network = CNNClassifier(max_epochs=2, augmentation=None, random_state=0)
    inside = clone(network).set_params(sampler=sampler).fit(X, y)
    copies = clone(inside).set_params(sampler__shrinkage=None).fit(X, y)
    weighted = clone(inside).fit(X, y, sample_weight=np.linspace(0.5, 1.5, len(y)))
    for other in (copies, weighted):
        assert not np.array_equal(inside.predict_proba(X), other.predict_proba(X))


def test_samplers_that_clean_tell_the_images_that_stay(digits):
    X, y = digits
    sampler = EmbeddedSampler(EditedNearestNeighbours())
    X_res, _ = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X[sampler.sample_indices_])
