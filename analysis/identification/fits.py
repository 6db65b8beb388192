"""Every rule fitted to the changes: all are linear in the learning rate and in R.

In units of one update, averaged over the path, and with [G_j, M_j] the credit of section 3, the change of W and B is

    readout, sign     -eta  sum_j (P^T)^j F^T [G_j, M_j]                        one unknown
    random, fixed P   row a:  -(eta R)_{.a}^T  sum_j p_a^j [G_j, M_j]           n_out unknowns for each unit
    random, P = W     -sum_j (W^T)^j (eta R)^T [G_j, M_j]                       n_out n_hidden unknowns together

A decay that is unknown is searched for; all the rest is least squares, weighted by the interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import optimize

from .snapshots import Weights

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .chains import Chains
    from .family import Hypothesis

#: Decays among which the best is looked for before it is refined.
DECAYS = np.linspace(-0.95, 1.0, 40)


class Path(NamedTuple):
    """Networks at the nodes of a path through the snapshots, and their chains."""

    networks: Weights
    chains: Chains


class Seen(NamedTuple):
    """Observed changes and what every rule makes them of, as averages over the path.

    ``readout`` (interval, n_out, n_hidden); ``hidden`` (interval, n_hidden, column) [Delta W, Delta B] as it is seen;
    ``path`` of (2 intervals,) nodes, ``middle`` of (interval,);
    ``updates``, ``weights`` (interval,); ``rows``
    and ``columns`` (unit,) 1 where seen, else 0.
    Columns of Delta W, and of credit, are seen through ``view`` (interval, n_hidden, n_hidden), on the right.
    """

    readout: FloatArray
    hidden: FloatArray
    path: Path
    middle: Path
    updates: FloatArray
    weights: FloatArray
    rows: FloatArray
    columns: FloatArray
    view: FloatArray

    def averaged(self, of_nodes: FloatArray) -> FloatArray:
        """Sum over the updates of each interval, from values (.., 2 intervals, ..) whose axis of nodes is -3."""
        half = of_nodes.shape[-3] // 2
        both = of_nodes[..., :half, :, :] + of_nodes[..., half:, :, :]
        return 0.5 * self.updates[:, None, None] * both


class Fit(NamedTuple):
    """``rate`` eta; ``feedback`` eta F where F is random or sign, else None; ``decay`` w_hat (or one a unit) or None.

    ``readout``, ``hidden``: the mean changes it explains; ``rss``: weighted squares that are left.
    """

    rate: float
    feedback: FloatArray | None
    decay: FloatArray | None
    readout: FloatArray
    hidden: FloatArray
    rss: float


def fitted(hypothesis: Hypothesis, seen: Seen) -> Fit:
    """The best fit of one rule."""
    of_readout = -seen.averaged(seen.path.chains.readout)
    if hypothesis.feedback == "random":
        rate = _slope(seen, [(of_readout, seen.readout)])
        feedback, decay, hidden = _random(hypothesis, seen)
    else:
        rate, feedback, decay, hidden = _symmetric(hypothesis, seen, of_readout)
    readout = rate * of_readout
    rss = _squares(seen, seen.readout - readout) + _squares(seen, (seen.hidden - hidden) * seen.rows[:, None])
    return Fit(rate, feedback, decay, readout, hidden, rss)


def _squares(seen: Seen, values: FloatArray) -> float:
    return float(np.sum(seen.weights * np.sum(values**2, axis=(1, 2))))


def _slope(seen: Seen, pairs: list[tuple[FloatArray, FloatArray]]) -> float:
    above = sum(float(np.sum(seen.weights[:, None, None] * x * y)) for x, y in pairs)
    below = sum(float(np.sum(seen.weights[:, None, None] * x * x)) for x, _ in pairs)
    return above / below if below > 0 else 0.0


def powers(hypothesis: Hypothesis, networks: Weights, decay: FloatArray | None, steps: int) -> FloatArray:
    """Diagonals of P^j (step, network, unit) of propagators that are diagonal."""
    count, n = networks.recurrent.shape[:2]
    if hypothesis.propagator == "recurrent_diagonal":
        diagonal = np.diagonal(networks.recurrent, axis1=1, axis2=2)
    else:
        value = hypothesis.decay if decay is None else decay
        diagonal = np.broadcast_to(np.asarray(value, dtype=float), (count, n))
    reach = steps if hypothesis.horizon is None else min(hypothesis.horizon, steps)
    return diagonal ** np.arange(reach)[:, None, None]


def propagated(hypothesis: Hypothesis, networks: Weights, feedback: FloatArray, decay: FloatArray | None,
               steps: int) -> FloatArray:  # fmt: skip
    """F P^j (step, network, n_out, n_hidden) within the horizon."""
    if hypothesis.propagator != "recurrent":
        return feedback * powers(hypothesis, networks, decay, steps)[:, :, None, :]
    reach = steps if hypothesis.horizon is None else min(hypothesis.horizon, steps)
    carried = np.empty((reach, *networks.readout.shape))
    carried[0] = feedback
    for j in range(1, reach):
        carried[j] = carried[j - 1] @ networks.recurrent
    return carried


def by_feedback(carried: FloatArray, credit: FloatArray) -> FloatArray:
    """sum_j (F P^j)^T [G_j, M_j] (network, n_hidden, column)."""
    reach, count, n_out, n = carried.shape
    left = carried.transpose(1, 3, 0, 2).reshape(count, n, reach * n_out)
    right = credit[:reach].transpose(1, 0, 2, 3).reshape(count, reach * n_out, -1)
    return left @ right


def _symmetric(hypothesis, seen, of_readout):
    networks, credit = seen.path.networks, seen.path.chains.credit
    feedback = networks.readout if hypothesis.feedback == "readout" else np.sign(networks.readout)

    def hidden_at(decay):
        carried = propagated(hypothesis, networks, feedback, decay, len(credit))
        return -seen.averaged(by_feedback(carried, credit)) * seen.rows[:, None]

    def rates_at(hidden):
        of_hidden = (hidden, seen.hidden)
        if hypothesis.feedback == "readout":
            rate = _slope(seen, [(of_readout, seen.readout), of_hidden])
            return rate, rate
        return _slope(seen, [(of_readout, seen.readout)]), _slope(seen, [of_hidden])

    def left(decay):
        hidden = hidden_at(decay)
        rate, scale = rates_at(hidden)
        return _squares(seen, seen.readout - rate * of_readout) + _squares(
            seen, (seen.hidden - scale * hidden) * seen.rows[:, None]
        )

    decay = _searched(left, DECAYS[::3]) if hypothesis.estimates_decay else None
    hidden = hidden_at(decay)
    rate, scale = rates_at(hidden)
    return rate, None if hypothesis.feedback == "readout" else np.array(scale), decay, scale * hidden


def _searched(left, grid):
    values = [left(decay) for decay in grid]
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(left, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(found.x) if found.fun <= values[best] else float(grid[best])


def _random(hypothesis, seen):
    if hypothesis.propagator == "recurrent":
        return _random_recurrent(hypothesis, seen)
    credit, n = seen.path.chains.credit, seen.path.networks.recurrent.shape[-1]
    if hypothesis.propagator == "recurrent_diagonal":
        p = powers(hypothesis, seen.path.networks, None, len(credit))
        flat = credit[: len(p)].transpose(1, 0, 2, 3).reshape(credit.shape[1], len(p), -1)
        by_unit = np.swapaxes(p.transpose(1, 0, 2), 1, 2) @ flat  # (network, unit, n_out * column)
        by_unit = by_unit.reshape(credit.shape[1], n, *credit.shape[2:]).transpose(1, 0, 2, 3)
        design = -seen.averaged(by_unit)  # (unit, interval, n_out, column)
        feedback, hidden = _by_unit(seen, design)
        return feedback, None, hidden

    reach = len(credit) if hypothesis.horizon is None else min(hypothesis.horizon, len(credit))
    averaged = -seen.averaged(credit[:reach])  # (step, interval, n_out, column)

    def design_at(decay):
        return np.tensordot(decay ** np.arange(reach), averaged, axes=1)

    if not hypothesis.estimates_decay:
        feedback, hidden = _by_unit(seen, design_at(hypothesis.decay)[None])
        return feedback, None, hidden
    if hypothesis.propagator == "scalar":

        def left(decay):
            return float(np.sum(_left_by_unit(seen, design_at(decay)) * seen.rows))

        decay = _searched(left, DECAYS)
        feedback, hidden = _by_unit(seen, design_at(decay)[None])
        return feedback, np.array(decay), hidden
    table = np.stack([_left_by_unit(seen, design_at(decay)) for decay in DECAYS])
    decays = _vertex(table)
    design = np.tensordot(decays[:, None] ** np.arange(reach), averaged, axes=1)
    feedback, hidden = _by_unit(seen, design)
    return feedback, decays, hidden


def _vertex(table: FloatArray) -> FloatArray:
    """The decay of least squares for each unit (decay, unit): the vertex of the parabola through the least three."""
    best = np.clip(np.argmin(table, axis=0), 1, len(table) - 2)
    below, at, above = (np.take_along_axis(table, (best + shift)[None], 0)[0] for shift in (-1, 0, 1))
    bend = below - 2 * at + above
    shift = np.where(bend > 0, 0.5 * (below - above) / np.where(bend > 0, bend, 1.0), 0.0)
    return DECAYS[best] + np.clip(shift, -1, 1) * (DECAYS[1] - DECAYS[0])


def _left_by_unit(seen: Seen, design: FloatArray) -> FloatArray:
    """Weighted squares left for each unit, under a design (interval, n_out, column) that all units share."""
    root = np.sqrt(seen.weights)[:, None, None]
    x = (root * design).transpose(0, 2, 1).reshape(-1, design.shape[1])
    y = (root * seen.hidden).transpose(0, 2, 1).reshape(len(x), -1)
    moment = x.T @ y
    solved = np.linalg.lstsq(x.T @ x, moment, rcond=None)[0]
    return np.sum(y**2, axis=0) - np.sum(moment * solved, axis=0)


def _by_unit(seen: Seen, design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(eta R (n_out, n_hidden), what it explains) from a design (unit or 1, interval, n_out, column)."""
    root = np.sqrt(seen.weights)[:, None, None]
    x = (root * design).transpose(0, 1, 3, 2).reshape(len(design), -1, design.shape[2])
    y = (root * seen.hidden).transpose(1, 0, 2).reshape(seen.hidden.shape[1], -1, 1)
    x_t = np.swapaxes(x, 1, 2)
    solved = np.linalg.pinv(x_t @ x, rcond=1e-13, hermitian=True) @ (x_t @ y)  # (unit, n_out, 1)
    feedback = solved[..., 0].T * seen.rows
    hidden = np.einsum("ca,asce->sae", feedback, np.broadcast_to(design, (feedback.shape[1], *design.shape[1:])),
                       optimize=True)  # fmt: skip
    return feedback, hidden


def _random_recurrent(hypothesis, seen):
    """R by the normal equations of all its entries at once."""
    w, credit = seen.path.networks.recurrent, seen.path.chains.credit
    reach = len(credit) if hypothesis.horizon is None else min(hypothesis.horizon, len(credit))
    count, n = w.shape[:2]
    n_out, columns = credit.shape[2:]
    carried = np.empty((reach, count, n, n))
    carried[0] = np.eye(n)
    for j in range(1, reach):
        carried[j] = carried[j - 1] @ w
    # [network, (a, i), (c, b)]: row a of W^j, column i; R_ca gives change (i, b).
    left = carried.transpose(1, 2, 3, 0).reshape(count, n * n, reach)
    right = credit[:reach].transpose(1, 0, 2, 3).reshape(count, reach, n_out * columns)
    normal, moment = np.zeros((n_out * n, n_out * n)), np.zeros(n_out * n)
    half = count // 2
    designs = []
    for s in range(half):
        both = left[s] @ right[s] + left[half + s] @ right[half + s]
        x = -0.5 * seen.updates[s] * both.reshape(n, n, n_out, columns).transpose(1, 3, 2, 0)  # (i, b, c, a)
        x = x * seen.rows[:, None, None, None]
        x = x.reshape(n * columns, n_out * n)
        normal += seen.weights[s] * x.T @ x
        moment += seen.weights[s] * x.T @ (seen.hidden[s] * seen.rows[:, None]).reshape(-1)
        designs.append(x)
    solved = np.linalg.lstsq(normal, moment, rcond=1e-13)[0]
    hidden = np.stack([(x @ solved).reshape(n, columns) for x in designs])
    return solved.reshape(n_out, n), None, hidden
