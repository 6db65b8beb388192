"""Optimisers: plain gradient descent and Adam (Kingma and Ba 2015), with clipping by norm.

All parameters of a block lie in one flat array, eight networks side by side or one network alone, so that every lane of
a vector belongs to one of eight networks, or all to the same.

    SGD    theta <- theta - eta g
    Adam   m <- beta_1 m + (1 - beta_1) g,      v <- beta_2 v + (1 - beta_2) g^2
           theta <- theta - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    clip   g <- g min(1, clip_norm / (||g|| + 1e-6)), the norm over all parameters of a network
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import inlined
from ..simd.lanes import WIDTH, fma, less, load, minimum, select, splat, sqrt, store, total

SGD, ADAM = range(2)


class Optimizer(NamedTuple):
    """What kind and how fast; ``clip_norm`` is inf where nothing is clipped."""

    kind: int
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    clip_norm: float


class Parameters(NamedTuple):
    """Flat parameters of a block, their gradient, Adam's moments, and which of the eight lanes still learn (1 or 0)."""

    values: Any
    gradient: Any
    first_moment: Any
    second_moment: Any
    learning: Any


def parameters(values, gradient):
    """Parameters of a block whose flat arrays are given; all lanes learn."""
    return Parameters(values, gradient, np.zeros_like(values), np.zeros_like(values), np.ones(WIDTH))


@inlined
def _clipping(optimizer, gradient, side_by_side):
    squares = splat(0.0)
    for i in range(0, len(gradient), WIDTH):
        g = load(gradient, (i,))
        squares = fma(g, g, squares)
    if not side_by_side:
        squares = splat(total(squares))
    return minimum(splat(1.0), optimizer.clip_norm / (sqrt(squares) + 1e-6))


@inlined
def optimizer_step(optimizer, count, parameters, side_by_side):
    """Make step number ``count`` (1, 2, ...) in the lanes that learn."""
    theta, gradient = parameters.values, parameters.gradient
    learning = parameters.learning
    awake = less(0.5, load(learning, (0,)))
    scale = splat(1.0)
    if optimizer.clip_norm < np.inf:
        scale = _clipping(optimizer, gradient, side_by_side)
    eta = optimizer.learning_rate
    if optimizer.kind == SGD:
        step = scale * eta
        for i in range(0, len(theta), WIDTH):
            old = load(theta, (i,))
            store(theta, (i,), select(awake, fma(-step, load(gradient, (i,)), old), old))
        return
    first, second = parameters.first_moment, parameters.second_moment
    keep_1, keep_2 = optimizer.beta_1, optimizer.beta_2
    step, root = eta / (1.0 - keep_1**count), 1.0 / np.sqrt(1.0 - keep_2**count)
    for i in range(0, len(theta), WIDTH):
        g, old = load(gradient, (i,)) * scale, load(theta, (i,))
        m = fma(keep_1, load(first, (i,)), (1.0 - keep_1) * g)
        v = fma(keep_2, load(second, (i,)), (1.0 - keep_2) * (g * g))
        store(first, (i,), m)
        store(second, (i,), v)
        new = old - step * m / (sqrt(v) * root + optimizer.epsilon)
        store(theta, (i,), select(awake, new, old))
