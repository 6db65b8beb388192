"""What is measured along a trajectory: the length of its path, and its loss."""

import numpy as np

from ..compile import always_inlined, inlined, kernel
from ..simd.lanes import fma, sqrt
from .memory import FRESH, SLOPE, SLOPE_NEW, STATE, H, get, modes


@always_inlined
def _norm(x, y, z):
    return sqrt(fma(x, x, fma(y, y, z * z)))


@always_inlined
def arc_length(work):
    """Length of a step's path: Simpson's rule on the speed, the middle's from the cubic through both ends."""
    h = get(work, H)
    begin = _norm(get(work, SLOPE), get(work, SLOPE + 1), get(work, SLOPE + 2))
    finish = _norm(get(work, SLOPE_NEW), get(work, SLOPE_NEW + 1), get(work, SLOPE_NEW + 2))
    middle = _norm(_middle(0, h, work), _middle(1, h, work), _middle(2, h, work))
    return (h * (begin + finish) + 4.0 * middle) * (1.0 / 6.0)


@always_inlined
def _middle(variable, h, work):
    """h times the velocity in the middle of a step."""
    change = get(work, FRESH + variable) - get(work, STATE + variable)
    slopes = get(work, SLOPE + variable) + get(work, SLOPE_NEW + variable)
    return fma(1.5, change, -0.25 * h * slopes)


@always_inlined
def relative_loss(rows, work):
    """Loss of the state in three rows over the teacher's power, free of cancellation.

    With e = ab - p, d = w - w*, A = 1/(1-w^2), S = 1/(1-w w*), A* = 1/(1-w*^2), the loss is half the squared norm of
    the error system: ``2 L = e^2 A + 2 e p w d A S + p^2 d^2 (1 + w w*) A S A*``.
    """
    w, q = get(work, rows), get(work, rows + 1) * get(work, rows + 2)
    mode = modes(work)
    goal, p = mode[0], mode[1]
    own, both_, power = fma(-w, w, 1.0), fma(-w, goal, 1.0), fma(-goal, goal, 1.0)
    e, d = q - p, w - goal
    # All over A S A*, and the teacher's power is p^2 A*.
    total = fma(e * both_, e * power, fma(2.0 * e * p, w * d * power, p * p * d * d * fma(w, goal, 1.0)))
    return total / (own * both_ * p * p)


@inlined
def _large_loss(w, q, goal, product):
    """The same in units of p^2, where a square is no number; infinite where the loss is too large for one."""
    own, e, d = 1.0 - w * w, q / product - 1.0, w - goal
    shared = (2.0 * e * w * d + d * d * (1.0 + w * goal) / (1.0 - goal * goal)) / (1.0 - w * goal)
    loss = product * (product * ((e * e + shared) / (2.0 * own))) if own > 0.0 else np.inf
    return loss if loss == loss else np.inf


@kernel
def mode_losses(states, teachers, losses):
    """Losses of modes, half the squared norm of the error system; infinite where |w| >= 1.

    With e = ab - p, d = w - w*, D = 1 - w^2, S = 1 - w w*, D* = 1 - w*^2, free of cancellation near the optimum:
    ``L = [e^2 + (2 e p w d + p^2 d^2 (1 + w w*) / D*) / S] / (2 D)``.

    Parameters
    ----------
    states : three float64 arrays (point, time)
        w, a and b.
    teachers : float64 array (point, 2)
        w* and p.
    losses : float64 array (point, time)
        Result.
    """
    for point in range(losses.shape[0]):
        goal, product = teachers[point, 0], teachers[point, 1]
        power = product * product / (1.0 - goal * goal)
        for i in range(losses.shape[1]):
            w, q = states[0][point, i], states[1][point, i] * states[2][point, i]
            own, e, d = 1.0 - w * w, q - product, w - goal
            shared = (2.0 * e * product * w * d + power * d * d * (1.0 + w * goal)) / (1.0 - w * goal)
            loss = (e * e + shared) / (2.0 * own) if own > 0.0 else np.inf
            losses[point, i] = loss if np.isfinite(loss) else _large_loss(w, q, goal, product)
