"""Reading a broadcast grid point by point, without a copy of the whole.

A grid has a ``shape``; parameter k of the point with indices i lies at ``places[k, 0] + sum_d i_d places[k, 1 + d]`` in
a pool of numbers. Points are counted in C order, the last axis fastest.
"""

import numpy as np

from ..compile import inlined, kernel
from ..simd.lanes import WIDTH, load, spread, store


@inlined
def locate(point, shape, places, start):
    """Place of every parameter at ``point``, into ``start``; returns how many points its row still holds."""
    for k in range(len(start)):
        start[k] = places[k, 0]
    rest, left = point, 1
    for axis in range(len(shape) - 1, -1, -1):
        index = rest % shape[axis]
        rest //= shape[axis]
        if axis == len(shape) - 1:
            left = shape[axis] - index
        for k in range(len(start)):
            start[k] += index * places[k, 1 + axis]
    return left


#: What :func:`find_rows` knows of a parameter: 1 if it is read from the pool itself, the place of the first point there
#: or among the rows, and 0 if it does not vary, else -1.
DIRECT, PLACE, SPAN = range(3)


@inlined
def find_rows(rows, found, kept, pool, places, shape, first, start, left, count, past):
    """Make the parameters of ``count`` points readable as lanes (:func:`source`), without a copy where possible.

    A parameter that does not vary over them is written to the first eight places of its row, and only when it changes;
    one whose numbers lie side by side in the pool is left there, with ``past`` more behind them.

    Parameters
    ----------
    rows : float64 array (parameter or more, point)
        A row for each parameter, of at least ``count + past`` places.
    found : int64 array (parameter, 3)
        Result: DIRECT, PLACE, SPAN.
    kept : float64 array (parameter,)
        The number of a parameter that does not vary, else NaN; NaN in the first call.
    pool, places, shape, first
        As for :func:`gather`; later calls go on where the last one ended.
    start : int64 array (parameter,)
    left : int
        Places of the parameters at ``first``, and how many points its row still holds; 0 in the first call.
    count, past : int
        How many points, and how many numbers past them, at least eight, are read too, whatever they are.

    Returns
    -------
    int
        ``left`` after the points.
    """
    axes, width, done = len(shape), rows.shape[1], 0
    while done < count:
        if left == 0:
            left = locate(first + done, shape, places, start)
        run = min(left, count - done)
        for k in range(len(start)):
            step, value = places[k, axes] if axes > 0 else 0, pool[start[k]]
            if step == 0 and run == count:
                found[k, DIRECT], found[k, PLACE], found[k, SPAN] = 0, k * width, 0
                if kept[k] != value:
                    kept[k] = value
                    for i in range(WIDTH):
                        rows[k, i] = value
                continue
            kept[k] = np.nan
            direct = step == 1 and run == count and start[k] + count + past <= len(pool)
            if direct:
                found[k, DIRECT], found[k, PLACE], found[k, SPAN] = 1, start[k], -1
            else:
                found[k, DIRECT], found[k, PLACE], found[k, SPAN] = 0, k * width, -1
                _copy_run(rows, k, done, pool, start[k], step, run)
                if done + run == count:
                    rows[k, count : count + past] = rows[k, count - 1]
            start[k] += run * step
        left -= run
        done += run
    return left


@inlined
def _copy_run(rows, k, place, pool, start, step, count):
    """``count`` numbers of the pool, ``step`` apart, into row k; one number may be written to seven places more."""
    if step == 0:
        number = spread(pool, (start,))
        for i in range(0, count, WIDTH):
            store(rows, (k, place + i), number)
        return
    whole = count - count % WIDTH if step == 1 else 0
    for i in range(0, whole, WIDTH):
        store(rows, (k, place + i), load(pool, (start + i,)))
    for i in range(whole, count):
        rows[k, place + i] = pool[start + i * step]


@inlined
def source(pool, rows, found, k):
    """Array, place and span of parameter k: eight of its numbers from point i on are at ``place + (i & span)``.

    ``rows`` as one axis. To be called outside of loops: the choice between two arrays counts references.
    """
    return (pool if found[k, DIRECT] == 1 else rows), found[k, PLACE], found[k, SPAN]


@kernel
def gather(pool, places, shape, first, columns):
    """Copy the parameters of successive points, beginning with point ``first``, into the rows of ``columns``.

    Parameters
    ----------
    pool : float64 array
    places : int64 array (parameter, 1 + axis)
    shape : int64 array (axis,)
    first : int
    columns : float64 array (point, parameter)
        Result.
    """
    start = np.empty(len(places), np.int64)
    done = 0
    while done < len(columns):
        run = min(locate(first + done, shape, places, start), len(columns) - done)
        for k in range(len(places)):
            step = places[k, places.shape[1] - 1] if len(shape) > 0 else 0
            for i in range(run):
                columns[done + i, k] = pool[start[k] + i * step]
        done += run
