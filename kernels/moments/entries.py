"""Variance of every entry of a sampled update, final loss (theory section 13).

An update of W and B is a sum over time of credit times source, sum_s c_s (h_s, x_s)^T. By Isserlis

    Var[ab] = sum_{s,t} E[c_s c_t]_aa E[h_s h_t]_bb + E[c_s[a] h_t[b]] E[c_t[a] h_s[b]]

For the final loss c_s = U_{T-1-s} eps_T, so that the second sum is tr(K_ab K_ab), K_ab = sum_j G_j[:,b] U_j[a,:]. Rows
of covariances lie with the distance d = t - s in the lanes, everything that is summed over time with time in the lanes.
"""

from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import padded
from ..arrays.products import add_correlation, copy_into, product
from ..compile import apart, halted
from ..rule import RECURRENT, reach_within
from ..simd.lanes import WIDTH, fma, load, splat, store, total

#: States that share one pass over the powers of W.
TOGETHER = 4


class EntryWork(NamedTuple):
    """Work space of variances by entry; the last axes hold times, or distances in time, in whole lanes."""

    lag_powers: Any
    state_rows: Any
    credit_rows: Any
    credit_back: Any
    credit_times: Any
    credit_weighed: Any
    source_times: Any
    product: Any
    carried: Any
    halt: Any


def entry_work(sizes, steps, lags, halt):
    """Work space; ``sizes`` = (n_out, n_hidden, n_in) unpadded, ``lags`` the longest distance in time kept, or 1."""
    n_out, n, n_in = sizes
    times = padded(steps) + WIDTH
    return EntryWork(
        lag_powers=np.zeros((n, n, padded(lags) + WIDTH)),
        state_rows=np.zeros((TOGETHER, n, padded(lags) + WIDTH)),
        credit_rows=np.zeros((n, times)),
        credit_back=np.zeros((n, n_out, times)),
        credit_times=np.zeros((n, n_out, times)),
        credit_weighed=np.zeros((n, n_out, times)),
        source_times=np.zeros((n + n_in, n_out, times)),
        product=np.zeros((n_out, padded(n_out))),
        carried=np.zeros((padded(n), padded(n))),
        halt=halt,
    )


@apart
def turn_times(work, here, n_in):
    """Credit and its sources with time in the lanes: U_j, Omega U_j, U_{T-1-j}, and G_j beside M_j root^T."""
    n, n_out, steps = here.credit_rows.shape[0], here.product.shape[0], len(work.errors)
    omega = work.error_covariance
    for a in range(n):
        for o in range(n_out):
            for j in range(steps):
                here.credit_times[a, o, j] = work.credit[j, o, a]
                here.credit_back[a, o, steps - 1 - j] = work.credit[j, o, a]
                here.source_times[a, o, j] = work.backward[j + 1, o, a]
        for o in range(n_out):
            for j in range(0, steps, WIDTH):
                summed = splat(0.0)
                for other in range(n_out):
                    summed = fma(omega[o, other], load(here.credit_times, (a, other, j)), summed)
                store(here.credit_weighed, (a, o, j), summed)
    for i in range(n_in):
        for o in range(n_out):
            for j in range(steps):
                here.source_times[n + i, o, j] = work.turned_errors[j, o, i]


@apart
def collect_powers(network, work, here):
    """lag_powers[b, c, d] = (W^d)_bc for all distances there is room for."""
    n, lags = here.lag_powers.shape[0], here.lag_powers.shape[2] - WIDTH
    powers = work.powers
    powers[0] = 0.0
    for b in range(n):
        powers[0, b, b] = 1.0
    for d in range(lags):
        for b in range(n):
            for c in range(n):
                here.lag_powers[b, c, d] = powers[d % 2, b, c]
        product(powers[(d + 1) % 2], powers[d % 2], network.recurrent, True)


@apart
def state_rows(here, covariances, first, count):
    """state_rows[i, b, d] = E[h_s[b] h_{s+d}[b]] for the TOGETHER times s = first + i, all d < count."""
    last = len(covariances) - 1
    s0, s1, s2, s3 = first, min(first + 1, last), min(first + 2, last), min(first + 3, last)
    n, rows = here.lag_powers.shape[0], here.state_rows
    for b in range(n):
        for d in range(0, count, WIDTH):
            r0, r1, r2, r3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for c in range(n):
                power = load(here.lag_powers, (b, c, d))
                r0, r1 = fma(covariances[s0, b, c], power, r0), fma(covariances[s1, b, c], power, r1)
                r2, r3 = fma(covariances[s2, b, c], power, r2), fma(covariances[s3, b, c], power, r3)
            store(rows, (0, b, d), r0)
            store(rows, (1, b, d), r1)
            store(rows, (2, b, d), r2)
            store(rows, (3, b, d), r3)


@apart
def add_rows(variance, first, second, count):
    """variance[a, b] += sum over d < count of first[a, d] second[b, d], whose pads are zero in ``first``."""
    rows, columns = first.shape[0], second.shape[0]
    for a in range(rows):
        for b0 in range(0, columns, 4):
            b1, b2, b3 = min(b0 + 1, columns - 1), min(b0 + 2, columns - 1), min(b0 + 3, columns - 1)
            c0, c1, c2, c3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for d in range(0, count, WIDTH):
                row = load(first, (a, d))
                c0, c1 = fma(row, load(second, (b0, d)), c0), fma(row, load(second, (b1, d)), c1)
                c2, c3 = fma(row, load(second, (b2, d)), c2), fma(row, load(second, (b3, d)), c3)
            sums = total(c0), total(c1), total(c2), total(c3)
            for i in range(min(4, columns - b0)):
                variance[a, b0 + i] += sums[i]


@apart
def add_credit_and_state(variance, here, place, input_variances, count):
    """Add what one time s gives: E[c_s c_{s+d}] E[h_s h_{s+d}] over all d, pairs d > 0 twice; inputs pair at d = 0."""
    rows, n = here.credit_rows, here.credit_rows.shape[0]
    for a in range(n):
        for i in range(len(input_variances)):
            variance[a, n + i] += rows[a, 0] * input_variances[i]
        for d in range(0, count, WIDTH):
            store(rows, (a, d), 2.0 * load(rows, (a, d)))
        rows[a, 0] *= 0.5
    add_rows(variance, rows, here.state_rows[place], count)


@apart
def _credit_row(here, s, steps):
    """credit_rows[a, d] = E[c_s[a] c_{s+d}[a]] for the final loss."""
    n, n_out = here.credit_rows.shape[0], here.product.shape[0]
    for a in range(n):
        for d in range(0, steps - s, WIDTH):
            summed = splat(0.0)
            for o in range(n_out):
                weighed = here.credit_weighed[a, o, steps - 1 - s]
                summed = fma(weighed, load(here.credit_back, (a, o, s + d)), summed)
            store(here.credit_rows, (a, d), summed)


@apart
def add_squares(mean, variance, here):
    """mean[a, b] = tr K_ab, variance[a, b] += tr(K_ab K_ab)."""
    n_out = here.product.shape[0]
    for b in range(here.source_times.shape[0]):
        for a in range(here.credit_times.shape[0]):
            here.product[:] = 0.0
            add_correlation(here.product, here.source_times[b], here.credit_times[a])
            trace, squares = 0.0, 0.0
            for o in range(n_out):
                trace += here.product[o, o]
                for other in range(n_out):
                    squares += here.product[o, other] * here.product[other, o]
            mean[a, b] = trace
            variance[a, b] += squares


@apart
def final_entries(rule, work, here, input_variances, mean, variance):
    """Means and variances (n_hidden, n_hidden + n_in) of the entries of Delta W and Delta B, final loss."""
    steps = len(work.errors)
    variance[:] = 0.0
    first = steps - reach_within(rule.horizon, steps)
    for start in range(first, steps, TOGETHER):
        if halted(here.halt):
            return
        state_rows(here, work.covariances, start, steps - start)
        for s in range(start, min(start + TOGETHER, steps)):
            _credit_row(here, s, steps)
            add_credit_and_state(variance, here, s - start, input_variances, steps - s)
    add_squares(mean, variance, here)


@apart
def readout_entries(work, mean, variance):
    """Means and variances of the entries of Delta A, final loss."""
    omega, covariance = work.error_covariance, work.covariances[len(work.covariances) - 1]
    for o in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            mean[o, b] = work.backward[0, o, b]
            variance[o, b] = omega[o, o] * covariance[b, b] + mean[o, b] * mean[o, b]


@apart
def _lagged_credit(rule, work, here, unlimited):
    """credit_rows[a, d] = sum_s E[c_s[a] c_{s+d}[a]] where credit is cut off; else its covariance summed over time."""
    n, n_out, steps = here.credit_rows.shape[0], here.product.shape[0], len(work.errors)
    if unlimited:
        here.carried[:] = 0.0
        for j in range(steps):
            for a in range(n):
                for o in range(n_out):
                    weighed = here.credit_weighed[a, o, j]
                    for c in range(n):
                        here.carried[a, c] += weighed * work.credit[j, o, c]
        return
    here.credit_rows[:] = 0.0
    for s in range(steps - rule.horizon, steps):
        for a in range(n):
            for o in range(n_out):
                weighed = here.credit_weighed[a, o, steps - 1 - s]
                for d in range(0, steps - s, WIDTH):
                    row = fma(weighed, load(here.credit_back, (a, o, s + d)), load(here.credit_rows, (a, d)))
                    store(here.credit_rows, (a, d), row)


@apart
def _credit_at(rule, work, here, power, a, d):
    """sum_s E[c_s[a] c_{s+d}[a]] under the full horizon, at the ``power`` W^d."""
    if rule.propagator != RECURRENT:
        return here.carried[a, a] * work.carrier.decay[a] ** d
    summed = 0.0
    for c in range(here.carried.shape[0]):
        summed += here.carried[a, c] * power[c, a]
    return summed


@apart
def stationary_entries(network, rule, work, here, input_variances, mean, variance):
    """As :func:`final_entries` for T = infinity: the states' covariance is the limit X, one for all times.

    ``work`` spans so many steps that all powers are spent. The rule's horizon is 0 where it is as good as endless.
    """
    steps, n = len(work.errors), here.credit_rows.shape[0]
    unlimited = rule.horizon == 0
    variance[:] = 0.0
    _lagged_credit(rule, work, here, unlimited)
    copy_into(work.powers[0], work.covariances[len(work.covariances) - 1])
    squares = work.squares
    squares[0] = 0.0
    for b in range(n):
        squares[0, b, b] = 1.0
    for d in range(steps if unlimited else rule.horizon):
        if d % 64 == 0 and halted(here.halt):
            return
        power, correlation = squares[d % 2], work.powers[d % 2]
        count = 1.0 if d == 0 else 2.0
        for a in range(n):
            credit = _credit_at(rule, work, here, power, a, d) if unlimited else here.credit_rows[a, d]
            for i in range(len(input_variances) if d == 0 else 0):
                variance[a, n + i] += credit * input_variances[i]
            for b in range(n):
                variance[a, b] += count * credit * correlation[b, b]
        product(work.powers[(d + 1) % 2], network.recurrent, correlation, True)
        product(squares[(d + 1) % 2], power, network.recurrent, True)
    add_squares(mean, variance, here)
