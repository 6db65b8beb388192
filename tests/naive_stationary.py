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
