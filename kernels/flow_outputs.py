"""States at the asked times, from a step's interpolant: one lane after the other, eight times at once."""

import numpy as np

from .compile import always_inlined, inlined
from .flow_work import BUFFER, DENSE, NEW_TIME, NEXT_TIME, STATE, TIME, H, get, put
from .lanes import WIDTH, fma, load, spread, store

#: Column of a record that holds the place of its next output.
NEXT = 11


@inlined
def write_outputs(due, lanes, records, times, outputs, work):
    """Outputs up to the new time of the lanes whose next output time the step has passed; ``due`` holds their bits."""
    for lane in range(WIDTH):
        if due >> lane & 1:
            point, t_new = lanes[lane], work[NEW_TIME * WIDTH + lane]
            begin = int(records[point, NEXT])
            end = begin + 1
            while end < len(times) and times[end] <= t_new:
                end += 1
            _interpolate(lane, point, begin, end, times, outputs, work)
            records[point, NEXT] = end
            work[NEXT_TIME * WIDTH + lane] = times[end] if end < len(times) else np.inf


@inlined
def _interpolate(lane, point, begin, end, times, outputs, work):
    """Outputs ``begin`` to ``end`` of a lane; what eight at a time write beyond the end, later steps overwrite."""
    t, rate = work[TIME * WIDTH + lane], 1.0 / work[H * WIDTH + lane]
    for place in range(begin, end, WIDTH):
        if place + WIDTH <= len(times):
            x = (load(times, (place,)) - t) * rate
            for variable in range(3):
                store(outputs, (variable, point, place), _value(variable, lane, x, work))
        else:
            # The last places of a row.
            for i in range(end - place):
                work[(BUFFER + 3) * WIDTH + i] = times[place + i]
            x = (get(work, BUFFER + 3) - t) * rate
            for variable in range(3):
                put(work, BUFFER + variable, _value(variable, lane, x, work))
                for i in range(end - place):
                    outputs[variable, point, place + i] = work[(BUFFER + variable) * WIDTH + i]


@always_inlined
def _value(variable, lane, x, work):
    """The interpolant at eight fractions x of the step."""
    value = fma(x, _spread(DENSE + 9 + variable, lane, work), _spread(DENSE + 6 + variable, lane, work))
    value = fma(x, fma(x, value, _spread(DENSE + 3 + variable, lane, work)), _spread(DENSE + variable, lane, work))
    return fma(x, value, _spread(STATE + variable, lane, work))


@always_inlined
def _spread(row, lane, work):
    return spread(work, (row * WIDTH + lane,))


@inlined
def fill_rest(lane, point, begin, outputs, work):
    """The last state at the times that are left; the last output is the end itself, not the interpolant's rounding."""
    count = outputs.shape[2]
    for variable in range(3):
        for i in range(max(0, min(begin, count - 1)), count):
            outputs[variable, point, i] = work[(STATE + variable) * WIDTH + lane]
