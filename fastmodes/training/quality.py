"""How good a gradient a rule's expected update is, at every record: exact, whatever a run learns from.

With u the rule's expected update and g that of BPTT, the exact gradient of the expected loss, both as one vector over
the weights that learn (theory section 3),

    gradient_cosine = <u, g> / (|u| |g|),    gradient_bias = |u - g| / |g|.

Matrices with a learning rate of 0 and masked weights are left out of both; the rates themselves, the optimiser,
clipping and weight decay are no part of an update. Delta A is the same under every rule, so that a rule's cosine tells
of the readout as well: ``matrix_gradient_cosine`` has A, W and B apart. ``critical_batch_size`` and
``signal_to_noise`` say how noisy sampled updates are around u (:mod:`fastmodes.training.gradient_noise`).

Where the network is at an optimum both vectors are rounding errors and have no direction. Sums for student and teacher
cancel there; a vector smaller than ``AT_REST`` times what it would be with a silent teacher counts as at rest, and what
needs its direction is NaN: cosine and bias where that is the gradient, the cosine where it is the update.

:func:`update_quality` is the one place that is asked: stacked students in, arrays by name out. A further measure is a
name in :data:`QUALITY`, one for the schema, and its array there.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from ..files.schema import flag_attributes
from ..learning_rule import at_leak
from ..networks.leaky import MATRICES, effective
from ..networks.network import LinearRNN
from ..networks.units import refuse_nonlinear
from ..rules import bptt
from ..updates.many import changes
from .gradient_noise import NOISE_COMMENT, NOISY, signal_and_noise
from .sequences import Sequences
from .surroundings import refuse_surroundings
from .update_vectors import AT_REST as AT_REST
from .update_vectors import at_rest, cosines, flat, norms

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import AnyArray, FloatArray, IntArray, LossName
    from .settings import Job

#: What is measured, with its dims besides those of the records.
QUALITY: dict[str, tuple[str, ...]] = {
    "gradient_cosine": (),
    "gradient_bias": (),
    "gradient_norm": (),
    "update_norm": (),
    "matrix_gradient_cosine": ("matrix",),
    "signal_to_noise": (),
    "critical_batch_size": (),
    "quality_status": (),
}
#: Values of ``quality_status``.
MEASURED, GRADIENT_AT_REST, UPDATE_AT_REST, NO_LIMIT, NOT_FINITE = range(5)
STATUS = ("measured", "gradient_at_rest", "update_at_rest", "no_limit", "not_finite")
#: Weights of students that are measured at a time, so that their updates fit into memory beside a history.
_NUMBERS_AT_ONCE = 1 << 21
_COMMENT = (
    "NaN where quality_status says that the gradient or the update is at rest (rounding errors have no direction), "
    "that infinitely many steps have no limit, or that there are no finite weights or updates"
)


class Problem(NamedTuple):
    """What students learn, as their exact gradient and the noise around it see it.

    ``batch_size`` is NaN for expected updates, which have no batch.
    """

    teacher: LinearRNN
    steps: float
    loss: LossName
    leak: float = 1.0
    batch_size: float = math.nan
    target_noise: float = 0.0
    feedback_noise: float = 0.0


class _Parts(NamedTuple):
    """Vectors of many students: all weights that learn, and the weights of each matrix."""

    whole: FloatArray
    each: list[FloatArray]


def update_quality(
    rule: LearningRule,
    weights: Sequence[FloatArray],
    feedback: FloatArray | None,
    problem: Problem,
    learns: Sequence[Any],
    threads: int | None = None,
) -> dict[str, Any]:
    """Measures of :data:`QUALITY` for students stacked along a first axis.

    Parameters
    ----------
    rule : LearningRule
    weights : (A, W, B)
        Each (student, ...), those that learn; NaN where there is no student. Students that repeat the one before are
        measured once.
    feedback : array (student, n_out, n_hidden) or (n_out, n_hidden), optional
        R.
    problem : Problem
    learns : three arrays
        0 where a weight of A, W, B stays as it is; they broadcast.
    threads : int, optional

    Returns
    -------
    dict of str to array (student, ...)
    """
    count = len(weights[0])
    given = None if feedback is None else np.broadcast_to(feedback, (count, *feedback.shape[-2:]))
    read = [*weights, given] if given is not None and rule.reads_feedback else list(weights)
    first, places = _distinct(read)
    there = np.all([np.isfinite(array[first]).all((1, 2)) for array in read], axis=0)
    found = _blank(len(first))
    together = max(1, _NUMBERS_AT_ONCE // sum(part[0].size for part in weights))
    for start in range(0, len(first), together):
        chosen = np.arange(start, min(start + together, len(first)))
        chosen = chosen[there[chosen]]
        if not chosen.size:
            continue
        students = [LinearRNN(*matrices) for matrices in zip(*(part[first[chosen]] for part in weights), strict=True)]
        feedbacks = None if given is None else list(given[first[chosen]])
        with np.errstate(all="ignore"):
            measured = _measured(rule, students, feedbacks, problem, learns, threads)
        for name, values in measured.items():
            found[name][chosen] = values
    return {name: values[places] for name, values in found.items()}


def _distinct(arrays: Sequence[FloatArray]) -> tuple[IntArray, IntArray]:
    """Places of students that differ from the one before, and for every student its place among these."""
    same = np.all([np.all(a[1:] == a[:-1], axis=(1, 2)) for a in arrays], axis=0)
    new = np.concatenate([[True], ~same])
    return np.flatnonzero(new), np.cumsum(new) - 1


def _blank(count: int) -> dict[str, Any]:
    sizes = {"matrix": len(MATRICES)}
    found: dict[str, Any] = {
        name: np.full((count, *(sizes[dim] for dim in dims)), np.nan) for name, dims in QUALITY.items()
    }
    return found | {"quality_status": np.full(count, NOT_FINITE, np.int8)}


def _measured(
    rule: LearningRule,
    students: list[LinearRNN],
    feedbacks: list[FloatArray] | None,
    problem: Problem,
    learns: Sequence[Any],
    threads: int | None,
) -> dict[str, Any]:
    """The measures of students that are there."""
    silent = problem._replace(teacher=_silent(problem.teacher))
    exact = is_gradient(rule, problem.steps)

    def parts(which: LearningRule, task: Problem) -> _Parts:
        updates = _updates(which, students, feedbacks, task, threads)
        matrices = [(u * on).reshape(len(students), -1) for u, on in zip(updates, learns, strict=True)]
        return _Parts(np.concatenate(matrices, axis=1), matrices)

    gradient, gradient_scale = parts(bptt(), problem), parts(bptt(), silent)
    update, update_scale = (gradient, gradient_scale) if exact else (parts(rule, problem), parts(rule, silent))
    still, resting = at_rest(gradient.whole, gradient_scale.whole), at_rest(update.whole, update_scale.whole)
    norm, cosine = norms(gradient.whole), cosines(update.whole, gradient.whole)
    by_matrix = [
        np.where(at_rest(g, g0) | at_rest(u, u0), np.nan, cosines(u, g))
        for u, g, u0, g0 in zip(update.each, gradient.each, update_scale.each, gradient_scale.each, strict=True)
    ]
    status = np.select([still, resting], [GRADIENT_AT_REST, UPDATE_AT_REST], MEASURED)
    lost = NO_LIMIT if problem.steps == math.inf else NOT_FINITE
    finite = np.isfinite(update.whole).all(1) & np.isfinite(gradient.whole).all(1)
    found = {
        "gradient_cosine": np.where(still | resting, np.nan, cosine),
        "gradient_bias": np.where(still, np.nan, norms(update.whole - gradient.whole) / norm),
        "gradient_norm": norm,
        "update_norm": norms(update.whole),
        "matrix_gradient_cosine": np.stack(by_matrix, axis=-1),
    }
    noise = signal_and_noise(rule, students, feedbacks, problem, learns, found["update_norm"], threads)
    found |= {name: np.where(resting, np.nan, values) for name, values in noise.items()}
    found = {name: np.where(finite.reshape(-1, *(1,) * (v.ndim - 1)), v, np.nan) for name, v in found.items()}
    return found | {"quality_status": np.where(finite, status, lost).astype(np.int8)}


def exact_gradient(
    weights: Sequence[FloatArray], problem: Problem, learns: Sequence[Any], threads: int | None = None
) -> tuple[list[FloatArray], AnyArray]:
    """Delta A, W, B of BPTT for students stacked along a first axis, and codes of ``quality_status``."""
    there = np.all([np.isfinite(part).all((1, 2)) for part in weights], axis=0)
    status = np.full(len(there), NOT_FINITE, np.int8)
    found = [np.full(part.shape, np.nan) for part in weights]
    if not there.any():
        return found, status
    students = [LinearRNN(*matrices) for matrices in zip(*(part[there] for part in weights), strict=True)]
    with np.errstate(all="ignore"):
        gradient, silent = (
            _updates(bptt(), students, None, problem._replace(teacher=teacher), threads)
            for teacher in (problem.teacher, _silent(problem.teacher))
        )
        whole, scale = (flat(parts, learns) for parts in (gradient, silent))
        lost = NO_LIMIT if problem.steps == math.inf else NOT_FINITE
        codes = [np.where(at_rest(whole, scale), GRADIENT_AT_REST, MEASURED)]
    status[there] = np.where(np.isfinite(whole).all(1), codes[0], lost)
    for array, part in zip(found, gradient, strict=True):
        array[there] = part
    return found, status


def is_gradient(rule: LearningRule, steps: float) -> bool:
    """Whether a rule is the exact gradient: feedback A, propagator W, to the first step."""
    full = rule.horizon is None or rule.horizon >= steps
    return rule.feedback == "readout" and rule.propagator == "recurrent" and full


def _silent(teacher: LinearRNN) -> LinearRNN:
    return LinearRNN(np.zeros((teacher.n_out, 1)), np.zeros((1, 1)), np.zeros((1, teacher.n_in)))


def _updates(
    rule: LearningRule,
    students: list[LinearRNN],
    feedbacks: list[FloatArray] | None,
    problem: Problem,
    threads: int | None,
) -> list[FloatArray]:
    """Delta A, Delta W, Delta B of every student; NaN where infinitely many steps have no limit."""
    rule, running = at_leak(rule, problem.leak), [effective(student, problem.leak) for student in students]
    feedbacks = feedbacks if rule.reads_feedback else None
    teacher, steps, loss = problem.teacher, problem.steps, problem.loss
    try:
        found = list(changes(rule, running, teacher, steps, feedbacks, loss, threads))
    except ValueError:
        if steps != math.inf:
            raise
        # One network without a limit is refused together with all others.
        found = [np.full((len(students), *getattr(students[0], name).shape), np.nan) for name in MATRICES]
        for place, student in enumerate(running):
            own = None if feedbacks is None else [feedbacks[place]]
            with contextlib.suppress(ValueError):
                for whole, part in zip(found, changes(rule, [student], teacher, steps, own, loss, 1), strict=True):
                    whole[place] = part[0]
    return [found[0], problem.leak * found[1], problem.leak * found[2]]


def check_quality(values: SimpleNamespace, data: Sequences | int | None) -> None:
    """Refuse what has no exact gradient.

    Raises
    ------
    ValueError
        For nonlinear units, and for sequences of the user's own.
    """
    if not values.gradient_quality:
        return
    refuse_nonlinear(values.nonlinearity, "gradient_quality=True")
    if isinstance(data, Sequences):
        raise ValueError(
            "gradient_quality must be False for sequences of your own: the exact gradient is that of white input and a "
            "teacher's targets, from which they need not come; a number of sequences, data=100, is drawn from a teacher"
        )
    refuse_surroundings(vars(values), "gradient_quality=True")


def job_quality(job: Job, rule: int, seed: int, weights: Sequence[FloatArray], feedback: Any) -> dict[str, Any]:
    """Quality of one run of a training job at its records; ``weights`` are the student's own."""
    batch_size, around = job.batch_size if job.updates == "sampled" else math.nan, job.surroundings
    problem = Problem(
        job.teacher, job.steps, job.loss, job.plasticity.leak, batch_size, around.target, around.feedback
    )  # fmt: skip
    return update_quality(job.rules[rule], weights, feedback, problem, job.plasticity.learns(rule, seed), 1)


def explain_quality(dataset: xr.Dataset) -> None:
    """Give the measures of quality in a dataset their flags, and say why values may be missing."""
    dataset["quality_status"].attrs = flag_attributes(STATUS)
    for name in QUALITY:
        if dataset[name].isnull().any():
            dataset[name].attrs["comment"] = _COMMENT + (f"; {NOISE_COMMENT}" if name in NOISY else "")
