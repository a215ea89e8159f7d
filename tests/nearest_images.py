"""Estimators of images by another author, which know nothing of skimb: for tests of the checks."""

import os
import pickle
from datetime import datetime

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted


class ImageReader(BaseEstimator):
    """The common part of the estimators: X becomes a matrix, checked against that of `fit`."""

    def __init__(self, shrink=0.5, noise=1.0, image_column=None, random_state=None):
        self.shrink = shrink
        self.noise = noise
        self.image_column = image_column
        self.random_state = random_state

    # ------------------------------------------------------------ images

    def _names(self, X):
        """Return the names of the columns, or None."""
        return list(X.columns) if hasattr(X, "columns") else None

    def _paths(self, X):
        """Return paths as a list of str, or None where X holds arrays."""
        if hasattr(X, "columns"):
            X = np.asarray(X[X.columns[0]], dtype=object)
        elif type(X).__module__.startswith(("pandas", "polars")):
            X = np.asarray(X, dtype=object)
        if len(X) and all(isinstance(path, str | os.PathLike) for path in X):
            return [os.fspath(path) for path in X]
        return None

    def _decoded(self, paths):
        images, bad = [], []
        for path in paths:
            try:
                with Image.open(path) as image:
                    images.append(np.asarray(image))
            except Exception:
                bad.append(path)
        if bad:
            raise ValueError(f"These files cannot be read: {bad}.")
        if len({image.shape for image in images}) > 1:
            raise ValueError("The files have several sizes.")
        return np.stack(images)

    def _checked_array(self, X):
        X = check_array(X, ensure_2d=False, allow_nd=True, dtype="numeric")
        if X.dtype.kind not in "uif":
            raise ValueError(f"X must hold numbers. Got {X.dtype}.")
        if X.ndim not in (3, 4):
            raise ValueError(f"X must be images. Got shape {X.shape}.")
        return X

    def _channels_last(self, X):
        if X.ndim == 3:
            return X[..., np.newaxis]
        return X if X.shape[3] in (1, 3, 4) else np.moveaxis(X, 1, 3)

    def _pixels(self, X):
        """Return X as an array of shape (n, H, W, C)."""
        paths = None if getattr(X, "ndim", 1) > 2 or not hasattr(X, "__len__") else self._paths(X)
        return self._channels_last(
            self._checked_array(X if paths is None else self._decoded(paths))
        )

    # ------------------------------------------------------------ tables

    def _column(self, frame, name):
        """Return a column as an array of objects, with None for missing values."""
        values = np.empty(len(frame), dtype=object)
        # NaN is not equal to itself.
        values[:] = [None if v is None or v is pd.NA or v != v else v for v in frame[name]]
        return values

    def _learn_table(self, frame):
        """Return, for each column, the mean and sd of its numbers, or its categories."""
        learned = {}
        for name in frame.columns:
            if name == self.image_column:
                continue
            values = [v for v in self._column(frame, name) if v is not None]
            if any(isinstance(v, datetime | np.datetime64) for v in values):
                raise ValueError(f"Column {name!r} holds dates. Give the day of the year, say.")
            if any(isinstance(v, str | bool | np.bool_) for v in values):
                learned[name] = sorted({str(v) for v in values})
            else:
                numbers = np.asarray(values, dtype=float)
                learned[name] = numbers.mean(), numbers.std() + 1e-9
        return learned

    def _encoded_table(self, frame, learned):
        parts = []
        for name, facts in learned.items():
            values = self._column(frame, name)
            if isinstance(facts, list):
                parts += [np.array([str(v) == level for v in values]) for level in facts]
            else:
                mean, sd = facts
                is_missing = np.array([v is None for v in values])
                numbers = np.array([mean if v is None else v for v in values], dtype=float)
                parts += [(numbers - mean) / sd, is_missing]
        return np.column_stack(parts).astype(float)

    # ------------------------------------------------------------ all of X

    def _is_mixed(self, X):
        return self.image_column is not None and hasattr(X, "columns")

    def _learn_features(self, X):
        """Return the features of X, and the attributes to set at the end of the fit."""
        facts = {}
        if hasattr(X, "columns"):
            facts["feature_names_in_"] = np.array(self._names(X), dtype=object)
        images = X
        if self._is_mixed(X):
            images = list(X[self.image_column])
        pixels = self._pixels(images)
        height, width, n_channels = pixels.shape[1:]
        facts["image_shape_"] = (n_channels, height, width)
        is_path = self._paths(images) is not None if getattr(images, "ndim", 1) <= 2 else False
        facts["n_features_in_"] = 1 if is_path else n_channels * height * width
        features = self._flat(pixels)
        if self._is_mixed(X):
            facts["n_features_in_"] = X.shape[1]
            facts["table_"] = self._learn_table(X)
            features = np.hstack([features, 20 * self._encoded_table(X, facts["table_"])])
        return features, facts

    def _flat(self, pixels):
        return np.ascontiguousarray(pixels, dtype=float).reshape(len(pixels), -1)

    def _features(self, X):
        check_is_fitted(self)
        self._check_columns(X)
        images = X
        if self._is_mixed(X):
            images = list(X[self.image_column])
        pixels = self._pixels(images)
        self._check_shape(pixels)
        features = self._flat(pixels)
        if self._is_mixed(X):
            features = np.hstack([features, 20 * self._encoded_table(X, self.table_)])
        return features

    def _check_columns(self, X):
        names = getattr(self, "feature_names_in_", None)
        if names is not None and self._names(X) is not None and self._names(X) != list(names):
            raise ValueError(f"The columns must be {list(names)}. Got {self._names(X)}.")

    def _check_shape(self, pixels):
        height, width, n_channels = pixels.shape[1:]
        if (n_channels, height, width) != self.image_shape_:
            raise ValueError(f"Images of shape {self.image_shape_} are wanted.")

    def _set(self, facts):
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.__dict__.update(facts)
        return self

    def _jitter(self, shape):
        return self.noise * check_random_state(self.random_state).normal(size=shape)

    def _weighted_rows(self, X, y, sample_weight):
        """Return the samples that count: X, y and their weights."""
        weight = np.ones(len(y)) if sample_weight is None else np.array(sample_weight, dtype=float)
        check_consistent_length(X, y, weight)
        rows = np.flatnonzero(weight)
        if len(rows) == len(y):
            return X, y, weight
        X = X.iloc[rows] if hasattr(X, "iloc") else [X[row] for row in rows]
        return X, y[rows], weight[rows]

    def save(self, path):
        """Write the estimator to a file."""
        with open(path, "wb") as file:
            pickle.dump(vars(self), file)

    @classmethod
    def load(cls, path):
        """Read an estimator from a file."""
        made = cls()
        with open(path, "rb") as file:
            made.__dict__.update(pickle.load(file))
        return made


class NearestImage(ClassifierMixin, ImageReader):
    """The class whose mean image is the nearest."""

    def fit(self, X, y, sample_weight=None):
        """Compute the mean image of each class."""
        if y is None:
            raise ValueError("y is needed.")
        y = column_or_1d(y)
        check_classification_targets(y)
        X, y, weight = self._weighted_rows(X, y, sample_weight)
        features, facts = self._learn_features(X)
        classes, codes = np.unique(y, return_inverse=True)
        self._check_classes(classes)
        means = np.stack(
            [
                np.average(features[codes == code], axis=0, weights=weight[codes == code])
                for code in range(len(classes))
            ]
        )
        means = (1 - self.shrink) * means + self.shrink * means.mean(axis=0)
        facts |= {"classes_": classes, "means_": means + self._jitter(means.shape)}
        return self._set(facts)

    def _check_classes(self, classes):
        if len(classes) < 2:
            raise ValueError(f"Two classes are needed. Got {classes}.")

    def _log_scores(self, X):
        features = self._features(X)
        return -((features[:, np.newaxis] - self.means_) ** 2).mean(axis=2) / 1000

    def predict_proba(self, X):
        """Return the probabilities of the classes."""
        scores = self._log_scores(X)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def decision_function(self, X):
        """Return a score for each class, or for the second of two."""
        scores = self._log_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X):
        """Return labels."""
        indices = self._log_scores(X).argmax(axis=1)
        return self.classes_[indices]


class BrightnessRegressor(RegressorMixin, ImageReader):
    """A value that grows with the similarity to the weighted mean image."""

    def fit(self, X, y, sample_weight=None):
        """Compute the mean image, weighted by the target."""
        if y is None:
            raise ValueError("y is needed.")
        y = check_array(y, ensure_2d=False, dtype=float)
        X, y, weight = self._weighted_rows(X, y, sample_weight)
        features, facts = self._learn_features(X)
        return self._set(
            {**facts, "mean_": np.average(features, axis=0, weights=weight * (1 + y**2))}
        )

    def predict(self, X):
        """Return values."""
        features = self._features(X)
        return ((features - self.mean_) ** 2).mean(axis=1)


class RowMeans(TransformerMixin, ImageReader):
    """The mean of each row of an image, less the mean of `fit`; it needs no target."""

    def fit(self, X, y=None):
        """Compute the mean."""
        features, facts = self._learn_features(X)
        return self._set({**facts, "mean_": features.mean()})

    def transform(self, X):
        """Return row means."""
        features = self._features(X) - self.mean_
        return features.reshape(len(features), 8, -1).mean(axis=2)
