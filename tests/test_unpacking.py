"""What people hold images in is taken where it is images, and named where it is not."""

import sys
import types
from collections import UserDict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.helper import SliceDataset
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skimb._optional_libraries import is_of
from skimb.datasets import load_imbalanced_digits
from skimb.model_selection import LossSearchCV
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    DeepSMOTE,
)
from skimb.over_sampling import SMOTE, RandomOverSampler

QUICK: dict[str, Any] = {"max_epochs": 1, "random_state": 0}


def few():
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1)[:20], np.flatnonzero(y == 0)[:60]]
    return X[rows].astype(np.float32), y[rows]


X, Y = few()


class Pairs(Dataset):
    """Images and labels, as torch wants them."""

    def __len__(self):
        return len(X)

    def __getitem__(self, row):
        return torch.from_numpy(X[row]), int(Y[row])


def of_objects(rows):
    made = np.empty(len(rows), dtype=object)
    made[:] = list(rows)
    return made


TAKEN = {
    "a tensor that requires a gradient": lambda: torch.from_numpy(X.copy()).requires_grad_(),
    "a bfloat16 tensor": lambda: torch.from_numpy(X).bfloat16(),
    "a half tensor": lambda: torch.from_numpy(X).half(),
    "a list of tensors": lambda: list(torch.from_numpy(X)),
    "a list of tensors that require gradients": lambda: list(
        torch.from_numpy(X.copy()).requires_grad_()
    ),
    "a tuple of arrays": lambda: tuple(X),
    "an object array of arrays": lambda: of_objects(X),
    "a Series of arrays": lambda: pd.Series(list(X), index=np.arange(len(X))[::-1]),
    "a Series of tensors": lambda: pd.Series(list(torch.from_numpy(X))),
    "a frame with a column of arrays": lambda: pd.DataFrame({"image": list(X)}),
    "a SliceDataset": lambda: SliceDataset(Pairs()),
}

REFUSED = {
    "a dict": (lambda: {"images": X}, r"X is a dict\. .*X\['images'\]"),
    "another mapping": (lambda: UserDict(images=X), "X is a UserDict"),
    "a DataLoader": (lambda: DataLoader(Pairs(), 8), "X is a DataLoader"),
    "a generator": (lambda: (image for image in X), "X is a generator"),
    "a Dataset": (Pairs, r"X is a torch Dataset \(Pairs\).* X = np\.stack"),
    "a TensorDataset": (lambda: TensorDataset(torch.from_numpy(X)), r"\(TensorDataset\)"),
    "a list of two shapes": (lambda: [*X[:-1], X[0][:3]], "X holds arrays of different shapes"),
    "a Series of two shapes": (
        lambda: pd.Series([*X[:-1], X[0][:3]]),
        r"X holds arrays of different shapes: \[\(3, 8\), \(8, 8\)\]",
    ),
}

ESTIMATORS = {
    "CNNClassifier": lambda: CNNClassifier(**QUICK),
    "CNNRegressor": lambda: CNNRegressor(**QUICK),
    "DecoupledClassifier": lambda: DecoupledClassifier(CNNClassifier(**QUICK), **QUICK),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("container", TAKEN)
def test_images_in_other_containers_are_those_of_the_array(container, name):
    model, given = ESTIMATORS[name](), TAKEN[container]()
    wanted = ESTIMATORS[name]().fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.fit(given, Y).predict(X), wanted)
    np.testing.assert_array_equal(model.predict(given), wanted)


@pytest.mark.parametrize("container", TAKEN)
def test_an_embedder_takes_them_too(container):
    embedder = CNNEmbedder(CNNClassifier(**QUICK)).fit(TAKEN[container](), Y)
    np.testing.assert_array_equal(
        embedder.transform(TAKEN[container]()), embedder.estimator_.embed(X)
    )


@pytest.mark.parametrize("container", REFUSED)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_no_images_is_named_before_any_work(container, name):
    given, message = REFUSED[container]
    with pytest.raises(ValueError, match=message):
        ESTIMATORS[name]().fit(given(), Y)
    fitted = ESTIMATORS[name]().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(given())


@pytest.mark.parametrize(
    "given",
    [
        torch.from_numpy(Y).float().requires_grad_(),
        torch.from_numpy(Y).bfloat16(),
        list(torch.from_numpy(Y)),
    ],
    ids=["requires a gradient", "bfloat16", "a list of tensors"],
)
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_a_target_may_be_any_tensor(estimator, given):
    found = estimator(**QUICK).fit(X, given).predict(X)
    np.testing.assert_array_equal(found, estimator(**QUICK).fit(X, Y).predict(X))


@pytest.mark.parametrize("given", [{"y": Y}, (label for label in Y)], ids=["dict", "generator"])
def test_a_target_that_is_no_column_is_named(given):
    with pytest.raises(ValueError, match=r"y is a \w+.* one value for each sample"):
        CNNClassifier(**QUICK).fit(X, given)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_search_takes_tensors():
    search = LossSearchCV(CNNClassifier(**QUICK), {"loss": ["focal"]}, cv=2)
    wanted = search.fit(X, Y).cv_results_["mean_test_score"]
    found = search.fit(torch.from_numpy(X.copy()).requires_grad_(), torch.from_numpy(Y).bfloat16())
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], wanted)


@pytest.mark.parametrize(
    "sampler",
    [RandomOverSampler(random_state=0), SMOTE(random_state=0), DeepSMOTE(n_latent=4, **QUICK)],
    ids=lambda sampler: type(sampler).__name__,
)
def test_a_sampler_takes_bfloat16_tensors(sampler):
    made, labels = sampler.fit_resample(torch.from_numpy(X).bfloat16(), Y)
    assert torch.is_tensor(made)
    assert len(made) == len(labels) == 120


@pytest.mark.parametrize("image_shape", [8, 8.5, "8", (8, 8), (1, "a", 8), (1.5, 8, 8), (1, 8, -8)])
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor, DeepSMOTE])
def test_an_image_shape_is_three_whole_numbers(estimator, image_shape):
    model = estimator(image_shape=image_shape, **QUICK)
    fit = model.fit_resample if estimator is DeepSMOTE else model.fit
    with pytest.raises(ValueError, match="image_shape"):
        fit(X, Y)


def test_objects_of_libraries_are_recognised_where_the_library_was_imported(monkeypatch):
    library = types.ModuleType("a_library")
    library.Image = type("Image", (), {})  # pyright: ignore[reportAttributeAccessIssue]
    image = library.Image()
    assert not is_of("a_library", "Image", image)
    monkeypatch.setitem(sys.modules, "a_library", library)
    assert is_of("a_library", "Image", image)
    assert not is_of("a_library", "Image", 3)
    # A class that this version of the library lacks.
    assert not is_of("a_library", "Video", image)
