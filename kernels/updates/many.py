"""Expected updates of many networks by doubling, one after another in the same work space."""

from typing import Any, NamedTuple

from ..arrays.workspace import view
from ..compile import apart, kernel
from .doubling import CHANGE_INPUT, CHANGE_READOUT, CHANGE_RECURRENT, FEEDBACK, INPUT, READOUT, RECURRENT
from .finite import finite_update_of
from .infinite import infinite_update_of


class Batch(NamedTuple):
    """Networks and their updates, the network first on every axis.

    ``readout, recurrent, input, feedback`` are read; ``losses`` (without the teacher's part), ``terms`` (0 or less
    where infinitely many do not converge) and the three changes are written.
    """

    readout: Any
    recurrent: Any
    input: Any
    feedback: Any
    losses: Any
    terms: Any
    change_readout: Any
    change_recurrent: Any
    change_input: Any


@apart
def _put(m, code, matrix):
    place = view(m, code)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            place[i, j] = matrix[i, j]


@apart
def _get(m, code, matrix):
    place = view(m, code)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = place[i, j]


@apart
def _read(m, batch, i):
    _put(m, READOUT, batch.readout[i])
    _put(m, RECURRENT, batch.recurrent[i])
    _put(m, INPUT, batch.input[i])
    _put(m, FEEDBACK, batch.feedback[i])


@apart
def _write(m, batch, i):
    _get(m, CHANGE_READOUT, batch.change_readout[i])
    _get(m, CHANGE_RECURRENT, batch.change_recurrent[i])
    _get(m, CHANGE_INPUT, batch.change_input[i])


@kernel
def infinite_updates(m, batch, rule, limit):
    """:func:`~fastmodes.kernels.updates.infinite.infinite_update` of every network of the batch."""
    for i in range(len(batch.losses)):
        _read(m, batch, i)
        batch.losses[i], batch.terms[i] = infinite_update_of(m, rule, limit)
        _write(m, batch, i)


@kernel
def finite_updates(m, batch, rule, steps, weighted):
    """:func:`~fastmodes.kernels.updates.finite.finite_update` of every network of the batch."""
    for i in range(len(batch.losses)):
        _read(m, batch, i)
        batch.losses[i] = finite_update_of(m, rule, steps, weighted)
        _write(m, batch, i)
