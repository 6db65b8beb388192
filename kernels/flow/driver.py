"""Batched integration of the mode flow: trajectories side by side, a finished lane refilled at once.

Every trajectory has its own time and step, so that a lane's result does not depend on its neighbours. One driver
serves two methods, chosen by a number: an explicit 5(4) pair and, for what that one hands over as stiff, a Rosenbrock
method. The step controller does without ``pow``, which has no lane form.
"""

import numpy as np

from ..compile import always_inlined, halted, inlined
from ..modes.velocity import velocity
from ..simd.lanes import WIDTH, bits, both, either, fma, larger, less, less_equal, select, smaller, splat
from ..tableau import EXPLICIT_STAGES, STIFF_STAGES
from . import explicit as flow_explicit
from . import rosenbrock as flow_stiff
from .constants import (
    BOUNDARY,
    FIRST_PACE,
    NEAR_BOUNDARY,
    RECOVERY,
    STABILITY,
    STEPS_LEFT,
    STIFF_SLACK,
    STIFF_STEPS,
)  # fmt: skip
from .control import arrived, error_ratio, restlessness, step_factor
from .memory import (
    CALLS,
    FRESH,
    GROWN,
    LEARNT,
    LOSS,
    NEW_TIME,
    NEXT_TIME,
    PATH,
    ROWS,
    SLOPE,
    SLOPE_NEW,
    STATE,
    STEP,
    STEPS,
    STIFFNESS,
    TIME,
    H,
    get,
    modes,
    put,
)
from .observables import arc_length, relative_loss
from .outputs import padded, write_outputs
from .trajectories import enter, finish, first_step, rest, resume, suspend

#: How a trajectory ended.
STATUSES = ("reached_end", "optimal", "non_optimal", "left_domain", "step_limit")
REACHED_END, OPTIMAL, NON_OPTIMAL, LEFT_DOMAIN, STEP_LIMIT = range(5)
# It has not: the other method goes on.
_STIFF = len(STATUSES)

#: Reasons to end a trajectory.
_OUTSIDE, _REACHED, _STUCK, _LIMITED, _ARRIVED = range(5)

#: Columns of a point: w, a, b, then teacher w* and p, r, fixed propagator, horizon (see ``velocity``).
POINT = 8

#: Methods: the explicit pair alone, the stiff method alone, the explicit pair that hands over where the flow is stiff.
EXPLICIT, STIFF, HANDING_OVER = range(3)


@inlined
def _begin(filled, rule, kind, options, pace, end, observing, work):
    """Velocity, first step and first loss of the lanes that were filled."""
    w, a, b = get(work, STATE), get(work, STATE + 1), get(work, STATE + 2)
    fw, fa, fb, _ = velocity(w, a, b, modes(work), rule, kind)
    put(work, SLOPE, fw)
    put(work, SLOPE + 1, fa)
    put(work, SLOPE + 2, fb)
    for lane in range(WIDTH):
        if filled >> lane & 1:
            first_step(lane, options, pace, end, work)
    if observing:
        loss, learnt = get(work, LOSS), get(work, LEARNT)
        unknown, now = less(loss, 0.0), relative_loss(STATE, work)
        put(work, LOSS, select(unknown, now, loss))
        put(work, LEARNT, select(both(unknown, less_equal(now, options[4])), splat(0.0), learnt))


@inlined
def _observe(accepted, threshold, work):
    """Path length, and the time at which the loss falls below the threshold, linear within a step."""
    h, length = get(work, H), arc_length(work)
    path, before, learnt = get(work, PATH), get(work, LOSS), get(work, LEARNT)
    after = relative_loss(FRESH, work)
    found = both(both(accepted, less(learnt, 0.0)), less_equal(after, threshold))
    time = fma(h, (before - threshold) / (before - after), get(work, TIME))
    put(work, PATH, select(accepted, path + length, path))
    put(work, LEARNT, select(found, time, learnt))
    put(work, LOSS, select(accepted, after, before))


@always_inlined
def _count_stiff(accepted, stretch, distance, work):
    """Count the steps of each lane that were limited by stability; returns the counts."""
    h, count = get(work, H), get(work, STIFFNESS)
    excess = select(accepted, fma(-STABILITY * STABILITY, distance, h * h * stretch), 0.0)
    count = select(less(0.0, excess), count + 1.0, larger(count - RECOVERY, 0.0))
    put(work, STIFFNESS, count)
    return count


@inlined
def _final_status(lane, reasons, work):
    """Why a lane is done."""
    w, a, b = work[STATE * WIDTH + lane], work[(STATE + 1) * WIDTH + lane], work[(STATE + 2) * WIDTH + lane]
    if reasons[_OUTSIDE] >> lane & 1:
        return LEFT_DOMAIN
    if reasons[_ARRIVED] >> lane & 1:
        return OPTIMAL
    if reasons[_REACHED] >> lane & 1:
        resting = (
            work[SLOPE * WIDTH + lane] == 0.0
            and work[(SLOPE + 1) * WIDTH + lane] == 0.0
            and work[(SLOPE + 2) * WIDTH + lane] == 0.0
        )
        return NON_OPTIMAL if resting and a == 0.0 and b == 0.0 else (OPTIMAL if resting else REACHED_END)
    if reasons[_STUCK] >> lane & 1:
        return LEFT_DOMAIN if 1.0 - w * w < NEAR_BOUNDARY else STEP_LIMIT
    return STEP_LIMIT if reasons[_LIMITED] >> lane & 1 else _STIFF


@always_inlined
def _accept(accepted, work):
    """Move the accepted lanes to their new states."""
    for variable in range(3):
        fresh, old = get(work, FRESH + variable), get(work, STATE + variable)
        put(work, STATE + variable, select(accepted, fresh, old))
        fresh, old = get(work, SLOPE_NEW + variable), get(work, SLOPE + variable)
        put(work, SLOPE + variable, select(accepted, fresh, old))


@always_inlined
def _advance(room, stretch, distance, active, flags, options, end, lanes, times, outputs, work):
    """Accept or reject the step of each lane and choose the next one.

    Returns
    -------
    accepted : mask
    scales : tuple
        Of the errors, see :func:`fastmodes.kernels.flow.control.error_ratio`.
    urgent : Lanes
        Not above 0 where the trajectory may be at its end.
    """
    stiff_method, observing, hand_over, dense_wanted, adaptive = flags
    t, h = get(work, TIME), get(work, H)
    ratio, scales = error_ratio(work, options[0], options[1])
    # A step that left the domain, or whose error is no number, is rejected.
    ratio = select(less(0.0, room), larger(ratio, 0.0) if adaptive else splat(1.0), 0.0)
    accepted = less_equal(1.0, ratio)
    t_new = select(accepted, select(less_equal(end - t, get(work, STEP)), splat(end), t + h), t)
    put(work, NEW_TIME, t_new)
    if dense_wanted:
        due = active & bits(both(accepted, less_equal(get(work, NEXT_TIME), t_new)))
        if due:
            if stiff_method:
                flow_stiff.stiff_dense(work)
            else:
                flow_explicit.explicit_dense(work)
            write_outputs(due, lanes, times, outputs, work)
    if observing:
        _observe(accepted, options[4], work)
    _accept(accepted, work)
    factor, grown = step_factor(ratio, accepted, get(work, GROWN))
    h_new = h * factor if adaptive else h
    steps = get(work, STEPS) + 1.0
    put(work, GROWN, grown)
    put(work, TIME, t_new)
    put(work, STEP, h_new)
    put(work, STEPS, steps)
    put(work, CALLS, get(work, CALLS) + (1.0 * STIFF_STAGES if stiff_method else EXPLICIT_STAGES - 1.0))
    urgent = smaller(
        smaller(end - t_new, (t_new + h_new) - t_new),
        smaller(options[2] + 0.5 - steps, select(accepted, room - BOUNDARY, 1.0)),
    )
    if adaptive:
        # In this order: what is no number leaves the other reasons in force.
        urgent = smaller(restlessness(work, scales), urgent)
    if hand_over:
        urgent = smaller(urgent, STIFF_STEPS - STIFF_SLACK - _count_stiff(accepted, stretch, distance, work))
    return accepted, scales, urgent


@always_inlined
def _ended(room, accepted, scales, flags, rule, options, end, reasons, work):
    """The lanes that are at their end, as bits; why, goes into ``reasons``."""
    _, _, hand_over, _, adaptive = flags
    t, step = get(work, TIME), get(work, STEP)
    reached, stuck = less_equal(end, t), less_equal(t + step, t)
    limited = less(options[2], get(work, STEPS))
    outwards = less(0.0, get(work, STATE) * get(work, SLOPE))
    outside = both(both(accepted, less(room, BOUNDARY)), outwards)
    quiet = both(accepted, less_equal(restlessness(work, scales), 0.0)) if adaptive else reached
    arrival = both(either(reached, quiet), arrived(work, scales, rule))
    done = bits(either(either(either(reached, stuck), either(limited, outside)), arrival))
    if hand_over:
        many = less_equal(STIFF_STEPS, get(work, STIFFNESS))
        done |= bits(both(many, less(STEPS_LEFT * step, end - t)))
    reasons[_OUTSIDE], reasons[_REACHED], reasons[_STUCK] = bits(outside), bits(reached), bits(stuck)
    reasons[_LIMITED], reasons[_ARRIVED] = bits(limited), bits(arrival)
    return done


@always_inlined
def integrate(points, todo, times, rule, options, outputs, ends, kind):
    """What :func:`fastmodes.kernels.flow.kinds.flow_lanes` does, for a kind of propagator and a rule on lanes."""
    stiff_method, hand_over, resumed = options[5] == STIFF, options[5] == HANDING_OVER, False
    suspended, records = np.empty(len(todo), np.int64), np.empty((len(todo) if hand_over else 0, ROWS))
    dense_wanted, observing, adaptive = len(times) > 1, len(ends.loss) > 0, options[3] == 0.0
    pace, end = FIRST_PACE * options[0] ** 0.2, times[len(times) - 1]
    times = padded(times if dense_wanted else times[:0])
    work, lanes, reasons = np.zeros(ROWS * WIDTH), np.zeros(WIDTH, np.int64), np.zeros(5, np.int64)
    for lane in range(WIDTH):
        rest(lane, work)
    upcoming, active, count = 0, 0, 0
    while True:
        filled = 0
        for lane in range(WIDTH):
            if not active >> lane & 1 and upcoming < len(todo):
                lanes[lane] = todo[upcoming]
                if resumed:
                    resume(lane, records[upcoming], work)
                else:
                    enter(lane, lanes[lane], points, times, work)
                upcoming, filled = upcoming + 1, filled | 1 << lane
        active |= filled
        if not active:
            if count == 0:
                return
            # Now those that were handed over, by the other method.
            todo, upcoming, count = suspended[:count], 0, 0
            stiff_method, hand_over, resumed = True, False, True
            continue
        if filled:
            _begin(filled, rule, kind, options, pace, end, observing, work)
        flags = (stiff_method, observing, hand_over, dense_wanted, adaptive)
        done = 0
        while not done:
            if halted(ends.halt):
                return
            put(work, H, smaller(end - get(work, TIME), get(work, STEP)))
            if stiff_method:
                room, stretch, distance = flow_stiff.stiff_step(rule, kind, work), splat(0.0), splat(1.0)
            else:
                room, stretch, distance = flow_explicit.explicit_step(rule, kind, work)
            accepted, scales, urgent = _advance(
                room, stretch, distance, active, flags, options, end, lanes, times, outputs, work
            )
            if active & bits(less_equal(urgent, 0.0)):
                done = active & _ended(room, accepted, scales, flags, rule, options, end, reasons, work)
        for lane in range(WIDTH):
            if done >> lane & 1:
                status = _final_status(lane, reasons, work)
                if status == _STIFF:
                    suspend(lane, records[count], work)
                    suspended[count] = lanes[lane]
                    count += 1
                else:
                    finish(lane, lanes[lane], status, outputs, ends, work)
                rest(lane, work)
        active &= ~done
