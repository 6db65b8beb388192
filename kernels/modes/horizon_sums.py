"""The sum over the horizon, G = 1 + y + .. + y^(tau - 1), and its derivative by y, on arrays."""

import numpy as np


def horizon_sums(y, horizon):
    """G and G' without a division, so that nothing cancels where y comes near 1; endless for horizon 0.

    The binary digits of the horizon from the top: a digit doubles, ``G_2m = G_m (1 + y^m)``, a one adds a term,
    ``G_{m+1} = 1 + y G_m``; the derivatives follow by the product rule. Sums beyond the largest number are infinite.

    Parameters
    ----------
    y : array
        Below 1 in modulus where the horizon is endless.
    horizon : array, broadcastable
        Whole numbers >= 0.

    Returns
    -------
    sums, slopes : array
    """
    y, horizon = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(horizon, dtype=float))
    sums, slopes = np.empty(y.shape), np.empty(y.shape)
    with np.errstate(all="ignore"):
        for steps in np.unique(horizon):
            here = horizon == steps
            x = y[here]
            sums[here], slopes[here] = (1 / (1 - x), 1 / (1 - x) ** 2) if steps == 0 else _finite(x, int(steps))
    return sums, slopes


def _finite(y, steps):
    g, slope, power, power_slope = np.zeros_like(y), np.zeros_like(y), np.ones_like(y), np.zeros_like(y)
    for digit in f"{steps:b}":
        slope, g = slope * (power + 1) + g * power_slope, g * (1 + power)
        power, power_slope = power * power, 2 * power * power_slope
        if digit == "1":
            slope, g = y * slope + g, 1 + y * g
            power, power_slope = power * y, y * power_slope + power
    return g, slope
