"""Eigenvalues on the optimal manifold where w, a, b learn at rates of their own, in plain NumPy (theory section 10).

With the sums of :mod:`fastmodes.kernels.modes.stability`, every entry of the trace and every minor times the rates of
its rows:

    c1 = eta_w f b p A (G A + H) + eta_a b^2 A + eta_b f s G
    c0 = eta_w eta_a f b^3 p A^2 (G + H) + eta_w eta_b (f p G A)^2

the minor of a and b being 0. A leak is the rates eta_w alpha^2, eta_a, eta_b alpha^2: eigenvalues do not depend on the
coordinates, w_e or w.
"""

import numpy as np

from ..rule import READOUT, RECURRENT, RECURRENT_DIAGONAL
from .horizon_sums import horizon_sums
from .stability import KINDS


def rated_stability(points, rule):
    """Eigenvalues and kinds of points (point, (w*, p, s, r, propagator, horizon)) under a rule, at its rates.

    Returns
    -------
    values : array (3, point)
        Smaller and larger real part, and the imaginary part >= 0.
    kinds : int8 array (point,)
    """
    with np.errstate(all="ignore"):
        return _eigenvalues(*_coefficients(points, rule))


def _coefficients(points, rule):
    """c1 and c0."""
    w, p, s, r, decay, horizon = points.T
    f, pi = (s if rule.feedback == READOUT else r), (w if rule.propagator in (RECURRENT, RECURRENT_DIAGONAL) else decay)
    g, slope = horizon_sums(pi * w, horizon)
    h, alpha, b = pi * w * slope, 1 / (1 - w**2), p / s
    rate_w, rate_a, rate_b = rule.rates
    pull, drop = rate_w * f * b * p * alpha, rate_a * b**2 * alpha
    return pull * (g * alpha + h) + drop + rate_b * f * s * g, pull * drop * (g + h) + rate_w * rate_b * (
        f * p * g * alpha
    ) ** 2


def _eigenvalues(c1, c0):
    """Smaller and larger real part and imaginary part >= 0, (3, point), free of cancellation; and the kinds."""
    half = c1 / 2
    discriminant = half**2 - c0
    spiral, root = discriminant < 0, np.sqrt(np.abs(discriminant))
    far = -(half + np.copysign(root, half))
    near = np.divide(c0, far, out=np.zeros_like(c0), where=far != 0)
    low, high = (np.where(spiral, -half, pick(far, near)) for pick in (np.minimum, np.maximum))
    found = np.stack([low, high, np.where(spiral, root, 0.0)])
    stable = c1 > 0
    conditions = {
        "not_representable": ~np.isfinite(found).all(axis=0),
        "saddle": c0 < 0,
        "marginal": (c0 == 0) | (c1 == 0),
        "stable_spiral": spiral & stable,
        "unstable_spiral": spiral,
        "stable_node": stable,
    }
    codes = [KINDS.index(name) for name in conditions]
    kinds = np.select(list(conditions.values()), codes, KINDS.index("unstable_node"))
    return found, kinds.astype(np.int8)
