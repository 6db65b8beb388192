"""Naive twins of nonlinear and leaky networks (theory section 12), importing nothing of the package."""

import numpy as np


def phi(kind, u):
    """The nonlinearity and its derivative; complex arguments are analytic continuations."""
    if kind == "tanh":
        return np.tanh(u), 1 - np.tanh(u) ** 2
    if kind == "relu":
        return np.where(np.real(u) > 0, u, 0.0 * u), np.where(np.real(u) > 0, 1.0, 0.0)
    return u, np.ones_like(u)


def states(network, kind, leak, x, start=None):
    """h_0 .. h_T and phi'(u_0) .. phi'(u_{T-1}) on one sequence."""
    _, w, b = network
    h = [np.zeros(len(w), dtype=w.dtype) if start is None else start]
    slopes = []
    for given in x:
        value, slope = phi(kind, w @ h[-1] + b @ given)
        h.append((1 - leak) * h[-1] + leak * value)
        slopes.append(slope)
    return h, slopes


def errors(network, kind, leak, teacher, teacher_kind, x, loss):
    """Time and output error of every step that counts."""
    h, _ = states(network, kind, leak, x)
    g, _ = states(teacher, teacher_kind, 1.0, x)
    times = [len(x)] if loss == "final" else range(1, len(x) + 1)
    return [(t, network[0] @ h[t] - teacher[0] @ g[t]) for t in times]


def back(propagator, decay, w, leak, slope, q):
    """Credit one step back: from the state after u to the state before it, as the rule has it."""
    if propagator == "recurrent":
        jacobian = (1 - leak) * np.eye(len(w)) + leak * np.diag(slope) @ w
        return jacobian.T @ q
    if propagator == "recurrent_diagonal":
        return ((1 - leak) + leak * slope * np.diagonal(w)) * q
    return np.broadcast_to(decay, len(w)) * q


def sampled(rule, f, network, units, teacher, inputs, loss, teacher_kind="identity"):
    """Update by the definition: every error of every sample is carried back on its own, one step after another.

    ``rule`` is (propagator, decay, horizon), ``units`` (kind, leak).
    """
    (propagator, decay, horizon), (kind, leak) = rule, units
    a, w, b = network
    value, da, dw, db = 0.0, np.zeros_like(a), np.zeros_like(w), np.zeros_like(b)
    count = 0
    for x in inputs:
        h, slopes = states(network, kind, leak, x)
        for t, error in errors(network, kind, leak, teacher, teacher_kind, x, loss):
            count += 1
            value += 0.5 * error @ error
            da += np.outer(error, h[t])
            q = f.T @ error
            for j in range(min(horizon or len(x), t)):
                taken_in = leak * slopes[t - 1 - j] * q
                dw += np.outer(taken_in, h[t - 1 - j])
                db += np.outer(taken_in, x[t - 1 - j])
                q = back(propagator, decay, w, leak, slopes[t - 1 - j], q)
    return value / count, da / count, dw / count, db / count


def traced(rule, f, network, units, teacher, inputs, loss):
    """The same over the full horizon by traces carried forward, one for each weight, as RFLO and e-prop are published.

    A trace takes in leak phi'(u) h; RTRL's has one entry for every unit that a weight acts on.
    """
    (propagator, decay), (kind, leak) = rule, units
    _, w, b = network
    n, m = b.shape
    dw, db = np.zeros_like(w), np.zeros_like(b)
    count = 0
    for x in inputs:
        h, slopes = states(network, kind, leak, x)
        wanted = dict(errors(network, kind, leak, teacher, "identity", x, loss))
        trace_w, trace_b = np.zeros((n, n, n)), np.zeros((n, n, m))
        for t in range(len(x)):
            if propagator == "recurrent":
                forward = (1 - leak) * np.eye(n) + leak * slopes[t][:, None] * w
            elif propagator == "recurrent_diagonal":
                forward = np.diag((1 - leak) + leak * slopes[t] * np.diagonal(w))
            else:
                forward = np.diag(np.broadcast_to(decay, n))
            trace_w = np.einsum("lm,mij->lij", forward, trace_w)
            trace_b = np.einsum("lm,mij->lij", forward, trace_b)
            for i in range(n):
                trace_w[i, i] += leak * slopes[t][i] * h[t]
                trace_b[i, i] += leak * slopes[t][i] * x[t]
            if t + 1 in wanted:
                count += 1
                signal = f.T @ wanted[t + 1]
                dw += np.einsum("l,lij->ij", signal, trace_w)
                db += np.einsum("l,lij->ij", signal, trace_b)
    return dw / count, db / count


def loss_of(network, kind, leak, teacher, inputs, loss):
    """The loss alone, without conjugation: also for complex-step derivatives."""
    found = [error for x in inputs for _, error in errors(network, kind, leak, teacher, "identity", x, loss)]
    return sum(0.5 * np.sum(error * error) for error in found) / len(found)
