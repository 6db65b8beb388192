"""Expected updates of every rule at infinitely many steps, by doubling (beyond the paper; theory section 4).

Letters: A, W, B of the student, A*, W*, B* of the teacher, F feedback, P propagator
(:mod:`~fastmodes.kernels.updates.credit`). With the joint network (student, teacher) written as Wb = diag(W, W*), Bb =
(B, B*), Ab = (A, -A*), a rule of horizon a has

    S = sum_k Wb^k Bb B^T (W^T)^k          N = sum_{j<a} (P^T)^j F^T Ab Wb^j
    Delta A = Ab S        Delta B = N Bb        Delta W = N Wb S
    loss = 1/2 tr(A Pg A^T) - tr(A Qg^T A*^T) + 1/2 tr(A* Pg* A*^T),     S = (Pg, Qg)

S and N solve Stein equations; :mod:`~fastmodes.kernels.updates.doubling` sums them. A diagonal P acts on the rows of
F^T Ab. A scalar P = decay I is carried with the n_out rows of Ab alone and F^T multiplies the result: the rank of
RFLO's Delta W, at most n_out, shows in the cost.
"""

from .. import rule as rules
from ..arrays.products import transpose_into
from ..arrays.workspace import add, clear, copy, entries, inner_product, multiply, transpose, view
from ..compile import apart, kernel
from ..rule import feedback_matrix
from .doubling import (
    CHANGE_INPUT,
    CHANGE_READOUT,
    CHANGE_RECURRENT,
    CREDIT,
    DECAY,
    DRIVE,
    FEEDBACK,
    FEEDBACK_TURNED,
    GATHERED,
    INPUT,
    INPUT_TURNED,
    READOUT,
    RECURRENT,
    SCRATCH_SUM,
    START,
    SUM,
    TRIANGLE,
    TURNED,
    WEIGHTED_CREDIT,
    WEIGHTED_SUM,
    sum_to_infinity,
)


@apart
def prepare(m, rule):
    """First terms of S and N, and the transposes, from the matrices of both networks."""
    transpose(m, TURNED, RECURRENT)
    transpose(m, INPUT_TURNED, INPUT)
    # Delta A, which is not computed yet, gives room for an F that is made from A.
    feedback = feedback_matrix(rule, view(m, READOUT), view(m, FEEDBACK), view(m, CHANGE_READOUT))
    transpose_into(view(m, FEEDBACK_TURNED), feedback)
    for s in range(2):
        multiply(m, DRIVE + s, INPUT + s, INPUT_TURNED, True)
        if rule.propagator == rules.SCALAR:
            copy(m, START + s, READOUT + s)
        else:
            multiply(m, START + s, FEEDBACK_TURNED, READOUT + s, True)
    if rule.propagator == rules.RECURRENT_DIAGONAL:
        decay, w = entries(m, DECAY), view(m, RECURRENT)
        for i in range(len(decay)):
            decay[i] = w[i, i]


@apart
def add_rectangle(m, out, power, sums, weighted_sums, weighted):
    """``out += N X S``: what all pairs (j, i) add, j < a steps back from the error, i < b on from the input; X a power.

    With weights, pair (j, i) counts (a - j) + (b - i) - 1 times: ``out += NN X S + N X (SS - S)``.
    """
    for s in range(2):
        multiply(m, SCRATCH_SUM + s, power + s, sums + s, True)
        if weighted:
            multiply(m, out, WEIGHTED_CREDIT + s, SCRATCH_SUM + s, False)
            add(m, weighted_sums + s, sums + s, -1.0)
            multiply(m, SCRATCH_SUM + s, power + s, weighted_sums + s, True)
            add(m, weighted_sums + s, sums + s, 1.0)
        multiply(m, out, CREDIT + s, SCRATCH_SUM + s, False)


@apart
def assign(m, rule, sums, credit):
    """Delta A, Delta B and the loss (without the teacher's part) from S and N; Delta W from D, which holds N Wb S."""
    multiply(m, CHANGE_READOUT, READOUT, sums, True)
    loss = 0.5 * inner_product(m, READOUT, CHANGE_READOUT)
    multiply(m, CHANGE_READOUT, READOUT + 1, sums + 1, True)
    loss += inner_product(m, READOUT, CHANGE_READOUT)
    multiply(m, CHANGE_READOUT, READOUT, sums, False)
    multiply(m, GATHERED, credit, INPUT, True)
    multiply(m, GATHERED, credit + 1, INPUT + 1, False)
    if rule.propagator == rules.SCALAR:
        multiply(m, CHANGE_INPUT, FEEDBACK_TURNED, GATHERED, True)
        multiply(m, CHANGE_RECURRENT, FEEDBACK_TURNED, TRIANGLE, True)
    else:
        copy(m, CHANGE_INPUT, GATHERED)
        copy(m, CHANGE_RECURRENT, TRIANGLE)
    return loss


@apart
def infinite_update_of(m, rule, limit):
    """:func:`infinite_update` for use inside kernels."""
    prepare(m, rule)
    terms = sum_to_infinity(m, rule.horizon, rule.propagator == rules.RECURRENT, limit)
    clear(m, TRIANGLE)
    add_rectangle(m, TRIANGLE, RECURRENT, SUM, WEIGHTED_SUM, False)
    return assign(m, rule, SUM, CREDIT), terms


@kernel
def infinite_update(m, rule, limit):
    """Expected update of one network in the limit of infinitely many steps.

    Parameters
    ----------
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`. Read: the two networks (with -A* in place of
        A*), R and the diagonal of P. Written: the update, and all else.
    rule : Rule
    limit : int
        Most doublings: a spectral radius above about 1 - 20 / 2^limit counts as no convergence.

    Returns
    -------
    loss : float
        Without the teacher's part, 1/2 tr(A* Pg* A*^T), which no student changes.
    terms : float
        How many were summed until the powers were spent; 0: ``limit`` doublings were not enough; -1: the powers grow.
    """
    return infinite_update_of(m, rule, limit)
