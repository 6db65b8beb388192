"""Many matrices in one flat array, addressed by a code; and the few operations that doubling needs.

Kernels that juggle dozens of matrices pass one array and one table instead of dozens of arrays: they compile many times faster,
and work space is allocated once. Columns are padded with zeros to whole lanes (:mod:`~fastmodes.kernels.layout`).

Products run in registers up to 64 x 64, where that is as fast as BLAS or faster (8 x 8: four times), and in BLAS beyond;
which of the two depends on the shapes alone. BLAS is called with one thread: blocks of networks fill the cores.
"""

from typing import Any, NamedTuple

import numpy as np

from .compile import apart, inlined
from .lanes import WIDTH, fma, load, splat, store, total
from .products import product

#: Largest size of a product in registers; measured, see benchmarks/peers_stationary.py.
LARGEST_IN_REGISTERS = 64


class Matrices(NamedTuple):
    """``flat`` float64; ``places`` (code, 3) int64: offset, rows and columns of each matrix."""

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
    places = np.zeros((max(shapes) + 1, 3), np.int64)
    end = 0
    for code in (*first, *(code for code in shapes if code not in first)):
        places[code] = end, *shapes[code]
        end += shapes[code][0] * shapes[code][1]
    return Matrices(np.zeros(end), places)


@inlined
def view(m, code):
    """The matrix of this code."""
    offset, rows, columns = m.places[code]
    return m.flat[offset : offset + rows * columns].reshape((rows, columns))


@inlined
def entries(m, code):
    """All entries of the matrix of this code, one after another."""
    offset, rows, columns = m.places[code]
    return m.flat[offset : offset + rows * columns]


@apart
def multiply(m, c, a, b, fresh):
    """c = a b if ``fresh``, else c += a b."""
    out, left, right = view(m, c), view(m, a), view(m, b)
    if right.shape[0] <= LARGEST_IN_REGISTERS and right.shape[1] <= LARGEST_IN_REGISTERS:
        product(out, left, right, fresh)
    elif fresh:
        np.dot(left, right, out)
    else:
        out += np.dot(left, right)


@apart
def copy(m, c, a):
    """c = a."""
    out, source = entries(m, c), entries(m, a)
    for i in range(0, len(out), WIDTH):
        store(out, (i,), load(source, (i,)))


@apart
def clear(m, c):
    """c = 0."""
    entries(m, c)[:] = 0.0


@apart
def add(m, c, a, factor):
    """c += factor a."""
    out, source = entries(m, c), entries(m, a)
    for i in range(0, len(out), WIDTH):
        store(out, (i,), fma(factor, load(source, (i,)), load(out, (i,))))


@apart
def add_rows(m, c, factors, a):
    """Row i of c += factors[i] times row i of a; ``factors`` is the first row of its matrix."""
    out, source, scale = view(m, c), view(m, a), entries(m, factors)
    for i in range(out.shape[0]):
        for j in range(0, out.shape[1], WIDTH):
            store(out, (i, j), fma(scale[i], load(source, (i, j)), load(out, (i, j))))


@apart
def transpose(m, c, a):
    """c = a^T, for as many rows and columns as both have."""
    out, source = view(m, c), view(m, a)
    for i in range(min(source.shape[0], out.shape[1])):
        for j in range(min(source.shape[1], out.shape[0])):
            out[j, i] = source[i, j]


@apart
def inner_product(m, a, b):
    """``tr(a b^T)``, the sum of all products of entries."""
    left, right = entries(m, a), entries(m, b)
    summed = splat(0.0)
    for i in range(0, len(left), WIDTH):
        summed = fma(load(left, (i,)), load(right, (i,)), summed)
    return total(summed)


@inlined
def size(m, a):
    """Frobenius norm."""
    return np.sqrt(inner_product(m, a, a))
