"""compare(): fair, reproducible, and right in its statistics."""

import json
import os
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import StratifiedKFold

from skimb._known_predictions import RememberingClassifier
from skimb.datasets import load_imbalanced_digits
from skimb.losses import FocalLoss
from skimb.metrics import imbalance_scoring
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import RandomOverSampler
from skimb.study import STRATEGIES, compare
from skimb.study._classification_task import ClassificationTask
from skimb.study._statistics import corrected_interval, judge
from skimb.study._strategies import Strategy
from skimb.study._strategy_fits import fit_group

ESTIMATOR = CNNClassifier(max_epochs=2)
METRICS = ["f1_minority", "balanced_accuracy"]


def fit_strategies(names, estimator, X, y, *, seed):
    """Fit built-in strategies of one group."""
    group = [Strategy(name, name) for name in names]
    for strategy, fitted, seconds in fit_group(
        ClassificationTask(y), group, estimator, X, y, seed=seed
    ):
        yield strategy.name, fitted, seconds


@pytest.fixture(scope="module")
def data():
    X, y = load_imbalanced_digits(return_X_y=True)
    return X[::4], np.array(["rest", "eight"])[y[::4]]


@pytest.fixture(scope="module")
def comparison(data):
    return compare(*data, estimator=ESTIMATOR, cv=2, n_repeats=2, random_state=0, n_jobs=2)


# ------------------------------------------------------------------------- statistics


def test_corrected_interval_by_hand():
    differences = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    low, high = corrected_interval(differences, test_share=0.25)
    variance = (1 / 5 + 1 / 4) * differences.var(ddof=1)
    half = stats.t.ppf(0.975, 4) * np.sqrt(variance)
    assert (low, high) == pytest.approx((0.026 - half, 0.026 + half))
    plain = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert corrected_interval(differences, test_share=0) == pytest.approx(tuple(plain))


@pytest.mark.parametrize(
    ("interval", "word"),
    [((0.1, 0.2), "better"), ((-0.2, -0.1), "worse"), ((-0.1, 0.1), "within noise")],
)
def test_judge(interval, word):
    assert judge(*interval, n_runs=5) == word
    assert judge(*corrected_interval(np.array([0.1]), test_share=0.25), n_runs=1) == "one run"
    assert judge(np.nan, np.nan, n_runs=5) == "undefined"


# ------------------------------------------------------------------------- fairness


@pytest.mark.slow
def test_every_strategy_runs_on_every_fold_with_the_same_steps(comparison):
    assert comparison.strategies == list(STRATEGIES)
    table = comparison.table
    assert table.index.tolist() == list(STRATEGIES)
    defined = [column for column in table if column[1] in ("mean", "difference", "low", "high")]
    assert np.isfinite(table[defined]).all().all()
    # 213 training rows, batches of 16: 14 steps an epoch, for every strategy.
    assert comparison.protocol["gradient_steps"] == 2 * 14
    assert comparison.protocol["n_runs"] == 4
    support = {
        name: comparison.confusion_matrix(name).sum(axis=1).tolist()
        for name in comparison.strategies
    }
    assert len({tuple(rows) for rows in support.values()}) == 1
    assert sum(support["none"]) == 2 * 426


@pytest.mark.slow
@pytest.mark.parametrize("name", ["none", "class_weight", "over", "under", "balanced_batches"])
def test_steps_and_start_are_the_same_for_all(name, data):
    X, y = data
    estimator = CNNClassifier(max_epochs=2, steps_per_epoch=5)
    _, fitted, _ = next(fit_strategies((name,), estimator, X, y, seed=3))
    assert [row["train_batch_count"] for row in fitted.net_.history] == [5, 5]
    assert estimator.random_state is None
    # Untrained, every strategy's network is the same but for the bias, which knows the prior.
    frozen = CNNClassifier(max_epochs=1, steps_per_epoch=1, lr=1e-12, weight_decay=0)
    starts = [
        next(fit_strategies((strategy,), frozen, X, y, seed=3))[1].module_
        for strategy in ("none", name)
    ]
    torch.testing.assert_close(starts[0].head.weight, starts[1].head.weight)


@pytest.mark.slow
def test_each_strategy_sets_what_its_name_says(data):
    X, y = data
    shares = {}
    for name in ("none", "class_weight", "focal", "focal_weighted", "over", "under"):
        _, fitted, _ = next(fit_strategies((name,), ESTIMATOR, X, y, seed=0))
        shares[name] = fitted.effective_prior_[0]
        assert isinstance(fitted.loss_, FocalLoss) == name.startswith("focal")
    rare = np.mean(y == "eight")
    expected = dict.fromkeys(shares, 0.5) | {"none": rare, "focal": rare}
    assert shares == pytest.approx(expected)


@pytest.mark.slow
def test_shared_strategies_start_from_the_network_of_the_baseline(data):
    X, y = data
    names = ("none", "smote_embedding", "threshold", "prior_shift")
    fitted = {name: model for name, model, _ in fit_strategies(names, ESTIMATOR, X, y, seed=0)}
    plain = fitted["none"]
    np.testing.assert_array_equal(
        plain.predict_proba(X),
        CNNClassifier(max_epochs=2, random_state=0).fit(X, y).predict_proba(X),
    )
    assert fitted["smote_embedding"].estimator_ is plain
    np.testing.assert_allclose(fitted["smote_embedding"].head_.effective_prior_, 0.5)
    odds = fitted["prior_shift"].decision_function(X) - plain.decision_function(X)
    np.testing.assert_allclose(odds, np.log(np.mean(y == "eight") / np.mean(y == "rest")))
    assert plain.target_prior is None
    threshold = fitted["threshold"]
    assert threshold.estimator_ is plain
    moved = threshold.decision_function(X) - plain.decision_function(X)
    np.testing.assert_allclose(moved, threshold.offsets_[1] - threshold.offsets_[0])
    np.testing.assert_array_equal(
        threshold.predict(X) == "rest", threshold.decision_function(X) > 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_threshold_costs_no_more_steps_than_one_further_network(n_classes, data, monkeypatch):
    X, y = data
    if n_classes == 3:
        y = np.where(np.arange(len(y)) % 3 == 0, "other", y)
    n_rows, n_steps = [], []
    fit = CNNClassifier.fit

    def counted(self, X, y, *args):
        n_rows.append(len(y))
        fit(self, X, y, *args)
        n_steps.append(sum(row["train_batch_count"] for row in self.net_.history))
        return self

    monkeypatch.setattr(CNNClassifier, "fit", counted)
    names = ("none", "threshold")
    (_, plain, alone), (_, tuned, seconds) = fit_strategies(names, ESTIMATOR, X, y, seed=0)
    assert n_rows == [len(y), len(y) // 2, len(y) // 2]
    # Of as many epochs; the last batch of an epoch is a part of one.
    assert n_steps[0] <= sum(n_steps[1:]) <= n_steps[0] + 3
    assert seconds > alone
    shift = plain.predict_log_proba(X) + tuned.offsets_
    np.testing.assert_array_equal(tuned.predict(X), plain.classes_[shift.argmax(axis=1)])


@pytest.mark.parametrize(
    ("n_classes", "kept", "name"),
    [
        (2, None, "f1_minority"),
        (3, None, "f1_macro"),
        (2, ["balanced_accuracy", "f1_minority"], "balanced_accuracy"),
        (2, ["average_precision_minority", "mcc"], "mcc"),
        (2, ["average_precision_minority"], "f1_minority"),
        (3, ["f1_minority", "f1_macro"], "f1_macro"),
        (3, ["f1_minority"], "f1_minority"),
    ],
)
def test_a_threshold_is_tuned_for_what_the_comparison_is_about(n_classes, kept, name, data):
    y = data[1]
    if n_classes == 3:
        y = np.where(np.arange(len(y)) % 3 == 0, "other", y)
    scoring = imbalance_scoring(y)
    task = ClassificationTask(y)
    task.choose_measure(scoring if kept is None else {key: scoring[key] for key in kept})
    assert task.measure_name == task.describe()["tuned_for"] == name
    # What has a name here is handed on by it: that is quicker.
    assert isinstance(task.measure, str) == (name != "mcc")


@pytest.mark.slow
def test_a_scorer_of_ones_own_moves_the_threshold(data):
    X, y = data
    _, plain, _ = next(fit_strategies(("none",), ESTIMATOR, X, y, seed=0))
    called = {}
    for kind, scorer in {
        "recall": imbalance_scoring(y)["recall_minority"],
        "cost": make_scorer(lambda truth, found: -np.mean((found == "eight") & (truth == "rest"))),
        "named": "f1_minority",
    }.items():
        tuned = TunedOffsetsClassifierCV(clone(plain), scoring=scorer, random_state=0)
        called[kind] = np.sum(tuned.tune_fitted(plain, X, y).predict(X) == "eight")
    assert called["recall"] > called["named"] >= called["cost"]


def test_predictions_are_computed_once_for_one_test_set(data):
    X, y = data
    plain = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    asked = []

    class Counting:
        classes_ = plain.classes_

        def predict(self, X):
            asked.append(len(X))
            return plain.predict(X)

    remembering = RememberingClassifier(Counting())
    for part in (X, X, X[:5], X[:5]):
        np.testing.assert_array_equal(remembering.predict(part), plain.predict(part))
    # Another object is another question, equal or not.
    assert asked == [len(X), 5, 5]
    assert not hasattr(remembering, "decision_function")


@pytest.mark.slow
def test_results_are_equal_for_any_number_of_processes(comparison, data):
    names = ["over", "threshold"]
    again = compare(
        *data, strategies=names, estimator=ESTIMATOR, cv=2, n_repeats=2, random_state=0, n_jobs=1
    )
    for name in ["none", *names]:
        for metric in comparison.metrics:
            np.testing.assert_array_equal(
                again.values(name, metric), comparison.values(name, metric)
            )


@pytest.mark.slow
def test_the_table_is_what_the_runs_say(comparison):
    metric = "balanced_accuracy"
    values = comparison.values("over", metric)
    differences = values - comparison.values("none", metric)
    row = comparison.table.loc["over", metric]
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    low, high = corrected_interval(differences, test_share=1.0)
    # Cut at the differences that are possible: the measure lies between 0 and 1.
    base = comparison.values("none", metric).mean()
    possible = max(low, -base), min(high, 1 - base)
    assert (row["low"], row["high"]) == pytest.approx(possible)
    single = judge(low, high, n_runs=4)
    judged = comparison.judgement("over", metric)
    assert (judged.p_value < 0.05) == (single != "within noise")
    assert judged.adjusted_p_value >= judged.p_value
    assert judged.verdict == comparison.verdict.loc["over", metric]
    assert judged.verdict in (single, "within noise")
    assert list(comparison.verdict.columns) == METRICS
    assert "none" not in comparison.verdict.index


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* test images of a run equal:UserWarning")
def test_a_fixed_test_set(data):
    X, y = data
    X_test, y_test = X[::3], y[::3]
    result = compare(
        X,
        y,
        strategies=["class_weight"],
        estimator=ESTIMATOR,
        X_test=X_test,
        y_test=y_test,
        n_repeats=2,
        random_state=0,
    )
    assert result.protocol["n_runs"] == 2
    assert result.confusion_matrix("none").sum() == 2 * len(y_test)
    assert result.protocol["evaluation"] == "fixed test set"


@pytest.mark.slow
def test_the_most_confident_mistakes_of_all_runs_are_shown_once_each(comparison, data):
    X, y = data
    for name in comparison.strategies:
        for label, shown in comparison.mistakes[name].pictures.items():
            captions = comparison.mistakes[name].captions[label]
            runs = comparison.outcomes[name]
            made = [mistake for run in runs for mistake in run.mistakes.get(label, [])]
            best = {}
            for confidence, row, predicted in made:
                assert y[row] == label != predicted
                best[row] = max(best.get(row, 0), confidence)
            rows = sorted(best, key=lambda row: -best[row])[:8]
            assert len(shown) == len(captions) == len(rows)
            other = "rest" if label == "eight" else "eight"
            assert captions == [f"{other} {best[row]:.0%}" for row in rows]
            for picture, row in zip(shown, rows, strict=True):
                np.testing.assert_allclose(
                    picture / picture.max(), X[row] / X[row].max(), atol=0.01
                )
    n_wrong = comparison.confusion_matrix("prior_shift")[1, 0]
    assert len(comparison.mistakes["prior_shift"].pictures["rest"]) == min(8, n_wrong)


@pytest.mark.slow
def test_samples_are_of_their_class(comparison, data):
    X, y = data
    assert {label: len(rows) for label, rows in comparison.samples.items()} == {
        "eight": 5,
        "rest": 5,
    }
    for label, rows in comparison.samples.items():
        known = {np.rint(image * (255 / 16)).astype(np.uint8).tobytes() for image in X[y == label]}
        assert {picture.tobytes() for picture in rows} <= known


@pytest.mark.slow
def test_pictures_of_large_files_are_small(tmp_path):
    rng = np.random.RandomState(0)
    paths, y = [], np.repeat(["a", "b"], [6, 12])
    for i, label in enumerate(y):
        paths.append(tmp_path / f"{i}.png")
        level = 50 if label == "a" else 200
        noise = rng.randint(-40, 40, size=(150, 200, 3))
        Image.fromarray((level + noise).astype(np.uint8)).save(paths[-1])
    estimator = CNNClassifier("linear", max_epochs=1, image_shape=(3, 100, 120))
    result = compare(
        *(paths, y), strategies=["over"], estimator=estimator, cv=2, random_state=0, n_jobs=1
    )
    assert {picture.shape for picture in result.samples["a"]} == {(80, 96, 3)}
    result.to_html(tmp_path / "r.html")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* test images of a run equal:UserWarning")
def test_one_run_on_a_test_set_has_an_interval_from_its_images(data, tmp_path):
    X, y = data
    result = compare(
        X, y, strategies=["focal"], estimator=ESTIMATOR, X_test=X, y_test=y, random_state=0
    )
    verdicts = result.verdict.loc["focal"].tolist()
    assert set(verdicts) <= {"better", "worse", "within noise"}
    result.to_json(tmp_path / "r.json")
    entry = json.loads((tmp_path / "r.json").read_text())["strategies"]["focal"]["f1_minority"]
    assert entry["verdict"] == verdicts[0]
    assert entry["uncertainty"] == "test images"
    low, high = entry["interval"]
    assert low <= entry["difference"] <= high
    assert 0 <= entry["mcnemar_p_value"] <= 1
    result.to_html(tmp_path / "r.html")
    assert "nan" not in str(result)
    assert "nan" not in (tmp_path / "r.html").read_text().split("data:image")[0]
    # A measure that needs scores has no interval from images, and one run none from runs.
    judged = result.judgement("focal", "average_precision_minority")
    assert judged.verdict == "one run"
    assert np.isnan(judged.low)


@pytest.mark.slow
def test_three_classes_tune_offsets(data):
    X, y = data
    y = np.where(np.arange(len(y)) % 3 == 0, "other", y)
    result = compare(X, y, strategies=["threshold"], estimator=ESTIMATOR, cv=2, random_state=0)
    assert result.minority == "eight"
    assert result.confusion_matrix("threshold").shape == (3, 3)


@pytest.mark.slow
def test_own_scoring_and_own_folds(data):
    X, y = data
    scoring = {"kept": imbalance_scoring(y)["recall_minority"]}
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    result = compare(
        X, y, strategies=["over"], estimator=ESTIMATOR, cv=folds, scoring=scoring, random_state=0
    )
    assert result.metrics == result.verdict_metrics == ["kept"]
    result.plot()


# ------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strategies": ["magic"]}, r"Unknown strategies \['magic'\]"),
        ({"strategies": "over"}, "must be a list of names"),
        ({"estimator": RandomOverSampler()}, "must be a CNNClassifier"),
        ({"estimator": CNNClassifier(early_stopping=True)}, "Early stopping"),
        ({"estimator": CNNClassifier(class_weight="balanced")}, "a strategy against imbalance"),
        ({"cv": 100}, "fewer than the 100 folds"),
        ({"n_repeats": 0}, "`n_repeats`"),
        ({"scoring": "f1"}, "`scoring` must be a dict"),
        (
            {"X_test": np.zeros((2, 8, 8)), "y_test": ["rest", "rest"]},
            "no sample of the minority class",
        ),
        ({"X_test": np.zeros((2, 8, 8))}, "belong together"),
        ({"estimator": CNNClassifier(loss="focal")}, "has loss='focal', which is a strategy"),
        ({"cv": StratifiedKFold(2), "n_repeats": 2}, "`cv` as a number"),
        ({"X_test": np.zeros((2, 8, 8)), "y_test": ["rest", "nine"]}, r"y does not: \['nine'\]"),
    ],
)
def test_bad_input_is_refused_before_training(params, message, data):
    with pytest.raises(ValueError, match=message):
        compare(*data, **params)


@pytest.mark.slow
def test_a_strategy_that_a_split_cannot_serve_is_named_before_training(data):
    X, y = data
    rare = np.flatnonzero(y == "eight")[:2]
    kept = np.r_[rare, np.flatnonzero(y == "rest")[:50]]
    with pytest.raises(ValueError, match=r"'smote_embedding' needs .* Give more samples, or leave"):
        compare(X[kept], y[kept], strategies=["smote_embedding"], cv=2)
    # The more folds, the larger the training parts: of three samples, two folds may leave one.
    kept = np.r_[kept, np.flatnonzero(y == "eight")[2]]
    with pytest.raises(ValueError, match="Give more samples, more folds, or leave"):
        compare(X[kept], y[kept], strategies=["smote_embedding"], cv=2)
    compare(X[kept], y[kept], strategies=["over"], estimator=ESTIMATOR, cv=2, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [object, "category", "str", bool])
def test_labels_of_any_type(kind, data, tmp_path):
    X, y = data
    y = pd.Series(y == "eight") if kind is bool else pd.Series(y).astype(kind)
    result = compare(
        X, y, strategies=["prior_shift"], estimator=ESTIMATOR, cv=2, random_state=np.int64(0)
    )
    assert result.minority == (True if kind is bool else "eight")
    result.to_json(tmp_path / "r.json")
    result.to_html(tmp_path / "r.html")


@pytest.mark.slow
def test_folds_may_come_as_an_iterable(data):
    X, y = data
    folds = StratifiedKFold(2).split(X, y)
    result = compare(X, y, strategies=["over"], estimator=ESTIMATOR, cv=folds, random_state=0)
    assert result.protocol["evaluation"] == "2-fold cross-validation"


@pytest.mark.slow
def test_a_score_that_is_not_defined_is_called_so(data, tmp_path):
    X, y = data
    scoring = {"nothing": lambda estimator, X, y: np.nan}
    result = compare(
        *(X, y),
        strategies=["over"],
        estimator=ESTIMATOR,
        cv=2,
        scoring=scoring,
        random_state=0,
    )
    assert result.verdict.loc["over", "nothing"] == "undefined"
    result.to_html(tmp_path / "r.html")
    result.to_json(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["strategies"]["over"]["nothing"][
        "values"
    ] == [None, None]


# ------------------------------------------------------------------------- files


@pytest.mark.slow
def test_json_schema(comparison, tmp_path):
    comparison.to_json(tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result) == {
        *("schema", "schema_minor", "baseline", "minority", "classes", "protocol", "strategies"),
        *("verdict_metrics", "verdict_sentences", "built_in", "best"),
    }
    assert result["best"]["strategy"] in result["strategies"]
    assert result["baseline"] == "none"
    assert result["minority"] == "eight"
    assert result["classes"] == ["eight", "rest"]
    entry = result["strategies"]["prior_shift"]
    assert set(entry) == {
        *comparison.metrics,
        *("seconds", "gradient_steps", "confusion_matrix", "mistakes"),
        *("brier", "log_loss", "expected_calibration_error", "reliability", "offsets", "prior"),
    }
    for metric in comparison.metrics:
        assert set(entry[metric]) == {
            *("mean", "sd", "values", "difference", "interval", "verdict", "uncertainty"),
            *("p_value", "adjusted_p_value", "mcnemar_p_value", "more_images"),
            "repeats_can_settle",
        }
        assert len(entry[metric]["values"]) == 4
    assert np.shape(entry["confusion_matrix"]) == (2, 2)
    assert entry["seconds"] > 0
    assert entry["gradient_steps"] == 28
    assert result["strategies"]["constant"]["gradient_steps"] is None


@pytest.mark.slow
def test_the_report_stands_alone(comparison, tmp_path):
    path = tmp_path / "report.html"
    comparison.to_html(path)
    html = path.read_text(encoding="utf-8")
    for name in comparison.strategies:
        assert name in html
    # Those of the baseline and of the best, which may be one: their mistakes, and their code.
    n_opened = len({"none", comparison.to_dict()["best"]["strategy"]})
    assert html.count("<details open>") == 2 * n_opened
    assert "http" not in html.replace("http-equiv", "")
    assert "28 gradient steps" in html
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_labels_are_escaped_in_the_report(data, tmp_path):
    X, y = data
    y = np.where(y == "eight", "<b>8</b>", "5 $ a^$")
    result = compare(X, y, strategies=["focal"], estimator=ESTIMATOR, cv=2, random_state=0)
    result.to_html(tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert "<b>8</b>" not in html
    assert "&lt;b&gt;8&lt;/b&gt;" in html


@pytest.mark.slow
def test_links_are_followed_and_devices_are_not_replaced(comparison, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    comparison.to_json(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["baseline"] == "none"
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    comparison.to_json(tmp_path / "pipe")
    reader.join()
    assert json.loads(received[0])["baseline"] == "none"
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.slow
def test_a_failed_write_leaves_the_old_file_and_nothing_else(comparison, tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    path.write_text("old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        comparison.to_json(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.slow
def test_reference_strategies_need_no_network(comparison, data):
    X, y = data
    rare = np.mean(y == "eight")
    table = comparison.table
    # The constant calls every image common: by hand.
    assert table.loc["constant", ("f1_minority", "mean")] == 0
    assert table.loc["constant", ("balanced_accuracy", "mean")] == 0.5
    assert table.loc["constant", ("average_precision_minority", "mean")] == pytest.approx(
        rare, abs=0.01
    )
    assert not any(comparison.mistakes["constant"].pictures.values())
    [(_, fitted, _)] = fit_strategies(("linear",), ESTIMATOR, X, y, seed=5)
    settings = {"lr": 1e-2, "augmentation": None, "max_epochs": 2, "random_state": 5}
    by_hand = CNNClassifier("linear", **settings).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), by_hand.predict_proba(X))
    # What belongs to the layers of a network is left out.
    frozen = CNNClassifier(max_epochs=1, freeze=2, lr_decay=0.5)
    [(_, fitted, _)] = fit_strategies(("linear",), frozen, X, y, seed=5)
    assert fitted.get_params()["module"] == "linear"


@pytest.mark.slow
def test_plot_and_print(comparison):
    figure = comparison.plot()
    assert len(figure.axes) == 2
    text = str(comparison)
    assert all(name in text for name in comparison.strategies)
    assert "within noise" in text or "better" in text
    assert "12 strategies over 4 runs" in repr(comparison)


class Noting(DummyClassifier):
    """A classifier that notes the numbers of the rows that it is fitted on."""

    seen: list = []

    def fit(self, X, y, sample_weight=None):
        """Note the rows, and fit."""
        self.seen.append(set(X["number"]))
        return super().fit(X, y, sample_weight)


@pytest.mark.slow
def test_frames_with_images_beside_columns_are_compared(tmp_path):
    X, y = load_imbalanced_digits(return_X_y=True)
    X, y = [*X[:120]], y[:120]
    X[1] = X[0]
    frame = pd.DataFrame({"image": X, "number": np.arange(120), "kind": ["a", "b"] * 60})
    result = compare(
        frame,
        y,
        strategies={"over": "over", "smote_embedding": "smote_embedding", "mine": Noting()},
        estimator=CNNClassifier(image_column="image", max_epochs=1),
        cv=2,
        random_state=0,
    )
    assert len(Noting.seen) == 2
    # Equal images stay together, whatever their other columns.
    assert all((0 in numbers) == (1 in numbers) for numbers in Noting.seen)
    result.to_html(tmp_path / "report.html")
    assert "<img" in (tmp_path / "report.html").read_text(encoding="utf-8")
