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
from ..simd.lanes import WIDTH, fma, load, store
from ..simd.views import flattened, stacked

#: Propagators P: W itself; one number times the identity; a fixed diagonal; the diagonal of W, moving as W learns.
RECURRENT, SCALAR, DIAGONAL, RECURRENT_DIAGONAL = range(4)


class Rule(NamedTuple):
    """A learning rule in a kernel.

    ``propagator`` is one of the codes above, ``horizon`` at most the number of steps. ``readout_feedback`` says that F
    is A; otherwise F is ``feedback`` (n_out, n_hidden). ``decay`` (n_hidden) holds the diagonal of P where it has one.
    """

    propagator: int
    horizon: int
    readout_feedback: bool
    feedback: Any
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
def read_diagonal(rule, network):
    """Let ``rule.decay`` follow the diagonal of W where the rule's propagator does."""
    if rule.propagator == RECURRENT_DIAGONAL:
        _copy_diagonal(network.recurrent, rule.decay)


@inlined
def carry(powers, start, matrix):
    """powers[j] = start matrix^j for every j there is room for."""
    copy_into(powers[0], start)
    chain(powers, 1, 0, matrix, True, len(powers) - 1, 1)


@inlined
def carried_feedback(rule, feedback, network, readout_chain, feedback_chain):
    """F P^j for all j < horizon where P is W: the chain A W^j if that is already at hand, else computed."""
    if rule.readout_feedback:
        return readout_chain[: rule.horizon]
    carry(feedback_chain[: rule.horizon], feedback, network.recurrent)
    return feedback_chain[: rule.horizon]


@inlined
def assign_credit(rule, feedback, carried, g, m, gathered_g, gathered_m, update):
    """Delta W and Delta B from G and M, both (horizon, ...).

    ``carried`` is F P^j for the recurrent propagator; ``gathered`` (n_out, n_hidden) and (n_out, n_in) are work space
    of the scalar one, whose sum over time needs no n_hidden x n_hidden matrix: Delta W = F^T (sum_j w_hat^j G_j) has
    rank n_out at most (Prop. 3.1).
    """
    if rule.propagator == RECURRENT:
        product_turned(update.recurrent, stacked(carried), stacked(g), True)
        product_turned(update.input, stacked(carried), stacked(m), True)
    elif rule.propagator == SCALAR:
        _gather(gathered_g, g, rule.decay)
        _gather(gathered_m, m, rule.decay)
        product_turned(update.recurrent, feedback, gathered_g, True)
        product_turned(update.input, feedback, gathered_m, True)
    else:
        last = len(g) - 1
        product_turned(update.recurrent, feedback, g[last], True)
        product_turned(update.input, feedback, m[last], True)
        for j in range(last - 1, -1, -1):
            scale_rows(update.recurrent, rule.decay)
            scale_rows(update.input, rule.decay)
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
