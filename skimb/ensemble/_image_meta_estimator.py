"""Meta-estimators that take tables only, on images."""

import copy
from numbers import Integral
from typing import Any, Self

import numpy as np
from imblearn import FunctionSampler
from imblearn.over_sampling import RandomOverSampler as PlainOverSampler
from imblearn.under_sampling import RandomUnderSampler as PlainUnderSampler
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skimb._messages import shown
from skimb._params import GRIDS, HasMethods, check_handed_in, fit_context
from skimb._sub_estimators import takes_images
from skimb._unpacking import unpacked
from skimb.ensemble._row_numbers import HeldSamples, RowEstimator, bind
from skimb.over_sampling import RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

__all__ = ["ImageMetaEstimator"]

#: Parameters of meta-estimators that hold an estimator of samples, or a list of names and such.
ONE, SEVERAL = ("estimator", "base_estimator"), ("estimators",)

#: Options of meta-estimators that draw columns, and the values at which they draw none.
DRAWS_COLUMNS: Any = {"max_features": 1.0, "bootstrap_features": False}

#: Attributes of a fitted adapter.
FITTED = ("estimator_", "classes_", "n_features_in_", "feature_names_in_")

#: Samplers that choose samples without reading them.
READ_NO_SAMPLES = (
    FunctionSampler,
    PlainOverSampler,
    PlainUnderSampler,
    RandomOverSampler,
    RandomUnderSampler,
)


def _has(method):
    """Return a check that the meta-estimator has a method."""

    def check(self):
        getattr(self.estimator_ if hasattr(self, "estimator_") else self.estimator, method)
        return True

    return check


class ImageMetaEstimator(BaseEstimator):
    """Let a meta-estimator that takes tables only work on images.

    Many meta-estimators of scikit-learn and imbalanced-learn (bagging, boosting, self-training,
    one against one) refuse arrays of more than two dimensions, and paths. They need no pixels
    themselves: they choose samples. So they get the row numbers of X, and each estimator in them
    that reads samples looks its samples up in X, which is not copied, read or converted as a whole.

    Parameters
    ----------
    estimator : meta-estimator
        A meta-estimator with `estimator` or `estimators`, such as
        ``BaggingClassifier(CNNClassifier())``. It may hold meta-estimators itself, such as
        ``EasyEnsembleClassifier(estimator=AdaBoostClassifier(CNNClassifier()))``: an estimator in
        it reads samples if it takes images, or is no meta-estimator. A Pipeline, a search and a
        `FrozenEstimator` in it count as one estimator that reads samples.

    Attributes
    ----------
    estimator_ : meta-estimator
        The fitted meta-estimator. Its members look like the estimators on images and hand images on
        to them; the samples of the training are not held.
    classes_ : ndarray of shape (n_classes,)
        Labels, if it is a classifier.
    n_features_in_ : int
        As the estimators on images have it.
    feature_names_in_ : ndarray of str
        Names of the columns, if X is a frame.

    See Also
    --------
    ReBaggRegressor : Bagging of regressors for rare values of a target, which takes images as they
        are.

    Notes
    -----
    The meta-estimator gives its members the labels that it computes with: `BaggingClassifier`
    numbers the classes from 0, so that ``class_weight={0: 1, 1: 20}`` fits, and a dict of other
    labels does not.

    With ``n_jobs`` of the meta-estimator, processes get an array of a megabyte or more as a map of
    one file, which joblib writes, and not as a copy each; a network in a process holds its own
    training images, as in any fit. Paths are sent, which costs little.

    `fit` takes no ``groups``, because scikit-learn's meta-estimators hand none to their members. A
    member with ``early_stopping=True`` may therefore hold out some samples of a group and train on
    the others. Splitters of a search around the adapter get groups as usual.

    Each `fit` begins with a clone of `estimator`, so its ``warm_start`` has no effect.

    Examples
    --------
    >>> from sklearn.ensemble import BaggingClassifier
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.ensemble import ImageMetaEstimator
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X.shape
    (1704, 8, 8)

    A `CNNClassifier` is given in the same way; here images are flattened for a method that is fast:

    >>> flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    >>> member = make_pipeline(flatten, KNeighborsClassifier())
    >>> bagging = BaggingClassifier(member, n_estimators=3, random_state=0)
    >>> ImageMetaEstimator(bagging).fit(X[:200], y[:200]).predict(X[200:]).shape
    (1504,)
    """

    _parameter_constraints: dict = {"estimator": [HasMethods(["fit", "get_params"])]}

    def __init__(self, estimator):
        self.estimator = estimator

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the meta-estimator.

        Parameters
        ----------
        X : array-like of shape (n, ...), frame, n paths, ImageSource, or view of a resampler
            Samples in a form that the estimators in the meta-estimator read.
        y : array-like of shape (n,)
            Labels, or values of the target; in a form that the meta-estimator reads.
        sample_weight : array-like of shape (n,), default=None
            Sample weights, which are handed to the meta-estimator.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `estimator` is no meta-estimator on samples, draws or chooses columns, or holds a
            sampler that computes with samples; if `sample_weight` is given and it takes none; or
            if X or y does not fit.
        """
        # A fit that fails leaves the estimator unfitted.
        for name in FITTED:
            self.__dict__.pop(name, None)
        check_handed_in(self)
        weights = {}
        if sample_weight is not None:
            if not has_fit_parameter(self.estimator, "sample_weight"):
                raise ValueError(
                    f"{type(self.estimator).__name__} takes no `sample_weight`. Give another "
                    "`estimator`, or fit without weights."
                )
            weights["sample_weight"] = sample_weight
        _check_is_meta_estimator(self.estimator)
        held = HeldSamples.of(X)
        meta = _on_rows(clone(self.estimator), held)
        meta.fit(held.numbers(), unpacked(y, "y"), **weights)
        self.estimator_, found = bind(meta, None)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        for estimator in found:
            if hasattr(estimator, "n_features_in_"):
                self.n_features_in_ = estimator.n_features_in_
                if hasattr(estimator, "feature_names_in_"):
                    self.feature_names_in_ = estimator.feature_names_in_
                break
        return self

    @available_if(_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predictions of the meta-estimator.

        Parameters
        ----------
        X : array-like
            Samples as in `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._call("predict", X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Samples as in `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._call("predict_proba", X)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array-like
            Samples as in `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._call("predict_log_proba", X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the decision values of the meta-estimator.

        Parameters
        ----------
        X : array-like
            Samples as in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
        """
        return self._call("decision_function", X)

    @available_if(_has("score"))
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the meta-estimator: accuracy of classifiers, R2 of regressors.

        Parameters
        ----------
        X : array-like
            Samples as in `fit`.
        y : array-like of shape (n,)
            Labels, or values of the target.
        sample_weight : array-like of shape (n,), default=None
            Sample weights.

        Returns
        -------
        float
        """
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self._call("score", X, unpacked(y, "y"), **weights)

    def _call(self, method, X, *args, **kwargs):
        check_is_fitted(self)
        held = HeldSamples.of(X)
        fitted, _ = bind(self.estimator_, held)
        return getattr(fitted, method)(held.numbers(), *args, **kwargs)

    def __sklearn_tags__(self):
        tags = copy.deepcopy(get_tags(self.estimator))
        tags.input_tags = copy.deepcopy(get_tags(_first_reader(self.estimator)).input_tags)
        return tags


# ------------------------------------------------------------ which estimators read samples


def _parts(estimator) -> Any:
    """Yield the estimators of samples in a meta-estimator: parameter, place in it, estimator."""
    if not hasattr(estimator, "get_params") or isinstance(estimator, type):
        return
    for name, value in estimator.get_params(deep=False).items():
        if name in ONE and hasattr(value, "fit"):
            yield name, None, value
        elif name in SEVERAL and isinstance(value, list | tuple):
            for place, pair in enumerate(value):
                if isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[1], "fit"):
                    yield name, place, pair[1]


def _is_search(estimator):
    return any(hasattr(estimator, name) for name in GRIDS)


def _reads_samples(estimator):
    """Tell whether an estimator gets samples; another one is a meta-estimator and gets numbers."""
    is_whole = isinstance(estimator, FrozenEstimator | ImageMetaEstimator)
    if is_whole or _is_search(estimator) or takes_images(estimator):
        return True
    return next(_parts(estimator), None) is None


def _first_reader(estimator):
    """Return the first estimator that gets samples."""
    part = next(_parts(estimator), None)
    if part is None:
        return estimator
    return part[2] if _reads_samples(part[2]) else _first_reader(part[2])


def _check_is_meta_estimator(estimator):
    name = type(estimator).__name__
    if _is_search(estimator):
        raise ValueError(
            f"{name} is a search, which takes images as they are. Put the adapter into it: "
            f"{name}(ImageMetaEstimator(...), ...), with names of parameters such as "
            "'estimator__estimator__lr'."
        )
    if isinstance(estimator, FrozenEstimator | ImageMetaEstimator):
        raise ValueError(f"{name} takes images as it is. Use it without ImageMetaEstimator.")
    if next(_parts(estimator), None) is None:
        params = estimator.get_params(deep=False)
        hint = (
            "Its default reads tables; give an estimator that reads images, such as "
            f"{name}(estimator=CNNClassifier())."
            if any(key in params for key in ONE + SEVERAL)
            else "An estimator that takes images needs no ImageMetaEstimator; one that takes "
            "tables reads embeddings of images: make_pipeline(CNNEmbedder(), ...)."
        )
        raise ValueError(
            "`estimator` must be a meta-estimator that holds an estimator of images as `estimator` "
            f"or `estimators`. Got {name}, which holds none. {hint}"
        )
    if takes_images(estimator):
        raise ValueError(f"{name} takes images as it is. Use it without ImageMetaEstimator.")


def _refuse_columns(meta):
    """Refuse a meta-estimator that chooses among columns, or hands them on: it has row numbers."""
    name = type(meta).__name__
    if getattr(meta, "passthrough", False):
        raise ValueError(
            f"{name}(passthrough=True) hands X to its final estimator, and images are no table. "
            "Use passthrough=False."
        )
    if hasattr(meta, "get_support"):
        raise ValueError(
            f"{name} chooses columns of X, and images have none. Use it on embeddings: "
            f"make_pipeline(CNNEmbedder(), {name}(...))."
        )
    for option, value in DRAWS_COLUMNS.items():
        given = getattr(meta, option, value)
        # The integer 1 is one column, and 1.0 is all of them.
        is_number_of = isinstance(given, Integral) and not isinstance(given, bool | np.bool_)
        if is_number_of or given != value:
            raise ValueError(
                f"{name}({option}={shown(given)}) draws columns of X for each member, but a "
                "meta-estimator in ImageMetaEstimator has row numbers only: each member would get "
                f"whole samples. Use {option}={value!r}. Embeddings have columns: "
                f"{name}(..., {option}={shown(given)}) works on the output of CNNEmbedder, without "
                "ImageMetaEstimator."
            )


def _on_rows(meta, held):
    """Wrap the estimators of samples in a meta-estimator, which is changed and returned."""
    for name, value in meta.get_params(deep=False).items():
        if hasattr(value, "fit_resample") and not isinstance(value, READ_NO_SAMPLES):
            raise ValueError(
                f"`{name}` of {type(meta).__name__} is a {type(value).__name__}, which computes "
                "with samples, but a meta-estimator in ImageMetaEstimator has row numbers only. "
                "Give a RandomUnderSampler or a RandomOverSampler, or give the sampler to the "
                "estimator on images, as CNNClassifier(sampler=...)."
            )
    _refuse_columns(meta)
    wrapped: dict = {}
    for name, place, part in _parts(meta):
        part = RowEstimator(part, held) if _reads_samples(part) else _on_rows(part, held)
        if place is None:
            wrapped[name] = part
        else:
            pairs = wrapped.setdefault(name, list(meta.get_params(deep=False)[name]))
            pairs[place] = pairs[place][0], part
    return meta.set_params(**wrapped)
