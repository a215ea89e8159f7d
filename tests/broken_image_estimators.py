"""Estimators of images that each break one promise, and the check that finds it."""

import warnings

import numpy as np
import pandas as pd
from nearest_images import NearestImage, RowMeans
from PIL import Image


class SetsMoreInItsConstructor(NearestImage):
    def __init__(self, shrink=0.5, noise=1.0, image_column=None, random_state=None):
        super().__init__(shrink, noise, image_column, random_state)
        self.workspace = np.zeros(3)


class TakesAnyParameter(NearestImage):
    def set_params(self, **params):
        for name, value in params.items():
            setattr(self, name, value)
        return self


class PredictsBeforeFit(NearestImage):
    def decision_function(self, X):
        return super().decision_function(X) if hasattr(self, "means_") else np.zeros((len(X), 3))


class ChangesAParameter(NearestImage):
    def fit(self, X, y, sample_weight=None):
        self.shrink = np.float32(self.shrink)
        return super().fit(X, y, sample_weight)


class ClonesWhatItLearned(NearestImage):
    def __sklearn_clone__(self):
        made = type(self)(**self.get_params())
        made.__dict__.update(vars(self))
        return made


class HoldsALambda(NearestImage):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.link_ = lambda scores: scores
        return self

    def save(self, path):
        link = self.__dict__.pop("link_")
        super().save(path)
        self.link_ = link


class SavesALess(NearestImage):
    def save(self, path):
        kept = self.means_
        self.means_ = kept.round()
        super().save(path)
        self.means_ = kept


class SeedsTheProcess(NearestImage):
    def fit(self, X, y, sample_weight=None):
        np.random.seed(0)
        return super().fit(X, y, sample_weight)


class SilencesWarnings(NearestImage):
    def predict(self, X):
        warnings.filterwarnings("ignore", message="of the images")
        return super().predict(X)


class ScoresEachSample(NearestImage):
    def score(self, X, y, sample_weight=None):
        return self.predict(X) == y


class FitsAndTransformsOtherwise(RowMeans):
    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X) - 1


class ReturnsOdds(NearestImage):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class CountsRowsAsFeatures(NearestImage):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.n_features_in_ = self.image_shape_[1]
        return self


class ReturnsLabelsAsText(NearestImage):
    def predict(self, X):
        return super().predict(X).astype(str)


class WritesIntoX(NearestImage):
    def decision_function(self, X):
        scores = super().decision_function(X)
        if isinstance(X, np.ndarray) and X.flags.writeable:
            X[:] = 0
        return scores


class WritesIntoWeights(NearestImage):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if isinstance(sample_weight, np.ndarray):
            sample_weight /= sample_weight.sum()
        return self


class CachesByContent(NearestImage):
    """The key is that of the whole batch, whatever its order."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self._cached = {}
        return self

    def _log_scores(self, X):
        scores = super()._log_scores(X)
        key = len(scores), np.sort(scores.sum(axis=1)).tobytes()
        return self._cached.setdefault(key, scores)


class StandardizesTheBatch(NearestImage):
    def _log_scores(self, X):
        scores = super()._log_scores(X)
        return scores - scores.max()


class WidensItsRange(NearestImage):
    def fit(self, X, y, sample_weight=None):
        self._range = 200
        return super().fit(X, y, sample_weight)

    def _log_scores(self, X):
        features = self._features(X)
        self._range = max(self._range, features.max())
        return super()._log_scores(X) / self._range


class ContinuesOnEqualClasses(NearestImage):
    def fit(self, X, y, sample_weight=None):
        before = dict(vars(self))
        super().fit(X, y, sample_weight)
        if np.array_equal(before.get("classes_", []), self.classes_):
            self.means_ = 0.9 * before["means_"] + 0.1 * self.means_.max()
        return self


class KeepsItsFirstShape(NearestImage):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self._first = getattr(self, "_first", self.means_.sum())
        return self

    def _log_scores(self, X):
        return super()._log_scores(X) * self._first


class IgnoresWeights(NearestImage):
    def fit(self, X, y, sample_weight=None):
        if sample_weight is not None and len(sample_weight) != len(y):
            raise ValueError
        return super().fit(X, y)


class ReadsMemoryOrder(NearestImage):
    def _flat(self, pixels):
        return pixels.ravel(order="K").reshape(len(pixels), -1).astype(float)


class ReadsBytes(NearestImage):
    def _checked_array(self, X):
        X = np.asarray(X)
        if X.dtype.kind == "f":
            X = np.frombuffer(X.tobytes(), dtype=np.float32).reshape(X.shape)
        return super()._checked_array(X)


class NeedsWritableImages(NearestImage):
    def _checked_array(self, X):
        if isinstance(X, np.ndarray):
            X.flags.writeable = True
        return super()._checked_array(X)


class TakesChannelsAsTheyStand(NearestImage):
    def _channels_last(self, X):
        if X.ndim == 4 and X.shape[1] == 3:
            return np.ascontiguousarray(X).reshape(len(X), *X.shape[2:], 3)
        return super()._channels_last(X)


class ReadsPathsByIndex(NearestImage):
    def _paths(self, X):
        return super()._paths(X.sort_index() if hasattr(X, "sort_index") else X)


class ReadsStringsAlone(NearestImage):
    def _paths(self, X):
        paths = super()._paths(X)
        if paths is not None and not all(isinstance(path, str) for path in X):
            raise TypeError("Paths must be strings.")
        return paths


class DecodesToGreyHalves(NearestImage):
    def _decoded(self, paths):
        return super()._decoded(paths) // 2


class ReadsFramesByIndex(NearestImage):
    def _learn_features(self, X):
        return super()._learn_features(X.sort_index() if hasattr(X, "sort_index") else X)


class ReadsTablesByIndex(NearestImage):
    def _encoded_table(self, frame, learned):
        return super()._encoded_table(frame.sort_index(), learned)


class TakesAnyDimensions(NearestImage):
    def _checked_array(self, X):
        X = np.asarray(X)
        if X.ndim == 5 or X.ndim <= 1:
            X = np.zeros((30, 8, 8))
        return super()._checked_array(X)


class CropsToTheFirstShape(NearestImage):
    def _check_shape(self, pixels):
        if pixels.shape[3] != self.image_shape_[0]:
            raise ValueError("Another number of channels.")

    def _log_scores(self, X):
        self._features(X)
        pixels = self._pixels(X)
        height, width = self.image_shape_[1:]
        resized = [
            np.resize(image, (height, width, image.shape[2])).astype(float) for image in pixels
        ]
        return super()._log_scores(np.stack(resized))


class AveragesChannels(NearestImage):
    def _channels_last(self, X):
        return super()._channels_last(X).mean(axis=3, keepdims=True)


class ReadsWords(NearestImage):
    def _checked_array(self, X):
        X = np.asarray(X)
        if X.dtype.kind == "U":
            X = np.char.str_len(X)
        return super()._checked_array(X)


class DropsImaginaryParts(NearestImage):
    def _checked_array(self, X):
        X = X.real if np.iscomplexobj(X) else X
        return super()._checked_array(X)


class FillsMissingPixels(NearestImage):
    def _checked_array(self, X):
        X = np.asarray(X)
        if X.dtype.kind == "f":
            X = np.nan_to_num(X)
        return super()._checked_array(X)


class PredictsNothingForNothing(NearestImage):
    def predict(self, X):
        return self.classes_[:0] if len(X) == 0 else super().predict(X)


class CutsToTheShorter(NearestImage):
    def fit(self, X, y, sample_weight=None):
        if y is not None and getattr(X, "ndim", 1) > 0:
            X, y = X[: len(y)], y[: len(X)]
        return super().fit(X, y, sample_weight)


class FillsMissingLabels(NearestImage):
    def fit(self, X, y, sample_weight=None):
        if getattr(y, "dtype", np.dtype("U1")).kind == "f":
            y = np.nan_to_num(y).astype(int)
        return super().fit(X, y, sample_weight)


class FitsOneClass(NearestImage):
    def _check_classes(self, classes):
        pass


class SetsAttributesFirst(NearestImage):
    def fit(self, X, y, sample_weight=None):
        if y is not None:
            self.labels_ = np.unique(np.asarray(y).astype(str))
        return super().fit(X, y, sample_weight)


class HidesTheFile(NearestImage):
    def _decoded(self, paths):
        try:
            return super()._decoded(paths)
        except ValueError as exc:
            raise ValueError("A file cannot be read.") from exc


class SkipsBadFiles(NearestImage):
    def _decoded(self, paths):
        good = []
        for path in paths:
            try:
                with Image.open(path) as image:
                    image.load()
                    good.append(path)
            except Exception:
                good.append(paths[0])
        return super()._decoded(good)


class SortsColumns(NearestImage):
    def _check_columns(self, X):
        if hasattr(X, "columns") and sorted(X.columns) != sorted(self.feature_names_in_):
            raise ValueError("Other columns.")


class RefusesUnseenCategories(NearestImage):
    def _encoded_table(self, frame, learned):
        for name, levels in learned.items():
            found = {str(v) for v in self._column(frame, name) if v is not None}
            if isinstance(levels, list) and not found <= set(levels):
                raise ValueError("Unseen categories.")
        return super()._encoded_table(frame, learned)


class RefusesMissingIntegers(NearestImage):
    def _learn_table(self, frame):
        columns = {name: self._column(frame, name) for name in frame.columns}
        self._integers = [n for n, v in columns.items() if isinstance(v[0], int | np.integer)]
        return super()._learn_table(frame)

    def _encoded_table(self, frame, learned):
        if any(None in self._column(frame, name).tolist() for name in self._integers):
            raise ValueError("Missing integers.")
        return super()._encoded_table(frame, learned)


class ReadsDatesAsCategories(NearestImage):
    def _column(self, frame, name):
        values = super()._column(frame, name)
        is_date = pd.api.types.is_datetime64_any_dtype(frame[name])
        return np.array([str(v) for v in values], dtype=object) if is_date else values


#: The estimator, the forms with which it is checked, and the check that fails.
COUNTER_EXAMPLES = [
    (SetsMoreInItsConstructor, "3d", "check_constructor"),
    (TakesAnyParameter, "3d", "check_parameters"),
    (PredictsBeforeFit, "3d", "check_unfitted"),
    (ChangesAParameter, "3d", "check_parameters_unchanged"),
    (ClonesWhatItLearned, "3d", "check_clone"),
    (HoldsALambda, "3d", "check_pickle"),
    (SavesALess, "3d", "check_save_and_load"),
    (SeedsTheProcess, "3d", "check_global_state"),
    (SilencesWarnings, "3d", "check_global_state"),
    (ScoresEachSample, "3d", "check_cross_validation"),
    (FitsAndTransformsOtherwise, "3d", "check_pipeline"),
    (ReturnsOdds, "3d", "check_outputs"),
    (CountsRowsAsFeatures, "3d", "check_attributes"),
    (ReturnsLabelsAsText, "3d", "check_label_kinds"),
    (WritesIntoX, "3d", "check_data_unchanged"),
    (WritesIntoWeights, "3d", "check_data_unchanged"),
    (CachesByContent, "3d", "check_order_at_predict"),
    (StandardizesTheBatch, "3d", "check_company_at_predict"),
    (WidensItsRange, "3d", "check_predict_keeps_state"),
    (ContinuesOnEqualClasses, "3d", "check_repeated_fit"),
    (KeepsItsFirstShape, "3d", "check_refit_forgets"),
    (IgnoresWeights, "3d", "check_zero_weight"),
    (ReadsMemoryOrder, "3d", "check_array_forms"),
    (ReadsBytes, "3d", "check_array_forms"),
    (NeedsWritableImages, "3d", "check_array_forms"),
    (TakesChannelsAsTheyStand, "4d 4d_first", "check_channel_order"),
    (ReadsPathsByIndex, "paths", "check_path_forms"),
    (ReadsStringsAlone, "paths", "check_path_forms"),
    (DecodesToGreyHalves, "3d paths", "check_files_equal_arrays"),
    (ReadsFramesByIndex, "frame", "check_frame_forms"),
    (ReadsTablesByIndex, "mixed", "check_mixed_frame_forms"),
    (TakesAnyDimensions, "3d", "check_wrong_dimensions"),
    (CropsToTheFirstShape, "3d", "check_other_shape_at_predict"),
    (AveragesChannels, "3d", "check_other_channels_at_predict"),
    (ReadsWords, "3d", "check_wrong_dtype"),
    (DropsImaginaryParts, "3d", "check_wrong_dtype"),
    (FillsMissingPixels, "3d", "check_not_finite"),
    (PredictsNothingForNothing, "3d", "check_empty"),
    (CutsToTheShorter, "3d", "check_length_mismatch"),
    (FillsMissingLabels, "3d", "check_missing_target"),
    (FitsOneClass, "3d", "check_one_class"),
    (SetsAttributesFirst, "3d", "check_errors_change_nothing"),
    (HidesTheFile, "paths", "check_bad_files"),
    (SkipsBadFiles, "paths", "check_bad_files"),
    (SortsColumns, "mixed", "check_columns"),
    (RefusesUnseenCategories, "mixed", "check_table_values"),
    (RefusesMissingIntegers, "mixed", "check_table_values"),
    (ReadsDatesAsCategories, "mixed", "check_dates"),
]
