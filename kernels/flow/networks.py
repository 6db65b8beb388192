"""Learning as a flow of whole matrices: d(A, W, B)/ds = -(Delta A, Delta W, Delta B), T to infinity (beyond the paper).

Explicit Runge-Kutta pair 5(4) of Dormand and Prince, its step adapted to each network alone; output at given times by
the pair's fourth-order interpolant. The flow lives where the expected loss is finite, inside spectral radius one. A
step into the outside fails and is tried again with a quarter of its length; when no length is left, the network has
left the domain.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import apart, halted, kernel
from ..updates.infinite import infinite_update_of

REACHED_END, CONVERGED, LEFT_DOMAIN, STEP_LIMIT = range(4)

#: Dormand and Prince (1980): stages, fifth-order weights minus fourth-order ones; Shampine's interpolant (1986).
_STAGES = np.array(
    [
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
_ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
_DENSE = np.array(
    [
        -12715105075 / 11282082432, 0, 87487479700 / 32700410799, -10690763975 / 1880347072,
        701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423,
    ]
)  # fmt: skip

#: The step's length changes by at least and at most these factors, and aims at this share of the tolerance.
_SHRINK, _GROW, _SAFETY = 0.2, 5.0, 0.9

#: Steps over which a network's speed is averaged: single slopes of a stiff flow are noise of the tolerance's size.
_PACE = 128

#: Most doublings of an update along a flow: its domain ends where the spectral radius passes 1 - 2e-6.
_DOUBLINGS = 24

#: A step of less than this share of the time reached so far is no step.
_SHORTEST = 1e-13


class Control(NamedTuple):
    """Tolerances of a step, speed of the fastest weight below which a network has converged, most steps."""

    rtol: float
    atol: float
    settled: float
    most_steps: int


class Outcome(NamedTuple):
    """Of one network: ``states`` and ``losses`` at each time, NaN where it never came."""

    states: Any
    losses: Any


@apart
def _slope(m, rule, state, out):
    """``out`` = -(Delta A, Delta W, Delta B) at ``state``; returns (loss, whether it exists)."""
    count = len(state)
    m.flat[:count] = state
    loss, terms = infinite_update_of(m, rule, _DOUBLINGS)
    for i in range(count):
        out[i] = -m.flat[count + i]
    return loss, terms > 0 and np.isfinite(out.sum())


@apart
def _error(state, new, slopes, step, control):
    """Root mean square of the pair's difference in units of the tolerance."""
    summed, used = 0.0, 0
    for i in range(len(state)):
        difference = 0.0
        for stage in range(7):
            difference += _ERROR[stage] * slopes[stage, i]
        if new[i] != 0.0 or state[i] != 0.0:
            used += 1
        summed += (step * difference / (control.atol + control.rtol * max(abs(state[i]), abs(new[i])))) ** 2
    return np.sqrt(summed / max(used, 1))


@apart
def _try_step(m, rule, state, slopes, step, new):
    """All stages of one step; ``new`` receives the state after it, ``slopes[6]`` its slope. True if they exist."""
    for stage in range(6):
        for i in range(len(state)):
            moved = 0.0
            for earlier in range(stage + 1):
                moved += _STAGES[stage, earlier] * slopes[earlier, i]
            new[i] = state[i] + step * moved
        if not _slope(m, rule, new, slopes[stage + 1])[1]:
            return False
    return True


@apart
def _interpolate(state, new, slopes, step, fraction, out):
    """State a ``fraction`` of the step further on."""
    rest = 1.0 - fraction
    for i in range(len(state)):
        difference = new[i] - state[i]
        start = step * slopes[0, i] - difference
        end = difference - step * slopes[6, i] - start
        dense = 0.0
        for stage in range(7):
            dense += _DENSE[stage] * slopes[stage, i]
        out[i] = state[i] + fraction * (difference + rest * (start + fraction * (end + rest * step * dense)))


@apart
def _first_step(state, slope, control, span):
    """A hundredth of the time in which the state changes by its own size."""
    size, speed = 0.0, 0.0
    for i in range(len(state)):
        scale = control.atol + control.rtol * abs(state[i])
        size += (state[i] / scale) ** 2
        speed += (slope[i] / scale) ** 2
    return min(span, 0.01 * np.sqrt(size / speed) if speed > 0.0 and size > 0.0 else 1e-6)


@apart
def _largest_difference(state, other):
    found = 0.0
    for i in range(len(state)):
        found = max(found, abs(state[i] - other[i]))
    return found


@kernel
def matrix_flow(m, rule, control, times, outcome):
    """Integrate one network from the state in ``m`` through all ``times``.

    Parameters
    ----------
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`, filled; its A, W, B receive the last state.
    rule : Rule
    control : Control
    times : array (time,)
        Not negative, not decreasing.
    outcome : Outcome
        ``states`` (time, parameters), ``losses`` (time,), without the teacher's part.

    Returns
    -------
    status, time reached, steps made
    """
    states, losses = outcome.states, outcome.losses
    count = states.shape[1]
    state, new, slopes, shown = m.flat[:count].copy(), np.empty(count), np.empty((7, count)), np.empty(count)
    now, end, made, record, status = 0.0, times[-1], 0, 0, -1
    loss, inside = _slope(m, rule, state, slopes[0])
    if not inside:
        m.flat[:count] = state
        return LEFT_DOMAIN, now, made
    anchor, since, accepted = state.copy(), 0.0, 0
    step = _first_step(state, slopes[0], control, end)
    while record < len(times) and times[record] <= now:
        states[record], losses[record] = state, loss
        record += 1
    while status < 0:
        if accepted == _PACE:
            if _largest_difference(state, anchor) <= control.settled * (now - since):
                status = CONVERGED
            anchor[:] = state
            since, accepted = now, 0
        if status >= 0:
            break
        if now >= end:
            status = REACHED_END
        elif made >= control.most_steps:
            status = STEP_LIMIT
        elif step <= _SHORTEST * max(now, end * _SHORTEST):
            status = LEFT_DOMAIN
        if status >= 0 or halted(m.places):
            break
        step = min(step, end - now)
        made += 1
        if not _try_step(m, rule, state, slopes, step, new):
            step *= 0.25
            continue
        error = _error(state, new, slopes, step, control)
        factor = min(_GROW, max(_SHRINK, _SAFETY * error ** (-0.2))) if error > 0.0 else _GROW
        if not error <= 1.0:
            step *= min(factor, 1.0) if error == error else 0.25
            continue
        after = end if step >= end - now else now + step
        while record < len(times) and times[record] <= after:
            _interpolate(state, new, slopes, step, (times[record] - now) / step, shown)
            losses[record] = _slope(m, rule, shown, states[record])[0]
            states[record] = shown
            record += 1
        now = after
        accepted += 1
        state[:] = new
        slopes[0] = slopes[6]
        step *= factor
    if status == CONVERGED:
        last = _slope(m, rule, state, new)[0]
        for later in range(record, len(times)):
            states[later], losses[later] = state, last
    m.flat[:count] = state
    return status, now, made
