"""What every rule's update is made of, at many networks at once (theory section 3).

M_k = A W^k B - A* W*^k B*,      G_j = sum_{k > j} M_k B^T (W^T)^{k-1-j},      Delta A = G_{-1}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .snapshots import Weights

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray


class Task(NamedTuple):
    """``target`` (step, n_out, n_in): A* W*^k B*, k = 0 .. T-1, through the root of the input's covariance.

    ``weights`` (step,): c_k of the loss; ``root`` (n_in, n_in) or None; ``sequence``: whether it is the sequence loss;
    ``batch_size`` of one update. ``rates`` of readout, recurrent and input weights in units of the learning rate; 0:
    frozen. ``observation_noise``: standard deviation of every entry of every snapshot.
    """

    target: FloatArray
    weights: FloatArray
    root: FloatArray | None
    target_noise: float
    sequence: bool
    batch_size: float
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)
    observation_noise: float = 0.0


class Chains(NamedTuple):
    """``errors`` M_k (step, network, n_out, n_in), unweighted; ``reached`` W^k B (step, network, n_hidden, n_in).

    ``credit`` [G_j, M_j] (step, network, n_out, n_hidden + n_in), weighted by the loss; ``readout`` Delta A; both times
    the matrices' rates.
    """

    errors: FloatArray
    reached: FloatArray
    credit: FloatArray
    readout: FloatArray


def chains_of(networks: Weights, task: Task) -> Chains:
    """Chains of networks (network, ..)."""
    a, w, b = networks
    b = b if task.root is None else b @ task.root
    steps, count = len(task.target), len(w)
    reached = np.empty((steps, *b.shape))
    state = b
    for k in range(steps):
        reached[k] = state
        state = w @ state
    errors = a @ reached - task.target[:, None]
    n = w.shape[-1]
    credit = np.empty((steps, count, a.shape[-2], n + b.shape[-1]))
    credit[..., n:] = task.weights[:, None, None, None] * errors
    carried = np.zeros(a.shape)
    b_t, w_t = np.swapaxes(b, -1, -2), np.swapaxes(w, -1, -2)
    for j in range(steps - 1, -1, -1):
        credit[j, ..., :n] = carried
        carried = credit[j, ..., n:] @ b_t + carried @ w_t
    if task.root is not None:
        credit[..., n:] = credit[..., n:] @ task.root.T
    of_readout, of_recurrent, of_input = task.rates
    credit[..., :n] *= of_recurrent
    credit[..., n:] *= of_input
    return Chains(errors, reached, credit, of_readout * carried)
