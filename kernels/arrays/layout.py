"""How networks lie in memory for the kernels: eight side by side where small, else one at a time, padded.

Which of the two is decided by the hidden size alone, so that a network's numbers never depend on how many others are
computed with it. Padding units are zero and stay zero under every rule.
"""

import dataclasses
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from ..simd.lanes import WIDTH

#: Hidden sizes up to this lie eight networks side by side: below it a network alone leaves lanes empty. Measured by
#: benchmarks/suite/bench_kernels.py.
LARGEST_SIDE_BY_SIDE = 6


def padded(count):
    """Smallest multiple of the lanes' width that holds ``count``."""
    return -(-count // WIDTH) * WIDTH


def carve(shapes):
    """One flat array of zeros, and the places in it where matrices of these shapes begin, one after the other."""
    # Plain numbers: NumPy's functions cost more than a small network's update.
    *begins, end = itertools.accumulate(map(math.prod, shapes), initial=0)
    return np.zeros(end), begins


def aligned_zeros(shape):
    """Zeros that begin on a cache line: loads of eight numbers then never lie across two, which costs a third more."""
    raw = np.zeros(math.prod(shape) + WIDTH)
    begin = -(raw.ctypes.data // raw.itemsize) % WIDTH
    return raw[begin : begin + math.prod(shape)].reshape(shape)


class Network(NamedTuple):
    """A (n_out, n_hidden), W (n_hidden, n_hidden), B (n_hidden, n_in), or their updates; one network or eight."""

    readout: Any
    recurrent: Any
    input: Any


@dataclasses.dataclass(frozen=True)
class Layout:
    """Sizes of a network and its place in memory.

    Parameters
    ----------
    n_out, n_hidden, n_in : int
    side_by_side : bool
        Eight networks in one array (last axis), or one padded network.
    """

    n_out: int
    n_hidden: int
    n_in: int
    side_by_side: bool

    @property
    def networks(self):
        """Networks in one block: 8 or 1."""
        return WIDTH if self.side_by_side else 1

    @property
    def _shapes(self):
        out, hidden, inputs = self.n_out, self.n_hidden, self.n_in
        if self.side_by_side:
            return (out, hidden, WIDTH), (hidden, hidden, WIDTH), (hidden, inputs, WIDTH)
        hidden, inputs = padded(hidden), padded(inputs)
        return (out, hidden), (hidden, hidden), (hidden, inputs)

    def zeros(self):
        """One flat array of zeros and the Network of views of it."""
        flat, _ = carve(self._shapes)
        return flat, self.views(flat)

    def views(self, flat):
        """The Network of views of a flat array as :meth:`zeros` gives it."""
        ends = itertools.accumulate(map(math.prod, self._shapes))
        return Network(*(flat[e - math.prod(s) : e].reshape(s) for e, s in zip(ends, self._shapes, strict=True)))

    def put(self, network, place, source):
        """Copy the three matrices of ``source`` into ``network`` at one place of the block."""
        for target, matrix in zip(network, source, strict=True):
            matrix = np.asarray(matrix)
            target[self._where(matrix.shape, place)] = matrix

    def get(self, network, place):
        """Copies of the three matrices at one place of the block, as a Network."""
        shapes = (self.n_out, self.n_hidden), (self.n_hidden, self.n_hidden), (self.n_hidden, self.n_in)
        return Network(*(array[self._where(shape, place)].copy() for array, shape in zip(network, shapes, strict=True)))

    def readout_like(self, matrices):
        """Matrices (n_out, n_hidden) of the networks of a block, a feedback for example, as the kernels want them."""
        together = np.zeros(self._shapes[0])
        for place, matrix in enumerate(matrices):
            together[self._where(matrix.shape, place)] = matrix
        return together

    def hidden_like(self, vector):
        """The vector (n_hidden,) that all networks of a block share, as the kernels want it."""
        together = np.zeros(self._shapes[1][1:])
        together[: self.n_hidden] = np.asarray(vector)[:, None] if self.side_by_side else vector
        return together

    def input_like(self, sequence):
        """A sequence (steps, rows, n_in) that all networks of a block share, its last axis padded where needed."""
        sequence = np.ascontiguousarray(sequence)
        if self.side_by_side:
            return sequence
        return np.pad(sequence, ((0, 0), (0, 0), (0, padded(self.n_in) - self.n_in)))

    def _where(self, shape, place):
        rows, columns = shape
        return np.s_[:rows, :columns, place] if self.side_by_side else np.s_[:rows, :columns]


def layout_for(n_out, n_hidden, n_in):
    """Layout of networks of these sizes under expected updates."""
    return Layout(n_out, n_hidden, n_in, n_hidden <= LARGEST_SIDE_BY_SIDE)


def single_layout(n_out, n_hidden, n_in):
    """Layout of one network at a time whatever its size: sampled updates fill the lanes with samples."""
    return Layout(n_out, n_hidden, n_in, False)
