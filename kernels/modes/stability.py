"""Linear stability on the optimal manifold (w, a, b) = (w*, s, p/s), for every rule, in closed form.

With A = 1/(1 - w*^2), pi the propagator at w = w*, Y = pi w*, G = g_tau(Y), H = Y G'(Y), f = s or r, b = p/s, the
flow's Jacobian has the eigenvalues 0 and ``[-c1 +- sqrt(c1^2 - 4 c0)] / 2``, with (Eqs. 27-29, 111, 117, 123)

    c1 = f b p A (G A + H) + b^2 A + f s G          the trace
    c0 = f b^3 p A^2 (G + H) + (f p G A)^2          the sum of the principal 2 x 2 minors

BPTT: G = A, H = w*^2 A^2. tBPTT(1): G = 1, H = 0. RFLO: G = 1/(1 - w_hat w*), H = w_hat w* G^2.
The eigenvalue nearer to 0 comes from the product of the two, free of cancellation. A map evaluates the quicker form of
:mod:`~fastmodes.kernels.modes.characteristic`, and the general one here where that one leaves the range of numbers: at
zeros of p or r, and beyond sizes of 1e19 or so.
"""

import numpy as np

from ..arrays.grid import find_rows, locate, source
from ..compile import always_inlined, inlined, kernel
from ..rule import feedback_lanes, is_readout, moves
from ..simd.lanes import WIDTH, absolute, equal, fma, less, load, select, splat, sqrt, store
from ..simd.machine import fetch, store_bytes
from . import characteristic as quick
from .characteristic import FEEDBACK, HORIZON, PARAMETERS, POSITION, PRODUCT, PROPAGATOR, TEACHER, UNSETTLED
from .horizon import digit_count, truncated

#: Value of the kind at a point; saddles have one growing and one decaying direction, marginal points a rate of 0.
KINDS = ("stable_node", "stable_spiral", "saddle", "unstable_node", "unstable_spiral", "marginal")

# Points of a chunk: what varies over it is copied, where that is necessary, to the cache.
_CHUNK = 2048
_PAST = quick.DELAY + WIDTH
# Points of a row from which on it is not joined with the next ones in a chunk.
_LONG = 128


@always_inlined
def _coefficients(w, p, s, f, pi, horizon, bits):
    """c1 and c0 on lanes."""
    d, e, y = fma(-w, w, 1.0), fma(-pi, w, 1.0), pi * w
    if bits > 0:
        # A finite horizon sums at any |pi w|: its lanes must not spoil the common reciprocal.
        e = select(less(horizon, 0.5), e, splat(1.0))
    de = d * e
    inverse = 1.0 / (de * s)
    alpha, g, b = inverse * (e * s), inverse * (d * s), inverse * de * p
    h = y * g * g
    if bits > 0:
        finite, slope = truncated(y, horizon, bits)
        g, h = select(less(horizon, 0.5), g, finite), select(less(horizon, 0.5), h, y * slope)
    p_alpha, b2_alpha, fg = p * alpha, b * b * alpha, f * g
    pull, push = f * b * p_alpha, p_alpha * fg
    trace = fma(pull, fma(g, alpha, h), fma(fg, s, b2_alpha))
    return trace, fma(pull * b2_alpha, g + h, push * push)


@always_inlined
def _eigenvalues(c1, c0):
    """The pair as (smaller real part, larger real part, imaginary part >= 0), without cancellation."""
    half = 0.5 * c1
    discriminant = fma(half, half, -c0)
    root = sqrt(absolute(discriminant))
    # Half of c1 and the square root add up in size; the other root follows from the product c0.
    growing = less(c1, 0.0)
    far = select(growing, root - half, -(half + root))
    near = c0 / select(equal(far, 0.0), splat(1.0), far)
    spiral = less(discriminant, 0.0)
    low = select(spiral, -half, select(growing, near, far))
    high = select(spiral, -half, select(growing, far, near))
    return low, high, select(spiral, root, splat(0.0))


@inlined
def slowest_rate(mode, position, rule):
    """Larger real part of the two eigenvalues at (w*, s, p/s); mode and rule as for the velocity."""
    goal, product, r, decay, horizon = mode
    f, _ = feedback_lanes(rule, position, r)
    pi = goal if rule.moving > 0.0 else decay
    c1, c0 = _coefficients(goal, product, position, f, pi, horizon, rule.digits)
    _, high, _ = _eigenvalues(c1, c0)
    return high


@always_inlined
def _kind(c1, c0, imaginary):
    """Index into KINDS, as lanes of floats: stable if c1 > 0 and c0 > 0, a saddle if c0 < 0."""
    spiral = less(0.0, imaginary)
    stable, unstable = select(spiral, splat(1.0), splat(0.0)), select(spiral, splat(4.0), splat(3.0))
    kind = select(less(0.0, c1), stable, select(less(c1, 0.0), unstable, splat(5.0)))
    return select(less(0.0, c0), kind, select(less(c0, 0.0), splat(2.0), splat(5.0)))


@inlined
def _write(ring, chunk, flat, pool, found, span, feedback, size, values, kinds, begin, tail, tail_kinds):
    """Results of ``size`` points; eight that reach before the first or past the last one go to a buffer."""
    s_from, s_place, s_span = source(pool, flat, found, POSITION)
    f_from, f_place, f_span = source(pool, flat, found, feedback)
    for i in range(0, size + quick.DELAY, WIDTH):
        fetch(s_from, (s_place + ((i + _CHUNK) & s_span),))
        quick.step(
            ring, chunk, i, load(s_from, (s_place + (i & s_span),)), load(f_from, (f_place + (i & f_span),)), span
        )
        inside = quick.DELAY <= i <= size + quick.DELAY - WIDTH
        target, target_kinds, place = (values, kinds, begin + i - quick.DELAY) if inside else (tail, tail_kinds, 0)
        store_bytes(target_kinds, (place,), quick.kinds(ring, i))
        if len(values) == 3:
            low, high, imaginary = quick.pair(ring, i)
            store(target, (0, place), low)
            store(target, (1, place), high)
            store(target, (2, place), imaginary)
        else:
            store(target, (0, place), quick.rate(ring, i))


@inlined
def _settle(flat, pool, found, feedback, size, moving, bits, values, kinds, begin, tail, tail_kinds):
    """Evaluate the general formula where the kind is UNSETTLED."""
    w_from, w_place, w_span = source(pool, flat, found, TEACHER)
    p_from, p_place, p_span = source(pool, flat, found, PRODUCT)
    s_from, s_place, s_span = source(pool, flat, found, POSITION)
    f_from, f_place, f_span = source(pool, flat, found, feedback)
    pi_from, pi_place, pi_span = source(pool, flat, found, TEACHER if moving else PROPAGATOR)
    horizons, h_place, h_span = source(pool, flat, found, HORIZON)
    for i in range(0, size, WIDTH):
        here = range(begin + i, begin + min(i + WIDTH, size))
        seen = 0
        for k in here:
            seen |= kinds[k]
        if not seen & UNSETTLED:
            continue
        w, p = load(w_from, (w_place + (i & w_span),)), load(p_from, (p_place + (i & p_span),))
        s, f = load(s_from, (s_place + (i & s_span),)), load(f_from, (f_place + (i & f_span),))
        pi, horizon = load(pi_from, (pi_place + (i & pi_span),)), load(horizons, (h_place + (i & h_span),))
        c1, c0 = _coefficients(w, p, s, f, pi, horizon, bits)
        low, high, imaginary = _eigenvalues(c1, c0)
        store_bytes(tail_kinds, (0,), _kind(c1, c0, imaginary))
        store(tail, (0, 0), low if len(values) == 3 else -high)
        store(tail, (1, 0), high)
        store(tail, (2, 0), imaginary)
        for k in here:
            if kinds[k] == UNSETTLED:
                kinds[k] = tail_kinds[k - begin - i]
                for part in range(len(values)):
                    values[part, k] = tail[part, k - begin - i]


@kernel
def optimal_stability(pool, places, shape, first, rule, eigenvalues, kinds):
    """Eigenvalues and kind on the optimal manifold for successive points of a grid.

    Parameters
    ----------
    pool : float64 array
    places : int64 array (parameter, 1 + axis)
    shape : int64 array (axis,)
        The grid (see :mod:`fastmodes.kernels.arrays.grid`); parameters in the order of PARAMETERS, the feedback being
        f at the position wherever F is not A itself.
    first : int
        The first point.
    rule : Rule
        The points have horizons of their own.
    eigenvalues : float64 array (part, point)
        Result. Three parts: smaller and larger real part, imaginary part (>= 0) of the pair; one part: the convergence
        rate, minus the larger real part.
    kinds : int8 array (point,)
        Result: index into KINDS.
    """
    count, left, span, bits = len(kinds), 0, 0, _longest(pool, places)
    feedback, moving = POSITION if is_readout(rule) else FEEDBACK, moves(rule)
    ring, chunk = np.ones(quick.RING), np.empty((quick.ROWS, _CHUNK + _PAST))
    flat, found, start = chunk.reshape(-1), np.zeros((PARAMETERS, 3), np.int64), np.empty(PARAMETERS, np.int64)
    kept, known = np.full(PARAMETERS, np.nan), np.full(PARAMETERS, np.nan)
    tail, tail_kinds = np.empty((3, WIDTH)), np.empty(WIDTH, np.int8)
    begin = 0
    while begin < count:
        size = min(_CHUNK, count - begin)
        if left == 0:
            left = locate(first + begin, shape, places, start)
        if left >= _LONG:
            # To the end of the row: what does not vary along it is computed once.
            size = min(size, left)
        left = find_rows(chunk, found, kept, pool, places, shape, first + begin, start, left, size, _PAST)
        if not _same_teacher(kept, known):
            span = quick.teacher_rows(chunk, flat, pool, found, size, moving, bits)
            known[:] = kept
        _write(ring, chunk, flat, pool, found, span, feedback, size, eigenvalues, kinds, begin, tail, tail_kinds)
        rest, seen = begin + size - size % WIDTH, 0
        for i in range(size % WIDTH):
            kinds[rest + i] = tail_kinds[i]
            for part in range(len(eigenvalues)):
                eigenvalues[part, rest + i] = tail[part, i]
        for kind in kinds[begin : begin + size]:
            seen |= kind
        if seen & UNSETTLED:
            _settle(flat, pool, found, feedback, size, moving, bits, eigenvalues, kinds, begin, tail, tail_kinds)
        begin += size


@inlined
def _same_teacher(a, b):
    same = a[TEACHER] == b[TEACHER] and a[PRODUCT] == b[PRODUCT]
    return same and a[PROPAGATOR] == b[PROPAGATOR] and a[HORIZON] == b[HORIZON]


@inlined
def _longest(pool, places):
    """Binary digits of the longest horizon."""
    longest = 0.0
    for i in range(places[HORIZON, 0], len(pool)):
        longest = max(longest, pool[i])
    return digit_count(longest)
