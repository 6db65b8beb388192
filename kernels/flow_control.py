"""Step control of the flow on lanes: error, next step, and when a trajectory has arrived."""

from .compile import always_inlined
from .lanes import absolute, both, fma, less, less_equal, load, maximum, minimum, select, splat, sqrt
from .stability import slowest_rate

#: Closer to |w| = 1 than this (of 1 - w^2), what remains of a diverging trajectory lasts less than 1e-15.
BOUNDARY = 2e-6

#: Largest growth of a step.
GROWTH = 6.0

#: Local errors are held to a fifth of the tolerance: over the hundred steps of a trajectory they add up, and the end
#: state should be right within a few tolerances.
_SHARE = 0.04  # its square


@always_inlined
def _scales(state, fresh, relative, absolute_tolerance):
    """Allowed error of each variable, as products of the other two, and the product of all three."""
    s0 = fma(relative, maximum(absolute(load(state, (0, 0))), absolute(load(fresh, (0, 0)))), absolute_tolerance)
    s1 = fma(relative, maximum(absolute(load(state, (1, 0))), absolute(load(fresh, (1, 0)))), absolute_tolerance)
    s2 = fma(relative, maximum(absolute(load(state, (2, 0))), absolute(load(fresh, (2, 0)))), absolute_tolerance)
    return s1 * s2, s0 * s2, s0 * s1, s0 * s1 * s2


@always_inlined
def scaled_square(vector, scales):
    """Mean square of a vector's components over their scales, times the square of the scales' product."""
    x, y, z = load(vector, (0, 0)) * scales[0], load(vector, (1, 0)) * scales[1], load(vector, (2, 0)) * scales[2]
    return fma(x, x, fma(y, y, z * z)) * (1.0 / 3.0)


@always_inlined
def error_ratio(state, fresh, error, relative, absolute_tolerance):
    """Allowed over estimated error, squared, from one division; and the scales for further use."""
    scales = _scales(state, fresh, relative, absolute_tolerance)
    allowed = _SHARE * scales[3] * scales[3]
    return allowed / maximum(scaled_square(error, scales), 1e-12 * allowed), scales


@always_inlined
def step_factor(ratio, inside, accepted, growth):
    """Factor for the next step, 0.9 (1/error)^(1/4) within bounds, and the growth allowed after it.

    A step that left the domain, or whose error is no number, shrinks four times; none grows right after a rejection.
    """
    factor = 0.9 * sqrt(sqrt(sqrt(ratio)))
    factor = minimum(maximum(factor, 0.2), select(accepted, growth, splat(0.9)))
    usable = both(inside, less_equal(0.0, ratio))
    return select(usable, factor, splat(0.25)), select(accepted, splat(GROWTH), splat(1.0))


@always_inlined
def quiet(slope, scales, h):
    """Lanes whose next step would move by less than a third of the tolerance."""
    return less_equal(scaled_square(slope, scales) * h * h, 0.1 * scales[3] * scales[3])


@always_inlined
def arrived(state, slope, scales, mode, rule):
    """Lanes a quarter of the tolerance from the optimal manifold: near it, stable, and |velocity| / rate small."""
    w, a, b = load(state, (0, 0)), load(state, (1, 0)), load(state, (2, 0))
    goal, product = mode[0], mode[1]
    near = both(
        less_equal(absolute(w - goal), 0.02 * fma(-goal, goal, 1.0)),
        less_equal(absolute(fma(a, b, -product)), 0.02 * absolute(product)),
    )
    rate = slowest_rate(mode, a, rule)
    reach = 0.25 * rate * scales[3]
    slow = less_equal(scaled_square(slope, scales), reach * reach)
    return both(both(near, less(rate, 0.0)), slow)
