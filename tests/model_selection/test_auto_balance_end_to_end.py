"""AutoBalanceClassifier(search="end_to_end"): the numbers are searched through whole networks."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skimb.model_selection import AutoBalanceClassifier
from skimb.model_selection._end_to_end_choice import halves
from skimb.neural_network import CNNClassifier, load, save

LABELS = np.array(["easy", "hard", "rare"])


def planted(n_samples=600, seed=0):
    """Return rows of a table: a common class between two others is hard, the minority is easy."""
    rng = np.random.RandomState(seed)
    y = rng.choice(3, n_samples, p=[0.45, 0.45, 0.1])
    centres, spread = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 0.8, 0.3])
    X = rng.randn(n_samples, 2)
    X[:, 0] = centres[y] + spread[y] * X[:, 0]
    return X.astype(np.float32), LABELS[y]


def network(**options):
    given = {"module": "linear", "max_epochs": 3, "batch_size": 32, "lr": 0.03, "random_state": 0}
    return CNNClassifier(**{**given, **options})


def quick(estimator=None, **options):
    given = {"search": "end_to_end", "random_state": 0}
    return AutoBalanceClassifier(estimator or network(), **{**given, **options})


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(*planted())


@pytest.mark.filterwarnings("ignore:.*loss still fell")
def test_three_networks_are_trained_and_the_last_one_decides(fitted):
    X, y = planted()
    assert fitted.n_trainings_ == 3
    assert isinstance(fitted.estimator_, CNNClassifier)
    assert fitted.chosen_ in ("autobalance", "logit_adjustment")
    assert (fitted.predict(X) == y).mean() > 0.6
    assert fitted.history_
    assert {"split", "aim", "hypergradient_norm", "parameters"} <= fitted.history_[0].keys()
    loss = fitted.estimator_.loss_
    np.testing.assert_array_equal(loss.multiplier, fitted.multiplier_)
    np.testing.assert_array_equal(loss.offset, fitted.offset_)
    assert len(fitted.search_results_["parameters"]) == 4


@pytest.mark.filterwarnings("ignore:.*loss still fell")
def test_equal_seeds_give_equal_models(fitted):
    X, y = planted()
    again = clone(quick()).fit(X, y)
    assert again.history_ == fitted.history_
    assert again.search_results_ == fitted.search_results_
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.slow
def test_the_numbers_are_taken_where_logit_adjustment_cannot_serve_the_aim():
    # The minority class costs little: a larger margin for it is of no use.
    X, y = planted(1500)
    aim = np.array([[0.0, 1, 1], [6, 0, 6], [1, 1, 0]])
    model = quick(network(max_epochs=40), aim=aim, attributes=[0.0, 1.0, 0.0], cv=0.4).fit(X, y)
    results = model.search_results_
    assert model.chosen_ == "autobalance"
    assert results["gain"] > 1.645 * results["standard_error"]
    assert results["autobalance"] < results["logit_adjustment"]
    assert (model.predict(X) == y)[y == "hard"].mean() > 0.85


@pytest.mark.filterwarnings("ignore:.*loss still fell")
def test_logit_adjustment_is_taken_where_the_gain_is_noise():
    rng = np.random.RandomState(0)
    y = rng.choice(2, 300, p=[0.7, 0.3])
    X = (rng.randn(300, 2) + 2 * y[:, np.newaxis]).astype(np.float32)
    model = quick().fit(X, y)
    assert model.chosen_ == "logit_adjustment"
    np.testing.assert_array_equal(model.multiplier_, [1, 1])
    prior = np.bincount(y) / len(y)
    np.testing.assert_allclose(model.offset_, model.tau_ * np.log(prior))


@pytest.mark.filterwarnings("ignore:.*loss still fell")
@pytest.mark.filterwarnings("ignore:Fewer than 5 samples")
def test_with_few_held_out_samples_only_the_strength_of_the_adjustment_is_tuned():
    X, y = planted(60)
    model = quick().fit(X, y)
    assert model.chosen_ == "logit_adjustment"
    assert model.n_trainings_ == 2
    assert model.history_ == []


@pytest.mark.filterwarnings("ignore:.*loss still fell")
def test_classes_of_equal_counts_and_two_folds_work():
    X, y = planted(240)
    y = np.tile(LABELS, 80)
    model = quick(cv=2, attributes="free").fit(X, y)
    assert model.n_trainings_ == 5
    assert {record["split"] for record in model.history_} == {0, 1}


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*loss still fell")
# The folds of the grid leave few samples of the rare class to judge.
@pytest.mark.filterwarnings("ignore:Fewer than 5 samples of the classes:UserWarning")
def test_both_searches_can_be_compared_in_a_grid_and_the_model_stands_in_a_pipeline():
    X, y = planted()
    grid = GridSearchCV(quick(attributes="free"), {"search": ["head", "end_to_end"]}, cv=2)
    grid.fit(X, y)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(quick()).fit(X, y)
    assert set(pipeline.predict(X)) <= set(LABELS)


def test_it_is_saved_and_loaded(fitted, tmp_path):
    X, _ = planted()
    save(fitted, tmp_path / "model.skimb")
    again = load(tmp_path / "model.skimb")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.history_ == fitted.history_


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*loss still fell")
def test_weights_reach_the_trainings_and_samples_of_weight_zero_are_left_out():
    X, y = planted()
    weight = np.ones(len(y))
    weight[::3] = 0
    kept = weight > 0
    model = quick().fit(X, y, sample_weight=weight)
    alone = quick().fit(X[kept], y[kept])
    np.testing.assert_array_equal(model.offset_, alone.offset_)
    weighted = quick().fit(X, y, sample_weight=np.where(y == "hard", 3.0, 1.0))
    assert not np.array_equal(weighted.history_[0]["aim"], quick().fit(X, y).history_[0]["aim"])


def test_a_network_that_cannot_be_differentiated_twice_is_refused():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient

    class Network(nn.Module):
        def __init__(self, in_channels, n_outputs):
            super().__init__()
            self.layer = nn.Linear(2, n_outputs)

        def forward(self, images):
            return Once.apply(self.layer(images.flatten(1)) ** 2)

    with pytest.raises(ValueError, match=r"differentiated twice.*search='head'"):
        quick(network(module=Network)).fit(*planted(100))


def test_the_halves_divide_each_class_and_keep_groups_together():
    y = np.repeat([0, 1, 2], [40, 20, 4])
    groups = np.arange(64) // 2
    first = halves(y, groups, seed=0)
    assert np.bincount(y[first]).tolist() == [20, 10, 2]
    assert (first[::2] == first[1::2]).all()
    assert not np.array_equal(first, halves(y, groups, seed=1))
