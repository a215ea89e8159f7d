"""Checks around the predictions: parameters, copies, files, the state of the process."""

import copy
import pickle
import sys
import warnings
from collections.abc import Mapping

import joblib
import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skimb.testing._image_check import check
from skimb.testing._image_trial import METHODS, wants_numbers
from skimb.testing._promises import (
    ensure,
    random_generators,
    seed_generators,
)

__all__ = ["CHECKS"]


@check(
    "Let `__init__` only assign each parameter to the attribute of its name. Begin everything else "
    "in `fit`.",
    once=True,
)
def check_constructor(trial):
    """The constructor stores its parameters as they are, and does nothing else."""
    params = trial.new().get_params(deep=False)
    made = type(trial.estimator)(**params)
    changed = [name for name, value in params.items() if getattr(made, name) is not value]
    ensure(not changed, f"These parameters are not stored as they were given: {changed}.")
    further = sorted(set(vars(made)) - set(params))
    ensure(not further, f"The constructor also sets {further}.")


@check(
    "Derive the class from sklearn.base.BaseEstimator, and let a `set_params` of your own end with "
    "`return super().set_params(...)`.",
    once=True,
)
def check_parameters(trial):
    """`set_params` takes the result of `get_params`, returns self, and refuses unknown names."""
    made = trial.new()
    params = made.get_params()
    ensure(made.set_params(**params) is made, "`set_params` does not return the estimator.")
    after = made.get_params()
    changed = [name for name, value in params.items() if after.get(name, None) is not value]
    ensure(not changed, f"`get_params` returns other values than were set for {changed}.")
    trial.expect_refused(
        lambda: made.set_params(no_such_parameter=1), "set_params(no_such_parameter=1)"
    )


@check(
    "Call sklearn.utils.validation.check_is_fitted(self) first in each method.",
    once=True,
    needs=("fit",),
)
def check_unfitted(trial):
    """Before `fit`, each method raises a NotFittedError."""
    made = trial.new()
    for method in METHODS:
        if hasattr(made, method):
            trial.expect_refused(
                lambda method=method: getattr(made, method)(trial.X),
                f"`{method}` of an estimator that is not fitted",
                (NotFittedError,),
            )


@check(
    "Keep parameters as they are: store all that `fit` learns under names that end in `_`, and "
    "fit a clone of an estimator that is a parameter.",
    once=True,
)
def check_parameters_unchanged(trial):
    """`fit` and the methods after it do not change a parameter, or an object that is one."""
    made = trial.new()
    params = made.get_params(deep=False)
    before = joblib.hash(params)
    made.fit(trial.X, trial.y)
    trial.outputs(made)
    after = made.get_params(deep=False)
    changed = [name for name, value in params.items() if after[name] is not value]
    ensure(not changed, f"`fit` set these parameters to other objects: {changed}.")
    ensure(joblib.hash(after) == before, "`fit` changed an object that is a parameter.")


@check(
    "Keep all that is learned in attributes, and leave cloning to sklearn.base.clone.",
    once=True,
    needs=("fit", "deterministic"),
)
def check_clone(trial):
    """A clone of a fitted estimator is not fitted, has equal parameters, and learns the same."""
    fitted = trial.fitted()
    twin = clone(fitted)
    ensure(
        _described(twin.get_params(deep=False)) == _described(fitted.get_params(deep=False)),
        "The parameters of the clone differ.",
    )
    further = sorted(set(vars(twin)) - set(vars(trial.new())))
    ensure(not further, f"The clone has the attributes {further}.")
    trial.expect_equal(trial.outputs(twin.fit(trial.X, trial.y)), trial.outputs(fitted))


def _described(value):
    """Return a parameter as a value that is equal for equal parameters."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value), _described(value.get_params(deep=False))
    if isinstance(value, Mapping):
        return {key: _described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [_described(item) for item in value]
    return joblib.hash(value)


@check(
    "Keep plain values, arrays and estimators in attributes. Lambdas, open files and generators "
    "cannot be pickled: make them where they are used, or leave them out in `__getstate__`.",
)
def check_pickle(trial):
    """A fitted estimator predicts the same after pickle, deepcopy, and joblib's dump and load."""
    pickle.loads(pickle.dumps(trial.new()))
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    trial.doing = "copy.deepcopy"
    trial.expect_equal(trial.outputs(copy.deepcopy(fitted)), wanted)
    trial.doing = "pickle"
    trial.expect_equal(trial.outputs(pickle.loads(pickle.dumps(fitted))), wanted)
    trial.doing = "joblib.dump and load"
    path = trial.folder / "fitted.joblib"
    joblib.dump(fitted, path)
    trial.expect_equal(trial.outputs(joblib.load(path)), wanted)
    trial.doing = "the estimator itself, after it was copied"
    trial.expect_equal(trial.outputs(fitted), wanted)


@check(
    "Let `save` write all that the methods read, and `load` bring it back.",
    needs=("files",),
)
def check_save_and_load(trial):
    """A fitted estimator predicts the same after `save(path)` and `load(path)`."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    path = trial.folder / "fitted"
    fitted.save(path)
    loaded = type(fitted).load(path)
    trial.expect_equal(trial.outputs(loaded), wanted)
    ensure(type(loaded) is type(fitted), f"`load` returned a {type(loaded).__name__}.")


@check(
    "Draw from check_random_state(self.random_state) instead of numpy.random, or restore "
    "each setting: torch.random.fork_rng, warnings.catch_warnings, numpy.errstate.",
)
def check_global_state(trial):
    """With an int as `random_state`, nothing of the process is changed for others.

    These are the generators of random, numpy and torch, the number of torch's threads, the filters
    of warnings, numpy's handling of floating-point errors, and the configuration of scikit-learn.
    """
    settings = _settings()
    with warnings.catch_warnings():
        # Modules that are imported on first use may add filters.
        trial.outputs(trial.fitted())
    made = trial.new()
    # A seed that no estimator sets; the generators are restored after the check.
    seed_generators(1234567)
    before = {**_state(), **settings}
    made.fit(trial.X, trial.y)
    _expect_unchanged(before, "`fit`")
    trial.outputs(made)
    _expect_unchanged(before, "A method after `fit`")


def _expect_unchanged(before, what):
    changed = [name for name, state in _state().items() if state != before.get(name, state)]
    ensure(not changed, f"{what} changed: {', '.join(changed)}.")


def _state():
    generators = {f"the generator of {name}": state for name, state in random_generators().items()}
    return {**generators, **_settings(), "warnings.filters": list(warnings.filters)}


def _settings():
    states = {}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["the number of torch's threads"] = torch.get_num_threads()
        states["torch.is_grad_enabled()"] = torch.is_grad_enabled()
        states["torch.get_default_dtype()"] = torch.get_default_dtype()
    return {
        **states,
        "numpy.geterr()": np.geterr(),
        "sklearn.get_config()": sklearn.get_config(),
    }


@check(
    "Take X and y as `fit(X, y)` and `score(X, y)` get them there: with rows that were chosen by "
    "index, in the same container. `score` returns one number.",
)
def check_cross_validation(trial):
    """cross_val_score runs: each fold is fitted, and has a finite score."""
    model = trial.new()
    if not hasattr(model, "score"):
        model = _before_a_model(trial)
    scores = cross_val_score(model, trial.X, trial.y, cv=2, error_score="raise")
    ensure(
        scores.shape == (2,) and bool(np.isfinite(scores).all()),
        f"The scores are {scores}.",
    )


@check(
    "Let `fit` take X and y by position, and return self; a transformer has `fit_transform`, as "
    "sklearn.base.TransformerMixin gives it.",
    needs=("deterministic",),
)
def check_pipeline(trial):
    """In a Pipeline of scikit-learn, the estimator gives the same results as alone."""
    wanted = trial.outputs(trial.fitted())
    pipeline = make_pipeline(trial.new()).fit(trial.X, trial.y)
    trial.expect_equal(trial.outputs(pipeline), wanted)
    if hasattr(trial.estimator, "transform"):
        trial.doing = "fit_transform, which a Pipeline calls"
        found = trial.new().fit_transform(trial.X, trial.y)
        trial.expect_equal({"transform": np.asarray(found)}, {"transform": wanted["transform"]})
        trial.doing = "a linear model after the transformer"
        ensure(
            len(_before_a_model(trial).fit(trial.X, trial.y).predict(trial.X)) == len(trial.y),
            "The Pipeline does not return one prediction for each sample.",
        )


def _before_a_model(trial):
    model = Ridge() if wants_numbers(trial.estimator) else LogisticRegression()
    return make_pipeline(trial.new(), model)


CHECKS = (
    check_constructor,
    check_parameters,
    check_unfitted,
    check_parameters_unchanged,
    check_clone,
    check_pickle,
    check_save_and_load,
    check_global_state,
    check_cross_validation,
    check_pipeline,
)
