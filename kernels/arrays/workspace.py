"""Many matrices in one flat array, addressed by a code; and the few operations that doubling needs.

Kernels that juggle dozens of matrices pass one array and one table instead of dozens of arrays: they compile many times
faster, and work space is allocated once. Columns are padded with zeros to whole lanes
(:mod:`~fastmodes.kernels.arrays.layout`).

Products run in registers up to 64 x 64, where that is as fast as BLAS or faster (8 x 8: four times), and in BLAS
beyond; which of the two depends on the shapes alone. BLAS is called with one thread: blocks of networks fill the cores.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import apart, halted, inlined
from ..simd.lanes import WIDTH, fma, load, splat, store, total
from ..simd.views import numbers
from .layout import carve
from .tile import clear_lanes, copy_lanes, tiles

#: Largest size of a product in registers; measured, see benchmarks/peers_stationary.py.
LARGEST_IN_REGISTERS = 64


class Matrices(NamedTuple):
    """``flat`` float64; ``places`` (code, 3) int64: offset, rows and columns of each matrix.

    The last row is no matrix: it holds zeros until the kernel is to return early
    (:func:`~fastmodes.kernels.compile.halted`), after which nothing in ``flat`` has a meaning.
    """

    flat: Any
    places: Any


def allocate(shapes, first=()):
    """Matrices of zeros of the given shapes.

    Parameters
    ----------
    shapes : dict
        Code: (rows, columns), ``columns`` a multiple of the lanes' width.
    first : sequence of int
        Codes whose matrices come first in memory, in this order.
    """
    places = np.zeros((max(shapes) + 2, 3), np.int64)
    codes = (*first, *(code for code in shapes if code not in first))
    flat, begins = carve([shapes[code] for code in codes])
    places[list(codes)] = [(begin, *shapes[code]) for code, begin in zip(codes, begins, strict=True)]
    return Matrices(flat, places)


@inlined
def view(m, code):
    """The matrix of this code."""
    offset, rows, columns = m.places[code, 0], m.places[code, 1], m.places[code, 2]
    return m.flat[offset : offset + rows * columns].reshape((rows, columns))


@inlined
def entries(m, code):
    """All entries of the matrix of this code, one after another."""
    offset, rows, columns = m.places[code, 0], m.places[code, 1], m.places[code, 2]
    return m.flat[offset : offset + rows * columns]


@inlined
def _place(m, code):
    """Offset, rows and columns of the matrix of this code."""
    return m.places[code, 0], m.places[code, 1], m.places[code, 2]


@inlined
def _multiply_by_blas(m, c, a, b, fresh):
    # Large products are where the time goes: without them, every loop around is at its end at once.
    if halted(m.places):
        return
    out, left, right = view(m, c), view(m, a), view(m, b)
    if fresh:
        np.dot(left, right, out)
    else:
        out += np.dot(left, right)


@apart
def multiply(m, c, a, b, fresh):
    """c = a b if ``fresh``, else c += a b."""
    inner, columns = m.places[b, 1], m.places[b, 2]
    if inner <= LARGEST_IN_REGISTERS and columns <= LARGEST_IN_REGISTERS:
        places, sizes = (m.places[c, 0], m.places[a, 0], m.places[b, 0]), (m.places[c, 1], inner, columns)
        flat = numbers(m.flat)
        tiles(flat, flat, flat, places, sizes, (inner, 1), fresh)
    else:
        _multiply_by_blas(m, c, a, b, fresh)


@apart
def copy(m, c, a):
    """c = a."""
    offset, rows, columns = _place(m, c)
    flat = numbers(m.flat)
    copy_lanes(flat, offset, flat, m.places[a, 0], rows * columns)


@inlined
def clear(m, c):
    """c = 0."""
    offset, rows, columns = _place(m, c)
    clear_lanes(numbers(m.flat), offset, rows * columns)


@apart
def add(m, c, a, factor):
    """c += factor a."""
    offset, rows, columns = _place(m, c)
    source = m.places[a, 0]
    for i in range(0, rows * columns, WIDTH):
        store(m.flat, (offset + i,), fma(factor, load(m.flat, (source + i,)), load(m.flat, (offset + i,))))


@apart
def add_rows(m, c, factors, a):
    """Row i of c += factors[i] times row i of a; ``factors`` is the first row of its matrix."""
    offset, rows, columns = _place(m, c)
    source, scale = m.places[a, 0], m.places[factors, 0]
    for i in range(rows):
        for j in range(i * columns, (i + 1) * columns, WIDTH):
            store(
                m.flat, (offset + j,), fma(m.flat[scale + i], load(m.flat, (source + j,)), load(m.flat, (offset + j,)))
            )


@apart
def transpose(m, c, a):
    """c = a^T, for as many rows and columns as both have."""
    offset, columns, rows = _place(m, a)
    out, out_rows, out_columns = _place(m, c)
    for j in range(min(rows, out_rows)):
        for i in range(min(columns, out_columns)):
            m.flat[out + j * out_columns + i] = m.flat[offset + i * rows + j]


@apart
def inner_product(m, a, b):
    """``tr(a b^T)``, the sum of all products of entries."""
    offset, rows, columns = _place(m, a)
    other = m.places[b, 0]
    summed = splat(0.0)
    for i in range(0, rows * columns, WIDTH):
        summed = fma(load(m.flat, (offset + i,)), load(m.flat, (other + i,)), summed)
    return total(summed)


@inlined
def size(m, a):
    """Frobenius norm."""
    return np.sqrt(inner_product(m, a, a))
