"""Batched integration of the mode flow: eight trajectories side by side, a finished lane refilled at once.

Every trajectory has its own time and step, so that a lane's result does not depend on its neighbours. One driver
serves two methods, chosen by a number: an explicit 5(4) pair and, for what that one hands over as stiff, a Rosenbrock
method. The step controller takes fourth roots by square roots: ``pow`` has no lane form.
"""

from typing import Any, NamedTuple

import numpy as np

from .compile import inlined, kernel
from .flow_control import BOUNDARY, GROWTH, arrived, error_ratio, quiet, step_factor
from .flow_explicit import explicit_dense, explicit_step
from .flow_observe import arc_length, relative_loss
from .flow_stiff import stiff_dense, stiff_step
from .lanes import WIDTH, bits, both, either, fma, less, less_equal, load, maximum, minimum, select, splat, store
from .propagation import digit_count
from .vector_field import velocity

#: How a trajectory ended; STIFF, handed over to the other method, is never a final result.
STATUSES = ("reached_end", "optimal", "non_optimal", "left_domain", "step_limit")
REACHED_END, OPTIMAL, NON_OPTIMAL, LEFT_DOMAIN, STEP_LIMIT, STIFF = range(6)

#: Columns of a point: w, a, b, then teacher w* and p, feedback r, fixed propagator, horizon (0: endless).
POINT = 8

#: Columns of a record: w, a, b, time, step (0: choose), steps, right-hand sides, path length, learning time (-1: not
#: yet), loss (-1: unknown), status, next output.
RECORD = 12
_STATUS, _NEXT = 10, 11

# Rows of a lane block; those from _TIME to _LOSS are columns 3 to 9 of the record.
_MODE, _TIME, _STEP, _STEPS, _CALLS, _PATH, _LEARNT, _LOSS, _GROWTH, _STIFF, _NEXT_TIME = 0, *range(5, 15)
_ROWS = 15

# Steps limited by stability rather than accuracy, in a row, that make a trajectory stiff; 3.25 is about the length of
# the explicit method's stability interval.
_STIFF_STEPS, _STABILITY = 2.0, 3.25


class Lane(NamedTuple):
    """Arrays of eight trajectories: (variable, lane), stages (3 stage + variable, lane), and the rows of a block."""

    state: Any
    slope: Any
    fresh: Any
    slope_new: Any
    error: Any
    stages: Any
    dense: Any
    block: Any


@inlined
def _mode(block):
    return (
        load(block, (_MODE, 0)), load(block, (_MODE + 1, 0)), load(block, (_MODE + 2, 0)),
        load(block, (_MODE + 3, 0)), load(block, (_MODE + 4, 0)),
    )  # fmt: skip


@inlined
def interpolated(y, change, k1, k2, k3, x):
    """Dense output of both methods at the fraction x of a step: y + x (change + (1 - x) (k1 + x (k2 + x k3)))."""
    return fma(x, fma(1.0 - x, fma(x, fma(x, k3, k2), k1), change), y)


@inlined
def _enter(lane, point, points, records, times, work):
    """Put a point into a lane."""
    block = work.block
    for variable in range(3):
        work.state[variable, lane] = records[point, variable]
    for i in range(5):
        block[_MODE + i, lane] = points[point, 3 + i]
    for i in range(7):
        block[_TIME + i, lane] = records[point, 3 + i]
    block[_GROWTH, lane], block[_STIFF, lane] = GROWTH, 0.0
    following = int(records[point, _NEXT])
    block[_NEXT_TIME, lane] = times[following] if following < len(times) else np.inf


@inlined
def _leave(lane, point, status, records, outputs, work):
    """Write a lane back to its record and let a mode at rest take its place; later outputs repeat the last state."""
    for variable in range(3):
        records[point, variable] = work.state[variable, lane]
    for i in range(7):
        records[point, 3 + i] = work.block[_TIME + i, lane]
    records[point, _STATUS] = status
    if status != STIFF:
        for i in range(int(records[point, _NEXT]), outputs.shape[1]):
            for variable in range(3):
                outputs[point, i, variable] = work.state[variable, lane]
    _rest(lane, work)


@inlined
def _rest(lane, work):
    """An empty lane: a mode at rest, whose time never ends."""
    for variable in range(3):
        work.state[variable, lane], work.slope[variable, lane] = 0.0, 0.0
    for i in range(_ROWS):
        work.block[i, lane] = 0.0
    work.block[_STEP, lane], work.block[_TIME, lane], work.block[_NEXT_TIME, lane] = 1.0, -1e300, np.inf


@inlined
def _first_step(lane, options, end, work):
    """A first step from the sizes of state and velocity, where the record holds none."""
    if work.block[_STEP, lane] > 0.0:
        return
    size, speed = 0.0, 0.0
    for variable in range(3):
        scale = options[1] + options[0] * abs(work.state[variable, lane])
        size += (work.state[variable, lane] / scale) ** 2
        speed += (work.slope[variable, lane] / scale) ** 2
    step = 0.5 * options[0] ** 0.2 * np.sqrt(size / speed) if speed > 0.0 else end
    work.block[_STEP, lane] = options[3] if options[3] > 0.0 else min(max(step, 1e-8 * end), end)


@inlined
def _begin(filled, rule, options, end, observing, work):
    """Velocity, first step and first loss of the lanes that were filled."""
    state, block, mode = work.state, work.block, _mode(work.block)
    fw, fa, fb, _ = velocity(load(state, (0, 0)), load(state, (1, 0)), load(state, (2, 0)), mode, rule)
    store(work.slope, (0, 0), fw)
    store(work.slope, (1, 0), fa)
    store(work.slope, (2, 0), fb)
    for lane in range(WIDTH):
        if filled >> lane & 1:
            _first_step(lane, options, end, work)
    if observing:
        loss, learnt = load(block, (_LOSS, 0)), load(block, (_LEARNT, 0))
        unknown, now = less(loss, 0.0), relative_loss(state, mode)
        store(block, (_LOSS, 0), select(unknown, now, loss))
        store(block, (_LEARNT, 0), select(both(unknown, less_equal(now, options[4])), splat(0.0), learnt))


@inlined
def _write_outputs(pending, active, lanes, h, t_new, records, times, outputs, work):
    """Dense output of every lane whose next output time the step has passed."""
    values, block, dense = np.empty((3, WIDTH)), work.block, work.dense
    t = load(block, (_TIME, 0))
    while pending:
        x = (load(block, (_NEXT_TIME, 0)) - t) / h
        for v in range(3):
            y = load(work.state, (v, 0))
            change = load(work.fresh, (v, 0)) - y
            value = interpolated(y, change, load(dense, (v, 0)), load(dense, (3 + v, 0)), load(dense, (6 + v, 0)), x)
            store(values, (v, 0), value)
        for lane in range(WIDTH):
            if pending >> lane & 1:
                point = lanes[lane]
                place = int(records[point, _NEXT])
                for v in range(3):
                    outputs[point, place, v] = values[v, lane]
                records[point, _NEXT] = place + 1.0
                block[_NEXT_TIME, lane] = times[place + 1] if place + 1 < len(times) else np.inf
        pending = active & pending & bits(less_equal(load(block, (_NEXT_TIME, 0)), t_new))


@inlined
def _observe(accepted, h, mode, threshold, work):
    """Path length, and the time at which the loss falls below the threshold, linear within a step."""
    block = work.block
    length = arc_length(h, work.state, work.slope, work.fresh, work.slope_new)
    path, before, learnt = load(block, (_PATH, 0)), load(block, (_LOSS, 0)), load(block, (_LEARNT, 0))
    after = relative_loss(work.fresh, mode)
    found = both(both(accepted, less(learnt, 0.0)), less_equal(after, threshold))
    time = fma(h, (before - threshold) / (before - after), load(block, (_TIME, 0)))
    store(block, (_PATH, 0), select(accepted, path + length, path))
    store(block, (_LEARNT, 0), select(found, time, learnt))
    store(block, (_LOSS, 0), select(accepted, after, before))


@inlined
def _count_stiff(stretch, distance, h, accepted, left, block):
    """Lanes whose steps were limited by stability for a while, with many steps to go."""
    limited = both(accepted, less(_STABILITY * _STABILITY * distance, h * h * stretch))
    count = load(block, (_STIFF, 0))
    count = select(limited, count + 1.0, maximum(count - 0.25, 0.0))
    store(block, (_STIFF, 0), count)
    return both(less_equal(_STIFF_STEPS, count), less(3.0 * h, left))


@inlined
def _final_status(lane, outside, reached, stuck, limited, arrival, work):
    """Why a lane is done; each argument holds one bit per lane."""
    w, a, b = work.state[0, lane], work.state[1, lane], work.state[2, lane]
    if outside >> lane & 1:
        return LEFT_DOMAIN
    if arrival >> lane & 1:
        return OPTIMAL
    if reached >> lane & 1:
        resting = work.slope[0, lane] == 0.0 and work.slope[1, lane] == 0.0 and work.slope[2, lane] == 0.0
        return NON_OPTIMAL if resting and a == 0.0 and b == 0.0 else (OPTIMAL if resting else REACHED_END)
    if stuck >> lane & 1:
        return LEFT_DOMAIN if 1.0 - w * w < 1e-3 else STEP_LIMIT
    return STEP_LIMIT if limited >> lane & 1 else STIFF


@kernel
def flow_lanes(points, todo, times, code, options, records, outputs):
    """Integrate many modes from their records to the last of the times.

    Parameters
    ----------
    points : float64 array (point, POINT)
    todo : int64 array
        Points to integrate.
    times : float64 array (time,)
        Ascending, the last one is the end.
    code : int64 array (5,)
        1 for the stiff method, 1 if the feedback is the readout, 1 if the propagator is w, 1 to observe path length and
        learning time, 1 to hand stiff trajectories over.
    options : float64 array (5,)
        Relative and absolute tolerance, largest number of steps, fixed step (0: adaptive), loss threshold.
    records : float64 array (point, RECORD)
        Where every trajectory stands; changed in place.
    outputs : float64 array (point, time, variable)
        States at the times; no time at all: only the end is wanted.
    """
    stiff_method, observing, hand_over = code[0] == 1, code[3] == 1, code[4] == 1
    longest = 0.0
    for i in range(len(points)):
        longest = max(longest, points[i, POINT - 1])
    rule = (float(code[1]), float(code[2]), digit_count(longest))
    end, dense_wanted, adaptive = times[len(times) - 1], outputs.shape[1] > 0, options[3] == 0.0
    work = Lane(
        np.zeros((3, WIDTH)), np.zeros((3, WIDTH)), np.zeros((3, WIDTH)), np.zeros((3, WIDTH)),
        np.zeros((3, WIDTH)), np.zeros((24, WIDTH)), np.zeros((9, WIDTH)), np.zeros((_ROWS, WIDTH)),
    )  # fmt: skip
    state, slope, fresh, slope_new, error, k, dense, block = work
    lanes = np.zeros(WIDTH, np.int64)
    for lane in range(WIDTH):
        _rest(lane, work)
    upcoming, active, empty = 0, 0, (1 << WIDTH) - 1
    while True:
        filled = 0
        for lane in range(WIDTH):
            if empty >> lane & 1 and upcoming < len(todo):
                lanes[lane] = todo[upcoming]
                _enter(lane, lanes[lane], points, records, times if dense_wanted else times[:0], work)
                upcoming, filled = upcoming + 1, filled | 1 << lane
        active, empty = active | filled, empty & ~filled
        if not active:
            return
        if filled:
            _begin(filled, rule, options, end, observing, work)
        # Nothing changes from here on until a lane is done.
        mode = _mode(block)
        done = 0
        while not done:
            t, h = load(block, (_TIME, 0)), load(block, (_STEP, 0))
            left = end - t
            last = less_equal(left, h)
            h = minimum(h, left)
            stretch, distance = splat(0.0), splat(1.0)
            if stiff_method:
                room = stiff_step(state, slope, k, h, mode, rule, fresh, slope_new, error)
            else:
                room, stretch, distance = explicit_step(state, slope, k, h, mode, rule, fresh, slope_new, error)
            ratio, scales = error_ratio(state, fresh, error, options[0], options[1])
            inside = less(0.0, room)
            accepted = both(inside, less_equal(splat(1.0) if adaptive else splat(0.0), ratio))
            t_new = select(accepted, select(last, splat(end), t + h), t)
            if dense_wanted:
                due = active & bits(both(accepted, less_equal(load(block, (_NEXT_TIME, 0)), t_new)))
                if due:
                    if stiff_method:
                        stiff_dense(k, dense)
                    else:
                        explicit_dense(state, k, h, fresh, dense)
                    _write_outputs(due, active, lanes, h, t_new, records, times, outputs, work)
            if observing:
                _observe(accepted, h, mode, options[4], work)
            for v in range(3):
                store(state, (v, 0), select(accepted, load(fresh, (v, 0)), load(state, (v, 0))))
                store(slope, (v, 0), select(accepted, load(slope_new, (v, 0)), load(slope, (v, 0))))
            factor, growth = step_factor(ratio, inside, accepted, load(block, (_GROWTH, 0)))
            h_new = h * factor if adaptive else h
            steps = load(block, (_STEPS, 0)) + 1.0
            store(block, (_GROWTH, 0), growth)
            store(block, (_TIME, 0), t_new)
            store(block, (_STEP, 0), h_new)
            store(block, (_STEPS, 0), steps)
            store(block, (_CALLS, 0), load(block, (_CALLS, 0)) + (8.0 if stiff_method else 6.0))

            reached, stuck, limited = less_equal(end, t_new), less_equal(t_new + h_new, t_new), less(options[2], steps)
            outwards = less(0.0, load(state, (0, 0)) * load(slope, (0, 0)))
            outside = both(both(accepted, less(room, BOUNDARY)), outwards)
            candidate = either(reached, both(accepted, quiet(slope, scales, h))) if adaptive else reached
            done = bits(either(either(reached, stuck), either(limited, outside)))
            if hand_over:
                done |= bits(_count_stiff(stretch, distance, h, accepted, left, block))
            arrival = 0
            if active & bits(candidate):
                arrival = bits(both(candidate, arrived(state, slope, scales, mode, rule)))
            done = active & (done | arrival)
        reasons = bits(outside), bits(reached), bits(stuck), bits(limited)
        for lane in range(WIDTH):
            if done >> lane & 1:
                status = _final_status(lane, reasons[0], reasons[1], reasons[2], reasons[3], arrival, work)
                _leave(lane, lanes[lane], status, records, outputs, work)
        active, empty = active & ~done, empty | done
