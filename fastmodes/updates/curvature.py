"""What a sampled step does to the expected loss, to second order in the learning rate (theory section 13)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import leave_if_stopped
from ..named_rules import bptt
from ..networks.leaky import check_leak, effective
from ..networks.network import LinearRNN, check_pair
from ..networks.running import impulse_response
from ..parallel import interruptibly
from ..validation import check_choice, check_memory, check_steps
from .impulses import covariance_root
from .moment_steps import enough_steps
from .one import LOSSES, loss_weights

if TYPE_CHECKING:
    from ..typing import ArrayLike, ComplexArray, FloatArray, LossName

#: Directions that are carried through time together.
_TOGETHER = 64
#: Imaginary step: its square is nothing beside one.
_STEP = 1e-100


def loss_hessian(
    student: LinearRNN,
    teacher: LinearRNN,
    steps: float,
    *,
    loss: LossName = "final",
    input_covariance: ArrayLike | None = None,
    leak: float = 1.0,
) -> FloatArray:
    """Second derivatives of the expected loss by all weights, exact to rounding (complex steps of the gradient).

    Parameters
    ----------
    student, teacher : LinearRNN
    steps : int or math.inf
    loss : {"final", "sequence"}
    input_covariance : array (n_in, n_in), optional
    leak : float
        0 < leak <= 1, of the student's hidden units.

    Returns
    -------
    array (weight, weight)
        Symmetric; weights are the entries of A, then W, then B, each matrix in C order.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or one that :func:`fastmodes.update_moments` refuses.
    """
    check_pair(student, teacher)
    steps, leak = check_steps("steps", steps, infinite=True), check_leak(leak)
    check_choice("loss", loss, LOSSES)
    root = np.eye(student.n_in) if input_covariance is None else covariance_root(input_covariance, student.n_in)
    plain = effective(student, leak)
    if steps == math.inf:
        _, steps = enough_steps(bptt(), plain, teacher)
        loss = "final"
    sizes = [part.size for part in (student.readout, student.recurrent, student.input)]
    n_out, n, count = student.n_out, student.n_hidden, sum(sizes)
    check_memory(24.0 * count**2 + 16.0 * _TOGETHER * steps * n_out * (n + student.n_in), hidden=n, steps=steps)
    return interruptibly(_hessian, plain, impulse_response(teacher, int(steps)) @ root, loss, root, leak)


def _hessian(student: LinearRNN, target: FloatArray, loss: LossName, root: FloatArray, leak: float) -> FloatArray:
    shapes = student.readout.shape, student.recurrent.shape, student.input.shape
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    gains, count = np.repeat((1.0, leak, leak), np.diff(ends, prepend=0)), int(ends[-1])
    point = np.concatenate([student.readout.ravel(), student.recurrent.ravel(), student.input.ravel()])
    hessian = np.empty((count, count))
    for start in range(0, count, _TOGETHER):
        leave_if_stopped()
        rows = range(start, min(start + _TOGETHER, count))
        moved = np.repeat(point[np.newaxis].astype(complex), len(rows), axis=0)
        moved[np.arange(len(rows)), rows] += 1j * _STEP
        a, w, b = (
            part.reshape(len(rows), *shape)
            for part, shape in zip(np.split(moved, ends[:-1], axis=1), shapes, strict=True)
        )
        slopes = _gradients(a, w, b @ root, target, loss_weights(loss, len(target)))
        parts = slopes[0], slopes[1], slopes[2] @ root.T
        hessian[rows] = np.concatenate([part.reshape(len(rows), -1).imag for part in parts], axis=1) / _STEP
    hessian *= np.outer(gains, gains)
    return 0.5 * (hessian + hessian.T)


def _gradients(a: Any, w: Any, b: Any, target: FloatArray, weights: FloatArray) -> tuple[ComplexArray, ...]:
    """Gradients of many networks, the network first, without any conjugation."""
    turned = [np.swapaxes(matrix, 1, 2) for matrix in (a, w, b)]
    errors, state = [], b
    for k, goal in enumerate(target):
        errors.append(weights[k] * (a @ state - goal))
        state = w @ state
    steps = len(target)
    backward = [np.zeros_like(a)]
    for k in range(steps - 1, -1, -1):
        backward.append(errors[k] @ turned[2] + backward[-1] @ turned[1])
    # backward[-1] is Delta A, backward[steps - 1 - j] is G_j.
    recurrent, input_ = np.zeros_like(w), np.zeros_like(b)
    for j in range(steps - 1, -1, -1):
        recurrent = turned[1] @ recurrent + turned[0] @ backward[steps - 1 - j]
        input_ = turned[1] @ input_ + turned[0] @ errors[j]
    return backward[-1], recurrent, input_
