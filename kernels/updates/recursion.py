"""Expected updates at a finite number of steps T: one backward recursion for every rule (theory section 3).

    M_k = A W^k B - Y_k                 the error matrix (Eq. 6), Y_k = A* W*^k B*, k = 0 .. T-1
    L   = 1/2 sum_k c_k ||M_k||^2       c_k = 1 for the final loss, (T-k)/T for the sequence loss
    G_j = c_{j+1} M_{j+1} B^T + G_{j+1} W^T,     G_{T-1} = 0,     Delta A = G_{-1}

and Delta W, Delta B by :mod:`~fastmodes.kernels.updates.credit`. Cost O(T n^2 (n_in + n_out)).
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.products import chain, clear, copy_into, product, transpose_into
from ..compile import by_dimensions, inlined, kernel
from ..rule import RECURRENT, feedback_matrix, reach_within
from ..simd.lanes import WIDTH, fma, load, splat, store, total
from ..simd.views import stacked
from .credit import Carrier, assign_credit, carried_feedback, carry, read_diagonal


class Work(NamedTuple):
    """Work space of one expected update, see :func:`work_space`."""

    carrier: Carrier
    readout_chain: Any
    feedback_chain: Any
    errors: Any
    backward: Any
    gathered_g: Any
    gathered_m: Any
    recurrent_turned: Any
    input_turned: Any


def work_space(network, carrier, steps):
    """Work space for expected updates of one network (or eight side by side) over ``steps`` time steps."""
    a, w, b = network
    n_out, n_in, n_hidden, lanes = a.shape[0], b.shape[1], w.shape[0], w.shape[2:]
    return Work(
        carrier=carrier,
        readout_chain=np.zeros((steps, n_out, n_hidden, *lanes)),
        feedback_chain=np.zeros((steps, n_out, n_hidden, *lanes)),
        errors=np.zeros((steps, n_out, n_in, *lanes)),
        backward=np.zeros((steps + 1, n_out, n_hidden, *lanes)),
        gathered_g=np.zeros((n_out, n_hidden, *lanes)),
        gathered_m=np.zeros((n_out, n_in, *lanes)),
        recurrent_turned=np.zeros((n_hidden, n_hidden, *lanes)),
        input_turned=np.zeros((n_in, n_hidden, *lanes)),
    )


@inlined
def _same_weight(weights, k, i):
    return weights[k]


@inlined
def _lanes_weight(weights, k, i):
    return load(weights, (k, i))


@inlined
def _own_weight(weights, k, i):
    return weights[k, i]


@by_dimensions({1: _same_weight, 2: _lanes_weight})
def _weight_of_eight(weights, k, i):
    """c_k, or the weights of eight channels from i on."""


@by_dimensions({1: _same_weight, 2: _own_weight})
def _weight_of_one(weights, k, i):
    """c_k, or the weight of channel i."""


@inlined
def _weigh_errors_one(errors, target, weights, loss):
    """Subtract the target, add up the loss, weigh: M_k becomes c_k (M_k - Y_k)."""
    summed = splat(0.0)
    for k in range(errors.shape[0]):
        for o in range(errors.shape[1]):
            for i in range(0, errors.shape[2], WIDTH):
                error = load(errors, (k, o, i)) - load(target, (k, o, i))
                weighed = error * _weight_of_eight(weights, k, i)
                summed = fma(error, weighed, summed)
                store(errors, (k, o, i), weighed)
    loss[0] = 0.5 * total(summed)


@inlined
def _weigh_errors_eight(errors, target, weights, loss):
    summed = splat(0.0)
    for k in range(errors.shape[0]):
        for o in range(errors.shape[1]):
            for i in range(errors.shape[2]):
                error = load(errors, (k, o, i, 0)) - target[k, o, i]
                weighed = error * _weight_of_one(weights, k, i)
                summed = fma(error, weighed, summed)
                store(errors, (k, o, i, 0), weighed)
    store(loss, (0,), 0.5 * summed)


@by_dimensions({3: _weigh_errors_one, 4: _weigh_errors_eight})
def _weigh_errors(errors, target, weights, loss):
    """Subtract the target, add up the loss, weigh: M_k becomes c_k (M_k - Y_k)."""


@kernel
def expected_update(network, rule, target, weights, work, update, loss):
    """Expected update and loss of one network, or of eight side by side.

    Parameters
    ----------
    network : Network
        A, W, B.
    rule : Rule
    target : array (steps, n_out, n_in)
        Y_k, the teacher's impulse response.
    weights : array (steps,) or (steps, n_in)
        c_k, or those of every channel: an impulse that comes at one time alone counts at some k alone.
    work : Work
    update : Network
        Receives Delta A, Delta W, Delta B.
    loss : array (1,) or (8,)
        Receives the loss.
    """
    a, w, b = network.readout, network.recurrent, network.input
    steps = len(weights)
    carry(work.readout_chain, a, w)
    product(stacked(work.errors), stacked(work.readout_chain), b, True)
    _weigh_errors(work.errors, target, weights, loss)
    backward = work.backward
    transpose_into(work.recurrent_turned, w)
    transpose_into(work.input_turned, b)
    clear(backward[steps])
    product(stacked(backward[:steps]), stacked(work.errors), work.input_turned, True)
    chain(backward, steps - 1, steps, work.recurrent_turned, False, steps, -1)
    copy_into(update.readout, backward[0])

    carrier, horizon = work.carrier, reach_within(rule.horizon, steps)
    read_diagonal(rule, network, carrier.decay)
    feedback = feedback_matrix(rule, a, carrier.feedback, carrier.room)
    carried = work.readout_chain[:horizon]
    if rule.propagator == RECURRENT:
        carried = carried_feedback(rule, feedback, network, carried, work.feedback_chain[:horizon])
    assign_credit(rule, feedback, carried, backward[1 : horizon + 1], work.errors[:horizon], work, update)
