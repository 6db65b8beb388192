"""Reading a broadcast grid point by point, without a copy of the whole.

A grid has a ``shape``; parameter k of the point with indices i lies at ``places[k, 0] + sum_d i_d places[k, 1 + d]`` in
a pool of numbers. Points are counted in C order, the last axis fastest.
"""

import numpy as np

from .compile import inlined, kernel


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
