"""One step of Rodas5P for eight modes at once: Rosenbrock, order 5(4), L-stable (Steinebach, BIT 63:27, 2023).

With the analytic Jacobian J and ``M = (I / (gamma h) - J)^-1``:

    k_i = M ( f(y + sum_j A[i, j] k_j) + sum_j C[i, j] k_j / h ),   y_new = y + sum_j A[7, j] k_j + k_8,   error k_8
"""

import numpy as np

from ..compile import always_inlined
from ..modes.velocity import velocity, velocity_jacobian
from ..simd.lanes import fma, smaller, splat
from ..tableau import STIFF, STIFF_STAGES
from .memory import DENSE, ERROR, FRESH, SLOPE, SLOPE_NEW, STAGES, STATE, H, get, modes, put

GAMMA, A, C, DENSE_WEIGHTS = STIFF


@always_inlined
def _combined(weights, count, variable, work):
    """sum_j weights[j] k_j of one variable."""
    total = splat(0.0)
    for j in range(count):
        total = fma(weights[j], get(work, STAGES + 3 * j + variable), total)
    return total


@always_inlined
def _inverse(diagonal, j):
    """Inverse of ``diagonal I - j``, row by row, from its cofactors."""
    m00, m11, m22 = diagonal - j[0], diagonal - j[4], diagonal - j[8]
    m01, m02, m10, m12, m20, m21 = -j[1], -j[2], -j[3], -j[5], -j[6], -j[7]
    c00 = m11 * m22 - m12 * m21
    c01 = m12 * m20 - m10 * m22
    c02 = m10 * m21 - m11 * m20
    scale = 1.0 / fma(m00, c00, fma(m01, c01, m02 * c02))
    return (
        scale * c00, scale * (m02 * m21 - m01 * m22), scale * (m01 * m12 - m02 * m11),
        scale * c01, scale * (m00 * m22 - m02 * m20), scale * (m02 * m10 - m00 * m12),
        scale * c02, scale * (m01 * m20 - m00 * m21), scale * (m00 * m11 - m01 * m10),
    )  # fmt: skip


@always_inlined
def stiff_step(rule, kind, work):
    """Try a step of length H; as :func:`fastmodes.kernels.flow.explicit.explicit_step`.

    The stages are the k_i of the formula above, which are changes of state, not velocities.

    Returns
    -------
    Lanes
        Least room in the domain over the stages and the new state.
    """
    mode = modes(work)
    w, a, b = get(work, STATE), get(work, STATE + 1), get(work, STATE + 2)
    rate = 1.0 / get(work, H)
    m = _inverse(rate * (1.0 / GAMMA), velocity_jacobian(w, a, b, mode, rule))
    room = splat(np.inf)
    w_new, a_new, b_new = w, a, b
    for i in range(STIFF_STAGES):
        w_new = w + _combined(A[i], i, 0, work)
        a_new = a + _combined(A[i], i, 1, work)
        b_new = b + _combined(A[i], i, 2, work)
        if i == 0:
            fw, fa, fb = get(work, SLOPE), get(work, SLOPE + 1), get(work, SLOPE + 2)
        else:
            fw, fa, fb, left = velocity(w_new, a_new, b_new, mode, rule, kind)
            room = smaller(room, left)
        fw = fma(rate, _combined(C[i], i, 0, work), fw)
        fa = fma(rate, _combined(C[i], i, 1, work), fa)
        fb = fma(rate, _combined(C[i], i, 2, work), fb)
        put(work, STAGES + 3 * i, fma(m[0], fw, fma(m[1], fa, m[2] * fb)))
        put(work, STAGES + 3 * i + 1, fma(m[3], fw, fma(m[4], fa, m[5] * fb)))
        put(work, STAGES + 3 * i + 2, fma(m[6], fw, fma(m[7], fa, m[8] * fb)))
    last = STAGES + 3 * (STIFF_STAGES - 1)
    for variable in range(3):
        put(work, ERROR + variable, get(work, last + variable))
    w_new, a_new, b_new = w_new + get(work, last), a_new + get(work, last + 1), b_new + get(work, last + 2)
    put(work, FRESH, w_new)
    put(work, FRESH + 1, a_new)
    put(work, FRESH + 2, b_new)
    fw, fa, fb, left = velocity(w_new, a_new, b_new, mode, rule, kind)
    put(work, SLOPE_NEW, fw)
    put(work, SLOPE_NEW + 1, fa)
    put(work, SLOPE_NEW + 2, fb)
    return smaller(room, left)


@always_inlined
def stiff_dense(work):
    """Coefficients of the interpolant, as :func:`fastmodes.kernels.flow.explicit.explicit_dense`.

    Steinebach's form y + x (change + (1 - x) (D_1 + x (D_2 + x D_3))), D_m = sum_j DENSE_WEIGHTS[m, j] k_j, multiplied
    out.
    """
    for variable in range(3):
        change = get(work, FRESH + variable) - get(work, STATE + variable)
        d_1 = _combined(DENSE_WEIGHTS[0], STIFF_STAGES, variable, work)
        d_2 = _combined(DENSE_WEIGHTS[1], STIFF_STAGES, variable, work)
        d_3 = _combined(DENSE_WEIGHTS[2], STIFF_STAGES, variable, work)
        put(work, DENSE + variable, change + d_1)
        put(work, DENSE + 3 + variable, d_2 - d_1)
        put(work, DENSE + 6 + variable, d_3 - d_2)
        put(work, DENSE + 9 + variable, -d_3)
