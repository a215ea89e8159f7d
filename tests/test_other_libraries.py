"""Reports, loggers and conformal sets of other libraries, on estimators of skimb.

ONNX Runtime, polars, dask and others have their tests where skimb has code for them.
"""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import average_precision_score, log_loss, recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch.callbacks import PrintLog, TensorBoard

from skimb.metrics import imbalance_scoring
from skimb.model_selection import ConformalClassifier
from skimb.neural_network import CNNClassifier, CNNRegressor

pytestmark = pytest.mark.slow


def network(**params):
    return CNNClassifier(max_epochs=2, batch_size=32, lr=0.003, random_state=0, **params)


# ------------------------------------------------------------------------------ skore


@pytest.fixture(scope="module")
def skore():
    return pytest.importorskip("skore", reason="skore is not installed: pip install skimb[reports]")


def test_a_report_of_skore_has_the_scores_and_curves_of_the_classifier(skore, digits):
    X_train, X_test, y_train, y_test = digits
    report = skore.EstimatorReport(
        network(class_weight="balanced"),
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        pos_label="eight",
    )
    fitted = network(class_weight="balanced").fit(X_train, y_train)
    expected = recall_score(y_test, fitted.predict(X_test), pos_label="eight")
    assert report.metrics.recall() == expected
    proba = fitted.predict_proba(X_test)
    assert report.metrics.log_loss() == pytest.approx(log_loss(y_test, proba))
    scorers = imbalance_scoring(y_train)
    for name in ("average_precision_minority", "recall_minority"):
        report.metrics.add(scorers[name], name=name)
    added = report.metrics.summarize().frame()
    precision = average_precision_score(y_test == "eight", proba[:, 0])
    assert added["average_precision_minority"] == pytest.approx(precision)
    assert added["recall_minority"] == expected
    report.metrics.precision_recall().plot()
    report.metrics.confusion_matrix().plot()
    report.inspection.calibration_curve().plot()
    plt.close("all")


def test_a_cross_validation_of_skore_is_that_of_scikit_learn(skore, small_digits):
    X, y = small_digits
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    report = skore.CrossValidationReport(network(), X, y, splitter=folds, pos_label="eight")
    found = [fold.metrics.roc_auc() for fold in report.reports_]
    np.testing.assert_allclose(found, cross_val_score(network(), X, y, cv=folds, scoring="roc_auc"))


def test_checks_importances_and_the_page_of_skore_take_images_in_a_frame(skore, small_digits):
    X, y = small_digits
    frame = pd.DataFrame({"image": list(X), "grams": np.arange(len(X)) % 7})
    report = skore.evaluate(network(image_column="image"), frame, y, pos_label="eight")
    importances = report.inspection.permutation_importance(n_repeats=2, seed=0).frame()
    assert set(importances["feature"]) == {"image", "grams"}
    assert "High class imbalance" in str(report.checks.summarize())
    assert "image" in report._repr_html_()


def test_a_report_of_skore_on_a_regressor(skore, small_digits):
    X, _ = small_digits
    y = X.mean(axis=(1, 2))
    folds = StratifiedKFold(2).split(X, y > np.median(y))
    regressor = CNNRegressor(max_epochs=2, batch_size=32, random_state=0)
    report = skore.evaluate(regressor, X, y, splitter=list(folds))
    assert len(report.reports_) == 2
    assert all(np.isfinite(fold.metrics.rmse()) for fold in report.reports_)


def test_a_warning_within_skore_names_the_line_of_the_user(skore, small_digits):
    X, y = small_digits
    with pytest.warns(ConvergenceWarning, match="gradient steps") as caught:
        skore.evaluate(network(), X, y, splitter=0.5, pos_label="eight")
    assert {warning.filename for warning in caught} == {__file__}


# ------------------------------------------------------------- loggers of skorch


def test_tensorboard_reads_the_losses_and_scores_of_each_epoch(small_digits, tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: pip install skimb[reports]",
    )
    from torch.utils.tensorboard import SummaryWriter

    board = TensorBoard(SummaryWriter(tmp_path))
    clf = network(net_callbacks=[board], early_stopping=True).fit(*small_digits)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    for tag, name in (("Loss/train_loss", "train_loss"), ("Loss/valid_loss", "valid_loss")):
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        expected = [*enumerate((record[name] for record in clf.history_), start=1)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_log_of_skorch_has_a_row_for_each_epoch(small_digits):
    lines = []
    clf = network(net_callbacks=[PrintLog(sink=lines.append)]).fit(*small_digits)
    header, _, *rows = (line for text in lines for line in text.splitlines())
    assert header.split()[:3] == ["epoch", "lr", "train_loss"]
    assert [int(row.split()[0]) for row in rows] == list(range(1, clf.n_iter_ + 1))


# ------------------------------------------------------------------------------ MAPIE


@pytest.fixture(scope="module")
def mapie():
    return pytest.importorskip("mapie.classification")


def test_sets_of_mapie_on_flat_images_are_those_of_one_threshold(mapie, digits):
    X, X_new, y, _ = ((values.reshape(len(values), -1).squeeze()) for values in digits)
    fitted = network(image_shape=(1, 8, 8)).fit(X[:400], y[:400])
    own = ConformalClassifier(FrozenEstimator(fitted), confidence_level=0.9).fit(X[400:], y[400:])
    peer = mapie.SplitConformalClassifier(fitted, confidence_level=0.9)
    sets = peer.conformalize(X[400:], y[400:]).predict_set(X_new)[1][:, :, 0]
    np.testing.assert_array_equal(own.predict_proba(X_new) >= own.marginal_threshold_, sets)


def test_mapie_cross_conformalises_on_images(mapie, small_digits):
    X, y = small_digits
    folds = StratifiedKFold(2)
    peer = mapie.CrossConformalClassifier(network(), confidence_level=0.9, cv=folds)
    labels, sets = peer.fit_conformalize(X, y).predict_set(X)
    np.testing.assert_array_equal(labels, network().fit(X, y).predict(X))
    flat = mapie.CrossConformalClassifier(
        network(image_shape=(1, 8, 8)), confidence_level=0.9, cv=folds
    )
    rows = X.reshape(len(X), -1)
    np.testing.assert_array_equal(flat.fit_conformalize(rows, y).predict_set(rows)[1], sets)
    assert sets[np.arange(len(y)), (y == "rest").astype(int), 0].mean() >= 0.9
