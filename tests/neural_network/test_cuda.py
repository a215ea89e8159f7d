"""What must hold on a CUDA device too; skipped where there is none."""

import gc
import pickle
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from skimb._engine import _step_graph
from skimb.datasets import make_variance_images
from skimb.losses import BalancedMSELoss, FocalLoss, Loss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier, DeepSMOTE
from skimb.over_sampling import SMOTE
from skimb.testing import check_image_estimator

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def quick(**kwargs):
    settings = {"max_epochs": 5, "batch_size": 128, "augmentation": None, "random_state": 0}
    return CNNClassifier(device="cuda", **{**settings, **kwargs})


class Adjusting(Loss):
    """A third party's loss that computes with its own buffer as it is."""

    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, target):
        shifted = logits + self.class_counts().log()
        return torch.nn.functional.cross_entropy(shifted, target, reduction=self.reduction)


@pytest.mark.parametrize(
    "loss",
    [
        "logit_adjusted",
        "ldam",
        "vector_scaling",
        Adjusting(),
        torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
    ],
)
@pytest.mark.parametrize("augmentation", [None, ["flip_crop", "remix"], "cutmix"])
def test_losses_with_tensors_and_phases_train_there(loss, augmentation, small_digits):
    X, y = small_digits
    clf = quick(loss=loss, reweight_after=0.5, augmentation=augmentation).fit(X, y)
    assert np.isfinite(clf.predict_log_proba(X)).all()


@pytest.mark.parametrize("loss", ["cross_entropy", FocalLoss(gamma=1)])
def test_trains_there_and_learns_what_the_cpu_learns(loss, digits):
    X, X_test, y, _ = digits
    there = quick(loss=loss, class_weight="balanced").fit(X, y)
    assert next(there.module_.parameters()).is_cuda
    here = CNNClassifier(
        device="cpu", loss=loss, class_weight="balanced", max_epochs=5, random_state=0
    ).fit(X, y)
    agreement = np.mean(there.predict(X_test) == here.predict(X_test))
    assert agreement > 0.95


@pytest.mark.parametrize("augmentation", [None, "flip_crop", "cutmix"])
@pytest.mark.parametrize("module", ["simple_cnn", "resnet"])
def test_steps_are_recorded_and_train_what_single_steps_train(
    module, augmentation, monkeypatch, small_digits
):
    recorded = []

    class Counting(_step_graph.CudaRecorder):
        def record(self, function):
            recorded.append(super().record(function))
            return recorded[-1]

    X, y = small_digits
    settings = {"augmentation": augmentation, "precision": "float32", "batch_size": 32}
    with monkeypatch.context() as patch:
        patch.setitem(_step_graph.RECORDERS, "cuda", Counting)
        fits = [quick(module=module, **settings).fit(X, y) for _ in range(2)]
    assert recorded
    with monkeypatch.context() as patch:
        patch.delitem(_step_graph.RECORDERS, "cuda")
        single = quick(module=module, **settings).fit(X, y)
    np.testing.assert_array_equal(fits[0].predict_proba(X), fits[1].predict_proba(X))
    losses = [[record["train_loss"] for record in clf.history_] for clf in (fits[0], single)]
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_bfloat16_is_the_default_of_recorded_steps(monkeypatch, small_digits):
    seen = []
    step_dtype = _step_graph.step_dtype

    def noting(precision, *, is_captured):
        seen.append(step_dtype(precision, is_captured=is_captured))
        return seen[-1]

    monkeypatch.setattr(_step_graph, "step_dtype", noting)
    X, y = small_digits
    proba = quick().fit(X, y).predict_proba(X)
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    assert set(seen) == {torch.bfloat16 if has_it else torch.float32}
    assert len(np.unique(proba)) > len(X) / 2


def test_validation_embedding_and_pickle(digits):
    X, X_test, y, _ = digits
    clf = quick(early_stopping=True, sampler=SMOTE()).fit(X, y)
    assert clf.embed(X_test).shape[0] == len(X_test)
    restored = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(restored.predict_proba(X_test), clf.predict_proba(X_test), atol=1e-5)


def test_two_stages(digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(quick(), sampler=SMOTE(), random_state=0).fit(X, y)
    assert clf.predict(X_test).shape == (len(X_test),)


def test_the_devices_generator_is_left_alone(small_digits):
    torch.cuda.manual_seed(5)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(5)
    quick().fit(*small_digits)
    torch.testing.assert_close(torch.rand(3, device="cuda"), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "balanced_mse"},
        {"loss": BalancedMSELoss(form="binned")},
        {"loss": BalancedMSELoss(form="mixture", noise=0.3)},
        {"target_weight": "lds", "reweight_after": 0.5, "early_stopping": True},
        {"ranksim": 5.0, "augmentation": "mixup", "batch_sampling": "inverse"},
    ],
)
def test_numbers_are_learned_there(params):
    X, y = make_variance_images(300, distribution="normal", side=8, random_state=0)
    reg = CNNRegressor(device="cuda", max_epochs=10, random_state=0, **params).fit(X, y)
    assert next(reg.module_.parameters()).is_cuda
    assert np.corrcoef(reg.predict(X), y)[0, 1] > 0.5
    np.testing.assert_allclose(pickle.loads(pickle.dumps(reg)).predict(X), reg.predict(X))


def test_a_batch_that_does_not_fit_in_memory_is_worked_on_in_parts(small_digits):
    class Wide(torch.nn.Module):
        def __init__(self, n_channels, n_outputs):
            super().__init__()
            self.layer = torch.nn.Conv2d(n_channels, 4096, 3, padding=1)
            self.head = torch.nn.Linear(4096, n_outputs)

        def forward(self, images):
            return self.head(torch.relu(self.layer(images)).mean((2, 3)))

    X, y = small_digits
    params = {"module": Wide, "batch_size": len(X), "max_epochs": 1}
    whole = quick(**params).fit(X, y).predict_proba(X)
    torch.cuda.empty_cache()
    # A batch of n images takes n MiB in each of the two layers.
    total = torch.cuda.get_device_properties("cuda").total_memory
    free = (200 + len(X)) * 2**20
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + free) / total)
    try:
        with pytest.warns(UserWarning, match="does not fit in memory"):
            parts = quick(**params).fit(X, y).predict_proba(X)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(parts, whole, atol=1e-3)


def test_fits_leave_no_memory_on_the_device(small_digits):
    def used():
        gc.collect()
        return torch.cuda.memory_allocated()

    quick(max_epochs=1).fit(*small_digits)
    before = used()
    for seed in range(5):
        quick(max_epochs=1, random_state=seed).fit(*small_digits)
    assert used() <= before
    clf = quick(max_epochs=1).fit(*small_digits)
    # The network alone: neither gradients, nor the state of an optimiser, nor images.
    n_bytes = sum(values.nbytes for values in clf.module_.state_dict().values())
    assert used() - before < 3 * n_bytes + 2**16


def test_partial_fit_and_warm_start_continue_there(small_digits):
    X, y = small_digits
    clf = quick().partial_fit(X, y, np.unique(y)).partial_fit(X, y)
    steps = {int(one["step"]) for one in clf._optimizer_state.state_["state"].values()}
    assert steps == {2 * -(-len(X) // 128)}
    warm = quick(warm_start=True, max_epochs=2).fit(X, y)
    first = warm.history_[0]["train_loss"]
    assert warm.fit(X, y).history_[0]["train_loss"] < first
    # The weights move to another device.
    assert np.isfinite(warm.set_params(device="cpu").fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"augmentation": "mixup", "class_weight": "balanced"},
        {"early_stopping": True, "calibration": "temperature"},
        {"sampler": SMOTE(), "loss": "focal"},
        {"module": "resnet"},
        {"module": "vgg"},
        {"module": "linear"},
    ],
)
def test_equal_fits_are_equal_to_the_bit(params, small_digits):
    X, y = small_digits
    first, second = (quick(**params).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    losses = [[row["train_loss"] for row in clf.history_] for clf in (first, second)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("side", [28, 40])
def test_equal_fits_on_larger_images_are_equal_to_the_bit(side):
    images = np.random.RandomState(0).rand(200, side, side, 3).astype(np.float32)
    y = np.arange(200) % 5 == 0
    first, second = (quick(augmentation="flip_crop").fit(images, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(images), second.predict_proba(images))


def test_equal_fits_of_other_networks_are_equal_to_the_bit(small_digits):
    X, y = small_digits
    value = X.mean((1, 2))
    params = {"device": "cuda", "max_epochs": 3, "random_state": 0}
    regressors = [CNNRegressor(ranksim=2.0, **params).fit(X, value) for _ in range(2)]
    one, other = (reg.predict(X) for reg in regressors)
    np.testing.assert_array_equal(one, other)
    made = [DeepSMOTE(**params).fit_resample(X, y)[0] for _ in range(2)]
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_give_the_bits_of_one_process(backend, small_digits):
    X, y = small_digits
    grid = {"loss": ["cross_entropy", "focal"]}
    alone = GridSearchCV(quick(max_epochs=1), grid, cv=2).fit(X, y)
    with parallel_config(backend=backend):
        jobs = GridSearchCV(quick(max_epochs=1), grid, cv=2, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(jobs.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_jobs_in_forks_are_refused_with_a_hint(device, small_digits):
    X, y = small_digits
    quick(max_epochs=1).fit(X, y)
    search = GridSearchCV(
        quick(max_epochs=1).set_params(device=device),
        {"lr": [1e-3, 1e-2]},
        cv=2,
        n_jobs=2,
        error_score="raise",
    )
    with (
        parallel_config(backend="multiprocessing"),
        pytest.raises(ValueError, match="CUDA does not work in forks"),
    ):
        search.fit(X, y)


def test_tensors_on_the_device_are_read_as_arrays_are(small_digits):
    X, y = small_digits
    there = torch.from_numpy(X).cuda()
    clf = quick(max_epochs=1).fit(there, torch.from_numpy((y == "eight").astype(int)).cuda())
    expected = quick(max_epochs=1).fit(X, (y == "eight").astype(int)).predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(there), expected)


def test_a_saved_network_predicts_the_same_there_and_on_the_cpu(small_digits, tmp_path):
    X, y = small_digits
    clf = quick(max_epochs=2).fit(X, y)
    clf.save(tmp_path / "model.skimb")
    loaded = CNNClassifier.load(tmp_path / "model.skimb")
    assert next(loaded.module_.parameters()).is_cuda
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_the_choice_of_kernels_is_left_as_it_was(small_digits):
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.deterministic, cudnn.benchmark = False, True
        quick(max_epochs=1).fit(*small_digits)
        assert (cudnn.deterministic, cudnn.benchmark) == (False, True)
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def test_torchs_default_device_does_not_matter(small_digits):
    X, y = small_digits
    expected = quick(max_epochs=1).fit(X, y).predict_proba(X)
    on_cpu = quick(max_epochs=1).set_params(device="cpu")
    expected_on_cpu = on_cpu.fit(X, y).predict_proba(X)
    with torch.device("cuda"):
        np.testing.assert_array_equal(quick(max_epochs=1).fit(X, y).predict_proba(X), expected)
        np.testing.assert_array_equal(on_cpu.fit(X, y).predict_proba(X), expected_on_cpu)
        two = DecoupledClassifier(quick(max_epochs=1), random_state=0).fit(X, y)
    assert np.isfinite(two.predict_proba(X)).all()


def with_norm(n_channels, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Conv2d(n_channels, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, n_outputs),
    )


@pytest.mark.parametrize("module", [with_norm, "simple_cnn"])
def test_whole_networks_train_together_as_they_do_alone(module, small_digits):
    X, y = small_digits
    grid = {"loss": ["cross_entropy", "focal"], "class_weight": [None, "balanced"]}
    network = quick(module=module, max_epochs=2)
    with warnings.catch_warnings():
        # They do train together.
        warnings.filterwarnings("error", message="The networks of the candidates")
        search = LossSearchCV(network, grid, cv=2, search="end_to_end").fit(X, y)
    alone = GridSearchCV(network, grid, cv=2).fit(X, y)
    scores = [found.cv_results_["mean_test_score"] for found in (search, alone)]
    np.testing.assert_allclose(*scores, atol=0.03)
    again = LossSearchCV(network, grid, cv=2, search="end_to_end").fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))


def test_a_sample_gets_the_same_prediction_in_any_company(small_digits):
    X, y = small_digits
    clf = quick(max_epochs=1, augmentation="flip_crop").fit(X, y)
    expected = clf.predict_proba(X)
    for n_samples in (1, 2, 3, 7, 16, 33, 100, 150):
        np.testing.assert_array_equal(clf.predict_proba(X[:n_samples]), expected[:n_samples])
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_array_equal(clf.predict_proba(X[order]), expected[order])


@pytest.mark.parametrize("form", ["3d", "paths", "mixed"])
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_the_promises_of_image_estimators_are_kept_there(kind, form):
    settings = {"max_epochs": 1, "batch_size": 8, "random_state": 0, "device": "cuda"}
    check_image_estimator(kind(**settings), forms=[form])
