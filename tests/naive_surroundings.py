"""Naive twins of coloured input and noise while learning: plain NumPy, by the definitions, nothing of the package."""

import numpy as np
from naive import propagator_matrix


def sampled(rule, f, network, teacher, batch, loss):
    """Update averaged over (inputs, noise of hidden units, noise of targets) of every sequence; rule: P's kind, decay,
    horizon.
    """
    (kind, decay, horizon), (a, w, b) = rule, network
    p = propagator_matrix(kind, decay, w)
    value, da, dw, db = 0.0, np.zeros_like(a), np.zeros_like(w), np.zeros_like(b)
    for x, own, wrong in zip(*batch, strict=True):
        steps = len(x)
        h, g = [np.zeros(len(w))], [np.zeros(len(teacher[1]))]
        for t in range(steps):
            h.append(w @ h[t] + b @ x[t] + own[t])
            g.append(teacher[1] @ g[t] + teacher[2] @ x[t])
        times = [steps] if loss == "final" else range(1, steps + 1)
        for place, t in enumerate(times):
            error = a @ h[t] - teacher[0] @ g[t] - wrong[place]
            value += 0.5 * error @ error / len(times)
            da += np.outer(error, h[t]) / len(times)
            credit = f.T @ error
            for j in range(min(horizon or steps, t)):
                dw += np.outer(credit, h[t - 1 - j]) / len(times)
                db += np.outer(credit, x[t - 1 - j]) / len(times)
                credit = p.T @ credit
    return value, da, dw, db


def input_root(steps, n_in, covariance=None, filter_=None):
    """Square root of the covariance of a whole sequence (steps n_in, ..), by powers of the filter's matrices."""
    if filter_ is None:
        return np.kron(np.eye(steps), np.linalg.cholesky(np.eye(n_in) if covariance is None else covariance))
    state, drive, output, direct = filter_
    stationary = sum(
        np.linalg.matrix_power(state, k) @ drive @ drive.T @ np.linalg.matrix_power(state, k).T for k in range(400)
    )
    values, vectors = np.linalg.eigh(stationary)
    start = vectors * np.sqrt(np.maximum(values, 0))
    power, count = np.linalg.matrix_power, direct.shape[1]
    whole = np.zeros((steps * n_in, start.shape[1] + steps * count))
    for t in range(steps):
        rows = slice(t * n_in, (t + 1) * n_in)
        whole[rows, : start.shape[1]] = output @ power(state, t) @ start
        for s in range(t + 1):
            place = start.shape[1] + s * count
            whole[rows, place : place + count] = direct if s == t else output @ power(state, t - 1 - s) @ drive
    return whole


def expected(rule, f, network, teacher, root, private, steps, loss):
    """Expected update: the sum over the columns of the input's root, and over impulses of every unit's noise."""
    n, n_in = len(network[1]), network[2].shape[1]
    inputs = [column.reshape(steps, n_in) for column in root.T]
    noise = [private * row.reshape(steps, n) for row in np.eye(steps * n)] if private else []
    quiet, silent = np.zeros((steps, n)), np.zeros((steps, n_in))
    true = np.zeros((steps, len(network[0])))
    both = [(x, quiet) for x in inputs] + [(silent, one) for one in noise]
    return sampled(rule, f, network, teacher, ([x for x, _ in both], [o for _, o in both], [true] * len(both)), loss)


class Student:
    """A student that learns by plain descent with momentum: leak, rates, mask and feedback that learns."""

    def __init__(
        self, weights, r, *, leak=1.0, rates=(0.05,) * 3, mask=1.0, momentum=0.0, feedback="readout", numbers=()
    ):
        self.weights, self.r, self.leak, self.rates, self.mask = [np.array(m) for m in weights], r, leak, rates, mask
        self.momentum, self.feedback, self.numbers = momentum, feedback, numbers
        self.moved = [np.zeros_like(m) for m in self.weights]

    def effective(self):
        a, w, b = self.weights
        return a, (1 - self.leak) * np.eye(len(w)) + self.leak * w, self.leak * b

    def f(self, noise=0.0):
        a = self.weights[0]
        if self.feedback == "readout":
            return a
        if self.feedback == "mixed":
            return self.numbers[0] * a + (1 - self.numbers[0]) * self.r + noise
        return self.r + noise

    def learn(self, changes):
        """``changes`` are those of the effective matrices."""
        gradient = [changes[0], self.leak * changes[1] * self.mask, self.leak * changes[2]]
        a, eta = self.weights[0].copy(), self.rates[0]
        self.moved = [self.momentum * m + g for m, g in zip(self.moved, gradient, strict=True)]
        steps = [rate * m for rate, m in zip(self.rates, self.moved, strict=True)]
        self.weights = [m - step for m, step in zip(self.weights, steps, strict=True)]
        if self.feedback == "kolen_pollack":
            (decay,) = self.numbers
            self.weights[0] = self.weights[0] - eta * decay * a
            self.r = self.r - steps[0] - eta * decay * self.r
        if self.feedback == "mirror":
            rate, decay = self.numbers
            self.r = self.r + eta * (rate * a - decay * self.r)
