"""Feedback carried back in time, F P^j, and the change that it makes of the credit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .family import Hypothesis
    from .snapshots import Weights


def reach_of(hypothesis: Hypothesis, steps: int) -> int:
    """Steps within the horizon."""
    return steps if hypothesis.horizon is None else min(hypothesis.horizon, steps)


def powers_of(base: Any, reach: int) -> FloatArray:
    """base^j, j = 0 .. reach-1, as the first axis."""
    base = np.asarray(base, dtype=float)
    out = np.empty((reach, *base.shape))
    out[0] = 1.0
    for j in range(1, reach):
        out[j] = out[j - 1] * base
    return out


def diagonal_powers(hypothesis: Hypothesis, networks: Weights, decay: FloatArray | None, steps: int) -> FloatArray:
    """Diagonals of P^j (step, network, unit) of propagators that are diagonal."""
    if hypothesis.propagator == "recurrent_diagonal":
        diagonal = np.diagonal(networks.recurrent, axis1=1, axis2=2)
    else:
        value = np.asarray(hypothesis.decay if decay is None else decay, dtype=float)
        diagonal = np.broadcast_to(value, networks.recurrent.shape[:2])
    return powers_of(diagonal, reach_of(hypothesis, steps))


def propagated(
    hypothesis: Hypothesis, networks: Weights, feedback: FloatArray, decay: FloatArray | None, steps: int
) -> FloatArray:
    """F P^j (step, network, n_out, n_hidden) within the horizon."""
    if hypothesis.propagator != "recurrent":
        return feedback * diagonal_powers(hypothesis, networks, decay, steps)[:, :, None, :]
    carried = np.empty((reach_of(hypothesis, steps), *networks.readout.shape))
    carried[0] = feedback
    for j in range(1, len(carried)):
        np.matmul(carried[j - 1], networks.recurrent, out=carried[j])
    return carried


def hidden_change(
    hypothesis: Hypothesis, networks: Weights, feedback: FloatArray, decay: FloatArray | None, credit: FloatArray
) -> FloatArray:
    """sum_j (F P^j)^T [G_j, M_j] (network, n_hidden, column)."""
    if hypothesis.propagator == "scalar":
        decays = powers_of(hypothesis.decay if decay is None else decay, reach_of(hypothesis, len(credit)))
        return np.swapaxes(feedback, -1, -2) @ np.tensordot(decays, credit[: len(decays)], axes=1)
    carried = propagated(hypothesis, networks, feedback, decay, len(credit))
    reach, count, n_out, n = carried.shape
    left = carried.transpose(1, 3, 0, 2).reshape(count, n, reach * n_out)
    right = credit[:reach].transpose(1, 0, 2, 3).reshape(count, reach * n_out, -1)
    return left @ right
