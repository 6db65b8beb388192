"""Linear stability on the optimal manifold (w, a, b) = (w*, s, p/s), for every rule, in closed form.

With A = 1/(1 - w*^2), pi the propagator at w = w*, Y = pi w*, G = g_tau(Y), H = Y G'(Y), f = s or r, b = p/s, the
flow's Jacobian has the eigenvalues 0 and ``[-c1 +- sqrt(c1^2 - 4 c0)] / 2``, with (Eqs. 27-29, 111, 117, 123)

    c1 = f b p A (G A + H) + b^2 A + f s G          the trace
    c0 = f b^3 p A^2 (G + H) + (f p G A)^2          the sum of the principal 2 x 2 minors

BPTT: G = A, H = w*^2 A^2. tBPTT(1): G = 1, H = 0. RFLO: G = 1/(1 - w_hat w*), H = w_hat w* G^2.
The eigenvalue nearer to 0 comes from the product of the two, free of cancellation. A map evaluates the quicker form of
:mod:`~fastmodes.kernels.modes.characteristic`, and the plain one of :mod:`~fastmodes.kernels.modes.eigenvalues` where
that one leaves the range of numbers: at zeros of p or r, and beyond sizes of 1e19 or so. The flow asks for
:func:`slowest_rate` on lanes.

    grid --find_rows--> chunk of 2048 points --teacher_rows--> what w*, p, pi, tau alone decide
                          |
                          +--_write--> eight points at a time through three stages (characteristic.step)
                          |              i: c1 D, c0 D^2, D    i - 8: root    i - 16: 1/(D t)    i - 24: results, kinds
                          |
                          +--_settle--> points whose kind is UNSETTLED, one by one (eigenvalues.eigenvalue_pair)
"""

import numpy as np

from ..arrays.grid import find_rows, locate, source
from ..compile import always_inlined, inlined, kernel
from ..rule import feedback_lanes, is_readout, moves
from ..simd.lanes import WIDTH, absolute, equal, fma, less, load, select, splat, sqrt, store
from ..simd.machine import fetch, store_bytes
from . import characteristic as quick
from .characteristic import FEEDBACK, HORIZON, PARAMETERS, POSITION, PRODUCT, PROPAGATOR, TEACHER, UNSETTLED
from .eigenvalues import KINDS as KINDS
from .eigenvalues import eigenvalue_pair
from .horizon import digit_count, truncated

# Points of a chunk: what varies over it is copied, where that is necessary, to the cache.
_CHUNK = 2048
_PAST = quick.DELAY + WIDTH
# Points of a row from which on it is not joined with the next ones in a chunk.
_LONG = 128


@always_inlined
def _sums(w, p, s, pi, horizon, bits):
    """A, G, H and b on lanes."""
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
    return alpha, g, h, b


@always_inlined
def _coefficients(w, p, s, f, pi, horizon, bits):
    """c1 and c0 on lanes."""
    alpha, g, h, b = _sums(w, p, s, pi, horizon, bits)
    p_alpha, b2_alpha, fg = p * alpha, b * b * alpha, f * g
    pull, push = f * b * p_alpha, p_alpha * fg
    trace = fma(pull, fma(g, alpha, h), fma(fg, s, b2_alpha))
    return trace, fma(pull * b2_alpha, g + h, push * push)


@always_inlined
def _rated_coefficients(w, p, s, f, pi, horizon, rule):
    """The same where w, a, b learn at rates of their own: every entry or minor times the rates of its rows."""
    alpha, g, h, b = _sums(w, p, s, pi, horizon, rule.digits)
    rate_w, rate_a, rate_b = rule.rates
    p_alpha, b2_alpha, fg = p * alpha, rate_a * (b * b * alpha), f * g
    pull, push = rate_w * (f * b * p_alpha), p_alpha * fg
    trace = fma(pull, fma(g, alpha, h), fma(rate_b * fg, s, b2_alpha))
    return trace, fma(pull * b2_alpha, g + h, (rate_w * rate_b) * (push * push))


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
    if rule.rated:
        c1, c0 = _rated_coefficients(goal, product, position, f, pi, horizon, rule)
    else:
        c1, c0 = _coefficients(goal, product, position, f, pi, horizon, rule.digits)
    _, high, _ = _eigenvalues(c1, c0)
    return high


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
def _settle(flat, pool, found, feedback, moving, values, kinds):
    """Evaluate the plain formula where the kind is UNSETTLED, ``values`` and ``kinds`` being those of the chunk."""
    w_from, w_place, w_span = source(pool, flat, found, TEACHER)
    p_from, p_place, p_span = source(pool, flat, found, PRODUCT)
    s_from, s_place, s_span = source(pool, flat, found, POSITION)
    f_from, f_place, f_span = source(pool, flat, found, feedback)
    pi_from, pi_place, pi_span = source(pool, flat, found, TEACHER if moving else PROPAGATOR)
    horizons, h_place, h_span = source(pool, flat, found, HORIZON)
    for i in range(len(kinds)):
        if kinds[i] == UNSETTLED:
            low, high, imaginary, kinds[i] = eigenvalue_pair(
                w_from[w_place + (i & w_span)], p_from[p_place + (i & p_span)], s_from[s_place + (i & s_span)],
                f_from[f_place + (i & f_span)], pi_from[pi_place + (i & pi_span)], horizons[h_place + (i & h_span)],
            )  # fmt: skip
            if len(values) == 3:
                values[0, i], values[1, i], values[2, i] = low, high, imaginary
            else:
                values[0, i] = -high


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
            here = slice(begin, begin + size)
            _settle(flat, pool, found, feedback, moving, eigenvalues[:, here], kinds[here])
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
