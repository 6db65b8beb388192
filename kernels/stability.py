"""Linear stability on the optimal manifold (w, a, b) = (w*, s, p/s), for every rule, in closed form.

With A = 1/(1 - w*^2), pi the propagator at w = w*, Y = pi w*, G = g_tau(Y), H = Y G'(Y), f = s or r, b = p/s, the
flow's Jacobian has the eigenvalues 0 and ``[-c1 +- sqrt(c1^2 - 4 c0)] / 2``, with (Eqs. 27-29, 111, 117, 123)

    c1 = f b p A (G A + H) + b^2 A + f s G          the trace
    c0 = f b^3 p A^2 (G + H) + (f p G A)^2          the sum of the principal 2 x 2 minors

BPTT: G = A, H = w*^2 A^2. tBPTT(1): G = 1, H = 0. RFLO: G = 1/(1 - w_hat w*), H = w_hat w* G^2.
The kernel is bound by the divider: all reciprocals come from one division, and a second one gives the eigenvalue
nearer to 0 from the product of the two, free of cancellation.
"""

import numpy as np

from .compile import always_inlined, inlined, kernel
from .gridded import locate
from .lanes import WIDTH, absolute, equal, fma, less, load, select, splat, sqrt, store
from .propagation import digit_count, truncated

#: Rows of a chunk of points: teacher w*, teacher p, position s, feedback r, fixed propagator, horizon (0: endless).
PARAMETERS = 6
TEACHER, PRODUCT, POSITION, FEEDBACK, PROPAGATOR, HORIZON = range(PARAMETERS)

#: Value of the kind at a point; saddles have one growing and one decaying direction, marginal points a rate of 0.
KINDS = ("stable_node", "stable_spiral", "saddle", "unstable_node", "unstable_spiral", "marginal")

_CHUNK = 512


@always_inlined
def _coefficients(w, p, s, r, pi, horizon, bits, readout):
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
    f = s if readout else r
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
    goal, product, feedback, decay, horizon = mode
    readout, moving, bits = rule
    pi = goal if moving > 0.0 else decay
    c1, c0 = _coefficients(goal, product, position, feedback, pi, horizon, bits, readout > 0.0)
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
def _fill(chunk, kept, pool, places, shape, first, count, start):
    """Copy the parameters of ``count`` points into the rows of a chunk.

    ``kept`` holds the number that fills a whole row, else NaN: a parameter that does not vary is written once.
    """
    done = 0
    while done < count:
        run = min(locate(first + done, shape, places, start), count - done)
        for k in range(PARAMETERS):
            step = places[k, places.shape[1] - 1] if len(shape) > 0 else 0
            value = pool[start[k]]
            if step == 0 and run == count:
                if kept[k] != value:
                    for i in range(chunk.shape[1]):
                        chunk[k, i] = value
                    kept[k] = value
            else:
                kept[k] = np.nan
                if step == 1:
                    for i in range(run):
                        chunk[k, done + i] = pool[start[k] + i]
                else:
                    for i in range(run):
                        chunk[k, done + i] = pool[start[k] + i * step]
        done += run


@kernel
def optimal_stability(pool, places, shape, first, code, eigenvalues, kinds):
    """Eigenvalues and kind on the optimal manifold for successive points of a grid.

    Parameters
    ----------
    pool : float64 array
    places : int64 array (parameter, 1 + axis)
    shape : int64 array (axis,)
        The grid (see :mod:`fastmodes.kernels.gridded`); parameters in the order of PARAMETERS.
    first : int
        The first point.
    code : int64 array (2,)
        1 if the feedback is the readout, 1 if the propagator is w.
    eigenvalues : float64 array (part, point)
        Result. Three parts: smaller and larger real part, imaginary part (>= 0) of the pair; one part: the convergence
        rate, minus the larger real part.
    kinds : int8 array (point,)
        Result: index into KINDS.
    """
    count = len(kinds)
    chunk, kept, start = np.ones((PARAMETERS, _CHUNK)), np.full(PARAMETERS, np.nan), np.empty(PARAMETERS, np.int64)
    kind, tail, whole = np.empty((1, _CHUNK)), np.empty((3, WIDTH)), len(eigenvalues) == 3
    bits = _longest(pool, places)
    readout, moving = code[0] == 1, code[1] == 1
    for begin in range(0, count, _CHUNK):
        size = min(_CHUNK, count - begin)
        _fill(chunk, kept, pool, places, shape, first + begin, size, start)
        for i in range(0, size, WIDTH):
            w, s = load(chunk, (TEACHER, i)), load(chunk, (POSITION, i))
            pi = w if moving else load(chunk, (PROPAGATOR, i))
            p, r, horizon = load(chunk, (PRODUCT, i)), load(chunk, (FEEDBACK, i)), load(chunk, (HORIZON, i))
            c1, c0 = _coefficients(w, p, s, r, pi, horizon, bits, readout)
            low, high, imaginary = _eigenvalues(c1, c0)
            store(kind, (0, i), _kind(c1, c0, imaginary))
            # The last chunk's results go through a buffer: eight lanes may reach past the end.
            target, place = (eigenvalues, begin + i) if i + WIDTH <= size else (tail, 0)
            if whole:
                store(target, (0, place), low)
                store(target, (1, place), high)
                store(target, (2, place), imaginary)
            else:
                store(target, (0, place), -high)
        for i in range(size):
            kinds[begin + i] = np.int8(kind[0, i])
        left = size % WIDTH
        for part in range(len(eigenvalues)):
            for i in range(left):
                eigenvalues[part, begin + size - left + i] = tail[part, i]


@inlined
def _longest(pool, places):
    """Binary digits of the longest horizon."""
    longest = 0.0
    for i in range(places[HORIZON, 0], len(pool)):
        longest = max(longest, pool[i])
    return digit_count(longest)
