"""Expected updates of many networks of one size at once, by doubling, on all cores."""

import math

import numpy as np

from ..kernels.updates import finite
from ..kernels.updates import many as exact_batches
from ..networks.network import check_pair
from ..parallel import run_blocks
from ..validation import check_choice, check_integer, check_sequence, check_steps, one_by_one
from . import infinite as stationary
from .loss import error_loss, power_loss
from .one import LOSSES, Update, check_feedback, check_rule, expected_update

#: Networks that share a work space; a fixed number, so that nothing depends on the threads.
_TOGETHER = 32


def expected_updates(rule, students, teacher, steps, *, feedbacks=None, loss="final", threads=None) -> Update:
    """Expected updates of many students under one rule: :func:`expected_update` of each, always by doubling.

    Parameters
    ----------
    rule : LearningRule
    students : sequence of LinearRNN
        All of one size.
    teacher : LinearRNN
    steps : int or math.inf
    feedbacks : sequence of array (n_out, n_hidden), optional
        R, one for each student, for rules with random feedback.
    loss : {"final", "sequence"}
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
    check_rule(rule)
    students = check_sequence("students", students, "fastmodes.LinearRNN", 10**7)
    for student in students:
        check_pair(student, teacher)
        if student.n_hidden != students[0].n_hidden:
            raise ValueError(
                f"students must have one size; got n_hidden={students[0].n_hidden} and n_hidden={student.n_hidden}"
            )
    steps = check_steps("steps", steps, infinite=True)
    check_choice("loss", loss, LOSSES)
    if threads is not None:
        check_integer("threads", threads, 1, 4096)
    first = students[0]
    if rule.feedback == "readout":
        check_feedback(rule, feedbacks, first.n_out, first.n_hidden)
        feedbacks = [first.readout] * len(students)
    else:
        if feedbacks is not None:
            feedbacks = check_sequence("feedbacks", one_by_one(feedbacks, "student", "seed"), "arrays", 10**7)
        if feedbacks is None or len(feedbacks) != len(students):
            raise ValueError(f"feedbacks must hold one array for each of the {len(students)} students for {rule.name}")
    feedbacks = [
        f if rule.feedback == "readout" else check_feedback(rule, f, first.n_out, first.n_hidden) for f in feedbacks
    ]
    batch = _stacked(students, feedbacks)
    starts = range(0, len(students), _TOGETHER)
    run_blocks(lambda start: _run(rule, first, teacher, steps, loss, _part(batch, start)), starts, threads)
    return _finished(rule, students, teacher, steps, feedbacks, loss, batch)


def _stacked(students, feedbacks):
    parts = [np.stack([getattr(s, name) for s in students]) for name in ("readout", "recurrent", "input")]
    count = len(students)
    return exact_batches.Batch(
        *parts, np.stack(feedbacks), np.zeros(count), np.ones(count), *(np.zeros(part.shape) for part in parts)
    )


def _part(batch, start):
    return exact_batches.Batch(*(array[start : start + _TOGETHER] for array in batch))


def _run(rule, student, teacher, steps, loss, batch):
    """Work on one part of the batch: any student of its size gives the shapes."""
    code, readout = stationary.PROPAGATORS[rule.propagator], rule.feedback == "readout"
    if steps == math.inf:
        m = stationary.work_space(rule, student, teacher, None)
        exact_batches.stationary_updates(m, batch, code, readout, rule.horizon or 0, stationary.MOST_DOUBLINGS)
        return
    horizon = steps if rule.horizon is None else min(rule.horizon, steps)
    weighted = loss == "sequence"
    m = stationary.work_space(rule, student, teacher, None, weighted=weighted, levels=finite.chain_levels(horizon))
    exact_batches.finite_updates(m, batch, code, readout, horizon, steps, weighted)


def _finished(rule, students, teacher, steps, feedbacks, loss, batch):
    """Losses with the teacher's part; networks that need care go through :func:`expected_update` alone."""
    whole = power_loss(teacher, steps, loss=loss)
    with np.errstate(all="ignore"):
        losses = batch.losses + whole
    update = Update(losses, batch.change_readout, batch.change_recurrent, batch.change_input)
    finite_ones = np.isfinite(losses) & np.isfinite(update.recurrent).all((1, 2))
    careful = ~finite_ones | (batch.terms <= 0) | (batch.terms > stationary.LONG)
    for i in np.flatnonzero(careful):
        feedback = None if rule.feedback == "readout" else feedbacks[i]
        for whole_array, part in zip(
            update, expected_update(rule, students[i], teacher, steps, feedback=feedback, loss=loss), strict=True
        ):
            whole_array[i] = part
    for i in np.flatnonzero(~careful & ~(losses > stationary.CANCELLED * whole)):
        losses[i] = error_loss(students[i], teacher, steps, loss=loss)
    return update
