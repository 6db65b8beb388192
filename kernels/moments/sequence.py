"""Variance of every entry of a sampled update, sequence loss (theory section 13).

As for the final loss (:mod:`~fastmodes.kernels.moments.entries`) with c_s = sum_{j < horizon} U_j eps_{s+1+j}, the
errors of all later times. Of pairs of times are kept the covariances

    Omega[t][u] = E[eps_{t+1} eps_{u+1}^T]       R[t][s] = E[eps_{t+1} (h_s, x_s)^T]

and of one time s, going back, N = E[c_s eps^T] with all errors and a row C = E[c_s (h, x)^T] with all sources; the
transposed pairs come by another recursion down the column of s. O(T^2 n^3) operations.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import padded
from ..arrays.products import add_correlation, clear, product, product_turned
from ..compile import apart, halted
from ..rule import RECURRENT, reach_within
from ..simd.lanes import WIDTH, fma, load, splat, store
from ..simd.views import stacked
from .entries import TOGETHER, add_credit_and_state, add_rows, state_rows


class SequenceWork(NamedTuple):
    """Covariances of pairs of times; the lanes' axes are (output, time) and (time, source), each as one row."""

    errors: Any
    sources: Any
    chain: Any
    driven: Any
    credit_errors: Any
    row: Any
    column: Any
    column_sources: Any
    lagged: Any
    readout_row: Any


def sequence_work(network, steps):
    """Work space of one padded network over ``steps`` time steps."""
    n_out, n, n_in = len(network.readout), network.recurrent.shape[0], network.input.shape[1]
    times, wide = padded(steps) + WIDTH, n + n_in
    return SequenceWork(
        errors=np.zeros((steps, n_out, n_out * times)),
        sources=np.zeros((steps, n_out, (steps + 1) * wide)),
        chain=np.zeros((2, steps, n_out, n)),
        driven=np.zeros((steps, n_out, n)),
        credit_errors=np.zeros((2, n, n_out * times)),
        row=np.zeros((2, n, (steps + 1) * wide)),
        column=np.zeros((2, n, wide)),
        column_sources=np.zeros((steps, n_out, wide)),
        lagged=np.zeros((n_out, padded(n_out))),
        readout_row=np.zeros((n_out, times)),
    )


@apart
def _pair_errors(work, noise, pairs):
    """errors[t][o, (p, u)] = E[eps_{t+1}[o] eps_{u+1}[p]]."""
    m, lagged = work.errors, pairs.lagged
    steps, n_out = m.shape[0], m.shape[1]
    times = pairs.errors.shape[2] // n_out
    for d in range(steps):
        lagged[:] = 0.0
        if d == 0:
            for o in range(n_out):
                lagged[o, o] = noise
        for u in range(steps - d):
            add_correlation(lagged, m[u + d], m[u])
            for o in range(n_out):
                for p in range(n_out):
                    pairs.errors[u + d, o, p * times + u] = lagged[o, p]
                    pairs.errors[u, p, o * times + u + d] = lagged[o, p]


@apart
def _pair_sources(work, pairs):
    """sources[t][o, (s, q)] = E[eps_{t+1}[o] (h_s, x_s)[q]]."""
    steps, n_out, n = pairs.driven.shape
    n_in = work.errors.shape[2]
    wide = n + n_in
    product(stacked(pairs.driven), stacked(work.errors), work.input_turned, True)
    clear(pairs.chain)
    for s in range(steps + 1):
        here, after = pairs.chain[s % 2], pairs.chain[(s + 1) % 2]
        for t in range(steps):
            for o in range(n_out):
                for q in range(0, n, WIDTH):
                    store(pairs.sources, (t, o, s * wide + q), load(here, (t, o, q)))
                for i in range(0, n_in if t >= s else 0, WIDTH):
                    store(pairs.sources, (t, o, s * wide + n + i), load(work.turned_errors, (t - s, o, i)))
        product(stacked(after), stacked(here), work.recurrent_turned, True)
        for t in range(s, steps):
            for o in range(n_out):
                for q in range(0, n, WIDTH):
                    store(after, (t, o, q), load(after, (t, o, q)) + load(pairs.driven, (t - s, o, q)))


@apart
def _carry(rule, network, work, buffers, s, starts):
    """buffers[s % 2] = sum_{j < reach} P^Tj F^T starts[s + j], from buffers[(s + 1) % 2] where the horizon is full."""
    steps = len(starts)
    here, later = buffers[s % 2], buffers[(s + 1) % 2]
    reach = reach_within(rule.horizon, steps)
    if reach < steps:
        length = min(reach, steps - s)
        product_turned(here, stacked(work.credit[:length]), stacked(starts[s : s + length]), True)
        return
    product_turned(here, work.credit[0], starts[s], True)
    if s == steps - 1:
        return
    if rule.propagator == RECURRENT:
        product_turned(here, network.recurrent, later, False)
        return
    for i in range(here.shape[0]):
        for k in range(0, here.shape[1], WIDTH):
            store(here, (i, k), fma(work.carrier.decay[i], load(later, (i, k)), load(here, (i, k))))


@apart
def _credit_row(rule, work, here, credit_errors, s):
    """credit_rows[a, d] = E[c_s[a] c_{s+d}[a]]."""
    n, n_out, steps = here.credit_rows.shape[0], work.errors.shape[1], len(work.errors)
    times, reach = credit_errors.shape[1] // n_out, reach_within(rule.horizon, steps)
    for a in range(n):
        for d in range(0, steps - s, WIDTH):
            summed = splat(0.0)
            for o in range(n_out):
                for j in range(min(reach, steps - s - d)):
                    ahead = load(credit_errors, (a, o * times + s + d + j))
                    summed = fma(here.credit_times[a, o, j], ahead, summed)
            store(here.credit_rows, (a, d), summed)


@apart
def _copy_column(pairs, s):
    """column_sources[t] = sources[t] of time s."""
    wide = pairs.column.shape[2]
    for t in range(len(pairs.column_sources)):
        for o in range(pairs.column_sources.shape[1]):
            for q in range(0, wide, WIDTH):
                store(pairs.column_sources, (t, o, q), load(pairs.sources, (t, o, s * wide + q)))


@apart
def _add_pairs(rule, network, work, pairs, s, mean, variance):
    """Add E[c_s[a] q_t[b]] E[c_t[a] q_s[b]] for all t >= s, those t > s twice, to entries (a, b), q = (h, x)."""
    steps, wide = len(work.errors), pairs.column.shape[2]
    n, n_in = mean.shape[0], mean.shape[1] - mean.shape[0]
    _copy_column(pairs, s)
    row, inputs = pairs.row[s % 2], network.recurrent.shape[0]
    for t in range(steps - 1, s - 1, -1):
        _carry(rule, network, work, pairs.column, t, pairs.column_sources)
        column, count = pairs.column[t % 2], 1.0 if t == s else 2.0
        for a in range(n):
            for b in range(n):
                variance[a, b] += count * row[a, t * wide + b] * column[a, b]
            for i in range(n_in):
                variance[a, n + i] += count * row[a, t * wide + inputs + i] * column[a, inputs + i]
    for a in range(n):
        for b in range(n):
            mean[a, b] += row[a, s * wide + b]
        for i in range(n_in):
            mean[a, n + i] += row[a, s * wide + inputs + i]


@apart
def _add_readout(pairs, here, s, mean, variance):
    """Entries of Delta A: what the error at time s gives with those at later times; ``state_rows`` hold s."""
    n_out, n = mean.shape
    steps, wide = len(pairs.errors), pairs.column.shape[2]
    times, t = pairs.errors.shape[2] // n_out, s - 1
    for o in range(n_out):
        for d in range(0, steps - t, WIDTH):
            store(pairs.readout_row, (o, d), 2.0 * load(pairs.errors, (t, o, o * times + t + d)))
        pairs.readout_row[o, 0] *= 0.5
        for b in range(n):
            mean[o, b] += pairs.sources[t, o, s * wide + b]
            for u in range(t, steps):
                count = 1.0 if u == t else 2.0
                crossed = pairs.sources[t, o, (u + 1) * wide + b] * pairs.sources[u, o, s * wide + b]
                variance[o, b] += count * crossed
    add_rows(variance, pairs.readout_row, here.state_rows[s % TOGETHER], steps - t)


@apart
def _scale(array, factor):
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            array[i, j] *= factor


@apart
def sequence_entries(rule, network, work, here, pairs, input_variances, results):
    """Means and variances of all entries; ``results``: those of Delta A, then those of (Delta W, Delta B)."""
    readout_mean, readout_variance, mean, variance = results
    steps = len(work.errors)
    for part in results:
        part[:] = 0.0
    for s in range(steps, -1, -1):
        if halted(here.halt):
            return
        place = s % TOGETHER
        if place == TOGETHER - 1 or s == steps:
            state_rows(here, work.covariances, s - place, steps + 1 - (s - place))
        if s > 0:
            _add_readout(pairs, here, s, readout_mean, readout_variance)
        if s == steps:
            continue
        _carry(rule, network, work, pairs.credit_errors, s, pairs.errors)
        _carry(rule, network, work, pairs.row, s, pairs.sources)
        _credit_row(rule, work, here, pairs.credit_errors[s % 2], s)
        add_credit_and_state(variance, here, place, input_variances, steps - s)
        _add_pairs(rule, network, work, pairs, s, mean, variance)
    for part in (readout_mean, mean):
        _scale(part, 1.0 / steps)
    for part in (readout_variance, variance):
        _scale(part, 1.0 / (float(steps) * steps))


@apart
def prepare_pairs(work, noise, pairs):
    """Fill the covariances of pairs of times."""
    _pair_errors(work, noise, pairs)
    _pair_sources(work, pairs)
