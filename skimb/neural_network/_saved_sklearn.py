"""The estimators of scikit-learn and imbalanced-learn of which a file may hold fitted ones."""

import importlib
import inspect

from sklearn import feature_selection
from sklearn.base import BaseEstimator

__all__ = [
    "FUNCTIONS",
    "INSTEAD",
    "OF_SAMPLER",
    "PRIVATE_PARTS",
    "full_name",
    "is_public",
    "parameters_of",
    "refused_attributes",
]

#: Estimators that may be fitted, by public package. They compute with NumPy, which checks arrays;
#: the compiled code of others reads their arrays unchecked, so that wrong ones from a file could
#: overwrite memory. All other public estimators may be parameters that are not fitted.
FITTED = {
    "imblearn.ensemble": {"BalancedBaggingClassifier", "EasyEnsembleClassifier"},
    "imblearn.pipeline": {"Pipeline"},
    "sklearn.calibration": {"CalibratedClassifierCV"},
    "sklearn.compose": {"ColumnTransformer", "TransformedTargetRegressor"},
    "sklearn.decomposition": {"PCA", "TruncatedSVD"},
    "sklearn.discriminant_analysis": {
        "LinearDiscriminantAnalysis",
        "QuadraticDiscriminantAnalysis",
    },
    "sklearn.dummy": {"DummyClassifier", "DummyRegressor"},
    "sklearn.ensemble": {
        "AdaBoostClassifier",
        "AdaBoostRegressor",
        "BaggingClassifier",
        "BaggingRegressor",
        "StackingClassifier",
        "StackingRegressor",
        "VotingClassifier",
        "VotingRegressor",
    },
    "sklearn.feature_selection": {"SelectKBest", "SelectPercentile", "VarianceThreshold"},
    "sklearn.frozen": {"FrozenEstimator"},
    "sklearn.impute": {"SimpleImputer"},
    "sklearn.isotonic": {"IsotonicRegression"},
    "sklearn.kernel_approximation": {"Nystroem", "RBFSampler"},
    "sklearn.linear_model": {
        "BayesianRidge",
        "LinearRegression",
        "LogisticRegression",
        "LogisticRegressionCV",
        "Ridge",
        "RidgeCV",
        "RidgeClassifier",
        "RidgeClassifierCV",
    },
    "sklearn.model_selection": {"FixedThresholdClassifier", "TunedThresholdClassifierCV"},
    "sklearn.multiclass": {"OneVsOneClassifier", "OneVsRestClassifier"},
    "sklearn.naive_bayes": {"GaussianNB"},
    "sklearn.neighbors": {"NearestCentroid"},
    "sklearn.pipeline": {"FeatureUnion", "Pipeline"},
    "sklearn.preprocessing": {
        "FunctionTransformer",
        "LabelBinarizer",
        "LabelEncoder",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "PolynomialFeatures",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "StandardScaler",
    },
    "sklearn.semi_supervised": {"SelfTrainingClassifier"},
    "sklearn.svm": {"LinearSVC", "LinearSVR"},
}

#: Private objects that are attributes of such estimators.
PRIVATE_PARTS = {
    "sklearn.calibration:_CalibratedClassifier",
    "sklearn.calibration:_SigmoidCalibration",
    "sklearn.calibration:_TemperatureScaling",
    "sklearn.compose._column_transformer:make_column_selector",
    "sklearn.metrics._scorer:_CurveScorer",
    "sklearn.multiclass:_ConstantPredictor",
    "sklearn.utils._bunch:Bunch",
    "skimb._pixel_values:PixelLevels",
}

#: Attributes of a fitted sampler that do not hold the samples.
OF_SAMPLER = ("n_features_in_", "feature_names_in_", "sampling_strategy_", "_sklearn_output_config")

#: Settings of an estimator that is not fitted.
SETTINGS = ("_sklearn_output_config", "_metadata_request")

#: Functions of scikit-learn that a file may name: scores of features.
FUNCTIONS = {
    name: getattr(feature_selection, name)
    for name in (
        "chi2",
        "f_classif",
        "f_regression",
        "mutual_info_classif",
        "mutual_info_regression",
        "r_regression",
    )
}

#: The fix for estimators of scikit-learn that cannot be written.
INSTEAD = (
    "Use another one, such as LogisticRegression, LinearSVC, StandardScaler or PCA (the guide on "
    "saving lists them), or write your own files with pickle or joblib"
)


def full_name(cls):
    """Return the name of a class, as a file has it."""
    return f"{cls.__module__}:{cls.__qualname__}"


def parameters_of(cls):
    """Return the names of the parameters of a constructor."""
    return [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _public_package(cls):
    """Return the part of a module's name before its first private part."""
    parts = []
    for part in cls.__module__.split("."):
        if part.startswith("_"):
            break
        parts.append(part)
    return ".".join(parts)


def is_public(cls):
    """Return whether a class of scikit-learn or imbalanced-learn is imported by a public name."""
    package = _public_package(cls)
    found = getattr(importlib.import_module(package), cls.__name__, None)
    return found is cls and not cls.__name__.startswith("_")


def refused_attributes(cls, names):
    """Return the names of attributes of a fitted estimator that no file may hold.

    Parameters
    ----------
    cls : type
        A class of estimators.
    names : iterable of str
        The names of its attributes.

    Returns
    -------
    list of str
    """
    package = _public_package(cls)
    if not issubclass(cls, BaseEstimator) or cls.__name__ in FITTED.get(package, ()):
        return []
    is_sampler = hasattr(cls, "fit_resample")
    is_foreign = package.partition(".")[0] in ("sklearn", "imblearn")
    if not is_sampler and (not is_foreign or full_name(cls) in PRIVATE_PARTS):
        return []
    allowed = {*parameters_of(cls), *SETTINGS, *(OF_SAMPLER if is_sampler else ())}
    return sorted(set(names) - allowed)
