"""From a learning rule to what the kernels read: the one place where its words become numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .kernels import rule as codes
from .kernels.updates.credit import Carrier

if TYPE_CHECKING:
    from .rules import LearningRule
    from .typing import FloatArray, GridValue

_FEEDBACKS = {"readout": codes.READOUT, "random": codes.RANDOM, "sign": codes.SIGN}
_PROPAGATORS = {
    "recurrent": codes.RECURRENT,
    "scalar": codes.SCALAR,
    "diagonal": codes.DIAGONAL,
    "recurrent_diagonal": codes.RECURRENT_DIAGONAL,
}


def kernel_rule(rule: LearningRule) -> codes.Rule:
    """The rule as every kernel reads it; what belongs to a network or a mode is handed over beside it."""
    return codes.Rule(
        feedback=_FEEDBACKS[rule.feedback],
        propagator=_PROPAGATORS[rule.propagator],
        sign_scale=rule.sign_scale or 0.0,
        horizon=rule.horizon or 0,
    )


def unit_decay(rule: LearningRule, n_hidden: int) -> FloatArray:
    """The fixed diagonal of P: a number or one for each hidden unit, 0 where the rule has none.

    Raises
    ------
    ValueError
        If the rule's decay does not have n_hidden numbers.
    """
    decay = np.asarray(0.0 if rule.decay is None else rule.decay, dtype=float)
    if decay.ndim and decay.shape != (n_hidden,):
        raise ValueError(f"decay must hold n_hidden={n_hidden} numbers for the rule {rule.name}; got {len(decay)}")
    return decay


def carrier(rule: LearningRule, place: Any, feedbacks: Sequence[FloatArray | None]) -> Carrier:
    """What carries the error of the networks of a block.

    Parameters
    ----------
    rule : LearningRule
    place : fastmodes.kernels.arrays.layout.Layout
    feedbacks : list of array (n_out, n_hidden)
        R, one for each network of the block; ignored by rules that read none.

    Raises
    ------
    ValueError
        If the rule's decay does not have n_hidden numbers.
    """
    decay = np.broadcast_to(unit_decay(rule, place.n_hidden), place.n_hidden)
    return Carrier(place.readout_like(feedbacks if rule.reads_feedback else []), place.hidden_like(decay))


def moves(rule: LearningRule) -> bool:
    """Whether the propagator of a mode is its own w: propagator W, or its diagonal in the neuron basis."""
    return rule.propagator in ("recurrent", "recurrent_diagonal")


def mode_decay(rule: LearningRule, grid_values: Iterable[GridValue]) -> GridValue:
    """The rule's fixed propagator as a grid parameter: a number, or one per mode along the axis of modes.

    Several numbers (propagator "diagonal") belong to the dimension "mode" of DataArrays, or to the last axis of plain
    arrays. A propagator that moves with w has no decay of its own: 0.
    """
    own: Any = rule.decay
    if rule.propagator == "scalar":
        return own
    if rule.propagator != "diagonal":
        return 0.0
    if len(own) == 1:
        return own[0]
    decay = np.array(own)
    return xr.DataArray(decay, dims="mode") if any(isinstance(v, xr.DataArray) for v in grid_values) else decay


def mode_feedback(rule: LearningRule, feedback: GridValue, position: GridValue | None = None) -> GridValue:
    """What the kernels take for r as a grid parameter: r itself, 0 for readout feedback, s for the feedback s sign(a).

    ``position`` is the readout weight a of modes that stay where they are: their feedback s sign(a) is a number.
    """
    if rule.feedback == "random":
        return feedback
    if rule.feedback == "sign":
        return (rule.sign_scale or 0.0) * (1.0 if position is None else np.sign(position))
    return 0.0
