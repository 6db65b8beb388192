"""The loss as half the squared H2 norm of the error system, to full accuracy also where the error is small.

Student and teacher make one system with h_{t+1} = Wb h_t + Bb x_t and output error eps = Ab h, Wb = diag(W, W*),
Bb = (B, B*), Ab = (A, -A*). With the state's covariance S_T = sum_{k<T} Wb^k Bb Bb^T (Wb^T)^k = L L^T,

    1/2 sum_k c_k ||Ab Wb^k Bb||^2 = 1/2 tr(Ab S_T Ab^T) = 1/2 ||Ab L||^2

(c_k = 1 or (T-k)/T; T to infinity: H2). The traces of S_T cancel when student and teacher agree, down to about 1e-16 of
the teacher's output power; ||Ab L||^2 cancels before it is squared, down to 1e-32, and is never negative.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import leave_if_stopped
from ..kernels.updates.doubling import NEGLIGIBLE

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..typing import FloatArray, LossName

#: Beyond this many doublings a system counts as not stable: spectral radius above about 1 - 20 / 2^40.
MOST_DOUBLINGS = 40


#: A power this large will not come back, and its square does not overflow.
_LARGE = 1e100


def _compressed(*factors: FloatArray) -> FloatArray:
    """Factor with no more columns than rows and the same covariance as the factors side by side."""
    together = np.concatenate(factors, axis=1)
    if together.shape[1] <= together.shape[0]:
        return together
    triangle: Any = np.linalg.qr(together.T, mode="r")
    return triangle.T


def covariance_factors(w: FloatArray, b: FloatArray, steps: float, weighted: bool = False) -> tuple[FloatArray, ...]:
    """L with L L^T = S_T, and with ``weighted`` also the factor of S_1 + ... + S_T; by doubling, O(n^3 log T).

    Parameters
    ----------
    w, b : array (n, n), (n, inputs)
    steps : int or inf
    weighted : bool
        For finite ``steps`` only.

    Returns
    -------
    tuple of array
        Infinite where infinitely many terms do not converge.
    """
    if steps == math.inf:
        return (_infinite_factor(w, _compressed(b)),)
    base, power = _compressed(b), w
    sums = [base, base] if weighted else [base]
    count = 1
    for bit in f"{steps:b}"[1:]:
        leave_if_stopped()
        if np.sum(power**2) <= NEGLIGIBLE:
            if weighted:
                sums[1] = _compressed(sums[1], math.sqrt(steps - count) * sums[0])
            break
        if weighted:
            sums[1] = _compressed(sums[1], math.sqrt(count) * sums[0], power @ sums[1])
        sums[0] = _compressed(sums[0], power @ sums[0])
        power, count = power @ power, 2 * count
        if bit == "1":
            sums[0] = _compressed(base, w @ sums[0])
            if weighted:
                sums[1] = _compressed(sums[1], sums[0])
            power, count = power @ w, count + 1
    return tuple(sums)


def _infinite_factor(w: FloatArray, factor: FloatArray) -> FloatArray:
    power = w
    for _ in range(MOST_DOUBLINGS):
        leave_if_stopped()
        reach = np.abs(power).sum()
        if reach**2 <= NEGLIGIBLE:
            return factor
        if not reach < _LARGE:
            break
        factor, power = _compressed(factor, power @ factor), power @ power
    return np.full_like(factor, math.inf)


def joint_system(
    student: LinearRNN, teacher: LinearRNN, root: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(Ab, Wb, Bb) of student and teacher side by side; ``root`` is a square root of the input covariance."""
    b = np.concatenate([student.input, teacher.input])
    corner = np.zeros((student.n_hidden, teacher.n_hidden))
    return (
        np.concatenate([student.readout, -teacher.readout], axis=1),
        np.block([[student.recurrent, corner], [corner.T, teacher.recurrent]]),
        b if root is None else b @ root,
    )


def error_loss(
    student: LinearRNN, teacher: LinearRNN, steps: float, *, loss: LossName = "final", root: FloatArray | None = None
) -> float:
    """Expected loss, accurate to rounding relative to ``||Ab||^2 ||S||`` times the relative error itself.

    Parameters
    ----------
    student, teacher : LinearRNN
    steps : int or inf
    loss : {"final", "sequence"}
    root : array (n_in, n_in), optional
        Square root of the input covariance.
    """
    # Sums of squares of finite numbers: what is not a number has overflowed on the way, and the loss is infinite.
    with np.errstate(all="ignore"):
        value = _half_power(*joint_system(student, teacher, root), steps, loss)
    return math.inf if math.isnan(value) else value


def power_loss(network: LinearRNN, steps: float, *, loss: LossName = "final", root: FloatArray | None = None) -> float:
    """1/2 sum_k c_k ||A W^k B||^2, the loss of a student without any output; infinite where that is.

    Nothing cancels here: the covariance itself is doubled, which is faster than its factor. Updates of many students
    ask for one teacher's again and again: the last few are remembered.
    """
    if root is None:
        return _remembered_power(network, steps, loss)
    with np.errstate(all="ignore"):
        value = _output_power(network, steps, loss, root)
    return math.inf if math.isnan(value) else value


@functools.lru_cache(maxsize=8)
def _remembered_power(network: LinearRNN, steps: float, loss: LossName) -> float:
    with np.errstate(all="ignore"):
        value = _output_power(network, steps, loss, None)
    return math.inf if math.isnan(value) else value


def _output_power(network: LinearRNN, steps: float, loss: LossName, root: FloatArray | None) -> float:
    a, w = network.readout, network.recurrent
    b = network.input if root is None else network.input @ root
    weighted = loss == "sequence" and steps != math.inf
    first = b @ b.T
    power, total, running, count = w, first, first, 1
    for bit in "0" * MOST_DOUBLINGS if steps == math.inf else f"{steps:b}"[1:]:
        leave_if_stopped()
        reach = (power**2).sum()
        if reach <= NEGLIGIBLE:
            break
        if steps == math.inf and not reach < _LARGE:
            return math.inf
        if weighted:
            running = running + count * total + power @ running @ power.T
        total, power, count = total + power @ total @ power.T, power @ power, 2 * count
        if bit == "1":
            total, power, count = first + w @ total @ w.T, power @ w, count + 1
            running = running + total
    else:
        if steps == math.inf:
            return math.inf
    if weighted:
        total = (running + (steps - count) * total) / steps
    return 0.5 * float(np.sum((a @ total) * a))


def _half_power(a: FloatArray, w: FloatArray, b: FloatArray, steps: float, loss: LossName) -> float:
    weighted = loss == "sequence" and steps != math.inf
    factor = covariance_factors(w, b, steps, weighted)[-1]
    if not np.isfinite(factor).all():
        return math.inf
    return 0.5 * float(np.sum((a @ factor) ** 2)) / (steps if weighted else 1)
