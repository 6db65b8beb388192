"""Input correlated in time: the augmented state against impulses through a square root of the input's covariance."""

import math

import naive_stationary
import numpy as np
import pytest
from problems import family, feedback_for, matrices, random_network, worst

import fastmodes as fm


@pytest.fixture
def colour(rng):
    """Three channels from a filter with two poles, complex, and noise of its own on the way out."""
    turn = 0.8 * np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    return fm.InputFilter(turn, *(rng.standard_normal(shape) for shape in ((2, 4), (3, 2), (3, 4))))


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_equals_impulses_through_the_covariance_root(rng, colour, loss):
    steps = 9
    student, teacher = random_network(rng, 2, 4, 3, radius=0.9), random_network(rng, 2, 5, 3, radius=0.8)
    for rule in family(4, steps, rng, horizons=(None, 1, 3)):
        r, _ = feedback_for(rule, student, rng)
        got = fm.coloured_update(rule, student, teacher, steps, colour, feedback=r, loss=loss)
        wanted = fm.impulse_expectation(
            lambda x, rule=rule, r=r: fm.sampled_update(rule, student, teacher, x, feedback=r, loss=loss),
            steps, 3, colour.covariance(steps),
        )  # fmt: skip
        assert worst(got, wanted) < 1e-12


@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(2), fm.rflo(0.6), fm.eprop()])
def test_long_sequences_tend_to_the_limit(rng, colour, rule):
    student, teacher = random_network(rng, 2, 4, 3, radius=0.8), random_network(rng, 2, 5, 3, radius=0.8)
    r, _ = feedback_for(rule, student, rng)
    limit = fm.coloured_update(rule, student, teacher, math.inf, colour, feedback=r)
    assert worst(fm.coloured_update(rule, student, teacher, 400, colour, feedback=r), limit) < 1e-11


@pytest.mark.parametrize("steps", [1, 7, math.inf])
def test_white_input_is_a_filter_without_memory(rng, steps):
    student, teacher = random_network(rng, 2, 4, 3, radius=0.7), random_network(rng, 2, 4, 3, radius=0.7)
    white = fm.autoregressive_input(0.0, 3)
    got = fm.coloured_update(fm.bptt(), student, teacher, steps, white)
    assert worst(got, fm.expected_update(fm.bptt(), student, teacher, steps)) < 1e-13


def test_autoregressive_input_has_the_stated_variance_and_correlation():
    covariance = fm.autoregressive_input(0.6, 1, variance=2.0).covariance(4)
    wanted = 2.0 * 0.6 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    np.testing.assert_allclose(covariance, wanted, rtol=0, atol=1e-14)


def test_full_credit_through_time_is_the_gradient_of_the_coloured_loss(rng, colour):
    student, teacher = random_network(rng, 2, 3, 3, radius=0.7), random_network(rng, 2, 3, 3, radius=0.7)
    update = fm.coloured_update(fm.bptt(), student, teacher, math.inf, colour)
    parts = (colour.state, colour.drive, colour.output, colour.direct)
    wanted = naive_stationary.with_filter(matrices(teacher), *parts)
    for part, change in enumerate(update[1:]):
        direction = rng.standard_normal(change.shape)
        moved = [m + 1e-30j * direction if i == part else m for i, m in enumerate(matrices(student))]
        slope = naive_stationary.output_power(naive_stationary.with_filter(moved, *parts), wanted, 400).imag / 1e-30
        assert abs(slope - np.sum(change * direction)) < 1e-12 * np.abs(change).max() * direction.size


def test_refusals(rng, teacher):
    student = fm.random_student(3, teacher, scale=0.5, seed=0)
    with pytest.raises(ValueError, match="state must have a spectral radius below 1"):
        fm.InputFilter([[1.0]], [[1.0]], [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="coefficient"):
        fm.autoregressive_input(1.0, 4)
    with pytest.raises(ValueError, match="colour must write"):
        fm.coloured_update(fm.bptt(), student, teacher, 5, fm.autoregressive_input(0.5, 3))
    with pytest.raises(TypeError, match="colour must be an InputFilter"):
        fm.coloured_update(fm.bptt(), student, teacher, 5, 0.5)
