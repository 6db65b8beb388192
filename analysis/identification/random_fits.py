"""Least squares for eta R, which is n_out numbers for each unit, or one set for all where P = W."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .propagators import diagonal_powers, powers_of, reach_of
from .search import DECAYS, least, least_of_each

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .family import Hypothesis
    from .seen import Seen

#: (eta R, decay, explained change of W and B)
_Found: TypeAlias = "tuple[FloatArray, FloatArray | None, FloatArray]"
#: Singular values below this share of the largest are no information.
_NEGLIGIBLE = 1e-13


def fitted_random(hypothesis: Hypothesis, seen: Seen) -> _Found:
    """Eta R, the decay and what they explain."""
    if hypothesis.propagator == "recurrent":
        return _through_weights(hypothesis, seen)
    if hypothesis.propagator == "recurrent_diagonal":
        return _through_diagonal(hypothesis, seen)
    credit = seen.path.chains.credit
    reach = reach_of(hypothesis, len(credit))
    averaged = -seen.averaged(credit[:reach])  # (step, interval, n_out, column)

    def design_at(decay: float | FloatArray | None) -> FloatArray:
        return np.tensordot(powers_of(decay, reach), averaged, axes=(0, 0))

    if not hypothesis.estimates_decay:
        feedback, hidden = _by_unit(seen, design_at(hypothesis.decay)[None])
        return feedback, None, hidden
    if hypothesis.propagator == "scalar":
        decay = least(lambda decay: float(_left_by_unit(seen, design_at(decay)) @ seen.rows), DECAYS)
        feedback, hidden = _by_unit(seen, design_at(decay)[None])
        return feedback, np.array(decay), hidden
    decays = least_of_each(np.stack([_left_by_unit(seen, design) for design in design_at(DECAYS)]))
    feedback, hidden = _by_unit(seen, design_at(decays))
    return feedback, decays, hidden


def _through_diagonal(hypothesis: Hypothesis, seen: Seen) -> _Found:
    credit = seen.path.chains.credit
    p = diagonal_powers(hypothesis, seen.path.networks, None, len(credit))
    reach, count, n = p.shape
    flat = credit[:reach].transpose(1, 0, 2, 3).reshape(count, reach, -1)
    by_unit = p.transpose(1, 2, 0) @ flat  # (network, unit, n_out * column)
    by_unit = by_unit.reshape(count, n, *credit.shape[2:]).transpose(1, 0, 2, 3)
    feedback, hidden = _by_unit(seen, -seen.averaged(by_unit))
    return feedback, None, hidden


def _weighted(seen: Seen, design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(design (unit or 1, number, n_out), changes (unit, number, 1)), each interval with its weight."""
    root = np.sqrt(seen.weights)[:, None, None]
    x = (root * design).transpose(0, 1, 3, 2).reshape(len(design), -1, design.shape[2])
    y = (root * seen.hidden).transpose(1, 0, 2).reshape(seen.hidden.shape[1], -1, 1)
    return x, y


def _left_by_unit(seen: Seen, design: FloatArray) -> FloatArray:
    """Weighted squares left for each unit, under a design (interval, n_out, column) that all units share."""
    x, y = _weighted(seen, design[None])
    x, y = x[0], y[..., 0].T
    moment = x.T @ y
    solved = np.linalg.lstsq(x.T @ x, moment, rcond=None)[0]
    return np.sum(y**2, axis=0) - np.sum(moment * solved, axis=0)


def _by_unit(seen: Seen, design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(eta R (n_out, n_hidden), what it explains) from a design (unit or 1, interval, n_out, column)."""
    x, y = _weighted(seen, design)
    x_t = np.swapaxes(x, 1, 2)
    solved = np.linalg.pinv(x_t @ x, rcond=_NEGLIGIBLE, hermitian=True) @ (x_t @ y)  # (unit, n_out, 1)
    feedback = solved[..., 0].T * seen.rows
    count, _, columns = seen.hidden.shape
    hidden = feedback.T[:, None, None, :] @ design  # (unit, interval, 1, column)
    return feedback, hidden.reshape(-1, count, columns).transpose(1, 0, 2)


def _through_weights(hypothesis: Hypothesis, seen: Seen) -> _Found:
    """R by the normal equations of all its entries at once."""
    w, credit = seen.path.networks.recurrent, seen.path.chains.credit
    reach, (count, n, _) = reach_of(hypothesis, len(credit)), w.shape
    n_out, columns = credit.shape[2:]
    carried = np.empty((reach, count, n, n))
    carried[0] = np.eye(n)
    for j in range(1, reach):
        np.matmul(carried[j - 1], w, out=carried[j])
    # [network, (a, i), (c, b)]: row a of W^j, column i; R_ca gives change (i, b).
    left = carried.transpose(1, 2, 3, 0).reshape(count, n * n, reach)
    right = credit[:reach].transpose(1, 0, 2, 3).reshape(count, reach, n_out * columns)
    normal, moment = np.zeros((n_out * n, n_out * n)), np.zeros(n_out * n)
    half = count // 2
    designs = []
    for s in range(half):
        both = left[s] @ right[s] + left[half + s] @ right[half + s]
        x = -0.5 * seen.updates[s] * both.reshape(n, n, n_out, columns).transpose(1, 3, 2, 0)  # (i, b, c, a)
        x = (x * seen.rows[:, None, None, None]).reshape(n * columns, n_out * n)
        normal += seen.weights[s] * x.T @ x
        moment += seen.weights[s] * x.T @ seen.hidden[s].ravel()
        designs.append(x)
    solved = np.linalg.lstsq(normal, moment, rcond=_NEGLIGIBLE)[0]
    hidden = np.stack([(x @ solved).reshape(n, columns) for x in designs])
    return solved.reshape(n_out, n), None, hidden
