"""How probable the changes are under each rule: Gaussian along directions, with the rule's own exact noise.

The directions are the same for all rules: what the likeliest rules make and where they differ, and some at random,
which ask whether the best rule explains the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from . import fits, noise
from .snapshots import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray

    from .chains import Chains, Task
    from .family import Hypothesis

#: Random directions of each interval.
N_RANDOM = 12
#: Random directions by which the noise of an interval is measured.
_PROBES = 6
#: Share of what interpolation of the path changes that is taken as its standard deviation.
_PATH_ERROR = 0.1
#: The same of what all directions have in common.
_TOGETHER = 2.0
#: Relative standard deviation below which nothing is told apart: rounding of stored weights.
_ROUNDING = 1e-9
#: Added to the correlation of directions, which may depend on one another.
_JITTER = 1e-10
#: Degrees of freedom of an interval's size of noise, and rounds in which it and the fit settle.
_FREEDOM, _ROUNDS = 4.0, 8
#: Step of the derivative by the decay.
_DECAY_STEP = 1e-4


class Directions(NamedTuple):
    """``along`` (interval, direction, ..) of A, W, B; ``seen`` the changes along them (interval, direction)."""

    along: Weights
    seen: FloatArray


class Likelihood(NamedTuple):
    """``log`` of the density at the best scales and decay; ``squares`` (interval,) left per degree of freedom.

    ``step`` of the fitted numbers: factors of the changes of A and of W and B (one factor where F is A or all are), then
    what is to be added to the decay; ``errors`` their standard deviations.
    """

    log: float
    squares: FloatArray
    step: FloatArray
    errors: FloatArray


def directions_for(seen: fits.Seen, found: Sequence[fits.Fit], random: np.random.Generator) -> Directions:
    """Directions in which the fits differ, and random ones."""
    n = seen.hidden.shape[1]
    count = len(seen.hidden)
    parts_a, parts_h = [], []
    zero_a, zero_h = np.zeros_like(seen.readout), np.zeros_like(seen.hidden)
    for fit in found:
        for hidden in (_block(fit.hidden, slice(None, n)), _block(fit.hidden, slice(n, None))):
            parts_a.append(zero_a)
            parts_h.append(hidden)
        parts_a.append(fit.readout)
        parts_h.append(zero_h)
    for other in found[1:]:
        parts_a.append(zero_a)
        parts_h.append(_block(found[0].hidden - other.hidden, slice(None, n)))
    for i in range(N_RANDOM):
        parts_a.append(random.standard_normal(seen.readout.shape) if i % 2 else zero_a)
        parts_h.append(random.standard_normal(seen.hidden.shape))
    a, h = np.stack(parts_a, 1) * seen.columns, np.stack(parts_h, 1) * seen.rows[:, None]
    along = Weights(a, h[..., :n], h[..., n:])
    return Directions(along, projected(along, seen.readout, seen.hidden))


def _block(hidden: FloatArray, columns: slice) -> FloatArray:
    alone = np.zeros_like(hidden)
    alone[..., columns] = hidden[..., columns]
    return alone


def projected(along: Weights, readout: FloatArray, hidden: FloatArray) -> FloatArray:
    """Changes (interval, ..) along directions (interval, direction, ..)."""
    n = along.recurrent.shape[-1]
    return (
        np.einsum("sqab,sab->sq", along.readout, readout, optimize=True)
        + np.einsum("sqab,sab->sq", along.recurrent, hidden[..., :n], optimize=True)
        + np.einsum("sqab,sab->sq", along.input, hidden[..., n:], optimize=True)
    )


def likelihood(
    hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, chord: fits.Path, task: Task, directions: Directions,
    batch_size: float,
) -> Likelihood:  # fmt: skip
    """The changes along the directions under one fitted rule; its rate, the size of R and the decay fitted anew."""
    covariance = whole_covariance(hypothesis, fit, seen, chord, task, directions, batch_size)
    return _whitened(covariance, directions, columns_of(hypothesis, fit, seen, directions))


def whole_covariance(
    hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, chord: fits.Path, task: Task, directions: Directions,
    batch_size: float,
) -> FloatArray:  # fmt: skip
    """Covariance (interval, direction, direction) of the changes, with what is not known of the path, and rounding."""
    covariance = _covariance(hypothesis, fit, seen, task, directions, batch_size)
    readout, hidden = explained(hypothesis, fit, seen, chord)
    path_error = projected(directions.along, readout - fit.readout, hidden - fit.hidden)
    count = covariance.shape[-1]
    size = np.maximum(np.trace(covariance, axis1=1, axis2=2), np.sum(directions.seen**2, 1)) / count
    floor = (_PATH_ERROR * path_error) ** 2 + _ROUNDING**2 * np.maximum(size[:, None], directions.seen**2)
    covariance = covariance + floor[:, :, None] * np.eye(count)
    return covariance + _TOGETHER**2 * path_error[:, :, None] * path_error[:, None, :]


def _whitened(covariance: FloatArray, directions: Directions, columns: list[FloatArray]) -> Likelihood:
    count = covariance.shape[-1]
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (scale[:, :, None] * scale[:, None, :]) + _JITTER * np.eye(count)
    lower = np.linalg.cholesky(correlation)
    white = np.linalg.solve(lower, np.stack([directions.seen, *columns], 2) / scale[:, :, None])
    log_det = 2 * np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)) + np.log(scale), axis=1)
    return _heavy_tailed(white[..., 0], white[..., 1:], log_det)


def least_left(covariance: FloatArray, directions: Directions, columns: list[FloatArray]) -> FloatArray:
    """Squares (interval,) in units of the variance that the best combination of ``columns`` leaves."""
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (scale[:, :, None] * scale[:, None, :]) + _JITTER * np.eye(covariance.shape[-1])
    white = np.linalg.solve(
        np.linalg.cholesky(correlation), np.stack([directions.seen, *columns], 2) / scale[:, :, None]
    )
    y, x = white[..., 0], white[..., 1:]
    step = np.linalg.lstsq(x.reshape(-1, x.shape[2]), y.ravel(), rcond=None)[0]
    left: FloatArray = np.sum((y - x @ step) ** 2, axis=1)
    return left


def _tiny(directions: Directions) -> FloatArray:
    """A variance (interval,) below which changes are rounding."""
    return _ROUNDING**2 * np.mean(directions.seen**2, axis=1) + np.finfo(float).tiny


def screened(
    rules: Sequence[Hypothesis], found: Sequence[fits.Fit], crude: int, seen: fits.Seen, task: Task, batch_size: float,
    random: np.random.Generator,
) -> list[float]:  # fmt: skip
    """How well every fit explains the changes along directions, all with the noise of rule ``crude``."""
    directions = directions_for(seen, found[crude : crude + 1], random)
    covariance = _covariance(rules[crude], found[crude], seen, task, directions, batch_size)
    size = np.trace(covariance, axis1=1, axis2=2) / covariance.shape[-1]
    covariance = covariance + (_ROUNDING * size + _tiny(directions))[:, None, None] * np.eye(covariance.shape[-1])
    logs = []
    for rule, fit in zip(rules, found, strict=True):
        logs.append(_whitened(covariance, directions, columns_of(rule, fit, seen, directions)).log)
    return logs


def noise_of_intervals(
    hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, chord: fits.Path, task: Task, batch_size: float
) -> FloatArray:
    """Mean variance of an entry's change in every interval (interval,), and what is not known of the path."""
    random = np.random.default_rng(0)
    n = seen.hidden.shape[1]
    count = len(seen.hidden)
    readout, hidden = (
        random.standard_normal((count, _PROBES, *part.shape[1:])) for part in (seen.readout, seen.hidden)
    )
    readout, hidden = readout * seen.columns, hidden * seen.rows[:, None]
    directions = Directions(Weights(readout, hidden[..., :n], hidden[..., n:]), np.zeros((count, _PROBES)))
    covariance = _covariance(hypothesis, fit, seen, task, directions, batch_size)
    of_readout, of_hidden = explained(hypothesis, fit, seen, chord)
    moved = np.sum((of_readout - fit.readout) ** 2, axis=(1, 2)) + np.sum((of_hidden - fit.hidden) ** 2, axis=(1, 2))
    noise_ = np.trace(covariance, axis1=1, axis2=2) / _PROBES + _PATH_ERROR**2 * moved
    size = np.sum(seen.readout**2, axis=(1, 2)) + np.sum(seen.hidden**2, axis=(1, 2))
    return noise_ + _ROUNDING**2 * np.maximum(size, np.finfo(float).tiny) + 1e-30 * np.max(noise_)


def _heavy_tailed(y: FloatArray, x: FloatArray, log_det: FloatArray) -> Likelihood:
    """Student's t over intervals, whose noise may be larger than it should: the path within some is not well known.

    ``y`` (interval, direction) and ``x`` (interval, direction, column), whitened; the first columns are to be there
    once, the last, of a decay, not at all.
    """
    count = y.shape[1]
    weights = np.ones(len(y))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        flat_x = (root[..., None] * x).reshape(-1, x.shape[2])
        step = np.linalg.lstsq(flat_x, (root * y).ravel(), rcond=None)[0]
        squares = np.sum((y - x @ step) ** 2, axis=1)
        weights = (_FREEDOM + count) / (_FREEDOM + squares)
    log = (
        special.gammaln((_FREEDOM + count) / 2) - special.gammaln(_FREEDOM / 2) - count / 2 * np.log(_FREEDOM * np.pi)
        - log_det / 2 - (_FREEDOM + count) / 2 * np.log1p(squares / _FREEDOM)
    )  # fmt: skip
    spread = np.linalg.pinv(flat_x.T @ flat_x, hermitian=True)
    return Likelihood(float(np.sum(log)), squares / count, step, np.sqrt(np.diag(spread)))


def _covariance(
    hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, task: Task, directions: Directions, batch_size: float
) -> FloatArray:
    """Covariance (interval, direction, direction) of the changes, at the middle of its path."""
    networks, chains = seen.middle
    carried = fits.propagated(hypothesis, networks, _feedback(hypothesis, fit, networks), fit.decay, len(task.target))
    of_readout, of_recurrent, of_input = task.rates
    own = directions.along
    own = own._replace(recurrent=own.recurrent @ np.swapaxes(seen.view, 1, 2)[:, None])
    along = Weights(of_readout * fit.rate * own.readout, of_recurrent * own.recurrent, of_input * own.input)
    s = noise.directed(networks, chains, carried, task, along)
    covariance = noise.covariance(chains.errors, s, task) * (seen.updates / batch_size)[:, None, None]
    if task.observation_noise:
        flat = np.concatenate([part.reshape(*part.shape[:2], -1) for part in own], axis=2)
        covariance = covariance + 2 * task.observation_noise**2 * flat @ np.swapaxes(flat, 1, 2)
    return covariance


def columns_of(hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, directions: Directions) -> list[FloatArray]:
    """What the changes along the directions are linear in, near the fit."""
    of_readout = projected(directions.along, fit.readout, np.zeros_like(fit.hidden))
    of_hidden = projected(directions.along, np.zeros_like(fit.readout), fit.hidden)
    columns = [of_readout + of_hidden] if hypothesis.feedback == "readout" else [of_readout, of_hidden]
    if fit.decay is not None and np.ndim(fit.decay) == 0:
        moved = fit._replace(decay=fit.decay + _DECAY_STEP)
        hidden = explained(hypothesis, moved, seen, seen.path)[1]
        columns.append(projected(directions.along, np.zeros_like(fit.readout), (hidden - fit.hidden) / _DECAY_STEP))
    return columns


def _feedback(hypothesis: Hypothesis, fit: fits.Fit, networks: Weights) -> FloatArray:
    """eta F of every network."""
    if hypothesis.feedback == "readout":
        return fit.rate * networks.readout
    if hypothesis.feedback == "sign":
        return fit.feedback * np.sign(networks.readout)
    return np.broadcast_to(fit.feedback, networks.readout.shape)


def explained(hypothesis: Hypothesis, fit: fits.Fit, seen: fits.Seen, path: fits.Path) -> tuple[FloatArray, FloatArray]:
    """Mean changes (of A, of W and B) by one fitted rule, from networks on a path through the snapshots."""
    networks, chains = path
    carried = fits.propagated(hypothesis, networks, _feedback(hypothesis, fit, networks), fit.decay, len(chains.errors))
    hidden = -seen.averaged(fits.by_feedback(carried, chains.credit)) * seen.rows[:, None]
    return -fit.rate * seen.averaged(chains.readout), hidden
