from itertools import count

import numpy as np
import pytest
from imblearn.under_sampling import TomekLinks

from skimb import _distances
from skimb.over_sampling import SMOTE
from skimb.under_sampling import EmbeddedSampler, RandomUnderSampler


@pytest.fixture
def slow_machine(monkeypatch):
    """A machine on which the neighbours of 100 samples take a second."""
    seconds = count()
    monkeypatch.setattr(_distances.time, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(_distances, "NEVER_LONG", 0)
    monkeypatch.setattr(_distances, "TRIED", 100**2 * 16)


def samples(n_minority, n_majority):
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [n_majority, n_minority])
    return rng.randn(len(y), 16).astype(np.float32), y


@pytest.mark.usefixtures("slow_machine")
def test_smote_says_what_a_long_search_within_a_class_will_take():
    with pytest.warns(UserWarning, match=r"SMOTE compares 3,000 samples .* about 15 minutes"):
        SMOTE(random_state=0).fit_resample(*samples(3000, 3010))


@pytest.mark.usefixtures("slow_machine")
def test_a_search_within_a_small_minority_is_not_announced():
    SMOTE(random_state=0).fit_resample(*samples(1000, 6000))


@pytest.mark.usefixtures("slow_machine")
def test_a_cleaner_is_announced_because_it_searches_among_all_samples():
    X, y = samples(100, 8000)
    with pytest.warns(UserWarning, match=r"TomekLinks compares 8,100 samples .* about 2 hours"):
        EmbeddedSampler(TomekLinks()).fit_resample(X, y)
    EmbeddedSampler(RandomUnderSampler(random_state=0)).fit_resample(X, y)


@pytest.mark.usefixtures("slow_machine")
def test_few_columns_are_searched_by_a_tree_and_not_announced():
    X, y = samples(3000, 3010)
    SMOTE(random_state=0).fit_resample(X[:, :15], y)


@pytest.mark.usefixtures("slow_machine")
def test_distances_in_blocks_are_announced_after_the_first_block(monkeypatch):
    points, codes = np.zeros((700, 2)), np.zeros((700, 1), dtype=int)
    monkeypatch.setattr(_distances, "DISTANCES_AT_ONCE", 700)
    with pytest.warns(UserWarning, match=r"700 samples .* about 12 minutes") as caught:
        _distances.half_medians(points, codes)
    assert len(caught) == 1
    # Half as many samples a block last half as long.
    monkeypatch.setattr(_distances, "DISTANCES_AT_ONCE", 1400)
    _distances.half_medians(points, codes)


def test_an_announced_search_finds_the_same_neighbours(monkeypatch):
    X, y = samples(300, 310)
    expected, _ = SMOTE(random_state=0).fit_resample(X, y)
    monkeypatch.setattr(_distances, "NEVER_LONG", 0)
    monkeypatch.setattr(_distances, "LONG", -1)
    with pytest.warns(UserWarning, match="about 0 minutes"):
        found, _ = SMOTE(random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)
