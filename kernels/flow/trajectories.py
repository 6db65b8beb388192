"""A trajectory enters a lane, may wait there for the other method, and leaves its results."""

from typing import Any, NamedTuple

import numpy as np

from ..compile import inlined
from ..simd.lanes import WIDTH
from .constants import GROWTH, LEAST_FIRST
from .memory import CALLS, GROWN, LEARNT, LOSS, MODE, NEXT_TIME, PATH, ROWS, SLOPE, STATE, STEP, TIME
from .outputs import fill_rest


class Ends(NamedTuple):
    """How trajectories ended, arrays (point,): status, time, right-hand sides; the last three only where observed.

    Path length, time at which the loss fell to the threshold (-1: never), loss over the teacher's power. ``halt``
    (1,) int64 is 0 until the kernel is to return early.
    """

    status: Any
    time: Any
    evaluations: Any
    path_length: Any
    learning_time: Any
    loss: Any
    halt: Any


@inlined
def enter(lane, point, points, times, work):
    """Put a point into a lane."""
    for row in range(ROWS):
        work[row * WIDTH + lane] = 0.0
    for variable in range(3):
        work[(STATE + variable) * WIDTH + lane] = points[point, variable]
    for i in range(5):
        work[(MODE + i) * WIDTH + lane] = points[point, 3 + i]
    work[GROWN * WIDTH + lane], work[NEXT_TIME * WIDTH + lane] = GROWTH, times[0]
    work[LEARNT * WIDTH + lane], work[LOSS * WIDTH + lane] = -1.0, -1.0


@inlined
def suspend(lane, record, work):
    """Copy a lane, to go on with it by the other method."""
    for row in range(ROWS):
        record[row] = work[row * WIDTH + lane]


@inlined
def resume(lane, record, work):
    """Put a suspended trajectory into a lane."""
    for row in range(ROWS):
        work[row * WIDTH + lane] = record[row]
    work[GROWN * WIDTH + lane] = GROWTH


@inlined
def finish(lane, point, status, outputs, ends, work):
    """Write the results of a lane."""
    fill_rest(lane, point, outputs, work)
    ends.status[point], ends.time[point] = status, work[TIME * WIDTH + lane]
    ends.evaluations[point] = int(work[CALLS * WIDTH + lane])
    if len(ends.loss) > 0:
        ends.path_length[point], ends.loss[point] = work[PATH * WIDTH + lane], work[LOSS * WIDTH + lane]
        ends.learning_time[point] = work[LEARNT * WIDTH + lane]


@inlined
def rest(lane, work):
    """An empty lane: a mode at rest, whose time never ends."""
    for row in range(ROWS):
        work[row * WIDTH + lane] = 0.0
    work[STEP * WIDTH + lane], work[TIME * WIDTH + lane], work[NEXT_TIME * WIDTH + lane] = 1.0, -1e300, np.inf


@inlined
def first_step(lane, options, pace, end, work):
    """A first step from the sizes of state and velocity, where the trajectory has none yet."""
    if work[STEP * WIDTH + lane] > 0.0:
        return
    size, speed = 0.0, 0.0
    for variable in range(3):
        scale = options[1] + options[0] * abs(work[(STATE + variable) * WIDTH + lane])
        size += (work[(STATE + variable) * WIDTH + lane] / scale) ** 2
        speed += (work[(SLOPE + variable) * WIDTH + lane] / scale) ** 2
    step = pace * np.sqrt(size / speed) if speed > 0.0 else end
    work[STEP * WIDTH + lane] = options[3] if options[3] > 0.0 else min(max(step, LEAST_FIRST * end), end)
