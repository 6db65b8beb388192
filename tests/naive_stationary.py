"""Naive twins of expected updates with O(T) sums, in plain NumPy, importing nothing of the package."""

import numpy as np


def propagator(kind, decay, w):
    if kind == "recurrent":
        return w
    if kind == "recurrent_diagonal":
        return np.diag(np.diagonal(w))
    return np.diag(np.broadcast_to(decay, len(w)))


def expected(kind, decay, horizon, f, network, teacher, steps, loss="final"):
    """(loss, Delta A, Delta W, Delta B) by the sums of theory section 3, one step after another."""
    (a, w, b), (ta, tw, tb) = network, teacher
    back = propagator(kind, decay, w).T
    m, x, y = np.empty((steps, len(a), b.shape[1])), b.copy(), tb.copy()
    for k in range(steps):
        m[k] = a @ x - ta @ y
        x, y = w @ x, tw @ y
    c = np.ones(steps) if loss == "final" else (steps - np.arange(steps)) / steps
    value = 0.5 * np.sum(c * np.sum(m * m, axis=(1, 2)))
    m = m * c[:, None, None]
    g = np.zeros((steps + 1, *a.shape))
    for j in range(steps - 1, -1, -1):
        g[j] = m[j] @ b.T + g[j + 1] @ w.T
    dw, db = np.zeros_like(w), np.zeros_like(b)
    for j in range(min(horizon or steps, steps) - 1, -1, -1):
        dw = back @ dw + f.T @ g[j + 1]
        db = back @ db + f.T @ m[j]
    return value, g[0], dw, db


def output_power(network, teacher, steps):
    """1/2 sum_k ||A W^k B - A* W*^k B*||^2 without conjugation: also for complex-step derivatives."""
    (a, w, b), (ta, tw, tb) = network, teacher
    value, x, y = 0.0, b, tb
    for _ in range(steps):
        m = a @ x - ta @ y
        value = value + 0.5 * np.sum(m * m)
        x, y = w @ x, tw @ y
    return value


def with_filter(network, f, g, c, d):
    """(A', W', B') of a network that reads x = C z + D n, z_{t+1} = F z + G n, and carries z beside its units."""
    a, w, b = network
    zeros = np.zeros((len(f), len(w)))
    return np.hstack([a, 0 * a[:, :1] @ c[:1]]), np.block([[w, b @ c], [zeros, f]]), np.vstack([b @ d, g])
