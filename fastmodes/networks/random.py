"""Random networks: students and feedback matrices drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..streams import random_stream
from ..validation import LARGEST_SCALE, check_flag, check_integer, check_memory, check_number
from .bases import teacher_bases
from .network import LinearRNN, check_network

if TYPE_CHECKING:
    from ..typing import FloatArray


def random_student(hidden: int, teacher: LinearRNN, *, scale: float, seed: int) -> LinearRNN:
    """Student with independent Gaussian weights of standard deviation ``scale / sqrt(hidden)``.

    Parameters
    ----------
    hidden : int
        Number of hidden units; may differ from the teacher's.
    teacher : LinearRNN
        Gives n_in and n_out.
    scale : float
        Not negative.
    seed : int
        Not negative. The same seed gives the same student.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    hidden = check_integer("hidden", hidden, 1, 100_000)
    check_network("teacher", teacher)
    deviation = check_number("scale", scale, 0.0, LARGEST_SCALE) / np.sqrt(hidden)
    check_memory(8.0 * hidden * (hidden + teacher.n_out + teacher.n_in), hidden=hidden)
    rng = random_stream(seed, "student")
    return LinearRNN(
        deviation * rng.standard_normal((teacher.n_out, hidden)),
        deviation * rng.standard_normal((hidden, hidden)),
        deviation * rng.standard_normal((hidden, teacher.n_in)),
    )


def random_feedback(student: LinearRNN, *, scale: float, seed: int, aligned: bool = False) -> FloatArray:
    """Fixed feedback R (n_out, n_hidden) with Gaussian entries.

    Parameters
    ----------
    student : LinearRNN
        Gives the shape; for aligned feedback also the basis.
    scale : float
        Standard deviation is ``scale / sqrt(n_hidden)``; for aligned feedback the mode entries r have standard
        deviation ``scale``.
    seed : int
        Not negative.
    aligned : bool
        If True, ``R = U Rbar P^T`` with U and P the bases in which the student's readout and recurrent matrix are
        diagonal (Sec. 2.4).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or ``aligned`` with a student that is not mode-aligned.
    """
    check_network("student", student)
    scale = check_number("scale", scale, 0.0, LARGEST_SCALE)
    rng = random_stream(seed, "feedback")
    if not check_flag("aligned", aligned):
        return scale / np.sqrt(student.n_hidden) * rng.standard_normal((student.n_out, student.n_hidden))
    try:
        p, u, _ = teacher_bases(student)
    except ValueError as error:
        raise ValueError(str(error).replace("teacher must", "student must").replace("*", "")) from None
    return u[:, : student.n_hidden] * (scale * rng.standard_normal(student.n_hidden)) @ p.T
