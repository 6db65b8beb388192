"""Sampled updates of networks whose units are not linear, or leak, for every rule (theory section 12).

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
from ..simd.lanes import WIDTH, fma, less, load, select, splat, spread, store
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
    h, s, size, kept = numbers(hidden), numbers(slopes), units.count * inputs.shape[2], len(slopes) > 0
    for t in range(len(inputs)):
        _drive(network, numbers(inputs), h, t, (units.count, inputs.shape[1], inputs.shape[2]))
        if units.nonlinearity == TANH:
            _apply_tanh(h, s, t * size, size, units.leak, kept)
        elif units.nonlinearity == RELU:
            _apply_relu(h, s, t * size, size, units.leak, kept)
        else:
            _apply_identity(h, s, t * size, size, units.leak, kept)


@inlined
def _drive(network, x, h, t, sizes):
    """u_t = B x_t + W h_t where h_{t+1} will be, in tiles of four units times eight samples."""
    w, across_w = numbers(network.recurrent), network.recurrent.shape[1]
    b, across_b = numbers(network.input), network.input.shape[1]
    n_hidden, n_in, batch = sizes
    here, given = t * n_hidden * batch, t * n_in * batch
    for i0 in range(0, n_hidden, 4):
        # Past the last unit the tile repeats it: computed twice, stored twice, the same number.
        i1, i2, i3 = min(i0 + 1, n_hidden - 1), min(i0 + 2, n_hidden - 1), min(i0 + 3, n_hidden - 1)
        for j in range(0, batch, WIDTH):
            u0, u1, u2, u3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for k in range(n_in):
                r = load(x, (given + k * batch + j,))
                u0, u1 = fma(spread(b, (i0 * across_b + k,)), r, u0), fma(spread(b, (i1 * across_b + k,)), r, u1)
                u2, u3 = fma(spread(b, (i2 * across_b + k,)), r, u2), fma(spread(b, (i3 * across_b + k,)), r, u3)
            for k in range(n_hidden):
                r = load(h, (here + k * batch + j,))
                u0, u1 = fma(spread(w, (i0 * across_w + k,)), r, u0), fma(spread(w, (i1 * across_w + k,)), r, u1)
                u2, u3 = fma(spread(w, (i2 * across_w + k,)), r, u2), fma(spread(w, (i3 * across_w + k,)), r, u3)
            after = here + n_hidden * batch + j
            store(h, (after + i0 * batch,), u0)
            store(h, (after + i1 * batch,), u1)
            store(h, (after + i2 * batch,), u2)
            store(h, (after + i3 * batch,), u3)


@inlined
def _apply_tanh(h, s, here, size, leak, kept):
    for i in range(here, here + size, WIDTH):
        value = tanh(load(h, (i + size,)))
        store(h, (i + size,), fma(leak, value, (1.0 - leak) * load(h, (i,))))
        if kept:
            store(s, (i,), fma(-value, value, 1.0) * leak)


@inlined
def _apply_relu(h, s, here, size, leak, kept):
    for i in range(here, here + size, WIDTH):
        driven = load(h, (i + size,))
        value = select(less(driven, 0.0), 0.0, driven)
        store(h, (i + size,), fma(leak, value, (1.0 - leak) * load(h, (i,))))
        if kept:
            store(s, (i,), select(less(0.0, driven), leak, 0.0))


@inlined
def _apply_identity(h, s, here, size, leak, kept):
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
    feedback = feedback_matrix(rule, network.readout, work.carrier.feedback, work.carrier.room)
    steps, (slots, _, batch), errors = len(inputs), work.credit.shape, work.errors
    horizon = reach_within(rule.horizon, steps)
    first = steps - horizon if len(errors) == 1 else 0
    at_once = max(1, _CORRELATED_AT_ONCE // batch)
    clear(work.credit)
    _turn(work.turned, network.recurrent)
    # Addresses: every array handed to a function has its references counted.
    places = _Places(numbers(work.slopes), numbers(work.credit), numbers(work.through), numbers(work.turned),
                     numbers(work.carrier.decay))  # fmt: skip
    sizes = (slots, work.units.count, batch)
    done = steps
    for t in range(steps - 1, first - 1, -1):
        place = t + len(errors) - steps
        if place >= 0:
            # The slot of a new error held one that has come to its horizon; the full horizon has no end.
            product_turned(work.credit[t % slots], feedback, errors[place], horizon < steps)
        _one_step_back(rule, 1.0 - work.units.leak, places, sizes, t, t > first and horizon > 1)
        if done - t == at_once or t == first:
            add_correlations(update.recurrent, work.slopes, work.hidden, 0, t, done)
            add_correlations(update.input, work.slopes, inputs, 0, t, done)
            done = t


class _Places(NamedTuple):
    """Where the arrays of :class:`Work` begin, and the diagonal of P."""

    slopes: Any
    credit: Any
    through: Any
    turned: Any
    decay: Any


@inlined
def _turn(turned, matrix):
    for i in range(len(turned)):
        for k in range(len(turned)):
            turned[i, k] = matrix[k, i]


@inlined
def _one_step_back(rule, keep, places, sizes, t, going_on):
    """slopes[t] becomes s_t q_{t+1}, the sum of all slots, and every slot q_t if credit is ``going_on``."""
    slots, size = sizes[0], sizes[1] * sizes[2]
    slopes, credit, summed = places.slopes, places.credit, places.through
    if slots > 1:
        for i in range(0, size, WIDTH):
            total = load(credit, (i,))
            for slot in range(1, slots):
                total = total + load(credit, (slot * size + i,))
            store(summed, (size + i,), total)
    for slot in range(slots):
        if rule.propagator == RECURRENT:
            _back_through_recurrent(places, sizes, (t, slot), keep, going_on)
        else:
            _back_through_diagonal(places, sizes, (t, slot), keep, rule.propagator == RECURRENT_DIAGONAL)
    if slots > 1:
        for i in range(0, size, WIDTH):
            store(slopes, (t * size + i,), load(slopes, (t * size + i,)) * load(summed, (size + i,)))


@inlined
def _back_through_recurrent(places, sizes, at, keep, going_on):
    """A slot's q becomes keep q + W^T (s_t q); an only slot's s_t q goes to slopes[t]."""
    slots, n_hidden, batch = sizes
    size = n_hidden * batch
    here, slot = at[0] * size, at[1] * size
    slopes, credit = places.slopes, places.credit
    through, beside = (places.through, 0) if slots > 1 else (slopes, here)
    for i in range(0, size, WIDTH):
        q = load(credit, (slot + i,))
        store(through, (beside + i,), load(slopes, (here + i,)) * q)
        if keep > 0.0:
            store(credit, (slot + i,), keep * q)
    if going_on:
        kinds = (n_hidden, n_hidden, batch)
        multiply_tiles(credit, places.turned, through, (slot, 0, beside), kinds, (n_hidden, 1), keep == 0.0)


@inlined
def _back_through_diagonal(places, sizes, at, keep, follows):
    """A slot's q becomes P q, P = keep + diag(W) s_t if it ``follows`` W; an only slot's s_t q goes to slopes[t]."""
    slots, n_hidden, batch = sizes
    here, slot = at[0] * n_hidden * batch, at[1] * n_hidden * batch
    slopes, credit = places.slopes, places.credit
    for i in range(n_hidden):
        decay = spread(places.decay, (i,))
        for k in range(i * batch, (i + 1) * batch, WIDTH):
            slope, q = load(slopes, (here + k,)), load(credit, (slot + k,))
            factor = fma(decay, slope, keep) if follows else decay
            store(credit, (slot + k,), factor * q)
            if slots == 1:
                store(slopes, (here + k,), slope * q)
