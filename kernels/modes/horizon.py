"""The sum over the horizon, ``g_tau(y) = 1 + y + .. + y^(tau-1)``, on eight lanes, with its derivative."""

from ..compile import inlined
from ..simd.lanes import fma, less, select, splat


@inlined
def digit_count(horizon):
    """Binary digits of a horizon; 0 for the full one, which is 0."""
    digits = 0
    while int(horizon) >> digits > 0:
        digits += 1
    return digits


@inlined
def truncated(y, horizon, bits):
    """``g_horizon(y)`` and its derivative for horizons below ``2^bits``, without a division.

    The binary digits of the horizon from the top: a digit doubles, ``g_2m = g_m (1 + y^m)``, a one adds a term,
    ``g_{m+1} = 1 + y g_m``; the derivatives follow by the product rule.
    """
    g, slope = splat(0.0), splat(0.0)
    power, power_slope = splat(1.0), splat(0.0)
    rest = horizon
    for bit in range(bits - 1, -1, -1):
        slope = fma(slope, power + 1.0, g * power_slope)
        g = fma(g, power, g)
        power_slope = 2.0 * power * power_slope
        power = power * power
        weight = float(1 << bit)
        zero = less(rest, weight)
        rest = select(zero, rest, rest - weight)
        slope = select(zero, slope, fma(y, slope, g))
        g = select(zero, g, fma(y, g, 1.0))
        power_slope = select(zero, power_slope, fma(y, power_slope, power))
        power = select(zero, power, power * y)
    return g, slope


@inlined
def truncated_sum(y, horizon, bits):
    """``g_horizon(y)`` alone, as :func:`truncated`."""
    g, power, rest = splat(0.0), splat(1.0), horizon
    for bit in range(bits - 1, -1, -1):
        g = fma(g, power, g)
        power = power * power
        weight = float(1 << bit)
        zero = less(rest, weight)
        rest = select(zero, rest, rest - weight)
        g = select(zero, g, fma(y, g, 1.0))
        power = select(zero, power, power * y)
    return g
