"""The flow of eight modes, d(w, a, b)/ds = -(Delta w, Delta a, Delta b) for T = infinity, and its Jacobian, on lanes.

A mode is the tuple of lanes (teacher w*, teacher p, r, fixed propagator, horizon), r as the rule's feedback wants it: 0
for the readout, s for s sign(A), g for beta a + g. A rule is a
:class:`~fastmodes.kernels.rule.LaneRule`, which chooses by arithmetic. What differs more is chosen by the kind, a
constant of the compiled code where speed counts.
"""

from ..compile import always_inlined, inlined
from ..rule import feedback_lanes
from ..simd.lanes import fma, less, select, smaller, splat
from .horizon import truncated, truncated_sum
from .update import jacobian_formula, mode_formula

#: Kinds of propagator: some horizons finite; else w, a fixed number, or 0.
KINDS = FINITE, MOVING, FIXED, ZERO = range(4)


@always_inlined
def _propagator(w, mode, rule):
    return fma(rule.moving, w - mode[3], mode[3])


@always_inlined
def velocity(w, a, b, mode, rule, kind):
    """d(w, a, b)/ds, and the room left in the domain (<= 0: outside).

    Written in what is still to be learnt, e = p - a b and c = p (w* - w), so that nothing cancels near the optimal
    manifold and the velocity there is exactly 0. With D = 1 - w^2, D* = 1 - w w*, E = 1 - pi w, E* = 1 - pi w*:

        da = b (e D* + c w) / (D D*),   db = f (e E* + c pi) / (E E*)
        dw = f b [e w D* E* + c (1 - pi w^2 w*)] / (D D* E E*)

    each times the rate of its variable, where they have rates.
    """
    fw, fa, fb, room = _velocity(w, a, b, mode, rule, kind)
    if rule.rated:
        return rule.rates[0] * fw, rule.rates[1] * fa, rule.rates[2] * fb, room
    return fw, fa, fb, room


@always_inlined
def _velocity(w, a, b, mode, rule, kind):
    """The same at rates of 1."""
    if kind == FINITE:
        return _velocity_within(w, a, b, mode, rule)
    goal, product, r, pi, _ = mode
    f, _ = feedback_lanes(rule, a, r)
    e, c, square = fma(-a, b, product), product * (goal - w), w * w
    d, d_star = fma(-w, w, 1.0), fma(-w, goal, 1.0)
    shift = fma(e, d_star, c * w)
    if kind == MOVING:
        inverse = 1.0 / (d * d_star)
        f_inverse, b_inverse = f * inverse, b * inverse
        push = fma(e * w, d_star * d_star, c * fma(-(w * goal), square, 1.0))
        return f_inverse * b_inverse * push, b_inverse * shift, f_inverse * shift, d
    if kind == ZERO:
        b_inverse = b * (1.0 / (d * d_star))
        return f * b_inverse * fma(e * w, d_star, c), b_inverse * shift, f * e, d
    e_own, e_star = fma(-pi, w, 1.0), fma(-pi, goal, 1.0)
    left, right = d * d_star, e_own * e_star
    inverse = 1.0 / (left * right)
    push = fma(e * w, d_star * e_star, c * fma(-(pi * goal), square, 1.0))
    return (
        inverse * f * b * push, inverse * right * b * shift, inverse * left * f * fma(e, e_star, c * pi),
        smaller(d, e_own),
    )  # fmt: skip


@always_inlined
def _velocity_within(w, a, b, mode, rule):
    """As :func:`velocity` where some horizons are finite."""
    goal, product, r, _, horizon = mode
    (f, _), pi = feedback_lanes(rule, a, r), _propagator(w, mode, rule)
    d, d_star = fma(-w, w, 1.0), fma(-w, goal, 1.0)
    # A finite horizon sums at any |pi w|: its lanes must not spoil the common reciprocal.
    full = less(horizon, 0.5)
    e, e_star = select(full, fma(-pi, w, 1.0), splat(1.0)), select(full, fma(-pi, goal, 1.0), splat(1.0))
    left, right = d * d_star, e * e_star
    inverse = 1.0 / (left * right)
    left, right = inverse * right, inverse * left
    alpha, alpha_star = left * d_star, left * d
    g = select(full, right * e_star, truncated_sum(pi * w, horizon, rule.digits))
    g_star = select(full, right * e, truncated_sum(pi * goal, horizon, rule.digits))
    own, other = (alpha, g, alpha * g), (alpha_star, g_star, alpha_star * g_star)
    dw, da, db = mode_formula(w, a, b, f, goal, product, own, other)
    return -dw, -da, -db, smaller(d, e)


@inlined
def _credit(y, e, horizon, digits):
    """G = g_tau(y) and G'(y), with e = 1 - y."""
    full = 1.0 / e
    if digits == 0:
        return full, full * full
    g, slope = truncated(y, horizon, digits)
    unbounded = less(horizon, 0.5)
    return select(unbounded, full, g), select(unbounded, full * full, slope)


@inlined
def velocity_jacobian(w, a, b, mode, rule):
    """Derivatives of the velocity by (w, a, b), row by row."""
    goal, product, r, _, horizon = mode
    (f, f_a), pi, pi_w = feedback_lanes(rule, a, r), _propagator(w, mode, rule), rule.moving
    alpha, alpha_star = 1.0 / fma(-w, w, 1.0), 1.0 / fma(-w, goal, 1.0)
    g, slope = _credit(pi * w, fma(-pi, w, 1.0), horizon, rule.digits)
    g_star, slope_star = _credit(pi * goal, fma(-pi, goal, 1.0), horizon, rule.digits)
    alpha_w, alpha_star_w = 2.0 * w * alpha * alpha, goal * alpha_star * alpha_star
    g_w, g_star_w = slope * fma(pi_w, w, pi), slope_star * (pi_w * goal)
    kappa, kappa_star = alpha * g, alpha_star * g_star
    own = (alpha_w, g_w, kappa + w * (alpha_w * g + alpha * g_w))
    other = (alpha_star_w, g_star_w, goal * (alpha_star_w * g_star + alpha_star * g_star_w))
    entries = jacobian_formula(
        w, a, b, f, f_a, goal, product, (alpha, g, kappa), (alpha_star, g_star, kappa_star), own, other
    )
    if rule.rated:
        x, y, z = -rule.rates[0], -rule.rates[1], -rule.rates[2]
        return (
            x * entries[0], x * entries[1], x * entries[2],
            y * entries[3], y * entries[4], y * entries[5],
            z * entries[6], z * entries[7], z * entries[8],
        )  # fmt: skip
    return (
        -entries[0], -entries[1], -entries[2],
        -entries[3], -entries[4], -entries[5],
        -entries[6], -entries[7], -entries[8],
    )  # fmt: skip
