"""NumPy twins of :mod:`~fastmodes.kernels.simd.lanes`: what its functions are under ``NUMBA_DISABLE_JIT=1``."""

import numpy as np

from .lanes import WIDTH


def aligned_stack():
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""


def out_of_line():
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""


def load(array, index):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return array[index[:-1]][..., index[-1] : index[-1] + WIDTH].copy()


def store(array, index, value):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    array[index[:-1]][..., index[-1] : index[-1] + WIDTH] = value


def store_bytes(array, index, value):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    array[index[:-1]][..., index[-1] : index[-1] + WIDTH] = value


def fetch(array, index):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""


def spread(array, index):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return np.full(WIDTH, array[index])


def splat(number):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return np.full(WIDTH, float(number))


def fma(a, b, c):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return a * b + c


def lowest(bits):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return (bits & -bits).bit_length() - 1


def total(value):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return ((value[0] + value[4]) + (value[2] + value[6])) + ((value[1] + value[5]) + (value[3] + value[7]))


def smaller(a, b):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return np.where(np.less(a, b), a, b)


def larger(a, b):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return np.where(np.greater(a, b), a, b)


def rough_eighth_root(value):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return ((np.asarray(value).view(np.int64) >> 3) + 0x37F2000000000000).view(np.float64)


def power_of_two(shifted):
    """As in :mod:`~fastmodes.kernels.simd.machine`."""
    return ((np.asarray(shifted).view(np.int64) << 52) + 0x3FF0000000000000).view(np.float64)


def bits(mask):
    """As in :mod:`~fastmodes.kernels.simd.lanes`."""
    return int(np.dot(mask, 1 << np.arange(WIDTH)))


negative, select, sqrt, absolute, minimum, maximum = np.signbit, np.where, np.sqrt, np.abs, np.fmin, np.fmax
less, less_equal, equal = np.less, np.less_equal, np.equal
either, both = np.logical_or, np.logical_and
with_sign_of = np.copysign
