"""check_image_estimator: estimators that keep their promises pass, and broken ones are found."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_image_estimators import COUNTER_EXAMPLES, SeedsTheProcess, SilencesWarnings
from nearest_images import BrightnessRegressor, NearestImage, RowMeans
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV

from skimb import ensemble, model_selection, neural_network
from skimb.ensemble import ImageMetaEstimator, ReBaggRegressor
from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    LossSearchCV,
    MinimumCostClassifier,
    PriorCorrectedClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
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


#: Cases of one kind that the default run leaves out.
MANY = [pytest.mark.slow, pytest.mark.exhaustive]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "forms"),
    [
        (BrightnessRegressor(), ["3d"]),
        (RowMeans(), ["4d_first"]),
        pytest.param(BrightnessRegressor(), ["frame", "mixed"], marks=pytest.mark.exhaustive),
        pytest.param(RowMeans(), ["paths"], marks=pytest.mark.exhaustive),
    ],
    ids=["numbers", "features", "numbers of frames", "features of files"],
)
def test_a_regressor_and_a_transformer_pass(estimator, forms):
    check_image_estimator(estimator, forms=forms)


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
@pytest.mark.parametrize(
    "form",
    [
        pytest.param("paths", marks=pytest.mark.exhaustive),
        pytest.param("frame", marks=pytest.mark.exhaustive),
        "mixed",
    ],
)
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


@pytest.mark.exhaustive
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


@pytest.mark.parametrize("forms", [["3d"], pytest.param(["4d_first", "paths"], marks=MANY)])
def test_images_of_odd_sizes_pass(forms):
    check_image_estimator(NearestImage(), forms=forms, image_size=(5, 7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": RowMeans}, "must be an object of a class"),
        ({"estimator": "resnet"}, "derived from sklearn.base.BaseEstimator"),
        ({"tolerance": -1}, "`tolerance` must be"),
        ({"tolerance": None}, "`tolerance` must be"),
        ({"image_size": 8}, r"two integers of at least 5\. Got 8"),
        ({"image_size": (8, 2)}, r"Got \(8, 2\)"),
    ],
    ids=str,
)
def test_arguments_without_a_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_image_estimator(**{"estimator": RowMeans(), **options})


def test_the_guide_names_every_check():
    page = Path(__file__).parents[1] / "docs" / "guide" / "checks.md"
    text = page.read_text(encoding="utf-8")
    checks = [check for _, check in image_estimator_checks(NearestImage(), forms=FORMS)]
    assert not [c.name for c in checks if f"| `{c.name}` | {c.check.promise} |" not in text]


# ---------------------------------------------------------------- broken promises


#: A broken promise of each kind, of which those of files and frames take longer.
QUICK = {
    "CountsRowsAsFeatures",
    "FillsMissingPixels",
    "ReadsMemoryOrder",
    "SavesALess",
    "SeedsTheProcess",
    "StandardizesTheBatch",
    "WritesIntoX",
}
SLOW = {"ReadsDatesAsCategories", "ReadsPathsByIndex"}


def marks_of(name):
    return [] if name in QUICK else [pytest.mark.slow] if name in SLOW else MANY


@pytest.mark.parametrize(
    ("broken", "forms", "name"),
    [pytest.param(*case, marks=marks_of(case[0].__name__)) for case in COUNTER_EXAMPLES],
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
    BiasCorrectedCalibrator(NETWORK, cv=2, random_state=0),
    ConformalClassifier(NETWORK, confidence_level=0.5, random_state=0),
    ConformalRegressor(REGRESSOR, confidence_level=0.5, random_state=0),
    GuaranteedPrecisionClassifier(
        NETWORK, precision=0.01, prior=0.5, confidence_level=0.5, cv=0.5, random_state=0
    ),
    GuaranteedRecallClassifier(NETWORK, recall=0.5, confidence_level=0.5, cv=0.5, random_state=0),
    ImageMetaEstimator(BaggingClassifier(NETWORK, n_estimators=2, random_state=0)),
    AutoBalanceClassifier(NETWORK, cv=2),
    AutoBalanceClassifier(NETWORK, search="end_to_end"),
    TunedOffsetsClassifierCV(NETWORK),
    LossSearchCV(DECOUPLED, {"loss": ["cross_entropy", "focal"]}, cv=2),
    MinimumCostClassifier(NETWORK, cost_matrix=None, target_prior="train"),
    PriorCorrectedClassifier(NETWORK, target_prior="uniform", cv=2, random_state=0),
    ReBaggRegressor(REGRESSOR, n_estimators=2),
    SpreadCorrectedRegressor(REGRESSOR, random_state=0),
]

OF_BAGS = {"check_zero_weight": "Samples of weight zero change the random numbers of the bags."}
OF_OFFSETS = {
    "check_zero_weight": "The folds and the measure count samples of weight zero, as the docs say."
}
OF_GUARANTEES = {
    "check_zero_weight": "Weights are for the training; the calibration counts such samples."
}
OF_HELD_OUT = {"check_zero_weight": "Samples of weight zero are held out too."}
OF_CALIBRATION = {
    "check_zero_weight": "Samples of weight zero stand in the folds, and move other samples."
}
KNOWN = {
    "BiasCorrectedCalibrator": OF_CALIBRATION,
    "ConformalClassifier": OF_HELD_OUT,
    "ConformalRegressor": OF_HELD_OUT,
    "GuaranteedPrecisionClassifier": OF_GUARANTEES,
    "GuaranteedRecallClassifier": OF_GUARANTEES,
    "PriorCorrectedClassifier": OF_CALIBRATION,
    "ReBaggRegressor": OF_BAGS,
    "ImageMetaEstimator": OF_BAGS,
    "SpreadCorrectedRegressor": OF_HELD_OUT,
    "TunedOffsetsClassifierCV": OF_OFFSETS,
}


def known(estimator):
    return KNOWN.get(type(estimator).__name__, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "check_array_forms",
        "check_company_at_predict",
        "check_errors_change_nothing",
        "check_repeated_fit",
    ],
)
def test_the_classifier_passes_on_arrays(name):
    checks = {check.name: check for _, check in image_estimator_checks(NETWORK, forms=["3d"])}
    checks[name](NETWORK)


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
        for item in (getattr(module, name) for name in module.__all__)
        if isinstance(item, type)
        and hasattr(item, "fit")
        and hasattr(item, "get_params")
        # Resamplers have checks of their own.
        and not hasattr(item, "fit_resample")
    }
    assert found == {type(estimator) for estimator in (*OURS, *WRAPPERS)}
