"""Callbacks of scikit-learn watch a fit, epoch by epoch, and leave it as it is."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import EpochScoring
from torch import nn

from skimb.model_selection import LossSearchCV, MinimumCostClassifier, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier


class Record:
    """A callback of one's own, which notes each hook and what it gets."""

    max_propagation_depth = None

    def __init__(self, stops_after=None, fails_at=None):
        self.stops_after, self.fails_at = stops_after, fails_at
        self.events, self.fitted, self.said = [], [], []

    def setup(self, estimator, context):
        self.events.append(("setup", type(estimator).__name__, context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", type(estimator).__name__, context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", type(estimator).__name__, context.task_name))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(("end", type(estimator).__name__, context.task_name))
        self.said.append((X, y, metadata))
        # Random numbers that a callback draws are not missing in the training.
        torch.rand(3)
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
            if len(self.fitted) == self.fails_at:
                raise KeyError("of the callback")
        return len(self.fitted) == self.stops_after

    def names(self, event):
        return [(estimator, task) for kind, estimator, task in self.events if kind == event]


class Dropping(nn.Module):
    """A network with batch norm and dropout."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.layer = nn.Conv2d(n_channels, 4, 3, stride=2)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.head = nn.LazyLinear(n_outputs)
        self.eval()(torch.zeros(1, n_channels, 8, 8))
        self.train()

    def forward(self, images):
        return self.head(self.drop(torch.relu(self.norm(self.layer(images)))).flatten(1))


def quick(estimator=CNNClassifier, **params):
    own: dict[str, Any] = {
        "module": Dropping,
        "max_epochs": 3,
        "batch_size": 100,
        "lr_schedule": "constant",
        "augmentation": None,
        "random_state": 0,
    }
    return estimator(**{**own, **params})


def history_of(model):
    return [{**record, "seconds": None} for record in model.history_]


def test_each_epoch_is_a_task(small_digits):
    X, y = small_digits
    own, weight = Record(), np.ones(len(y))
    quick().set_callbacks(own).fit(X, y, sample_weight=weight)
    epoch, fit = ("CNNClassifier", "epoch"), ("CNNClassifier", "fit")
    assert own.events == [
        ("setup", *fit),
        ("begin", *fit),
        *[("begin", *epoch), ("end", *epoch)] * 3,
        ("end", *fit),
        ("teardown", *fit),
    ]
    for seen_X, seen_y, metadata in own.said:
        assert seen_X is X
        assert seen_y is y
        assert metadata["sample_weight"] is weight


VARIANTS: list[Any] = [
    (CNNClassifier, {}),
    (CNNClassifier, {"early_stopping": True, "n_iter_no_change": 99, "calibration": "temperature"}),
    pytest.param(
        CNNClassifier,
        {"module": "resnet", "class_weight": "balanced", "max_epochs": 2},
        marks=pytest.mark.exhaustive,
    ),
    (CNNRegressor, {"ranksim": 1.0, "loss": "balanced_mse", "max_epochs": 1}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "params"), VARIANTS)
def test_the_score_of_an_epoch_is_that_of_a_training_of_so_many_epochs(
    estimator, params, small_digits
):
    X, y = small_digits[0][:120], small_digits[1][:120]
    y = np.linspace(0, 1, len(y)) if estimator is CNNRegressor else y
    scoring = "r2" if estimator is CNNRegressor else "neg_log_loss"
    monitor = ScoringMonitor(scoring=scoring)
    fitted = quick(estimator, **params).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    n_epochs = fitted.max_epochs
    assert log["task_name"].tolist() == ["fit"] + ["epoch"] * n_epochs
    alone = [
        quick(estimator, **params).set_params(max_epochs=n).fit(X, y)
        for n in range(1, n_epochs + 1)
    ]
    expected = [get_scorer(scoring)(model, X, y) for model in alone]
    # The fit itself comes first in the log, and is the last of them.
    assert log[scoring].tolist() == [expected[-1], *expected]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (CNNClassifier, {"augmentation": ["flip_crop", "mixup"], "lr_schedule": "one_cycle"}),
        (CNNClassifier, {"early_stopping": "refit", "calibration": "temperature"}),
        (CNNClassifier, {"batch_sampling": "progressive", "max_epochs": 4, "reweight_after": 0.5}),
        (CNNClassifier, {"module": "simple_cnn", "freeze": "gradual", "lr_decay": 0.5}),
        (CNNRegressor, {"ranksim": 1.0, "early_stopping": True}),
    ],
)
@pytest.mark.filterwarnings("ignore:freeze:UserWarning")
def test_a_fit_that_is_watched_is_the_same_to_the_bit(estimator, params, small_digits):
    X, y = small_digits[0][:150], small_digits[1][:150]
    y = np.linspace(0, 1, len(y)) if estimator is CNNRegressor else y
    alone = quick(estimator, **params).fit(X, y)
    scoring = "r2" if estimator is CNNRegressor else "f1_macro"
    monitor, own = ScoringMonitor(scoring=scoring), Record()
    watched = quick(estimator, **params).set_callbacks(monitor, own).fit(X, y)
    assert history_of(watched) == history_of(alone)
    for name, values in alone.module_.state_dict().items():
        assert torch.equal(watched.module_.state_dict()[name], values), name
    np.testing.assert_array_equal(watched.predict(X), alone.predict(X))
    assert all(one.predict(X).shape == y.shape for one in own.fitted)


def test_the_estimator_of_an_epoch_keeps_its_weights_while_the_training_goes_on(small_digits):
    X, y = small_digits
    own = Record()
    last = quick(lr=0.05, net_callbacks=[EpochScoring("accuracy", on_train=True)])
    last.set_callbacks(own).fit(X, y)
    first = quick(lr=0.05, max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(own.fitted[0].predict_proba(X), first.predict_proba(X))
    assert not np.array_equal(own.fitted[0].predict_proba(X), last.predict_proba(X))
    assert [one.n_iter_ for one in own.fitted] == [1, 2, 3]
    restored = pickle.loads(pickle.dumps(copy.copy(own.fitted[0]).set_callbacks()))
    np.testing.assert_array_equal(restored.predict_proba(X), first.predict_proba(X))


def test_a_callback_can_end_the_training(small_digits):
    X, y = small_digits
    stopped = quick().set_callbacks(Record(stops_after=2)).fit(X, y)
    shorter = quick(max_epochs=2).fit(X, y)
    assert stopped.n_iter_ == 2
    np.testing.assert_array_equal(stopped.predict_proba(X), shorter.predict_proba(X))


def test_a_refit_is_a_second_task_with_epochs(small_digits):
    own = Record()
    clf = quick(early_stopping="refit").set_callbacks(own).fit(*small_digits)
    tasks = [task for _, task in own.names("begin")]
    assert tasks[:2] == ["fit", "find the best epoch"]
    assert tasks[2 : 2 + clf.n_iter_] == ["epoch"] * clf.n_iter_
    assert tasks[2 + clf.n_iter_] == "train on all samples"
    assert set(tasks[3 + clf.n_iter_ :]) == {"epoch"}


def test_a_callback_that_fails_ends_the_fit_and_is_torn_down(small_digits):
    own = Record(fails_at=2)
    clf = quick().set_callbacks(own)
    with pytest.raises(KeyError, match="of the callback"):
        clf.fit(*small_digits)
    assert own.events[-1][0] == "teardown"
    assert not hasattr(clf, "net_")
    assert set(vars(clf)) - set(vars(quick().fit(*small_digits))) == {
        "_skl_callbacks",
        "_stopped",
    }


def test_input_that_does_not_fit_is_an_error_before_callbacks_are_set_up(small_digits):
    own = Record()
    with pytest.raises(ValueError, match="NaN"):
        quick().set_callbacks(own).fit(np.full((4, 8, 8), np.nan), [0, 1, 0, 1])
    assert not own.events


def test_all_tasks_end_where_a_diverged_training_keeps_its_best_epoch(small_digits):
    class Exploding(nn.Module):
        n_calls = 0

        def forward(self, outputs, target):
            self.n_calls += self.training
            values = nn.functional.cross_entropy(outputs, target, reduction="none")
            return values * (torch.nan if self.n_calls > 8 else 1.0)

    own = Record()
    clf = quick(loss=Exploding(), early_stopping=True).set_callbacks(own)
    with pytest.warns(UserWarning, match="keeps the weights of the best epoch"):
        clf.fit(*small_digits)
    assert len(own.names("begin")) == len(own.names("end"))
    assert own.fitted[-1] is None


def test_clones_share_callbacks_and_copies_carry_them(small_digits):
    own = Record()
    clf = quick().set_callbacks(own)
    clone(clf).fit(*small_digits)
    assert len(own.names("setup")) == 1
    assert pickle.loads(pickle.dumps(quick().set_callbacks(Record()))).max_epochs == 3
    own.events.clear()
    clf.set_callbacks().fit(*small_digits)
    assert not own.events


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar_shows_each_fit_of_a_search(n_jobs, small_digits, capsys):
    search = GridSearchCV(quick(), {"lr": [1e-3, 1e-2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar()).fit(*small_digits)
    printed = capsys.readouterr().out
    assert "GridSearchCV - fit" in printed
    assert printed.count("100%") >= 6


@pytest.mark.slow
def test_a_progress_bar_shows_one_fit_and_a_pipeline(small_digits, capsys):
    quick().set_callbacks(ProgressBar()).fit(*small_digits)
    assert "CNNClassifier - fit" in capsys.readouterr().out
    pipeline = make_pipeline(FunctionTransformer(), quick())
    with pytest.warns(UserWarning, match="FunctionTransformer does not support callbacks"):
        pipeline.set_callbacks(ProgressBar()).fit(*small_digits)
    assert "Pipeline - fit" in capsys.readouterr().out


@pytest.mark.slow
def test_each_fit_of_a_search_in_processes_has_its_rows_in_the_log(small_digits):
    monitor = ScoringMonitor(scoring="f1_macro")
    search = GridSearchCV(
        quick(max_epochs=2).set_callbacks(monitor), {"lr": [1e-3, 1e-2]}, cv=2, n_jobs=2
    )
    search.fit(*small_digits)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log["task_name"] == "epoch"]
    # Four fits of the search, and the refit.
    assert len(epochs) == 5 * 2
    assert epochs["f1_macro"].between(0, 1).all()


FIT, EPOCHS = ("CNNClassifier", "fit"), [("CNNClassifier", "epoch")] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda net: DecoupledClassifier(net, head=LogisticRegression(), random_state=0),
            [("DecoupledClassifier", "fit"), FIT, *EPOCHS, ("LogisticRegression", "fit")],
        ),
        (
            lambda net: DecoupledClassifier(net, max_epochs=1, random_state=0),
            [
                ("DecoupledClassifier", "fit"),
                FIT,
                *EPOCHS,
                ("DecoupledClassifier", "train the head"),
            ],
        ),
        (
            lambda net: make_pipeline(CNNEmbedder(net), LogisticRegression()),
            [
                ("Pipeline", "fit"),
                ("CNNEmbedder", "fit"),
                FIT,
                *EPOCHS,
                ("LogisticRegression", "fit"),
            ],
        ),
        (
            lambda net: MinimumCostClassifier(net, cost_matrix=None),
            [("MinimumCostClassifier", "fit"), FIT, *EPOCHS],
        ),
        (
            lambda net: TunedOffsetsClassifierCV(net, random_state=0),
            [("TunedOffsetsClassifierCV", "fit"), *[FIT, *EPOCHS] * 3],
        ),
        (
            lambda net: LossSearchCV(net, {"class_weight": [None, "balanced"]}, cv=2),
            [
                ("LossSearchCV", "fit"),
                ("LossSearchCV", "search"),
                *([FIT, *EPOCHS] * 2),
                ("DecoupledClassifier", "fit"),
                FIT,
                *EPOCHS,
                ("DecoupledClassifier", "train the head"),
            ],
        ),
    ],
    ids=["own_head", "linear_head", "embedder", "costs", "offsets", "loss_search"],
)
def test_estimators_that_fit_a_network_hand_callbacks_on(make, expected, small_digits):
    own = Record()
    make(quick(max_epochs=2)).set_callbacks(own).fit(*small_digits)
    begun = [entry for entry in own.names("begin") if entry[1] != "lbfgs-iter"]
    assert begun == expected
    assert len(own.names("begin")) == len(own.names("end"))
    assert len(own.names("setup")) == len(own.names("teardown")) == 1


@pytest.mark.slow
def test_estimators_that_use_a_fitted_network_have_a_task_too(small_digits):
    network = FrozenEstimator(quick(max_epochs=1).fit(*small_digits))
    grid = {"class_weight": [None, "balanced"]}
    for estimator in (
        CNNEmbedder(network),
        DecoupledClassifier(network, head="tau_normalized"),
        LossSearchCV(network, grid, backbone="given", cv=2, refit=False),
    ):
        own = Record()
        estimator.set_callbacks(own).fit(*small_digits)
        assert own.names("begin")[0] == (type(estimator).__name__, "fit")
        assert len(own.names("begin")) == len(own.names("end"))
