"""Optimisers: plain gradient descent and Adam (Kingma and Ba 2015), with clipping by norm.

All parameters of a block lie in one flat array, eight networks side by side or one network alone, so that every lane of
a vector belongs to one of eight networks, or all to the same.

    SGD       theta <- theta - eta g
    momentum  m <- beta_1 m + g,                   theta <- theta - eta m
    Adam      m <- beta_1 m + (1 - beta_1) g,      v <- beta_2 v + (1 - beta_2) g^2
              theta <- theta - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    clip      g <- g min(1, clip_norm / (||g|| + 1e-6)), the norm over all parameters of a network

Where entries learn at rates of their own (:class:`Plasticity`), g <- gain g before clipping, g <- g + decay (theta -
anchor) after it, and eta is multiplied by the entry's rate. A leak alpha needs no more than this: on the effective
matrices W_e = (1 - alpha) I + alpha W, B_e = alpha B, gain and rate of W and B are alpha (theory section 10).
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import inlined
from ..simd.lanes import WIDTH, fma, less, load, minimum, select, splat, sqrt, store, total

SGD, ADAM, MOMENTUM = range(3)


class Optimizer(NamedTuple):
    """What kind and how fast; ``clip_norm`` is inf where nothing is clipped."""

    kind: int
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    clip_norm: float


class Plasticity(NamedTuple):
    """What every parameter makes of its gradient: arrays as flat as the parameters, or empty ones, where all are equal.

    ``gain`` of the gradient (0: the parameter is frozen, in every bit), ``rate`` relative to the optimiser's, weight
    ``decay`` towards ``anchor``.
    """

    gain: Any
    rate: Any
    decay: Any
    anchor: Any


def equal_plasticity():
    """All parameters learn alike."""
    return Plasticity(*(np.zeros(0) for _ in Plasticity._fields))


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
def _apply_gain(plasticity, gradient):
    for i in range(0, len(gradient), WIDTH):
        gain = load(plasticity.gain, (i,))
        # A frozen entry's gradient may be anything, an overflow as well.
        frozen = less(gain, 1e-300)
        store(gradient, (i,), select(frozen, splat(0.0), load(gradient, (i,)) * gain))


@inlined
def _apply_scale_and_decay(plasticity, scale, theta, gradient):
    for i in range(0, len(gradient), WIDTH):
        pull = load(plasticity.decay, (i,)) * (load(theta, (i,)) - load(plasticity.anchor, (i,)))
        store(gradient, (i,), fma(load(gradient, (i,)), scale, pull))


@inlined
def _rate(plasticity, i):
    return load(plasticity.rate, (i,)) if len(plasticity.rate) > 0 else splat(1.0)


@inlined
def _prepare(optimizer, plasticity, parameters, side_by_side):
    """Gains, clipping and decay of the gradient; the factor by which it is still to be scaled."""
    theta, gradient = parameters.values, parameters.gradient
    plastic = len(plasticity.gain) > 0
    if plastic:
        _apply_gain(plasticity, gradient)
    scale = splat(1.0)
    if optimizer.clip_norm < np.inf:
        scale = _clipping(optimizer, gradient, side_by_side)
    if plastic:
        _apply_scale_and_decay(plasticity, scale, theta, gradient)
        scale = splat(1.0)
    return scale


@inlined
def optimizer_step(optimizer, plasticity, eta, count, parameters, side_by_side):
    """Make step number ``count`` (1, 2, ...), of size ``eta``, in the lanes that learn."""
    theta, gradient = parameters.values, parameters.gradient
    awake = less(0.5, load(parameters.learning, (0,)))
    scale = _prepare(optimizer, plasticity, parameters, side_by_side)
    first, second = parameters.first_moment, parameters.second_moment
    keep_1, keep_2 = optimizer.beta_1, optimizer.beta_2
    if optimizer.kind != ADAM:
        step = scale * eta
        for i in range(0, len(theta), WIDTH):
            g, old = load(gradient, (i,)), load(theta, (i,))
            if optimizer.kind == MOMENTUM:
                # Here the scale goes into the moment; the step is eta alone.
                g = fma(keep_1, load(first, (i,)), g * scale)
                store(first, (i,), g)
                new = fma(-eta * _rate(plasticity, i), g, old)
            else:
                new = fma(-step * _rate(plasticity, i), g, old)
            store(theta, (i,), select(awake, new, old))
        return
    step, root = eta / (1.0 - keep_1**count), 1.0 / np.sqrt(1.0 - keep_2**count)
    for i in range(0, len(theta), WIDTH):
        g, old = load(gradient, (i,)) * scale, load(theta, (i,))
        m = fma(keep_1, load(first, (i,)), (1.0 - keep_1) * g)
        v = fma(keep_2, load(second, (i,)), (1.0 - keep_2) * (g * g))
        store(first, (i,), m)
        store(second, (i,), v)
        new = old - step * _rate(plasticity, i) * m / (sqrt(v) * root + optimizer.epsilon)
        store(theta, (i,), select(awake, new, old))
