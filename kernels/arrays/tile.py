"""What every small matrix goes through: multiplied in register tiles, copied, cleared.

A matrix is a place among the :func:`~fastmodes.kernels.simd.views.numbers` of an array, and two strides. Products of
single networks (:mod:`~fastmodes.kernels.arrays.products`) and of many matrices in one array
(:mod:`~fastmodes.kernels.arrays.workspace`) are this one.
"""

from ..compile import always_inlined, apart
from ..simd.lanes import WIDTH, fma, load, splat, spread, store

#: Inner indices handled before an output tile goes back to memory: both factors' pieces stay in the first cache.
CHUNK = 64


@always_inlined
def tiles(c, a, b, places, sizes, strides, fresh):
    """c = a b if ``fresh``, else c += a b, in tiles of four rows times eight columns.

    Sums run over the inner index in order: pieces of it change no digit.

    Parameters
    ----------
    c, a, b : numbers
        May be the same.
    places : tuple of int
        Where c, a and b begin; rows of c and b lie one after the other.
    sizes : tuple of int
        Rows of c, inner size, and columns of c and b, a multiple of the lanes' width.
    strides : tuple of int
        From one row of a to the next, and from one column to the next.
    fresh : bool
    """
    c_place, a_place, b_place = places
    rows, inner, columns = sizes
    down, across = strides
    for first in range(0, inner, CHUNK):
        last = min(first + CHUNK, inner)
        for i in range(0, rows, 4):
            # Past the last row the tile repeats it: computed twice, stored twice, the same number.
            i1, i2, i3 = min(i + 1, rows - 1), min(i + 2, rows - 1), min(i + 3, rows - 1)
            q0, q1, q2, q3 = a_place + i * down, a_place + i1 * down, a_place + i2 * down, a_place + i3 * down
            for j in range(c_place, c_place + columns, WIDTH):
                p0, p1, p2, p3 = j + i * columns, j + i1 * columns, j + i2 * columns, j + i3 * columns
                c0, c1, c2, c3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                if not (fresh and first == 0):
                    c0, c1, c2, c3 = load(c, (p0,)), load(c, (p1,)), load(c, (p2,)), load(c, (p3,))
                r = b_place + j - c_place
                u0, u1, u2, u3 = q0 + first * across, q1 + first * across, q2 + first * across, q3 + first * across
                r += first * columns
                for _ in range(first, last):
                    right = load(b, (r,))
                    c0 = fma(spread(a, (u0,)), right, c0)
                    c1 = fma(spread(a, (u1,)), right, c1)
                    c2 = fma(spread(a, (u2,)), right, c2)
                    c3 = fma(spread(a, (u3,)), right, c3)
                    u0, u1, u2, u3, r = u0 + across, u1 + across, u2 + across, u3 + across, r + columns
                store(c, (p0,), c0)
                store(c, (p1,), c1)
                store(c, (p2,), c2)
                store(c, (p3,), c3)


@apart
def multiply_tiles(c, a, b, places, sizes, strides, fresh):
    """:func:`tiles` once for all callers."""
    tiles(c, a, b, places, sizes, strides, fresh)


@apart
def copy_lanes(target, to, source, place, count):
    """Copy ``count`` numbers, a multiple of the lanes' width, from one place to another."""
    for i in range(0, count, WIDTH):
        store(target, (to + i,), load(source, (place + i,)))


@apart
def clear_lanes(target, to, count):
    """Zeros in ``count`` places, a multiple of the lanes' width."""
    for i in range(to, to + count, WIDTH):
        store(target, (i,), splat(0.0))
