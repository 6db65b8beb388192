"""Lanes, views and products inside kernels, against NumPy."""

import numpy as np
import pytest
from fastmodes.kernels.arrays.products import (
    add_correlation,
    add_correlations,
    copy_into,
    product,
    product_turned,
    scale_rows,
    transpose_into,
)
from fastmodes.kernels.simd import functions, lanes, views
from fastmodes.kernels.simd import machine as lanes_low


def run(function, *arguments):
    """Call a device function from a kernel of its own."""
    import numba

    return numba.njit(error_model="numpy")(function)(*arguments)


def test_arithmetic(rng):
    x, y = rng.standard_normal(8), rng.standard_normal(8)
    x[2], y[5] = np.nan, 0.0

    def body(x, y, out):
        a, b = lanes.load(x, (0,)), lanes.load(y, (0,))
        lanes.store(out, (0, 0), a + b)
        lanes.store(out, (1, 0), a - 2.0)
        lanes.store(out, (2, 0), 3 * b)
        lanes.store(out, (3, 0), a / b)
        lanes.store(out, (4, 0), -a)
        lanes.store(out, (5, 0), lanes.fma(a, b, 1.0))
        lanes.store(out, (6, 0), lanes.sqrt(lanes.absolute(a)))
        lanes.store(out, (7, 0), lanes.select(lanes.less(a, b), a, b))
        lanes.store(out, (8, 0), lanes.minimum(a, b))
        lanes.store(out, (9, 0), lanes.smaller(a, b))
        lanes.store(out, (10, 0), lanes.larger(b, a))
        below = lanes.bits(lanes.less(b, 0.0))
        return lanes.total(b), below, lanes_low.lowest(below)

    out = np.empty((11, 8))
    total, below, first = run(body, x, y, out)
    with np.errstate(all="ignore"):
        wanted = [
            x + y, x - 2.0, 3 * y, x / y, -x, x * y + 1.0, np.sqrt(np.abs(x)), np.where(x < y, x, y),
            np.fmin(x, y), np.where(x < y, x, y), np.where(y > x, y, x),
        ]  # fmt: skip
    np.testing.assert_allclose(out, wanted, rtol=1e-15, atol=1e-15)
    assert total == ((y[0] + y[4]) + (y[2] + y[6])) + ((y[1] + y[5]) + (y[3] + y[7]))
    assert below == sum(1 << i for i in range(8) if y[i] < 0)
    assert first == np.flatnonzero(y < 0)[0]


def test_rough_eighth_root():
    x = np.geomspace(1e-13, 1e13, 8000).reshape(-1, 8)

    def body(x, out):
        for i in range(len(x)):
            lanes.store(out, (i, 0), lanes_low.rough_eighth_root(lanes.load(x, (i, 0))))

    out = np.empty_like(x)
    run(body, x, out)
    assert (out >= x**0.125 * (1 - 1e-15)).all()
    assert (out <= 1.061 * x**0.125).all()
    zeros = np.empty((1, 8))
    run(body, np.zeros((1, 8)), zeros)
    assert (zeros < 1e-30).all()


def test_tanh(rng):
    """Against long double: all sizes, tiny and saturated, and the arguments that are no numbers."""

    def body(x, out):
        for i in range(0, len(x), 8):
            lanes.store(out, (i,), functions.tanh(lanes.load(x, (i,))))

    count = 1 << 18
    x = np.concatenate([
        rng.uniform(-1, 1, count), rng.uniform(-25, 25, count), 3 * rng.standard_normal(count),
        10.0 ** rng.uniform(-300, 2, count) * rng.choice([-1.0, 1.0], count),
    ])  # fmt: skip
    out = np.empty_like(x)
    run(body, x, out)
    wanted = np.tanh(x.astype(np.longdouble))
    assert np.max(np.abs(out - wanted) / np.abs(wanted)) < 5e-16
    assert np.max(np.abs(out)) == 1.0
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -2e-310, 1.7e308])
    out = np.empty(8)
    run(body, odd, out)
    np.testing.assert_array_equal(out, np.tanh(odd))
    assert np.signbit(out[1])


def test_signs_and_bytes(rng):
    x = np.array([1.0, -1.0, 0.0, -0.0, np.inf, -np.inf, 1e-300, -1e-300])
    found = np.full(10, 77, np.int8)

    def body(x, found):
        lanes_low.fetch(x, (1000,))
        kind = lanes.select(lanes_low.negative(lanes.load(x, (0,))), 5.0, 2.0)
        lanes_low.store_bytes(found, (1,), kind)

    run(body, x, found)
    np.testing.assert_array_equal(found, [77, *np.where(np.signbit(x), 5, 2), 77])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (5, 4, 7), (4, 100, 3), (9, 50, 16)])
def test_products(shape, rng):
    rows, inner, columns = shape
    a8, b8, c8 = (rng.standard_normal((m, n, 8)) for m, n in ((rows, inner), (inner, columns), (rows, columns)))
    wide = -(-columns // 8) * 8
    a, b, c = (rng.standard_normal(s) for s in ((rows, inner), (inner, wide), (rows, wide)))

    def body(c, a, b, fresh):
        product(c, a, b, fresh)

    def turned(c, a, b, fresh):
        product_turned(c, a, b, fresh)

    import numba

    body, turned = numba.njit(body), numba.njit(turned)
    for fresh in (True, False):
        for factor, work in ((a, body), (np.ascontiguousarray(a.T), turned)):
            got = c.copy()
            work(got, factor, b, fresh)
            np.testing.assert_allclose(got, a @ b + (0 if fresh else c), rtol=1e-12, atol=1e-12)
        for factor, work in ((a8, body), (np.ascontiguousarray(a8.swapaxes(0, 1)), turned)):
            got = c8.copy()
            work(got, factor, b8, fresh)
            wanted = np.einsum("ikl,kjl->ijl", a8, b8) + (0 if fresh else c8)
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_one_lane_never_sees_another(rng):
    a, b = rng.standard_normal((3, 4, 8)), rng.standard_normal((4, 5, 8))
    clean, dirty = np.zeros((3, 5, 8)), np.zeros((3, 5, 8))

    def body(c, a, b):
        product(c, a, b, True)

    run(body, clean, a, b)
    a[..., 2], b[..., 6] = np.nan, np.inf
    run(body, dirty, a, b)
    others = [0, 1, 3, 4, 5, 7]
    assert (clean[..., others] == dirty[..., others]).all()
    assert np.isnan(dirty[..., 2]).all()


def test_the_rest_of_the_small_functions(rng):
    a, b = rng.standard_normal((3, 16)), rng.standard_normal((5, 16))
    c = np.zeros((3, 5))
    run(lambda c, a, b: add_correlation(c, a, b), c, a, b)
    np.testing.assert_allclose(c, a @ b.T, rtol=1e-13)
    for rows, columns in ((1, 1), (3, 5), (2, 19), (4, 8)):
        a3, b3, c = rng.standard_normal((6, rows, 16)), rng.standard_normal((7, columns, 16)), np.ones((rows, columns))
        run(lambda c, a, b: add_correlations(c, a, b, 2, 1, 5), c, a3, b3)
        np.testing.assert_allclose(c, 1 + np.einsum("tis,tks->ik", a3[1:5], b3[3:7]), rtol=1e-12, atol=1e-12)

    a, b = rng.standard_normal((3, 16)), rng.standard_normal((5, 16))
    copy, factors = np.zeros((3, 16)), rng.standard_normal(3)
    run(lambda t, s: copy_into(t, s), copy, a)
    assert (copy == a).all()
    run(lambda t, f: scale_rows(t, f), copy, factors)
    np.testing.assert_allclose(copy, a * factors[:, None], rtol=1e-15)

    turned = np.zeros((16, 3))
    run(lambda t, s: transpose_into(t, s), turned, a)
    assert (turned == a.T).all()
    stack = rng.standard_normal((4, 3, 8))
    assert (run(lambda s: views.stacked(s), stack) == stack.reshape(12, 8)).all()
    assert (run(lambda s: views.flattened(s), stack) == stack.ravel()).all()
    assert (run(lambda s: views.transposed(s), stack) == stack.swapaxes(0, 1)).all()
    assert run(lambda s: views.alone(s), stack).shape == (1, 4, 3, 8)
