"""From two aligned networks to their modes, or a clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..validation import check_array
from .bases import positive_columns, teacher_bases
from .network import LinearRNN, Modes, check_network, check_pair

if TYPE_CHECKING:
    from ..typing import FloatArray, GridValue, IntArray, ModesLike


def modes_of(
    student: ModesLike,
    teacher: ModesLike,
    feedback: GridValue | None = None,
    *,
    neuron_basis: bool = False,
    signs: bool = False,
    tolerance: float = 1e-8,
) -> tuple[Modes, Modes, GridValue | None]:
    """Modes of a student aligned with its teacher, and the teacher's, by decreasing teacher eigenvalue (Eqs. 11-16).

    Parameters
    ----------
    student, teacher : LinearRNN
        ``W = P Wbar P^T``, ``A = U Abar P^T``, ``B = P Bbar V^T`` with the teacher's U and V.
    feedback : None, number, array of one r per mode, or matrix (n_out, n_hidden)
        A matrix must be aligned as well: ``R = U Rbar P^T``.
    neuron_basis : bool
        Also demand that P is the neuron basis: a rule that reads diag(W) (e-prop) or a diagonal of neurons mixes the
        modes of any other basis, because it does not commute with rotations of hidden space.

    signs : bool
        Also demand that the signs of A are those of its modes, U^T sign(A) P = sign(Abar): a rule that feeds back
        through sign(A) mixes the modes wherever A itself is not diagonal, up to order and signs.

    Returns
    -------
    modes, teacher_modes : Modes
        Arrays (mode,), DataArrays where the feedback is one along ``mode``.
    feedback : None, number or array (mode,)

    Raises
    ------
    TypeError, ValueError
        If the networks are not aligned, so that they have no modes under the rule.
    """
    student = check_network("modes", student)
    teacher = check_network("teacher_modes", teacher)
    check_pair(student, teacher)
    p, u, v = teacher_bases(teacher)
    n, count = student.n_hidden, teacher.n_hidden
    if n != count:
        raise ValueError(f"modes must be a student with the teacher's n_hidden={count} to be mode by mode; got {n}")
    goal = Modes(
        *(np.diagonal(m) for m in (p.T @ teacher.recurrent @ p, u.T @ teacher.readout @ p, p.T @ teacher.input @ v))
    )
    basis = _student_basis(student, u, v, n)
    if basis is None:
        raise ValueError(
            "modes must be a student aligned with the teacher (see aligned_student): one orthogonal basis in which its "
            "recurrent, readout and input weights are diagonal; got none. Modes of a network that is not aligned: "
            "estimate_modes"
        )
    parts = (basis.T @ student.recurrent @ basis, u.T @ student.readout @ basis, basis.T @ student.input @ v)
    if neuron_basis and not np.allclose(np.abs(basis).max(axis=0), 1, rtol=0, atol=tolerance):
        raise ValueError(
            "modes must be a student whose eigenbasis is the neuron basis (a diagonal recurrent matrix) for a rule "
            "that reads a diagonal, such as e-prop: in any other basis its update mixes the modes"
        )
    if signs:
        mixed = u.T @ np.sign(student.readout) @ basis
        np.fill_diagonal(mixed, np.diagonal(mixed) - np.sign(np.diagonal(parts[1])))
        if np.abs(mixed).max() > tolerance:
            raise ValueError(
                "modes must be a student whose readout matrix is itself diagonal, up to order and signs, for a rule "
                "that feeds back through the signs of A: any other sign(A) mixes the modes"
            )
    if feedback is not None and np.ndim(feedback) == 2:
        matrix = check_array("feedback", feedback, (student.n_out, n), dims=("n_out", "n_hidden"))
        feedback = _diagonal("feedback", u.T @ matrix @ basis, tolerance)
    own = Modes(*(np.diagonal(part) for part in parts))
    if "mode" in getattr(feedback, "dims", ()):
        own, goal = (Modes(*(xr.DataArray(entry, dims="mode") for entry in modes)) for modes in (own, goal))
    return own, goal, feedback


def _student_basis(student: LinearRNN, u: FloatArray, v: FloatArray, n: int) -> FloatArray | None:
    """Orthogonal P with W, U^T A and B V all diagonal in it, its columns in the order of the teacher's modes."""
    readout, inputs = (u.T @ student.readout)[:n], (student.input @ v)[:, :n]
    size = max(np.abs(student.recurrent).max(), np.abs(readout).max(), np.abs(inputs).max(), 1e-300)
    candidates = [] if student.bases is None else [student.bases.hidden]
    for basis in (*candidates, _recovered(student, readout.T, inputs, size)):
        parts = (basis.T @ student.recurrent @ basis, readout @ basis, basis.T @ inputs)
        off = max(np.abs(part - np.diag(np.diagonal(part))).max() for part in parts)
        if np.abs(basis.T @ basis - np.eye(n)).max() <= 1e-7 and off <= 1e-7 * (1 + size):
            return basis
    return None


def _recovered(student: LinearRNN, rows: FloatArray, inputs: FloatArray, size: float) -> FloatArray:
    """The columns from the network's matrices: multiples of U^T A's rows and of B V's columns, where none vanishes."""
    larger = np.where(np.linalg.norm(rows, axis=0) >= np.linalg.norm(inputs, axis=0), rows, inputs)
    norms = np.linalg.norm(larger, axis=0)
    if (norms >= 1e-10 * size).all():
        return positive_columns(larger / norms)
    _, basis = np.linalg.eigh((student.recurrent + student.recurrent.T) / 2)
    strength = np.abs(rows.T @ basis) + np.abs(inputs.T @ basis)
    return positive_columns(basis[:, _matched(strength)])


def _matched(strength: FloatArray) -> IntArray:
    """Column of the basis for each mode: the strongest pairs first."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(-strength)[1]


def _diagonal(name: str, matrix: FloatArray, tolerance: float) -> FloatArray:
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    if np.abs(off).max() > tolerance * (1 + np.abs(matrix).max()):
        raise ValueError(f"{name} must be aligned too, R = U Rbar P^T (random_feedback(.., aligned=True)); it is not")
    return np.diagonal(matrix)
