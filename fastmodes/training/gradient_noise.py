"""How noisy sampled updates are, exactly, beside how good a gradient they are on average (theory section 13)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..networks.leaky import MATRICES

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..rules import LearningRule
    from ..typing import FloatArray
    from .quality import Problem

#: Names of what is measured here.
NOISY = ("signal_to_noise", "critical_batch_size")
#: Why noise may have no value where the update itself has one.
NOISE_COMMENT = (
    "also where the variance of updates is not known: with noise of R; at infinitely many steps under the sequence "
    "loss, or where it diverges or takes too long to settle; where it does not fit into memory; expected updates have "
    "no batch and no signal_to_noise"
)


def signal_and_noise(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    feedbacks: Sequence[FloatArray] | None,
    problem: Problem,
    learns: Sequence[Any],
    norm: FloatArray,
    threads: int | None = None,
) -> dict[str, FloatArray]:
    """Signal to noise of batches, and the batch size at which it would be 1, of every student.

    With u the update of one sequence and S the batch size,

        signal_to_noise = S |E u|^2 / tr Cov[u],    critical_batch_size = tr Cov[u] / |E u|^2

    over the weights that learn, of batches of fresh sequences.

    Parameters
    ----------
    rule : LearningRule
    students : sequence of LinearRNN
    feedbacks : sequence of arrays (n_out, n_hidden), optional
    problem : Problem
    learns : three arrays
        0 where a weight of A, W, B stays as it is; they broadcast.
    norm : array (student,)
        |E u|.
    threads : int, optional

    Returns
    -------
    dict of str to array (student,)
        NaN where :data:`NOISE_COMMENT` says; expected updates have no batch and no ``signal_to_noise``.
    """
    noise = _variance(rule, students, feedbacks, problem, learns, threads)
    # Of the quotient, not of the squares, which overflow earlier.
    critical = (np.sqrt(noise) / norm) ** 2
    return {"signal_to_noise": problem.batch_size / critical, "critical_batch_size": critical}


def _variance(
    rule: LearningRule,
    students: Sequence[LinearRNN],
    feedbacks: Sequence[FloatArray] | None,
    problem: Problem,
    learns: Sequence[Any],
    threads: int | None,
) -> FloatArray:
    """Total variance of one sequence's update over the weights that learn."""
    # Kernels of their own, seldom asked for.
    from ..updates.moments import update_moments

    found = np.full(len(students), np.nan)
    infinite = problem.steps == math.inf
    if problem.feedback_noise or (infinite and problem.loss == "sequence"):
        return found
    # One network without a limit is refused together with all others.
    parts = [slice(i, i + 1) for i in range(len(students))] if infinite else [slice(0, len(students))]
    for part in parts:
        own = None if feedbacks is None or not rule.reads_feedback else list(feedbacks[part])
        with contextlib.suppress(ValueError):
            moments = update_moments(
                rule, list(students[part]), problem.teacher, problem.steps, feedback=own, loss=problem.loss,
                target_noise=problem.target_noise, leak=problem.leak, threads=threads,
            )  # fmt: skip
            entries = [moments[f"variance_{name}"].values for name in MATRICES]
            found[part] = sum((values * on).sum((1, 2)) for values, on in zip(entries, learns, strict=True))
    return found
