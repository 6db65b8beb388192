"""Eigenvectors followed along a history of matrices, so that the curves of modes stay continuous.

Between two recorded epochs, eigenvector k of the later and j of the earlier matrix are compared by their spectral
projectors r l^T (r right, l left eigenvector):

    S[k, j] = Re tr(r_k l_k^T r_j l_j^T) = Re (l_k . r_j)(l_j . r_k),

which depends neither on the vectors' lengths nor on their phases. All rows and columns of S sum to 1; where nothing has
changed, S is the identity. A step with |S - 1| < 1/2 for the pair is decided. Two curves whose real parts change places
must be followed more strictly, |S - 1| < 1/20: eigenvalues that truly cross keep their vectors, others repel each other
and exchange them. Where a step is not decided (two eigenvalues have come together, or much has changed between two
records), the nearest eigenvalues are paired, so that w at least stays continuous, and the step is reported as doubtful.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Largest distance of a pair's score from 1 that still decides.
_DECIDED = 0.5
#: The same for a pair of eigenvalues that change places.
_DECIDED_CROSSING = 0.05


def follow(
    values: NDArray[Any], vectors: NDArray[Any], inverses: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.bool]]:
    """Follow every eigenvector from the last epoch back to the first.

    Parameters
    ----------
    values : array (epoch, unit)
        Eigenvalues; the last epoch's order is kept.
    vectors, inverses : array (epoch, unit, unit)
        Right eigenvectors as columns, and left ones as rows.

    Returns
    -------
    order : int array (epoch, unit)
        Places of the followed eigenvectors in every epoch.
    doubtful : bool array (epoch, unit)
        Whether the step from here to the next epoch is undecided.
    """
    epochs, n = values.shape
    order = np.tile(np.arange(n), (epochs, 1))
    doubtful = np.zeros((epochs, n), dtype=bool)
    there, back = inverses[1:] @ vectors[:-1], inverses[:-1] @ vectors[1:]
    scores = (there * back.transpose(0, 2, 1)).real
    for epoch in range(epochs - 2, -1, -1):
        later = order[epoch + 1]
        score = scores[epoch][later]
        chosen = _best_pairs(score)
        off = np.abs(score[np.arange(n), chosen] - 1)
        crossing = _change_places(values[epoch + 1][later].real, values[epoch][chosen].real)
        doubt = ~(off < np.where(crossing, _DECIDED_CROSSING, _DECIDED))
        if doubt.sum() > 1:
            chosen[doubt] = _nearest(values[epoch + 1][later[doubt]], values[epoch], chosen[doubt])
        order[epoch], doubtful[epoch] = chosen, doubt
    return order, doubtful


def _best_pairs(score: NDArray[Any]) -> NDArray[np.intp]:
    """A column for every row of a score matrix: each row's best where that is one to one, or the best in sum."""
    best: NDArray[np.intp] = np.argmax(score, axis=1)
    if len(set(best.tolist())) == len(best):
        return best
    return _assignment(-np.clip(np.nan_to_num(score), -1.0, 1.0))


def _assignment(costs: NDArray[Any]) -> NDArray[np.intp]:
    """A column for every row, the cheapest in sum."""
    from scipy.optimize import linear_sum_assignment

    columns: NDArray[np.intp] = linear_sum_assignment(costs)[1]
    return columns


def _change_places(later: NDArray[Any], earlier: NDArray[Any]) -> NDArray[np.bool]:
    """Whether each number's rank among the others differs between two epochs."""
    signs = [np.sign(numbers[:, np.newaxis] - numbers) for numbers in (later, earlier)]
    differs: NDArray[np.bool] = (signs[0] != signs[1]).any(axis=1)
    return differs


def _nearest(later: NDArray[Any], values: NDArray[Any], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same places, given out so that eigenvalues move as little as possible."""
    nearest: NDArray[np.intp] = places[_assignment(np.abs(later[:, np.newaxis] - values[places]))]
    return nearest


def follow_phases(
    values: NDArray[Any],
    vectors: NDArray[Any],
    inverses: NDArray[Any],
    last_entries: NDArray[Any],
    teacher_entries: NDArray[Any],
) -> None:
    """Fix the free phase of every followed eigenvector, in place.

    At the last epoch it gives the entries ``last_entries`` (mode,) the signs of the teacher's; before, each vector
    turns as little as possible. The vector of a real eigenvalue stays real: only its sign is free.

    Parameters
    ----------
    values, vectors, inverses
        As returned in followed order.
    last_entries : complex array (mode,)
        Diagonal of P^{-1} B V at the last epoch.
    teacher_entries : array (mode,)
        b* of the teacher; 0 counts as positive.
    """
    phase = np.ones(values.shape[1], dtype=complex)
    phase[: len(last_entries)] = _phase(last_entries, values[-1, : len(last_entries)])
    count = min(len(phase), len(teacher_entries))
    phase[:count] *= np.where(teacher_entries[:count] < 0, -1.0, 1.0)
    for epoch in range(len(values) - 1, -1, -1):
        if epoch < len(values) - 1:
            overlap = np.einsum("ij,ij->j", vectors[epoch].conj(), vectors[epoch + 1])
            phase = _phase(overlap, values[epoch])
        vectors[epoch] *= phase
        inverses[epoch] /= phase[:, np.newaxis]


def _phase(numbers: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Phase of each number, 1 for zero; only the sign of the real part where the eigenvalue is real."""
    numbers = np.where(values.imag == 0, numbers.real, numbers)
    size = np.abs(numbers)
    return np.where(size > 1e-12, numbers / np.where(size > 1e-12, size, 1.0), 1.0)
