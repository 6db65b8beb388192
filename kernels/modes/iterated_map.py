"""The discrete map of learning with a finite learning rate, (w, a, b) <- (w, a, b) - eta Delta, for T = infinity."""

import numpy as np

from ..compile import halted, inlined, kernel
from ..rule import is_sign_within, on_lanes
from ..simd.lanes import WIDTH, absolute, bits, both, either, equal, fma, less, less_equal, load, select, splat, store
from .horizon import digit_count
from .velocity import velocity

#: Columns of a point: w, a, b, then w*, p, r, propagator, horizon (see ``velocity``), and the learning rate.
POINT = 9


@inlined
def _load_eight(points, first, block):
    """Eight points side by side; past the end, a mode at rest."""
    for i in range(POINT):
        for lane in range(WIDTH):
            block[i, lane] = points[first + lane, i] if first + lane < len(points) else 0.0


@inlined
def _store_eight(outputs, first, place, block):
    for lane in range(min(WIDTH, len(outputs[0]) - first)):
        for v in range(3):
            outputs[v][first + lane, place] = block[v, lane]


@kernel
def map_lanes(points, epochs, rule, kind, outputs, outside, halt):
    """Iterate the map for many modes.

    Parameters
    ----------
    points : float64 array (point, POINT)
    epochs : int64 array (epoch,)
        Ascending; the states after so many updates are wanted.
    rule : Rule
        The points have horizons of their own.
    kind : int
        Of propagator, see :mod:`~fastmodes.kernels.modes.velocity`.
    outputs : three float64 arrays (point, epoch)
        Results: w, a and b; a mode that left the domain keeps its first state outside.
    outside : float64 array (point,)
        Result: the update that led out of the domain, -1 where none did.
    halt : int64 array (1,)
        0 until the kernel is to return early.
    """
    longest = 0.0
    for i in range(len(points)):
        longest = max(longest, points[i, 7])
    rated = rule.rates[0] != 1.0 or rule.rates[1] != 1.0 or rule.rates[2] != 1.0
    choices = on_lanes(rule, np.int64(is_sign_within(rule)), np.int64(rated), digit_count(longest))
    block, left = np.empty((POINT, WIDTH)), np.empty((1, WIDTH))
    for first in range(0, len(points), WIDTH):
        _load_eight(points, first, block)
        mode = load(block, (3, 0)), load(block, (4, 0)), load(block, (5, 0)), load(block, (6, 0)), load(block, (7, 0))
        rate = load(block, (8, 0))
        done, place, resting = 0, 0, False
        store(left, (0, 0), splat(-1.0))
        while place < len(epochs):
            while done < epochs[place] and not resting:
                w, a, b = load(block, (0, 0)), load(block, (1, 0)), load(block, (2, 0))
                fw, fa, fb, room = velocity(w, a, b, mode, choices, kind)
                gone = load(left, (0, 0))
                gone = select(both(less(gone, 0.0), less_equal(room, 0.0)), splat(float(done)), gone)
                moving = less(gone, 0.0)
                w_new = select(moving, fma(rate, fw, w), w)
                a_new = select(moving, fma(rate, fa, a), a)
                b_new = select(moving, fma(rate, fb, b), b)
                # Overflow is also a way out: a number that is not below infinity in size.
                size = absolute(w_new) + absolute(a_new) + absolute(b_new)
                finite = less(size, np.inf)
                gone = select(both(moving, either(less_equal(np.inf, size), less(size, 0.0))), splat(done + 1.0), gone)
                same = both(both(equal(w_new, w), equal(a_new, a)), equal(b_new, b))
                store(left, (0, 0), gone)
                store(block, (0, 0), select(finite, w_new, w))
                store(block, (1, 0), select(finite, a_new, a))
                store(block, (2, 0), select(finite, b_new, b))
                resting = bits(same) == (1 << WIDTH) - 1
                done += 1
                # Not after every update, which takes little longer than the look itself.
                if done & 63 == 0 and halted(halt):
                    return
            done = epochs[place]
            _store_eight(outputs, first, place, block)
            place += 1
        for lane in range(min(WIDTH, len(points) - first)):
            outside[first + lane] = left[0, lane]
