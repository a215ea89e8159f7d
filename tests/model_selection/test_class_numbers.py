"""The numbers of the classes as functions of few parameters."""

import numpy as np
import pytest
import torch

from skimb.model_selection._class_numbers import (
    class_numbers,
    difficulty_of_classes,
    group_basis,
)

COUNTS = np.array([40, 1000, 200, 10, 90])
DIFFICULTY = np.array([0.2, 0.9, 0.1, 0.4, 0.5])
KINDS = ["auto", "log_frequency", "difficulty", "groups", "free"]


def random_parameters(numbers, seed=0, size=1.0):
    values = np.random.RandomState(seed).randn(numbers.n_parameters) * size
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_starts_at_the_logit_adjustment(kind):
    numbers = class_numbers(kind, COUNTS, DIFFICULTY)
    multiplier, offset = numbers(torch.as_tensor(numbers.start()))
    assert multiplier.tolist() == [1.0] * 5
    np.testing.assert_allclose(offset.numpy(), np.log(COUNTS / COUNTS.sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_multipliers_stay_positive_and_bounded_and_both_sums_are_fixed(kind):
    numbers = class_numbers(kind, COUNTS, DIFFICULTY)
    multiplier, offset = numbers(random_parameters(numbers, size=50.0))
    assert (multiplier > 0).all()
    assert multiplier.max() / multiplier.min() <= 16 * (1 + 1e-9)
    assert torch.log(multiplier).sum().abs() < 1e-9
    np.testing.assert_allclose(offset.mean(), np.log(COUNTS / COUNTS.sum()).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_is_known_by_its_attributes_and_not_by_its_position(kind):
    if kind == "free":
        pytest.skip("each class has numbers of its own")
    order = np.random.RandomState(1).permutation(5)
    numbers = class_numbers(kind, COUNTS, DIFFICULTY)
    moved = class_numbers(kind, COUNTS[order], DIFFICULTY[order])
    parameters = random_parameters(numbers)
    for one, other in zip(numbers(parameters), moved(parameters), strict=True):
        np.testing.assert_allclose(one.numpy()[order], other.numpy())


def test_no_parameter_is_redundant():
    for kind in KINDS:
        numbers = class_numbers(kind, COUNTS, DIFFICULTY)
        parameters = random_parameters(numbers)
        jacobian = torch.autograd.functional.jacobian(
            lambda values, numbers=numbers: torch.cat(numbers(values)), parameters
        )
        assert np.linalg.matrix_rank(np.asarray(jacobian)) == numbers.n_parameters


def test_four_numbers_stand_for_those_of_all_classes_and_fewer_where_two_attributes_repeat():
    assert class_numbers("auto", COUNTS, DIFFICULTY).n_parameters == 4
    # Two classes differ in one direction, whatever the attributes.
    assert class_numbers("auto", [9, 1], [0.1, 0.7]).n_parameters == 2
    # Equal counts say nothing.
    assert class_numbers("auto", [5, 5, 5], [0.1, 0.7, 0.2]).names == ("difficulty",)
    assert class_numbers("auto", [5, 5, 5]).n_parameters == 0


def test_groups_interpolate_between_their_centres_as_in_the_paper():
    # Ranks by size: 80, 70, ..., 10; two groups with the centres 1.5 and 5.5.
    counts = np.array([10, 30, 20, 40, 60, 80, 70, 50])
    numbers = class_numbers("groups", counts, n_groups=2)
    assert numbers.n_parameters == 2
    _, offset = numbers(torch.tensor([0.0, 1.0], dtype=torch.float64))
    moved = offset.numpy() - numbers.log_prior
    by_rank = moved[np.argsort(-counts)]
    np.testing.assert_allclose(np.diff(by_rank), np.diff(by_rank)[0])


def test_classes_of_equal_counts_get_equal_numbers_of_their_groups():
    basis, _ = group_basis(np.array([50, 10, 50, 50, 10, 1]), 3)
    np.testing.assert_allclose(basis[0], basis[2])
    np.testing.assert_allclose(basis[1], basis[4])


def test_attributes_of_the_user_are_standardised():
    numbers = class_numbers([[1.0, 100.0], [2.0, 300.0], [3.0, 200.0]], [5, 5, 5])
    np.testing.assert_allclose(numbers.basis.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((numbers.basis**2).mean(axis=0), 1)
    with pytest.raises(ValueError, match="one row for each of the 3 classes"):
        class_numbers([[1.0], [2.0]], [5, 5, 5])
    with pytest.raises(ValueError, match="`attributes` must be one of"):
        class_numbers("counts", [5, 5, 5])


def test_difficulty_is_apart_from_frequency():
    # Two classes of one-dimensional Gaussians with equal overlap, 9 : 1, and their true posterior.
    rng = np.random.RandomState(0)
    target = (rng.rand(20000) < 0.1).astype(int)
    x = rng.randn(20000) + 2 * target
    logit = 2 * x - 2 + np.log(0.1 / 0.9)
    log_proba = -np.column_stack([np.logaddexp(0, logit), np.logaddexp(0, -logit)])
    easy, hard = difficulty_of_classes(log_proba, target, 2, prior=np.array([0.9, 0.1]))
    assert abs(easy - hard) < 0.03


def test_a_class_without_held_out_samples_is_as_hard_as_the_mean():
    log_proba = np.log(np.full((4, 3), 1 / 3))
    made = difficulty_of_classes(log_proba, np.array([0, 0, 1, 1]), 3, prior=np.full(3, 1 / 3))
    np.testing.assert_allclose(made, np.log(3))
