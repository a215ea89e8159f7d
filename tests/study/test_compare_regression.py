"""compare() for a continuous target: strategies, errors, report, tables on the command line."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import get_scorer

from skimb.__main__ import main
from skimb.datasets import make_variance_images
from skimb.metrics import balanced_mean_absolute_error
from skimb.model_selection import BinnedStratifiedKFold, SpreadCorrectedRegressor
from skimb.neural_network import CNNClassifier, CNNRegressor, training_length
from skimb.relevance import LabelDensity, Relevance
from skimb.study import REGRESSION_STRATEGIES, RegressionComparison, compare
from skimb.study._regression_task import RegressionTask
from skimb.study._sample_images import short_number, shorten_ticks
from skimb.study._strategies import Strategy
from skimb.study._strategy_fits import fit_group
from skimb.study._tasks import with_measure_first
from skimb.study._training_steps import gradient_steps, search_steps

ESTIMATOR = CNNRegressor(max_epochs=1)
VERDICT = ["balanced_mean_absolute_error", "mean_absolute_error"]


@pytest.fixture(scope="module")
def data():
    X, y = make_variance_images(160, distribution="normal", side=8, random_state=0)
    # A few values beyond the whiskers, on both sides.
    y[:6] = [1.0, 1.2, 1.4, 9.6, 9.8, 10.0]
    return X, y


@pytest.fixture(scope="module")
def comparison(data):
    with warnings.catch_warnings():
        # Ranges of a few samples have few neighbours.
        warnings.simplefilter("ignore")
        return compare(*data, estimator=ESTIMATOR, cv=3, random_state=0)


@pytest.mark.slow
def test_every_strategy_runs_on_every_fold_with_the_same_steps(comparison, data):
    assert isinstance(comparison, RegressionComparison)
    assert comparison.strategies == list(REGRESSION_STRATEGIES)
    assert comparison.protocol["gradient_steps"] == 7
    assert {len(runs) for runs in comparison.outcomes.values()} == {3}
    for name in comparison.strategies:
        tested = np.concatenate([outcome.rows for outcome in comparison.outcomes[name]])
        assert sorted(tested) == list(range(160))
        truth, _ = comparison.predictions(name)
        np.testing.assert_array_equal(truth, data[1][tested])
    without = {"constant", "spread_corrected"}
    assert comparison.training_losses().keys() == REGRESSION_STRATEGIES.keys() - without


@pytest.mark.slow
def test_each_strategy_sets_what_its_name_says(data):
    X, y = data
    task = RegressionTask(y)
    found = {}
    for name in REGRESSION_STRATEGIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = [Strategy(name, name)]
            [(_, fitted, _)] = fit_group(task, group, clone(ESTIMATOR), X, y, seed=3)
        if name == "constant":
            np.testing.assert_allclose(fitted.predict(X), y.mean())
            continue
        if name == "spread_corrected":
            continue
        plain = ESTIMATOR.get_params(deep=False)
        found[name] = {
            key: value
            for key, value in fitted.get_params(deep=False).items()
            if value is not plain[key] and key != "random_state" and value != plain[key]
        }
    assert found["none"] == {}
    assert found["weight_lds"] == {"target_weight": "lds"}
    assert found["density_batches"] == {"batch_sampling": "inverse"}
    assert found["ranksim"] == {"ranksim": 10.0}
    assert found["linear"].items() >= {"module": "linear", "lr": 1e-2}.items()
    assert set(found["relevance_batches"]) == {"batch_sampling", "relevance"}
    for name in ("over", "under", "smogn"):
        # What is rare is that of the whole, not of a fold.
        points = found[name]["sampler"].relevance.points
        np.testing.assert_array_equal(points, Relevance().fit(y).points_)


@pytest.mark.slow
def test_the_spread_is_that_of_the_network_of_the_baseline(data):
    X, y = data
    task, groups = RegressionTask(y), np.arange(160) // 2
    group = [Strategy(name, name) for name in ("none", "spread_corrected")]
    (_, plain, seconds), (_, fitted, more) = fit_group(task, group, ESTIMATOR, X, y, groups, seed=3)
    assert fitted.estimator_ is plain
    assert more > seconds
    network = clone(ESTIMATOR).set_params(random_state=3)
    alone = SpreadCorrectedRegressor(network, random_state=3).fit(X, y, groups=groups)
    np.testing.assert_array_equal(fitted.predict(X), alone.predict(X))
    assert fitted.scoring == "neg_balanced_mean_absolute_error"
    # Two networks of 80 samples, each with as many epochs as that of 160, of half the steps.
    length = training_length(160, max_epochs=1)
    assert gradient_steps(fitted) == length.n_steps
    assert search_steps(fitted) == 2 * max(1, round(length.steps_per_epoch / 2))


def test_the_spread_is_tuned_for_the_measure_that_counts(data):
    _, y = data
    task = RegressionTask(y)
    scoring = task.default_scoring()
    task.choose_measure(scoring)
    assert task.measure == "neg_balanced_mean_absolute_error"
    assert task.describe()["tuned_for"] == "balanced_mean_absolute_error"
    for asked, tuned_for, is_name in (
        ("mean_absolute_error", "mean_absolute_error", True),
        ("sera", "sera", False),
        # It would overshoot.
        ("prediction_slope", "balanced_mean_absolute_error", True),
    ):
        task.choose_measure(with_measure_first(scoring, asked), asked)
        assert task.describe()["tuned_for"] == tuned_for
        assert isinstance(task.measure, str) == is_name
    own = {"depth": get_scorer("r2")}
    task.choose_measure(own)
    assert task.measure is own["depth"]


def test_groups_that_cannot_be_divided_are_refused_before_training(data, monkeypatch):
    X, y = data
    monkeypatch.setattr(CNNRegressor, "fit", lambda *args: pytest.fail("it trained"))
    options = {"estimator": ESTIMATOR, "cv": 2, "random_state": 0}
    with pytest.raises(ValueError, match="'spread_corrected' cannot hold out samples"):
        compare(X, y, strategies=["spread_corrected"], groups=np.arange(160) % 2, **options)


@pytest.mark.slow
def test_errors_are_errors_and_less_is_better(comparison, data):
    _, y = data
    table = comparison.table
    assert comparison.verdict_metrics == VERDICT
    assert (table["mean_absolute_error", "mean"] > 0).all()
    first = comparison.outcomes["none"][0]
    bins = LabelDensity(bins=LabelDensity().fit(y).edges_)
    assert first.scores["mean_absolute_error"] == pytest.approx(
        np.abs(first.truth - first.predicted).mean()
    )
    assert first.scores["balanced_mean_absolute_error"] == pytest.approx(
        balanced_mean_absolute_error(first.truth, first.predicted, density=bins)
    )
    for metric in VERDICT:
        for name in comparison.strategies[1:]:
            judged = comparison.judgement(name, metric)
            assert (judged.low <= 0 <= judged.high) == (judged.p_value >= 0.05)
            noise = judged.adjusted_p_value >= 0.05
            expected = "better" if judged.difference < 0 else "worse"
            assert judged.verdict == ("within noise" if noise else expected)
        assert comparison.best(metric) == table[metric, "mean"].idxmin()
    assert not comparison.is_error("r2")
    assert not comparison.is_error("prediction_slope")


@pytest.mark.slow
def test_results_are_equal_for_any_number_of_processes(data):
    one, two = (
        compare(
            *data,
            strategies=["balanced_mse", "spread_corrected"],
            estimator=ESTIMATOR,
            cv=2,
            random_state=0,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 2)
    )
    figures = [c.table.drop(columns="seconds", level=0) for c in (one, two)]
    pd.testing.assert_frame_equal(*figures)


@pytest.mark.slow
def test_folds_hold_low_and_high_values_both(comparison, data):
    _, y = data
    for outcome in comparison.outcomes["none"]:
        assert outcome.truth.min() < 1.5
        assert outcome.truth.max() > 9.5
    expected = BinnedStratifiedKFold(3, shuffle=True, random_state=0).split(y, y)
    for (_, test), (_, rows) in zip(RegressionTask(y).splits(3, 0), expected, strict=True):
        np.testing.assert_array_equal(test, rows)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_fractions_are_numbers_and_whole_numbers_are_labels_unless_told_otherwise(data):
    X, y = data
    quick = {"strategies": ["none"], "cv": 2, "random_state": 0}
    assert isinstance(compare(X[:40], y[:40], **quick), RegressionComparison)
    ages = np.tile([20, 30, 40, 50], 10)
    labels = compare(X[:40], ages, estimator=CNNClassifier(max_epochs=1), **quick)
    assert not isinstance(labels, RegressionComparison)
    numbers = compare(X[:40], ages, estimator=ESTIMATOR, **quick)
    assert isinstance(numbers, RegressionComparison)
    # More than 20 different whole numbers are a quantity, as on the command line.
    with pytest.warns(UserWarning, match="40 different whole numbers and is taken for a quantity"):
        prices = compare(X[:40], np.arange(40) ** 2, **quick)
    assert isinstance(prices, RegressionComparison)
    with pytest.raises(ValueError, match="contains NaN"):
        compare(X[:40], np.r_[np.nan, y[1:40]], **quick)


@pytest.mark.slow
def test_without_extreme_values_what_needs_them_is_left_out_and_named(data, capsys):
    X, _ = data
    y = np.linspace(0.05, 1, len(X))
    result = compare(X, y, estimator=CNNRegressor(max_epochs=1), cv=2, random_state=0, verbose=1)
    assert set(REGRESSION_STRATEGIES) - set(result.strategies) == {
        "relevance_batches",
        "over",
        "under",
        "smogn",
    }
    (message,) = result.protocol["warnings"]
    assert message.startswith("Left out: relevance_batches, over, under, smogn. No value of y")
    assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"Strategy 'over' cannot run here\. No value of y lies"):
        compare(X, y, strategies=["over"], estimator=ESTIMATOR)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strategies": ["class_weight"]}, "Unknown strategies"),
        ({"estimator": CNNRegressor(loss="huber")}, "a strategy against imbalance"),
        ({"estimator": CNNRegressor(ranksim=1.0)}, "a strategy against imbalance"),
        ({"estimator": CNNRegressor(early_stopping=True)}, "Early stopping gives"),
        ({"cv": 100}, "fewer than two for each of the 100 folds"),
        ({"X_test": np.zeros((2, 8, 8)), "y_test": [1.0, np.nan]}, "contains NaN"),
    ],
)
def test_bad_input_is_refused_before_training(params, message, data):
    with pytest.raises(ValueError, match=message):
        compare(*data, **{"estimator": ESTIMATOR, **params})


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        (lambda y: np.where(y > 9.9, 1.5, 0.0), {}, "A test part holds one value only, 0"),
        (
            lambda y: np.where(y > 9.9, 50.5, np.minimum(y, 6)),
            {"strategies": ["over"], "cv": 2},
            "need rare and normal values in every training part",
        ),
        (lambda y: y, {"X_test": np.zeros((1, 8, 8)), "y_test": [1.5]}, "in 1 sample"),
    ],
)
def test_splits_that_cannot_be_scored_are_refused_before_training(
    change, params, message, data, monkeypatch
):
    X, y = data
    monkeypatch.setattr(CNNRegressor, "fit", lambda *args: pytest.fail("it trained"))
    relevance = Relevance([(6, 0), (50, 1)])
    with pytest.raises(ValueError, match=message):
        compare(
            X,
            change(y),
            estimator=CNNRegressor(max_epochs=1, relevance=relevance),
            random_state=0,
            **{"strategies": ["focal_r"], **params},
        )


def test_the_relevance_of_the_estimator_is_what_is_rare(data):
    X, _ = data
    y = np.linspace(0.05, 1, len(X))
    points = [(0.5, 0), (1, 1)]
    estimator = CNNRegressor(max_epochs=1, relevance=Relevance(points))
    result = compare(X, y, estimator=estimator, strategies=["over"], cv=2, random_state=0)
    assert result.protocol["relevance"] == [[0.5, 0.0], [1.0, 1.0]]
    assert "mean_absolute_error[rare]" in result.metrics
    rare = CNNRegressor(relevance=lambda y: np.ones(len(y)))
    with pytest.raises(ValueError, match="every value of y is rare"):
        compare(X, y, estimator=rare, strategies=["over"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* test images of a run equal:UserWarning")
def test_a_range_without_test_samples_has_no_error_and_no_perfect_one(data, tmp_path):
    X, y = data
    common = np.flatnonzero((y > 5) & (y < 6))
    result = compare(
        X,
        y,
        X_test=X[common],
        y_test=y[common],
        estimator=ESTIMATOR,
        strategies=["focal_r"],
        random_state=0,
    )
    assert np.isnan(result.table.loc["none", ("mean_absolute_error[rare]", "mean")])
    result.to_json(tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())["strategies"]["none"]
    assert found["mean_absolute_error[rare]"]["mean"] is None
    result.to_html(tmp_path / "c.html")


def test_pixels_are_not_blended_where_x_holds_files(table):
    frame = pd.read_csv(table)
    paths = [str(table.parent / file) for file in frame["file"]]
    with pytest.raises(ValueError, match=r"'smogn' cannot run here\. It computes with pixels"):
        compare(paths, frame["sigma"], strategies=["smogn"])


def test_a_foreign_estimator_and_a_quantity_taken_for_labels_are_named(data):
    X, y = data
    with pytest.raises(ValueError, match="must be a CNNClassifier or a CNNRegressor"):
        compare(X, y, estimator=LinearRegression(), strategies=["smogn"])
    labels = CNNClassifier(max_epochs=1)
    with pytest.raises(ValueError, match=r"looks like a quantity: then give estimator=CNNReg"):
        compare(X, np.rint(1000 * y).astype(int), estimator=labels)


@pytest.mark.slow
def test_a_comparison_of_numbers_has_no_confusion_matrix(comparison):
    assert not hasattr(comparison, "confusion_matrix")
    assert repr(comparison).startswith("<RegressionComparison of 15 strategies")


@pytest.mark.slow
def test_a_fixed_test_set_and_a_scoring_of_ones_own(data):
    X, y = data
    result = compare(
        X[:100],
        y[:100],
        X_test=X[100:],
        y_test=y[100:],
        scoring={"neg_median_absolute_error": "neg_median_absolute_error"},
        estimator=ESTIMATOR,
        strategies=["focal_r"],
        n_repeats=2,
        random_state=0,
    )
    # Shown as it is: larger is better.
    assert (result.table["neg_median_absolute_error", "mean"] < 0).all()
    assert not result.is_error("neg_median_absolute_error")
    assert result.verdict_metrics == ["neg_median_absolute_error"]
    page = result._report()
    for absent in ("may disagree", "more are rare", "a slope below 1"):
        assert absent not in page


@pytest.mark.slow
def test_numbers_are_written_with_the_digits_of_their_unit(data):
    X, y = data
    result = compare(X, 1e5 * y, estimator=ESTIMATOR, strategies=["focal_r"], cv=2, random_state=0)
    line = str(result).splitlines()[1]
    assert ".0" not in line.split()[1]
    assert result.text(123456.7, "mean_absolute_error") == "123,457"
    assert result.text(0.5, "prediction_slope") == "0.500"
    tiny = compare(X, 1e-12 * y, estimator=ESTIMATOR, strategies=["focal_r"], cv=2, random_state=0)
    assert tiny.text(1.234e-12, "mean_absolute_error") == "1.23e-12"


@pytest.mark.slow
def test_json_and_report(comparison, tmp_path):
    comparison.to_json(tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["baseline"] == "none"
    assert "mean_absolute_error" in found["errors"]
    assert "r2" not in found["errors"]
    entry = found["strategies"]["ranksim"]
    assert {"mean", "sd", "values", "difference", "interval"} < set(entry["mean_absolute_error"])
    bins = entry["errors_by_bin"]
    assert len(bins["edges"]) == len(bins["mean_absolute_error"]) + 1
    comparison.to_html(tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text()
    for text in ("Which strategy for a rare range", "Errors over the range", "The largest errors"):
        assert text in page
    assert all(name in page for name in REGRESSION_STRATEGIES)
    assert "http" not in page.split("</style>")[1].replace("http://www.w3.org", "")


@pytest.mark.slow
def test_largest_errors_are_told_by_their_sign(comparison):
    gallery = comparison.mistakes["none"]
    for label, sign in (("too low", -1), ("too high", 1)):
        pairs = [caption.split(" as ") for caption in gallery.captions[label]]
        errors = [float(predicted) - float(truth) for truth, predicted in pairs]
        assert all(error * sign > 0 for error in errors)
        assert np.all(np.diff(np.abs(errors)) <= 0.02)


# ------------------------------------------------------------------------- tables


@pytest.fixture(scope="module")
def table(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("table")
    rows = []
    for i, (image, value) in enumerate(zip(*data, strict=True)):
        pixels = np.clip(128 + 8 * image, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        kind = "high" if value > 6 else "low"
        rows.append((f"{i}.png", value, round(1000 * value), kind, f"{i // 4:03}"))
    frame = pd.DataFrame(rows, columns=["file", "sigma", "price", "kind", "patient"])
    frame.to_csv(folder / "table.csv", index=False)
    # One patient is no number, so that both tables hold text.
    frame[:40].replace({"patient": {"009": "A07"}}).to_csv(folder / "test.csv", index=False)
    return folder / "table.csv"


QUICK = ["--epochs", "1", "--folds", "2", "--jobs", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sigma", "price"])
def test_compare_a_table_of_numbers(target, table, tmp_path, capsys):
    options = ["--image-column", "file", "--target", target, "--strategies", "weight_sqrt,over"]
    files = ["--json", str(tmp_path / "c.json"), "--report", str(tmp_path / "c.html")]
    assert main(["compare", str(table), *options, *QUICK, *files]) == 0
    assert "balanced mean absolute error" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "c.json").read_text())["strategies"]) == {
        "none",
        "weight_sqrt",
        "over",
    }


@pytest.mark.slow
def test_compare_a_table_of_labels_and_one_for_the_test(table, capsys):
    options = ["--image-column", "file", "--target", "kind", "--strategies", "focal"]
    assert main(["compare", str(table), *options, *QUICK]) == 0
    assert "minority F1" in capsys.readouterr().out
    test = ["--test", str(table.parent / "test.csv"), "--repeats", "1", "--epochs", "1"]
    assert main(["compare", str(table), *options, *test, "--jobs", "1"]) == 0


@pytest.mark.parametrize("target", ["sigma", "kind"])
def test_samples_of_one_patient_stay_together(target, table, tmp_path, capsys):
    options = ["--image-column", "file", "--target", target, "--group", "patient"]
    options += ["--strategies", "over", "--json", str(tmp_path / "c.json")]
    assert main(["compare", str(table), *options, *QUICK]) == 0
    protocol = json.loads((tmp_path / "c.json").read_text())["protocol"]
    assert (protocol["n_rows"], protocol["n_groups"]) == (160, 40)
    capsys.readouterr()
    shared = ["--test", str(table.parent / "test.csv"), "--epochs", "1"]
    assert main(["compare", str(table), *options, *shared]) == 1
    assert "9 values of 'patient', '000' first, are in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "nope"], "has no column 'nope'. It has"),
        (["--target", "kind", "--group", "doctor"], "has no column 'doctor'. It has"),
        (["--target", "kind", "--task", "regression"], "regression needs numbers"),
        (["--target", "sigma", "--strategies", "threshold"], "Unknown strategies"),
    ],
)
def test_tables_that_do_not_fit_exit_with_1(options, message, table, capsys):
    assert main(["compare", str(table), "--image-column", "file", *options]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_missing_values_and_files_exit_with_1(table, capsys):
    frame = pd.read_csv(table)
    frame.loc[3, "sigma"] = np.nan
    frame.to_csv(table.parent / "holes.csv", index=False)
    frame.fillna(np.inf).to_csv(table.parent / "infinite.csv", index=False)
    frame["file"] = "absent.png"
    frame.fillna(1.0).to_csv(table.parent / "absent.csv", index=False)
    (table.parent / "empty.csv").write_text("")
    (table.parent / "bytes.csv").write_bytes(b"\xff\xfe\x00a,b")
    for name, message in (
        ("holes", "1 of 160 rows of"),
        ("absent", "absent.png"),
        ("infinite", "which is not a finite number"),
        ("empty", "empty.csv cannot be read as a table"),
        ("bytes", "bytes.csv cannot be read as a table"),
    ):
        path = str(table.parent / f"{name}.csv")
        assert main(["compare", path, "--image-column", "file", "--target", "sigma"]) == 1
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{table}"], "a table needs --image-column and --target"),
        (["{table}", "--image-column", "file", "--target", "kind", "--counts", "a=1"], "--counts"),
        (["{table}", "--image-column", "file", "--target", "kind", "--test", "."], "--test must"),
        (["digits", "--target", "kind"], "--target is for tables"),
        (["digits", "--image-column", "kind"], "--image-column is for tables"),
        (["digits", "--group", "kind"], "--group is for tables"),
        (["{table}", "--image-column", "f", "--target", "k", "--strategies", "magic"], "magic"),
    ],
)
def test_usage_errors_of_tables_exit_with_2(arguments, message, table, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["compare", *(argument.format(table=table) for argument in arguments)])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (1 / 3, "0.333"),
        (-1234.5, "-1230"),
        (9999, "10k"),
        (22_000, "22k"),
        (5_858_000, "5.86M"),
        (-230_949, "-231k"),
        (2e-7, "2e-07"),
        (3e18, "3e+18"),
        (np.nan, "nan"),
    ],
)
def test_numbers_fit_below_images(value, expected):
    assert short_number(value) == expected


def test_ticks_of_large_numbers():
    ax = Figure().subplots()
    ax.set(xlim=(0, 6e6), ylim=(0, 6))
    shorten_ticks(ax.xaxis, ax.yaxis)
    assert ax.xaxis.get_major_formatter()(2e6) == "2M"
    assert isinstance(ax.yaxis.get_major_formatter(), ScalarFormatter)
