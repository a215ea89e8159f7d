"""Files of fitted estimators: all that they had comes back, to the bit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, load, read_metadata, save

DATA = np.random.RandomState(0)
X = DATA.rand(60, 8, 8).astype(np.float32)
Y = np.arange(60) % 5 // 3


def quick(module="simple_cnn", **params):
    defaults = {"max_epochs": 1, "batch_size": 30, "random_state": 0, "standardize": None}
    return CNNClassifier(module, **{**defaults, **params})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


def same(first, second):
    """Return whether two values are equal to the bit, in their types too."""
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and all(map(same, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


def check_round_trip(fitted, path, data=X, **given):
    """Save and load; return the estimator, after all predictions were compared."""
    save(fitted, path)
    again = load(path, **given)
    assert type(again) is type(fitted)
    for name in ("predict_log_proba", "decision_function", "predict", "embed", "transform"):
        if hasattr(fitted, name):
            assert same(getattr(fitted, name)(data), getattr(again, name)(data)), name
    assert repr(again.get_params()) == repr(fitted.get_params())
    assert vars(fitted).keys() == vars(again).keys()
    for name, value in vars(fitted).items():
        if name.endswith("_") and not hasattr(value, "get_params") and name != "net_":
            assert same(value, vars(again)[name]), name
    return again


@pytest.mark.parametrize("module", ["simple_cnn", "resnet", "vgg", "linear"])
def test_a_classifier_comes_back_to_the_bit(module, path):
    fitted = quick(module).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert same(again.net_.predict_proba(X), fitted.net_.predict_proba(X))
    assert same(clone(again).fit(X, Y).predict_proba(X), fitted.predict_proba(X))


def test_metadata_are_read_without_the_model(path, monkeypatch):
    save(quick().fit(X, Y), path, metadata={"names": ["cat", "dog"], "n": 3})
    monkeypatch.setattr("skimb.neural_network._saving.Reader", None)
    assert read_metadata(path) == {"names": ["cat", "dog"], "n": 3}


def test_unfitted_estimators_are_not_saved(path):
    for estimator in (CNNClassifier(), CNNRegressor(), CNNEmbedder()):
        with pytest.raises(NotFittedError):
            estimator.save(path)
    assert not path.exists()


def test_a_file_of_another_class_is_refused(path):
    quick().fit(X, Y).save(path)
    assert isinstance(CNNClassifier.load(path), CNNClassifier)
    with pytest.raises(ValueError, match="fitted CNNClassifier, and a CNNRegressor is wanted"):
        CNNRegressor.load(path)
