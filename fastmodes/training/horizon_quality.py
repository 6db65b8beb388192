"""How well truncated BPTT follows the exact gradient, at every horizon in one pass (theory sections 3 and 4).

Delta W and Delta B are sums over the steps j that credit goes back, of which tBPTT(tau) has the first tau:

    Delta W(tau) = sum_{j < tau} (W^T)^j A^T G_j,    Delta B(tau) = sum_{j < tau} (W^T)^j A^T c_j M_j

with G_{j-1} = c_j M_j B^T + G_j W^T from G_{T-1} = 0, c_k the weights of the loss; Delta A is the gradient's at every
horizon. At infinitely many steps G_j = A W^{j+1} Pg - A* W*^{j+1} Qg, with the covariances Pg = W Pg W^T + B B^T and
Qg = W* Qg W^T + B* B^T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import leave_if_stopped
from ..networks.leaky import effective_matrices
from ..networks.running import impulse_response
from ..updates.one import loss_weights

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..typing import FloatArray
    from .quality import Problem

    #: G_j and c_j M_j of all students, at one j.
    _Errors = tuple[FloatArray, FloatArray]

#: Doublings of a sum until which its powers must have vanished.
_DOUBLINGS = 60


def truncated_updates(
    weights: Sequence[FloatArray], problem: Problem, longest: int
) -> tuple[FloatArray, list[FloatArray]]:
    """Delta A, and what every step j back adds to (Delta W, Delta B), for many students.

    Parameters
    ----------
    weights : (A, W, B)
        Each (student, ...), the students' own.
    problem : Problem
    longest : int
        Steps back, at most T.

    Returns
    -------
    readout : array (student, n_out, n_hidden)
    parts : list of array
        Of W (horizon, student, n_hidden, n_hidden), of B (horizon, student, n_hidden, n_in).
    """
    a, own, own_b = (np.asarray(part) for part in weights)
    w, b = effective_matrices(own, own_b, problem.leak)
    with np.errstate(all="ignore"):
        if problem.steps == math.inf:
            readout, errors = _endless(a, w, b, problem.teacher, longest)
        else:
            readout, errors = _finite(a, w, b, problem, longest)
        credit, parts = a, [np.empty((longest, *own.shape)), np.empty((longest, *own_b.shape))]
        for j, (carried, error) in enumerate(errors):
            back = credit.swapaxes(1, 2)
            parts[0][j], parts[1][j] = problem.leak * (back @ carried), problem.leak * (back @ error)
            credit = credit @ w
    return readout, parts


def _finite(
    a: FloatArray, w: FloatArray, b: FloatArray, problem: Problem, longest: int
) -> tuple[FloatArray, list[_Errors]]:
    """Delta A, and (G_j, c_j M_j) of the first ``longest`` j, over T steps."""
    steps = int(problem.steps)
    target, weighting = impulse_response(problem.teacher, steps), loss_weights(problem.loss, steps)
    m, readout, carried_input = [], np.zeros_like(a), b
    for k in range(steps):
        leave_if_stopped()
        m.append(weighting[k] * (a @ carried_input - target[k]))
        readout = readout + m[k] @ carried_input.swapaxes(1, 2)
        carried_input = w @ carried_input
    carried, errors = np.zeros_like(a), []
    for j in range(steps - 1, -1, -1):
        leave_if_stopped()
        if j < longest:
            errors.append((carried, m[j]))
        carried = m[j] @ b.swapaxes(1, 2) + carried @ w.swapaxes(1, 2)
    return readout, errors[::-1]


def _endless(
    a: FloatArray, w: FloatArray, b: FloatArray, teacher: LinearRNN, longest: int
) -> tuple[FloatArray, list[_Errors]]:
    """The same over infinitely many steps."""
    turned = w.swapaxes(1, 2)
    own = _covariance(w, b @ b.swapaxes(1, 2), turned)
    other = _covariance(np.broadcast_to(teacher.recurrent, (len(a), *teacher.recurrent.shape)),
                        teacher.input @ b.swapaxes(1, 2), turned)  # fmt: skip
    readout = a @ own - teacher.readout @ other
    left, left_teacher, errors = a, teacher.readout, []
    for _ in range(longest):
        leave_if_stopped()
        error = left @ b - left_teacher @ teacher.input
        left, left_teacher = left @ w, left_teacher @ teacher.recurrent
        errors.append((left @ own - left_teacher @ other, error))
    return readout, errors


def _covariance(x: FloatArray, q: FloatArray, y: FloatArray) -> FloatArray:
    """sum_k X^k Q Y^k by doubling; NaN where it does not converge."""
    total = q
    for _ in range(_DOUBLINGS):
        leave_if_stopped()
        added = x @ total @ y
        total, x, y = total + added, x @ x, y @ y
        if not (np.abs(added).max(axis=(1, 2)) > 1e-300).any():
            break
    gone = np.abs(added).max(axis=(1, 2)) <= np.finfo(float).eps * np.abs(total).max(axis=(1, 2))
    found: FloatArray = np.where(gone[:, np.newaxis, np.newaxis], total, np.nan)
    return found


def horizon_cosines(
    readout: FloatArray, parts: Sequence[FloatArray], gradient: Sequence[FloatArray], learns: Sequence[Any]
) -> FloatArray:
    """Cosine between tBPTT(tau) and the gradient for tau = 1 .. longest, (student, horizon).

    Parameters
    ----------
    readout, parts
        From :func:`truncated_updates`.
    gradient : (Delta A, Delta W, Delta B)
        Each (student, ...).
    learns : three arrays
        0 where a weight stays as it is; they broadcast.
    """
    count, longest = len(readout), len(parts[0])

    def flat(matrices: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate([(m * on).reshape(count, -1) for m, on in zip(matrices, learns, strict=True)], axis=1)

    with np.errstate(all="ignore"):
        g = flat(gradient)
        g = g / np.abs(g).max(axis=1, keepdims=True)
        g = g / np.sqrt((g**2).sum(axis=1, keepdims=True))
        out, sums = np.empty((count, longest)), [np.zeros_like(part[0]) for part in parts]
        for tau in range(longest):
            leave_if_stopped()
            sums = [total + part[tau] for total, part in zip(sums, parts, strict=True)]
            u = flat([readout, *sums])
            u = u / np.abs(u).max(axis=1, keepdims=True)
            out[:, tau] = np.clip((u * g).sum(axis=1) / np.sqrt((u**2).sum(axis=1)), -1.0, 1.0)
    return out
