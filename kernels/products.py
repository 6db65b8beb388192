"""Products of small matrices, written once for two layouts.

* One network: plain matrices (rows, columns), the columns padded with zeros to a multiple of eight; eight neighbouring
  columns are computed together.
* Eight networks: matrices (rows, columns, 8), the last axis running over the networks; each lane is a product of its
  own. Worth it for networks so small that a row does not fill the lanes.

The first factor may be a transposed view, so that X^T Y needs no copy; rows and columns that it has beyond the other
two (padding) are not read. Sums run over the inner index in order, in
registers: a result depends on nothing but its own operands.
"""

from .compile import by_dimensions, inlined
from .lanes import WIDTH, fma, load, out_of_line, splat, store, total
from .views import alone, flattened

#: Inner indices handled before an output tile goes back to memory: both factors' pieces stay in the first cache.
_CHUNK = 48


@inlined
def _product_one(c, target, a, source, b, fresh):
    out_of_line()
    rows, inner, columns = c.shape[1], b.shape[0], c.shape[2]
    for first in range(0, inner, _CHUNK):
        last = min(first + _CHUNK, inner)
        start = fresh and first == 0
        for i0 in range(0, rows, 4):
            # Past the last row the tile repeats it: computed twice, stored twice, the same number.
            i1, i2, i3 = min(i0 + 1, rows - 1), min(i0 + 2, rows - 1), min(i0 + 3, rows - 1)
            for j in range(0, columns, WIDTH):
                c0, c1, c2, c3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                if not start:
                    c0, c1 = load(c, (target, i0, j)), load(c, (target, i1, j))
                    c2, c3 = load(c, (target, i2, j)), load(c, (target, i3, j))
                for k in range(first, last):
                    right = load(b, (k, j))
                    c0 = fma(a[source, i0, k], right, c0)
                    c1 = fma(a[source, i1, k], right, c1)
                    c2 = fma(a[source, i2, k], right, c2)
                    c3 = fma(a[source, i3, k], right, c3)
                store(c, (target, i0, j), c0)
                store(c, (target, i1, j), c1)
                store(c, (target, i2, j), c2)
                store(c, (target, i3, j), c3)


@inlined
def _product_eight(c, target, a, source, b, fresh):
    out_of_line()
    rows, inner, columns = c.shape[1], b.shape[0], c.shape[2]
    for first in range(0, inner, _CHUNK):
        last = min(first + _CHUNK, inner)
        start = fresh and first == 0
        for i0 in range(0, rows, 2):
            i1 = min(i0 + 1, rows - 1)
            for j0 in range(0, columns, 2):
                j1 = min(j0 + 1, columns - 1)
                c00, c01, c10, c11 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                if not start:
                    c00, c01 = load(c, (target, i0, j0, 0)), load(c, (target, i0, j1, 0))
                    c10, c11 = load(c, (target, i1, j0, 0)), load(c, (target, i1, j1, 0))
                for k in range(first, last):
                    a0, a1 = load(a, (source, i0, k, 0)), load(a, (source, i1, k, 0))
                    b0, b1 = load(b, (k, j0, 0)), load(b, (k, j1, 0))
                    c00, c01 = fma(a0, b0, c00), fma(a0, b1, c01)
                    c10, c11 = fma(a1, b0, c10), fma(a1, b1, c11)
                store(c, (target, i0, j0, 0), c00)
                store(c, (target, i0, j1, 0), c01)
                store(c, (target, i1, j0, 0), c10)
                store(c, (target, i1, j1, 0), c11)


@by_dimensions({3: _product_one, 4: _product_eight})
def product_at(c, target, a, source, b, fresh):
    """c[target] = a[source] b if ``fresh``, else c[target] += a[source] b; c and a are sequences of matrices.

    Indices instead of views of the sequences: making a view costs more than the product of two 4 x 4 matrices.
    """


@inlined
def product(c, a, b, fresh):
    """c = a b if ``fresh``, else c += a b, for one pair of matrices or eight; ``a`` may be a transposed view."""
    product_at(alone(c), 0, alone(a), 0, b, fresh)


@inlined
def copy_into(target, source):
    """Copy a C-contiguous array whose size is a multiple of eight into another of the same shape."""
    to, source = flattened(target), flattened(source)
    for i in range(0, len(to), WIDTH):
        store(to, (i,), load(source, (i,)))


@inlined
def clear(target):
    """Fill a C-contiguous array whose size is a multiple of eight with zeros."""
    to = flattened(target)
    for i in range(0, len(to), WIDTH):
        store(to, (i,), splat(0.0))


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
