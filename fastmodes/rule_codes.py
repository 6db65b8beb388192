"""From a learning rule to what the kernels read: the one place where its words become numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .kernels import rule as codes
from .kernels.updates.credit import Carrier
from .learning_rule import LEAK
from .modes.grid import by_point, check_product

if TYPE_CHECKING:
    from .rules import LearningRule
    from .typing import FloatArray, GridValue

#: Of a single update, in which an R that was made or has learned is a given one.
_FEEDBACKS = {
    "readout": codes.READOUT,
    "random": codes.RANDOM,
    "sign": codes.SIGN,
    "mixed": codes.MIXED,
    "partly_aligned": codes.RANDOM,
    "kolen_pollack": codes.RANDOM,
    "mirror": codes.RANDOM,
}
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
        feedback_number=rule.sign_scale or rule.mix or 0.0,
        horizon=rule.horizon or 0,
    )


def learning_rule(rule: LearningRule) -> codes.Rule:
    """The rule as kernels of learning read it.

    Under Kolen and Pollack's feedback R moves with every change of A: F = A + G, and G = R - A does nothing but decay.
    """
    in_kernel = kernel_rule(rule)
    if not rule.learns_feedback:
        return in_kernel
    decay = rule.feedback_decay or 0.0
    if rule.feedback == "mirror":
        return in_kernel._replace(learning=codes.FeedbackLearning(0.0, rule.mirror_rate or 0.0, decay))
    return in_kernel._replace(
        feedback=codes.MIXED, feedback_number=1.0, learning=codes.FeedbackLearning(decay, 0.0, decay)
    )


def given_feedback(rule: LearningRule, feedback: Any) -> Any:
    """What kernels take for R in a single update: R itself, or the (1 - beta) R that is added to a share of A."""
    return (1.0 - (rule.mix or 0.0)) * feedback if rule.feedback == "mixed" else feedback


def learning_feedback(rule: LearningRule, feedback: Any, readout: Any) -> Any:
    """What kernels of learning take for R at its start: as :func:`given_feedback`, or R - A, which decays."""
    return feedback - readout if rule.feedback == "kolen_pollack" else given_feedback(rule, feedback)


def _refuse_tied(rule: LearningRule) -> None:
    if rule.decay == LEAK:
        raise ValueError(
            f"decay must be a number where no leak is known; got 'leak' for {rule.name!r}: give one, fm.rflo(1 - leak)"
        )


def unit_decay(rule: LearningRule, n_hidden: int) -> FloatArray:
    """The fixed diagonal of P: a number or one for each hidden unit, 0 where the rule has none.

    Raises
    ------
    ValueError
        If the rule's decay does not have n_hidden numbers, or is tied to a leak that is not known here.
    """
    _refuse_tied(rule)
    decay = np.asarray(0.0 if rule.decay is None else rule.decay, dtype=float)
    if decay.ndim and decay.shape != (n_hidden,):
        raise ValueError(f"decay must hold n_hidden={n_hidden} numbers for the rule {rule.name}; got {len(decay)}")
    return decay


def carrier(
    rule: LearningRule,
    place: Any,
    feedbacks: Sequence[FloatArray | None],
    readouts: Sequence[FloatArray] | None = None,
) -> Carrier:
    """What carries the error of the networks of a block.

    Parameters
    ----------
    rule : LearningRule
    place : fastmodes.kernels.arrays.layout.Layout
    feedbacks : list of array (n_out, n_hidden)
        R, one for each network of the block; ignored by rules that read none.
    readouts : list of array (n_out, n_hidden), optional
        A of each, where networks learn from there (see :func:`learning_feedback`).

    Raises
    ------
    ValueError
        If the rule's decay does not have n_hidden numbers.
    """
    decay = np.broadcast_to(unit_decay(rule, place.n_hidden), place.n_hidden)
    given = [given_feedback(rule, feedback) for feedback in feedbacks] if rule.reads_feedback else []
    if readouts is not None and rule.reads_feedback:
        given = [learning_feedback(rule, *pair) for pair in zip(feedbacks, readouts, strict=True)]
    return Carrier(place.readout_like(given), place.readout_like([]), place.hidden_like(decay))


def moves(rule: LearningRule) -> bool:
    """Whether the propagator of a mode is its own w: propagator W, or its diagonal in the neuron basis."""
    return rule.propagator in ("recurrent", "recurrent_diagonal")


def mode_decay(rule: LearningRule, grid_values: Iterable[GridValue]) -> GridValue:
    """The rule's fixed propagator as a grid parameter: a number, or one per mode along the axis of modes.

    Several numbers (propagator "diagonal") belong to the dimension "mode" of DataArrays, or to the last axis of plain
    arrays. A propagator that moves with w has no decay of its own: 0.

    Raises
    ------
    ValueError
        If the decay is tied to a leak that is not known here.
    """
    _refuse_tied(rule)
    own: Any = rule.decay
    if rule.propagator == "scalar":
        return own
    if rule.propagator != "diagonal":
        return 0.0
    if len(own) == 1:
        return own[0]
    decay = np.array(own)
    return xr.DataArray(decay, dims="mode") if any(isinstance(v, xr.DataArray) for v in grid_values) else decay


def mode_feedback(rule: LearningRule, feedback: GridValue) -> GridValue:
    """What kernels of a single update take for r, as a grid parameter: r itself, or what belongs in its place.

    That is 0 for readout feedback, s for the feedback s sign(a), (1 - beta) r for beta a + (1 - beta) r.
    """
    if rule.feedback == "sign":
        return rule.sign_scale or 0.0
    if rule.feedback == "mixed":
        return given_feedback(rule, *by_point(feedback=feedback))
    return feedback if rule.reads_feedback else 0.0


def start_feedback(rule: LearningRule, feedback: GridValue, start: GridValue) -> GridValue:
    """The same for kernels of learning, of modes whose readout weight is ``start`` (:func:`learning_feedback`)."""
    if rule.feedback != "kolen_pollack":
        return mode_feedback(rule, feedback)
    check_product("feedback", feedback, start)
    return learning_feedback(rule, *by_point(feedback=feedback, readout=start))


def resting_feedback(rule: LearningRule, feedback: GridValue, position: GridValue) -> GridValue:
    """The feedback entry f itself, of modes that stay at the readout weight ``position``; 0 where it is a.

    Raises
    ------
    ValueError
        If the rule lets no mode stay there.
    """
    if rule.feedback == "sign":
        return (rule.sign_scale or 0.0) * np.sign(position)
    if rule.feedback == "mixed":
        check_product("feedback", feedback, position)
        r, a = by_point(feedback=feedback, position=position)
        return given_feedback(rule, r) + (rule.mix or 0.0) * a
    if rule.feedback == "kolen_pollack" and rule.feedback_decay:
        raise ValueError(
            f"feedback_decay must be 0 for modes to rest under {rule.name!r}: the decay of A moves every one; "
            f"got {rule.feedback_decay}"
        )
    if rule.feedback == "mirror":
        if not rule.feedback_decay:
            raise ValueError(f"feedback_decay must be > 0 for modes to rest under {rule.name!r}: R grows on; got 0.0")
        return (rule.mirror_rate or 0.0) / rule.feedback_decay * by_point(position=position)[0]
    return feedback if rule.reads_feedback else 0.0
