"""Naive twins of the quality of updates: the definitions in plain NumPy, importing nothing of the package."""

import itertools

import numpy as np


def flat(parts, learns=(1.0, 1.0, 1.0)):
    return np.concatenate([(np.asarray(part) * on).ravel() for part, on in zip(parts, learns, strict=True)])


def cosine(u, g):
    return float(sum(x * y for x, y in zip(u, g, strict=True)) / np.sqrt(sum(u * u) * sum(g * g)))


def bias(u, g):
    return float(np.linalg.norm(u - g) / np.linalg.norm(g))


def leaky(network, alpha):
    """The plain network that runs as the leaky one."""
    a, w, b = network
    return a, (1 - alpha) * np.eye(len(w)) + alpha * w, alpha * b


def sign_flips(differences):
    """Two-sided p of a paired test by all sign flips of the mean difference."""
    observed = np.mean(differences)
    means = [np.mean(np.array(s) * differences) for s in itertools.product((1, -1), repeat=len(differences))]
    slack = 1e-12 * max(abs(observed), 1e-300)
    low, high = (np.mean([m <= observed + slack for m in means]), np.mean([m >= observed - slack for m in means]))
    return min(1.0, 2 * min(low, high))


def holm(values):
    """Holm's adjusted p of a family."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = largest
    return adjusted
