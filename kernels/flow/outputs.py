"""States at the asked times, from a step's interpolant: one lane after the other, eight times at once."""

import numpy as np

from ..compile import always_inlined, inlined
from ..simd.lanes import WIDTH, bits, fma, less_equal, load, spread, store
from ..simd.machine import lowest
from .memory import BUFFER, DENSE, NEW_TIME, NEXT, NEXT_TIME, STATE, TIME, H, put


@inlined
def padded(times):
    """Times, and eight more that are never reached."""
    result = np.full(len(times) + WIDTH, np.inf)
    result[: len(times)] = times
    return result


@always_inlined
def write_outputs(due, lanes, times, outputs, work):
    """Outputs up to the new time of the lanes in ``due`` (bits), whose next output time the step has passed.

    ``times`` are padded. What eight at a time write beyond the new time, later steps overwrite.
    """
    while due:
        lane = lowest(due)
        due &= due - 1
        t_new, place, passed = _spread(NEW_TIME, lane, work), int(work[NEXT * WIDTH + lane]), WIDTH
        while passed == WIDTH:
            eight = load(times, (place,))
            # The times ascend: how many have passed, is the place of the first one that has not.
            passed = lowest(bits(less_equal(eight, t_new)) ^ ((2 << WIDTH) - 1))
            _interpolate(lane, lanes[lane], place, passed, eight, outputs, work)
            place += passed
        work[NEXT * WIDTH + lane], work[NEXT_TIME * WIDTH + lane] = place, times[place]


@always_inlined
def _interpolate(lane, point, place, passed, times, outputs, work):
    """Outputs of a lane at eight times, those from ``place`` on, of which ``passed`` are wanted."""
    x = (times - _spread(TIME, lane, work)) / _spread(H, lane, work)
    if place + WIDTH <= outputs[0].shape[1]:
        for variable in range(3):
            store(outputs[variable], (point, place), _value(variable, lane, x, work))
    else:
        # The last places of a row.
        for variable in range(3):
            put(work, BUFFER, _value(variable, lane, x, work))
            for i in range(passed):
                outputs[variable][point, place + i] = work[BUFFER * WIDTH + i]


@always_inlined
def _value(variable, lane, x, work):
    """The interpolant of a lane at eight fractions x of the step."""
    value = fma(x, _spread(DENSE + 9 + variable, lane, work), _spread(DENSE + 6 + variable, lane, work))
    value = fma(x, fma(x, value, _spread(DENSE + 3 + variable, lane, work)), _spread(DENSE + variable, lane, work))
    return fma(x, value, _spread(STATE + variable, lane, work))


@always_inlined
def _spread(row, lane, work):
    return spread(work, (row * WIDTH + lane,))


@inlined
def fill_rest(lane, point, outputs, work):
    """The last state at the times that are left; the last output is the end itself, not the interpolant's rounding."""
    begin, count = int(work[NEXT * WIDTH + lane]), outputs[0].shape[1]
    for variable in range(3):
        for i in range(max(0, min(begin, count - 1)), count):
            outputs[variable][point, i] = work[(STATE + variable) * WIDTH + lane]
