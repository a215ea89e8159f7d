"""Which samples to label next: thresholds, budgets, diversity, and what is refused."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skimb.model_selection import PriorCorrectedClassifier
from skimb.neural_network import CNNClassifier
from skimb.study import embedding_of, suggest
from skimb.study._diverse_choice import budgets_of
from skimb.study._separation import log_margins, separation_threshold
from skimb.study._suggestions import threshold_in_words, value_in_words


def number_of_errors(scores, is_member, threshold):
    return sum(
        (score >= threshold) != member for score, member in zip(scores, is_member, strict=True)
    )


def make_points(n, *, fraction=0.03, seed=0):
    """Return points of a common class and a rare one, which overlap."""
    rng = np.random.RandomState(seed)
    y = np.where(rng.rand(n) < fraction, "rare", "common")
    X = rng.randn(n, 4)
    X[y == "rare", 0] += 2.5
    return X, y


@pytest.fixture(scope="module")
def trained():
    """A classifier of few points with its labelled points, and a pool with its labels."""
    X, y = make_points(1500)
    pool, truth = X[300:], y[300:]
    return LogisticRegression().fit(X[:300], y[:300]), X[:300], y[:300], pool, truth


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_fewer_errors_than_the_one_found(seed):
    rng = np.random.RandomState(seed)
    scores = rng.randn(40).round(1)
    is_member = rng.rand(40) < 0.3
    is_member[:2] = True, False
    near = rng.randn()
    found = separation_threshold(scores, is_member, near=near)
    values = np.unique(scores)
    tried = [*values, *(values[1:] + values[:-1]) / 2, values[-1] + 1, near]
    errors = np.array([number_of_errors(scores, is_member, threshold) for threshold in tried])
    assert number_of_errors(scores, is_member, found) == errors.min()
    # The given one is kept where no other is better.
    assert found == near or errors[-1] > errors.min()


def test_a_wide_gap_without_errors_leaves_the_threshold_where_it_was():
    scores, is_member = np.array([-9.0, -8.0, 7.0, 8.0]), np.array([False, False, True, True])
    assert separation_threshold(scores, is_member, near=2.5) == 2.5
    assert separation_threshold(scores, is_member, near=20.0) == -0.5


def test_single_wrong_labels_hardly_move_a_threshold():
    rng = np.random.RandomState(0)
    scores = np.concatenate([rng.randn(500) - 2, rng.randn(50) + 2])
    is_member = np.arange(550) >= 500
    wrong = is_member.copy()
    wrong[:5] = True
    assert abs(separation_threshold(scores, is_member) - separation_threshold(scores, wrong)) < 0.5


def test_scores_are_logarithms_of_ratios_to_the_best_other_class():
    margins = log_margins(np.array([[0.5, 0.3, 0.2]]))
    assert np.exp(margins[0]) == pytest.approx([5 / 3, 3 / 5, 2 / 5])


def test_budgets_are_equal_and_the_rest_goes_to_the_rarest():
    assert budgets_of(8, [1, 2, 0], 3).tolist() == [2, 3, 3]
    assert budgets_of(2, [1, 2, 0], 3).tolist() == [0, 1, 1]


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_each_class_asks_for_as_many_samples_on_both_sides_of_its_threshold(n_classes):
    rng = np.random.RandomState(0)
    y = rng.choice(n_classes, 900, p=np.r_[0.6, np.full(n_classes - 1, 0.4 / (n_classes - 1))])
    X = rng.randn(900, 6) + 1.5 * np.eye(6)[y]
    classifier = LogisticRegression().fit(X[:400], y[:400])
    found = suggest(classifier, X[400:], n=4 * n_classes, random_state=0)
    if n_classes == 2:
        # "Is it 0?" and "is it 1?" are one question: the rarer class asks it.
        assert found.thresholds["asked"].tolist() == [0, 8]
        assert (found.table["score"] >= found.thresholds["threshold"][1]).sum() == 4
        return
    assert found.thresholds["asked"].tolist() == [4] * n_classes
    thresholds = found.thresholds.set_index("class")["threshold"]
    for label, chosen in found.table.groupby("class"):
        assert (chosen["score"] >= thresholds[label]).sum() == 2
    assert found.table["row"].is_unique


def test_more_rare_samples_are_found_than_by_chance(trained):
    classifier, _, _, pool, truth = trained
    by_chance = 40 * np.mean(truth == "rare")
    found = suggest(classifier, pool, n=40, random_state=0)
    assert np.sum(truth[found.table["row"]] == "rare") > 3 * by_chance


def test_labelled_samples_move_a_threshold_that_lies_elsewhere(trained):
    _, X, y, pool, truth = trained
    weighted = LogisticRegression(class_weight="balanced").fit(X, y)
    own = suggest(weighted, pool, random_state=0)
    X, y = make_points(2000, seed=1)
    found = suggest(weighted, pool, X=X, y=y, random_state=0)
    rare = own.thresholds["class"] == "rare"
    # Weights call too many samples rare: their own boundary has few rare ones around it.
    assert (found.thresholds["threshold"] > own.thresholds["threshold"] + 0.5)[rare].all()
    assert "labelled images of the class" in found.thresholds["source"][0]
    n_own, n_found = (np.sum(truth[one.table["row"]] == "rare") for one in (own, found))
    assert n_found > n_own


@pytest.mark.parametrize("with_labelled", [False, True])
def test_reasons_tell_the_probability_and_the_threshold_that_it_is_compared_with(
    trained, with_labelled
):
    _, X, y, pool, _ = trained
    weighted = LogisticRegression(class_weight="balanced").fit(X, y)
    labelled = dict(zip("Xy", make_points(2000, seed=1), strict=True)) if with_labelled else {}
    found = suggest(weighted, pool, n=10, random_state=0, **labelled)
    for facts in found.table.to_dict("records"):
        told = re.match(
            r"The probability of rare is (.*), and the threshold is (.*): number \d+ of the \d+ "
            r"images (above|below) it",
            facts["reason"],
        )
        assert told is not None
        value, limit, side = told.groups()
        assert value == f"{facts['probability']:.3f}"
        assert float(value) >= float(limit) if side == "above" else float(value) <= float(limit)
        assert (float(limit) == pytest.approx(0.5, abs=0.1)) != with_labelled


def test_classes_with_few_labelled_samples_keep_the_threshold_of_the_classifier(trained):
    classifier, _, _, pool, _ = trained
    X, y = make_points(2000, seed=1)
    few = np.r_[np.flatnonzero(y == "rare")[:4], np.flatnonzero(y == "common")[:50]]
    found = suggest(classifier, pool, X=X[few], y=y[few], random_state=0)
    own = suggest(classifier, pool, random_state=0)
    assert_array_equal(found.thresholds["threshold"], own.thresholds["threshold"])


def test_thresholds_are_those_by_which_a_wrapper_decides(trained):
    _, X, y, pool, _ = trained
    wrapper = PriorCorrectedClassifier(LogisticRegression(), target_prior="uniform").fit(X, y)
    found = suggest(wrapper, pool, random_state=0)
    for label, chosen in found.table.groupby("class"):
        threshold = found.thresholds.set_index("class")["threshold"][label]
        assert_array_equal(chosen["score"] >= threshold, chosen["predicted"] == label)


def test_copies_and_nearly_equal_samples_are_asked_about_once(trained):
    _, X, y, pool, _ = trained
    classifier = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(X, y)
    nearly = pool + 1e-4 * np.random.RandomState(0).randn(*pool.shape)
    found = suggest(classifier, np.concatenate([pool, pool, nearly]), n=60, random_state=0)
    rows = found.table["row"].to_numpy() % len(pool)
    assert len(rows) == 60 == len(np.unique(rows))
    assert found.n_copies > 0


def test_a_pool_of_copies_gives_fewer_samples(trained):
    classifier, _, _, pool, _ = trained
    found = suggest(classifier, np.repeat(pool[:3], 10, axis=0), n=12, random_state=0)
    assert sorted(found.table["row"] // 10) == [0, 1, 2]
    assert found.n_copies == 27


def test_samples_that_differ_most_come_before_a_crowd(trained):
    classifier, _, _, pool, _ = trained
    crowd = np.concatenate([pool, np.tile([2.0, 0, 0, 0], (30, 1))])
    crowd[-30:] += 0.05 * np.random.RandomState(0).randn(30, 4)
    with_embedding = make_pipeline(FunctionTransformer(), classifier)
    found = suggest(with_embedding, crowd, n=20, random_state=0)
    assert np.sum(found.table["row"] >= len(pool)) <= 5


def test_labelled_samples_of_the_pool_are_never_chosen(trained):
    classifier, X, y, _, _ = trained
    found = suggest(classifier, X, X=X[:280], y=y[:280], n=40, random_state=0)
    assert sorted(found.table["row"]) == list(range(280, 300))
    assert found.n_known == 280


def test_equally_near_samples_are_drawn_by_the_seed():
    X = np.repeat([[0.0], [1.0]], 50, axis=0) + 1e-9 * np.arange(100)[:, None]
    y = np.repeat(["a", "b"], 50)
    classifier = LogisticRegression().fit(np.round(X), y)
    classifier.coef_ = np.round(classifier.coef_) * 1e-9
    rows = [
        suggest(classifier, X.astype(np.float64), n=6, random_state=seed).table["row"].tolist()
        for seed in (0, 0, 1)
    ]
    assert rows[0] == rows[1] != rows[2]


def test_probabilities_near_0_and_1_are_told_with_their_digits():
    # Not "The probability of cat is 0.000, and the threshold is 0.000".
    assert value_in_words("cat", np.log(2e-4), 2) == "The probability of cat is 0.0002"
    assert threshold_in_words(np.log(7.38e-5), 2) == "7.38e-05"
    assert threshold_in_words(np.log(3), 2) == "0.750"
    assert threshold_in_words(np.log(9999), 2) == "0.9999"


def test_what_a_class_cannot_use_goes_to_the_others(trained):
    classifier, _, _, pool, _ = trained
    found = suggest(classifier, pool[:7], n=40, random_state=0)
    assert sorted(found.table["row"]) == list(range(7))


@pytest.mark.slow
def test_a_fitted_network_in_a_wrapper_gives_its_embedding():
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 255, (40, 8, 8), dtype=np.uint8), np.repeat([0, 1], [30, 10])
    network = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    wrapper = PriorCorrectedClassifier(
        CNNClassifier(max_epochs=1, random_state=0), target_prior="uniform"
    ).fit(X, y)
    assert embedding_of(network, X).shape == embedding_of(wrapper, X).shape
    assert embedding_of(LogisticRegression().fit(X.reshape(40, -1), y), X) is None
    assert len(suggest(wrapper, X, n=5, random_state=0).table) == 5


@pytest.mark.slow
def test_broken_files_are_listed_and_the_others_are_done(tmp_path):
    rng = np.random.RandomState(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(12)]
    for path in paths:
        Image.fromarray(rng.randint(0, 255, (8, 8), dtype=np.uint8)).save(path)
    y = np.repeat(["<b>a</b>", "b"], 6)
    network = CNNClassifier(max_epochs=1, random_state=0).fit(paths, y)
    (tmp_path / "3.png").write_text("no image")
    (tmp_path / "<i>.png").write_bytes((tmp_path / "4.png").read_bytes()[:60])
    found = suggest(network, [*paths, str(tmp_path / "<i>.png")], n=40, random_state=0)
    assert found.errors["row"].tolist() == [3, 12]
    assert sorted(found.table["row"]) == [0, 1, 2, *range(4, 12)]
    found.to_html(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count('src="data:image/png') == 11
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "<b>a</b>" not in page
    assert "<i>.png" not in page
    with pytest.raises(ValueError, match="Of 1 file of `X_pool`, none"):
        suggest(network, paths[3:4])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "`n` must be a positive integer"),
        ({"n": 2.5}, "`n` must be a positive integer"),
        ({"X": np.zeros((3, 4))}, "`X` is given and `y` is not"),
        ({"X": np.zeros((3, 4)), "y": ["rare"]}, "have 3 and 1"),
        ({"X": np.zeros((2, 4)), "y": ["rare", "odd"]}, "does not know: .'odd'"),
        ({"X_pool": np.zeros((0, 4))}, "it is empty"),
        ({"classifier": LinearSVC().fit([[0], [1]], [0, 1])}, "must have `predict_proba`"),
        ({"classifier": LogisticRegression()}, "not fitted"),
    ],
)
def test_arguments_that_cannot_be_are_refused(trained, given, message):
    with pytest.raises(ValueError, match=message):
        suggest(**({"classifier": trained[0], "X_pool": trained[3]} | given))
