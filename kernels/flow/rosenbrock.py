"""One step of Rodas5P for eight modes at once: Rosenbrock, order 5(4), L-stable (Steinebach, BIT 63:27, 2023).

With the analytic Jacobian J and ``M = (I / (gamma h) - J)^-1``:

    k_i = M ( f(y + sum_j A[i, j] k_j) + sum_j C[i, j] k_j / h ),   y_new = y + sum_j A[7, j] k_j + k_8,   error k_8
"""

import numpy as np

from ..compile import always_inlined
from ..modes.velocity import velocity, velocity_jacobian
from ..simd.lanes import fma, smaller, splat
from .memory import DENSE, ERROR, FRESH, SLOPE, SLOPE_NEW, STAGES, STATE, H, get, modes, put

STAGE_COUNT = 8
GAMMA = 0.21193756319429014

A = np.zeros((8, 8))
A[1, :1] = [3.0]
A[2, :2] = [2.849394379747939, 0.45842242204463923]
A[3, :3] = [-6.954028509809101, 2.489845061869568, -10.358996098473584]
A[4, :4] = [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641]
A[5, :5] = [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946]
A[6, :6] = [*A[5, :5], 1.0]
A[7, :7] = [*A[6, :6], 1.0]

C = np.zeros((8, 8))
C[1, :1] = [-14.155112264123755]
C[2, :2] = [-17.97296035885952, -2.859693295451294]
C[3, :3] = [147.12150275711716, -1.41221402718213, 71.68940251302358]
C[4, :4] = [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306]
C[5, :5] = [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471]
C[6, :6] = [
    30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
    -28.087943162872662,
]  # fmt: skip
C[7, :7] = [
    37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
    -54.66780262877968, -9.48861652309627,
]  # fmt: skip

#: Fourth-order dense output, see :func:`stiff_dense`.
DENSE_WEIGHTS = np.array(
    [
        [
            25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204,
            0.524948541321073, 1.1241088310450404, 0.4272876194431874, -0.17202221070155493,
        ],
        [
            -9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796,
            20.176138334709044, 15.98066361424651, -6.789040303419874, -6.710236069923372,
        ],
        [
            11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643,
            -52.072871366152654, -59.78993625266729, -0.15582684282751913, 4.883087185713722,
        ],
    ]
)  # fmt: skip


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
    for i in range(STAGE_COUNT):
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
    last = STAGES + 3 * (STAGE_COUNT - 1)
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
        d_1 = _combined(DENSE_WEIGHTS[0], STAGE_COUNT, variable, work)
        d_2 = _combined(DENSE_WEIGHTS[1], STAGE_COUNT, variable, work)
        d_3 = _combined(DENSE_WEIGHTS[2], STAGE_COUNT, variable, work)
        put(work, DENSE + variable, change + d_1)
        put(work, DENSE + 3 + variable, d_2 - d_1)
        put(work, DENSE + 6 + variable, d_3 - d_2)
        put(work, DENSE + 9 + variable, -d_3)
