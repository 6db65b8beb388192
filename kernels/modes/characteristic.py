"""The two eigenvalues of :mod:`~fastmodes.kernels.modes.stability` with one division and one square root a point.

With d = 1 - w*^2, e = 1 - pi w* and the common denominator ``D = s^2 d^2 E``, where E = e^2 under an endless horizon
and 1 under a finite one, the trace and the minors of that module's closed form become polynomials:

    c1 D   = f s p^2 E (G + H d) + p^2 E d + f s^3 E G d^2
    c0 D^2 = f s p^2 E d^2 (p^2 E (G + H) + f s^3 E G^2)

Under an endless horizon E G = e, E H = pi w*, and E (G + H) = E G^2 = 1 without a rounding. The eigenvalues times D are
t, the larger one in size, and c0 D^2 / t: 1/(D t) gives both.

    step      points      reads                  writes to the ring
    ------------------------------------------------------------------------------
    1         i .. i+7    s, f, teacher's rows   c1 D / 2, c0 D^2, D, margin      (:func:`_polynomials`)
    2         i-8 ..      c1 D / 2, c0 D^2       square root of the discriminant  (:func:`_root`)
    3         i-16 ..     all of these           1/(D t)                          (:func:`_inverse`)
    results   i-24 ..     all of these           :func:`rate` or :func:`pair`, :func:`kinds`

The points of a chunk are the columns of an array that stays in the cache. A step takes eight of them from some rows to
others, and steps on different points alternate (:func:`step`): while the divider works on some, the rest of the
processor has others to go on with. Conditions are signs of numbers: truth values of eight lanes that come from
comparisons cost several instructions each when they are combined.
"""

import numpy as np

from ..arrays.grid import source
from ..compile import always_inlined, inlined
from ..simd.lanes import WIDTH, absolute, either, fma, less, load, select, smaller, splat, sqrt, store
from ..simd.machine import negative
from .eigenvalues import SADDLE, STABLE_NODE, STABLE_SPIRAL, UNSTABLE_NODE
from .horizon import truncated

#: Rows of a chunk of points: teacher w*, teacher p, position s, feedback r, fixed propagator, horizon (0: endless).
PARAMETERS = 6
TEACHER, PRODUCT, POSITION, FEEDBACK, PROPAGATOR, HORIZON = range(PARAMETERS)
# What depends on teacher, propagator and horizon alone: factors of f s, 1 and f s^3 in c1 D / 2; D / s^2; factors of
# f s and f s^3, and a summand, in c0 D^2.
_PULL, _DAMPING, _PUSH, _SCALE, _GAIN, _SQUARE, _SUM = range(PARAMETERS, PARAMETERS + 7)
ROWS = PARAMETERS + 7

# Rows of the ring, what is known of the last points: c1 D / 2, c0 D^2, D, the margin of the numbers they were made from
# (negative if one was too small), the square root of the discriminant's size, 1/(D t).
_HALF, _MINORS, _DENOMINATOR, _MARGIN, _ROOT, _INVERSE = range(6)
RING = (6, 4 * WIDTH)

#: Kind of a point that is left to the plain formula: zeros, infinities, NaN, sizes outside the bounds below.
UNSETTLED = 8

# s^2, p^2 and |f s| above the first lose no digits in any product that follows; c1 D / 2, c0 D^2 and 1/(D t) below the
# second count as 0; squares above the third may overflow in what follows.
_SMALL, _TINY, _HUGE = 2.0**-128, 2.0**-1000, 2.0**1000

#: Points between the one that enters :func:`step` and the one whose results are known after it.
DELAY = 3 * WIDTH


@inlined
def teacher_rows(chunk, flat, pool, found, size, moving, bits):
    """The rows that depend on teacher, propagator and horizon alone; returns 0 if none of them varies, else -1.

    ``flat`` is the chunk as one axis, ``found`` from ``find_rows``; ``bits`` is 0 if all horizons are endless.
    """
    w_from, w_place, w_span = source(pool, flat, found, TEACHER)
    p_from, p_place, p_span = source(pool, flat, found, PRODUCT)
    pi_from, pi_place, pi_span = source(pool, flat, found, TEACHER if moving else PROPAGATOR)
    horizons, h_place, h_span = source(pool, flat, found, HORIZON)
    span = w_span | p_span | pi_span | h_span
    for i in range(0, size + DELAY if span != 0 else WIDTH, WIDTH):
        w, p = load(w_from, (w_place + (i & w_span),)), load(p_from, (p_place + (i & p_span),))
        pi, horizon = load(pi_from, (pi_place + (i & pi_span),)), load(horizons, (h_place + (i & h_span),))
        d, e, y, pp = fma(-w, w, 1.0), fma(-pi, w, 1.0), pi * w, p * p
        g, h, factor, both, square = e, y, e * e, splat(1.0), splat(1.0)
        if bits > 0:
            endless = less(horizon, 0.5)
            finite, slope = truncated(y, horizon, bits)
            g, h, factor = select(endless, g, finite), select(endless, h, y * slope), select(endless, factor, 1.0)
            both, square = select(endless, both, g + h), select(endless, square, g * g)
        scale = d * d * factor
        store(chunk, (_PULL, i), 0.5 * pp * fma(h, d, g))
        store(chunk, (_DAMPING, i), 0.5 * pp * (d * factor))
        store(chunk, (_PUSH, i), 0.5 * (g * (d * d)))
        store(chunk, (_SCALE, i), select(less(_SMALL, pp), scale, splat(np.nan)))
        store(chunk, (_GAIN, i), pp * scale)
        store(chunk, (_SQUARE, i), square)
        store(chunk, (_SUM, i), pp * both)
    return span


@always_inlined
def step(ring, chunk, i, s, f, span):
    """Take in position and feedback of eight points at i, and bring those of the last steps further.

    :func:`rate`, :func:`pair` and :func:`kinds` then know the points at i - DELAY. ``span`` is that of
    :func:`teacher_rows`.
    """
    _polynomials(ring, _place(i), chunk, i & span, s, f)
    _root(ring, _place(i - WIDTH))
    _inverse(ring, _place(i - 2 * WIDTH))


@always_inlined
def _place(i):
    return i & (RING[1] - 1)


@always_inlined
def _polynomials(ring, i, chunk, j, s, f):
    ss, fs = s * s, f * s
    push = fs * ss
    half = fma(push, load(chunk, (_PUSH, j)), fma(fs, load(chunk, (_PULL, j)), load(chunk, (_DAMPING, j))))
    minors = fs * load(chunk, (_GAIN, j)) * fma(push, load(chunk, (_SQUARE, j)), load(chunk, (_SUM, j)))
    store(ring, (_HALF, i), half)
    store(ring, (_MINORS, i), minors)
    store(ring, (_DENOMINATOR, i), ss * load(chunk, (_SCALE, j)))
    store(ring, (_MARGIN, i), smaller(ss, absolute(fs)) - _SMALL)


@always_inlined
def _root(ring, i):
    half, minors = load(ring, (_HALF, i)), load(ring, (_MINORS, i))
    store(ring, (_ROOT, i), sqrt(absolute(fma(half, half, -minors))))


@always_inlined
def _inverse(ring, i):
    size = absolute(load(ring, (_HALF, i))) + load(ring, (_ROOT, i))
    store(ring, (_INVERSE, i), 1.0 / (load(ring, (_DENOMINATOR, i)) * size))


@always_inlined
def kinds(ring, i):
    """Kinds of the eight points at i - DELAY, UNSETTLED where the results do not hold."""
    i = _place(i - DELAY)
    half, minors = load(ring, (_HALF, i)), load(ring, (_MINORS, i))
    kind = select(negative(half), splat(float(UNSTABLE_NODE)), splat(float(STABLE_NODE)))
    discriminant = fma(half, half, -minors)
    kind = select(negative(discriminant), kind + float(STABLE_SPIRAL - STABLE_NODE), kind)
    kind = select(negative(minors), splat(float(SADDLE)), kind)
    zero = either(negative(absolute(half) - _TINY), negative(absolute(minors) - _TINY))
    # The pair is made from the squares of c1 D / 2 and of the root.
    large = negative(_HUGE - absolute(discriminant) - absolute(minors))
    kind = select(either(either(zero, large), negative(load(ring, (_MARGIN, i)))), splat(float(UNSETTLED)), kind)
    # NaN, which may have any sign, fails the comparison.
    return select(less(_TINY, load(ring, (_INVERSE, i))), kind, splat(float(UNSETTLED)))


@always_inlined
def rate(ring, i):
    """Convergence rate of the eight points at i - DELAY: minus the larger real part."""
    i = _place(i - DELAY)
    half, minors = load(ring, (_HALF, i)), load(ring, (_MINORS, i))
    growing, spiral = negative(half), negative(fma(half, half, -minors))
    size = absolute(half) + load(ring, (_ROOT, i))
    return load(ring, (_INVERSE, i)) * select(either(growing, spiral), size * select(spiral, half, -size), minors)


@always_inlined
def pair(ring, i):
    """Smaller and larger real part, and imaginary part >= 0, of the eight points at i - DELAY."""
    i = _place(i - DELAY)
    half, minors, root = load(ring, (_HALF, i)), load(ring, (_MINORS, i)), load(ring, (_ROOT, i))
    growing, spiral, size = negative(half), negative(fma(half, half, -minors)), absolute(half) + root
    inverse, square, shared = load(ring, (_INVERSE, i)), size * size, -half * size
    low = inverse * select(spiral, shared, select(growing, minors, -square))
    high = inverse * select(spiral, shared, select(growing, square, -minors))
    return low, high, inverse * select(spiral, root * size, splat(0.0))
