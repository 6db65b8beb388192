"""What is measured along a trajectory: the length of its path, and its loss."""

from .compile import inlined
from .lanes import fma, load, sqrt


@inlined
def _norm(x, y, z):
    return sqrt(fma(x, x, fma(y, y, z * z)))


@inlined
def arc_length(h, state, slope, fresh, slope_new):
    """Length of a step's path: Simpson's rule on the speed, the middle's from the cubic through both ends."""
    begin = _norm(load(slope, (0, 0)), load(slope, (1, 0)), load(slope, (2, 0)))
    finish = _norm(load(slope_new, (0, 0)), load(slope_new, (1, 0)), load(slope_new, (2, 0)))
    middle = _norm(
        _middle(h, state, slope, fresh, slope_new, 0),
        _middle(h, state, slope, fresh, slope_new, 1),
        _middle(h, state, slope, fresh, slope_new, 2),
    )
    return (h * (begin + finish) + 4.0 * middle) * (1.0 / 6.0)


@inlined
def _middle(h, state, slope, fresh, slope_new, variable):
    """h times the velocity in the middle of a step."""
    change = load(fresh, (variable, 0)) - load(state, (variable, 0))
    return fma(1.5, change, -0.25 * h * (load(slope, (variable, 0)) + load(slope_new, (variable, 0))))


@inlined
def relative_loss(state, mode):
    """Loss of the mode over the teacher's power, free of cancellation (half the squared norm of the error system).

    With e = ab - p, d = w - w*, A = 1/(1-w^2), S = 1/(1-w w*), A* = 1/(1-w*^2):
    ``2 L = e^2 A + 2 e p w d A S + p^2 d^2 (1 + w w*) A S A*``.
    """
    w, q = load(state, (0, 0)), load(state, (1, 0)) * load(state, (2, 0))
    goal, p = mode[0], mode[1]
    own, both_, power = fma(-w, w, 1.0), fma(-w, goal, 1.0), fma(-goal, goal, 1.0)
    e, d = q - p, w - goal
    # All over A S A*, and the teacher's power is p^2 A*.
    total = fma(e * both_, e * power, fma(2.0 * e * p, w * d * power, p * p * d * d * fma(w, goal, 1.0)))
    return total / (own * both_ * p * p)
