"""Networks made from modes: aligned teachers and students."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..validation import check_array, check_integer, check_memory, shown
from .bases import Bases, chosen_bases, rectangular_diagonal, teacher_bases
from .network import LinearRNN, Modes, check_network

if TYPE_CHECKING:
    from ..typing import BasisName, FloatArray


def _made_from(
    modes: tuple[FloatArray, FloatArray, FloatArray], u: FloatArray, p: FloatArray, v: FloatArray
) -> LinearRNN:
    """The network ``A = U Abar P^T``, ``W = P Wbar P^T``, ``B = P Bbar V^T``, which keeps its bases."""
    w, a, b = modes
    n = len(w)
    network = LinearRNN(
        u @ rectangular_diagonal(a, len(u), n) @ p.T,
        (p * w) @ p.T,
        p @ rectangular_diagonal(b, n, len(v)) @ v.T,
    )
    object.__setattr__(network, "_bases", Bases(p, u, v, w))
    return network


def _mode_arrays(name: str, modes: Modes) -> tuple[FloatArray, FloatArray, FloatArray]:
    try:
        entries = Modes(*modes)
    except TypeError:
        raise TypeError(f"{name} must be fastmodes.Modes(recurrent, readout, input); got {shown(modes)}") from None
    given = [np.atleast_1d(check_array(f"{name}.{field}", v)) for field, v in zip(Modes._fields, entries, strict=True)]
    try:
        arrays = np.broadcast_arrays(*given)
    except ValueError:
        raise ValueError(f"{name} must broadcast together; got shapes {[a.shape for a in given]}") from None
    if arrays[0].ndim != 1 or arrays[0].size == 0:
        raise ValueError(f"{name} must be one-dimensional, at least one mode; got shape {arrays[0].shape}")
    w, a, b = arrays
    return w, a, b


def aligned_teacher(
    modes: Modes,
    *,
    n_out: int | None = None,
    n_in: int | None = None,
    basis: BasisName = "identity",
    seed: int | None = None,
) -> LinearRNN:
    """Mode-aligned teacher (Eqs. 11-13): ``A* = U Abar P^T``, ``W* = P Wbar P^T``, ``B* = P Bbar V^T``.

    Parameters
    ----------
    modes : Modes
        w, a, b of the teacher's modes; their number is n_hidden.
    n_out, n_in : int, optional
        Default n_hidden. At least n_hidden: with fewer, modes would share an output and could not be aligned.
    basis : {"identity", "random"}
        U, P, V: identities, or random orthogonal matrices drawn from ``seed``.
    seed : int, optional
        Needed for random bases.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    w, a, b = _mode_arrays("modes", modes)
    n = len(w)
    n_out = n if n_out is None else check_integer("n_out", n_out, n)
    n_in = n if n_in is None else check_integer("n_in", n_in, n)
    check_memory(8.0 * (n * n + n_out * n_out + n_in * n_in), n_out=n_out, n_in=n_in)
    u, p, v = chosen_bases(basis, (n_out, n, n_in), seed, "teacher basis")
    return _made_from((w, a, b), u, p, v)


def aligned_student(
    teacher: LinearRNN, modes: Modes, *, basis: BasisName = "identity", seed: int | None = None
) -> LinearRNN:
    """Student aligned with ``teacher`` (Eqs. 14-16): the teacher's U and V, its own P.

    Parameters
    ----------
    teacher : LinearRNN
        Mode-aligned. Its modes are taken in decreasing order of their eigenvalue; equal eigenvalues in the order of the
        modes it was made from, or by the size of their readout and input.
    modes : Modes
        w, a, b of the student's modes, the i-th belonging to the teacher's i-th largest eigenvalue. More modes than
        the teacher has are allowed if n_out and n_in have room for them.
    basis : {"identity", "random"}
        P: identity or a random orthogonal matrix drawn from ``seed``.
    seed : int, optional
        Needed for a random basis.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a teacher that is not mode-aligned.
    """
    w, a, b = _mode_arrays("modes", modes)
    u, v = teacher_bases(check_network("teacher", teacher))[1:]
    n, room = len(w), min(teacher.n_out, teacher.n_in)
    if n > room:
        raise ValueError(f"modes must be at most min(n_out, n_in)={room} for an aligned student; got {n}")
    (p,) = chosen_bases(basis, (n,), seed, "student basis")
    return _made_from((w, a, b), u, p, v)
