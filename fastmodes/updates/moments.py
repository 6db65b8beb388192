"""Exact second moments of sampled updates (beyond the paper; theory section 13)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..interrupts import halting
from ..kernels.arrays import layout
from ..kernels.moments import directions, entries, many, responses
from ..kernels.moments import sequence as pairs
from ..kernels.updates.credit import Carrier
from ..networks.leaky import check_leak, effective
from ..networks.network import LinearRNN, check_pair
from ..networks.running import impulse_response
from ..parallel import check_threads, run_blocks
from ..rule_codes import given_feedback, kernel_rule, unit_decay
from ..rules import at_leak, check_rule
from ..validation import (
    check_choice,
    check_flag,
    check_integer,
    check_memory,
    check_number,
    check_sequence,
    check_steps,
)
from .feedback import MOST_SEEDS, check_each_feedback, check_feedback
from .impulses import covariance_root
from .many import check_one_size
from .moment_directions import check_directions
from .moment_results import Raw, moments_dataset
from .moment_steps import enough_steps
from .one import LOSSES

if TYPE_CHECKING:
    import xarray as xr

    from ..rules import LearningRule
    from ..typing import ArrayLike, Feedbacks, FloatArray, LossName, Rule, Students
    from .moment_directions import Along

#: Networks that share a work space; a fixed number, so that nothing depends on the threads.
_TOGETHER = 16


class _Problem(NamedTuple):
    """What is asked for, checked; students are the effective ones."""

    rule: LearningRule
    students: list[LinearRNN]
    teacher: LinearRNN
    steps: float
    feedbacks: list[FloatArray]
    loss: LossName
    root: FloatArray
    noise: float
    entries: bool
    along: list[tuple[FloatArray, FloatArray, FloatArray]]


def update_moments(
    rule: Rule,
    student: Students,
    teacher: LinearRNN,
    steps: float,
    *,
    feedback: Feedbacks | None = None,
    loss: LossName = "final",
    batch_size: int = 1,
    target_noise: float = 0.0,
    input_covariance: ArrayLike | None = None,
    leak: float = 1.0,
    along: Along | None = None,
    variances: bool = True,
    threads: int | None = None,
) -> xr.Dataset:
    """Mean and variance of sampled updates under white Gaussian input, exact (theory section 13).

    A sampled update u is a quadratic form in its input, so that Isserlis' theorem gives every second moment of it. With
    M_k and G_j of :func:`expected_update`, U_j^T = F P^j, Omega = sum_k M_k M_k^T + target_noise^2 I, at batch size S
    and for the final loss,

        Var[Delta W_ab] = ( sum_{j,k < horizon} (U_j Omega U_k^T)_aa E[h_{T-1-j} h_{T-1-k}^T]_bb + tr(K_ab K_ab) ) / S
        K_ab = sum_{j < horizon} G_j[:, b] U_j[a, :]^T

    and likewise for the other matrices, for the sequence loss summed over pairs of times, and along any direction V at
    about the price of an expected update. O(T^2 n^2) operations for the variances of all entries, O(T^2 n^3) for the
    sequence loss.

    Parameters
    ----------
    rule : LearningRule or str
    student : LinearRNN, or sequence of them
        Several students, all of one size, are computed in parallel; results then have the dimension "student".
    teacher : LinearRNN
    steps : int or math.inf
        T. Infinitely many need spectral radii below 1, also of the propagator under a full horizon; for the final loss
        only, since the variance of a mean over infinitely many times is 0.
    feedback : array (n_out, n_hidden), optional
        R, for rules with random feedback; the others leave it unread. For several students one for all, or one for
        each.
    loss : {"final", "sequence"}
    batch_size : int
        S, sequences of a batch, over which an update is averaged: every variance is 1/S of that of one sequence.
    target_noise : float
        Standard deviation of independent Gaussian noise on each target output, at every time for the sequence loss. The
        expected loss is larger by n_out target_noise^2 / 2.
    input_covariance : array (n_in, n_in), optional
        Spatial covariance of the input; default identity.
    leak : float
        0 < leak <= 1, of the students' hidden units.
    along : Update, LinearRNN or (readout, recurrent, input), or list of them, optional
        Directions V, not normalised: mean and variance of the inner product <V, u> over all three matrices. For several
        students a direction may have the student as first axis of its matrices, as from :func:`expected_updates`.
        Several directions give the dimension "direction".
    variances : bool
        False: only the loss and what is asked for ``along`` directions, at far lower cost.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``mean_along``, ``variance_along``; with ``variances`` also ``mean_readout``, ``mean_recurrent``,
        ``mean_input`` (the expected update), ``variance_readout``, ``variance_recurrent``, ``variance_input`` entry by
        entry, their sums ``matrix_variance`` (matrix) and ``total_variance`` = tr Cov[u], and

        * ``signal_to_noise`` |E u|^2 / tr Cov[u], at the batch size given;
        * ``critical_batch_size`` S tr Cov[u] / |E u|^2, at which that is 1 (McCandlish et al. 2018);
        * ``expected_cosine`` <E u, g> / (|g| sqrt(E|u|^2)), g the exact gradient. A ratio of moments: what the cosine
          of a sampled update with the gradient concentrates on, not the expectation of the cosine itself.

        Norms run over all three matrices. A ratio of two zeros, at an optimum without noise, is not a number.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range; for students that differ in size; for infinitely many steps also if a
        variance diverges, is 0 (the sequence loss), or takes more than 2^17 steps to converge.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    >>> student = fm.random_student(3, teacher, scale=0.5, seed=0)
    >>> moments = fm.update_moments(fm.bptt(), student, teacher, 20, batch_size=10)
    >>> sorted(moments.variance_recurrent.dims), bool(moments.total_variance > 0)
    (['unit_from', 'unit_to'], True)
    """
    rule = check_rule(rule)
    students, single = _students(student, teacher)
    steps = check_steps("steps", steps, infinite=True)
    check_choice("loss", loss, LOSSES)
    if loss == "sequence" and steps == math.inf:
        raise ValueError(
            "loss must be 'final' for steps=inf: the variance of an update averaged over infinitely many times is 0; "
            "got 'sequence'"
        )
    batch_size = check_integer("batch_size", batch_size)
    noise, leak, threads = check_number("target_noise", target_noise, 0.0), check_leak(leak), check_threads(threads)
    variances = check_flag("variances", variances)
    first, rule = students[0], at_leak(rule, leak)
    given = _feedbacks(rule, students, feedback, single)
    root = np.eye(first.n_in) if input_covariance is None else covariance_root(input_covariance, first.n_in)
    chosen, labelled = check_directions(along, first, 0 if single else len(students))
    problem = _Problem(
        rule, [effective(network, leak) for network in students], teacher, steps, given, loss, root, noise, variances,
        [(a, leak * w, leak * b @ root) for a, w, b in chosen],
    )  # fmt: skip
    return moments_dataset(problem, _moments(problem, threads), batch_size, leak, (single, labelled))


def _students(student: Students, teacher: LinearRNN) -> tuple[list[LinearRNN], bool]:
    if isinstance(student, LinearRNN):
        check_pair(student, teacher)
        return [student], True
    students = check_sequence("student", student, "fastmodes.LinearRNN", MOST_SEEDS)
    check_one_size("student must hold networks of", students, teacher)
    return students, False


def _feedbacks(rule: LearningRule, students: Sequence[LinearRNN], feedback: Any, single: bool) -> list[FloatArray]:
    """What kernels take for R, of each student; zeros where the rule reads none."""
    first = students[0]
    if single:
        checked = check_feedback(rule, feedback, first.n_out, first.n_hidden)
        each = [] if checked is None else [checked]
    elif feedback is None:
        if rule.reads_feedback:
            raise ValueError(f"feedback must hold one array for each of the {len(students)} students for {rule.name}")
        each = []
    else:
        each = check_each_feedback(feedback, len(students), "students", first.n_out, first.n_hidden)
    if not rule.reads_feedback:
        return [np.zeros_like(first.readout)] * len(students)
    return [given_feedback(rule, matrix) for matrix in each]


def _moments(problem: _Problem, threads: int) -> Raw:
    """Moments of all students, for a single sample, of the effective networks."""
    count, first = len(problem.students), problem.students[0]
    n_out, n, n_in = first.n_out, first.n_hidden, first.n_in
    results = many.Moments(
        np.zeros(count), *(np.zeros((count, *shape)) for shape in [(n_out, n)] * 2 + [(n, n + n_in)] * 2),
        *(np.zeros((count, len(problem.along))) for _ in range(2)),
    )  # fmt: skip
    if problem.steps == math.inf:
        run_blocks(lambda i: _run_infinite(problem, i, results), range(count), threads)
    else:
        _check_memory(problem, min(threads, -(-count // _TOGETHER)))
        starts = range(0, count, _TOGETHER)
        run_blocks(lambda start: _run_finite(problem, start, results), starts, threads)
    return Raw(*results)


def _check_memory(problem: _Problem, threads: int) -> None:
    first, steps = problem.students[0], problem.steps
    n_out, n, n_in = first.n_out, layout.padded(first.n_hidden), layout.padded(first.n_in)
    numbers = steps * n_out * (5 * n + 3 * n_in)
    if problem.entries:
        numbers += steps * (2 * n * n + 4 * n * n_out)
    if problem.entries and problem.loss == "sequence":
        numbers += steps**2 * n_out * (n_out + n + n_in)
    instead = "variances=False gives those along directions alone" if problem.entries else ""
    check_memory(8.0 * threads * numbers, instead, steps=steps, hidden=first.n_hidden, threads=threads)


def _run_finite(problem: _Problem, start: int, results: Any) -> None:
    kind = many.SEQUENCE if problem.loss == "sequence" else many.FINAL
    part = slice(start, start + _TOGETHER)
    _run(problem, problem.rule, int(problem.steps), kind, part, results)


def _run_infinite(problem: _Problem, i: int, results: Any) -> None:
    rule, steps = enough_steps(problem.rule, problem.students[i], problem.teacher)
    first = problem.students[0]
    numbers = steps * first.n_out * (8 * layout.padded(first.n_hidden) + 3 * layout.padded(first.n_in))
    check_memory(8.0 * numbers, hidden=first.n_hidden)
    _run(problem, rule, steps, many.STATIONARY, slice(i, i + 1), results)


def _run(problem: _Problem, rule: LearningRule, steps: int, kind: int, part: slice, results: Any) -> None:
    """Work on some of the students; a work space serves them one after another."""
    first, in_kernel = problem.students[0], kernel_rule(rule)
    place = layout.single_layout(first.n_out, first.n_hidden, first.n_in)
    batch, network = _batch(problem, steps, part, place), place.views(place.zeros()[0])
    decay = np.broadcast_to(unit_decay(rule, first.n_hidden), first.n_hidden)
    carrier = Carrier(place.readout_like([]), place.readout_like([]), place.hidden_like(decay))
    full = problem.entries and kind != many.STATIONARY
    lags = steps + 1 if full else 1
    halt, sizes = np.zeros(1, np.int64), (first.n_out, first.n_hidden, first.n_in)
    spaces = (
        responses.work_space(network, carrier, steps, lags),
        entries.entry_work(sizes, steps if problem.entries else 1, lags, halt),
        pairs.sequence_work(network, steps if problem.entries and kind == many.SEQUENCE else 1),
    )
    wide = network.recurrent.shape[0], network.input.shape[1]
    direction = directions.direction_work(first.n_out, *wide, steps if problem.along else 1)
    own = many.Moments(*(array[part] for array in results))
    with halting(halt), np.errstate(all="ignore"):
        many.moments_of(batch, in_kernel, kind, problem.entries, spaces, direction, own)


def _batch(problem: _Problem, steps: int, part: slice, place: layout.Layout) -> Any:
    students, root = problem.students[part], problem.root
    n_in, (hidden, inputs) = place.n_in, (layout.padded(place.n_hidden), layout.padded(place.n_in))
    count, n_out, directions_ = len(students), place.n_out, len(problem.along)

    def stacked(matrices: list[FloatArray], rows: int, columns: int) -> FloatArray:
        out = np.zeros((count, rows, columns))
        for i, matrix in enumerate(matrices):
            out[i, : matrix.shape[0], : matrix.shape[1]] = matrix
        return out

    shapes = (n_out, hidden), (hidden, hidden), (hidden, inputs)
    along = tuple(np.zeros((count, directions_, *shape)) for shape in shapes)
    for v, parts in enumerate(problem.along):
        for array, matrix in zip(along, parts, strict=True):
            own = matrix[part] if matrix.shape[0] > 1 else matrix
            array[:, v, : matrix.shape[1], : matrix.shape[2]] = own
    with np.errstate(all="ignore"):
        target = place.input_like(impulse_response(problem.teacher, steps) @ root)
    turned = np.zeros((inputs, inputs))
    turned[:n_in, :n_in] = root.T
    fields: list[Any] = [
        stacked([s.readout for s in students], *shapes[0]), stacked([s.recurrent for s in students], *shapes[1]),
        stacked([s.input @ root for s in students], *shapes[2]), stacked(problem.feedbacks[part], *shapes[0]),
        *along, target, turned, np.ascontiguousarray(np.diagonal(root @ root.T)), problem.noise**2,
    ]  # fmt: skip
    batch: Any = many.Batch
    return batch(*fields)
