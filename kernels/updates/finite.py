"""Exact expected updates over T steps in O(n^3 log T), every rule, any spectral radius (theory section 4).

In the letters of :mod:`~fastmodes.kernels.updates.infinite`, with T = a + b, a the rule's horizon,

    Delta W = sum_{j<a} (P^T)^j F^T Ab Wb^{j+1} S_{T-1-j} = N_a Wb S_b + D_a (W^T)^b

The pairs (j, i), j steps back from the error and i on from the input, fill a rectangle, which factorises, and a
triangle j + i < a - 1 at its far end, which is D_a. A rectangle and two triangles make a triangle of twice the size:

    D_{l+m} = N_l Wb^{T-l-m+1} S_m + (P^T)^l D_m + D_l (W^T)^m,        D_1 = 0

so the double sum doubles like the single ones and needs nothing to be solvable or stable. Weights (T - k) / T (the
sequence loss) replace S and N by the weighted sums of :mod:`~fastmodes.kernels.updates.doubling`.

Where every power is spent at half the horizon already, D vanishes and S and N have their limits. Otherwise a
chain of sizes 1 = m_0, m_1, ... m_q = a leads to the horizon, m_l being twice m_{l-1}, or one more. One
pass up makes the powers Wb^{m_l}; one pass down turns them into Wb^{T - 2 m_{l-1}}, the powers in the middle of each
stage; a second pass up doubles S, N and D together.
"""

from ..arrays.workspace import add, clear, copy, entries, multiply, transpose, view
from ..compile import apart, kernel
from ..rule import RECURRENT as RECURRENT_PROPAGATOR
from ..rule import reach, reach_within
from .doubling import (
    CHAIN,
    CHANGE_INPUT,
    CHANGE_READOUT,
    CHANGE_RECURRENT,
    CREDIT,
    DECAY,
    DECAY_POWER,
    DRIVE,
    EARLIER_POWER,
    EARLIER_SUM,
    EARLIER_TURNED,
    EARLIER_WEIGHTED_SUM,
    POWER,
    RECURRENT,
    SCRATCH_POWER,
    SCRATCH_SUM,
    SCRATCH_TRIANGLE,
    SUM,
    TRIANGLE,
    TURNED,
    TURNED_POWER,
    WEIGHTED_CREDIT,
    WEIGHTED_SUM,
    carry_back,
    double,
    double_sums,
    extend,
    raise_powers,
    spent,
    start_sums,
    sum_to,
    top_bit,
)
from .infinite import add_rectangle, assign, prepare


def chain_levels(rule, steps):
    """Levels of the chain of sizes that leads to the rule's horizon."""
    return int(reach(rule.horizon, steps)).bit_length()


@apart
def _spent_within(m, horizon, recurrent):
    """Power of two below ``horizon`` at which every power is spent, 0 if there is none.

    Only squares the powers; the chain keeps them.
    """
    start_sums(m, False)
    count, level = 1, 0
    while 2 * count <= horizon:
        if spent(m, recurrent, True) == 1:
            return count
        for s in range(2):
            copy(m, CHAIN + 2 * level + s, POWER + s)
        raise_powers(m, POWER, DECAY_POWER)
        count *= 2
        level += 1
    return 0


@apart
def _sum_to_power_of_two(m, steps, weighted, recurrent):
    """S and N of ``steps`` terms from the powers that :func:`_spent_within` has kept."""
    start_sums(m, weighted)
    count, level = 1, 0
    decay = entries(m, DECAY_POWER)
    while count < steps:
        for s in range(2):
            copy(m, POWER + s, CHAIN + 2 * level + s)
        transpose(m, TURNED_POWER, POWER)
        double_sums(m, count, weighted, recurrent, True)
        for i in range(len(decay)):
            decay[i] *= decay[i]
        count *= 2
        level += 1


@apart
def _powers_to(m, horizon):
    """Fill the chain with Wb^{m_l}."""
    start_sums(m, False)
    bit, level = top_bit(horizon), 0
    for s in range(2):
        copy(m, CHAIN + s, POWER + s)
    while bit > 1:
        bit //= 2
        level += 1
        raise_powers(m, POWER, DECAY_POWER)
        if horizon & bit:
            raise_powers(m, RECURRENT, DECAY)
        for s in range(2):
            copy(m, CHAIN + 2 * level + s, POWER + s)


@apart
def _sum_earlier(m, steps, weighted):
    """S, SS and powers of the ``steps`` before the horizon; the empty sums and identities where there is none."""
    if steps > 0:
        reached = sum_to(m, steps, weighted, False, False)
        _keep_earlier(m, weighted)
        if reached < steps:
            _spend_earlier(m, steps - reached, weighted)
        return
    clear(m, EARLIER_TURNED)
    for s in range(2):
        clear(m, EARLIER_SUM + s)
        clear(m, EARLIER_WEIGHTED_SUM + s)
        clear(m, EARLIER_POWER + s)
        power = view(m, EARLIER_POWER + s)
        for i in range(len(power)):
            power[i, i] = 1.0
    turned = view(m, EARLIER_TURNED)
    for i in range(len(turned)):
        turned[i, i] = 1.0


@apart
def _keep_earlier(m, weighted):
    copy(m, EARLIER_TURNED, TURNED_POWER)
    for s in range(2):
        copy(m, EARLIER_POWER + s, POWER + s)
        copy(m, EARLIER_SUM + s, SUM + s)
        if weighted:
            copy(m, EARLIER_WEIGHTED_SUM + s, WEIGHTED_SUM + s)


@apart
def _spend_earlier(m, count, weighted):
    """``count`` steps more once every power is spent: SS += count S, and the powers are zero."""
    clear(m, EARLIER_TURNED)
    for s in range(2):
        clear(m, EARLIER_POWER + s)
        if weighted:
            add(m, EARLIER_WEIGHTED_SUM + s, EARLIER_SUM + s, count)


@apart
def _middle_powers(m, horizon):
    """Turn the chain from Wb^{m_l} into Wb^{T - 2 m_{l-1}}, starting from Wb^{T - horizon}."""
    levels = 0
    while (horizon >> levels) > 0:
        levels += 1
    for s in range(2):
        tail, raised = POWER + s, SCRATCH_POWER + s
        copy(m, tail, EARLIER_POWER + s)
        for level in range(levels - 1, 0, -1):
            if (horizon >> (levels - 1 - level)) & 1:
                multiply(m, raised, tail, RECURRENT + s, True)
                copy(m, tail, raised)
            copy(m, CHAIN + 2 * level + s, tail)
            multiply(m, raised, tail, CHAIN + 2 * (level - 1) + s, True)
            copy(m, tail, raised)


@apart
def _sum_triangle(m, horizon, weighted, recurrent):
    """Bring S, N and D from one term to ``horizon``."""
    start_sums(m, weighted)
    clear(m, TRIANGLE)
    count, bit, level = 1, top_bit(horizon), 0
    while bit > 1:
        bit //= 2
        level += 1
        middle = CHAIN + 2 * level
        multiply(m, SCRATCH_TRIANGLE, TRIANGLE, TURNED_POWER, True)
        carry_back(m, SCRATCH_TRIANGLE, recurrent, TURNED_POWER, DECAY_POWER, TRIANGLE)
        for s in range(2):
            multiply(m, SCRATCH_POWER + s, middle + s, RECURRENT + s, True)
        add_rectangle(m, SCRATCH_TRIANGLE, SCRATCH_POWER, SUM, WEIGHTED_SUM, weighted)
        copy(m, TRIANGLE, SCRATCH_TRIANGLE)
        double(m, count, weighted, recurrent, True)
        count *= 2
        if horizon & bit:
            multiply(m, SCRATCH_TRIANGLE, TRIANGLE, TURNED, True)
            for s in range(2):
                multiply(m, SCRATCH_SUM + s, middle + s, DRIVE + s, True)
                multiply(m, SCRATCH_TRIANGLE, (WEIGHTED_CREDIT if weighted else CREDIT) + s, SCRATCH_SUM + s, False)
            copy(m, TRIANGLE, SCRATCH_TRIANGLE)
            extend(m, weighted, recurrent, True)
            count += 1


@apart
def _join(m, horizon, rest, weighted, all_spent):
    """Put the ``rest`` = b earlier steps before the a = ``horizon`` last ones; S_T and SS_T are left in EARLIER.

    S_T = S_b + Wb^b S_a (W^T)^b, SS_T = SS_b + a S_b + Wb^b SS_a (W^T)^b, NN_T = NN_a + b N_a. Where all powers are
    spent, the products with Wb^b are zero.
    """
    clear(m, SCRATCH_TRIANGLE)
    if not all_spent:
        multiply(m, SCRATCH_TRIANGLE, TRIANGLE, EARLIER_TURNED, True)
    if rest > 0:
        add_rectangle(m, SCRATCH_TRIANGLE, RECURRENT, EARLIER_SUM, EARLIER_WEIGHTED_SUM, weighted)
    copy(m, TRIANGLE, SCRATCH_TRIANGLE)
    for s in range(2):
        if weighted:
            add(m, EARLIER_WEIGHTED_SUM + s, EARLIER_SUM + s, horizon)
            add(m, WEIGHTED_CREDIT + s, CREDIT + s, rest)
        if all_spent:
            continue
        if weighted:
            multiply(m, SCRATCH_SUM + s, EARLIER_POWER + s, WEIGHTED_SUM + s, True)
            multiply(m, EARLIER_WEIGHTED_SUM + s, SCRATCH_SUM + s, EARLIER_TURNED, False)
        multiply(m, SCRATCH_SUM + s, EARLIER_POWER + s, SUM + s, True)
        multiply(m, EARLIER_SUM + s, SCRATCH_SUM + s, EARLIER_TURNED, False)


@apart
def finite_update_of(m, rule, steps, weighted):
    """:func:`finite_update` for use inside kernels."""
    recurrent, horizon = rule.propagator == RECURRENT_PROPAGATOR, reach_within(rule.horizon, steps)
    prepare(m, rule)
    reached = _spent_within(m, horizon, recurrent)
    all_spent = reached > 0
    if all_spent:
        # Credit further back and inputs further away add nothing: a is as good as the horizon, and S_b is S_a.
        rest = steps - reached
        _sum_to_power_of_two(m, reached, weighted, recurrent)
        _keep_earlier(m, weighted)
        _spend_earlier(m, rest - reached, weighted)
        clear(m, TRIANGLE)
    else:
        reached, rest = horizon, steps - horizon
        _sum_earlier(m, rest, weighted)
        _powers_to(m, horizon)
        _middle_powers(m, horizon)
        _sum_triangle(m, horizon, weighted, recurrent)
    _join(m, reached, rest, weighted, all_spent)
    loss = assign(m, rule, EARLIER_WEIGHTED_SUM if weighted else EARLIER_SUM, WEIGHTED_CREDIT if weighted else CREDIT)
    if weighted:
        for change in (CHANGE_READOUT, CHANGE_RECURRENT, CHANGE_INPUT):
            all_of_it = entries(m, change)
            for i in range(len(all_of_it)):
                all_of_it[i] /= steps
        loss /= steps
    return loss


@kernel
def finite_update(m, rule, steps, weighted):
    """Expected update of one network over ``steps`` time steps, equal to the O(T) recursion to rounding.

    Parameters
    ----------
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`, with :func:`chain_levels` of rule and steps.
        Read: the two networks (with -A* in place of A*), R and the diagonal of P. Written: the update, and all else.
    rule : Rule
    steps : int
        T.
    weighted : bool
        False: final loss. True: sequence loss.

    Returns
    -------
    loss : float
        Without the teacher's part, 1/2 sum_k c_k ||A* W*^k B*||^2, which no student changes.
    """
    return finite_update_of(m, rule, steps, weighted)
