"""Variance of sampled updates along directions, at about the price of an expected update (theory section 13).

For V = (V_A, V_W, V_B) the projection <V, u> is eps^T s, with s = sum_k S_k x_{T-1-k},

    S_k = Z_k B + [k < horizon] F P^k V_B,    Z_0 = V_A,    Z_{k+1} = Z_k W + [k < horizon] F P^k V_W

so that, by Isserlis, E<V, u> = tr E[eps s^T] and Var<V, u> = tr(E[eps eps^T] E[s s^T]) + tr(E[eps s^T] E[eps s^T]);
for the sequence loss summed over pairs of times, with E[eps_t s_u^T] partial sums of M_k S_l^T, k - l = t - u.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import padded
from ..arrays.products import add_correlation, copy_into, product
from ..compile import apart
from ..simd.lanes import WIDTH, load, store
from ..simd.views import flattened, stacked


class DirectionWork(NamedTuple):
    """Work space of one direction."""

    states: Any
    driven: Any
    responses: Any
    shared: Any
    own: Any
    forward: Any
    backward: Any


def direction_work(n_out, n, n_in, steps):
    """Work space for directions over ``steps`` time steps; sizes of the padded network."""
    small = (n_out, padded(n_out))
    return DirectionWork(
        states=np.zeros((steps + 1, n_out, n)),
        driven=np.zeros((steps, n_out, n)),
        responses=np.zeros((steps, n_out, n_in)),
        shared=np.zeros(small),
        own=np.zeros(small),
        forward=np.zeros(small),
        backward=np.zeros(small),
    )


@apart
def respond_along(network, direction, credit, here):
    """responses[k] = S_k; the direction of B is taken times the root of the input covariance."""
    steps = len(credit)
    product(stacked(here.driven), stacked(credit), direction.recurrent, True)
    copy_into(here.states[0], direction.readout)
    for k in range(steps):
        product(here.states[k + 1], here.states[k], network.recurrent, True)
        into, drive = flattened(here.states[k + 1]), flattened(here.driven[k])
        for i in range(0, len(into), WIDTH):
            store(into, (i,), load(into, (i,)) + load(drive, (i,)))
    product(stacked(here.responses), stacked(here.states[:steps]), network.input, True)
    product(stacked(here.responses), stacked(credit), direction.input, False)


@apart
def _inner(a, b):
    """tr(a b^T)."""
    summed = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            summed += a[i, k] * b[i, k]
    return summed


@apart
def _inner_turned(a, b):
    """tr(a b), of the square parts."""
    summed = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[0]):
            summed += a[i, k] * b[k, i]
    return summed


@apart
def along_final(errors, omega, here):
    """Mean and variance of <V, u> for the final loss."""
    here.own[:] = 0.0
    here.forward[:] = 0.0
    for k in range(len(errors)):
        add_correlation(here.own, here.responses[k], here.responses[k])
        add_correlation(here.forward, errors[k], here.responses[k])
    mean = 0.0
    for o in range(here.forward.shape[0]):
        mean += here.forward[o, o]
    return mean, _inner(omega, here.own) + _inner_turned(here.forward, here.forward)


@apart
def _along_lag(errors, d, noise, here):
    """Sum over the pairs of times d apart, and over times of E[eps_t^T s_t] where d = 0."""
    responses = here.responses
    for part in (here.shared, here.own, here.forward, here.backward):
        part[:] = 0.0
    if d == 0:
        for o in range(here.shared.shape[0]):
            here.shared[o, o] = noise
    summed, mean = 0.0, 0.0
    for k in range(len(errors) - d):
        add_correlation(here.shared, errors[k + d], errors[k])
        add_correlation(here.own, responses[k + d], responses[k])
        add_correlation(here.forward, errors[k + d], responses[k])
        add_correlation(here.backward, errors[k], responses[k + d])
        summed += _inner(here.shared, here.own) + _inner_turned(here.forward, here.backward)
        for o in range(here.forward.shape[0]):
            mean += here.forward[o, o]
    return summed, mean


@apart
def along_sequence(errors, noise, here):
    """Mean and variance of <V, u> for the sequence loss."""
    steps = len(errors)
    variance, mean = _along_lag(errors, 0, noise, here)
    for d in range(1, steps):
        variance += 2.0 * _along_lag(errors, d, noise, here)[0]
    return mean / steps, variance / (float(steps) * steps)
