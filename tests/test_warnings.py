"""A warning names the line of the user, however skimb was called."""

import contextlib
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import skimb
from skimb._warnings import warn
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.over_sampling import SMOTE

FEW = "samples only"


def table(n_minority=8):
    """Two classes, the minority so small that five neighbours are not found in a fold of it."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [60, n_minority])
    return rng.randn(len(y), 4).astype(np.float32) + y[:, None], y


def network(**params):
    return CNNClassifier("linear", max_epochs=1, random_state=0, **params)


def call_directly():
    SMOTE().fit_resample(*table(4))


def call_as_sampler():
    network(sampler=SMOTE()).fit(*table(4))


def call_in_decoupled():
    DecoupledClassifier(network(), sampler=SMOTE(), max_epochs=1).fit(*table(4))


def call_in_pipeline():
    make_pipeline(SMOTE(), LogisticRegression()).fit(*table(4))


def call_in_grid():
    model = make_pipeline(SMOTE(), LogisticRegression())
    GridSearchCV(model, {"logisticregression__C": [1.0]}, cv=2, n_jobs=1).fit(*table())


def call_in_loss_search():
    model = network(sampler=SMOTE())
    LossSearchCV(model, {"loss": ["cross_entropy", "focal"]}, cv=2).fit(*table())


def call_in_search_of_heads():
    model = DecoupledClassifier(network(), sampler=SMOTE(), max_epochs=1)
    LossSearchCV(model, {"loss": ["cross_entropy", "focal"]}, cv=2).fit(*table())


@pytest.mark.parametrize(
    "call",
    [
        call_directly,
        call_as_sampler,
        call_in_decoupled,
        call_in_pipeline,
        call_in_grid,
        call_in_loss_search,
        call_in_search_of_heads,
    ],
)
def test_a_warning_names_the_line_of_the_caller(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    places = {(w.filename, w.lineno) for w in caught if FEW in str(w.message)}
    assert places
    first = call.__code__.co_firstlineno
    assert all(name == __file__ and first < line < first + 4 for name, line in places)


class Mine(SMOTE):
    """A sampler of the user's own, with a constructor of its own."""

    def __init__(self, k_neighbors=5):
        super().__init__(k_neighbors=k_neighbors)

    def fit_resample(self, X, y):
        return super().fit_resample(X, y)


def test_code_of_the_user_within_a_search_is_named_first():
    with pytest.warns(UserWarning, match=FEW) as caught:
        GridSearchCV(
            make_pipeline(Mine(), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2
        ).fit(*table())
    line = Mine.fit_resample.__code__.co_firstlineno + 1
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}


def test_a_context_manager_in_between_is_not_named():
    @contextlib.contextmanager
    def warning():
        SMOTE().fit_resample(*table(4))
        yield

    decorated = warning()(lambda: None)
    with pytest.warns(UserWarning, match=FEW) as caught:
        decorated()
    assert caught[0].filename == __file__


def test_where_no_line_is_the_users_that_of_skimb_is_named():
    def in_thread():
        thread = threading.Thread(target=SMOTE().fit_resample, args=table(4))
        thread.start()
        thread.join()

    with pytest.warns(UserWarning, match=FEW) as caught:
        in_thread()
    assert Path(caught[0].filename).is_relative_to(Path(skimb.__file__).parent)


def test_the_same_warning_of_one_line_is_shown_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            warn("once", FutureWarning)
        warn("once", FutureWarning)
    assert [w.category for w in caught] == [FutureWarning] * 2
