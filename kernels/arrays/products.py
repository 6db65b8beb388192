"""Products of small matrices, written once for two layouts.

* One network: plain matrices (rows, columns), the columns padded with zeros to a multiple of eight; eight neighbouring
  columns are computed together.
* Eight networks: matrices (rows, columns, 8), the last axis running over the networks; each lane is a product of its
  own. Worth it for networks so small that a row does not fill the lanes.

The first factor may have more rows and columns than the others ask for (padding): they are not read. Sums run over
the inner index in order, in registers: a result depends on nothing but its own operands.
"""

from ..compile import by_dimensions, inlined
from ..simd.lanes import WIDTH, fma, load, splat, store, total
from ..simd.machine import out_of_line
from ..simd.views import alone, flattened, numbers
from .tile import CHUNK, clear_lanes, copy_lanes, multiply_tiles


@inlined
def _products_one(c, target, a, source, turned, b, fresh, count, stride):
    rows, inner, columns, size_a = c.shape[1], b.shape[0], c.shape[2], a.shape[1] * a.shape[2]
    strides = (1, a.shape[2]) if turned else (a.shape[2], 1)
    flat_c, flat_a, flat_b = numbers(c), numbers(a), numbers(b)
    for step in range(count):
        places = (target + step * stride) * rows * columns, (source + step * stride) * size_a, 0
        multiply_tiles(flat_c, flat_a, flat_b, places, (rows, inner, columns), strides, fresh)


@inlined
def _products_eight(c, target, a, source, turned, b, fresh, count, stride):
    out_of_line()
    rows, inner, columns, size_a = c.shape[1], b.shape[0], c.shape[2], a.shape[1] * a.shape[2] * WIDTH
    down, across = (WIDTH, a.shape[2] * WIDTH) if turned else (a.shape[2] * WIDTH, WIDTH)
    wide = columns * WIDTH
    flat_c, flat_a, flat_b = flattened(c), flattened(a), flattened(b)
    for step in range(count):
        start_c, start_a = (target + step * stride) * rows * wide, (source + step * stride) * size_a
        for first in range(0, inner, CHUNK):
            last = min(first + CHUNK, inner)
            for i in range(0, rows, 2):
                i1 = min(i + 1, rows - 1)
                for j in range(0, columns, 2):
                    j0, j1 = j * WIDTH, min(j + 1, columns - 1) * WIDTH
                    p0, p1 = start_c + i * wide, start_c + i1 * wide
                    c00, c01, c10, c11 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                    if not (fresh and first == 0):
                        c00, c01 = load(flat_c, (p0 + j0,)), load(flat_c, (p0 + j1,))
                        c10, c11 = load(flat_c, (p1 + j0,)), load(flat_c, (p1 + j1,))
                    q, r = start_a + first * across, first * wide
                    q0, q1, r0, r1 = q + i * down, q + i1 * down, r + j0, r + j1
                    for _ in range(first, last):
                        a0, a1 = load(flat_a, (q0,)), load(flat_a, (q1,))
                        b0, b1 = load(flat_b, (r0,)), load(flat_b, (r1,))
                        c00, c01 = fma(a0, b0, c00), fma(a0, b1, c01)
                        c10, c11 = fma(a1, b0, c10), fma(a1, b1, c11)
                        q0, q1, r0, r1 = q0 + across, q1 + across, r0 + wide, r1 + wide
                    store(flat_c, (p0 + j0,), c00)
                    store(flat_c, (p0 + j1,), c01)
                    store(flat_c, (p1 + j0,), c10)
                    store(flat_c, (p1 + j1,), c11)


@by_dimensions({3: _products_one, 4: _products_eight})
def _products(c, target, a, source, turned, b, fresh, count, stride):
    """Sequences of products, see :func:`chain` and :func:`product`; ``turned``: a^T instead of a."""


@inlined
def chain(c, target, source, b, fresh, count, stride):
    """c[target] = c[source] b if ``fresh``, else c[target] += c[source] b, ``count`` times, both indices moving by
    ``stride``; c is a sequence of matrices, and a product reads what the one before has written.
    """
    _products(c, target, c, source, False, b, fresh, count, stride)


@inlined
def product(c, a, b, fresh):
    """c = a b if ``fresh``, else c += a b, for one pair of matrices or eight."""
    _products(alone(c), 0, alone(a), 0, False, b, fresh, 1, 1)


@inlined
def product_turned(c, a, b, fresh):
    """c = a^T b if ``fresh``, else c += a^T b, for one pair of matrices or eight."""
    _products(alone(c), 0, alone(a), 0, True, b, fresh, 1, 1)


@inlined
def copy_into(target, source):
    """Copy a C-contiguous array whose size is a multiple of eight into another of the same shape."""
    copy_lanes(numbers(target), 0, numbers(source), 0, target.size)


@inlined
def clear(target):
    """Fill a C-contiguous array whose size is a multiple of eight with zeros."""
    clear_lanes(numbers(target), 0, target.size)


@inlined
def _transpose_one(target, source):
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[j, i]


@inlined
def _transpose_eight(target, source):
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            store(target, (i, j, 0), load(source, (j, i, 0)))


@by_dimensions({2: _transpose_one, 3: _transpose_eight})
def transpose_into(target, source):
    """target = source^T, a copy."""


@inlined
def _scale_rows_one(c, factors):
    for i in range(c.shape[0]):
        for j in range(0, c.shape[1], WIDTH):
            store(c, (i, j), load(c, (i, j)) * factors[i])


@inlined
def _scale_rows_eight(c, factors):
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            store(c, (i, j, 0), load(c, (i, j, 0)) * load(factors, (i, 0)))


@by_dimensions({2: _scale_rows_one, 3: _scale_rows_eight})
def scale_rows(c, factors):
    """c[i, j] *= factors[i]."""


@inlined
def add_correlation(c, a, b):
    """c[i, k] += sum_s a[i, s] b[k, s]: sums over samples, which lie contiguous in both and fill whole lanes."""
    rows, columns, samples = a.shape[0], b.shape[0], a.shape[1]
    for i0 in range(0, rows, 2):
        i1 = min(i0 + 1, rows - 1)
        for k0 in range(0, columns, 2):
            k1 = min(k0 + 1, columns - 1)
            c00, c01, c10, c11 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for s in range(0, samples, WIDTH):
                a0, a1, b0, b1 = load(a, (i0, s)), load(a, (i1, s)), load(b, (k0, s)), load(b, (k1, s))
                c00, c01 = fma(a0, b0, c00), fma(a0, b1, c01)
                c10, c11 = fma(a1, b0, c10), fma(a1, b1, c11)
            c[i0, k0] += total(c00)
            if k1 > k0:
                c[i0, k1] += total(c01)
            if i1 > i0:
                c[i1, k0] += total(c10)
            if i1 > i0 and k1 > k0:
                c[i1, k1] += total(c11)


#: Columns whose rows stay in the first cache while all rows of the other factor pass by; an even number.
_COLUMNS_AT_ONCE = 8


@inlined
def add_correlations(c, a, b, shift, first, last):
    """c[i, k] += sum over steps first <= t < last and samples s of a[t, i, s] b[t + shift, k, s].

    As :func:`add_correlation` of one step after another, but a sum stays in its register over all of them.
    """
    rows, columns, samples = a.shape[1], b.shape[1], a.shape[2]
    flat_a, flat_b, wide_a, wide_b = numbers(a), numbers(b), rows * samples, columns * samples
    for block in range(0, columns, _COLUMNS_AT_ONCE):
        end = min(block + _COLUMNS_AT_ONCE, columns)
        for i0 in range(0, rows, 2):
            i1 = min(i0 + 1, rows - 1)
            for k0 in range(block, end, 2):
                k1 = min(k0 + 1, columns - 1)
                c00, c01, c10, c11 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                for t in range(first, last):
                    p0, p1 = t * wide_a + i0 * samples, t * wide_a + i1 * samples
                    q0, q1 = (t + shift) * wide_b + k0 * samples, (t + shift) * wide_b + k1 * samples
                    for s in range(0, samples, WIDTH):
                        a0, a1 = load(flat_a, (p0 + s,)), load(flat_a, (p1 + s,))
                        b0, b1 = load(flat_b, (q0 + s,)), load(flat_b, (q1 + s,))
                        c00, c01 = fma(a0, b0, c00), fma(a0, b1, c01)
                        c10, c11 = fma(a1, b0, c10), fma(a1, b1, c11)
                _add_tile(c, (i0, i1, k0, k1), (total(c00), total(c01), total(c10), total(c11)))


@inlined
def _add_tile(c, places, sums):
    """Add to four entries; rows and columns past the last repeat it, and are left out."""
    i0, i1, k0, k1 = places
    c[i0, k0] += sums[0]
    if k1 > k0:
        c[i0, k1] += sums[1]
    if i1 > i0:
        c[i1, k0] += sums[2]
    if i1 > i0 and k1 > k0:
        c[i1, k1] += sums[3]
