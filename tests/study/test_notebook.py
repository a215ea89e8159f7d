"""A comparison in a notebook: verdict and table, safe, and in the colours of any theme."""

import re

import pytest
from made_comparisons import AWKWARD, made_comparison, made_regression
from test_report import Page

from skimb.study import _notebook
from skimb.study._verdict_text import headline_sentences

#: Making comparisons takes seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown():
    awkward = made_comparison(len(AWKWARD), classes=AWKWARD, cv=2, strategies=["over", "threshold"])
    one_run = made_comparison(2, counts=[20, 60], X_test=True, strategies=["over"])
    found = {"awkward": awkward, "one run": one_run, "numbers": made_regression()}
    return {name: (comparison, comparison._repr_html_()) for name, comparison in found.items()}


NAMES = pytest.mark.parametrize("name", ["awkward", "one run", "numbers"])


@NAMES
def test_the_verdict_and_every_strategy_are_shown(shown, name):
    comparison, html = shown[name]
    page = Page(html)
    for sentence in headline_sentences(comparison):
        assert " ".join(sentence.split()) in page.text
    metric = comparison.verdict_metrics[0]
    for strategy in comparison.strategies:
        mean = comparison.judgement(strategy, metric).mean
        assert re.search(rf"{re.escape(strategy)}\s+{comparison.text(mean, metric)}", page.text)
    # One row a strategy, and the head.
    assert len(page.of("tr")) == 1 + len(comparison.strategies)


@NAMES
def test_it_needs_nothing_else_and_changes_nothing_else(shown, name):
    _, html = shown[name]
    page = Page(html)
    assert not page.of("script", "link", "img", "svg", "iframe")
    assert not re.search(r"https?:|@import|url\(", html)
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    assert all(
        selector.strip().startswith(".skimb-shown")
        for rule in re.findall(r"([^{}]+)\{", style)
        for selector in rule.split(",")
    )
    # Neither light nor dark: the text has the colour of the notebook.
    assert re.findall(r"(?<![-\w])color: ([^;]+);", style) == ["inherit", "inherit"]


def test_names_of_strategies_are_no_markup():
    comparison = made_comparison(2, counts=[20, 60], X_test=True, strategies=["over"])
    for table in (comparison.outcomes, comparison.chosen):
        table["<script>x</script>"] = table.pop("over")
    page = Page(comparison._repr_html_())
    assert not page.of("script")
    assert "<script>x</script>" in page.text


def test_costs_come_first():
    comparison = made_comparison(2, classes=["crack", "sound"], counts=[40, 200], cv=2)
    costs = {"deploy": {"crack": 0.05, "sound": 0.95}, "costs": {"miss": 20, "alarm": 1}}
    comparison.deployment = comparison.at(**costs)
    text = Page(comparison._repr_html_()).text
    assert text.index("Where 5 % of the images are crack") < text.index("By minority F1")
    assert "not of its decisions where it will be used" in text


def test_a_training_that_was_short_is_told(shown, monkeypatch):
    comparison, html = shown["one run"]
    assert "caution" not in [attrs.get("class") for attrs in Page(html).of("p")]
    monkeypatch.setattr(_notebook, "short_trainings", lambda comparison: "The loss still fell.")
    page = Page(comparison._repr_html_())
    assert {"class": "caution"} in page.of("p")
    assert "The loss still fell." in page.text
