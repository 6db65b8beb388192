"""Modes whose feedback learns: what joins the learning kernels, and the update of r itself (theory section 11)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.flow.learned import learned_flow, learned_map
from ..kernels.flow.networks import Control
from ..kernels.rule import MIXED, READOUT, SIGN
from ..rule_codes import learning_rule
from ..rules import check_rule
from .grid import by_point, check_product
from .update import mode_entries, mode_update

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..kernels.flow.trajectories import Ends
    from ..rules import LearningRule
    from ..typing import FloatArray, GridValue, LossName, ModesLike, Rule


def is_apart(rule: LearningRule) -> bool:
    """Whether feedback is a variable of its own: else it follows from a, and the kernels on lanes serve."""
    return rule.learns_feedback and not (rule.feedback == "kolen_pollack" and rule.feedback_decay == 0)


def follow(
    rule: LearningRule,
    points: FloatArray,
    times: FloatArray,
    options: FloatArray,
    outputs: tuple[FloatArray, ...],
    ends: Ends,
) -> None:
    """Integrate modes whose feedback is a variable of its own; arguments as for the kernels on lanes."""
    control = Control(options[0], options[1], 0.0, int(options[2]))
    learned_flow(points, times, learning_rule(rule), control, outputs, ends)


def iterate(
    rule: LearningRule,
    points: FloatArray,
    epochs: NDArray[Any],
    outputs: tuple[FloatArray, ...],
    outside: FloatArray,
    halt: NDArray[np.int64],
) -> None:
    """The same for the discrete map."""
    learned_map(points, epochs, learning_rule(rule), outputs, outside, halt)


def feedback_entries(rule: LearningRule, readout: FloatArray, given: FloatArray) -> FloatArray:
    """f of modes (point, time) from their readout weights and what the kernels took for r (point,)."""
    in_kernel = learning_rule(rule)
    if in_kernel.feedback == READOUT:
        return readout
    if in_kernel.feedback == SIGN:
        return in_kernel.feedback_number * np.sign(readout)
    share = in_kernel.feedback_number if in_kernel.feedback == MIXED else 0.0
    return share * readout + given[:, np.newaxis]


def feedback_update(
    rule: Rule,
    modes: ModesLike,
    teacher_modes: ModesLike,
    steps: float = math.inf,
    *,
    feedback: GridValue = 1.0,
    loss: LossName = "final",
    leak: float = 1.0,
    threads: int | None = None,
) -> GridValue:
    """Expected update Delta r of feedback that learns: Delta a + lambda r, or lambda r - kappa a of the mirror.

    With it learning is (w, a, b, r) <- (w, a, b, r) - eta (Delta w, Delta a, Delta b, Delta r), where under Kolen and
    Pollack's feedback a decays as r does: Delta a of :func:`mode_update` and lambda a.

    Parameters
    ----------
    rule : LearningRule or str
        With ``feedback`` "kolen_pollack" or "mirror".
    modes, teacher_modes : Modes, or LinearRNN both
    steps : int or math.inf
    feedback : number, array or DataArray
        r as it is now.
    loss : {"final", "sequence"}
    leak : float
        0 < leak <= 1, of the students' units.
    threads : int, optional
        Default: all cores granted to the process.

    Returns
    -------
    number, array or DataArray
        Delta r, to be subtracted times the learning rate.

    Raises
    ------
    TypeError, ValueError
        As :func:`mode_update`; for a rule whose feedback does not learn.

    Examples
    --------
    >>> import fastmodes as fm
    >>> rule = fm.parse_rule("rflo(0.5, feedback=mirror, mirror_rate=1, feedback_decay=0.5)")
    >>> fm.feedback_update(rule, fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0), feedback=0.4)
    -0.8
    """
    rule = check_rule(rule)
    if not rule.learns_feedback:
        raise ValueError(f"rule must have feedback that learns, kolen_pollack or mirror; got {rule.name!r}")
    given: dict[str, Any] = {"feedback": feedback, "loss": loss, "leak": leak, "threads": threads}
    update = mode_update(rule, modes, teacher_modes, steps, **given)
    entries = mode_entries((rule,), modes, teacher_modes, feedback)
    check_product("feedback", entries["feedback"], entries["readout"])
    r, a = by_point(feedback=entries["feedback"], readout=entries["readout"])
    if rule.feedback == "mirror":
        return rule.feedback_decay * r - rule.mirror_rate * a + 0.0 * update.readout
    return update.readout + rule.feedback_decay * r
