"""One step of Dormand and Prince's explicit 5(4) pair (1980) for eight modes at once."""

from .compile import always_inlined
from .lanes import fma, load, smaller, store
from .vector_field import velocity

#: Stage i starts from y + h sum_j A_i[j] k_j; the last one is the step itself (first same as last).
A_1 = (1 / 5,)
A_2 = (3 / 40, 9 / 40)
A_3 = (44 / 45, -56 / 15, 32 / 9)
A_4 = (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)
A_5 = (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)
A_6 = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)

#: Difference between the fifth-order and the fourth-order result.
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

#: Fourth-order dense output (Hairer, Norsett, Wanner, Solving ODEs I, II.6).
DENSE = (
    -12715105075 / 11282082432, 0.0, 87487479700 / 32700410799, -10690763975 / 1880347072,
    701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423,
)  # fmt: skip

STAGES = 7


@always_inlined
def _combined(weights, count, k, component):
    """sum_j weights[j] k_j of one component; k_2, whose weight is mostly 0, is left out where it is."""
    total = weights[0] * load(k, (component, 0))
    for j in range(1, count):
        if weights[j] != 0.0:
            total = fma(weights[j], load(k, (3 * j + component, 0)), total)
    return total


@always_inlined
def _stage(weights, count, y, k, h, mode, rule):
    """State of a stage, its room in the domain; its velocity goes into k."""
    w = fma(h, _combined(weights, count, k, 0), load(y, (0, 0)))
    a = fma(h, _combined(weights, count, k, 1), load(y, (1, 0)))
    b = fma(h, _combined(weights, count, k, 2), load(y, (2, 0)))
    fw, fa, fb, room = velocity(w, a, b, mode, rule)
    store(k, (3 * count, 0), fw)
    store(k, (3 * count + 1, 0), fa)
    store(k, (3 * count + 2, 0), fb)
    return w, a, b, room


@always_inlined
def explicit_step(y, slope, k, h, mode, rule, fresh, slope_new, error):
    """Advance eight modes by h.

    Parameters
    ----------
    y, slope : float64 array (variable, lane)
        State and velocity.
    k : float64 array (3 stage + variable, lane)
        Velocities of the stages; the last one belongs to the new state.
    h : Lanes
    mode, rule : tuple
        See :func:`fastmodes.kernels.vector_field.velocity`.
    fresh, slope_new, error : float64 array (variable, lane)
        Results: the new state, its velocity and its error estimate.

    Returns
    -------
    room, stretch, distance : Lanes
        Least room in the domain over the stages; the squares of the last two stages' distance in velocity and in
        state, whose ratio estimates the stiffness.
    """
    for variable in range(3):
        store(k, (variable, 0), load(slope, (variable, 0)))
    _, _, _, room = _stage(A_1, 1, y, k, h, mode, rule)
    _, _, _, left = _stage(A_2, 2, y, k, h, mode, rule)
    room = smaller(room, left)
    _, _, _, left = _stage(A_3, 3, y, k, h, mode, rule)
    room = smaller(room, left)
    _, _, _, left = _stage(A_4, 4, y, k, h, mode, rule)
    room = smaller(room, left)
    w_old, a_old, b_old, left = _stage(A_5, 5, y, k, h, mode, rule)
    room = smaller(room, left)
    w_new, a_new, b_new, left = _stage(A_6, 6, y, k, h, mode, rule)
    room = smaller(room, left)
    store(fresh, (0, 0), w_new)
    store(fresh, (1, 0), a_new)
    store(fresh, (2, 0), b_new)
    distance = _squares(w_new - w_old, a_new - a_old, b_new - b_old)
    last = 3 * (STAGES - 1)
    stretch = _squares(
        load(k, (last, 0)) - load(k, (last - 3, 0)),
        load(k, (last + 1, 0)) - load(k, (last - 2, 0)),
        load(k, (last + 2, 0)) - load(k, (last - 1, 0)),
    )
    for variable in range(3):
        store(slope_new, (variable, 0), load(k, (last + variable, 0)))
        store(error, (variable, 0), h * _combined(ERROR, STAGES, k, variable))
    return room, stretch, distance


@always_inlined
def _squares(x, y, z):
    return fma(x, x, fma(y, y, z * z))


@always_inlined
def explicit_dense(y, k, h, fresh, dense):
    """Coefficients of the interpolant y + x (K_1 + x (K_2 + x (K_3 + x K_4))), x the fraction of the step."""
    for variable in range(3):
        change = load(fresh, (variable, 0)) - load(y, (variable, 0))
        start = h * load(k, (variable, 0))
        begin = start - change
        end = change - h * load(k, (18 + variable, 0)) - begin
        bend = h * _combined(DENSE, STAGES, k, variable)
        store(dense, (variable, 0), start)
        store(dense, (3 + variable, 0), end + bend - begin)
        store(dense, (6 + variable, 0), -fma(2.0, bend, end))
        store(dense, (9 + variable, 0), bend)
