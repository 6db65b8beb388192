"""Sampled updates of networks whose units are not linear, or leak, for every rule (theory sections 10 and 16).

    u_t = W h_t + B x_t,      h_{t+1} = (1 - leak) h_t + leak phi(u_t),      y_t = A h_t,      h_0 = 0

With q_t the credit of the hidden state h_t and s_t = leak phi'(u_t) the slope of each unit,

    Delta W = sum_t (s_t q_{t+1}) h_t^T,      Delta B = sum_t (s_t q_{t+1}) x_t^T

and credit is carried one step back, then added to by the error at that step, F^T eps_t:

    recurrent (BPTT)            q_t = (1 - leak) q_{t+1} + W^T (s_t q_{t+1})
    its diagonal (e-prop)       q_t = ((1 - leak) + diag(W) s_t) q_{t+1}
    scalar, diagonal (RFLO)     q_t = decay q_{t+1}

A fixed decay knows neither slope nor leak: the slope acts once, where Murray's trace takes the state in. With phi the
identity this is the linear network of W_e = (1 - leak) I + leak W and B_e = leak B.

Arrays of a batch are (time, unit, sample) as in :mod:`~fastmodes.kernels.updates.sampled`. Slopes differ from sample to
sample, so that credit is carried for each. Under a horizon shorter than the sequence every error has credit of its own,
in a ring of as many slots as the horizon has steps.
"""

from typing import Any, NamedTuple

from ..arrays.layout import aligned_zeros
from ..arrays.products import add_correlations, clear, product, product_turned
from ..arrays.tile import multiply_tiles
from ..compile import inlined, kernel
from ..rule import RECURRENT, RECURRENT_DIAGONAL, feedback_matrix, reach, reach_within
from ..simd.functions import tanh
from ..simd.lanes import WIDTH, fma, less, load, select, splat, store
from ..simd.views import flattened, numbers
from .credit import Carrier, read_diagonal
from .sampled import FINAL, output_errors

IDENTITY, TANH, RELU = range(3)

#: Samples, of one step or of several, whose correlations are summed at a time: what a tile reads stays in the first
#: cache.
_CORRELATED_AT_ONCE = 256


class Units(NamedTuple):
    """Hidden units: how many there are, the code of phi, and their leak, 0 < leak <= 1."""

    count: int
    nonlinearity: int
    leak: float


class Work(NamedTuple):
    """Work space of one sampled update, see :func:`work_space`."""

    units: Units
    carrier: Carrier
    turned: Any
    hidden: Any
    errors: Any
    slopes: Any
    credit: Any
    through: Any


def work_space(network, rule, carrier, units, steps, batch, loss_kind):
    """Work space for sampled updates of one padded network under a rule; ``batch`` is a multiple of eight.

    As :func:`fastmodes.kernels.updates.sampled.work_space`, with :class:`Units` in place of their number.
    """
    n_out, n_hidden, horizon = network.readout.shape[0], units.count, reach(rule.horizon, steps)
    slots = 1 if loss_kind == FINAL or horizon == steps else horizon
    return Work(
        units=units,
        carrier=carrier,
        turned=aligned_zeros((n_hidden, n_hidden)),
        hidden=aligned_zeros((steps + 1, n_hidden, batch)),
        errors=aligned_zeros((1 if loss_kind == FINAL else steps, n_out, batch)),
        slopes=aligned_zeros((steps, n_hidden, batch)),
        credit=aligned_zeros((slots, n_hidden, batch)),
        through=aligned_zeros((1 if slots == 1 else 2, n_hidden, batch)),
    )


@inlined
def forward_pass(network, units, inputs, hidden, slopes):
    """hidden[t+1] from hidden[t] and inputs[t], slopes[t] = leak phi'(u_t) unless ``slopes`` is empty.

    The caller has put h_0 into hidden[0].
    """
    n_hidden, batch, n_in = units.count, inputs.shape[2], inputs.shape[1]
    w, b, h, x = numbers(network.recurrent), numbers(network.input), numbers(hidden), numbers(inputs)
    columns_w, columns_b, size = network.recurrent.shape[1], network.input.shape[1], n_hidden * batch
    for t in range(len(inputs)):
        after = (t + 1) * size
        multiply_tiles(h, b, x, (after, 0, t * n_in * batch), (n_hidden, n_in, batch), (columns_b, 1), True)
        multiply_tiles(h, w, h, (after, 0, t * size), (n_hidden, n_hidden, batch), (columns_w, 1), False)
        if units.nonlinearity == TANH:
            _apply_tanh(units, hidden, slopes, t * size, size)
        elif units.nonlinearity == RELU:
            _apply_relu(units, hidden, slopes, t * size, size)
        else:
            _apply_identity(units, hidden, slopes, t * size, size)


@inlined
def _apply_tanh(units, hidden, slopes, here, size):
    h, s, leak, kept = numbers(hidden), numbers(slopes), units.leak, len(slopes) > 0
    for i in range(here, here + size, WIDTH):
        value = tanh(load(h, (i + size,)))
        store(h, (i + size,), fma(leak, value, (1.0 - leak) * load(h, (i,))))
        if kept:
            store(s, (i,), fma(-value, value, 1.0) * leak)


@inlined
def _apply_relu(units, hidden, slopes, here, size):
    h, s, leak, kept = numbers(hidden), numbers(slopes), units.leak, len(slopes) > 0
    for i in range(here, here + size, WIDTH):
        driven = load(h, (i + size,))
        value = select(less(driven, 0.0), 0.0, driven)
        store(h, (i + size,), fma(leak, value, (1.0 - leak) * load(h, (i,))))
        if kept:
            store(s, (i,), select(less(0.0, driven), leak, 0.0))


@inlined
def _apply_identity(units, hidden, slopes, here, size):
    h, s, leak, kept = numbers(hidden), numbers(slopes), units.leak, len(slopes) > 0
    for i in range(here, here + size, WIDTH):
        store(h, (i + size,), fma(leak, load(h, (i + size,)), (1.0 - leak) * load(h, (i,))))
        if kept:
            store(s, (i,), splat(leak))


@kernel
def outputs(network, units, inputs, hidden, out):
    """Outputs y_t = A h_t of a batch at the last len(out) steps; ``hidden`` is work space, hidden[0] holds h_0."""
    forward_pass(network, units, inputs, hidden, hidden[:0])
    first = len(hidden) - len(out)
    for t in range(len(out)):
        product(out[t], network.readout, hidden[first + t], True)


@kernel
def batch_loss(network, inputs, targets, samples, hidden, errors, units):
    """Mean loss of a batch (Eq. 2 for one error per sample, App. H for one at every step)."""
    clear(hidden[0])
    forward_pass(network, units, inputs, hidden, hidden[:0])
    return output_errors(network, hidden, targets, errors) / (2.0 * samples * len(errors))


@kernel
def nonlinear_update(network, rule, inputs, targets, samples, work, update):
    """Update of one network averaged over a batch; returns the loss.

    Parameters are those of :func:`fastmodes.kernels.updates.sampled.sampled_update`; ``work`` says what the units are.
    """
    hidden, errors = work.hidden, work.errors
    clear(hidden[0])
    forward_pass(network, work.units, inputs, hidden, work.slopes)
    squares = output_errors(network, hidden, targets, errors)
    scale = 1.0 / (samples * len(errors))
    flat = flattened(errors)
    for i in range(0, len(flat), WIDTH):
        store(flat, (i,), load(flat, (i,)) * scale)
    clear(update.readout)
    clear(update.recurrent)
    clear(update.input)
    add_correlations(update.readout, errors, hidden, len(hidden) - len(errors), 0, len(errors))
    read_diagonal(rule, network, work.carrier.decay)
    _carry_credit_back(network, rule, inputs, work, update)
    return 0.5 * squares * scale


@inlined
def _carry_credit_back(network, rule, inputs, work, update):
    """Turn slopes into s_t q_{t+1}, from the last step back as far as the rule reaches, and correlate them."""
    feedback = feedback_matrix(rule, network.readout, work.carrier.feedback)
    steps, errors = len(inputs), work.errors
    horizon = reach_within(rule.horizon, steps)
    first = steps - horizon if len(errors) == 1 else 0
    at_once = max(1, _CORRELATED_AT_ONCE // work.hidden.shape[2])
    clear(work.credit)
    for i in range(len(work.turned)):
        for k in range(len(work.turned)):
            work.turned[i, k] = network.recurrent[k, i]
    done = steps
    for t in range(steps - 1, first - 1, -1):
        place = t + len(errors) - steps
        if place >= 0:
            # The slot of a new error held one that has come to its horizon; the full horizon has no end.
            product_turned(work.credit[t % len(work.credit)], feedback, errors[place], horizon < steps)
        _one_step_back(rule, work, t, t > first and horizon > 1)
        if done - t == at_once or t == first:
            add_correlations(update.recurrent, work.slopes, work.hidden, 0, t, done)
            add_correlations(update.input, work.slopes, inputs, 0, t, done)
            done = t


@inlined
def _one_step_back(rule, work, t, going_on):
    """slopes[t] becomes s_t q_{t+1}, the sum of all slots, and every slot q_t if credit is ``going_on``."""
    slots, n_hidden, batch = work.credit.shape
    if slots > 1:
        for i in range(n_hidden):
            for k in range(0, batch, WIDTH):
                summed = load(work.credit, (0, i, k))
                for slot in range(1, slots):
                    summed = summed + load(work.credit, (slot, i, k))
                store(work.through, (1, i, k), summed)
    for slot in range(slots):
        if rule.propagator == RECURRENT:
            _back_through_recurrent(work, t, slot, going_on)
        else:
            _back_through_diagonal(rule, work, t, slot)
    if slots > 1:
        for i in range(n_hidden):
            for k in range(0, batch, WIDTH):
                store(work.slopes, (t, i, k), load(work.slopes, (t, i, k)) * load(work.through, (1, i, k)))


@inlined
def _back_through_recurrent(work, t, slot, going_on):
    """A slot's q becomes (1 - leak) q + W^T (s_t q); an only slot's s_t q goes to slopes[t]."""
    slots, n_hidden, batch = work.credit.shape
    size, keep = n_hidden * batch, 1.0 - work.units.leak
    slopes, credit = numbers(work.slopes), numbers(work.credit)
    through, place = (numbers(work.through), 0) if slots > 1 else (slopes, t * size)
    for i in range(0, size, WIDTH):
        q = load(credit, (slot * size + i,))
        store(through, (place + i,), load(slopes, (t * size + i,)) * q)
        if keep > 0.0:
            store(credit, (slot * size + i,), keep * q)
    if going_on:
        places, sizes = (slot * size, 0, place), (n_hidden, n_hidden, batch)
        multiply_tiles(credit, numbers(work.turned), through, places, sizes, (n_hidden, 1), keep == 0.0)


@inlined
def _back_through_diagonal(rule, work, t, slot):
    """A slot's q becomes P q; an only slot's s_t q goes to slopes[t]."""
    slots, n_hidden, batch = work.credit.shape
    keep, follows = 1.0 - work.units.leak, rule.propagator == RECURRENT_DIAGONAL
    for i in range(n_hidden):
        decay = work.carrier.decay[i]
        for k in range(0, batch, WIDTH):
            slope, q = load(work.slopes, (t, i, k)), load(work.credit, (slot, i, k))
            factor = fma(decay, slope, keep) if follows else splat(decay)
            store(work.credit, (slot, i, k), factor * q)
            if slots == 1:
                store(work.slopes, (t, i, k), slope * q)
