"""The class prior of unlabelled samples, with an interval and a test of the assumption."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skimb._class_prior import resolve_target_prior
from skimb._class_probabilities import class_positions, log_probabilities
from skimb._messages import shown
from skimb._unpacking import plain_vector
from skimb._warnings import warn
from skimb.model_selection._label_shift_tests import (
    ScoreDistributions,
    agreement_pvalue,
    combined_pvalue,
)
from skimb.model_selection._labelled_scores import LabelledScores, corrected, random_weights
from skimb.model_selection._prior_solvers import matched_prior, most_likely_prior
from skimb.model_selection._probability_prior import prior_of_probabilities

__all__ = [
    "absent_message",
    "checked_classifier",
    "checked_fraction",
    "draw_priors",
    "estimate_prior",
    "generator",
    "interval_of",
    "labelled_scores",
]

METHODS = ("em", "confusion_matrix", "soft_confusion_matrix")
CALIBRATIONS = ("bias_corrected", "temperature", None)


def estimate_prior(
    classifier: Any,
    X: Any,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    train_prior: Any = None,
    method: str = "em",
    calibration: str | None = "bias_corrected",
    n_bootstrap: int = 300,
    confidence_level: float = 0.95,
    random_state: Any = None,
) -> Any:
    r"""Estimate the fractions of the classes among unlabelled samples.

    The assumption is *label shift*: the fractions of the classes have changed, while the images of
    each class are those of before, :math:`p(x \mid y)`. It fits a disease that has become more
    frequent. It does not fit a new camera, a class that was not there before, or images that were
    chosen by how they look; then the estimate may be far off, whatever its interval. With labelled
    samples the assumption is tested.

    Parameters
    ----------
    classifier : classifier
        Fitted, with ``predict_proba``: of skimb, scikit-learn or another library.
    X : array-like of n samples
        Unlabelled samples.
    X_val : array-like of m samples, default=None
        Samples with labels that the classifier was *not* trained on, from before the change: they
        calibrate the probabilities, and are part of the interval and of the tests. Samples that it
        was trained on make it look more certain than it is.
    y_val : array-like of shape (m,), default=None
        Their labels; every class of the classifier is among them.
    train_prior : {"uniform"}, dict by label or None, default=None
        The class prior for which the probabilities hold. With labelled samples and biases it is not
        needed, as the calibrated probabilities hold for the fractions in `y_val`. Otherwise None
        stands for the prior that the classifier itself knows, as a `CNNClassifier` does, and with
        labelled samples after that for the fractions in `y_val`, changed by ``class_weight``.
    method : {"em", "confusion_matrix", "soft_confusion_matrix"}, default="em"
        ``"em"``: maximum likelihood, the maximum that the EM algorithm of Saerens et al. [1]_ goes
        to; it uses all that the probabilities say, and needs calibrated ones. The others need
        labelled samples, and are less precise. ``"confusion_matrix"``: the fractions of predicted
        classes, explained by the confusion matrix in least squares [2]_; the decisions are those
        for equal classes, so that rare classes are predicted too. ``"soft_confusion_matrix"``: the
        same with mean probabilities.
    calibration : {"bias_corrected", "temperature"} or None, default="bias_corrected"
        What is fitted on the labelled samples first: a temperature and a bias per class [3]_, a
        temperature alone, or nothing.
    n_bootstrap : int, default=300
        The number of draws for the interval and the tests. 0: there are none.
    confidence_level : float, default=0.95
        The confidence of each interval. They are for one class at a time.
    random_state : int, RandomState instance or None, default=None
        Drives the bootstrap.

    Returns
    -------
    estimate : Bunch
        ``prior`` : ndarray of shape (n_classes,)
            The estimated fractions, in the order of ``classes``.
        ``interval`` : ndarray of shape (n_classes, 2), or None
            The lower and the upper end for each class, from a bootstrap of the unlabelled and of
            the labelled samples, their calibration included. Without labelled samples it is for the
            unlabelled ones alone. None with ``n_bootstrap=0``.
        ``pvalue`` : float or None
            The p-value of label shift and calibrated probabilities: a small one speaks against
            them. It is twice the smaller of ``pvalues``, at most 1. None without labelled samples
            or with ``n_bootstrap=0``.
        ``pvalues`` : dict or None, as ``pvalue``
            ``"agreement"``: whether maximum likelihood and the confusion matrix agree.
            ``"scores"``: whether the unlabelled scores are distributed as the labelled ones,
            weighted to the estimated prior.
        ``classes`` : ndarray of shape (n_classes,)
            Labels.
        ``absent`` : ndarray
            The labels whose fraction is estimated as zero, of which a warning tells.
        ``estimates`` : dict
            The estimates of all methods, by name.
        ``train_prior`` : ndarray of shape (n_classes,)
            The class prior for which the probabilities hold.
        ``temperature``, ``biases`` : float, ndarray of shape (n_classes,)
            The calibration.

    Raises
    ------
    ValueError
        If the training prior is needed and there is no way to know it, a class has no labelled
        samples, or a parameter cannot be.

    Warns
    -----
    UserWarning
        If there are no labelled samples, if the estimate has a class of fraction zero, or if a
        class has fewer than three labelled samples.

    References
    ----------
    .. [1] M. Saerens, P. Latinne and C. Decaestecker, Neural Computation 14, 2002.
       DOI 10.1162/089976602753284446
    .. [2] Z. C. Lipton, Y.-X. Wang and A. Smola, ICML 2018. arXiv 1802.03916
    .. [3] A. Alexandari, A. Kundaje and A. Shrikumar, ICML 2020. arXiv 1901.06852

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.model_selection import estimate_prior
    >>> rng = np.random.default_rng(0)
    >>> def draw(n, fraction):
    ...     y = (rng.random(n) < fraction).astype(int)
    ...     return rng.standard_normal((n, 2)) + 1.5 * y[:, None], y
    >>> clf = LogisticRegression().fit(*draw(500, 0.1))
    >>> X_val, y_val = draw(500, 0.1)
    >>> X_new, _ = draw(1000, 0.4)
    >>> found = estimate_prior(clf, X_new, X_val=X_val, y_val=y_val, random_state=0)
    >>> bool(found.interval[1, 0] < 0.4 < found.interval[1, 1])
    True
    >>> round(found.prior[1], 1), found.pvalue > 0.05
    (np.float64(0.4), True)
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {list(METHODS)}. Got {shown(method)}.")
    checked_fraction("confidence_level", confidence_level)
    if not isinstance(n_bootstrap, Integral) or isinstance(n_bootstrap, bool) or n_bootstrap < 0:
        raise ValueError(f"`n_bootstrap` must be a whole number, at least 0. Got {n_bootstrap!r}.")
    rng = generator(random_state)
    classes = checked_classifier(classifier)
    labelled = labelled_scores(
        classifier, X_val, y_val, train_prior=train_prior, calibration=calibration
    )
    if labelled is None:
        if method != "em":
            raise ValueError(
                f"method={method!r} needs labelled samples. Give `X_val` and `y_val`, "
                "samples that the classifier was not trained on, or method='em'."
            )
        prior = _prior_for(classifier, train_prior)
        if prior is None or (prior <= 0).any():
            raise ValueError(
                "Without labelled samples, the class prior for which the probabilities of "
                f"{type(classifier).__name__} hold must be known. Give `train_prior`, such as "
                f"{shown({label: round(1 / len(classes), 3) for label in classes})} or 'uniform', "
                "or better: `X_val` and `y_val`, samples that it was not trained on."
            )
        warn(
            "Without labelled samples (`X_val`, `y_val`), the probabilities are trusted as they "
            "are, and label shift is not tested. Probabilities that are not calibrated can put the "
            "estimate far off, outside of its interval."
        )
        log_prior = np.log(prior)
    else:
        log_prior = labelled.log_prior
        few = classes[labelled.counts < 3]
        if len(few) and n_bootstrap:
            warn(
                f"The classes {shown(few)} have fewer than three labelled samples in `y_val`: the "
                "interval and the test cannot tell how these vary."
            )
    log_proba = log_probabilities(classifier, X)
    if not len(log_proba):
        raise ValueError("`X` has no samples. Give at least one unlabelled sample.")
    found = draw_priors(log_proba, labelled, log_prior, n_bootstrap, rng, method=method)
    absent = classes[found.prior == 0]
    if len(absent):
        warn(absent_message(absent, len(log_proba)))
    correction = None if labelled is None else labelled.correction
    return Bunch(
        prior=found.prior,
        interval=interval_of(found.draws, confidence_level),
        pvalue=None if found.pvalues is None else combined_pvalue(list(found.pvalues.values())),
        pvalues=found.pvalues,
        classes=classes,
        absent=absent,
        estimates=found.estimates,
        train_prior=np.exp(log_prior),
        temperature=1.0 if correction is None else correction.temperature,
        biases=np.zeros(len(classes)) if correction is None else correction.biases,
        n_samples=len(log_proba),
    )


def draw_priors(log_proba, labelled, log_prior, n_draws, rng, *, method="em"):
    """Estimate the prior, and again on random weights of the samples.

    Parameters
    ----------
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities of unlabelled samples, as the classifier gives them.
    labelled : LabelledScores or None
    log_prior : ndarray of shape (n_classes,)
        The logarithm of the prior for which (corrected) probabilities hold.
    n_draws : int
    rng : Generator
    method : str, default="em"
        One of `METHODS`.

    Returns
    -------
    Bunch
        With `prior`, `draws` of shape (n_draws, n_classes) or None, `estimates` and `pvalues`.
    """
    calibrated = log_proba if labelled is None else labelled.corrected(log_proba)
    estimates = {"em": most_likely_prior(calibrated, log_prior).prior}
    both: Any = {}
    if labelled is not None:
        both = {
            "confusion_matrix": (
                _decisions(calibrated - log_prior),
                _decisions(labelled.calibrated - log_prior),
            ),
            "soft_confusion_matrix": (np.exp(calibrated), np.exp(labelled.calibrated)),
        }
        for name, (scores, own) in both.items():
            estimates[name] = matched_prior(labelled.class_means(own), scores.mean(axis=0))
    found = Bunch(prior=estimates[method], estimates=estimates, draws=None, pvalues=None)
    if not n_draws:
        return found
    n_samples, n_classes = log_proba.shape
    weight = random_weights(rng, np.zeros(n_samples, dtype=np.intp), n_draws)
    # All classes are possible at the start of each draw.
    start = 0.9 * estimates["em"] + 0.1 / n_classes
    if labelled is None:
        found.draws = np.array(
            [most_likely_prior(calibrated, log_prior, weight=w, start=start).prior for w in weight]
        )
        return found
    of_labelled = random_weights(rng, labelled.target, n_draws)
    inverse, biases = labelled.redrawn_corrections(of_labelled)
    raised = labelled.raised(log_proba)
    draws = {name: np.empty((n_draws, n_classes)) for name in estimates}
    for i in range(n_draws):
        again = corrected(raised, inverse[i], biases[i])
        draws["em"][i] = most_likely_prior(again, log_prior, weight=weight[i], start=start).prior
        for name, (scores, own) in both.items():
            means = labelled.class_means(own, of_labelled[i])
            draws[name][i] = matched_prior(means, weight[i] @ scores / n_samples)
    found.draws = draws[method]
    distributions = ScoreDistributions(calibrated, labelled)
    one = np.ones((1, n_samples)), np.ones((1, labelled.n_samples))
    seen = distributions.differences(estimates["em"][None], *one)[0]
    drawn = distributions.differences(draws["em"], weight, of_labelled)
    found.pvalues = {
        "agreement": agreement_pvalue(
            estimates["em"] - estimates["confusion_matrix"],
            draws["em"] - draws["confusion_matrix"],
        ),
        "scores": distributions.pvalue(seen, drawn),
    }
    return found


def _decisions(scores):
    """Return indicators of the classes with the largest scores."""
    return np.eye(scores.shape[1])[scores.argmax(axis=1)]


def interval_of(draws, confidence_level):
    """Return the interval of each class, of shape (n_classes, 2), from draws of a bootstrap."""
    if draws is None:
        return None
    outside = (1 - confidence_level) / 2
    return np.quantile(draws, [outside, 1 - outside], axis=0).T


def absent_message(labels, n_samples):
    """Return the text about classes whose fraction is estimated as zero."""
    return (
        f"The estimated fraction of the classes {shown(labels)} is zero, at the edge of what is "
        f"possible: none of the {n_samples} samples speaks for them. Either these classes are "
        "absent, or the probabilities hold for another class prior than `train_prior` says, or "
        "are not calibrated. Give labelled samples that the classifier was not trained on, or more "
        "unlabelled ones."
    )


def labelled_scores(classifier, X_val, y_val, *, train_prior, calibration):
    """Return the scores of labelled samples, or None if there are none.

    Raises
    ------
    ValueError
        If one of the two is missing, or a class has no samples.
    """
    if calibration not in CALIBRATIONS:
        raise ValueError(
            "`calibration` must be 'bias_corrected', 'temperature' or None. "
            f"Got {shown(calibration)}."
        )
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"`X_val` and `y_val` are given together, but `{missing}` is None.")
    if X_val is None:
        return None
    classes = checked_classifier(classifier)
    y = plain_vector(y_val, "y_val")
    target = class_positions(y, classes, name="y_val")
    missing = classes[np.bincount(target, minlength=len(classes)) == 0]
    if len(missing):
        raise ValueError(
            f"`y_val` has no samples of the classes {shown(missing)}, so it is not known which "
            "probabilities they get. Give labelled samples of every class."
        )
    prior = None
    if train_prior is not None or calibration != "bias_corrected":
        prior = _prior_for(classifier, train_prior, target)
    log_proba = log_probabilities(classifier, X_val)
    check_consistent_length(log_proba, target)
    return LabelledScores(log_proba, target, calibration=calibration, train_prior=prior)


def checked_classifier(classifier):
    """Return the labels of a fitted classifier."""
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"`classifier` needs the method `predict_proba`. Got {classifier!r:.100}. A classifier "
            "without one can be wrapped in sklearn's CalibratedClassifierCV."
        )
    check_is_fitted(classifier)
    return np.asarray(classifier.classes_)


def _prior_for(classifier, train_prior, target=None):
    """Return the prior for which probabilities hold, as a user or the classifier says it."""
    given = resolve_target_prior(train_prior, classes=classifier.classes_, name="train_prior")
    if given is not None:
        return given
    # Labelled samples stand for those of its training, so it counts as fitted before.
    found = prior_of_probabilities(FrozenEstimator(classifier), target)
    if target is None:
        return found.prior
    return found.known(
        classifier.classes_,
        "An estimate without biases",
        "Give them as `train_prior`, or use calibration='bias_corrected'.",
    )


def checked_fraction(name, value):
    """Refuse a number that is not between 0 and 1."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < 1:
        raise ValueError(f"`{name}` must be a number between 0 and 1. Got {value!r}.")


def generator(random_state):
    """Return NumPy's generator for a random state of scikit-learn."""
    return np.random.default_rng(int(check_random_state(random_state).randint(2**31 - 1)))
