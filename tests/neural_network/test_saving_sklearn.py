"""Files of estimators of scikit-learn: which can be written, and which are refused."""

import importlib
import json
import warnings

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, chi2, mutual_info_classif
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skimb._archives import read_archive, write_archive
from skimb.neural_network import load, save
from skimb.neural_network._saved_sklearn import FITTED

ROWS = np.random.RandomState(0).rand(60, 6)
Y = np.arange(60) % 5 // 3
METHODS = ("predict_proba", "decision_function", "predict", "transform")

#: How estimators with required parameters are made.
ARGUMENTS = {
    "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0, 1])]},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler())]},
    "FixedThresholdClassifier": {"estimator": LogisticRegression()},
    "FrozenEstimator": {"estimator": LogisticRegression().fit(ROWS, Y)},
    "AdaBoostClassifier": {"estimator": GaussianNB()},
    "AdaBoostRegressor": {"estimator": LinearRegression()},
    "BaggingClassifier": {"estimator": GaussianNB()},
    "BaggingRegressor": {"estimator": LinearRegression()},
    "BalancedBaggingClassifier": {"estimator": GaussianNB()},
    "CalibratedClassifierCV": {"estimator": GaussianNB()},
    "EasyEnsembleClassifier": {"estimator": GaussianNB()},
    "OneVsOneClassifier": {"estimator": LogisticRegression()},
    "OneVsRestClassifier": {"estimator": LogisticRegression()},
    "OneHotEncoder": {"sparse_output": False},
    "Pipeline": {"steps": [("a", StandardScaler()), ("b", LogisticRegression())]},
    "QuantileTransformer": {"n_quantiles": 10},
    "SelfTrainingClassifier": {"estimator": GaussianNB()},
    "StackingClassifier": {"estimators": [("a", GaussianNB())]},
    "StackingRegressor": {"estimators": [("a", LinearRegression())]},
    "TunedThresholdClassifierCV": {"estimator": LogisticRegression()},
    "VotingClassifier": {"estimators": [("a", GaussianNB())]},
    "VotingRegressor": {"estimators": [("a", LinearRegression())]},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in FITTED for name in sorted(FITTED[package])]
)
def test_every_estimator_of_the_list_comes_back_to_the_bit(package, name, path):
    cls = getattr(importlib.import_module(package), name)
    estimator, data, target = cls(**ARGUMENTS.get(name, {})), ROWS, Y
    if name in ("LabelBinarizer", "LabelEncoder"):
        data = Y
    elif name == "IsotonicRegression":
        data, target = ROWS[:, 0], ROWS[:, 1]
    elif is_regressor(estimator):
        target = ROWS[:, 0]
    with warnings.catch_warnings():
        # Defaults that scikit-learn is about to change.
        warnings.simplefilter("ignore")
        fitted = estimator.fit(data) if data is Y else estimator.fit(data, target)
        save(fitted, path)
        again = load(path)
    n_compared = 0
    for method in METHODS:
        if hasattr(fitted, method):
            first, second = (np.asarray(getattr(one, method)(data)) for one in (fitted, again))
            assert first.dtype == second.dtype, method
            assert np.array_equal(first, second), method
            n_compared += 1
    assert n_compared


@pytest.mark.parametrize("score", [chi2, mutual_info_classif])
def test_scores_of_features_are_written_by_name(score, path):
    model = make_pipeline(SelectKBest(score, k=2), LogisticRegression()).fit(ROWS, Y)
    save(model, path)
    again = load(path)
    assert again[0].score_func is score
    assert np.array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))
    document, arrays = read_archive(path, "model")
    text = json.dumps(document).replace(f'"{score.__name__}"', '"SelectKBest"')
    write_archive(path, "model", json.loads(text), arrays)
    with pytest.raises(ValueError, match="names the function 'SelectKBest'"):
        load(path)


def test_other_functions_are_refused(path):
    from sklearn.datasets import load_files

    with pytest.raises(ValueError, match=r"score_func.*load_files"):
        save(SelectKBest(k=2).fit(ROWS, Y).set_params(score_func=load_files), path)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(max_depth=1),
        HistGradientBoostingClassifier(max_iter=1),
        KNeighborsClassifier(),
        RandomForestClassifier(2),
        SGDClassifier(),
        SVC(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_others_are_refused_with_those_that_can_be_used(model, path):
    with pytest.raises(ValueError, match=r"LogisticRegression.*LinearSVC.*joblib") as caught:
        save(model.fit(ROWS, Y), path)
    assert "to_saved" not in str(caught.value)
    assert not path.exists()
    # Those that are not fitted may be parameters.
    bagging = make_pipeline(StandardScaler()).fit(ROWS)
    bagging.steps[0][1].spare = type(model)()
    save(bagging, path)
    assert type(load(path)[0].spare) is type(model)


def place_of_scaler(document):
    return document["model"]["content"]["state"]["steps"][0]["tuple"][1]["content"]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("sklearn.ensemble._hist_gradient_boosting.binning:_BinMapper", "bin_thresholds_"),
        ("sklearn.ensemble._hist_gradient_boosting.predictor:TreePredictor", "nodes"),
        ("sklearn.svm._classes:SVC", "support_vectors_"),
        ("sklearn.tree._classes:DecisionTreeClassifier", "tree_"),
        ("sklearn.neighbors._classification:KNeighborsClassifier", "_fit_X"),
        ("sklearn.cluster._kmeans:KMeans", "cluster_centers_"),
        ("sklearn.linear_model._coordinate_descent:ElasticNet", "coef_"),
        ("sklearn.linear_model._stochastic_gradient:SGDClassifier", "coef_"),
        ("sklearn.ensemble._gb:GradientBoostingClassifier", "estimators_"),
        ("sklearn.ensemble._iforest:IsolationForest", "estimators_"),
        ("imblearn.ensemble._forest:BalancedRandomForestClassifier", "estimators_"),
        ("imblearn.over_sampling._smote.base:SMOTE", "nn_k_"),
        ("skimb.over_sampling._class_interpolation:SMOTE", "nn_k_"),
    ],
)
def test_no_file_makes_estimators_whose_compiled_code_trusts_their_arrays(name, attribute, path):
    save(make_pipeline(StandardScaler()).fit(ROWS), path)
    document, arrays = read_archive(path, "model")
    content = place_of_scaler(document)
    content["class"] = name
    content["state"] = {attribute: content["state"]["mean_"]}
    content["n_attributes"] = 1
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match=r"that a file may set|no estimator of scikit-learn"):
        load(path)
