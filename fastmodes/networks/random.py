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


def random_feedback(
    student: LinearRNN, *, scale: float, seed: int, aligned: bool = False, cosine: float | None = None
) -> FloatArray:
    """Fixed feedback R (n_out, n_hidden) with Gaussian entries, partly aligned with the readout if so wanted.

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
    cosine : float, optional
        q from -1 to 1: R turns, within the plane of A and itself, until tr(A^T R) = q |A| |R| (Frobenius norms). Its
        length stays, and so does its part at right angles to A but for its size (see :func:`turned_feedback`).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, ``aligned`` with a student that is not mode-aligned, or a ``cosine`` with a
        readout of zeros.

    Examples
    --------
    >>> import fastmodes as fm, numpy as np
    >>> student = fm.LinearRNN([[1.0, 2.0]], np.eye(2) / 2, [[1.0], [0.0]])
    >>> r = fm.random_feedback(student, scale=1.0, seed=0, cosine=0.6)
    >>> round(float((student.readout * r).sum() / np.linalg.norm(student.readout) / np.linalg.norm(r)), 12)
    0.6
    """
    check_network("student", student)
    scale = check_number("scale", scale, 0.0, LARGEST_SCALE)
    rng = random_stream(seed, "feedback")
    if cosine is not None:
        cosine = check_number("cosine", cosine, -1.0, 1.0)
    if not check_flag("aligned", aligned):
        drawn = scale / np.sqrt(student.n_hidden) * rng.standard_normal((student.n_out, student.n_hidden))
        return drawn if cosine is None else turned_feedback(student.readout, drawn, cosine)
    try:
        p, u, _ = teacher_bases(student)
    except ValueError as error:
        raise ValueError(str(error).replace("teacher must", "student must").replace("*", "")) from None
    drawn = u[:, : student.n_hidden] * (scale * rng.standard_normal(student.n_hidden)) @ p.T
    return drawn if cosine is None else turned_feedback(student.readout, drawn, cosine)


def turned_feedback(readout: FloatArray, feedback: FloatArray, cosine: float) -> FloatArray:
    """``|R| (q A_0 + sqrt(1 - q^2) R_0)`` with A_0 the readout's direction, R_0 that of R's part at right angles to it.

    Parameters
    ----------
    readout, feedback : array (n_out, n_hidden)
        A and R.
    cosine : float
        q.

    Raises
    ------
    ValueError
        If A is zero, or R lies along A, so that there is no plane to turn in; |q| = 1 needs none.
    """
    size, length = np.linalg.norm(readout), np.linalg.norm(feedback)
    if not size > 0.0:
        raise ValueError("cosine must be None for a readout of zeros, which has no direction; got a value")
    if length == 0.0:
        return feedback.copy()
    along = readout / size
    rest = feedback / length
    for _ in range(2):
        # Twice: the first time leaves the rounding errors of what was taken away.
        rest = rest - np.vdot(along, rest) * along
    width = np.linalg.norm(rest)
    if abs(cosine) < 1.0 and not width > 1e-12:
        raise ValueError(f"cosine must be 1 or -1 where R lies along the readout and cannot turn; got {cosine}")
    across = np.sqrt((1.0 - cosine) * (1.0 + cosine))
    return length * (cosine * along + (across / width * rest if across > 0.0 else 0.0))
