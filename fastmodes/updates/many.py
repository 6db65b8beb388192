"""Expected updates of many networks of one size at once, by doubling, on all cores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..interrupts import halting
from ..kernels.arrays import layout
from ..kernels.updates import finite, many, recursion
from ..kernels.updates.doubling import MOST_DOUBLINGS
from ..networks.leaky import check_leak, effective
from ..networks.network import check_pair
from ..networks.running import impulse_response
from ..parallel import check_threads, run_blocks, serial_linear_algebra
from ..rule_codes import carrier, given_feedback, kernel_rule
from ..rules import at_leak, check_rule
from ..validation import check_choice, check_number, check_sequence, check_steps
from . import infinite
from .drive import Drive
from .feedback import MOST_SEEDS, check_each_feedback
from .impulses import covariance_root
from .loss import error_loss, power_loss
from .one import LOSSES, Update, expected_update, leaky_update, loss_weights, student_matrices

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..rules import LearningRule
    from ..typing import ArrayLike, Feedbacks, FloatArray, LossName, Rule

#: Networks that share a work space; a fixed number, so that nothing depends on the threads.
_TOGETHER = 32

#: So many of this size take about a millisecond.
_SMALL = 16


def expected_updates(
    rule: Rule,
    students: Sequence[LinearRNN],
    teacher: LinearRNN,
    steps: float,
    *,
    feedbacks: Feedbacks | None = None,
    loss: LossName = "final",
    input_covariance: ArrayLike | None = None,
    leak: float = 1.0,
    private_noise: float = 0.0,
    threads: int | None = None,
) -> Update:
    """Expected updates of many students under one rule: :func:`expected_update` of each, always by doubling.

    Parameters
    ----------
    rule : LearningRule or str
    students : sequence of LinearRNN
        All of one size.
    teacher : LinearRNN
    steps : int or math.inf
    feedbacks : array (n_out, n_hidden) or sequence of them, optional
        R, one for all students or one for each, for rules with random feedback; the others leave it unread.
    loss : {"final", "sequence"}
    input_covariance : array (n_in, n_in), optional
        Spatial covariance of the input; default identity.
    leak : float
        0 < leak <= 1, of all students' hidden units.
    private_noise : float
        As for :func:`expected_update`.
    threads : int, optional
        Default: all cores granted to the process.

    Returns
    -------
    Update
        ``loss`` (student,), and the three matrices with the student as the first axis.

    Raises
    ------
    TypeError, ValueError
        As :func:`expected_update`; for students that differ in size.
    """
    rule = check_rule(rule)
    students = check_sequence("students", students, "fastmodes.LinearRNN", MOST_SEEDS)
    check_one_size("students must have", students, teacher)
    steps = check_steps("steps", steps, infinite=True)
    check_choice("loss", loss, LOSSES)
    leak, threads = check_leak(leak), check_threads(threads)
    drive = _driven_by(input_covariance, students[0].n_in, leak * check_number("private_noise", private_noise, 0.0))
    rule, students = at_leak(rule, leak), [effective(student, leak) for student in students]
    if drive is not None:
        teacher = drive.teacher(teacher, students[0].n_hidden)
        students = [drive.student(student) for student in students]
    first = students[0]
    if feedbacks is None and rule.reads_feedback:
        raise ValueError(f"feedbacks must hold one array for each of the {len(students)} students for {rule.name}")
    each = [first.readout] * len(students)
    if feedbacks is not None:
        given = check_each_feedback(feedbacks, len(students), "students", first.n_out, first.n_hidden)
        each = given if rule.reads_feedback else each
    batch = _by_doubling(rule, students, teacher, steps, each, loss, threads)
    update = _finished(rule, students, teacher, steps, each, loss, batch)
    if drive is not None:
        update = update._replace(input=drive.own_input(update.recurrent, update.input))
    return leaky_update(update, leak)


def check_one_size(says: str, students: Sequence[LinearRNN], teacher: LinearRNN) -> None:
    """Check that all students fit the teacher and are of one size; ``says`` begins what the error says.

    Raises
    ------
    TypeError, ValueError
        If not.
    """
    for student in students:
        check_pair(student, teacher)
        if student.n_hidden != students[0].n_hidden:
            raise ValueError(f"{says} one size; got n_hidden={students[0].n_hidden} and n_hidden={student.n_hidden}")


def changes(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    teacher: LinearRNN,
    steps: float,
    feedbacks: Sequence[FloatArray] | None,
    loss: LossName,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Delta A, Delta W and Delta B of the same alone, by doubling or the recursion; arguments are checked already.

    An exact loss of networks near an optimum is most of the work of :func:`expected_updates`.

    Raises
    ------
    ValueError
        If infinitely many steps have no limit for one of the students.
    """
    first = students[0]
    together = layout.layout_for(first.n_out, first.n_hidden, first.n_in).networks
    with serial_linear_algebra:
        if steps < math.inf and not infinite.doubling_is_faster(first, teacher, steps / together, loss):
            return _side_by_side(rule, students, teacher, int(steps), feedbacks, loss, threads)[1:]
        each = [student.readout for student in students] if feedbacks is None else feedbacks
        batch = _by_doubling(rule, students, teacher, steps, each, loss, threads)
        return _finished(rule, students, teacher, steps, each, loss, batch, exact_loss=False)[1:]


def _by_doubling(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    teacher: LinearRNN,
    steps: float,
    feedbacks: Sequence[FloatArray],
    loss: LossName,
    threads: int | None,
) -> many.Batch:
    """Losses without the teacher's part, and updates."""
    first = students[0]
    batch = _stacked(students, [given_feedback(rule, feedback) for feedback in feedbacks])
    starts = range(0, len(students), _TOGETHER)
    quick = len(students) <= _TOGETHER and max(first.n_in, first.n_out, first.n_hidden, teacher.n_hidden) <= _SMALL
    if steps == math.inf:
        run_blocks(lambda start: _run_infinite(rule, first, teacher, _part(batch, start)), starts, threads, quick=quick)
    else:
        run_blocks(
            lambda start: _run_finite(rule, first, teacher, steps, loss, _part(batch, start)),
            starts, threads, quick=quick,
        )  # fmt: skip
    return batch


def _side_by_side(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    teacher: LinearRNN,
    steps: int,
    feedbacks: Sequence[FloatArray] | None,
    loss: LossName,
    threads: int | None = None,
) -> Update:
    """Over few steps by the recursion, as training does: up to eight networks side by side."""
    first = students[0]
    place = layout.layout_for(first.n_out, first.n_hidden, first.n_in)
    with np.errstate(all="ignore"):
        target = place.input_like(impulse_response(teacher, steps))
    weights, count = loss_weights(loss, steps), len(students)
    out = Update(np.zeros(count), *(np.zeros((count, *part.shape)) for part in student_matrices(first)))

    def work(start: int) -> None:
        group = range(start, min(start + place.networks, count))
        _, network = place.zeros()
        _, update = place.zeros()
        for position, i in enumerate(group):
            place.put(network, position, student_matrices(students[i]))
        carried = carrier(rule, place, [None if feedbacks is None else feedbacks[i] for i in group])
        value = np.zeros(place.networks)
        room = recursion.work_space(network, carried, steps)
        with np.errstate(all="ignore"):
            recursion.expected_update(network, kernel_rule(rule), target, weights, room, update, value)
        for position, i in enumerate(group):
            out.loss[i] = value[position]
            for whole, part in zip(out[1:], place.get(update, position), strict=True):
                whole[i] = part

    run_blocks(work, range(0, count, place.networks), threads)
    return out


def _driven_by(input_covariance: ArrayLike | None, n_in: int, private: float) -> Drive | None:
    """What drives the students, or None where that is white noise alone."""
    root = None if input_covariance is None else covariance_root(input_covariance, n_in)
    return None if root is None and private == 0 else Drive.white(n_in, root, private)


def _stacked(students: Sequence[LinearRNN], feedbacks: Sequence[FloatArray]) -> many.Batch:
    parts = [np.stack([getattr(s, name) for s in students]) for name in ("readout", "recurrent", "input")]
    count = len(students)
    return many.Batch(  # type: ignore[call-arg]
        *parts, np.stack(feedbacks), np.zeros(count), np.ones(count), *(np.zeros(part.shape) for part in parts)
    )


def _part(batch: many.Batch, start: int) -> many.Batch:
    return many.Batch(*(array[start : start + _TOGETHER] for array in batch))


def _run_infinite(rule: LearningRule, student: LinearRNN, teacher: LinearRNN, batch: many.Batch) -> None:
    """Work on one part of the batch: any student of its size gives the shapes."""
    m = infinite.work_space(rule, student, teacher, None)
    with halting(m.places):
        many.infinite_updates(m, batch, kernel_rule(rule), MOST_DOUBLINGS)


def _run_finite(
    rule: LearningRule, student: LinearRNN, teacher: LinearRNN, steps: float, loss: LossName, batch: many.Batch
) -> None:
    """The same over finitely many steps."""
    in_kernel = kernel_rule(rule)
    weighted, levels = loss == "sequence", finite.chain_levels(in_kernel, steps)
    m = infinite.work_space(rule, student, teacher, None, weighted=weighted, levels=levels)
    with halting(m.places):
        many.finite_updates(m, batch, in_kernel, steps, weighted)


def _finished(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    teacher: LinearRNN,
    steps: float,
    feedbacks: Sequence[FloatArray],
    loss: LossName,
    batch: many.Batch,
    *,
    exact_loss: bool = True,
) -> Update:
    """Losses with the teacher's part; networks that need care go through :func:`expected_update` alone."""
    whole = power_loss(teacher, steps, loss=loss)
    with np.errstate(all="ignore"):
        losses = batch.losses + whole
    update = Update(losses, batch.change_readout, batch.change_recurrent, batch.change_input)
    finite_ones = np.isfinite(losses) & np.isfinite(update.recurrent).all((1, 2))
    careful = ~finite_ones | (batch.terms <= 0) | (batch.terms > infinite.LONG)
    for i in np.flatnonzero(careful).tolist():
        feedback = feedbacks[i] if rule.reads_feedback else None
        for whole_array, part in zip(
            update, expected_update(rule, students[i], teacher, steps, feedback=feedback, loss=loss), strict=True
        ):
            whole_array[i] = part
    for i in np.flatnonzero(~careful & ~(losses > infinite.CANCELLED * whole)).tolist() if exact_loss else ():
        losses[i] = error_loss(students[i], teacher, steps, loss=loss)
    return update
