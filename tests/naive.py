"""Naive twins: the definitions of theory.md in plain NumPy, importing nothing of the package."""

import numpy as np


def propagator_matrix(kind, decay, w):
    if kind == "recurrent":
        return w
    if kind == "recurrent_diagonal":
        return np.diag(np.diagonal(w))
    return np.diag(np.broadcast_to(decay, len(w)))


def sign_feedback(a, scale):
    """F = s sign(A), entry by entry."""
    return np.array([[scale * (int(x > 0) - int(x < 0)) for x in row] for row in a])


def sampled(kind, decay, horizon, f, network, teacher, inputs, loss):
    """Update by the definition, one sample, one time and one step back after another."""
    a, w, b = network
    samples, steps = inputs.shape[:2]
    p = propagator_matrix(kind, decay, w)
    value = 0.0
    da, dw, db = np.zeros_like(a), np.zeros_like(w), np.zeros_like(b)
    times = [steps] if loss == "final" else range(1, steps + 1)
    for x in inputs:
        h, g = [np.zeros(len(w))], [np.zeros(len(teacher[1]))]
        for t in range(steps):
            h.append(w @ h[t] + b @ x[t])
            g.append(teacher[1] @ g[t] + teacher[2] @ x[t])
        for t in times:
            error = a @ h[t] - teacher[0] @ g[t]
            value += 0.5 * error @ error
            da += np.outer(error, h[t])
            credit = f.T @ error
            for j in range(min(horizon or steps, t)):
                dw += np.outer(credit, h[t - 1 - j])
                db += np.outer(credit, x[t - 1 - j])
                credit = p.T @ credit
    scale = samples * len(times)
    return value / scale, da / scale, dw / scale, db / scale


def expected(kind, decay, horizon, f, network, teacher, steps, loss):
    """Expected update by the double sums, every power formed."""
    a, w, b = network
    p = propagator_matrix(kind, decay, w)
    value = 0.0
    da, dw, db = np.zeros_like(a), np.zeros_like(w), np.zeros_like(b)
    times = [steps] if loss == "final" else range(1, steps + 1)
    power = np.linalg.matrix_power
    m = [a @ power(w, k) @ b - teacher[0] @ power(teacher[1], k) @ teacher[2] for k in range(steps)]
    for t in times:
        value += 0.5 * sum(np.sum(m[k] ** 2) for k in range(t))
        da += sum(m[k] @ b.T @ power(w.T, k) for k in range(t))
        for j in range(min(horizon or steps, t)):
            back = power(p.T, j) @ f.T
            db += back @ m[j]
            for k in range(j + 1, t):
                dw += back @ m[k] @ b.T @ power(w.T, k - 1 - j)
    return tuple(v / len(times) for v in (value, da, dw, db))


def output_loss(network, teacher, steps, loss):
    """Expected loss alone, without conjugation: also for complex-step derivatives."""
    a, w, b = network
    x, y = b.astype(np.result_type(b, w)), teacher[2]
    value = 0.0
    for k in range(steps):
        m = a @ x - teacher[0] @ y
        weight = 1.0 if loss == "final" else (steps - k) / steps
        value = value + 0.5 * weight * np.sum(m * m)
        x, y = w @ x, teacher[1] @ y
    return value
