"""check_image_estimator: estimators that keep their promises pass, and broken ones are found."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nearest_images import BrightnessRegressor, NearestImage, RowMeans
from PIL import Image
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV

from skimb import ensemble, model_selection, neural_network
from skimb.ensemble import ImageMetaEstimator, ReBaggRegressor
from skimb.model_selection import LossSearchCV, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier
from skimb.testing import (
    check_image_estimator,
    image_estimator_checks,
    parametrize_with_image_checks,
)
from skimb.testing._promises import random_generators

SEEDS = {"check_global_state": "It seeds numpy.random."}

FORMS = ("3d", "4d", "4d_first", "paths", "frame", "mixed")


def broken_promises(estimator, forms, **options):
    """Return the messages of the checks that fail, by name without the form."""
    found = {}
    for _, check in image_estimator_checks(estimator, forms=forms, **options):
        try:
            check(estimator)
        except AssertionError as exc:
            found[check.name] = str(exc)
    return found


# ---------------------------------------------------------------- estimators that pass


@parametrize_with_image_checks([NearestImage()], forms=FORMS)
def test_a_classifier_that_knows_nothing_of_skimb_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_a_regressor_and_a_transformer_pass():
    check_image_estimator(BrightnessRegressor(), forms=("3d", "frame", "mixed"))
    check_image_estimator(RowMeans(), forms=("4d_first", "paths"))


@pytest.mark.slow
def test_a_search_passes_and_parameters_of_its_estimator_are_set():
    search = GridSearchCV(NearestImage(), {"shrink": [0.25, 0.5]}, cv=2)
    check_image_estimator(search, forms="3d")
    mixed = {check.name: check for _, check in image_estimator_checks(search, forms=["mixed"])}
    mixed["check_attributes"](search)
    mixed["check_columns"](search)


class OfTwoClasses(NearestImage):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _check_classes(self, classes):
        if len(classes) != 2:
            raise ValueError("Two classes are needed.")


def test_an_estimator_of_two_classes_passes():
    check_image_estimator(OfTwoClasses(), forms=["3d"])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["paths", "frame", "mixed"])
def test_columns_of_polars_and_arrow_are_tried_where_these_are_imported(form):
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    asked = []

    class Watched(NearestImage):
        def _paths(self, X):
            asked.append(f"{type(X).__module__} {getattr(X, 'dtype', '')}")
            return super()._paths(X)

        def _encoded_table(self, frame, learned):
            asked.append(type(frame).__module__)
            return super()._encoded_table(frame, learned)

    for _, check in image_estimator_checks(Watched(), forms=[form]):
        if check.name.endswith("_forms"):
            check(Watched())
    assert any(name.startswith("polars") for name in asked)


def test_a_tensor_is_tried_where_torch_is_imported():
    torch = pytest.importorskip("torch")
    asked = set()

    class Watched(NearestImage):
        def _checked_array(self, X):
            asked.add(type(X))
            return super()._checked_array(X)

    for _, check in image_estimator_checks(Watched(), forms=["3d"]):
        if check.name == "check_array_forms":
            check(Watched())
    assert torch.Tensor in asked


@pytest.mark.slow
def test_the_checks_import_no_torch():
    code = (
        "import sys; from nearest_images import RowMeans\n"
        "from skimb.testing import check_image_estimator\n"
        "check_image_estimator(RowMeans(), forms=['3d']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_the_process_and_the_estimator_are_left_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = random_generators(), list(warnings.filters)
    for broken in (SeedsTheProcess(noise=2.0), SilencesWarnings(noise=2.0)):
        expected = {"check_global_state": "It changes the process."}
        check_image_estimator(broken, forms="3d", expected_failed_checks=expected)
        assert vars(broken) == vars(NearestImage(noise=2.0))
    assert (random_generators(), warnings.filters) == before
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- the functions and their options


def test_forms_are_found_from_tags_and_from_estimators_of_skimb():
    def forms_of(estimator):
        return {check.form for _, check in image_estimator_checks(estimator)}

    class OfStrings(NearestImage):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.string = True
            return tags

    assert forms_of(NearestImage()) == {"3d", "4d"}
    assert forms_of(OfStrings()) == {"3d", "4d", "paths", "frame"}
    assert forms_of(CNNClassifier()) == set(FORMS)
    assert forms_of(GridSearchCV(CNNClassifier(), {})) == set(FORMS)


def test_checks_that_are_about_something_else_are_left_out():
    names = {check.name for _, check in image_estimator_checks(RowMeans(), forms=["3d"])}
    assert not names & {"check_one_class", "check_zero_weight", "check_bad_files", "check_dates"}

    class Random(NearestImage):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.non_deterministic = True
            return tags

        def _jitter(self, shape):
            return np.random.RandomState().normal(size=shape)

    check_image_estimator(Random(), forms=["3d"], expected_failed_checks={"check_pickle": "local"})


def test_known_failures_are_given_with_their_names():
    check_image_estimator(SeedsTheProcess(), forms=["3d"], expected_failed_checks=SEEDS)
    for expected in ({"check_global_state[3d]": "known"}, {"check_global_state[4d]": "known"}):
        marked = parametrize_with_image_checks(
            [SeedsTheProcess()],
            forms=["3d"],
            expected_failed_checks=lambda estimator, expected=expected: expected,
        )
        params: Any = marked.args[1]
        cases = {case.id: [mark.name for mark in case.marks] for case in params}
        assert len(cases) == len(params)
        wanted = ["xfail"] if "[3d]" in next(iter(expected)) else []
        assert cases["SeedsTheProcess-check_global_state[3d]"] == wanted
        assert [marks for marks in cases.values() if marks] == [wanted] * len(wanted)


def test_unknown_checks_and_forms_are_refused():
    with pytest.raises(ValueError, match=r"must name checks\. Got \['check_nothing'\]"):
        check_image_estimator(RowMeans(), expected_failed_checks={"check_nothing": "?"})
    with pytest.raises(ValueError, match=r"`forms` must be one or several of .* Got \['5d'\]"):
        check_image_estimator(RowMeans(), forms=["5d"])
    with pytest.raises(ValueError, match="must name checks"):
        parametrize_with_image_checks(
            [RowMeans()], expected_failed_checks=lambda estimator: {"check_x": "?"}
        )


def test_a_tolerance_allows_small_differences():
    class Rounds(NearestImage):
        def decision_function(self, X):
            scores = super().decision_function(X)
            return scores + 1e-9 * (len(scores) % 2)

    checks = [c for _, c in image_estimator_checks(Rounds(), forms=["3d"], tolerance=1e-6)]
    for check in checks:
        if check.name == "check_company_at_predict":
            check(Rounds())
    strict = [c for _, c in image_estimator_checks(Rounds(), forms=["3d"])]
    with pytest.raises(AssertionError, match="the tolerance is 0"):
        next(c for c in strict if c.name == "check_company_at_predict")(Rounds())


def test_the_size_of_the_images_and_the_name_of_their_column_are_given():
    sizes = set()

    class Watched(NearestImage):
        def _learn_features(self, X):
            features, facts = super()._learn_features(X)
            sizes.add((facts["image_shape_"], *facts.get("feature_names_in_", [])))
            return features, facts

    for _, check in image_estimator_checks(
        Watched(), forms=["mixed"], image_size=(5, 6), image_column="photo"
    ):
        if check.name == "check_outputs":
            check(Watched())
    assert sizes == {((1, 5, 6), "width", "rooms", "photo", "colour", "material", "garden")}


def test_the_guide_names_every_check():
    page = Path(__file__).parents[1] / "docs" / "guide" / "checks.md"
    text = page.read_text(encoding="utf-8")
    checks = [check for _, check in image_estimator_checks(NearestImage(), forms=FORMS)]
    assert not [c.name for c in checks if f"| `{c.name}` | {c.check.promise} |" not in text]


# ---------------------------------------------------------------- broken promises


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


@pytest.mark.parametrize(
    ("broken", "forms", "name"),
    [
        # Files and frames take longer.
        pytest.param(*case, marks=() if set(case[1]) <= set("34d _first") else pytest.mark.slow)
        for case in COUNTER_EXAMPLES
    ],
)
def test_exactly_the_check_of_the_broken_promise_fails(broken, forms, name):
    found = broken_promises(broken(), tuple(forms.split()))
    assert found.keys() == {name}, found
    message = found[name]
    assert message.startswith(f"{broken.__name__} fails {name}")
    assert all(part in message for part in ("\nPromise: ", "\nFound: ", "\nFix: "))


def test_no_check_lacks_a_counter_example():
    names = {check.name for _, check in image_estimator_checks(NearestImage(), forms=FORMS)}
    assert names == {name for _, _, name in COUNTER_EXAMPLES}


# ---------------------------------------------------------------- the estimators of skimb

NETWORK = CNNClassifier(max_epochs=1, random_state=0)
REGRESSOR = CNNRegressor(max_epochs=1, random_state=0)
DECOUPLED = DecoupledClassifier(NETWORK, max_epochs=1)

#: Every public estimator of images.
OURS = [NETWORK, REGRESSOR, CNNEmbedder(NETWORK), DECOUPLED]

#: Those that fit several networks, or networks that the first list has.
WRAPPERS = [
    TunedOffsetsClassifierCV(NETWORK),
    LossSearchCV(DECOUPLED, {"loss": ["cross_entropy", "focal"]}, cv=2),
    ReBaggRegressor(REGRESSOR, n_estimators=2),
    ImageMetaEstimator(BaggingClassifier(NETWORK, n_estimators=2)),
]

KNOWN = {
    "ReBaggRegressor": {
        "check_zero_weight": "A bag is drawn without regard to weights, which its member gets."
    }
}


def known(estimator):
    return KNOWN.get(type(estimator).__name__, {})


@pytest.mark.slow
@parametrize_with_image_checks([NETWORK], forms=["3d"])
def test_the_classifier_passes_on_arrays(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
@parametrize_with_image_checks(OURS)
def test_every_estimator_of_images_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
@parametrize_with_image_checks(
    WRAPPERS, forms=["4d", "paths", "mixed"], expected_failed_checks=known
)
def test_every_wrapper_passes(estimator, check):
    check(estimator)


def test_no_estimator_of_images_is_forgotten():
    found = {
        item
        for module in (ensemble, model_selection, neural_network)
        for item in vars(module).values()
        if isinstance(item, type)
        and hasattr(item, "fit")
        and hasattr(item, "get_params")
        # Resamplers have checks of their own.
        and not hasattr(item, "fit_resample")
    }
    assert found == {type(estimator) for estimator in (*OURS, *WRAPPERS)}
