"""Online form of the full-horizon rules: credit carried forward in time (Eqs. 39-46, 51-52).

Memory does not grow with the number of steps. The trace of a weight into unit i is

    scalar (RFLO):         Q_t[j]       = w_hat Q_{t-1}[j]    + h_{t-1}[j]             one row serves all units
    diagonal (e-prop):     Q_t[i, j]    = P_ii Q_{t-1}[i, j]  + h_{t-1}[j]
    recurrent (RTRL):      Q_t[l, i, j] = sum_m W[l, m] Q_{t-1}[m, i, j] + [l = i] h_{t-1}[j]

and the update Delta W[i, j] = sum_l (F^T eps_T)[l] Q_T[l, i, j]; input weights likewise with x for h. Everything is
kept per sample, the last axis. Written plainly: these forms are the definition that others implement, and the test
twin of the backward form.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.products import clear, copy_into, product, product_turned
from ..compile import inlined, kernel
from ..rule import RECURRENT, SCALAR, feedback_matrix
from .credit import Carrier, read_diagonal


class Work(NamedTuple):
    """Work space of one online update, see :func:`work_space`."""

    carrier: Carrier
    hidden: Any
    hidden_next: Any
    error: Any
    signal: Any
    recurrent_trace: Any
    input_trace: Any
    influence_next: Any


def work_space(network, rule, carrier, n_hidden, batch):
    """Work space; the traces have (carriers, n_hidden or 1, columns, batch) entries."""
    n_out, n_in = network.readout.shape[0], network.input.shape[1]
    carriers = n_hidden if rule.propagator == RECURRENT else 1
    rows = 1 if rule.propagator == SCALAR else n_hidden
    return Work(
        carrier=carrier,
        hidden=np.zeros((n_hidden, batch)),
        hidden_next=np.zeros((n_hidden, batch)),
        error=np.zeros((n_out, batch)),
        signal=np.zeros((n_hidden, batch)),
        recurrent_trace=np.zeros((carriers, rows, n_hidden, batch)),
        input_trace=np.zeros((carriers, rows, n_in, batch)),
        influence_next=np.zeros((n_hidden, batch)),
    )


@inlined
def _step_trace(rule, network, decay, trace, source, columns, column_buffer):
    """Carry one trace a step forward and add what the state or input contributes."""
    carriers, rows, batch = trace.shape[0], trace.shape[1], trace.shape[3]
    for i in range(rows):
        for j in range(columns):
            if rule.propagator == RECURRENT:
                for unit in range(carriers):
                    for s in range(batch):
                        carried = 0.0
                        for m in range(carriers):
                            carried += network.recurrent[unit, m] * trace[m, i, j, s]
                        column_buffer[unit, s] = carried
                for unit in range(carriers):
                    for s in range(batch):
                        trace[unit, i, j, s] = column_buffer[unit, s]
                for s in range(batch):
                    trace[i, i, j, s] += source[j, s]
            else:
                for s in range(batch):
                    trace[0, i, j, s] = decay[i] * trace[0, i, j, s] + source[j, s]


@inlined
def _add_update(rule, signal, trace, columns, scale, update):
    """update[i, j] += scale * sum over carriers and samples of signal times trace."""
    carriers, rows, batch = trace.shape[0], trace.shape[1], trace.shape[3]
    for i in range(len(signal)):
        row = i if rows > 1 else 0
        for j in range(columns):
            summed = 0.0
            for s in range(batch):
                if carriers > 1:
                    for unit in range(carriers):
                        summed += signal[unit, s] * trace[unit, row, j, s]
                else:
                    summed += signal[i, s] * trace[0, row, j, s]
            update[i, j] += scale * summed


@kernel
def online_update(network, rule, inputs, targets, samples, work, update):
    """Online update of one network averaged over a batch; returns the loss.

    Parameters are those of :func:`fastmodes.kernels.updates.sampled.sampled_update`; the rule's horizon is the full
    one.
    """
    steps, n_in, n_hidden = len(inputs), inputs.shape[1], work.hidden.shape[0]
    scale = 1.0 / (samples * len(targets))
    decay = work.carrier.decay
    read_diagonal(rule, network, decay)
    feedback = feedback_matrix(rule, network.readout, work.carrier.feedback, work.carrier.room)
    clear(update.readout)
    clear(update.recurrent)
    clear(update.input)
    loss = 0.0
    for t in range(steps):
        _step_trace(rule, network, decay, work.recurrent_trace, work.hidden, n_hidden, work.influence_next)
        _step_trace(rule, network, decay, work.input_trace, inputs[t], n_in, work.influence_next)
        product(work.hidden_next, network.input, inputs[t], True)
        product(work.hidden_next, network.recurrent, work.hidden, False)
        copy_into(work.hidden, work.hidden_next)
        place = t + len(targets) - steps
        if place >= 0:
            product(work.error, network.readout, work.hidden, True)
            for o in range(work.error.shape[0]):
                for s in range(work.error.shape[1]):
                    work.error[o, s] -= targets[place, o, s]
                    loss += work.error[o, s] ** 2
            product_turned(work.signal, feedback, work.error, True)
            for o in range(work.error.shape[0]):
                for j in range(n_hidden):
                    summed = 0.0
                    for s in range(work.error.shape[1]):
                        summed += work.error[o, s] * work.hidden[j, s]
                    update.readout[o, j] += scale * summed
            _add_update(rule, work.signal, work.recurrent_trace, n_hidden, scale, update.recurrent)
            _add_update(rule, work.signal, work.input_trace, n_in, scale, update.input)
    return 0.5 * loss * scale
