"""Coloured input and private noise while training: the larger network that updates see (theory section 15).

What is learned is A, W, B. With the input x_t = C z_t + D n_t of a filter z_{t+1} = F z_t + G n_t, and noise of
deviation sigma in every hidden unit, updates are those of

    W' = [[W, B C], [0, F]],      B' = [[B D, sigma I, 0], [G, 0, L]],      A' = [A, 0],      feedback [R, 0],

driven by white noise (the last columns are the filter's stationary start), and B learns from its two places there,

    Delta A = Delta A'[:, h],      Delta W = Delta W'[h, h],      Delta B = Delta W'[h, z] C^T + Delta B'[h, n] D^T.

Only what moves is written anew at every step: A, W, B C, B D and the feedback.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.products import product
from ..compile import by_dimensions, inlined, kernel
from ..simd.lanes import fma, load, splat, store


class Seen(NamedTuple):
    """What is learned, and its place in the larger network.

    ``own`` and ``own_update`` the networks that learn, ``values`` and ``gradient`` the flat arrays behind them,
    ``given`` (n_out, n_hidden) what their rule takes for R, ``units`` n_hidden, ``output`` C (n_in, n_state),
    ``direct`` D (n_in, n_noise), ``offset`` what is added to the loss.
    """

    own: Any
    own_update: Any
    values: Any
    gradient: Any
    given: Any
    units: int
    output: Any
    direct: Any
    offset: float


@inlined
def _copy_block_one(target, source, rows, columns):
    for i in range(rows):
        for j in range(columns):
            target[i, j] = source[i, j]


@inlined
def _copy_block_eight(target, source, rows, columns):
    for i in range(rows):
        for j in range(columns):
            store(target, (i, j, 0), load(source, (i, j, 0)))


@by_dimensions({2: _copy_block_one, 3: _copy_block_eight})
def _copy_block(target, source, rows, columns):
    """target = source, in the first rows and columns."""


@inlined
def _fold_one(target, source, rows, first, matrix):
    for i in range(rows):
        for k in range(matrix.shape[1]):
            total = 0.0
            for c in range(matrix.shape[0]):
                total += source[i, c] * matrix[c, k]
            target[i, first + k] = total


@inlined
def _fold_eight(target, source, rows, first, matrix):
    for i in range(rows):
        for k in range(matrix.shape[1]):
            total = splat(0.0)
            for c in range(matrix.shape[0]):
                total = fma(load(source, (i, c, 0)), matrix[c, k], total)
            store(target, (i, first + k, 0), total)


@by_dimensions({2: _fold_one, 3: _fold_eight})
def _fold(target, source, rows, first, matrix):
    """Columns of target from ``first`` on = source matrix."""


@inlined
def _unfold_one(target, source, rows, first, matrix, fresh):
    for i in range(rows):
        for c in range(matrix.shape[0]):
            total = 0.0 if fresh else target[i, c]
            for k in range(matrix.shape[1]):
                total += source[i, first + k] * matrix[c, k]
            target[i, c] = total


@inlined
def _unfold_eight(target, source, rows, first, matrix, fresh):
    for i in range(rows):
        for c in range(matrix.shape[0]):
            total = splat(0.0) if fresh else load(target, (i, c, 0))
            for k in range(matrix.shape[1]):
                total = fma(load(source, (i, first + k, 0)), matrix[c, k], total)
            store(target, (i, c, 0), total)


@by_dimensions({2: _unfold_one, 3: _unfold_eight})
def _unfold(target, source, rows, first, matrix, fresh):
    """target = (columns of source from ``first`` on) matrix^T, or += that."""


@inlined
def show(seen, network, feedback):
    """Bring the larger network, and its feedback, up to date."""
    own, n = seen.own, seen.units
    _copy_block(network.readout, own.readout, len(own.readout), n)
    _copy_block(feedback, seen.given, len(own.readout), n)
    _copy_block(network.recurrent, own.recurrent, n, n)
    _fold(network.recurrent, own.input, n, n, seen.output)
    _fold(network.input, own.input, n, 0, seen.direct)


@inlined
def take(seen, update):
    """The update of what is learned, from that of the larger network."""
    own, n = seen.own_update, seen.units
    _copy_block(own.readout, update.readout, len(own.readout), n)
    _copy_block(own.recurrent, update.recurrent, n, n)
    _unfold(own.input, update.input, n, 0, seen.direct, True)
    _unfold(own.input, update.recurrent, n, n, seen.output, False)


@inlined
def disturb(feedback, noise):
    """Add noise (n_out, n_hidden) to a feedback of one network."""
    for o in range(noise.shape[0]):
        for i in range(noise.shape[1]):
            feedback[o, i] += noise[o, i]


class Filter(NamedTuple):
    """A linear filter of white noise: F, G, C, D, and the root L of the covariance of its state at the start."""

    state: Any
    drive: Any
    output: Any
    direct: Any
    start: Any


@kernel
def colour_batches(colour, white, out):
    """Sequences out[epoch] (time, input, sample) from white numbers (epoch, row, sample).

    The first rows are the start's, then follow those of one time step after another.
    """
    n_state, n_noise, n_start = len(colour.state), colour.direct.shape[1], colour.start.shape[1]
    here, after = np.zeros((n_state, white.shape[2])), np.zeros((n_state, white.shape[2]))
    for epoch in range(len(out)):
        if n_state > 0:
            product(here, colour.start, white[epoch][:n_start], True)
        for t in range(out.shape[1]):
            first = n_start + t * n_noise
            noise = white[epoch][first : first + n_noise]
            product(out[epoch][t], colour.direct, noise, True)
            if n_state > 0:
                product(out[epoch][t], colour.output, here, False)
                product(after, colour.state, here, True)
                product(after, colour.drive, noise, False)
                here[:] = after
