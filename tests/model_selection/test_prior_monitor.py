"""A stream of batches: the estimates, and an alarm whose false alarms are bounded over time."""

import re
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from skimb.model_selection import PriorMonitor
from skimb.model_selection._score_evidence import Evidence, mean_bounds


class Logistic(ClassifierMixin, BaseEstimator):
    """The true probabilities of two normal classes at distance 3, for a fraction of 10 %."""

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness
        self.classes_ = np.array(["healthy", "ill"])

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        log_odds = self.sharpness * (3 * X[:, 0] - 4.5 + np.log(1 / 9))
        proba = 1 / (1 + np.exp(-log_odds))
        return np.column_stack([1 - proba, proba])


def draw(n, fraction, rng):
    y = rng.random(n) < fraction
    return rng.standard_normal((n, 1)) + 3.0 * y[:, None], np.array(["healthy", "ill"])[
        y.astype(int)
    ]


def watch(rng, clf=None, *, n_val=1000, **params):
    X_val, y_val = draw(n_val, 0.1, rng)
    return PriorMonitor(clf or Logistic(), X_val=X_val, y_val=y_val, random_state=0, **params)


def test_bounds_of_a_mean_hold_and_are_narrow_where_values_vary_little():
    rng = np.random.default_rng(0)
    missed = []
    for _ in range(500):
        low, high = mean_bounds((rng.random(50) < 0.1).astype(float), 0.1)
        missed.append(not low <= 0.1 <= high)
    assert np.mean(missed) <= 0.1
    hard = mean_bounds(np.repeat([0.0, 1.0], [450, 50]), 0.05)
    soft = mean_bounds(np.repeat([0.05, 0.15], 250), 0.05)
    assert 0.06 < hard[0] < 0.08 < 0.12 < hard[1] < 0.15
    assert 0.085 < soft[0] < 0.1 < soft[1] < 0.115
    assert mean_bounds(np.zeros(20), 0.05)[0] == 0
    assert mean_bounds(np.zeros(20), 0.05)[1] < 0.5
    assert mean_bounds(np.ones(20), 0.05) == pytest.approx(
        (1 - mean_bounds(np.zeros(20), 0.05)[1], 1)
    )


def naive_evidence(batches, low, high):
    """All bets one by one: of each start, each size, each side and each score."""
    from skimb.model_selection._score_evidence import BETS

    n_scores, sides = len(low), []
    for sign, centre in ((1, high), (-1, low)):
        for k in range(n_scores):
            room = centre[k] if sign == 1 else 1 - centre[k]
            total = 0.0
            for bet in BETS / room:
                for start in range(1, len(batches) + 1):
                    wealth = 1.0
                    for scores in batches[start - 1 :]:
                        wealth *= np.prod(1 + bet * sign * (scores[:, k] - centre[k]))
                    total += wealth / (start * (start + 1)) / len(BETS)
            sides.append(total + 1 / (len(batches) + 1))
    return np.log(np.mean(sides)), np.log(np.reshape(sides, (2, n_scores)))


def test_the_evidence_is_that_of_all_bets_one_by_one():
    rng = np.random.default_rng(0)
    low, high = np.array([0.2, 0.3]), np.array([0.3, 0.5])
    evidence, batches = Evidence(low, high), []
    for size in (3, 1, 5, 2):
        batches.append(rng.random((size, 2)))
        found, by_side = evidence.update(batches[-1])
        expected, expected_by_side = naive_evidence(batches, low, high)
        assert found == pytest.approx(expected)
        np.testing.assert_allclose(by_side, expected_by_side)


def test_the_evidence_is_fair_at_the_edge_of_the_bounds():
    # The expectation is one at any time; most of it is in few streams, so batches are small.
    rng = np.random.default_rng(1)
    values = []
    for _ in range(3000):
        evidence = Evidence([0.3], [0.3])
        for _ in range(3):
            found, _ = evidence.update((rng.random((2, 1)) < 0.3).astype(float))
        values.append(np.exp(found))
    assert np.mean(values) == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_at_most_the_stated_share_of_streams_without_a_change_raises_an_alarm(sharpness):
    rng = np.random.default_rng(2)
    clf, n_streams = Logistic(sharpness), 200
    alarms = 0
    for _ in range(n_streams):
        monitor = watch(rng, clf, n_val=300, n_bootstrap=0, false_alarm_rate=0.2)
        for _ in range(50):
            monitor.update(draw(40, 0.1, rng)[0])
        alarms += monitor.history_[-1]["alarm"]
    assert alarms <= binom.ppf(0.99, n_streams, 0.2)


@pytest.mark.slow
def test_a_change_from_10_to_30_per_cent_is_found_within_a_few_batches():
    rng = np.random.default_rng(3)
    delays = []
    for _ in range(10):
        monitor = watch(rng, n_bootstrap=0)
        for i in range(50):
            record = monitor.update(draw(100, 0.1 if i < 40 else 0.3, rng)[0])
            if i < 40:
                assert not record["alarm"]
        delays.append(1 + [one["alarm"] for one in monitor.history_[40:]].index(True))
        assert record["moved"] == {"healthy": "down", "ill": "up"}
    assert np.median(delays) <= 4
    assert max(delays) <= 8


def test_a_fall_of_the_prior_is_found_too():
    rng = np.random.default_rng(4)
    monitor = watch(rng, n_bootstrap=0, reference={"healthy": 0.5, "ill": 0.5})
    for _ in range(5):
        record = monitor.update(draw(100, 0.1, rng)[0])
    assert record["alarm"]
    assert record["moved"]["ill"] == "down"
    np.testing.assert_allclose(monitor.reference_, [0.5, 0.5])


def test_records_have_the_estimate_of_the_window():
    rng = np.random.default_rng(5)
    monitor = watch(rng, Logistic(2.0), window=2, n_bootstrap=50)
    for fraction in (0.1, 0.4, 0.4):
        record = monitor.update(draw(400, fraction, rng)[0])
    assert record["batch"] == 3
    assert (record["n_samples"], record["n_window"]) == (400, 800)
    low, high = record["interval"][1]
    assert 0.3 < low < record["prior"][1] < high < 0.5
    assert record["prior"][1] == pytest.approx(0.4, abs=0.06)
    assert record["absent"] == []
    frame = monitor.to_frame()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["prior[ill]"].iloc[-1] == record["prior"][1]
    assert frame["low[ill]"].iloc[-1] == low
    assert monitor.reset().history_ == []
    assert monitor.to_frame().empty


def test_three_classes_are_watched_and_the_moved_one_is_named():
    rng = np.random.default_rng(6)

    def three(n, prior):
        y = rng.choice(3, p=prior, size=n)
        return rng.standard_normal((n, 3)) + 2 * np.eye(3)[y], y

    clf = LogisticRegression().fit(*three(2000, [0.8, 0.1, 0.1]))
    X_val, y_val = three(1500, [0.8, 0.1, 0.1])
    monitor = PriorMonitor(clf, X_val=X_val, y_val=y_val, n_bootstrap=20, random_state=0)
    for _ in range(4):
        record = monitor.update(three(200, [0.5, 0.1, 0.4])[0])
    assert record["alarm"]
    assert record["moved"] == {0: "down", 2: "up"}
    assert record["interval"].shape == (3, 2)


def test_a_figure_shows_the_estimates_and_the_alarm():
    rng = np.random.default_rng(7)
    monitor = watch(rng, n_bootstrap=5)
    with pytest.raises(ValueError, match="nothing to plot"):
        monitor.plot()
    for _ in range(4):
        monitor.update(draw(200, 0.5, rng)[0])
    with mpl.rc_context({"backend": "agg"}):
        ax: Any = monitor.plot()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ill", "alarm"]
        with pytest.raises(ValueError, match=r"unknown ones: \['dead'\]"):
            monitor.plot(labels=["dead"])
        plt.close("all")


def test_a_monitor_is_shown_with_its_batches_and_its_alarm():
    rng = np.random.default_rng(7)
    monitor = watch(rng, n_bootstrap=0)
    start = r"PriorMonitor\(Logistic, window=\d+, false_alarm_rate=0\.\d+\): "
    assert re.fullmatch(start + "0 batches, no alarm", repr(monitor))
    while not monitor.update(draw(300, 0.7, rng)[0])["alarm"]:
        pass
    n = len(monitor.history_)
    monitor.update(draw(300, 0.7, rng)[0])
    assert re.fullmatch(start + f"{n + 1} batches, alarm in batch {n}", repr(monitor))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 0}, "`window` must be a whole number, at least 1"),
        ({"n_bootstrap": 1.5}, "`n_bootstrap` must be a whole number"),
        ({"false_alarm_rate": 0}, "`false_alarm_rate` must be a number between 0 and 1"),
        ({"reference": {"ill": 1.0}}, "`reference` must give a fraction for every label"),
        ({"X_val": None, "y_val": None}, "PriorMonitor needs `X_val` and `y_val`"),
    ],
)
def test_bad_input_is_refused(params, message):
    X, y = draw(50, 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        PriorMonitor(Logistic(), **{"X_val": X, "y_val": y, **params})
    with pytest.raises(ValueError, match="no samples"):
        PriorMonitor(Logistic(), X_val=X, y_val=y).update(X[:0])
