"""The two eigenvalues on the optimal manifold as plain numbers, at any size of the parameters: one point at a time.

The formulas of :mod:`~fastmodes.kernels.modes.stability` read as such, in u = b^2 = (p/s)^2 and v = f s:

    c1 = u v A (G A + H) + u A + v G
    c0 = u^2 v A^2 (G + H) + u v^2 (G A)^2
    lambda = [-c1 +- sqrt(c1^2 - 4 c0)] / 2

Every term is a number near 1 times a power of two of its own (``frexp``), so that nothing overflows or is lost on the
way. Maps fall back on this where their quick form leaves the range of numbers; tests hold that one against this.
"""

import math

import numpy as np

from ..compile import inlined, kernel
from .horizon import digit_count

#: Value of the kind at a point; saddles have one growing and one decaying direction, marginal points a rate of 0. Where
#: an eigenvalue is too large or too small for a float64 number, it is inf or 0 (or NaN where G itself is too large).
KINDS = (
    "stable_node", "stable_spiral", "saddle", "unstable_node", "unstable_spiral", "marginal", "not_representable",
)  # fmt: skip
STABLE_NODE, STABLE_SPIRAL, SADDLE, UNSTABLE_NODE, UNSTABLE_SPIRAL, MARGINAL, NOT_REPRESENTABLE = range(len(KINDS))

# Below every exponent that occurs: that of 0.
_NOTHING = -1_000_000


@inlined
def _parts(x):
    """x as (number in [1/2, 1), power of two)."""
    part, power = math.frexp(x)
    return part, (power if part != 0.0 else _NOTHING)


@inlined
def _product(first, second, factor):
    """The product of two numbers in parts and a plain one, in parts."""
    part, power = _parts(first[0] * second[0] * factor)
    return part, max(power + first[1] + second[1], _NOTHING)


@inlined
def _sum(first, second):
    """The sum of two numbers in parts, in parts that need not be normal: its power is the larger one."""
    power = max(first[1], second[1])
    return math.ldexp(first[0], first[1] - power) + math.ldexp(second[0], second[1] - power), power


@inlined
def _number(part, power):
    """The plain number; inf where it is too large, 0 where it is too small."""
    part, more = math.frexp(part)
    return math.ldexp(part, power + more) if power + more <= 1024 else math.copysign(np.inf, part)


@inlined
def _credit(y, horizon):
    """G = g_tau(y) and H = y G'(y), see :func:`~fastmodes.kernels.modes.horizon.truncated`."""
    if horizon == 0.0:
        return 1.0 / (1.0 - y), y / (1.0 - y) ** 2
    g, slope, power, power_slope = 0.0, 0.0, 1.0, 0.0
    for bit in range(digit_count(horizon) - 1, -1, -1):
        slope, g = slope * (power + 1.0) + g * power_slope, g + g * power
        power, power_slope = power * power, 2.0 * power * power_slope
        if int(horizon) >> bit & 1:
            slope, g = y * slope + g, y * g + 1.0
            power, power_slope = power * y, y * power_slope + power
    return g, y * slope


@inlined
def _kind(c1, c0, discriminant):
    """Stable if c1 > 0 and c0 > 0, a saddle if c0 < 0."""
    if c0 < 0.0:
        return SADDLE
    if c0 == 0.0 or c1 == 0.0:
        return MARGINAL
    if discriminant < 0.0:
        return STABLE_SPIRAL if c1 > 0.0 else UNSTABLE_SPIRAL
    return STABLE_NODE if c1 > 0.0 else UNSTABLE_NODE


@inlined
def eigenvalue_pair(w, p, s, f, pi, horizon):
    """Smaller and larger real part, imaginary part >= 0, and kind, at (w*, s, p/s), with f the feedback there."""
    alpha = 1.0 / (1.0 - w * w)
    g, h = _credit(pi * w, horizon)
    if not (np.isfinite(g) and np.isfinite(h)):
        return np.nan, np.nan, np.nan, NOT_REPRESENTABLE
    (p_part, p_power), (s_part, s_power) = _parts(p), _parts(s)
    b = _product((p_part / s_part, p_power - s_power), (1.0, 0), 1.0)
    u, v, one = _product(b, b, 1.0), _product(_parts(f), (s_part, s_power), 1.0), (1.0, 0)
    uv = _product(u, v, 1.0)
    linear = _sum(_product(u, one, alpha), _product(v, one, g))
    c1, top = _sum(_product(uv, one, alpha * (g * alpha + h)), linear)
    c0, top_0 = _sum(_product(uv, u, alpha * alpha * (g + h)), _product(uv, v, (g * alpha) ** 2))
    # lambda = 2^top mu, and mu^2 + c1 mu + 2^shift c0 = 0.
    shift, half = top_0 - 2 * top, 0.5 * c1
    discriminant = half * half - _number(c0, shift)
    root, kind = math.sqrt(abs(discriminant)), _kind(c1, c0, discriminant)
    if discriminant < 0.0:
        low, imaginary = _number(-half, top), _number(root, top)
        high, lost = low, (low == 0.0 and half != 0.0) or imaginary == 0.0
    else:
        # The root of larger size has no cancellation; the other one follows from their product c0.
        far = -(half + math.copysign(root, half))
        near = c0 / far if far != 0.0 else 0.0
        low, high, imaginary = _number(far, top), _number(near, shift + top), 0.0
        lost = (low == 0.0 and far != 0.0) or (high == 0.0 and near != 0.0)
        if low > high:
            low, high = high, low
    if lost or not (np.isfinite(low) and np.isfinite(high) and np.isfinite(imaginary)):
        kind = NOT_REPRESENTABLE
    return low, high, imaginary, kind


@kernel
def plain_stability(points, eigenvalues, kinds):
    """As :func:`~fastmodes.kernels.modes.stability.optimal_stability`, one point after the other.

    Parameters
    ----------
    points : float64 array (point, 6)
        Teacher w* and p, position s, feedback f there, propagator at w*, horizon (0: endless).
    eigenvalues : float64 array (3, point)
        Result.
    kinds : int8 array (point,)
        Result: index into KINDS.
    """
    for i in range(len(points)):
        low, high, imaginary, kind = eigenvalue_pair(
            points[i, 0], points[i, 1], points[i, 2], points[i, 3], points[i, 4], points[i, 5]
        )
        eigenvalues[0, i], eigenvalues[1, i], eigenvalues[2, i], kinds[i] = low, high, imaginary, kind
