"""Scatter of the weights around an optimum, against trainings in plain NumPy."""

import math

import numpy as np
import pytest

import fastmodes as fm

SIGMA, BATCH, STEPS = 0.3, 4, 3


def trained_excess_loss(w, a, b, f, pi, rate, chains, rng):
    """Mean loss, without the noise's own, of one-unit networks trained from (w, a, b); pi None: pi = w, f None: a."""
    state = np.repeat(np.array([[w], [a], [b]]), chains, axis=1)
    summed, counted, updates = 0.0, 0, int(8 / rate)
    for k in range(updates):
        w_, a_, b_ = state
        x = rng.standard_normal((STEPS, chains, BATCH))
        h, goal, states = 0.0, 0.0, []
        for t in range(STEPS):
            states.append(np.broadcast_to(h, (chains, BATCH)))
            h, goal = w_[:, None] * h + b_[:, None] * x[t], w * goal + b * x[t]
        error = a_[:, None] * h - a * goal - SIGMA * rng.standard_normal((chains, BATCH))
        credit = (a_[:, None] if f is None else f) * error
        change = np.zeros((3, chains))
        change[1] = np.mean(error * h, axis=1)
        for j in range(STEPS):
            change[0] += np.mean(credit * states[STEPS - 1 - j], axis=1)
            change[2] += np.mean(credit * x[STEPS - 1 - j], axis=1)
            credit = credit * (w_[:, None] if pi is None else pi)
        state = state - rate * change
        if k >= 3 * updates // 4:
            errors = [state[1] * state[0] ** i * state[2] - a * w**i * b for i in range(STEPS)]
            summed, counted = summed + 0.5 * np.mean(np.sum(np.square(errors), axis=0)), counted + 1
    return summed / counted


@pytest.mark.parametrize("rule", ["bptt", "rflo(0.4)"])
def test_the_loss_that_remains_is_that_of_training(rule, rng):
    optimum, f = (0.5, 1.0, 1.2), 0.8
    network = fm.LinearRNN([[1.0]], [[0.5]], [[1.2]])
    off = []
    for rate in (0.08, 0.04, 0.02):
        found = fm.analysis.stationary_scatter(
            rule, network, network, STEPS, rate, target_noise=SIGMA, batch_size=BATCH, feedback=[[f]]
        )
        carried = (None, None) if rule == "bptt" else (f, 0.4)
        trained = trained_excess_loss(*optimum, *carried, rate, 10_000, rng)
        off.append(abs(float(found.excess_loss) / trained - 1))
        assert found.flat_directions == 1
        # A change along the optimal manifold changes no output, so that no sample's noise drives it.
        assert abs(found.drift_rate) < 1e-15
        # In proportion to the rate: measured 1.2 to 1.5 times it.
        assert off[-1] < 1.8 * rate
    assert off[0] > 2.5 * off[2]


def test_scatter_is_in_proportion_to_rate_and_noise():
    network = fm.aligned_teacher(fm.Modes([0.7, 0.4], 1.0, 1.0))
    for steps, loss in ((6, "sequence"), (math.inf, "final")):
        one, half = (
            fm.analysis.stationary_scatter("bptt", network, network, steps, rate, target_noise=sigma, loss=loss)
            for rate, sigma in ((2e-5, 0.2), (1e-5, 0.1))
        )
        assert abs(one.excess_loss / half.excess_loss / 8 - 1) < 1e-3
        assert (one.scatter_recurrent > 0).all()
        # Four weights of change of basis, in the hidden space.
        assert one.flat_directions == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": 50.0}, "learning_rate"),
        ({"target_noise": 0.0}, "target_noise"),
        ({"student": fm.LinearRNN([[1.1]], [[0.5]], [[1.0]])}, "student"),
        ({"rule": "rflo", "feedback": [[-1.0]]}, "learning_rate"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given, said):
    network = fm.LinearRNN([[1.0]], [[0.5]], [[1.0]])
    given = {"rule": "bptt", "student": network, "learning_rate": 0.1, "target_noise": 0.1} | given
    rule, student, rate = (given.pop(name) for name in ("rule", "student", "learning_rate"))
    with pytest.raises(ValueError, match=f"^{said} must"):
        fm.analysis.stationary_scatter(rule, student, network, 5, rate, **given)
