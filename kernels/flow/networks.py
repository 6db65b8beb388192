"""Learning as a flow of whole matrices: d(A, W, B)/ds = -(Delta A, Delta W, Delta B), T to infinity (beyond the paper).

Each of the three learns at the rule's rate for it.

Explicit Runge-Kutta pair 5(4) of Dormand and Prince, its step adapted to each network alone; output at given times by
the pair's fourth-order interpolant. The flow lives where the expected loss is finite, inside spectral radius one. A
step into the outside fails and is tried again with a part of its length; when no length is left, the network has
left the domain.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.workspace import entries
from ..compile import apart, halted, kernel
from ..simd.views import flattened
from ..tableau import EXPLICIT, EXPLICIT_STAGES
from ..training.infinite import show_in, take_from
from ..updates.doubling import CHANGE_READOUT, FEEDBACK, RECURRENT
from ..updates.infinite import infinite_update_of
from .constants import (
    DOMAIN_MARGIN,
    FAILED,
    FIRST_SHARE,
    FIRST_STEP,
    LARGEST_FACTOR,
    LEAST_FACTOR,
    PACE,
    SAFETY,
    SHORTEST,
)  # fmt: skip

#: How a network ended.
STATUSES = ("reached_end", "converged", "left_domain", "step_limit")
REACHED_END, CONVERGED, LEFT_DOMAIN, STEP_LIMIT = range(4)
# It has not.
_RUNNING = -1

STAGES = np.array([(*row, *(0.0,) * (6 - len(row))) for row in EXPLICIT.stages])
_ERROR, _DENSE = np.array(EXPLICIT.error), np.array(EXPLICIT.dense)

#: Most doublings of an update along a flow: its domain ends where the spectral radius passes 1 - 20 / 2^doublings,
#: about where that of modes does.
_DOUBLINGS = int(np.log2(20 / DOMAIN_MARGIN))


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
def _put(m, state, seen):
    """Write A, W, B, and G where it follows them; returns the number of weights."""
    if seen is None:
        count = m.places[CHANGE_READOUT, 0]
        m.flat[:count] = state[:count]
        if len(state) > count:
            entries(m, FEEDBACK)[:] = state[count:]
        return count
    count = len(seen.values)
    seen.values[:] = state[:count]
    if len(state) > count:
        flattened(seen.given)[:] = state[count:]
    show_in(m, seen)
    return count


@apart
def _start(m, state, seen):
    """Read A, W, B, and G where it follows them."""
    if seen is None:
        count = m.places[CHANGE_READOUT, 0]
        state[:count] = m.flat[:count]
        if len(state) > count:
            state[count:] = entries(m, FEEDBACK)
    else:
        count = len(seen.values)
        state[:count] = seen.values
        if len(state) > count:
            state[count:] = flattened(seen.given)


@apart
def _read_update(m, out, count, seen):
    """out = -(Delta A, Delta W, Delta B); returns how many numbers of it are A's, and A's and W's."""
    if seen is None:
        for i in range(count):
            out[i] = -m.flat[count + i]
        return m.places[RECURRENT, 0], m.places[RECURRENT, 0] + m.places[RECURRENT, 1] * m.places[RECURRENT, 2]
    take_from(m, seen)
    for i in range(count):
        out[i] = -seen.gradient[i]
    return seen.own.readout.size, seen.own.readout.size + seen.own.recurrent.size


@apart
def _slope(m, rule, state, out, seen):
    """``out`` = -(Delta A, Delta W, Delta B), and of G, at ``state``; returns (loss, whether it exists)."""
    count = _put(m, state, seen)
    loss, terms = infinite_update_of(m, rule, _DOUBLINGS)
    readout, recurrent = _read_update(m, out, count, seen)
    for first, last, rate in (
        (readout, recurrent, rule.rates[0]), (0, readout, rule.rates[1]), (recurrent, count, rule.rates[2]),
    ):  # fmt: skip
        if rate != 1.0:
            out[first:last] *= rate
    for i in range(len(state) - count):
        # A comes first in the state, and has the shape of G.
        out[i] -= rule.learning.readout_decay * state[i]
        out[count + i] = rule.learning.gain * state[i] - rule.learning.decay * state[count + i]
    return loss, terms > 0 and np.isfinite(out.sum())


@apart
def error_of(state, new, slopes, step, control):
    """Root mean square of the pair's difference in units of the tolerance."""
    summed, used = 0.0, 0
    for i in range(len(state)):
        difference = 0.0
        for stage in range(EXPLICIT_STAGES):
            difference += _ERROR[stage] * slopes[stage, i]
        if new[i] != 0.0 or state[i] != 0.0:
            used += 1
        summed += (step * difference / (control.atol + control.rtol * max(abs(state[i]), abs(new[i])))) ** 2
    return np.sqrt(summed / max(used, 1))


@apart
def _try_step(m, rule, state, slopes, step, new, seen):
    """All stages of one step; ``new`` receives the state after it, the last slope its own. True if they exist."""
    for stage in range(EXPLICIT_STAGES - 1):
        for i in range(len(state)):
            moved = 0.0
            for earlier in range(stage + 1):
                moved += STAGES[stage, earlier] * slopes[earlier, i]
            new[i] = state[i] + step * moved
        if not _slope(m, rule, new, slopes[stage + 1], seen)[1]:
            return False
    return True


@apart
def interpolate(state, new, slopes, step, fraction, out):
    """State a ``fraction`` of the step further on."""
    rest = 1.0 - fraction
    for i in range(len(state)):
        difference = new[i] - state[i]
        start = step * slopes[0, i] - difference
        end = difference - step * slopes[-1, i] - start
        dense = 0.0
        for stage in range(EXPLICIT_STAGES):
            dense += _DENSE[stage] * slopes[stage, i]
        out[i] = state[i] + fraction * (difference + rest * (start + fraction * (end + rest * step * dense)))


@apart
def first_step(state, slope, control, span):
    """A share of the time in which the state changes by its own size."""
    size, speed = 0.0, 0.0
    for i in range(len(state)):
        scale = control.atol + control.rtol * abs(state[i])
        size += (state[i] / scale) ** 2
        speed += (slope[i] / scale) ** 2
    return min(span, FIRST_SHARE * np.sqrt(size / speed) if speed > 0.0 and size > 0.0 else FIRST_STEP)


@apart
def _largest_difference(state, other):
    found = 0.0
    for i in range(len(state)):
        found = max(found, abs(state[i] - other[i]))
    return found


@kernel
def matrix_flow(m, rule, control, times, outcome, seen):
    """Integrate one network from the state in ``m`` through all ``times``.

    Parameters
    ----------
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`, filled; its A, W, B receive the last state.
    rule : Rule
        How its feedback learns is read where the states of ``outcome`` have room for G, whose start is in ``m``.
    control : Control
    times : array (time,)
        Not negative, not decreasing.
    outcome : Outcome
        ``states`` (time, weights), or (time, weights and G), ``losses`` (time,), without the teacher's part.
    seen : Seen or None
        What learns in place of the network in ``m``, see :mod:`fastmodes.kernels.training.seen`.

    Returns
    -------
    status, time reached, steps made
    """
    states, losses = outcome.states, outcome.losses
    count = states.shape[1]
    state, new, shown = np.empty(count), np.empty(count), np.empty(count)
    _start(m, state, seen)
    slopes = np.empty((EXPLICIT_STAGES, count))
    now, end, made, record, status = 0.0, times[-1], 0, 0, _RUNNING
    loss, inside = _slope(m, rule, state, slopes[0], seen)
    if not inside:
        _put(m, state, seen)
        return LEFT_DOMAIN, now, made
    anchor, since, accepted = state.copy(), 0.0, 0
    step = first_step(state, slopes[0], control, end)
    while record < len(times) and times[record] <= now:
        states[record], losses[record] = state, loss
        record += 1
    while status == _RUNNING:
        if accepted == PACE:
            if _largest_difference(state, anchor) <= control.settled * (now - since):
                status = CONVERGED
            anchor[:] = state
            since, accepted = now, 0
        if status != _RUNNING:
            break
        if now >= end:
            status = REACHED_END
        elif made >= control.most_steps:
            status = STEP_LIMIT
        elif step <= SHORTEST * max(now, end * SHORTEST):
            status = LEFT_DOMAIN
        if status != _RUNNING or halted(m.places):
            break
        step = min(step, end - now)
        made += 1
        if not _try_step(m, rule, state, slopes, step, new, seen):
            step *= FAILED
            continue
        error = error_of(state, new, slopes, step, control)
        factor = min(LARGEST_FACTOR, max(LEAST_FACTOR, SAFETY * error ** (-0.2))) if error > 0.0 else LARGEST_FACTOR
        if not error <= 1.0:
            step *= min(factor, 1.0) if error == error else FAILED
            continue
        after = end if step >= end - now else now + step
        while record < len(times) and times[record] <= after:
            interpolate(state, new, slopes, step, (times[record] - now) / step, shown)
            losses[record] = _slope(m, rule, shown, states[record], seen)[0]
            states[record] = shown
            record += 1
        now = after
        accepted += 1
        state[:] = new
        slopes[0] = slopes[-1]
        step *= factor
    if status == CONVERGED:
        last = _slope(m, rule, state, new, seen)[0]
        for later in range(record, len(times)):
            states[later], losses[later] = state, last
    _put(m, state, seen)
    return status, now, made
