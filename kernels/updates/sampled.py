"""Sampled updates: forward pass and credit on a batch of sequences, for every rule (Eqs. 1, 32-38, 45-52).

Arrays of a batch are (time, unit, sample): samples are contiguous and fill the lanes, padded with zero sequences to a
multiple of eight. Letters: x input, h hidden state, eps output error.

With the correlations averaged over the batch

    final loss:     G_j = <eps_T h_{T-1-j}^T>,                          M_j = <eps_T x_{T-1-j}^T>
    sequence loss:  G_j = 1/T sum_{t > j} <eps_t h_{t-1-j}^T>,          M_j likewise

credit is the sum of :mod:`~fastmodes.kernels.updates.credit`. This order of multiplication costs less than carrying a
credit vector per sample back in time whenever n_out < n_hidden. For the sequence loss over the full horizon, where it
would cost O(T^2), the credit vectors are carried (:func:`_carry_credit_back`).
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.products import add_correlation, clear, product, product_turned
from ..compile import inlined, kernel
from ..rule import RECURRENT, feedback_matrix, is_readout, reach
from ..simd.lanes import WIDTH, fma, load, splat, store, total
from .credit import Carrier, assign_credit, carried_feedback, carry, read_diagonal

FINAL, SEQUENCE = range(2)


class Work(NamedTuple):
    """Work space of one sampled update, see :func:`work_space`."""

    carrier: Carrier
    hidden: Any
    errors: Any
    readout_chain: Any
    feedback_chain: Any
    g: Any
    m: Any
    gathered_g: Any
    gathered_m: Any
    credit: Any


def work_space(network, rule, carrier, n_hidden, steps, batch, loss_kind):
    """Work space for sampled updates of one padded network under a rule; ``batch`` is a multiple of eight."""
    n_out, columns = network.readout.shape
    n_in, horizon = network.input.shape[1], reach(rule.horizon, steps)
    carries_back = loss_kind == SEQUENCE and horizon == steps
    kept = 1 if carries_back else horizon
    return Work(
        carrier=carrier,
        hidden=np.zeros((steps + 1, n_hidden, batch)),
        errors=np.zeros((1 if loss_kind == FINAL else steps, n_out, batch)),
        readout_chain=np.zeros((kept, n_out, columns)),
        feedback_chain=np.zeros((kept, n_out, columns)),
        g=np.zeros((kept, n_out, columns)),
        m=np.zeros((kept, n_out, n_in)),
        gathered_g=np.zeros((n_out, columns)),
        gathered_m=np.zeros((n_out, n_in)),
        credit=np.zeros((2 if carries_back else 1, n_hidden, batch)),
    )


@inlined
def forward_pass(network, inputs, hidden):
    """hidden[t+1] = W hidden[t] + B inputs[t], hidden[0] = 0 (Eq. 1); (time, unit, sample)."""
    w, b = network.recurrent, network.input
    n_hidden, n_in, batch = hidden.shape[1], inputs.shape[1], hidden.shape[2]
    clear(hidden[0])
    for t in range(len(inputs)):
        for i0 in range(0, n_hidden, 4):
            i1, i2, i3 = min(i0 + 1, n_hidden - 1), min(i0 + 2, n_hidden - 1), min(i0 + 3, n_hidden - 1)
            for s in range(0, batch, WIDTH):
                h0, h1, h2, h3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                for k in range(n_in):
                    x = load(inputs, (t, k, s))
                    h0, h1 = fma(b[i0, k], x, h0), fma(b[i1, k], x, h1)
                    h2, h3 = fma(b[i2, k], x, h2), fma(b[i3, k], x, h3)
                for k in range(n_hidden):
                    before = load(hidden, (t, k, s))
                    h0, h1 = fma(w[i0, k], before, h0), fma(w[i1, k], before, h1)
                    h2, h3 = fma(w[i2, k], before, h2), fma(w[i3, k], before, h3)
                store(hidden, (t + 1, i0, s), h0)
                store(hidden, (t + 1, i1, s), h1)
                store(hidden, (t + 1, i2, s), h2)
                store(hidden, (t + 1, i3, s), h3)


@inlined
def output_errors(network, hidden, targets, errors):
    """errors = A h - y* at the last step or at every step; returns the sum of their squares."""
    first = len(hidden) - len(errors)
    summed = splat(0.0)
    for t in range(len(errors)):
        product(errors[t], network.readout, hidden[first + t], True)
        for o in range(errors.shape[1]):
            for s in range(0, errors.shape[2], WIDTH):
                error = load(errors, (t, o, s)) - load(targets, (t, o, s))
                summed = fma(error, error, summed)
                store(errors, (t, o, s), error)
    return total(summed)


@kernel
def outputs(network, inputs, hidden, out):
    """Outputs y_t = A h_t of a batch at the last len(out) steps; ``hidden`` is work space."""
    forward_pass(network, inputs, hidden)
    first = len(hidden) - len(out)
    for t in range(len(out)):
        product(out[t], network.readout, hidden[first + t], True)


@kernel
def batch_loss(network, inputs, targets, samples, hidden, errors):
    """Mean loss of a batch (Eq. 2 for one error per sample, App. H for one at every step)."""
    forward_pass(network, inputs, hidden)
    return output_errors(network, hidden, targets, errors) / (2.0 * samples * len(errors))


@kernel
def sampled_update(network, rule, inputs, targets, samples, work, update):
    """Update of one network averaged over a batch; returns the loss.

    Parameters
    ----------
    network : Network
        One padded network.
    rule : Rule
    inputs : array (steps, n_in, batch)
    targets : array (1, n_out, batch) or (steps, n_out, batch)
        Teacher outputs at the last step (final loss) or at every step (sequence loss).
    samples : float
        What sums over the batch are divided by: the number of true (not padding) sequences; 1 for a plain sum.
    work : Work
    update : Network
        Receives Delta A, Delta W, Delta B.
    """
    hidden, errors = work.hidden, work.errors
    forward_pass(network, inputs, hidden)
    squares = output_errors(network, hidden, targets, errors)
    scale = 1.0 / (samples * len(errors))
    first = len(hidden) - len(errors)

    clear(update.readout)
    for t in range(len(errors)):
        for o in range(errors.shape[1]):
            for s in range(0, errors.shape[2], WIDTH):
                store(errors, (t, o, s), load(errors, (t, o, s)) * scale)
        add_correlation(update.readout, errors[t], hidden[first + t])

    read_diagonal(rule, network, work.carrier.decay)
    feedback = feedback_matrix(rule, network.readout, work.carrier.feedback, work.carrier.room)
    if len(work.credit) == 2:
        _carry_credit_back(network, rule, feedback, inputs, work, update)
        return 0.5 * squares * scale
    _correlate_back(errors, hidden, len(inputs), work.g)
    _correlate_back(errors, inputs, len(inputs), work.m)
    carried = work.readout_chain
    if rule.propagator == RECURRENT:
        if is_readout(rule):
            carry(carried, network.readout, network.recurrent)
        carried = carried_feedback(rule, feedback, network, carried, work.feedback_chain)
    assign_credit(rule, feedback, carried, work.g, work.m, work, update)
    return 0.5 * squares * scale


@inlined
def _correlate_back(errors, states, steps, out):
    """out[j] = sum_t sum_samples errors_t states_{t-1-j}^T over the steps t <= steps that reach back so far."""
    for j in range(len(out)):
        clear(out[j])
        for back in range(len(errors)):
            source = steps - back - 1 - j
            if source >= 0:
                add_correlation(out[j], errors[len(errors) - 1 - back], states[source])


@inlined
def _carry_credit_back(network, rule, feedback, inputs, work, update):
    """Sequence loss, full horizon: c_s = P^T c_{s+1} + F^T eps_{s+1}, Delta W = sum_s c_s h_s^T (Eqs. 33, 50)."""
    steps = len(inputs)
    clear(update.recurrent)
    clear(update.input)
    clear(work.credit)
    for s in range(steps - 1, -1, -1):
        here, later = work.credit[s % 2], work.credit[(s + 1) % 2]
        product_turned(here, feedback, work.errors[s], True)
        if rule.propagator == RECURRENT:
            product_turned(here, network.recurrent, later, False)
        else:
            for i in range(len(here)):
                for k in range(0, here.shape[1], WIDTH):
                    store(here, (i, k), fma(work.carrier.decay[i], load(later, (i, k)), load(here, (i, k))))
        add_correlation(update.recurrent, here, work.hidden[s])
        add_correlation(update.input, here, inputs[s])
