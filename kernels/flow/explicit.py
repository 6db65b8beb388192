"""One step of Dormand and Prince's explicit 5(4) pair (1980) for eight modes at once."""

from ..compile import always_inlined
from ..modes.velocity import velocity
from ..simd.lanes import fma, smaller
from ..tableau import EXPLICIT, EXPLICIT_STAGES
from .memory import DENSE, ERROR, FRESH, SLOPE, SLOPE_NEW, STATE, H, get, modes, put

# Names of their own: what the compiler takes for a constant.
A_1, A_2, A_3, A_4, A_5, A_6 = EXPLICIT.stages
ERROR_WEIGHTS, DENSE_WEIGHTS = EXPLICIT.error, EXPLICIT.dense


@always_inlined
def _combined(weights, count, variable, work):
    """sum_j weights[j] k_j of one variable; k_2, whose weight is mostly 0, is left out where it is."""
    total = weights[0] * get(work, SLOPE + variable)
    for j in range(1, count):
        if weights[j] != 0.0:
            total = fma(weights[j], get(work, SLOPE + 3 * j + variable), total)
    return total


@always_inlined
def _stage(weights, count, rule, kind, work):
    """State of a stage and its room in the domain; its velocity goes into the stages."""
    h = get(work, H)
    w = fma(h, _combined(weights, count, 0, work), get(work, STATE))
    a = fma(h, _combined(weights, count, 1, work), get(work, STATE + 1))
    b = fma(h, _combined(weights, count, 2, work), get(work, STATE + 2))
    fw, fa, fb, room = velocity(w, a, b, modes(work), rule, kind)
    put(work, SLOPE + 3 * count, fw)
    put(work, SLOPE + 3 * count + 1, fa)
    put(work, SLOPE + 3 * count + 2, fb)
    return w, a, b, room


@always_inlined
def explicit_step(rule, kind, work):
    """Try a step of length H.

    Parameters
    ----------
    rule : tuple
    kind : int
        See :func:`fastmodes.kernels.modes.velocity.velocity`.
    work : float64 array
        From rows STATE and SLOPE; results: FRESH, the new state, SLOPE_NEW, its velocity, ERROR, its error estimate.

    Returns
    -------
    room, stretch, distance : Lanes
        Least room in the domain over the stages; the squares of the last two stages' distance in velocity and in
        state, whose ratio estimates the stiffness.
    """
    _, _, _, room = _stage(A_1, 1, rule, kind, work)
    _, _, _, left = _stage(A_2, 2, rule, kind, work)
    room = smaller(room, left)
    _, _, _, left = _stage(A_3, 3, rule, kind, work)
    room = smaller(room, left)
    _, _, _, left = _stage(A_4, 4, rule, kind, work)
    room = smaller(room, left)
    w_old, a_old, b_old, left = _stage(A_5, 5, rule, kind, work)
    room = smaller(room, left)
    w_new, a_new, b_new, left = _stage(A_6, 6, rule, kind, work)
    put(work, FRESH, w_new)
    put(work, FRESH + 1, a_new)
    put(work, FRESH + 2, b_new)
    distance = _squares(w_new - w_old, a_new - a_old, b_new - b_old)
    last, h = SLOPE + 3 * (EXPLICIT_STAGES - 1), get(work, H)
    stretch = _squares(
        get(work, last) - get(work, last - 3),
        get(work, last + 1) - get(work, last - 2),
        get(work, last + 2) - get(work, last - 1),
    )
    for variable in range(3):
        put(work, SLOPE_NEW + variable, get(work, last + variable))
        put(work, ERROR + variable, h * _combined(ERROR_WEIGHTS, EXPLICIT_STAGES, variable, work))
    return smaller(room, left), stretch, distance


@always_inlined
def _squares(x, y, z):
    return fma(x, x, fma(y, y, z * z))


@always_inlined
def explicit_dense(work):
    """Coefficients of the interpolant y + x (K_1 + x (K_2 + x (K_3 + x K_4))), x the fraction of the step."""
    h = get(work, H)
    for variable in range(3):
        change = get(work, FRESH + variable) - get(work, STATE + variable)
        start = h * get(work, SLOPE + variable)
        begin = start - change
        end = change - h * get(work, SLOPE_NEW + variable) - begin
        bend = h * _combined(DENSE_WEIGHTS, EXPLICIT_STAGES, variable, work)
        put(work, DENSE + variable, start)
        put(work, DENSE + 3 + variable, end + bend - begin)
        put(work, DENSE + 6 + variable, -fma(2.0, bend, end))
        put(work, DENSE + 9 + variable, bend)
