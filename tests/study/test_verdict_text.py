"""The words of the verdict, in sentences and on the terminal."""

import re

import numpy as np
import pytest
from simulated_comparisons import comparison_of, noisy, regression_comparison_of

from skimb._messages import counted
from skimb.study._baseline_trouble import baseline_trouble, short_trainings
from skimb.study._comparison_text import format_table
from skimb.study._verdict_facts import differing
from skimb.study._verdict_text import (
    headline_sentences,
    p_value_text,
    verdict_sentences,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def truth_of(n=400, n_rare=60):
    return np.r_[np.zeros(n - n_rare, int), np.ones(n_rare, int)]


def by_folds(truth, decisions, n_folds=5, **more):
    rows = [np.arange(fold, len(truth), n_folds) for fold in range(n_folds)]
    split = {name: [one[part] for part in rows] for name, one in decisions.items()}
    return comparison_of(truth, split, rows=rows, test_share=1 / (n_folds - 1), n_repeats=1, **more)


def ladder(rng, **rates):
    """Decisions of strategies that miss these fractions of the rare images."""
    truth = truth_of()
    return truth, {name: [noisy(truth, [0.02, rate], rng)] for name, rate in rates.items()}


def slightly_better():
    """A strategy that finds five rare images more than the baseline, and misses two others."""
    truth = truth_of()
    base = truth.copy()
    base[-30:] = 0
    over = base.copy()
    over[-30::6] = 1
    over[[-60, -50]] = 0
    order = np.random.default_rng(1).permutation(len(truth))
    return truth[order], {"none": [base[order]], "over": [over[order]]}


def test_the_first_sentence_says_what_is_better_by_how_much_and_what_that_means(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.2, under=0.9, focal=0.45)
    result = comparison_of(truth, decisions)
    text = verdict_sentences(result)[0]
    judged = result.judgement("over", "f1_minority")
    assert text.startswith("By minority F1, over is better than the baseline none: ")
    for value in (judged.low, judged.high, judged.difference):
        assert f"{value:+.3f}" in text
    assert "corrected for 3 strategies" in text
    assert f"McNemar's test of all decisions: {p_value_text(judged.mcnemar_p_value)}" in text
    matrix, base = result.confusion_matrix("over"), result.confusion_matrix("none")
    assert (
        f"Of the 60 test images of class c1 it finds {matrix[1, 1]} (the baseline {base[1, 1]}), "
        f"and it takes {matrix[0, 1]} other images for class c1 (the baseline {base[0, 1]})"
    ) in text
    assert "Worse than the baseline: under (-" in text
    assert "Within noise: focal." in text


def test_the_headline_has_three_sentences_without_tests(rng):
    better = comparison_of(*ladder(rng, none=0.5, over=0.2, under=0.9))
    text = headline_sentences(better)
    judged = better.judgement("over", "f1_minority")
    assert len(text) == 3
    assert text[0].startswith("By minority F1, over is better than the baseline none: ")
    assert f"a difference of {judged.difference:+.3f}, with a 95 % interval from" in text[0]
    assert text[1].startswith("By balanced accuracy, ")
    assert text[2] == (
        "The intervals come from 20,000 resamples of the 400 test images; the seed of the "
        "training and the choice of the training images are not in them: another training "
        "may show another order."
    )
    truth, decisions = slightly_better()
    single = {name: runs[0] for name, runs in decisions.items()}
    unsure = headline_sentences(by_folds(truth, single))
    assert "no strategy is shown to be better than the baseline none" in unsure[0]
    assert unsure[0].endswith("and it is within noise.")
    assert unsure[2].startswith("No number of repeats will settle whether over is better")
    assert "more images of class c1" in unsure[2]
    assert not any("p = " in sentence or ". " in sentence for sentence in [*text, *unsure])


def test_the_headline_begins_with_a_baseline_that_is_not_trained(rng):
    truth = truth_of()
    none = {"none": [np.zeros_like(truth)], "over": [noisy(truth, [0.02, 0.3], rng)]}
    first, second, third = headline_sentences(comparison_of(truth, none))
    assert "finds no image of the minority class c1" in first
    assert "differences to it say little; train " in first
    assert second.startswith("By minority F1, over is better")
    assert third.startswith("By balanced accuracy")


def test_worse_and_within_noise_cannot_be_read_as_one(rng):
    truth, decisions = ladder(rng, none=0.5, under=0.9, class_weight=0.45)
    text = " ".join(verdict_sentences(comparison_of(truth, decisions)))
    assert "worse under within noise" not in text.lower()
    assert "under is worse than the baseline; class_weight is within noise" in text


def test_equal_best_strategies_are_all_named(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.2)
    decisions["twin"] = decisions["over"]
    text = verdict_sentences(comparison_of(truth, decisions))[0]
    assert "over and twin are better than the baseline" in text
    # And where nothing is better.
    decisions = {"none": decisions["none"], "same": decisions["none"]}
    text = verdict_sentences(comparison_of(truth, decisions))[0]
    assert "no strategy has a higher mean than the baseline none" in text
    assert "that of same is equal" in text


def test_several_better_ones_are_not_ranked(rng):
    truth, decisions = ladder(rng, none=0.7, over=0.2, focal=0.25)
    text = verdict_sentences(comparison_of(truth, decisions))[0]
    assert "Better than the baseline too: " in text
    assert "which of them is the best was not tested" in text


def test_one_run_says_what_its_intervals_contain(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.2, focal=0.4)
    text = " ".join(verdict_sentences(comparison_of(truth, decisions)))
    assert "The intervals come from 20,000 resamples of the 400 test images." in text
    assert "The seed of the training and the choice of the training images are not in them" in text
    assert "1 runs" not in text
    assert "ran 1 times" not in text


def test_seeds_and_folds_are_told_as_what_they_are(rng):
    truth = truth_of()
    decisions = {
        name: [noisy(truth, [0.02, rate], rng) for _ in range(3)]
        for name, rate in (("none", 0.5), ("over", 0.4))
    }
    text = " ".join(verdict_sentences(comparison_of(truth, decisions)))
    assert "contain the choice of the 400 test images and the 3 seeds" in text
    one = {name: runs[0] for name, runs in decisions.items()}
    text = " ".join(verdict_sentences(by_folds(truth, one)))
    assert "the choice of the training images and of the test images, and the seeds" in text
    assert "(Holm)" not in text


def test_a_run_without_intervals_speaks_of_none(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.4)
    result = comparison_of(truth, decisions)
    for name in result.strategies:
        # A measure that no sum over images gives.
        result.outcomes[name][0].scores = {"own": 0.5 + 0.1 * (name == "over")}
    text = " ".join(str(result).split())
    assert "One run cannot tell whether it is more than noise." in text
    for word in ("interval", "corrected", "±", "nan", "1 runs"):
        assert word not in text


def test_two_runs_say_that_they_cannot_tell(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.3)
    result = by_folds(truth, {name: runs[0] for name, runs in decisions.items()}, n_folds=2)
    text = " ".join(str(result).split())
    assert "Two runs cannot tell whether it is more than noise" in text
    assert "95 % interval" not in text
    assert "too few runs" in text


def test_what_would_settle_a_difference_within_noise():
    result = comparison_of(*slightly_better())
    judged = result.judgement("over", "f1_minority")
    assert judged.verdict == "within noise"
    text = verdict_sentences(result)[-1]
    number = f"{float(f'{judged.more_images:.1e}'):,.0f}"
    assert f"About {number} more test images of class c1, with the other classes" in text
    assert "with a probability of 80 %" in text


def test_repeats_are_not_recommended_where_they_cannot_help():
    truth, decisions = slightly_better()
    result = by_folds(truth, {name: runs[0] for name, runs in decisions.items()})
    judged = result.judgement("over", "f1_minority")
    assert judged.repeats_can_settle is False
    text = " ".join(verdict_sentences(result))
    assert "No number of repeats will settle whether over is better" in text
    assert "they shrink its interval by 47 % at most" in text
    assert "more images of class c1" in text


def test_an_interval_without_zero_that_is_within_noise_is_explained():
    truth = truth_of(1000, 200)
    base = truth.copy()
    base[-100:] = 0
    over = base.copy()
    over[-8:] = 1
    many = {f"same {i}": [base] for i in range(15)}
    result = comparison_of(truth, {"none": [base], "over": [over], **many})
    judged = result.judgement("over", "f1_minority")
    assert judged.low > 0
    text = " ".join(verdict_sentences(result))
    assert "no strategy is shown to be better" in text
    assert "Its interval alone excludes zero, but with so many strategies" in text


# ------------------------------------------------------------------------- the baseline


def test_a_baseline_that_finds_nothing_is_told_before_anything_else(rng):
    truth, decisions = ladder(rng, none=1.0, over=0.3)
    result = comparison_of(truth, decisions, gradient_steps=32, epochs=4, steps_per_epoch=8)
    first = verdict_sentences(result)[0]
    assert "finds no image of the minority class c1 (its F1 is 0 after 32 gradient steps)" in first
    assert "it is not trained" in first
    assert "--epochs 63 (max_epochs in Python; it was 4)" in first
    assert str(result).startswith("The baseline none finds no image")


def test_a_baseline_no_better_than_one_answer_is_told(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.3)
    decisions = {"none": [np.ones_like(truth)], **{"over": decisions["over"]}}
    trouble = str(baseline_trouble(comparison_of(truth, decisions)))
    assert "no better than the same answer for every image" in trouble


def test_few_steps_and_steep_losses_are_told(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.3)
    assert baseline_trouble(comparison_of(truth, decisions)) is None
    few = comparison_of(truth, decisions, gradient_steps=60)
    told = str(baseline_trouble(few))
    assert "for 60 gradient steps only, and most networks need more." in told
    assert "What is called better or worse holds for trainings of this length alone." in told
    # In one sentence of the headline, beside a strategy that is better.
    first = headline_sentences(few)[0]
    assert "need more; what is called better or worse holds for trainings" in first
    steep = comparison_of(truth, decisions, losses=np.linspace(1, 0.2, 10))
    assert "still fell steeply when its training ended" in str(baseline_trouble(steep))
    assert "holds for trainings of this length alone" in str(baseline_trouble(steep))
    flat = comparison_of(truth, decisions, losses=np.r_[np.linspace(1, 0.2, 8), 0.2, 0.19])
    assert baseline_trouble(flat) is None


def test_short_trainings_are_told_where_fits_warned_of_them(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.3, under=0.6)
    warned = ["500 gradient steps: the training loss still fell when they ended, so the network"]
    slow, done = np.linspace(1, 0.7, 12), np.r_[1, 0.2, np.full(10, 0.1)]
    assert short_trainings(comparison_of(truth, decisions, losses=slow)) is None
    assert short_trainings(comparison_of(truth, decisions, losses=done, warnings=warned)) is None
    result = comparison_of(truth, decisions, losses=slow, warnings=warned)
    told = str(short_trainings(result))
    assert told.startswith("The training loss of all strategies that train a network still fell")
    assert "--epochs 20 (max_epochs in Python; it was 10)" in told
    assert told in verdict_sentences(result)
    for name in ("none", "under"):
        result.outcomes[name][0].train_loss[:] = done.tolist()
    told = str(short_trainings(result))
    assert told.startswith("The training loss of over still fell when its training ended")


def test_measures_that_agree_are_not_said_to_differ(rng):
    truth, decisions = ladder(rng, none=0.6, over=0.2)
    assert differing(comparison_of(truth, decisions)) == []
    # It finds all rare images, and calls many others rare.
    decisions["under"] = [noisy(truth, [0.4, 0.0], rng)]
    result = comparison_of(truth, decisions)
    words = {result.judgement("under", metric).verdict for metric in result.verdict_metrics}
    assert len(words) == 2
    assert differing(result) == ["under"]


def test_one_of_a_thing_is_told_in_the_singular():
    assert (counted(1, "run"), counted(0, "run"), counted(12_500, "run")) == (
        "1 run",
        "0 runs",
        "12,500 runs",
    )
    truth = np.r_[np.zeros(60, int), 1]
    result = comparison_of(truth, {"none": [np.zeros(61, int)], "over": [truth]})
    texts = [str(result), repr(result), *verdict_sentences(result)]
    assert repr(result) == "<Comparison of 2 strategies over 1 run>"
    for text in texts:
        assert not re.search(r"(?<![\d.,])1 \w*(images|runs|pairs|steps|strategies|seeds)\b", text)


# ------------------------------------------------------------------------- the terminal


def many(rng, n_folds=5):
    names = ["none", "class_weight", "focal_weighted", "mixup_logit_adjusted", "smote_embedding"]
    truth, decisions = ladder(rng, **{name: 0.3 + 0.1 * i for i, name in enumerate(names)})
    return by_folds(truth, {name: runs[0] for name, runs in decisions.items()}, n_folds)


@pytest.mark.parametrize("width", [80, 100, 130])
def test_the_table_fits_in_the_terminal(width, rng):
    text = format_table(many(rng), width=width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert "smote_embedding" in text
    assert "within noise" in text
    # What has no place is named, and where it is.
    assert ("in the JSON file and the report" in text) == ("precision  recall" not in text)


def test_strategies_that_share_features_are_named(rng):
    truth, decisions = ladder(rng, none=0.5, over=0.4)
    result = comparison_of(truth, decisions, shared_features=["over"])
    assert "over: last layers on the features of one network, which they share" in str(result)


def test_long_names_keep_a_line_of_their_own(rng):
    name = "my network with\x1b a name that is long, and longer still"
    truth, decisions = ladder(rng, none=0.5, **{name: 0.4})
    text = format_table(comparison_of(truth, decisions, built_in={name: None}), width=80)
    assert "my network with\\x1b a name that is long, and longer still\n" in text
    assert "\x1b" not in text


def test_errors_of_numbers_are_lower_and_not_higher(rng):
    truth = rng.gamma(2, size=200)
    predictions = {
        "none": truth + rng.normal(size=200),
        "over": truth + rng.normal(scale=0.4, size=200),
    }
    result = regression_comparison_of(truth, predictions, tuned_for=None)
    text = verdict_sentences(result)[0]
    assert text.startswith("By balanced mean absolute error, over is better than the baseline")
    predictions["over"] = truth + rng.normal(scale=2, size=200)
    text = verdict_sentences(regression_comparison_of(truth, predictions))[0]
    assert "no strategy has a lower mean than the baseline none" in text
