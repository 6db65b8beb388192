"""One mode (w, a, b) under any rule: update and Jacobian, one formula for the whole family.

With q = a b for the student, p = a* b* for the teacher, feedback f (a or r), propagator pi (w or fixed), horizon tau
and T time steps, every rule's expected update is (Eqs. 19-22, 74-86, 105)

    Delta a =   b [ q alpha(w)   - p alpha(w*) ]
    Delta b =   f [ q beta(w)    - p beta(w*) ]
    Delta w = f b [ q w kappa(w) - p w* kappa(w*) ]

with three sums over time, each a function of Y = pi x and Z = w x for x = w (student) or x = w* (teacher):

    alpha = sum_{k < T} Z^k,   beta = sum_{j < tau} Y^j,   kappa = sum_{j < tau} Y^j sum_{i < T-1-j} Z^i

T = infinity: 1/(1-Z), (1-Y^tau)/(1-Y), and their product. The sequence loss weights delay k by (T-k)/T.
The formula below is generic: it serves numbers and eight lanes alike.
"""

import numpy as np

from ..compile import always_inlined, inlined, kernel
from ..rule import feedback_entry, moves, reach_within
from .polynomials import NODES, exact_product, homogeneous, one_minus

#: Columns of the ``parameters`` rows: teacher w*, teacher p, r (see ``feedback_entry``), fixed propagator.
TEACHER, PRODUCT, FEEDBACK, PROPAGATOR = range(4)


@always_inlined
def mode_formula(w, a, b, f, teacher, product, student_sums, teacher_sums):
    """Update (Delta w, Delta a, Delta b) from the sums (alpha, beta, kappa) of student and teacher."""
    q = a * b
    alpha, beta, kappa = student_sums
    alpha_star, beta_star, kappa_star = teacher_sums
    dw = f * b * (q * w * kappa - product * teacher * kappa_star)
    da = b * (q * alpha - product * alpha_star)
    db = f * (q * beta - product * beta_star)
    return dw, da, db


@always_inlined
def jacobian_formula(w, a, b, f, f_a, teacher, product, student_sums, teacher_sums, student_slopes, teacher_slopes):
    """Derivatives of (Delta w, Delta a, Delta b) by (w, a, b), row by row.

    The slopes are the derivatives by w of alpha, beta and x kappa, f_a that of the feedback by a.
    """
    q = a * b
    alpha, beta, kappa = student_sums
    alpha_star, beta_star, kappa_star = teacher_sums
    alpha_w, beta_w, kappa_w = student_slopes
    alpha_star_w, beta_star_w, kappa_star_w = teacher_slopes
    pull = product * teacher * kappa_star
    return (
        f * b * (q * kappa_w - product * kappa_star_w),
        f * b * b * w * kappa + f_a * b * (q * w * kappa - pull),
        f * (2.0 * q * w * kappa - pull),
        b * (q * alpha_w - product * alpha_star_w),
        b * b * alpha,
        2.0 * q * alpha - product * alpha_star,
        f * (q * beta_w - product * beta_star_w),
        f * b * beta + f_a * (q * beta - product * beta_star),
        f * a * beta,
    )


@inlined
def h_sum(degree, ones, y, y_times, z, z_times):
    """h_degree of ``ones`` ones, ``y_times`` copies of y and ``z_times`` of z; y and z as (high, low)."""
    high, low = np.zeros(NODES), np.zeros(NODES)
    for i in range(ones):
        high[i] = 1.0
    for i in range(ones, ones + y_times):
        high[i], low[i] = y
    for i in range(ones + y_times, ones + y_times + z_times):
        high[i], low[i] = z
    return homogeneous(degree, high, low)


@inlined
def infinite_sums(horizon, y, z):
    """alpha, beta, kappa for T = infinity."""
    alpha = 1.0 / one_minus(z[0], z[1])
    beta = 1.0 / one_minus(y[0], y[1]) if horizon == 0 else h_sum(horizon - 1, 1, y, 1, z, 0)
    return alpha, beta, beta * alpha


@inlined
def _infinite_slopes(horizon, y, z):
    """d alpha/dZ, d beta/dY, d kappa/dY, d kappa/dZ for T = infinity."""
    alpha, beta, _ = infinite_sums(horizon, y, z)
    beta_y = beta * beta if horizon == 0 else h_sum(horizon - 2, 1, y, 2, z, 0)
    return alpha * alpha, beta_y, beta_y * alpha, beta * alpha * alpha


@inlined
def _sums(steps, horizon, ones, y, z):
    """alpha, beta, kappa for T = ``steps`` (0: infinity) and a horizon; ``ones``: 1 final, 2 sequence loss."""
    if steps == 0:
        return infinite_sums(horizon, y, z)
    norm = 1.0 / steps if ones == 2 else 1.0
    tau = reach_within(horizon, steps)
    alpha = norm * h_sum(steps - 1, ones, y, 0, z, 1)
    beta = h_sum(tau - 1, ones, y, 1, z, 0)
    tau_w = min(tau, steps - 1)
    beyond = steps - 1 - tau_w
    kappa = h_sum(tau_w - 1, ones, y, 1, z, 1)
    if ones == 2:
        beta += (steps - tau) * h_sum(tau - 1, 1, y, 1, z, 0)
        kappa += beyond * h_sum(tau_w - 1, 1, y, 1, z, 1)
    if beyond > 0:
        kappa += h_sum(tau_w - 1, 0, y, 1, z, 1) * z[0] * h_sum(beyond - 1, ones, y, 0, z, 1)
    return alpha, norm * beta, norm * kappa


@inlined
def _slopes(steps, horizon, ones, y, z):
    """d alpha/dZ, d beta/dY, d kappa/dY, d kappa/dZ; a derivative repeats a node and lowers the degree by one."""
    if steps == 0:
        return _infinite_slopes(horizon, y, z)
    norm = 1.0 / steps if ones == 2 else 1.0
    tau = reach_within(horizon, steps)
    alpha_z = norm * h_sum(steps - 2, ones, y, 0, z, 2)
    beta_y = h_sum(tau - 2, ones, y, 2, z, 0)
    tau_w = min(tau, steps - 1)
    beyond = steps - 1 - tau_w
    kappa_y = h_sum(tau_w - 2, ones, y, 2, z, 1)
    kappa_z = h_sum(tau_w - 2, ones, y, 1, z, 2)
    if ones == 2:
        beta_y += (steps - tau) * h_sum(tau - 2, 1, y, 2, z, 0)
        kappa_y += beyond * h_sum(tau_w - 2, 1, y, 2, z, 1)
        kappa_z += beyond * h_sum(tau_w - 2, 1, y, 1, z, 2)
    if beyond > 0:
        tail = h_sum(beyond - 1, ones, y, 0, z, 1)
        tail_z = tail + z[0] * h_sum(beyond - 2, ones, y, 0, z, 2)
        kappa_y += h_sum(tau_w - 2, 0, y, 2, z, 1) * z[0] * tail
        kappa_z += h_sum(tau_w - 2, 0, y, 1, z, 2) * z[0] * tail + h_sum(tau_w - 1, 0, y, 1, z, 1) * tail_z
    return alpha_z, norm * beta_y, norm * kappa_y, norm * kappa_z


@inlined
def _slopes_by_w(slopes, x, y_w, z_w, kappa, x_w):
    """Chain rule: derivatives by w of alpha, beta, x kappa, where Y and Z move at y_w and z_w, and x at x_w."""
    alpha_z, beta_y, kappa_y, kappa_z = slopes
    return alpha_z * z_w, beta_y * y_w, x_w * kappa + x * (kappa_y * y_w + kappa_z * z_w)


@inlined
def _mode(state, parameters, rule, steps, ones, update, jacobian):
    """Update and Jacobian of one mode into ``update`` (3,) and ``jacobian`` (3, 3)."""
    horizon, moving = rule.horizon, moves(rule)
    w, a, b = state[0], state[1], state[2]
    teacher, product = parameters[TEACHER], parameters[PRODUCT]
    f, f_a = feedback_entry(rule, a, parameters[FEEDBACK])
    pi = w if moving else parameters[PROPAGATOR]
    own_y, own_z = exact_product(pi, w), exact_product(w, w)
    y, z = exact_product(pi, teacher), exact_product(w, teacher)
    own, goal = _sums(steps, horizon, ones, own_y, own_z), _sums(steps, horizon, ones, y, z)
    update[0], update[1], update[2] = mode_formula(w, a, b, f, teacher, product, own, goal)
    if jacobian.size == 0:
        return
    pi_w = 1.0 if moving else 0.0
    own_slopes = _slopes_by_w(_slopes(steps, horizon, ones, own_y, own_z), w, pi + w * pi_w, 2.0 * w, own[2], 1.0)
    goal_slopes = _slopes_by_w(_slopes(steps, horizon, ones, y, z), teacher, teacher * pi_w, teacher, goal[2], 0.0)
    entries = jacobian_formula(w, a, b, f, f_a, teacher, product, own, goal, own_slopes, goal_slopes)
    jacobian[0, 0], jacobian[0, 1], jacobian[0, 2] = entries[0], entries[1], entries[2]
    jacobian[1, 0], jacobian[1, 1], jacobian[1, 2] = entries[3], entries[4], entries[5]
    jacobian[2, 0], jacobian[2, 1], jacobian[2, 2] = entries[6], entries[7], entries[8]


@kernel
def mode_updates(states, parameters, rule, steps, ones, updates, jacobians):
    """Expected updates, and Jacobians where asked for, of many modes under one rule.

    Parameters
    ----------
    states : float64 array (mode, 3)
        w, a, b.
    parameters : float64 array (mode, 4)
        Teacher w*, teacher p = a* b*, r (see ``feedback_entry``), fixed propagator; the last two are read where the
        rule needs them.
    rule : Rule
    steps : int
        T; 0: infinity.
    ones : int
        1 for the final, 2 for the sequence loss.
    updates : float64 array (mode, 3)
        Result: Delta w, Delta a, Delta b.
    jacobians : float64 array (mode, 3, 3)
        Result: entry [m, i, j] is the derivative of update i by variable j; not computed where shape (mode, 0, 0).
    """
    for m in range(len(states)):
        _mode(states[m], parameters[m], rule, steps, ones, updates[m], jacobians[m])
