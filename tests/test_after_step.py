"""The expected loss after one sampled step."""

import math

import numpy as np
import pytest
from naive import output_loss
from problems import family, feedback_for, matrices, random_network
from test_moments import brute_force, vector

import fastmodes as fm
from fastmodes.updates.curvature import loss_hessian
from fastmodes.updates.impulses import covariance_root


def split(z, network):
    ends = np.cumsum([part.size for part in matrices(network)])[:-1]
    return [part.reshape(m.shape) for part, m in zip(np.split(z, ends), matrices(network), strict=True)]


def naive_loss(z, student, teacher, steps, loss, root, leak):
    """The loss at a vector of weights, which may be complex."""
    a, w, b = split(z, student)
    ta, tw, tb = matrices(teacher)
    return output_loss((a, (1 - leak) * np.eye(len(w)) + leak * w, leak * b @ root), (ta, tw, tb @ root), steps, loss)


def naive_hessian(*arguments):
    """Complex steps one way, fourth-order differences the other."""
    point = vector(matrices(arguments[0]))
    eye, h = np.eye(len(point)), 1e-3

    def gradient(z):
        return np.array([naive_loss(z + 1e-100j * e, *arguments).imag / 1e-100 for e in eye])

    return np.array(
        [
            (8 * (gradient(point + h * e) - gradient(point - h * e)) - gradient(point + 2 * h * e)
             + gradient(point - 2 * h * e)) / (12 * h)
            for e in eye
        ]
    )  # fmt: skip


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_slope_and_curvature(loss, leak, rng):
    student, teacher = random_network(rng, 2, 3, 2), random_network(rng, 2, 2, 2)
    covariance = (root := rng.standard_normal((2, 2))) @ root.T
    root = covariance_root(covariance, 2)
    wanted = naive_hessian(student, teacher, 5, loss, root, leak)
    given = {"loss": loss, "input_covariance": covariance, "leak": leak}
    hessian = loss_hessian(student, teacher, 5, **given)
    assert np.abs(hessian - wanted).max() < 1e-8 * np.abs(wanted).max()
    g = vector(fm.expected_update("bptt", student, teacher, 5, **given)[1:])
    for rule in list(family(3, 5, rng))[::9]:
        r, f = feedback_for(rule, student, rng)
        mean, spread = brute_force(rule, f, student, teacher, 5, loss, root, 0.3, leak)
        found = fm.loss_after_step(
            rule, student, teacher, 5, [0.1, 0.2], feedback=r, batch_size=7, target_noise=0.3, **given
        )
        curvature = np.sum(hessian * (spread / 7 + np.outer(mean, mean)))
        assert abs(found.loss_slope - g @ mean) < 1e-12 * np.linalg.norm(g) * np.linalg.norm(mean)
        size = np.linalg.norm(hessian) * (np.linalg.norm(spread) / 7 + mean @ mean)
        assert abs(found.loss_curvature - curvature) < 1e-12 * size, rule
        after = float(found.loss) - 0.2 * float(found.loss_slope) + 0.02 * float(found.loss_curvature)
        assert abs(float(found.loss_after_step[1]) - after) < 1e-14 * size


def test_the_loss_after_a_step_is_that_of_sampled_steps(rng):
    student, teacher = random_network(rng, 1, 2, 1), random_network(rng, 1, 2, 1)
    updates = [
        vector(fm.sampled_update("bptt", student, teacher, x[None])[1:]) for x in rng.standard_normal((20_000, 4, 1))
    ]
    point, errors = vector(matrices(student)), []
    for rate in (0.004, 0.002):
        losses = [naive_loss(point - rate * u, student, teacher, 4, "final", np.eye(1), 1.0) for u in updates]
        moments = np.mean(losses), np.std(losses) / np.sqrt(len(losses))
        after = fm.loss_after_step("bptt", student, teacher, 4, rate)
        errors.append((abs(after.loss_after_step - moments[0]), moments[1]))
    assert all(error < 5 * deviation for error, deviation in errors)


def test_infinitely_many_steps(rng):
    student, teacher = random_network(rng, 1, 3, 2, radius=0.7), random_network(rng, 1, 2, 2, radius=0.6)
    limit, long = (fm.loss_after_step("eprop", student, teacher, t, 0.1, feedback=[[1.0, 0.5, -1.0]]) for t in
                   (math.inf, 200))  # fmt: skip
    for name in limit.data_vars:
        assert abs(limit[name] - long[name]) < 1e-11 * abs(long[name])


@pytest.mark.parametrize("rate", [0.0, -1.0, [[0.1]], math.nan])
def test_rates_are_checked(rate, rng):
    student = random_network(rng, 1, 2, 1)
    with pytest.raises(ValueError, match=r"^learning_rate must"):
        fm.loss_after_step("bptt", student, student, 4, rate)
