"""Estimators in a notebook: scikit-learn draws them, and says nothing wrong about them."""

import re
from inspect import Parameter, signature

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skimb import combine, ensemble, model_selection, neural_network, over_sampling, under_sampling
from skimb.losses import FocalLoss
from skimb.model_selection import AutoBalanceClassifier, PriorCorrectedClassifier
from skimb.neural_network import CNNClassifier, DecoupledClassifier

MODULES = (combine, ensemble, model_selection, neural_network, over_sampling, under_sampling)

ESTIMATORS = {
    name: item
    for module in MODULES
    for name, item in ((name, getattr(module, name)) for name in module.__all__)
    if isinstance(item, type) and hasattr(item, "fit") and hasattr(item, "get_params")
}


def unfitted(cls):
    """Return an object of a class, around a network or a sampler where it needs one."""
    parts = {"estimator": CNNClassifier(), "sampler": under_sampling.RandomUnderSampler()}
    needed = [p.name for p in signature(cls).parameters.values() if p.default is Parameter.empty]
    return cls(**{name: parts.get(name) for name in needed})


def user_set(html):
    """Return the names of the parameters that are marked as set by the user."""
    return re.findall(r'<tr class="user-set">.*?<td class="param">(\w+)</td>', html, re.DOTALL)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_drawn_without_a_link_to_another_documentation(name):
    html = unfitted(ESTIMATORS[name])._repr_html_()
    assert "<span>Not fitted</span>" in html
    assert "href=" not in html


def test_a_fitted_network_is_shown_as_fitted_and_its_own_parameters_are_marked():
    X = np.random.RandomState(0).rand(40, 8, 8)
    clf = CNNClassifier("linear", loss=FocalLoss(), class_weight="balanced", lr=1e-3, max_epochs=1)
    assert user_set(clf._repr_html_()) == ["module", "loss", "class_weight", "max_epochs"]
    html = clf.fit(X, np.arange(40) % 2)._repr_html_()
    assert "<span>Fitted</span>" in html
    assert "class_count_" in html


def fitted_around_a_network(name):
    """Return a fitted classifier that has a prior, and the part of it whose prior it has."""
    X = np.random.RandomState(0).rand(40, 8, 8)
    y = np.repeat([0, 1], [24, 16])
    network = CNNClassifier("linear", max_epochs=1, random_state=0).fit(X, y)
    if name == "network":
        return network, network
    if name == "head":
        clf = DecoupledClassifier(FrozenEstimator(network), random_state=0).fit(X, y)
        return clf, clf
    clf = AutoBalanceClassifier(FrozenEstimator(network), cv=2, random_state=0).fit(X, y)
    return clf, clf.estimator_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["network", "head", "auto_balance"])
def test_a_notebook_draws_a_classifier_whose_prior_was_set_wrongly_after_its_fit(name):
    clf, part = fitted_around_a_network(name)
    part.set_params(target_prior={0: 0.5})
    assert "<span>Fitted</span>" in clf._repr_html_()
    assert "predicted_prior_" not in dir(clf)
    with pytest.raises(ValueError, match="a fraction for every label"):
        clf.predict_proba(np.zeros((1, 8, 8)))
    corrected = PriorCorrectedClassifier(
        FrozenEstimator(clf), target_prior="uniform", calibration=None
    )
    with pytest.raises(ValueError, match="a fraction for every label"):
        corrected.fit(np.zeros((4, 8, 8)), [0, 1, 0, 1])
