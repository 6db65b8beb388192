"""The flow of eight modes, d(w, a, b)/ds = -(Delta w, Delta a, Delta b) for T = infinity, and its Jacobian, on lanes.

A mode is the tuple of lanes (teacher w*, teacher p, feedback r, fixed propagator, horizon; 0: endless). A rule is the
tuple (1.0 if the feedback is the readout, 1.0 if the propagator is w, binary digits of the longest horizon). To choose
by arithmetic, ``f = r + readout (a - r)``, is exact for r = 0 where the readout feeds back; branches would multiply the
code of the innermost loop.
"""

from .compile import always_inlined, inlined
from .lanes import fma, less, minimum, select, splat
from .modes import jacobian_formula, mode_formula
from .propagation import truncated, truncated_sum


@always_inlined
def _choices(w, a, mode, rule):
    """Feedback f and propagator pi."""
    return fma(rule[0], a - mode[2], mode[2]), fma(rule[1], w - mode[3], mode[3])


@always_inlined
def velocity(w, a, b, mode, rule):
    """d(w, a, b)/ds, and the room left in the domain (<= 0: outside)."""
    goal, product, _, _, horizon = mode
    f, pi = _choices(w, a, mode, rule)
    d, d_star = fma(-w, w, 1.0), fma(-w, goal, 1.0)
    e, e_star = fma(-pi, w, 1.0), fma(-pi, goal, 1.0)
    if rule[2] > 0:
        # A finite horizon sums at any |pi w|: its lanes must not spoil the common reciprocal.
        e, e_star = select(less(horizon, 0.5), e, splat(1.0)), select(less(horizon, 0.5), e_star, splat(1.0))
    left, right = d * d_star, e * e_star
    inverse = 1.0 / (left * right)
    room = minimum(d, e)
    left, right = inverse * right, inverse * left
    alpha, alpha_star, g, g_star = left * d_star, left * d, right * e_star, right * e
    if rule[2] > 0:
        g = select(less(horizon, 0.5), g, truncated_sum(pi * w, horizon, rule[2]))
        g_star = select(less(horizon, 0.5), g_star, truncated_sum(pi * goal, horizon, rule[2]))
    own, other = (alpha, g, alpha * g), (alpha_star, g_star, alpha_star * g_star)
    dw, da, db = mode_formula(w, a, b, f, goal, product, own, other)
    return -dw, -da, -db, room


@inlined
def _credit(y, e, horizon, digits):
    """G = g_tau(y) and G'(y), with e = 1 - y."""
    full = 1.0 / e
    if digits == 0:
        return full, full * full
    g, slope = truncated(y, horizon, digits)
    forever = less(horizon, 0.5)
    return select(forever, full, g), select(forever, full * full, slope)


@inlined
def velocity_jacobian(w, a, b, mode, rule):
    """Derivatives of the velocity by (w, a, b), row by row."""
    goal, product, _, _, horizon = mode
    f, pi = _choices(w, a, mode, rule)
    f_a, pi_w = rule[0], rule[1]
    alpha, alpha_star = 1.0 / fma(-w, w, 1.0), 1.0 / fma(-w, goal, 1.0)
    g, slope = _credit(pi * w, fma(-pi, w, 1.0), horizon, rule[2])
    g_star, slope_star = _credit(pi * goal, fma(-pi, goal, 1.0), horizon, rule[2])
    alpha_w, alpha_star_w = 2.0 * w * alpha * alpha, goal * alpha_star * alpha_star
    g_w, g_star_w = slope * fma(pi_w, w, pi), slope_star * (pi_w * goal)
    kappa, kappa_star = alpha * g, alpha_star * g_star
    own = (alpha_w, g_w, kappa + w * (alpha_w * g + alpha * g_w))
    other = (alpha_star_w, g_star_w, goal * (alpha_star_w * g_star + alpha_star * g_star_w))
    entries = jacobian_formula(
        w, a, b, f, f_a, goal, product, (alpha, g, kappa), (alpha_star, g_star, kappa_star), own, other
    )
    return (
        -entries[0], -entries[1], -entries[2],
        -entries[3], -entries[4], -entries[5],
        -entries[6], -entries[7], -entries[8],
    )  # fmt: skip
