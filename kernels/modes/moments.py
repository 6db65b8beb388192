"""Second moments of one mode's sampled update at T = infinity, in closed form, one formula for the whole family.

With one output and one unit every K of theory section 13 is the mean itself. Letters as in
:mod:`~fastmodes.kernels.modes.update`; Y = pi w, omega the variance of the error, sigma^2 of it the target's noise:

    omega = q^2/(1-w^2) - 2 q p/(1-w w*) + p^2/(1-w*^2) + sigma^2
    Var Delta a = omega b^2/(1-w^2) + (E Delta a)^2
    Var Delta b = omega f^2 sum_{j < tau} pi^{2j} + (E Delta b)^2
    Var Delta w = omega f^2 b^2/(1-w^2) sum_{j,k < tau} pi^{j+k} w^{|j-k|} + (E Delta w)^2

The double sum is g_tau(pi^2) + 2 Y h_{tau-2}(1, Y, pi^2), h the complete homogeneous polynomial, and for the full
horizon (1 + Y) / ((1 - pi^2)(1 - Y)).
"""

from ..compile import inlined, kernel
from ..rule import feedback_entry, moves
from .polynomials import exact_product, one_minus
from .update import FEEDBACK, PRODUCT, PROPAGATOR, TEACHER, h_sum, infinite_sums, mode_formula

#: Column of the ``parameters`` rows after those of an update: the target noise's standard deviation.
NOISE = 4


@inlined
def _error_variance(w, q, teacher, product):
    """omega without noise: a sum of terms that vanish with the error, so that none cancels near the optimum."""
    z, goal_z, both_z = exact_product(w, w), exact_product(teacher, teacher), exact_product(w, teacher)
    own, goal, both = one_minus(z[0], z[1]), one_minus(goal_z[0], goal_z[1]), one_minus(both_z[0], both_z[1])
    off, apart = q - product, w - teacher
    crossed = w * apart / (own * both)
    alike = (product * apart) ** 2 * (1.0 + w * teacher) / (own * goal * both)
    return off * off / own + 2.0 * off * product * crossed + alike


@inlined
def _credit_sums(horizon, y, z):
    """sum_j Z^j, and sum_{j,k} pi^{j+k} w^{|j-k|}, with Z = pi^2 and Y = pi w."""
    if horizon == 0:
        single = 1.0 / one_minus(z[0], z[1])
        return single, single * (1.0 + y[0]) / one_minus(y[0], y[1])
    single = h_sum(horizon - 1, 1, y, 0, z, 1)
    return single, single + 2.0 * y[0] * h_sum(horizon - 2, 1, y, 1, z, 1)


@kernel
def mode_moments(states, parameters, rule, losses, means, variances):
    """Means and variances of the updates of many modes under one rule, for single sequences, at T = infinity.

    Parameters
    ----------
    states : float64 array (mode, 3)
        w, a, b.
    parameters : float64 array (mode, 5)
        Those of :func:`~fastmodes.kernels.modes.update.mode_updates`, and the target noise.
    rule : Rule
    losses : float64 array (mode,)
    means, variances : float64 array (mode, 3)
        Results, of Delta w, Delta a, Delta b.
    """
    for m in range(len(states)):
        w, a, b = states[m, 0], states[m, 1], states[m, 2]
        teacher, product, noise = parameters[m, TEACHER], parameters[m, PRODUCT], parameters[m, NOISE]
        f, _ = feedback_entry(rule, a, parameters[m, FEEDBACK])
        pi = w if moves(rule) else parameters[m, PROPAGATOR]
        z = exact_product(w, w)
        own = infinite_sums(rule.horizon, exact_product(pi, w), z)
        goal = infinite_sums(rule.horizon, exact_product(pi, teacher), exact_product(w, teacher))
        means[m, 0], means[m, 1], means[m, 2] = mode_formula(w, a, b, f, teacher, product, own, goal)
        omega = _error_variance(w, a * b, teacher, product) + noise * noise
        state = b * b / one_minus(z[0], z[1])
        single, double = _credit_sums(rule.horizon, exact_product(pi, w), exact_product(pi, pi))
        losses[m] = 0.5 * omega
        variances[m, 0] = omega * f * f * state * double + means[m, 0] ** 2
        variances[m, 1] = omega * state + means[m, 1] ** 2
        variances[m, 2] = omega * f * f * single + means[m, 2] ** 2
