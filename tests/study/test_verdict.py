"""The verdict of a comparison: intervals, tests and corrections, against naive ways and hand."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import vstack
from simulated_comparisons import comparison_of, noisy, regression_comparison_of
from sklearn.dummy import DummyClassifier

from skimb._label_measures import score_labels
from skimb.metrics import balanced_mean_absolute_error, imbalance_scoring
from skimb.relevance import LabelDensity
from skimb.study import compare, verdict_sentences, winner_of
from skimb.study._bootstrap import (
    Images,
    effective_number,
    influences,
    interval_and_p_value,
    number_of_resamples,
)
from skimb.study._count_scores import LabelScores
from skimb.study._error_scores import ErrorScores
from skimb.study._statistics import (
    corrected_interval,
    corrected_p_value,
    holm,
    largest_shrinkage,
    mcnemar,
    needed_factor,
    repeats_can_settle,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def truth_of(n, n_rare):
    return np.r_[np.zeros(n - n_rare, int), np.ones(n_rare, int)]


def pair(rng, n=400, n_rare=60, worse=0.5, better=0.2):
    """A baseline, and a strategy that finds more of the rare images."""
    truth = truth_of(n, n_rare)
    return truth, {
        "none": [noisy(truth, [0.02, worse], rng)],
        "over": [noisy(truth, [0.04, better], rng)],
    }


# ------------------------------------------------------------------------- scores from sums


@pytest.mark.parametrize("n_classes", [2, 5])
def test_scores_from_sums_are_those_of_the_scorers(n_classes, rng):
    labels = np.array(["e", "b", "c", "a", "d"][:n_classes])
    classes = np.unique(labels)
    for n in (7, 60):
        truth = rng.integers(n_classes, size=n)
        predicted = rng.integers(n_classes, size=n)
        whole = classes[np.r_[np.arange(n_classes), np.zeros(9, int), truth]]
        scorers = imbalance_scoring(whole)
        minority = scorers["average_precision_minority"].label
        scores = LabelScores(scorers, classes, minority)
        assert set(scorers) - set(scores.names) == {"average_precision_minority"}
        sums = np.asarray(scores.parts(truth, predicted).sum(axis=1)).ravel()
        for metric, value in zip(scores.names, scores(sums), strict=True):
            expected = score_labels(scorers[metric], classes[predicted], classes[truth], classes)
            assert value == pytest.approx(expected), metric


def test_errors_from_sums_are_those_of_the_metrics(rng):
    y = np.r_[rng.normal(size=90), [5.0, 6.0, 7.0]]
    predicted = y + rng.normal(size=len(y))
    scores = ErrorScores(["mean_absolute_error", "balanced_mean_absolute_error", "r2"], y, None)
    assert scores.names == ["mean_absolute_error", "balanced_mean_absolute_error"]
    bins = LabelDensity(bins=LabelDensity().fit(y).edges_)
    drawn = rng.integers(len(y), size=len(y))
    values = scores(np.asarray(scores.parts(y[drawn], predicted[drawn]).sum(axis=1)).ravel())
    assert values[0] == pytest.approx(np.abs(y - predicted)[drawn].mean())
    assert values[1] == pytest.approx(
        balanced_mean_absolute_error(y[drawn], predicted[drawn], density=bins)
    )


# ------------------------------------------------------------------------- resamples


def naive_resamples(truth, first, second, measure, groups, n, rng):
    """Draw groups one by one, and score all their images."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found = []
    for _ in range(n):
        drawn = [members[i] for i in rng.integers(len(members), size=len(members))]
        rows = np.concatenate(drawn)
        found.append(measure(truth[rows], second[rows]) - measure(truth[rows], first[rows]))
    return np.array(found)


def f1(truth, predicted):
    hits = ((truth == 1) & (predicted == 1)).sum()
    return 2 * hits / max((truth == 1).sum() + (predicted == 1).sum(), 1)


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
def test_resamples_are_distributed_as_naive_ones(grouped, rng):
    truth, decisions = pair(rng)
    first, second = decisions["none"][0], decisions["over"][0]
    groups = np.arange(400) // 4 if grouped else np.arange(400)
    scores = LabelScores(["f1_minority"], np.array([0, 1]), 1)
    naive = naive_resamples(truth, first, second, f1, groups, 4000, rng)
    parts = vstack([scores.parts(truth, predicted) for predicted in (first, second)]).tocsr()
    for cells in (None, 2 * first + 4 * second + truth):
        images = Images(parts, groups, cells=cells)
        # Groups of equal images are counted too: there are few kinds of them.
        assert (len(images.times) < images.times.sum() / 2) == (cells is not None)
        sums = np.concatenate(list(images.resampled_sums(4000, random_state=3)))
        found = [scores(part)[:, 0] for part in np.split(sums, 2, axis=1)]
        assert stats.ks_2samp(found[1] - found[0], naive).pvalue > 0.001
        assert np.std(found[1] - found[0]) == pytest.approx(naive.std(), rel=0.06)


def test_few_cells_are_drawn_as_counts_and_many_as_images(rng):
    scores = LabelScores(["f1_minority"], np.array([0, 1]), 1)
    truth = truth_of(300, 30)
    parts = scores.parts(truth, truth)
    for cells in (truth, np.arange(300), None):
        [sums] = Images(parts, None, cells=cells).resampled_sums(500, random_state=0)
        np.testing.assert_array_equal(sums[:, 4:].sum(axis=1), 300)
        assert sums[:, 5].std() == pytest.approx(np.sqrt(300 * 0.1 * 0.9), rel=0.1)


def test_groups_of_equal_images_are_of_one_kind():
    scores = LabelScores(["f1_minority"], np.array([0, 1]), 1)
    truth = np.array([0, 1, 1, 0, 0, 0, 1, 1, 0])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    images = Images(scores.parts(truth, truth), groups, cells=truth)
    # One image of each class in groups 0 and 1, two common ones, two rare ones, and one alone.
    assert sorted(images.times.tolist()) == [1, 1, 1, 2]
    whole = images.parts.toarray() @ images.times
    np.testing.assert_array_equal(whole, images.sums)


def test_resamples_are_as_many_as_take_little_time(rng):
    scores = LabelScores(["f1_minority"], np.array([0, 1]), 1)
    truth = truth_of(60_000, 6000)
    parts = scores.parts(truth, truth)
    few_kinds, none_equal = Images(parts, None, cells=truth), Images(parts, None)
    assert number_of_resamples([few_kinds] * 9, 9) == 20_000
    assert 2000 < number_of_resamples([none_equal], 9) < 20_000
    assert number_of_resamples([none_equal] * 99, 99) == 2000


def test_a_clear_difference_is_better_among_ten_strategies(rng):
    truth = truth_of(1000, 60)
    base = noisy(truth, [0.02, 0.5], rng)
    decisions = {"none": [base]}
    for i in range(9):
        other = base.copy()
        moved = rng.choice(np.flatnonzero(truth == 1), size=6, replace=False)
        other[moved] = 1 - other[moved]
        decisions[f"s{i}"] = [other]
    # 14 of 60 rare images more, and none is lost: 2000 resamples could not tell.
    other = base.copy()
    other[rng.choice(np.flatnonzero((truth == 1) & (base == 0)), size=14, replace=False)] = 1
    decisions["s4"] = [other]
    result = comparison_of(truth, decisions)
    judged = result.judgement("s4", "f1_minority")
    assert judged.verdict == "better"
    assert judged.adjusted_p_value < 0.03
    assert judged.n_resamples == 20_000
    words = [result.judgement(name, "f1_minority").verdict for name in result.strategies[1:]]
    assert words.count("within noise") == 8
    assert result.to_dict()["protocol"]["n_resamples"] == 20_000
    assert "20,000 resamples" in " ".join(verdict_sentences(result))


@pytest.mark.parametrize("grouped", [False, True])
def test_an_interval_depends_on_its_own_strategy_alone(grouped, rng):
    truth, decisions = pair(rng)
    more = {f"s{i}": [noisy(truth, [0.02, 0.1 * i], rng)] for i in range(8)}
    alone, among = comparison_of(truth, decisions), comparison_of(truth, decisions | more)
    if grouped:
        alone.groups = among.groups = np.arange(400) // 2
    first, second = (one.judgement("over", "f1_minority") for one in (alone, among))
    assert (first.low, first.high, first.p_value) == (second.low, second.high, second.p_value)
    assert second.adjusted_p_value >= first.adjusted_p_value


def test_pairs_and_all_strategies_together_have_the_same_intervals(rng):
    truth = np.sort(rng.integers(12, size=500))
    kinds = {"pairs": 2, "together": 12}
    widths = {}
    for kind, n_kinds in kinds.items():
        wrong = (truth + rng.integers(n_kinds, size=(4, 500))) % 12
        called = np.where(rng.random((4, 500)) < 0.3, wrong, truth)
        names = ("none", "a", "b", "c")
        decisions = {name: [one] for name, one in zip(names, called, strict=True)}
        result = comparison_of(truth, decisions)
        one = result.judgement("c", "balanced_accuracy")
        alone = comparison_of(truth, {"none": decisions["none"], "c": decisions["c"]})
        other = alone.judgement("c", "balanced_accuracy")
        widths[kind] = (one.high - one.low) / (other.high - other.low)
    assert widths["pairs"] == pytest.approx(1, abs=0.03)
    assert widths["together"] == pytest.approx(1, abs=0.03)


def test_influences_give_the_variance_of_resamples(rng):
    truth = truth_of(2000, 200)
    predicted = noisy(truth, [0.05, 0.3], rng)
    names = ["f1_minority", "balanced_accuracy", "geometric_mean", "mcc"]
    scores = LabelScores(names, np.array([0, 1]), 1)
    parts = scores.parts(truth, predicted)
    images = Images(parts, None, cells=2 * truth + predicted)
    moved = influences(scores, images.parts, images.sums, np.ones(4))
    # The images of a cell are equal; their mean influence is zero.
    moved = influences(scores, parts, images.sums, np.ones(2000))
    [sums] = images.resampled_sums(4000, random_state=0)
    np.testing.assert_allclose(np.square(moved).sum(axis=0), scores(sums).var(axis=0), rtol=0.08)
    np.testing.assert_allclose(moved.sum(axis=0), 0, atol=1e-9)


def test_the_effective_number_counts_what_a_difference_rests_on():
    shares = np.array([0.1, -0.1, 0.1, 0, 0, 0])
    assert effective_number(shares) == pytest.approx(3)
    assert effective_number(np.array([0.1, 0.0]), np.array([5, 100])) == pytest.approx(5)
    assert effective_number(np.zeros(4)) == 0


@pytest.mark.parametrize("n_effective", [2, 4.5, 8, 30, 1e6])
def test_interval_and_p_value_always_agree(n_effective, rng):
    for shift in np.linspace(-0.3, 0.3, 61):
        low, high, p_value = interval_and_p_value(rng.normal(shift, 0.1, size=999), n_effective)
        assert (low <= 0 <= high) == (p_value >= 0.05)
        assert low < shift < high


def test_the_interval_of_many_images_is_that_of_percentiles(rng):
    draws = rng.normal(0.2, 0.1, size=20_000)
    low, high, p_value = interval_and_p_value(draws, 1e9)
    np.testing.assert_allclose((low, high), np.quantile(draws, [0.025, 0.975]), atol=1e-3)
    assert p_value == pytest.approx(2 * np.mean(draws <= 0), abs=2e-3)


def test_four_images_on_one_side_show_no_difference():
    # McNemar's exact test of 4 : 0 has p = 0.125, where plain percentiles say 0.037.
    truth = truth_of(100, 20)
    base, other = truth.copy(), truth.copy()
    base[-4:] = 0
    judged = comparison_of(truth, {"none": [base], "over": [other]}).judgement(
        "over", "recall_minority"
    )
    assert judged.mcnemar_p_value == 0.125
    assert judged.verdict == "within noise"
    assert judged.low <= 0


def test_equal_decisions_differ_by_nothing():
    truth = truth_of(50, 10)
    base = truth.copy()
    base[-3:] = 0
    judged = comparison_of(truth, {"none": [base], "over": [base.copy()]}).judgement(
        "over", "f1_minority"
    )
    assert (judged.low, judged.high, judged.p_value, judged.verdict) == (0, 0, 1, "within noise")
    assert np.isnan(judged.more_images)


def test_a_difference_within_noise_never_asks_for_no_more_images():
    # Three of four found against none: the power is there by the variance, the p-value is not.
    truth = truth_of(24, 4)
    found = np.r_[np.zeros(20, int), [1, 1, 1, 0]]
    result = comparison_of(truth, {"none": [np.zeros(24, int)], "over": [found]})
    judged = result.judgement("over", "f1_minority")
    assert judged.verdict == "within noise"
    assert np.isnan(judged.more_images)


# ------------------------------------------------------------------------- one run, several seeds


def test_one_run_is_judged_by_its_test_images(rng):
    truth, decisions = pair(rng)
    result = comparison_of(truth, decisions)
    judged = result.judgement("over", "recall_minority")
    assert judged.source == "test images"
    assert judged.verdict == "better"
    assert judged.low < judged.difference < judged.high
    first, second = decisions["none"][0], decisions["over"][0]
    rare = truth == 1
    n_own = int(((second == 1) & (first == 0) & rare).sum())
    n_base = int(((second == 0) & (first == 1) & rare).sum())
    assert judged.mcnemar_p_value == stats.binomtest(n_own, n_own + n_base).pvalue
    # For other measures the test is that of all decisions.
    right, other = second == truth, first == truth
    n_own, n_base = int((right & ~other).sum()), int((other & ~right).sum())
    expected = stats.binomtest(n_own, n_own + n_base).pvalue
    assert result.judgement("over", "f1_minority").mcnemar_p_value == expected


def test_judgements_are_the_same_each_time(rng):
    truth, decisions = pair(rng)
    first, second = comparison_of(truth, decisions), comparison_of(truth, decisions)
    for metric in first.metrics:
        assert repr(first.judgement("over", metric)) == repr(second.judgement("over", metric))
    assert first.judgement("over", "mcc") is first.judgement("over", "mcc")


def test_another_baseline_is_judged_again(rng):
    truth, decisions = pair(rng)
    result = comparison_of(truth, decisions)
    forwards = result.judgement("over", "f1_minority")
    backwards = result.against("over").judgement("none", "f1_minority")
    assert backwards.difference == pytest.approx(-forwards.difference)
    assert (forwards.verdict, backwards.verdict) == ("better", "worse")


def test_images_in_groups_widen_the_interval_and_leave_mcnemar_out(rng):
    truth, decisions = pair(rng)
    # Copies tell nothing new.
    groups = np.tile(np.arange(400), 4)
    four = {name: [np.tile(runs[0], 4)] for name, runs in decisions.items()}
    alone = comparison_of(truth, decisions)
    copies, known = (comparison_of(np.tile(truth, 4), four) for _ in range(2))
    known.groups = groups
    width = {}
    for name, result in (("alone", alone), ("copies", copies), ("known", known)):
        judged = result.judgement("over", "f1_minority")
        width[name] = judged.high - judged.low
    assert width["copies"] < 0.6 * width["alone"]
    assert width["known"] == pytest.approx(width["alone"], rel=0.15)
    assert np.isnan(known.judgement("over", "f1_minority").mcnemar_p_value)


def test_equal_test_images_are_drawn_together(rng):
    X, y = rng.random((60, 4, 4)), truth_of(60, 20)
    own = {"never": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
    X_test, y_test = rng.random((40, 4, 4)), truth_of(40, 20)
    widths = {}
    for times in (1, 6):
        test = {"X_test": np.tile(X_test, (times, 1, 1)), "y_test": np.tile(y_test, times)}
        result = compare(X, y, strategies=own, random_state=0, **test)
        judged = result.judgement("coin", "f1_minority")
        widths[times] = judged.high - judged.low
        assert np.isnan(judged.mcnemar_p_value) == (times == 6)
        assert len(np.unique(result.groups)) == 40
    # As if they were 240 different images, it would be less than half as wide.
    assert widths[6] > 0.15


def test_seeds_add_their_variance_to_that_of_the_images(rng):
    truth = truth_of(600, 100)
    moved = rng.uniform(0.3, 0.42, size=4)
    decisions = {
        "none": [noisy(truth, [0.02, 0.4], rng) for _ in moved],
        "over": [noisy(truth, [0.02, rate], rng) for rate in moved],
    }
    result = comparison_of(truth, decisions)
    judged = result.judgement("over", "recall_minority")
    differences = result.values("over", "recall_minority") - result.values(
        "none", "recall_minority"
    )
    of_seeds = differences.var(ddof=1) / 4
    per_image = np.mean(
        [
            b[truth == 1] - a[truth == 1].astype(float)
            for a, b in zip(*decisions.values(), strict=True)
        ],
        axis=0,
    )
    of_images = per_image.var() / 100
    assert judged.source == "test images and seeds"
    assert np.isnan(judged.mcnemar_p_value)
    half = (judged.high - judged.low) / 2
    df = (of_images + of_seeds) ** 2 / (of_seeds**2 / 3)
    expected = stats.t.isf(0.025, df) * np.sqrt(of_images + of_seeds)
    assert half == pytest.approx(expected, rel=0.08)
    assert (judged.low <= 0 <= judged.high) == (judged.p_value >= 0.05)


def test_a_score_of_the_users_own_by_a_known_name_is_not_taken_for_it(rng):
    truth, decisions = pair(rng)
    result = comparison_of(truth, decisions)
    for name in result.strategies:
        result.outcomes[name][0].scores["f1_minority"] = 0.123
    judged = result.judgement("over", "f1_minority")
    assert (judged.verdict, judged.source) == ("one run", None)
    assert result.judgement("over", "mcc").source == "test images"


def test_errors_of_numbers_are_judged_by_test_images_too(rng):
    truth = rng.gamma(2, size=300)
    predictions = {
        "none": truth + rng.normal(scale=1.0, size=300),
        "over": truth + rng.normal(scale=0.5, size=300),
    }
    predictions["under"] = 2 * truth - predictions["none"] + rng.normal(scale=0.1, size=300)
    result = regression_comparison_of(truth, predictions)
    judged = result.judgement("over", "mean_absolute_error")
    change = np.abs(predictions["over"] - truth) - np.abs(predictions["none"] - truth)
    plain = stats.ttest_1samp(change, 0).confidence_interval(0.95)
    np.testing.assert_allclose((judged.low, judged.high), plain, atol=0.015)
    assert (judged.verdict, judged.source) == ("better", "test images")
    assert np.isnan(judged.mcnemar_p_value)
    assert result.judgement("under", "mean_absolute_error").verdict == "within noise"


# ------------------------------------------------------------------------- folds


def folds(n, n_folds=5):
    return [np.arange(fold, n, n_folds) for fold in range(n_folds)]


def by_folds(truth, decisions, n_folds=5):
    rows = folds(len(truth), n_folds)
    split = {name: [runs[0][part] for part in rows] for name, runs in decisions.items()}
    share = 1 / (n_folds - 1)
    return comparison_of(truth, split, rows=rows, test_share=share, n_repeats=1)


def test_folds_keep_the_corrected_interval(rng):
    truth, decisions = pair(rng, worse=0.6, better=0.5)
    result = by_folds(truth, decisions)
    judged = result.judgement("over", "f1_minority")
    differences = result.values("over", "f1_minority") - result.values("none", "f1_minority")
    expected = corrected_interval(differences, test_share=0.25)
    assert (judged.low, judged.high) == pytest.approx(expected)
    assert judged.source == "folds"
    assert judged.p_value == corrected_p_value(differences, test_share=0.25)


def test_the_p_value_is_that_of_the_corrected_interval(rng):
    for shift in np.linspace(-2, 2, 41):
        differences = rng.normal(shift, 1, size=6)
        low, high = corrected_interval(differences, test_share=0.25)
        p_value = corrected_p_value(differences, test_share=0.25)
        assert (low <= 0 <= high) == (p_value >= 0.05)
    plain = stats.ttest_1samp(differences, 0).pvalue
    assert corrected_p_value(differences, test_share=0) == pytest.approx(plain)
    assert corrected_p_value(np.zeros(4), test_share=0.2) == 1
    assert corrected_p_value(np.full(4, 0.5), test_share=0.2) == 0


def test_fifteen_runs_of_five_folds_can_shrink_by_19_per_cent_at_most():
    # By hand: 1.96 * sqrt(0.25) against 2.145 * sqrt(1 / 15 + 0.25).
    assert largest_shrinkage(15, 0.25) == pytest.approx(1 - 0.98 / (2.1448 * 0.56273), abs=1e-4)
    assert round(largest_shrinkage(15, 0.25), 2) == 0.19
    # The same scatter over ever more runs: the interval comes as close as that, and no closer.
    two = np.array([-1.0, 1.0])
    now = np.tile(two, 8)[:15]
    now = (now - now.mean()) / now.std(ddof=1)
    many = np.tile(two, 50_000)
    many = (many - many.mean()) / many.std(ddof=1)
    first, last = (corrected_interval(each, test_share=0.25)[1] for each in (now, many))
    assert 1 - last / first == pytest.approx(largest_shrinkage(15, 0.25), abs=1e-3)
    assert 1 - last / first < largest_shrinkage(15, 0.25)


def test_repeats_settle_only_what_exceeds_the_limit_of_the_interval():
    scatter = np.array([-0.1, 0.1, -0.1, 0.1, 0.0])
    limit = 1.96 * np.sqrt(0.25 * scatter.var(ddof=1))
    assert repeats_can_settle(scatter + 1.05 * limit, test_share=0.25)
    assert not repeats_can_settle(scatter + 0.95 * limit, test_share=0.25)


@pytest.mark.parametrize("n_folds", [2, 5])
def test_two_runs_cannot_tell(n_folds, rng):
    truth, decisions = pair(rng)
    judged = by_folds(truth, decisions, n_folds).judgement("over", "f1_minority")
    assert (judged.verdict == "too few runs") == (n_folds == 2)
    assert np.isnan(judged.low) == (n_folds == 2)


def test_intervals_stay_within_the_differences_that_are_possible(rng):
    truth = truth_of(60, 9)
    decisions = {
        "none": [noisy(truth, [0.0, 0.9], rng)],
        "over": [noisy(truth, [0.3, 0.5], rng)],
    }
    result = by_folds(truth, decisions, 3)
    for metric in result.metrics:
        judged = result.judgement("over", metric)
        base = result.judgement("none", metric).mean
        least = -1 if metric == "mcc" else 0
        assert least - 1e-12 <= base + judged.low
        assert base + judged.high <= 1 + 1e-12


# ------------------------------------------------------------------------- tests and corrections


def test_holm_by_hand():
    # 0.01 * 4, 0.02 * 3, then 0.03 * 2 is not below it, and 0.5.
    adjusted = holm(np.array([0.03, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(adjusted, [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])
    assert holm(np.array([])).tolist() == []


@pytest.mark.parametrize(("n_first", "n_second"), [(0, 0), (5, 0), (3, 9), (20, 20)])
def test_mcnemar_by_the_binomial_distribution(n_first, n_second):
    n, least = n_first + n_second, min(n_first, n_second)
    tail = sum(stats.binom.pmf(k, n, 0.5) for k in range(least + 1))
    assert mcnemar(n_first, n_second) == pytest.approx(min(1, 2 * tail))


def test_references_are_no_hypotheses(rng):
    truth, decisions = pair(rng)
    others = {
        name: [noisy(truth, [0.02, 0.5], rng)] for name in ("focal", "under", "linear", "constant")
    }
    result = comparison_of(truth, decisions | others)
    names = ["over", "focal", "under"]
    found = {name: result.judgement(name, "f1_minority") for name in result.strategies[1:]}
    expected = holm(np.array([found[name].p_value for name in names]))
    assert [found[name].adjusted_p_value for name in names] == expected.tolist()
    for name in ("linear", "constant"):
        assert found[name].adjusted_p_value == found[name].p_value


def test_the_verdict_follows_the_adjusted_p_value(rng):
    truth = truth_of(1000, 200)
    base = truth.copy()
    base[-100:] = 0
    better = base.copy()
    better[-8:] = 1
    plain = comparison_of(truth, {"none": [base], "over": [better]})
    assert plain.judgement("over", "recall_minority").verdict == "better"
    many = {f"same {i}": [noisy(truth, [0.02, 0.5], rng)] for i in range(15)}
    result = comparison_of(truth, {"none": [base], "over": [better], **many})
    judged = result.judgement("over", "recall_minority")
    assert judged.low > 0
    assert judged.p_value < 0.05 < judged.adjusted_p_value
    assert judged.verdict == "within noise"
    assert result.to_dict()["best"]["verdict"] != "better"


@pytest.mark.slow
def test_equal_strategies_are_called_different_in_few_comparisons(rng):
    wrong = {"adjusted": 0, "single": 0}
    truth = truth_of(300, 60)
    for _ in range(120):
        decisions = {f"s{i}": [noisy(truth, [0.05, 0.3], rng)] for i in range(7)}
        result = comparison_of(truth, decisions, metrics=["f1_minority"])
        found = [result.judgement(name, "f1_minority") for name in result.strategies[1:]]
        wrong["adjusted"] += any(judged.verdict != "within noise" for judged in found)
        wrong["single"] += any(judged.p_value < 0.05 for judged in found)
    # 5 % of 120 comparisons, and more than three standard errors; without Holm it is more often.
    assert wrong["adjusted"] <= 14
    assert wrong["single"] > wrong["adjusted"]


@pytest.mark.slow
def test_intervals_of_one_run_hold_the_truth_in_most_test_sets(rng):
    inside = 0
    for _ in range(200):
        truth = truth_of(400, rng.binomial(400, 0.1))
        decisions = {
            "none": [noisy(truth, [0.02, 0.5], rng)],
            "over": [noisy(truth, [0.04, 0.3], rng)],
        }
        result = comparison_of(truth, decisions, metrics=["recall_minority"])
        judged = result.judgement("over", "recall_minority")
        inside += judged.low <= 0.2 <= judged.high
    # 190 are expected; the standard deviation is 3.
    assert inside >= 179


# ------------------------------------------------------------------------- more images


def test_the_number_of_images_is_that_of_mcnemar_s_sample_size():
    # Connor: n = (z_a sqrt(p) + z_b sqrt(p - d^2))^2 / d^2 for pairs, with p discordant.
    n, p, d = 200, 0.2, 0.05
    variance = (p - d**2) / n
    by_connor = (1.96 * np.sqrt(p) + 0.8416 * np.sqrt(p - d**2)) ** 2 / d**2
    assert n * needed_factor(d, variance) == pytest.approx(by_connor, rel=0.02)


def test_seeds_that_differ_too_much_need_more_seeds_not_images():
    assert needed_factor(0.1, 0.1**2, fixed_variance=0.05**2) == np.inf
    assert needed_factor(0.1, 0.1**2, fixed_variance=0.01**2) > needed_factor(0.1, 0.1**2)


@pytest.mark.slow
@pytest.mark.parametrize("n_folds", [None, 5])
def test_with_so_many_more_images_the_interval_excludes_zero_in_four_of_five(n_folds, rng):
    def judged(n):
        truth = np.tile([0, 0, 0, 0, 1], n // 5)
        truth = truth[rng.permutation(len(truth))]
        decisions = {
            "none": [noisy(truth, [0.02, 0.5], rng)],
            "over": [noisy(truth, [0.02, 0.36], rng)],
        }
        result = (
            comparison_of(truth, decisions, metrics=["balanced_accuracy"])
            if n_folds is None
            else by_folds(truth, decisions, n_folds)
        )
        return result.judgement("over", "balanced_accuracy")

    first = [judged(200) for _ in range(80)]
    close = [one for one in first if np.isfinite(one.more_images)]
    close = sorted(close, key=lambda one: abs(one.difference - 0.07))[:8]
    more = np.median([one.more_images for one in close])
    shown = [judged(5 * round(40 + more)).p_value < 0.05 for _ in range(100)]
    assert 0.65 <= np.mean(shown) <= 0.95


# ------------------------------------------------------------------------- files


def test_the_json_file_has_the_verdict_and_winner_of_follows_it(rng):
    truth, decisions = pair(rng)
    figures = json.loads(json.dumps(comparison_of(truth, decisions).to_dict()))
    entry = figures["strategies"]["over"]["f1_minority"]
    assert entry["verdict"] == "better"
    assert entry["uncertainty"] == "test images"
    assert figures["strategies"]["none"]["f1_minority"]["verdict"] is None
    assert figures["verdict_sentences"]
    assert figures["best"]["verdict"] == "better"
    assert figures["best"]["p_value"] == entry["p_value"]
    # The adjusted verdict decides, not the interval.
    entry["verdict"] = "within noise"
    assert winner_of(figures)["verdict"] == "within noise"
    # A file of an earlier version has intervals alone.
    for each in figures["strategies"].values():
        for key in ("verdict", "p_value", "adjusted_p_value", "uncertainty"):
            del each["f1_minority"][key]
        each["f1_minority"]["values"] *= 3
    assert winner_of(figures)["verdict"] == "better"


def test_strategies_of_one_mean_are_told_as_equal(rng):
    truth, decisions = pair(rng)
    decisions["twin"] = [decisions["over"][0].copy()]
    result = comparison_of(truth, decisions)
    assert result.all_best("f1_minority") == ["over", "twin"]
    best = result.to_dict()["best"]
    assert (best["strategy"], best["equal"]) == ("over", ["twin"])


def test_a_judgement_is_made_of_plain_values(rng):
    truth, decisions = pair(rng)
    for metric in ("f1_minority", "worst_recall"):
        judged = comparison_of(truth, decisions).judgement("over", metric)
        for field in dataclasses.fields(judged):
            assert type(getattr(judged, field.name)) in (float, int, str, bool, type(None))
