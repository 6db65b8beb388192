"""One expected update of one network, and what single updates share."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, TypeVarTuple

import numpy as np

from ..kernels.arrays import layout
from ..kernels.updates import recursion
from ..networks.leaky import check_leak, effective
from ..networks.network import LinearRNN, check_pair
from ..networks.running import impulse_response, run_batch, run_units
from ..networks.units import PLAIN, Units
from ..parallel import interruptibly, serial_linear_algebra
from ..rule_codes import carrier, kernel_rule
from ..rules import at_leak, check_rule
from ..validation import check_choice, check_memory, check_number, check_steps
from . import infinite
from .feedback import check_feedback
from .impulses import covariance_root

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import ArrayLike, FloatArray, LossName, Rule

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")

LOSSES = ("final", "sequence")


class Update(NamedTuple):
    """Loss and the update of each matrix, to be subtracted times the learning rate.

    ``readout`` (n_out, n_hidden), ``recurrent`` (n_hidden, n_hidden), ``input`` (n_hidden, n_in).
    """

    loss: Any
    readout: FloatArray
    recurrent: FloatArray
    input: FloatArray


def leaky_update(update: Update, leak: float) -> Update:
    """Update of a leaky network from its effective one's: Delta W = alpha Delta W_e, Delta B = alpha Delta B_e."""
    if leak == 1.0:
        return update
    return update._replace(recurrent=leak * update.recurrent, input=leak * update.input)


def loss_weights(loss: LossName, steps: int) -> FloatArray:
    """Weights c_k of the errors M_k: 1 for the final loss, (T-k)/T for the sequence loss."""
    return np.ones(steps) if loss == "final" else (steps - np.arange(steps)) / steps


def expected_update(
    rule: Rule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: float,
    *,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
    input_covariance: ArrayLike | None = None,
    leak: float = 1.0,
    private_noise: float = 0.0,
) -> Update:
    """Expected update under white Gaussian input, exact (Eqs. 6-9, App. C; theory section 3).

    With M_k = A W^k B - A* W*^k B*, G_j = sum_{k > j} M_k B^T (W^T)^{k-1-j}, F the feedback and P the propagator:

        Delta A = sum_k M_k B^T (W^T)^k
        Delta W = sum_{j < horizon} (P^T)^j F^T G_j
        Delta B = sum_{j < horizon} (P^T)^j F^T M_j

    A leaky student is the plain one with W_e = (1 - leak) I + leak W and B_e = leak B in place of W and B, and its
    Delta W, Delta B are leak times that one's (theory section 10).

    Parameters
    ----------
    rule : LearningRule or str
        A value such as ``fm.tbptt(3)``, or a text that :func:`parse_rule` reads, such as "tbptt(3)".
    student, teacher : LinearRNN
        Any spectral radius; their hidden sizes may differ.
    steps : int or math.inf
        T, the number of time steps. Long sequences are summed by doubling in O(n^3 log T) where that is faster than
        the recursion's O(T n^2 (n_in + n_out)); infinitely many need spectral radii below 1.
    feedback : array (n_out, n_hidden), optional
        R, for rules with random feedback; the others leave it unread.
    loss : {"final", "sequence"}
        Error at the last step (Eq. 2), or its mean over all steps (App. H), the rule's horizon capped at each. The
        same for infinitely many steps.
    input_covariance : array (n_in, n_in), optional
        Spatial covariance of the input; default identity.
    leak : float
        0 < leak <= 1, of the student's hidden units, as for :func:`sampled_update`; the teacher's do not leak. The
        spectral radius that matters is that of W_e.
    private_noise : float
        sigma >= 0 of the student's own white noise n_t, one for each hidden unit: u_t = W h_t + B x_t + sigma n_t in
        place of W h_t + B x_t, so that a leak scales it as it does all input (theory section 15). It adds
        sigma^2/2 sum_k c_k ||A W^k||^2 to the loss. The teacher has none.

    Returns
    -------
    Update
        The expected loss and Delta A, Delta W, Delta B, to be subtracted times the learning rate. Sums that leave the
        range of numbers (long sequences of an unstable network) have an infinite loss, and entries of the matrices
        that are infinite or, as the difference of two such, not numbers.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range; for infinitely many steps also if the sums diverge, or are so close to it
        that double precision cannot give six digits.
    """
    rule = check_rule(rule)
    check_pair(student, teacher)
    steps = check_steps("steps", steps, infinite=True)
    check_choice("loss", loss, LOSSES)
    leak = check_leak(leak)
    rule = at_leak(rule, leak)
    feedback = check_feedback(rule, feedback, student.n_out, student.n_hidden)
    student, own = effective(student, leak), student.n_in
    root = None if input_covariance is None else covariance_root(input_covariance, own)
    private = leak * check_number("private_noise", private_noise, 0.0)
    if private > 0:
        student, teacher, root = with_private_channels(student, teacher, root, private)
    size = max(student.n_hidden, teacher.n_hidden, student.n_in, student.n_out)
    seldom = size > 100 or (steps < math.inf and size**2 * steps > 1e6)
    arguments = (rule, student, teacher, steps, feedback, loss, root)
    if seldom or "expected_update" not in compiled:
        update = call_away("expected_update", _expected_update, *arguments)
    else:
        with _one_thread(student, teacher):
            update = _expected_update(*arguments)
    return leaky_update(update._replace(input=update.input[:, :own]) if private > 0 else update, leak)


def with_private_channels(
    student: LinearRNN, teacher: LinearRNN, root: FloatArray | None, private: float
) -> tuple[LinearRNN, LinearRNN, FloatArray]:
    """Student and teacher with a channel for every unit's own noise, and the root of all channels' covariance."""
    n = student.n_hidden
    more = np.concatenate([student.input, np.eye(n)], axis=1)
    same = np.concatenate([teacher.input, np.zeros((teacher.n_hidden, n))], axis=1)
    root = np.eye(student.n_in) if root is None else root
    corner = np.zeros((student.n_in, n))
    return (
        LinearRNN(student.readout, student.recurrent, more),
        LinearRNN(teacher.readout, teacher.recurrent, same),
        np.block([[root, corner], [corner.T, private * np.eye(n)]]),
    )


#: Functions whose kernels have been used already.
compiled: set[str] = set()


def call_here(name: str, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """Call a function that takes no time."""
    return function(*arguments)


def call_away(name: str, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """Call a function that may compute or compile for seconds, such that Ctrl-C leaves it at once."""
    result = interruptibly(function, *arguments)
    compiled.add(name)
    return result


#: No linear algebra library shares products of fewer units among threads.
_TOO_SMALL_TO_SHARE = 32


def _one_thread(*networks: LinearRNN) -> contextlib.AbstractContextManager[None]:
    """Holds linear algebra to one thread, as parallel functions do: the sums, and so the last bits, are the same."""
    small = max(size for n in networks for size in (n.n_out, n.n_hidden, n.n_in)) < _TOO_SMALL_TO_SHARE
    return contextlib.nullcontext() if small else serial_linear_algebra


def _expected_update(
    rule: LearningRule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: Any,
    feedback: FloatArray | None,
    loss: LossName,
    root: FloatArray | None,
) -> Update:
    if steps == math.inf:
        return Update(*infinite.infinite_update(rule, student, teacher, feedback, root))
    if infinite.doubling_is_faster(student, teacher, steps, loss):
        by_doubling = Update(*infinite.finite_update(rule, student, teacher, steps, feedback, loss, root))
        if all(np.isfinite(part).all() for part in by_doubling):
            return by_doubling
    check_memory(8.0 * steps * student.n_out * (3 * student.n_hidden + 2 * student.n_in), steps=steps)
    return by_recursion(rule, student, teacher, steps, feedback, loss, root)


def by_recursion(
    rule: LearningRule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: int,
    feedback: FloatArray | None,
    loss: LossName,
    root: FloatArray | None = None,
) -> Update:
    """:func:`expected_update` by the O(T) recursion; arguments are checked already."""

    place = layout.layout_for(student.n_out, student.n_hidden, student.n_in)
    inputs = student.input if root is None else student.input @ root
    with np.errstate(all="ignore"):
        target = impulse_response(teacher, steps)
        target = target if root is None else target @ root
    _, network = place.zeros()
    _, update = place.zeros()
    place.put(network, 0, (student.readout, student.recurrent, inputs))
    value, weights = np.zeros(place.networks), loss_weights(loss, steps)
    with np.errstate(all="ignore"):
        recursion.expected_update(
            network,
            kernel_rule(rule),
            place.input_like(target),
            weights,
            recursion.work_space(network, carrier(rule, place, [feedback]), steps),
            update,
            value,
        )
    readout, recurrent, input_ = place.get(update, 0)
    total = diverged_loss(float(value[0]), lambda: _loss_alone(student, inputs, target, weights))
    with np.errstate(all="ignore"):
        return Update(total, readout, recurrent, input_ if root is None else input_ @ root)


def diverged_loss(value: float, again: Callable[[], float] = lambda: math.inf) -> float:
    """The loss, infinite where its sum of squares has overflowed on the way to what is not a number.

    ``again`` computes it in another order, for networks whose diverging units are never seen (inf times 0).
    """
    if not math.isnan(value):
        return value
    value = float(again())
    return math.inf if math.isnan(value) else value


def _loss_alone(student: LinearRNN, inputs: FloatArray, target: FloatArray, weights: FloatArray) -> float:
    """Loss of the recursion, the state carried forward instead of the readout."""
    with np.errstate(all="ignore"):
        errors = impulse_response(LinearRNN(student.readout, student.recurrent, inputs), len(weights)) - target
        return 0.5 * np.sum(weights * np.sum(errors**2, axis=(1, 2)))


def student_matrices(network: LinearRNN) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(A, W, B) of a LinearRNN."""
    return network.readout, network.recurrent, network.input


def teacher_outputs(teacher: LinearRNN, batch: FloatArray, loss: LossName, units: Units = PLAIN) -> FloatArray:
    """Teacher outputs at the last step, or at every step for the sequence loss: (1 or steps, n_out, sample)."""
    last = 1 if loss == "final" else None
    return (run_batch(teacher, batch, last) if units.plain else run_units(teacher, batch, units, last))[1]
