"""Step control of the flow on lanes: error, next step, and when a trajectory has arrived."""

from ..compile import always_inlined
from ..modes.stability import slowest_rate
from ..simd.lanes import absolute, both, fma, larger, less, less_equal, select, smaller
from ..simd.machine import rough_eighth_root
from .constants import AIM, GROWTH, LEAST_ERROR, NEAR, REACH, REJECTED, RESTING, SHARE, SHRINKING, UNCHANGED
from .memory import ERROR, FRESH, SLOPE, STATE, H, get, modes


@always_inlined
def _scale(variable, work, relative, least):
    """Allowed error of a variable."""
    size = larger(absolute(get(work, STATE + variable)), absolute(get(work, FRESH + variable)))
    return fma(relative, size, least)


@always_inlined
def scaled_square(rows, work, scales):
    """Mean square of three rows' numbers over their scales, times the square of the scales' product."""
    x, y, z = get(work, rows) * scales[0], get(work, rows + 1) * scales[1], get(work, rows + 2) * scales[2]
    return fma(x, x, fma(y, y, z * z)) * (1.0 / 3.0)


@always_inlined
def error_ratio(work, relative, least):
    """Allowed over estimated error, squared, from one division; and the scales for further use.

    The scales are the allowed errors, as products of the other two each, and the product of all three.
    """
    s0, s1 = _scale(0, work, relative, least), _scale(1, work, relative, least)
    s2 = _scale(2, work, relative, least)
    scales = (s1 * s2, s0 * s2, s0 * s1, s0 * s1 * s2)
    allowed = SHARE * scales[3] * scales[3]
    return allowed / larger(LEAST_ERROR * allowed, scaled_square(ERROR, work, scales)), scales


@always_inlined
def step_factor(ratio, accepted, growth):
    """Factor for the next step, about 0.9 (1/error)^(1/4) within bounds, and the growth allowed after it.

    No step grows right after a rejection.
    """
    factor = smaller(larger(AIM * rough_eighth_root(ratio), SHRINKING), select(accepted, growth, REJECTED))
    return factor, select(accepted, GROWTH, UNCHANGED)


@always_inlined
def restlessness(work, scales):
    """Not above 0 where the next step would move by less than a third of the tolerance."""
    h = get(work, H)
    return fma(-RESTING * scales[3], scales[3], scaled_square(SLOPE, work, scales) * h * h)


@always_inlined
def arrived(work, scales, rule):
    """Lanes a quarter of the tolerance from the optimal manifold: near it, stable, and |velocity| / rate small."""
    w, a, b = get(work, STATE), get(work, STATE + 1), get(work, STATE + 2)
    mode = modes(work)
    goal, product = mode[0], mode[1]
    near = both(
        less_equal(absolute(w - goal), NEAR * fma(-goal, goal, 1.0)),
        less_equal(absolute(fma(a, b, -product)), NEAR * absolute(product)),
    )
    rate = slowest_rate(mode, a, rule)
    reach = REACH * rate * scales[3]
    slow = less_equal(scaled_square(SLOPE, work, scales), reach * reach)
    return both(both(near, less(rate, 0.0)), slow)
