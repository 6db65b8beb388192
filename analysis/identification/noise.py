"""Exact noise of the changes that a rule makes, along directions (theory section 13).

A sampled update is a quadratic form in its inputs; along a direction V = (V_A, V_W, V_B) the form is eps^T s with

    eps = sum_k M_k x_{T-1-k},   s = sum_k S_k x_{T-1-k},
    S_k = V_A W^k B + Y_k B + [k < tau] F P^k V_B,   Y_0 = 0,   Y_{k+1} = Y_k W + [k < tau] F P^k V_W

and the covariance along two directions at batch size 1

    tr(Omega sum_k S_k S'_k^T) + tr(K K'),   Omega = sum_k M_k M_k^T + sigma_y^2 I,   K = sum_k M_k S_k^T.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .chains import Chains, Task
    from .snapshots import Weights


def directed(networks: Weights, chains: Chains, carried: FloatArray, task: Task, along: Weights) -> FloatArray:
    """S_k (step, network, direction, n_out, n_in) of directions (network, direction, ..).

    ``carried`` F P^k (step, network, n_out, n_hidden) within the horizon.
    """
    _, w, b = networks
    b = b if task.root is None else b @ task.root
    v_a, v_w, v_b = along
    v_b = v_b if task.root is None else v_b @ task.root
    steps, (count, many, n_out, n) = len(task.target), v_a.shape
    n_in = b.shape[-1]
    stacked = v_a.reshape(count, many * n_out, n)
    wide_w = v_w.transpose(0, 2, 1, 3).reshape(count, n, many * n)
    wide_b = v_b.transpose(0, 2, 1, 3).reshape(count, n, many * n_in)
    out = np.empty((steps, count, many, n_out, n_in))
    through = np.zeros((count, many * n_out, n))
    for k in range(steps):
        s = (stacked @ chains.reached[k] + through @ b).reshape(count, many, n_out, n_in)
        through = through @ w
        if k < len(carried):
            s += (carried[k] @ wide_b).reshape(count, n_out, many, n_in).transpose(0, 2, 1, 3)
            step = (carried[k] @ wide_w).reshape(count, n_out, many, n).transpose(0, 2, 1, 3)
            through += step.reshape(count, many * n_out, n)
        out[k] = s
    return out


def covariance(errors: FloatArray, directions: FloatArray, task: Task) -> FloatArray:
    """Covariance (network, direction, direction) of one update from one sequence."""
    if task.sequence:
        return _sequence_covariance(errors, directions, task)
    steps, count, many, n_out, n_in = directions.shape
    flat = directions.transpose(1, 2, 3, 0, 4).reshape(count, many, n_out, steps * n_in)
    m = errors.transpose(1, 2, 0, 3).reshape(count, n_out, steps * n_in)
    omega = m @ np.swapaxes(m, 1, 2) + task.target_noise**2 * np.eye(n_out)
    k = (flat.reshape(count, many * n_out, -1) @ np.swapaxes(m, 1, 2)).reshape(count, many, n_out, n_out)
    # K_ia = S_i[a] . M[c]; tr(K K') = sum K_ac K'_ca.
    pairs = k.reshape(count, many, -1) @ np.swapaxes(np.swapaxes(k, 2, 3).reshape(count, many, -1), 1, 2)
    root = _root(omega)
    weighted = (root[:, None] @ flat).reshape(count, many, -1)
    return weighted @ np.swapaxes(weighted, 1, 2) + pairs


def _root(matrices: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _sequence_covariance(errors: FloatArray, directions: FloatArray, task: Task) -> FloatArray:
    """The same of the mean over all steps: 2 tr(Q Q') of the forms Q = (E^T S + S^T E) / 2T, E and S block Toeplitz."""
    steps, count, many, n_out, n_in = directions.shape
    size = steps * n_in
    out = np.empty((count, many, many))
    for place in range(count):
        e = _toeplitz(errors[:, place])
        forms, noisy = np.empty((many, size * size)), np.empty((many, steps * n_out * size))
        for i in range(many):
            s = _toeplitz(directions[:, place, i])
            form = e.T @ s
            forms[i] = (form + form.T).ravel()
            noisy[i] = s.ravel()
        out[place] = (0.5 * forms @ forms.T + task.target_noise**2 * noisy @ noisy.T) / steps**2
    return out


def _toeplitz(blocks: FloatArray) -> FloatArray:
    """Blocks (step, n_out, n_in) as (step n_out, step n_in): row t, column s holds block t - s."""
    steps, n_out, n_in = blocks.shape
    whole = np.zeros((steps, n_out, steps, n_in))
    for t in range(steps):
        whole[t, :, : t + 1] = blocks[t::-1].transpose(1, 0, 2)
    return whole.reshape(steps * n_out, steps * n_in)
