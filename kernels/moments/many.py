"""Second moments of sampled updates of many networks, one after another in the same work space."""

from typing import Any, NamedTuple

from ..arrays.layout import Network
from ..compile import apart, halted, kernel
from .directions import along_final, along_sequence, respond_along
from .entries import collect_powers, final_entries, readout_entries, stationary_entries, turn_times
from .responses import correlate_back, respond, spread_states, sum_errors
from .sequence import prepare_pairs, sequence_entries

#: Kinds of moments: final loss, sequence loss, final loss at infinitely many steps.
FINAL, SEQUENCE, STATIONARY = range(3)


class Batch(NamedTuple):
    """Networks, padded, the network first on every axis; B and the directions of B times the input's root.

    ``feedback`` holds R or what is added to a share of A; the directions (network, direction, ..) belong to each
    network. ``root_turned`` is the root's transpose, ``input_variances`` the diagonal of the input covariance,
    ``noise`` the variance of the target noise.
    """

    readout: Any
    recurrent: Any
    input: Any
    feedback: Any
    along_readout: Any
    along_recurrent: Any
    along_input: Any
    target: Any
    root_turned: Any
    input_variances: Any
    noise: float


class Moments(NamedTuple):
    """Results for a single sample: losses, means and variances, those of Delta W and Delta B side by side."""

    losses: Any
    readout_mean: Any
    readout_variance: Any
    mean: Any
    variance: Any
    along_mean: Any
    along_variance: Any


@apart
def _loss(kind, batch, work):
    """The expected loss, and Omega for the final one; target noise adds half its variance for each output."""
    steps, n_out = len(work.errors), work.errors.shape[1]
    power = sum_errors(work, batch.noise)
    if kind == SEQUENCE:
        power = 0.0
        for k in range(steps):
            squares = 0.0
            for o in range(n_out):
                for i in range(work.errors.shape[2]):
                    squares += work.errors[k, o, i] * work.errors[k, o, i]
            power += squares * (steps - k) / steps
    return 0.5 * power + 0.5 * n_out * batch.noise


@apart
def _along(kind, batch, i, network, work, direction, moments):
    for v in range(batch.along_readout.shape[1]):
        along = Network(batch.along_readout[i, v], batch.along_recurrent[i, v], batch.along_input[i, v])
        respond_along(network, along, work.credit, direction)
        if kind == SEQUENCE:
            mean, variance = along_sequence(work.errors, batch.noise, direction)
        else:
            mean, variance = along_final(work.errors, work.error_covariance, direction)
        moments.along_mean[i, v], moments.along_variance[i, v] = mean, variance


@apart
def _entries(kind, batch, i, network, rule, spaces, moments):
    work, here, pairs = spaces
    readout = moments.readout_mean[i], moments.readout_variance[i]
    inner = moments.mean[i], moments.variance[i]
    correlate_back(work)
    spread_states(network, work)
    turn_times(work, here, len(batch.input_variances))
    if kind == SEQUENCE:
        collect_powers(network, work, here)
        prepare_pairs(work, batch.noise, pairs)
        results = readout[0], readout[1], inner[0], inner[1]
        sequence_entries(rule, network, work, here, pairs, batch.input_variances, results)
        return
    readout_entries(work, readout[0], readout[1])
    if kind == FINAL:
        collect_powers(network, work, here)
        final_entries(rule, work, here, batch.input_variances, inner[0], inner[1])
    else:
        stationary_entries(network, rule, work, here, batch.input_variances, inner[0], inner[1])


@kernel
def moments_of(batch, rule, kind, entries, spaces, direction, moments):
    """Moments of every network of the batch.

    Parameters
    ----------
    batch : Batch
    rule : Rule
        For infinitely many steps with the horizon 0 where it is as good as endless.
    kind : int
        FINAL, SEQUENCE or STATIONARY.
    entries : bool
        Whether the moments of every entry are computed, not only the loss and those along directions.
    spaces : tuple
        Work, EntryWork, SequenceWork.
    direction : DirectionWork
    moments : Moments
        Written.
    """
    work, here, _ = spaces
    for i in range(len(batch.readout)):
        if halted(here.halt):
            return
        network = Network(batch.readout[i], batch.recurrent[i], batch.input[i])
        work.carrier.feedback[:] = batch.feedback[i]
        respond(network, rule, batch.target, batch.root_turned, work)
        moments.losses[i] = _loss(kind, batch, work)
        _along(kind, batch, i, network, work, direction, moments)
        if entries:
            _entries(kind, batch, i, network, rule, spaces, moments)
