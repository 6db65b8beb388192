"""What second moments are made of: responses of error, credit and states to the input (theory section 13).

With x_{T-1-k} the input k steps before the end, and all else as in :mod:`~fastmodes.kernels.updates.recursion`,

    eps_T   = sum_k M_k x_{T-1-k} (+ target noise)        M_k = A W^k B - A* W*^k B*
    credit  = sum_{j < horizon} U_j eps_{T}               U_j^T = F P^j  (n_out x n_hidden)
    sources   h_s and x_s, side by side: the columns that credit meets in Delta W and Delta B

B is taken times a root of the input covariance, which also turns the white x back: E[eps x^T] = M root^T.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import padded
from ..arrays.products import chain, clear, copy_into, product, transpose_into
from ..compile import apart
from ..rule import RECURRENT, feedback_matrix, reach_within
from ..simd.lanes import WIDTH, fma, load, splat, store, total
from ..simd.views import flattened, stacked
from ..updates.credit import Carrier, carried_feedback, carry, read_diagonal


class Work(NamedTuple):
    """Work space of the moments of one network, see :func:`work_space`."""

    carrier: Carrier
    readout_chain: Any
    feedback_chain: Any
    credit: Any
    errors: Any
    backward: Any
    turned_errors: Any
    recurrent_turned: Any
    input_turned: Any
    powers: Any
    state_inputs: Any
    covariances: Any
    error_covariance: Any
    squares: Any


def work_space(network, carrier, steps, kept):
    """Work space of one padded network over ``steps`` time steps; ``kept``: how many states' covariances stay."""
    n_out, n, n_in = len(network.readout), network.recurrent.shape[0], network.input.shape[1]
    return Work(
        carrier=carrier,
        readout_chain=np.zeros((steps, n_out, n)),
        feedback_chain=np.zeros((steps, n_out, n)),
        credit=np.zeros((steps, n_out, n)),
        errors=np.zeros((steps, n_out, n_in)),
        backward=np.zeros((steps + 1, n_out, n)),
        turned_errors=np.zeros((steps, n_out, n_in)),
        recurrent_turned=np.zeros((n, n)),
        input_turned=np.zeros((n_in, n)),
        powers=np.zeros((2, n, n)),
        state_inputs=np.zeros((2, n, n_in)),
        covariances=np.zeros((kept, n, n)),
        error_covariance=np.zeros((n_out, padded(n_out))),
        squares=np.zeros((2, n, n)),
    )


@apart
def _subtract(errors, target):
    own, goal = flattened(errors), flattened(target)
    for i in range(0, len(own), WIDTH):
        store(own, (i,), load(own, (i,)) - load(goal, (i,)))


@apart
def respond(network, rule, target, root_turned, work):
    """Fill the chains of a network: M, M root^T, F P^j, and the error's covariance with earlier states."""
    a, w, b = network.readout, network.recurrent, network.input
    steps = len(target)
    carry(work.readout_chain, a, w)
    product(stacked(work.errors), stacked(work.readout_chain), b, True)
    _subtract(work.errors, target)
    product(stacked(work.turned_errors), stacked(work.errors), root_turned, True)
    transpose_into(work.recurrent_turned, w)
    transpose_into(work.input_turned, b)

    read_diagonal(rule, network, work.carrier.decay)
    feedback = feedback_matrix(rule, a, work.carrier.feedback, work.carrier.room)
    reach = reach_within(rule.horizon, steps)
    if rule.propagator == RECURRENT:
        carried = carried_feedback(rule, feedback, network, work.readout_chain, work.feedback_chain)
        copy_into(work.credit, carried)
    else:
        copy_into(work.credit[0], feedback)
        for j in range(1, steps):
            for o in range(feedback.shape[0]):
                for i in range(0, feedback.shape[1], WIDTH):
                    carried_one = load(work.credit, (j - 1, o, i)) * load(work.carrier.decay, (i,))
                    store(work.credit, (j, o, i), carried_one)
    clear(work.credit[reach:])


@apart
def correlate_back(work):
    """backward[j + 1] = G_j, the error's covariance with the state j + 1 steps before; backward[0] with the last."""
    steps = len(work.errors)
    clear(work.backward[steps])
    product(stacked(work.backward[:steps]), stacked(work.errors), work.input_turned, True)
    chain(work.backward, steps - 1, steps, work.recurrent_turned, False, steps, -1)


@apart
def add_product_turned(c, a, b):
    """c += a b^T, both factors' rows lying in whole lanes."""
    for i in range(a.shape[0]):
        for k in range(b.shape[0]):
            summed = splat(0.0)
            for s in range(0, a.shape[1], WIDTH):
                summed = fma(load(a, (i, s)), load(b, (k, s)), summed)
            c[i, k] += total(summed)


@apart
def spread_states(network, work):
    """covariances[t] = X_t = sum_{s < t} W^s B B^T (W^T)^s, the covariance of h_t; the last alone where one is kept."""
    here, steps, kept = work.state_inputs, len(work.errors), work.covariances
    copy_into(here[0], network.input)
    clear(kept[0])
    for t in range(steps):
        after = kept[min(t + 1, len(kept) - 1)]
        if len(kept) > 1:
            copy_into(after, kept[t])
        add_product_turned(after, here[t % 2], here[t % 2])
        product(here[(t + 1) % 2], network.recurrent, here[t % 2], True)


@apart
def sum_errors(work, noise):
    """Omega = sum_k M_k M_k^T + noise I; returns its trace without the noise, twice the final loss."""
    omega = work.error_covariance
    omega[:] = 0.0
    for k in range(len(work.errors)):
        add_product_turned(omega, work.errors[k], work.errors[k])
    power = 0.0
    for o in range(omega.shape[0]):
        power += omega[o, o]
        omega[o, o] += noise
    return power
