"""Orthogonal bases: drawn at random, or those in which a mode-aligned network is diagonal (Eqs. 11-13).

The columns of U, P and V have free signs, and with them the entries (w, a, b, r) of a mode: turning a column of P turns
a, b and r, one of U turns a*, a and r, one of V turns b* and b. The gauge, for every function that takes networks apart
or puts them together: a network made from modes keeps the bases it was made in, and so the signs and the order of its
modes; of one given by its matrices, every column has its entry of largest modulus positive, so that diagonal networks
have U = P = V = identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..streams import random_stream
from ..validation import check_choice

if TYPE_CHECKING:
    from ..typing import BasisName, FloatArray
    from .network import LinearRNN

#: Entries whose moduli differ by less than this share count as equally large: rounding must not choose a sign.
_EQUAL = 1e-6


class Bases(NamedTuple):
    """Bases (P, U, V) in which a network was made, and its eigenvalues w, columns and numbers in the modes' order."""

    hidden: FloatArray
    output: FloatArray
    input: FloatArray
    recurrent: FloatArray

    def sorted(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(P, U, V) with the modes by decreasing eigenvalue, in their own order where eigenvalues are equal."""
        order = np.argsort(-self.recurrent, kind="stable")
        rest = [np.arange(len(order), len(basis)) for basis in (self.output, self.input)]
        return (
            self.hidden[:, order],
            self.output[:, np.append(order, rest[0])],
            self.input[:, np.append(order, rest[1])],
        )


def positive_columns(basis: FloatArray) -> FloatArray:
    """The basis with every column's entry of largest modulus positive, the first of entries as large."""
    size = np.abs(basis)
    first = np.argmax(size >= (1 - _EQUAL) * size.max(axis=0), axis=0)
    return basis * np.where(basis[first, np.arange(basis.shape[1])] < 0, -1.0, 1.0)


def _orthogonal(size: int, rng: np.random.Generator) -> FloatArray:
    if size == 1:
        return np.array([[1.0 if rng.random() < 0.5 else -1.0]])
    # Imported here: scipy.stats takes longer to import than the rest of the package.
    from scipy.stats import ortho_group

    return ortho_group.rvs(size, random_state=rng)


def chosen_bases(basis: BasisName, sizes: Sequence[int], seed: int | None, purpose: str) -> list[FloatArray]:
    """Identities, or random orthogonal matrices of these sizes.

    Raises
    ------
    TypeError, ValueError
        If the basis is unknown, or a random one has no seed.
    """
    check_choice("basis", basis, ("identity", "random"))
    if basis == "identity":
        return [np.eye(size) for size in sizes]
    if seed is None:
        raise ValueError("seed must be a whole number >= 0 for basis 'random'; got None")
    rng = random_stream(seed, purpose)
    return [_orthogonal(size, rng) for size in sizes]


def rectangular_diagonal(values: FloatArray, rows: int, columns: int) -> FloatArray:
    """Matrix (rows, columns) with ``values`` on its diagonal."""
    matrix = np.zeros((rows, columns))
    np.fill_diagonal(matrix, values)
    return matrix


def teacher_bases(teacher: LinearRNN, tolerance: float = 1e-8) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Orthogonal bases (P, U, V) of a mode-aligned teacher, its eigenvalues in decreasing order (Eqs. 11-13).

    The bases the network was made in, where it keeps them. Otherwise, among equal eigenvalues, P is the basis in which
    readout and input are diagonal too, and signs are those of :func:`positive_columns`. Columns of U and V beyond the
    teacher's modes complete them to orthogonal matrices.

    Raises
    ------
    ValueError
        If W* is not symmetric, or readout and input are not diagonal in its eigenbasis.
    """
    if teacher.bases is not None:
        return teacher.bases.sorted()
    w = teacher.recurrent
    n, size = teacher.n_hidden, 1 + np.abs(w).max()
    if np.abs(w - w.T).max() > tolerance * size:
        raise ValueError("teacher must be mode-aligned: W* symmetric; got a W* that is not")
    if min(teacher.n_out, teacher.n_in) < n:
        raise ValueError(
            f"teacher must be mode-aligned: n_out and n_in at least n_hidden={n}; "
            f"got n_out={teacher.n_out}, n_in={teacher.n_in}"
        )
    p = positive_columns(_joint_eigenbasis(teacher, tolerance * size))
    u, a = _orthonormal_columns(teacher.readout @ p)
    v, b = _orthonormal_columns((p.T @ teacher.input).T)
    for name, basis, matrix, entries in (("A*", u, teacher.readout @ p, a), ("B*", v, teacher.input.T @ p, b)):
        off = np.abs(basis.T @ matrix - rectangular_diagonal(entries, len(basis), n)).max()
        if off > 1e-6 * (1 + np.abs(matrix).max()):
            raise ValueError(f"teacher must be mode-aligned: {name} diagonal in W*'s eigenbasis; off by {off:.2g}")
    return p, u, v


def _joint_eigenbasis(teacher: LinearRNN, gap: float) -> FloatArray:
    """Eigenvectors of W*, decreasing; inside a cluster of equal eigenvalues those of A*^T A* + B* B*^T."""
    w = teacher.recurrent
    if np.count_nonzero(w - np.diag(np.diagonal(w))) == 0:
        values, p = np.diagonal(w), np.eye(len(w))
    else:
        values, p = np.linalg.eigh((w + w.T) / 2)
    order = np.argsort(-values, kind="stable")
    values, p = values[order], p[:, order]
    second = teacher.readout.T @ teacher.readout + np.pi * teacher.input @ teacher.input.T
    start = 0
    for stop in range(1, len(values) + 1):
        if stop == len(values) or values[start] - values[stop] > gap:
            block = p[:, start:stop]
            inner = block.T @ second @ block
            if np.abs(inner - np.diag(np.diagonal(inner))).max() > 1e-12 * (1 + np.abs(inner).max()):
                p[:, start:stop] = block @ np.linalg.eigh(inner)[1][:, ::-1]
            start = stop
    return p


def _orthonormal_columns(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Orthogonal matrix whose first columns are those of ``matrix`` up to their factors, and these factors."""
    rows, columns = matrix.shape
    norms = np.linalg.norm(matrix, axis=0)
    basis = np.zeros((rows, rows))
    filled = []
    for i in range(columns):
        if norms[i] > 1e-12 * (1 + norms.max()):
            basis[:, i] = matrix[:, i] / norms[i]
            filled.append(i)
    missing = [i for i in range(rows) if i not in filled]
    if missing:
        q = np.linalg.qr(np.concatenate([basis[:, filled], np.eye(rows)], axis=1))[0]
        basis[:, missing] = q[:, len(filled) :]
    basis = positive_columns(basis)
    return basis, np.einsum("ri,ri->i", basis[:, :columns], matrix)
