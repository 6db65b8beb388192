"""Sums of matrix powers by doubling: ``t`` terms in O(log t) products.

With X, Y square and Q a rectangle between them,

    S_t  = sum_{k<t} X^k Q Y^k                 S_2t  = S_t + X^t S_t Y^t
    SS_t = sum_{k<t} (t-k) X^k Q Y^k           SS_2t = SS_t + t S_t + X^t SS_t Y^t

SS_t = S_1 + ... + S_t serves the sequence loss. Nothing is inverted: the sums exist for any spectral radius as long as
t is finite. Two such sums make every expected update (:mod:`~fastmodes.kernels.updates.infinite`), with Wb = diag(W,
W*):

    S = sum_k Wb^k (B, B*) B^T (W^T)^k               covariance of both networks' states with the student's
    N = sum_j (P^T)^j F^T (A, -A*) Wb^j              credit, P the propagator and F the feedback

All matrices lie in one :class:`~fastmodes.kernels.arrays.workspace.Matrices` and are named by the codes below. The code
of a pair means the student's matrix, the code after it the teacher's.
"""

import numpy as np

from ..arrays.layout import padded
from ..arrays.workspace import add, add_rows, allocate, copy, entries, multiply, size, transpose
from ..compile import apart

#: Pairs: (A, -A*), (W, W*), (B, B*) and Wb^t.
READOUT, RECURRENT, INPUT, POWER = 0, 2, 4, 6
#: Pairs: first terms of S and N; S, N and their weighted forms.
DRIVE, START, SUM, WEIGHTED_SUM, CREDIT, WEIGHTED_CREDIT = 8, 10, 12, 14, 16, 18
#: Pairs: S, SS and power of the time before the horizon (:mod:`~fastmodes.kernels.updates.finite`); work space.
EARLIER_SUM, EARLIER_WEIGHTED_SUM, EARLIER_POWER, SCRATCH_SUM, SCRATCH_CREDIT, SCRATCH_POWER = 20, 22, 24, 26, 28, 30
#: Delta A, Delta W, Delta B.
CHANGE_READOUT, CHANGE_RECURRENT, CHANGE_INPUT = 32, 33, 34
#: W^T, (W^T)^t, the latter before the horizon, B^T, R, F^T, the diagonals of P and P^t.
TURNED, TURNED_POWER, EARLIER_TURNED, INPUT_TURNED, FEEDBACK, FEEDBACK_TURNED, DECAY, DECAY_POWER = range(35, 43)
#: Delta W before F^T is put to it, work space for it, and Delta B likewise.
TRIANGLE, SCRATCH_TRIANGLE, GATHERED = 43, 44, 45
#: Pairs Wb^{m_l}, one for each level l of a chain of sizes.
CHAIN = 46

#: A power is spent when it adds less than this part to any sum.
NEGLIGIBLE = 2.0**-60

#: A power this large will not come back: the spectral radius is above one.
HOPELESS = 1e150

#: Most doublings of an update at infinitely many steps: spectral radii up to about 1 - 2e-11.
MOST_DOUBLINGS = 40


def allocate_update(n_out, n_hidden, n_teacher, n_in, *, scalar, weighted=False, levels=0):
    """Work space of the expected update of one network; A, W, B come first, then the update, the rest after them.

    Parameters
    ----------
    n_out, n_hidden, n_teacher, n_in : int
        All but ``n_out`` padded.
    scalar : bool
        Whether the propagator is a number: credit then has n_out rows instead of n_hidden.
    weighted : bool
        Whether the weighted sums are needed.
    levels : int
        Levels of the chain of sizes, for a finite number of steps.
    """
    rows = n_out if scalar else n_hidden
    of_network = [((n_out, size), (size, size), (size, n_in)) for size in (n_hidden, n_teacher)]
    network = (READOUT, RECURRENT, INPUT)
    changes = (CHANGE_READOUT, CHANGE_RECURRENT, CHANGE_INPUT)
    shapes = dict(zip(changes, of_network[0], strict=True))
    for s, size_ in enumerate((n_hidden, n_teacher)):
        shapes |= {code + s: shape for code, shape in zip(network, of_network[s], strict=True)}
        for code in (POWER, EARLIER_POWER, SCRATCH_POWER, *(CHAIN + 2 * level for level in range(levels))):
            shapes[code + s] = (size_, size_)
        for code in (DRIVE, SUM, EARLIER_SUM, SCRATCH_SUM):
            shapes[code + s] = (size_, n_hidden)
        for code in (START, CREDIT, SCRATCH_CREDIT):
            shapes[code + s] = (rows, size_)
        for code in (WEIGHTED_SUM, EARLIER_WEIGHTED_SUM):
            shapes[code + s] = (size_ * weighted, n_hidden)
        shapes[WEIGHTED_CREDIT + s] = (rows * weighted, size_)
    shapes |= dict.fromkeys((TURNED, TURNED_POWER, EARLIER_TURNED), (n_hidden, n_hidden))
    shapes |= {INPUT_TURNED: (n_in, n_hidden), FEEDBACK: (n_out, n_hidden), FEEDBACK_TURNED: (n_hidden, n_out)}
    shapes |= dict.fromkeys((DECAY, DECAY_POWER), (1, padded(rows)))
    shapes |= {GATHERED: (rows, n_in)}
    shapes |= {TRIANGLE: (rows, n_hidden), SCRATCH_TRIANGLE: (rows, n_hidden)}
    return allocate(shapes, (*network, *changes))


@apart
def start_sums(m, weighted):
    """Sums of one term, powers of exponent one."""
    for s in range(2):
        copy(m, SUM + s, DRIVE + s)
        copy(m, CREDIT + s, START + s)
        copy(m, POWER + s, RECURRENT + s)
        if weighted:
            copy(m, WEIGHTED_SUM + s, DRIVE + s)
            copy(m, WEIGHTED_CREDIT + s, START + s)
    copy(m, TURNED_POWER, TURNED)
    copy(m, DECAY_POWER, DECAY)


@apart
def carry_back(m, out, recurrent, turned, decay, matrix):
    """``out += P^T matrix``: ``turned`` is P^T where P is recurrent, ``decay`` the diagonal of any other P."""
    if recurrent:
        multiply(m, out, turned, matrix, False)
    else:
        add_rows(m, out, decay, matrix)


@apart
def double(m, count, weighted, recurrent, with_credit):
    """From ``count`` terms to twice as many: sums first, then the powers."""
    double_sums(m, count, weighted, recurrent, with_credit)
    raise_powers(m, POWER, DECAY_POWER)


@apart
def double_sums(m, count, weighted, recurrent, with_credit):
    """The sums of twice as many terms, from the powers of ``count`` terms."""
    for s in range(2):
        if weighted:
            multiply(m, SCRATCH_SUM + s, POWER + s, WEIGHTED_SUM + s, True)
            add(m, WEIGHTED_SUM + s, SUM + s, count)
            multiply(m, WEIGHTED_SUM + s, SCRATCH_SUM + s, TURNED_POWER, False)
        multiply(m, SCRATCH_SUM + s, POWER + s, SUM + s, True)
        multiply(m, SUM + s, SCRATCH_SUM + s, TURNED_POWER, False)
        if with_credit and weighted:
            multiply(m, SCRATCH_CREDIT + s, WEIGHTED_CREDIT + s, POWER + s, True)
            add(m, WEIGHTED_CREDIT + s, CREDIT + s, count)
            carry_back(m, WEIGHTED_CREDIT + s, recurrent, TURNED_POWER, DECAY_POWER, SCRATCH_CREDIT + s)
        if with_credit:
            multiply(m, SCRATCH_CREDIT + s, CREDIT + s, POWER + s, True)
            carry_back(m, CREDIT + s, recurrent, TURNED_POWER, DECAY_POWER, SCRATCH_CREDIT + s)


@apart
def extend(m, weighted, recurrent, with_credit):
    """One term more, ``S_{t+1} = Q + X S_t Y`` and ``SS_{t+1} = SS_t + S_{t+1}``: sums first, then the powers."""
    for s in range(2):
        multiply(m, SCRATCH_SUM + s, RECURRENT + s, SUM + s, True)
        copy(m, SUM + s, DRIVE + s)
        multiply(m, SUM + s, SCRATCH_SUM + s, TURNED, False)
        if weighted:
            add(m, WEIGHTED_SUM + s, SUM + s, 1.0)
        if with_credit:
            multiply(m, SCRATCH_CREDIT + s, CREDIT + s, RECURRENT + s, True)
            copy(m, CREDIT + s, START + s)
            carry_back(m, CREDIT + s, recurrent, TURNED, DECAY, SCRATCH_CREDIT + s)
        if with_credit and weighted:
            add(m, WEIGHTED_CREDIT + s, CREDIT + s, 1.0)
    raise_powers(m, RECURRENT, DECAY)


@apart
def raise_powers(m, factor, decay):
    """Multiply every power by ``factor``, which may be the power itself, and the diagonal of P^t by ``decay``."""
    for s in range(2):
        multiply(m, SCRATCH_POWER + s, POWER + s, factor + s, True)
        copy(m, POWER + s, SCRATCH_POWER + s)
    transpose(m, TURNED_POWER, POWER)
    power, once = entries(m, DECAY_POWER), entries(m, decay)
    for i in range(len(power)):
        power[i] *= once[i]


@apart
def spent(m, recurrent, with_credit):
    """1 once the powers add nothing to the sums any more, 2 once they have grown beyond hope, else 0."""
    student, teacher, carried = size(m, POWER), size(m, POWER + 1), 0.0
    if with_credit:
        carried = student if recurrent else np.abs(entries(m, DECAY_POWER)).max()
    if not (student + teacher + carried < HOPELESS):
        return 2
    return 1 if max(student, carried) * max(student, teacher) <= NEGLIGIBLE else 0


@apart
def top_bit(steps):
    """Largest power of two that is at most ``steps``."""
    bit = 1
    while 2 * bit <= steps:
        bit *= 2
    return bit


@apart
def sum_to(m, steps, weighted, recurrent, with_credit):
    """Bring the sums from one term to ``steps``, or to fewer if the powers are spent before; return how many."""
    start_sums(m, weighted)
    count, bit = 1, top_bit(steps)
    while bit > 1 and spent(m, recurrent, with_credit) != 1:
        bit //= 2
        double(m, count, weighted, recurrent, with_credit)
        count *= 2
        if steps & bit:
            extend(m, weighted, recurrent, with_credit)
            count += 1
    return count


@apart
def sum_to_infinity(m, horizon, recurrent, limit):
    """Bring S to its limit and N to ``horizon`` (0: to its limit too).

    Returns the number of terms summed, 0 if ``limit`` doublings are not enough, -1 if the powers grow.
    """
    terms = float(sum_to(m, max(horizon, 1), False, recurrent, True))
    for _ in range(limit):
        found = spent(m, recurrent, horizon == 0)
        if found == 1:
            return terms
        if found == 2:
            return -1.0
        double(m, 0, False, recurrent, horizon == 0)
        terms *= 2.0
    return 0.0
