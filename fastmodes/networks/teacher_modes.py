"""The modes and bases of a teacher, which estimates of students refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .bases import teacher_bases
from .network import check_network

if TYPE_CHECKING:
    from ..typing import AnyArray
    from .network import LinearRNN

#: Eigenvectors of a larger condition number are those of a matrix that has no basis of them, but for rounding.
_DEFECTIVE = 1e7


class TeacherModes(NamedTuple):
    """Teacher's modes by decreasing eigenvalue, and the bases U (n_out, .), V (n_in, .) that estimates refer to."""

    recurrent: AnyArray
    readout: AnyArray
    input: AnyArray
    output_basis: AnyArray
    input_basis: AnyArray
    #: Why the teacher has no modes, and nothing that refers to its bases a meaning; empty where it has.
    defect: str = ""


def teacher_modes(teacher: LinearRNN) -> TeacherModes:
    """Modes and bases of a teacher; of a teacher that is not mode-aligned, the nearest thing.

    There, the columns of U and V are the normalised columns of A* P* and of (P*^{-1} B*)^T, not orthogonal. A teacher
    whose W* has no basis of eigenvectors (a nilpotent one, say) has no modes but eigenvalues.

    Raises
    ------
    TypeError
        If ``teacher`` is no LinearRNN.
    """
    check_network("teacher", teacher)
    defect = ""
    try:
        p, u, v = teacher_bases(teacher)
        values = np.einsum("ik,ij,jk->k", p, teacher.recurrent, p)
        inverse: AnyArray = p.T
    except ValueError:
        values, p = np.linalg.eig(teacher.recurrent)
        if np.array_equal(teacher.recurrent, teacher.recurrent.T):
            values, p = np.linalg.eigh(teacher.recurrent)
            if not np.any(teacher.recurrent - np.diag(np.diagonal(teacher.recurrent))):
                values, p = np.diagonal(teacher.recurrent), np.eye(teacher.n_hidden)
        order = np.lexsort((-values.imag, -values.real))
        values, p = values[order], p[:, order]
        inverse = np.linalg.pinv(p)
        if np.linalg.cond(p) > _DEFECTIVE:
            defect = "the teacher's W* has no basis of eigenvectors"
        u, v = _unit_columns(teacher.readout @ p), _unit_columns((inverse @ teacher.input).T)
    n = teacher.n_hidden
    a = np.einsum("oi,oj,ji->i", u[:, :n].conj(), teacher.readout, p)
    b = np.einsum("ij,jk,ki->i", inverse, teacher.input, v[:, :n].conj())
    if defect:
        a, b = np.full((2, n), np.nan)
    return TeacherModes(values, a, b, u, v, defect)


def _unit_columns(matrix: AnyArray) -> AnyArray:
    norms = np.linalg.norm(matrix, axis=0)
    return matrix / np.where(norms > 0, norms, 1.0)


def mode_coordinates(modes: TeacherModes) -> dict[str, tuple[str, AnyArray]]:
    """Coordinates on ``mode``: its number and the teacher's w, a, b."""
    return {
        "mode": ("mode", np.arange(len(modes.recurrent))),
        "teacher_recurrent": ("mode", np.real(modes.recurrent)),
        "teacher_recurrent_imag": ("mode", np.imag(modes.recurrent)),
        "teacher_readout": ("mode", np.real(modes.readout)),
        "teacher_input": ("mode", np.real(modes.input)),
    }
