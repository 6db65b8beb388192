"""Credit: one sum serves every learning rule (theory sections 2 and 3).

With G_j (n_out x n_hidden) the correlation of the output error with the hidden state j + 1 steps before it, and M_j
(n_out x n_in) with the input,

    Delta W = sum_{j < horizon} (P^T)^j F^T G_j,      Delta B = sum_{j < horizon} (P^T)^j F^T M_j.

Expected updates have G and M exact (:mod:`~fastmodes.kernels.updates.recursion`), sampled ones have them averaged over
a batch (:mod:`~fastmodes.kernels.updates.sampled`). Letters: A readout, W recurrent, B input, F feedback, P propagator.
"""

from typing import Any, NamedTuple

from ..arrays.layout import Network as Network
from ..arrays.products import chain, copy_into, product_turned, scale_rows
from ..compile import by_dimensions, inlined
from ..rule import RECURRENT, RECURRENT_DIAGONAL, SCALAR, is_readout
from ..simd.lanes import WIDTH, fma, load, store
from ..simd.views import flattened, stacked


class Carrier(NamedTuple):
    """What carries the error of a network, or of eight, to its hidden units and back in time.

    ``feedback`` (n_out, n_hidden) holds R, or what is added to a share of A; ``room`` takes an F that is made from A;
    ``decay`` (n_hidden) holds the diagonal of P, or gives room for one that follows W.
    """

    feedback: Any
    room: Any
    decay: Any


@inlined
def _copy_diagonal_one(matrix, diagonal):
    for i in range(len(diagonal)):
        diagonal[i] = matrix[i, i]


@inlined
def _copy_diagonal_eight(matrix, diagonal):
    for i in range(len(diagonal)):
        store(diagonal, (i, 0), load(matrix, (i, i, 0)))


@by_dimensions({2: _copy_diagonal_one, 3: _copy_diagonal_eight})
def _copy_diagonal(matrix, diagonal):
    """diagonal[i] = matrix[i, i]."""


@inlined
def read_diagonal(rule, network, decay):
    """Let ``decay`` follow the diagonal of W where the rule's propagator does."""
    if rule.propagator == RECURRENT_DIAGONAL:
        _copy_diagonal(network.recurrent, decay)


@inlined
def carry(powers, start, matrix):
    """powers[j] = start matrix^j for every j there is room for."""
    copy_into(powers[0], start)
    chain(powers, 1, 0, matrix, True, len(powers) - 1, 1)


@inlined
def carried_feedback(rule, feedback, network, readout_chain, feedback_chain):
    """F P^j for all j there is room for, where P is W: the chain A W^j if that is already at hand, else computed."""
    if is_readout(rule):
        return readout_chain
    carry(feedback_chain, feedback, network.recurrent)
    return feedback_chain


@inlined
def assign_credit(rule, feedback, carried, g, m, work, update):
    """Delta W and Delta B from G and M, both (horizon, ...).

    ``carried`` is F P^j for the recurrent propagator; ``work`` holds the diagonal of any other, and room for the scalar
    one's ``gathered`` G and M, whose sum over time needs no n_hidden x n_hidden matrix: Delta W = F^T (sum_j w_hat^j
    G_j) has rank n_out at most (Prop. 3.1).
    """
    decay = work.carrier.decay
    if rule.propagator == RECURRENT:
        product_turned(update.recurrent, stacked(carried), stacked(g), True)
        product_turned(update.input, stacked(carried), stacked(m), True)
    elif rule.propagator == SCALAR:
        _gather(work.gathered_g, g, decay)
        _gather(work.gathered_m, m, decay)
        product_turned(update.recurrent, feedback, work.gathered_g, True)
        product_turned(update.input, feedback, work.gathered_m, True)
    else:
        last = len(g) - 1
        product_turned(update.recurrent, feedback, g[last], True)
        product_turned(update.input, feedback, m[last], True)
        for j in range(last - 1, -1, -1):
            scale_rows(update.recurrent, decay)
            scale_rows(update.input, decay)
            product_turned(update.recurrent, feedback, g[j], False)
            product_turned(update.input, feedback, m[j], False)


@inlined
def _gather(gathered, sequence, decay):
    """Horner's rule: gathered = sum_j decay[0]^j sequence[j]."""
    factor = flattened(decay)[0]
    total, terms = flattened(gathered), flattened(sequence)
    size = len(total)
    for i in range(0, size, WIDTH):
        summed = load(terms, ((len(sequence) - 1) * size + i,))
        for j in range(len(sequence) - 2, -1, -1):
            summed = fma(factor, summed, load(terms, (j * size + i,)))
        store(total, (i,), summed)
