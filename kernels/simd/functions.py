"""Functions of eight numbers that no instruction computes."""

import numpy as np

from ..compile import always_inlined
from .lanes import absolute, fma, less, select
from .machine import WHOLE, power_of_two, with_sign_of

#: From here on tanh is 1 to rounding.
_FLAT = 20.0
_LN_2, _PER_LN_2 = float(np.log(2.0)), float(1.0 / np.log(2.0))
#: (e^r - 1 - r - r^2/2) / r^3 for |r| <= ln(2)/2: interpolated at Chebyshev's nodes, e^r - 1 then right to 7e-17.
_C0, _C1, _C2 = 0.16666666666666666, 0.04166666666665131, 0.008333333333332152
_C3, _C4, _C5 = 0.0013888888905922382, 0.00019841269854370018, 2.480153630713628e-05
_C6, _C7, _C8 = 2.755728000429909e-06, 2.7613852100963253e-07, 2.5095589467479502e-08


@always_inlined
def tanh(x):
    """Hyperbolic tangent to 5e-16 relative, at tiny arguments too; NaN at NaN.

    With 2 |x| = k ln 2 + r and m = e^{2|x|} - 1 = 2^k (e^r - 1) + (2^k - 1), tanh |x| = m / (m + 2).
    """
    size = absolute(x)
    size = select(less(_FLAT, size), _FLAT, size)
    twice = size + size
    shifted = fma(twice, _PER_LN_2, WHOLE)
    r = fma(WHOLE - shifted, _LN_2, twice)
    r2 = r * r
    low = fma(fma(_C3, r, _C2), r2, fma(_C1, r, _C0))
    high = fma(fma(_C8, r2, fma(_C7, r, _C6)), r2, fma(_C5, r, _C4))
    series = fma(high, r2 * r2, low)
    grown = fma(fma(series, r, 0.5), r2, r)
    power = power_of_two(shifted)
    m = fma(power, grown, power - 1.0)
    return with_sign_of(m / (m + 2.0), x)
