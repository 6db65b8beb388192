"""Modes whose feedback learns, d(w, a, b, g)/ds for T = infinity, one after another (beyond the paper; theory 11).

The feedback is f = beta a + g, with beta the rule's number, and g a fourth variable of every mode:

    dw = -Delta w,    da = -Delta a - lambda_a a,    db = -Delta b,    dg = kappa a - lambda g

Kolen and Pollack's feedback has beta = 1, lambda_a = lambda and kappa = 0, so that g = r - a; the mirror has beta = 0
and lambda_a = 0, so that g = r. Explicit steps as for whole networks (:mod:`~fastmodes.kernels.flow.networks`).
"""

import numpy as np

from ..compile import halted, inlined, kernel
from ..modes.polynomials import exact_product
from ..modes.update import infinite_sums, mode_formula
from ..rule import feedback_entry, moves
from ..tableau import EXPLICIT_STAGES
from .constants import FAILED, LARGEST_FACTOR, LEAST_FACTOR, SAFETY, SHORTEST
from .driver import LEFT_DOMAIN, REACHED_END, STEP_LIMIT
from .networks import STAGES, error_of, first_step, interpolate

_RUNNING = -1


@inlined
def _velocity(point, state, rule, out):
    """``out`` = d(w, a, b, g)/ds; whether the mode is inside the domain."""
    w, a, b, learning = state[0], state[1], state[2], rule.learning
    goal, product, horizon = point[3], point[4], int(point[7])
    pi = w if moves(rule) else point[6]
    f, _ = feedback_entry(rule, a, state[3])
    own = infinite_sums(horizon, exact_product(pi, w), exact_product(w, w))
    other = infinite_sums(horizon, exact_product(pi, goal), exact_product(w, goal))
    dw, da, db = mode_formula(w, a, b, f, goal, product, own, other)
    out[0], out[1], out[2] = -dw, -da - learning.readout_decay * a, -db
    out[3] = learning.gain * a - learning.decay * state[3]
    return w * w < 1.0 and (horizon > 0 or abs(pi * w) < 1.0) and np.isfinite(out.sum())


@inlined
def _try_step(point, state, slopes, step, rule, new):
    """All stages of one step, the last at its end, ``new``; whether they lie inside the domain."""
    for stage in range(EXPLICIT_STAGES - 1):
        for i in range(len(state)):
            moved = 0.0
            for earlier in range(stage + 1):
                moved += STAGES[stage, earlier] * slopes[earlier, i]
            new[i] = state[i] + step * moved
        if not _velocity(point, new, rule, slopes[stage + 1]):
            return False
    return True


@inlined
def _settle(state, start, time, learning):
    """Without gain g falls by an exponential, whatever the tolerance."""
    if learning.gain == 0.0:
        state[3] = start * np.exp(-learning.decay * time)


@inlined
def _record(outputs, place, time, state, rule):
    """w, a, b and f at one of the times."""
    for variable in range(3):
        outputs[variable][place, time] = state[variable]
    outputs[3][place, time] = feedback_entry(rule, state[1], state[3])[0]


@inlined
def _status(now, end, step, made, control):
    """How a mode ended, if it did."""
    if now >= end:
        return REACHED_END
    if made >= control.most_steps:
        return STEP_LIMIT
    return LEFT_DOMAIN if step <= SHORTEST * max(now, end * SHORTEST) else _RUNNING


@inlined
def _follow(place, point, times, choices, outputs, halt):
    """One mode to the last of the times; its status, time and number of velocities."""
    rule, control = choices
    state, new, shown, slopes = point[:4].copy(), np.empty(4), np.empty(4), np.empty((EXPLICIT_STAGES, 4))
    state[3] = point[5]
    now, end, made, record, calls, status = 0.0, times[-1], 0, 0, 1, _RUNNING
    if not _velocity(point, state, rule, slopes[0]):
        status = LEFT_DOMAIN
    step = first_step(state, slopes[0], control, end)
    while record < len(times) and times[record] <= now:
        _record(outputs, place, record, state, rule)
        record += 1
    while status == _RUNNING and not halted(halt):
        status = _status(now, end, step, made, control)
        if status != _RUNNING:
            break
        step = min(step, end - now)
        made, calls = made + 1, calls + EXPLICIT_STAGES - 1
        inside = _try_step(point, state, slopes, step, rule, new)
        error = error_of(state, new, slopes, step, control) if inside else np.nan
        if not error <= 1.0:
            step *= max(LEAST_FACTOR, SAFETY * error ** (-0.2)) if error < np.inf else FAILED
            continue
        after = end if step >= end - now else now + step
        while record < len(times) and times[record] <= after:
            interpolate(state, new, slopes, step, (times[record] - now) / step, shown)
            _settle(shown, point[5], times[record], rule.learning)
            _record(outputs, place, record, shown, rule)
            record += 1
        now = after
        state[:], slopes[0] = new, slopes[-1]
        _settle(state, point[5], now, rule.learning)
        step *= min(LARGEST_FACTOR, SAFETY * error ** (-0.2)) if error > 0.0 else LARGEST_FACTOR
    for later in range(record, len(times)):
        _record(outputs, place, later, state, rule)
    return status, now, calls


@kernel
def learned_flow(points, times, rule, control, outputs, ends):
    """Integrate many modes to the last of the times.

    Parameters
    ----------
    points : float64 array (point, POINT)
        As for :func:`fastmodes.kernels.flow.kinds.flow_lanes`, the start of g in the place of r.
    times : float64 array (time,)
        Ascending, the last one is the end.
    rule : Rule
        The points have horizons of their own.
    control : fastmodes.kernels.flow.networks.Control
    outputs : four float64 arrays (point, time)
        Results: w, a, b and the feedback entry f; after its end a mode keeps its last state.
    ends : Ends
        Results: status, time and velocities.
    """
    for place in range(len(points)):
        status, now, calls = _follow(place, points[place], times, (rule, control), outputs, ends.halt)
        ends.status[place], ends.time[place], ends.evaluations[place] = status, now, calls
        if halted(ends.halt):
            return


@inlined
def _iterate(state, rate, velocity):
    """One update; whether it is finite."""
    for i in range(4):
        state[i] += rate * velocity[i]
    return np.isfinite(state.sum())


@kernel
def learned_map(points, epochs, rule, outputs, outside, halt):
    """Iterate the discrete map of many modes, as :func:`fastmodes.kernels.modes.iterated_map.map_lanes`.

    Parameters
    ----------
    points : float64 array (point, POINT)
        The start of g in the place of r; the last column is the learning rate.
    epochs, outside, halt
        As there.
    rule : Rule
    outputs : four float64 arrays (point, epoch)
        Results: w, a, b and f; a mode that left the domain keeps its first state outside.
    """
    state, before, velocity = np.empty(4), np.empty(4), np.empty(4)
    for i in range(len(points)):
        state[:] = points[i, :4]
        state[3] = points[i, 5]
        done, outside[i] = 0, -1.0
        for place in range(len(epochs)):
            while done < epochs[place] and outside[i] < 0.0:
                if not _velocity(points[i], state, rule, velocity):
                    outside[i] = done
                    break
                before[:] = state
                done += 1
                if not _iterate(state, points[i, 8], velocity):
                    state[:] = before
                    outside[i] = done
                if done & 63 == 0 and halted(halt):
                    return
            _record(outputs, i, place, state, rule)
