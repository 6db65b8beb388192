"""Plain twins of the mode kernels: direct sums over time, importing nothing of the package."""

import numpy as np


def mode_update(w, a, b, teacher, product, f, pi, steps, horizon=None, sequence=False, zero=0.0):
    """(Delta w, Delta a, Delta b) by summing m_k over time; any number type, complex and mpmath included.

    Finite T: m_k = a b w^k - p w*^k, weights (T-k)/T for the sequence loss, horizon capped by T.
    """
    horizon = steps if horizon is None else min(horizon, steps)
    weight = [(steps - k) / steps if sequence else 1.0 for k in range(steps)]
    error = [weight[k] * (a * b * w**k - product * teacher**k) for k in range(steps)]
    da = sum((error[k] * b * w**k for k in range(steps)), zero)
    db = sum((f * pi**j * error[j] for j in range(horizon)), zero)
    dw = zero
    for j in range(horizon):
        for k in range(j + 1, steps):
            dw = dw + f * pi**j * error[k] * b * w ** (k - 1 - j)
    return dw, da, db


def endless_update(w, a, b, teacher, product, f, pi, horizon=None):
    """(Delta w, Delta a, Delta b) for T = infinity, from the formulas of the theory."""

    def credit(x):
        return 1 / (1 - x) if horizon is None else sum(x**j for j in range(horizon))

    q = a * b
    da = b * (q / (1 - w * w) - product / (1 - w * teacher))
    db = f * (q * credit(pi * w) - product * credit(pi * teacher))
    own = q * w * credit(pi * w) / (1 - w * w)
    return f * b * (own - product * teacher * credit(pi * teacher) / (1 - w * teacher)), da, db


def velocity(y, rule, teacher, product, feedback):
    """Flow's right-hand side for y = (w, a, b); rule = (readout feedback, moving propagator, decay, horizon)."""
    readout, moving, decay, horizon = rule
    w, a, b = y
    f, pi = (a if readout else feedback), (w if moving else decay)
    return -np.array(endless_update(w, a, b, teacher, product, f, pi, horizon))


def complex_step_jacobian(function, y):
    """Derivatives of a real-analytic function, exact to rounding."""
    columns = []
    for i in range(len(y)):
        shifted = np.array(y, dtype=complex)
        shifted[i] += 1e-200j
        columns.append(np.imag(function(shifted)) / 1e-200)
    return np.stack(columns, axis=-1)


def optimal_coefficients(name, teacher, product, s, feedback=1.0, decay=0.5):
    """c1 and c0 of the published closed forms on (w, a, b) = (w*, s, p/s)."""
    p, r, d, e = product, feedback, 1 - teacher**2, 1 - decay * teacher
    b2 = p**2 / s**2
    if name == "BPTT":
        return p**2 * (1 + teacher**2) / d**3 + (s**2 + b2) / d, p**2 * (s**2 + b2) / d**4
    if name == "tBPTT(1)":
        return p**2 / d**2 + b2 / d + s**2, p**2 * (s**2 + b2) / d**2
    if name == "RFLO":
        c1 = r * p**2 * (1 - decay * teacher**3) / (s * d**2 * e**2) + b2 / d + r * s / e
        return c1, r * p**2 * (p**2 + r * s**3) / (s**3 * d**2 * e**2)
    c1 = r * p**2 * (1 + teacher**2) / (s * d**3) + b2 / d + r * s / d
    return c1, r * p**2 * (p**2 + r * s**3) / (s**3 * d**4)
